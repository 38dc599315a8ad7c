"""The sample does not depend on the blocks its items come in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.cli.support.sampling import Systematic, wanted


def sampled(blocks: list[list[int]], most: int) -> Systematic[list[int]]:
    sample: Systematic[list[int]] = Systematic(lambda block, items: block[items], most)
    for block in blocks:
        sample.offer(block, len(block))
    return sample


@given(cuts=st.lists(st.integers(0, 17), max_size=40), most=st.integers(1, 50))
def test_cutting_the_items_into_other_blocks_changes_nothing(cuts: list[int], most: int) -> None:
    items = iter(range(sum(cuts)))
    blocks = [[next(items) for _ in range(size)] for size in cuts]
    sample = sampled(blocks, most)
    kept = [item for block in sample.blocks for item in block]
    assert kept == list(range(0, sum(cuts), sample.stride))
    assert len(kept) <= most
    assert sample.stride == 1 or len(kept) * 2 >= most


@given(
    cuts=st.lists(st.integers(0, 17), max_size=40),
    most=st.integers(1, 50),
    earlier=st.lists(st.booleans(), min_size=40),
)
def test_what_an_earlier_or_a_later_stride_wanted_is_enough(cuts: list[int], most: int, earlier: list[bool]) -> None:
    """Blocks of which somebody took more than is wanted by now, or no more than is wanted after them."""
    items = iter(range(sum(cuts)))
    blocks = [[next(items) for _ in range(size)] for size in cuts]
    sample: Systematic[list[int]] = Systematic(lambda block, items: block[items], most)
    for block, early in zip(blocks, earlier, strict=False):
        later = sample.stride_after(sample.offered + len(block))
        stride = max(sample.stride // 4, 1) if early else later
        sample.add_of(stride, block[wanted(sample.offered, stride)], len(block))
    whole = sampled(blocks, most)
    assert (sample.blocks, sample.stride) == (whole.blocks, whole.stride)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 9, 1000])
def test_one_by_one_or_all_at_once(count: int) -> None:
    one_by_one, at_once = sampled([[item] for item in range(count)], 4), sampled([list(range(count))], 4)
    assert [i for block in one_by_one.blocks for i in block] == [i for block in at_once.blocks for i in block]
