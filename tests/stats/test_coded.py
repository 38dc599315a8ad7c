"""A column of texts by number is the list of its texts, whichever library has it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.stats import coded as coded_module
from driftmon.stats.binnings.categorical import Binning
from driftmon.stats.coded import Coded, encoded
from driftmon.stats.columns import Column, column_of
from driftmon.stats.edges import vocabulary

texts: Any = st.lists(st.one_of(st.none(), st.sampled_from(["UA", "AA", "", "é", "missing"])), max_size=30)


def coded(values: list[str | None]) -> Any:
    known = [*dict.fromkeys(value for value in values if value is not None), "never", "UA"]
    return Coded(np.array([-1 if value is None else known.index(value) for value in values], np.int64), known)


MADE: dict[str, Any] = {
    "coded": lambda values: Column(coded(values)),
    "arrow": lambda values: column_of("categorical", pa.array(values, pa.string())),
    "arrow chunks": lambda values: column_of(
        "categorical",
        pa.chunked_array([pa.array(values[:3], pa.large_string()), pa.array(values[3:], pa.large_string())]),
    ),
    "arrow dictionaries": lambda values: column_of(
        "categorical",
        pa.chunked_array([pa.array(part, pa.string()).dictionary_encode() for part in (values[:3], values[3:])]),
    ),
    "pandas objects": lambda values: column_of("categorical", pd.Series(values, dtype=object)),
    "pandas strings": lambda values: column_of("categorical", pd.Series(values, dtype="str")),
    "polars strings": lambda values: column_of("categorical", pl.Series(values, dtype=pl.String)),
    "polars categories": lambda values: column_of("categorical", pl.Series(values, dtype=pl.Categorical)),
    "pandas categories": lambda values: column_of("categorical", pd.Series(pd.Categorical(values))),
}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
@given(values=texts)
def test_it_is_the_list_of_its_texts(made: Any, values: list[str | None]) -> None:
    column, binning = made(values).values, Binning(("AA", "é", "x"))
    assert [*column] == values
    assert [column[row] for row in range(len(values))] == values
    assert [*column[1:7:2]] == values[1:7:2]
    assert binning.codes(column).tolist() == binning.codes(values).tolist()
    assert binning.counts(column).tolist() == binning.counts(values).tolist()
    assert vocabulary(column, 3) == vocabulary(values, 3)


@pytest.mark.parametrize("values", [["a", 1, True, 1.0, None], [1, 2], [{}, "a"], [b"a"], [math.nan, "a", 7.5]])
def test_mixed_objects_are_read_one_by_one(values: list[Any]) -> None:
    found, plain = column_of("categorical", pd.Series(values, dtype=object)), column_of("categorical", values)
    assert ([*found.values], found.invalid) == ([*plain.values], plain.invalid)


def test_categories_that_are_no_texts_are_read_as_their_values() -> None:
    found = column_of("categorical", pd.Series(pd.Categorical([1, 2.5, 1, None])))
    assert [*found.values] == ["1.0", "2.5", "1.0", None]


@pytest.mark.parametrize("values", [np.array(["a"]), ["a"], pa.array([1]), pd.Series([1.0]), pa.array([["a"]])])
def test_what_is_no_column_of_texts_is_not_encoded(values: Any) -> None:
    assert encoded(values) is None


@pytest.mark.parametrize("kind", [pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.int8()])
def test_a_dictionary_by_any_kind_of_number_has_nulls(kind: Any) -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], kind), pa.array(["a", "b"]))
    assert [*column_of("categorical", column).values] == ["a", "b", None]


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_narrow_numbers_are_counted_to_the_last(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """127 is the largest of its kind; rows are counted a few at a time."""
    monkeypatch.setattr(coded_module, "PIECE", 100)
    column = Coded(np.array([127, -1, 0] * rows, dtype=np.int8), [str(at) for at in range(128)])
    assert column.times().tolist() == [rows] + [0] * 126 + [rows, rows]


def test_a_null_in_one_of_several_dictionaries_is_no_text() -> None:
    parts = [pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(texts)) for texts in (["a", None], ["b", "a"])]
    assert [*column_of("categorical", pa.chunked_array(parts)).values] == ["a", None, "b", "a"]
