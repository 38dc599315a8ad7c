"""Blocks add and nest, so a reference counted in pieces shows the dispersion of the whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftmon.monitor.blocks import MAX_BLOCKS, ROWS, Blocks, blocks_of
from driftmon.stats.binnings import boolean
from driftmon.stats.schema import Feature, Schema

SCHEMA = Schema((Feature("late", boolean.Binning()),))

rows_strategy = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 3)), min_size=1, max_size=80)


def by_time(rows: Sequence[tuple[int, int]], pane_ms: int = 10) -> Blocks:
    codes = np.array([[code for _, code in rows]], dtype=np.int64)
    return blocks_of(SCHEMA, codes, np.array([time for time, _ in rows], dtype=np.int64), pane_ms)


def plain(blocks: Blocks) -> dict[int, list[int]]:
    return {number: counts.tolist() for number, counts in sorted(blocks.counts.items())}


@given(rows_strategy, st.integers(0, 79))
def test_by_time_pieces_add_up_in_either_order(rows: list[tuple[int, int]], cut: int) -> None:
    one, other = rows[: cut + 1], rows[cut + 1 :]
    if other:
        assert plain(by_time(one).merge(by_time(other))) == plain(by_time(rows))
        assert plain(by_time(other).merge(by_time(one))) == plain(by_time(rows))


@given(rows_strategy)
def test_doubling_loses_no_count(rows: list[tuple[int, int]]) -> None:
    blocks = by_time(rows)
    assert plain(blocks.doubled()) == plain(by_time(rows, pane_ms=20))


def test_by_rows_blocks_follow_each_other() -> None:
    codes = np.zeros((1, 100), dtype=np.int64)
    piece = blocks_of(SCHEMA, codes, None, 0)
    assert {number: sum(counts) for number, counts in plain(piece).items()} == {0: ROWS, 1: 100 - ROWS}
    assert sorted(piece.merge(piece).counts) == [0, 1, 2, 3]


def test_a_year_of_minutes_stays_within_bounds() -> None:
    rows = [(minute * 60_000, minute % 2) for minute in range(0, 525_600, 60)]
    blocks = by_time(rows, pane_ms=60_000)
    assert len(blocks.counts) <= MAX_BLOCKS
    assert sum(counts.sum() for counts in blocks.counts.values()) == len(rows)


def test_few_blocks_keep_nothing() -> None:
    assert by_time([(0, 1), (10, 0)]).as_dispersion(SCHEMA) == {}
