"""Every value lands in one of four places: a value, missing, invalid with a reason, absent."""

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

from driftmon import reference_of
from driftmon.stats.columns import ABSENT, INVALID_REASONS, Column, column_of, named_columns

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(ABSENT))
values = st.lists(st.one_of(scalars, st.lists(scalars, max_size=2), st.just({})), max_size=30)


def is_empty(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def missing(column: Column) -> list[int]:
    return [row for row, value in enumerate(column.values) if is_empty(value)]


@pytest.mark.parametrize("kind", ["numeric", "categorical", "boolean"])
@given(rows=values)
def test_a_column_keeps_every_row_in_one_place(kind: str, rows: list[object]) -> None:
    column = column_of(kind, rows)
    assert len(column) == len(rows)
    empty, absent = missing(column), list(column.absent)
    invalid = [row for reason in column.invalid for row in column.invalid[reason]]
    assert set(column.invalid) <= set(INVALID_REASONS)
    assert len(invalid) == len(set(invalid))
    assert not set(invalid) & set(absent)
    assert set(invalid) | set(absent) <= set(empty)
    assert absent == [row for row, value in enumerate(rows) if value is ABSENT]
    for row in set(empty) - set(invalid):
        assert rows[row] is ABSENT or is_empty(rows[row])


@given(rows=st.lists(st.floats(), max_size=30))
def test_an_array_is_typed_as_the_list_of_its_values(rows: list[float]) -> None:
    array = np.array(rows, dtype=np.float64)
    for kind in ("numeric", "boolean"):
        fast, slow = column_of(kind, array), column_of(kind, rows)
        assert np.array_equal(np.asarray(fast.values, float), np.asarray(slow.values, float), equal_nan=True)
        assert fast.invalid == slow.invalid
    assert column_of("categorical", array).values == column_of("categorical", rows).values


def test_typing_an_array_leaves_the_callers_array_alone() -> None:
    array = np.array([0.0, 2.0])
    assert column_of("boolean", array).invalid == {"number": [1]}
    assert array.tolist() == [0.0, 2.0]


@pytest.mark.parametrize(
    ("series", "kind", "wanted"),
    [
        (pd.Series([1.5, None]), "numeric", [1.5, None]),
        (pd.Series([1, None], dtype="Int64"), "numeric", [1.0, None]),
        (pd.Series([True, None], dtype="boolean"), "boolean", [1.0, None]),
        (pd.Series(["a", None], dtype="string"), "categorical", ["a", None]),
        (pd.Series(["a", None], dtype="category"), "categorical", ["a", None]),
        (pd.Series(["a", None], dtype="object"), "categorical", ["a", None]),
    ],
    ids=lambda part: str(part.dtype) if isinstance(part, pd.Series) else None,
)
def test_pandas_own_na_is_missing_not_invalid(series: pd.Series, kind: str, wanted: list[object]) -> None:
    column = column_of(kind, series)
    assert not column.invalid
    assert [None if is_empty(value) else value for value in column.values] == wanted


def test_a_table_is_not_a_column() -> None:
    with pytest.raises(ValueError, match="a column has one dimension, this one has 2: pass one value per row"):
        column_of("numeric", np.zeros((2, 2)))


@pytest.mark.parametrize("table", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "arrow"])
def test_a_table_of_any_library_is_the_mapping_of_its_columns(table: Any) -> None:
    columns = {"x": [1.5, None, 2.5] * 20, "n": [1, 2, None] * 20, "c": ["UA", "AA", None] * 20}
    assert reference_of(table(columns)).counts.tolist() == reference_of(columns).counts.tolist()


@pytest.mark.parametrize(
    "table",
    [pd.DataFrame([[1, 2]], columns=["x", "x"]), pa.table([[1], [2]], names=["x", "x"]), {1: [1], "1": [2]}],
    ids=["pandas", "arrow", "mapping"],
)
def test_of_two_columns_of_one_name_neither_is_lost_silently(table: Any) -> None:
    with pytest.raises(ValueError, match=r"two columns are named '[x1]': rename one"):
        named_columns(table)


def test_rows_are_no_columns() -> None:
    with pytest.raises(TypeError, match="columns by name are needed, not a list: pass a mapping or a DataFrame"):
        reference_of([{"x": 1}, {"x": 2}])
