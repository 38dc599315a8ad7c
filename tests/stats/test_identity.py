"""Identity: texts numbered by where their objects are, against the same texts numbered by what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.stats import columns, identity
from driftmon.stats.coded import encoded
from driftmon.stats.columns import column_of
from driftmon.stats.identity import addresses, shared

TEXTS = ("UA", "AA", "", "Zürich", "".join(["U", "A"]), str(7))  # two objects say UA
MISSING = (None, float("nan"), pd.NA, pd.NaT)
OTHERS = (1, 1.0, True, "1", 7, b"UA", ("UA",), np.str_("UA"))


def objects(values: Sequence[object]) -> Any:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def arrays(*kinds: object) -> st.SearchStrategy[Any]:
    """Few objects in many rows, in order, every second or backwards."""
    rows = st.lists(st.sampled_from(kinds), min_size=1, max_size=40).map(lambda some: objects(some * 20))
    return st.builds(lambda array, step: array[::step], rows, st.sampled_from([1, 2, -1]))


@given(array=arrays(*TEXTS, *MISSING))
def test_codes_and_texts_are_those_of_hashed_texts(array: Any) -> None:
    found, expected = encoded(pd.Series(array)), by_hash(array)
    assert (found is None) == (expected is None)
    if found is not None and expected is not None:
        np.testing.assert_array_equal(found[0], expected[0])
        assert found[1] == expected[1]


def by_hash(array: Any) -> tuple[Any, list[str]] | None:
    if pd.api.types.infer_dtype(array, skipna=True) != "string":
        return None
    codes, texts = pd.factorize(array)
    return codes, texts.tolist()


@pytest.mark.parametrize("long", [0, 10**9])
@given(array=arrays(*TEXTS, *MISSING, *OTHERS))
def test_a_column_is_what_its_values_are_one_by_one(long: Any, array: Any) -> None:
    series = pd.Series(array, dtype=object)
    with patch.object(columns, "LONG", long):
        found = column_of("categorical", series)
    expected = [None if any(value is one for one in MISSING) else columns.text(value) for value in array]
    invalid = [row for row, value in enumerate(expected) if isinstance(value, tuple)]
    assert [*found.values] == [None if isinstance(value, tuple) else value for value in expected]
    assert dict(found.invalid) == ({columns.NESTED: invalid} if invalid else {})


@given(array=arrays(*TEXTS, *MISSING, *OTHERS))
def test_a_row_has_the_very_object_of_its_number(array: Any) -> None:
    if (both := shared(array, pd.factorize)) is not None:
        numbers, found = both
        assert all(one is two for one, two in zip(found[numbers], array, strict=True))
        assert len({*map(id, found)}) == len(found)


def test_texts_that_each_have_an_object_of_their_own_are_hashed() -> None:
    array = objects([f"{row % 3}-{'x' * 3}" for row in range(100)])
    assert shared(array, pd.factorize) is None
    codes, texts = encoded(pd.Series(array)) or ([], [])
    assert len(codes) == 100
    assert texts == ["0-xxx", "1-xxx", "2-xxx"]


def test_an_object_that_the_sample_has_not_seen_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "SAMPLE", 10)
    monkeypatch.setattr(identity, "PIECE", 7)
    array = objects(["UA"] * 199 + ["AA"])
    _, texts = encoded(pd.Series(array)) or ([], [])
    assert texts == ["UA", "AA"]


def test_somebody_who_changes_the_array_meanwhile_gets_what_it_says_now() -> None:
    array = objects(["UA"] * 100)

    def meanwhile(where: Any) -> Any:
        found = pd.factorize(where)
        array[:] = "AA"
        return found

    assert shared(array, meanwhile) is None


def test_an_array_that_lies_across_words_or_has_two_dimensions_is_not_looked_at() -> None:
    across = np.zeros(100, dtype=[("flag", "u1"), ("text", object)])["text"]
    assert not across.flags.aligned
    assert shared(across, pd.factorize) is None
    assert shared(objects(["UA"] * 100).reshape(10, 10), pd.factorize) is None


def test_addresses_are_not_written_and_keep_the_array() -> None:
    where: Any = addresses(objects([f"{row}" for row in range(3)]))
    assert not where.flags.writeable
    assert where.base.array.tolist() == ["0", "1", "2"]


@given(values=st.lists(st.sampled_from(["UA", None, float("nan"), 7.0, True, 3])))
def test_a_list_with_nan_is_what_its_values_are(values: Any) -> None:
    expected = list(map(columns.text, values))
    assert [*column_of("categorical", values).values] == expected
    assert [*column_of("categorical", objects(values)).values] == expected


@pytest.mark.parametrize("kind", ["numeric", "boolean"])
@given(values=st.lists(st.sampled_from([1, 2.5, None, float("nan"), True, "x", 10**400, pd.NA, False])))
def test_objects_of_a_frame_are_numbers_as_those_of_a_list_are(kind: Any, values: Any) -> None:
    found = column_of(kind, pd.Series(objects(values), dtype=object))
    expected = column_of(kind, [None if value is pd.NA else value for value in values])
    np.testing.assert_array_equal(found.values, expected.values)
    assert dict(found.invalid) == dict(expected.invalid)
