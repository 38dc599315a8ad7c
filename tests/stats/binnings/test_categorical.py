"""A categorical binning is bounded by its vocabulary, whatever the stream sends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.stats.binnings.categorical import Binning

awkward = st.one_of(st.text(max_size=5), st.sampled_from(["", "unseen", "missing", "invalid", '"', '""', '"unseen"']))
vocabularies = st.lists(awkward, unique=True, max_size=12).map(tuple)


@given(categories=vocabularies, values=st.lists(st.one_of(st.none(), awkward), max_size=40))
def test_a_code_is_the_place_in_the_vocabulary_or_unseen_or_missing(
    categories: tuple[str, ...], values: list[str | None]
) -> None:
    for code, value in zip(Binning(categories).codes(values).tolist(), values, strict=True):
        if value is None:
            assert code == len(categories) + 2
        elif value in categories:
            assert categories[code] == value
        else:
            assert code == len(categories)


@given(categories=vocabularies)
def test_labels_all_differ_even_of_a_category_named_missing(categories: tuple[str, ...]) -> None:
    labels = Binning(categories).labels()
    assert len(set(labels)) == len(labels) == len(categories) + 3
    assert "" not in labels


def test_a_hundred_thousand_new_categories_share_one_bin() -> None:
    codes = Binning(("UA",)).codes([f"new{index}" for index in range(100_000)])
    assert set(codes.tolist()) == {1}


def test_a_category_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="categories must differ: 'b' occurs twice; drop one"):
        Binning(("a", "b", "b"))
