"""Column: one feature's values in row order, typed once, so that everything after it is arrays.

Law: every value lands in exactly one of four places: a value, missing (NaN or None), invalid with
a reason, or absent (the record had no such key). The rules are the same for JSON, CSV and arrays.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.coded import Coded, encoded

Floats: TypeAlias = NDArray[np.float64]

TEXT: Final = "text"  # text where a number or a boolean belongs
BOOLEAN: Final = "boolean"  # true or false where a number belongs
NESTED: Final = "nested"  # a list or a map where one value belongs
NUMBER: Final = "number"  # a number other than 0 and 1 where a boolean belongs
INVALID_REASONS: Final = (TEXT, BOOLEAN, NESTED, NUMBER)

ABSENT: Final = object()  # the record has no such key; None and NaN mean "present and empty"


@dataclass(frozen=True, slots=True)
class Column:
    """One feature of a block of rows: `values` is float64[rows] (NaN = missing) or list[str | None].

    `invalid` maps a reason to the rows whose value could not be read; `absent` lists the rows that
    lack the key. Both are row numbers, usually empty; the value at such a row is NaN or None.
    `tallies` int64[binning.tallies, rows] is what adds beside the counts of the rows, if anything does.
    Rows of `uncounted` say nothing of the feature: they are not even missing.
    """

    values: Floats | list[str | None]
    invalid: Mapping[str, Sequence[int]] = field(default_factory=dict)
    absent: Sequence[int] = ()
    tallies: NDArray[np.int64] | None = None
    uncounted: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def marked(self) -> bool:
        """Whether some row is no value."""
        return bool(self.invalid) or len(self.absent) > 0 or len(self.uncounted) > 0


def number(value: object) -> float | str:
    """A JSON value as float64, or the reason why it is none. Huge integers become +-inf.

    >>> number(3), number(None), number("3"), number(True), number([3])
    (3.0, nan, 'text', 'boolean', 'nested')
    >>> number(-10**400)
    -inf
    """
    if value is None or value is ABSENT:
        return math.nan
    if isinstance(value, (bool, np.bool_)):
        return BOOLEAN
    if isinstance(value, (int, float, np.integer, np.floating)):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return TEXT if isinstance(value, str) else NESTED


def boolean(value: object) -> float | str:
    """A JSON value as 0.0 or 1.0: true, false, and the numbers 0 and 1 that stand for them.

    >>> boolean(True), boolean(0), boolean(2), boolean("yes")
    (1.0, 0.0, 'number', 'text')
    """
    if isinstance(value, (bool, np.bool_)):
        return float(value)
    read = number(value)
    return read if isinstance(read, str) or read in (0.0, 1.0) or math.isnan(read) else NUMBER


def text(value: object) -> str | tuple[str] | None:
    """A JSON value as the text of a category; a number or boolean is its JSON text; (reason,) if none.

    >>> text("UA"), text(7), text(7.0), text(True), text(float("nan")), text({})
    ('UA', '7', '7.0', 'true', None, ('nested',))
    """
    if isinstance(value, str):
        return value
    if value is None or value is ABSENT:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and math.isnan(value):
        return None
    return json.dumps(value) if isinstance(value, (bool, int, float)) else (NESTED,)


def column_of(kind: str, values: Any) -> Column:
    """Type a sequence of JSON values, a numpy array, an Arrow array or a DataFrame column. Kind "any" stays raw.

    >>> column_of("numeric", [1, None, "x", True]).invalid
    {'text': [2], 'boolean': [3]}
    >>> column_of("categorical", ["a", None, 3]).values
    ['a', None, '3']
    """
    if kind != "any":
        listed = values if isinstance(values, list) else _objects(kind, values)
        column = None if listed is None else _plain(kind, listed)
        if column is None and listed is not values:
            column = _encoded(kind, values)
        if column is not None:
            return column
    array = values if isinstance(values, np.ndarray) else as_array(values)
    if kind == "any":
        return _raw(values if array is None else array)
    if array is not None:
        if array.ndim != 1:
            raise ValueError(f"a column has one dimension, this one has {array.ndim}: pass one value per row")
        if kind != "categorical" and array.dtype.kind in ("iuf" if kind == "numeric" else "iufb"):
            return _numbers(array.astype(np.float64, copy=False), kind)
        values = array.tolist() if array.dtype.kind in "iufbU" else list(array)
    return _texts(values) if kind == "categorical" else _scalars(values, boolean if kind == "boolean" else number)


PLAIN: Final[Mapping[str, set[type]]] = {
    "numeric": {float, int, type(None), type(ABSENT)},
    "boolean": {bool, type(None), type(ABSENT)},
    "categorical": {str, type(None), type(ABSENT)},
}
TEXTS_OR_NAN: Final = {*PLAIN["categorical"], float}
LONG: Final = 4096  # texts of a DataFrame that are worth to be numbered


def _objects(kind: str, values: Any) -> list[Any] | None:
    """The objects of an array or a DataFrame column; None where it has no objects, or long texts to be numbered."""
    dtype = getattr(values, "dtype", None)
    if not isinstance(dtype, np.dtype) or dtype.kind != "O" or values.ndim != 1:
        return None
    if kind == "categorical" and len(values) >= LONG and not isinstance(values, np.ndarray):
        return None
    found: list[Any] = np.asarray(values).tolist()
    return found


def _plain(kind: str, values: list[Any]) -> Column | None:
    """A list in which each value is what its kind asks for, if it is one: no step of Python's own per value."""
    types = set(map(type, values))
    if kind == "categorical" and float in types:  # NaN is how pandas has a text that is missing
        if not types <= TEXTS_OR_NAN:
            return None
        values = [None if isinstance(value, float) and math.isnan(value) else value for value in values]
        types = set(map(type, values))
    if not types <= PLAIN[kind]:
        return None
    absent: list[int] = []
    if type(ABSENT) in types:
        absent = [row for row, value in enumerate(values) if value is ABSENT]
        values = [None if value is ABSENT else value for value in values]
    if kind == "categorical":
        return Column(list(values), absent=absent)
    try:
        return Column(np.array(values, dtype=np.float64), absent=absent)
    except OverflowError:  # an integer beyond float64
        return None


def _encoded(kind: str, values: Any) -> Column | None:
    """A column of texts whose container has them by number, or numbers with gaps; None: it is something else."""
    if kind != "categorical":
        return None
    if (found := encoded(values)) is None:
        return None
    codes, distinct = found
    texts = [text(value) for value in distinct]
    readable = [None if isinstance(one, tuple) else one for one in texts]
    column: Any = Coded(codes, readable)  # read as the list that it stands for
    if not (unreadable := [at for at, one in enumerate(texts) if isinstance(one, tuple)]):
        return Column(column)
    invalid = np.flatnonzero(np.isin(codes, unreadable)).tolist()
    return Column(column, {NESTED: invalid} if invalid else {})


def named_columns(table: Any) -> dict[str, Any]:
    """The columns of a mapping, a pandas or polars DataFrame or an Arrow table by name; ValueError where two have one.

    >>> named_columns({"x": [1, 2]})
    {'x': [1, 2]}
    """
    if hasattr(table, "column_names"):  # Arrow
        columns = [*zip(table.column_names, table.columns, strict=True)]
    elif hasattr(table, "iter_columns"):  # polars
        columns = [(column.name, column) for column in table.iter_columns()]
    elif hasattr(table, "items"):
        columns = [*table.items()]
    else:
        raise TypeError(f"columns by name are needed, not a {type(table).__name__}: pass a mapping or a DataFrame")
    named = {str(name): column for name, column in columns}
    if len(named) < len(columns):
        names = [str(name) for name, _ in columns]
        raise ValueError(f"two columns are named {next(one for one in names if names.count(one) > 1)!r}: rename one")
    return named


def as_array(values: Any) -> NDArray[Any] | None:
    """The numpy array behind a pandas, polars or Arrow column; None for lists and other iterables."""
    to_numpy = getattr(values, "to_numpy", None)
    if to_numpy is None:
        return None
    array = to_numpy(zero_copy_only=False) if hasattr(values, "null_count") and hasattr(values, "type") else to_numpy()
    found = np.asarray(array)
    if found.dtype == object and hasattr(values, "isna"):  # pandas' own NA is neither None nor NaN
        found = found.copy()
        found[np.asarray(values.isna())] = None
    return found


def _numbers(array: Floats, kind: str) -> Column:
    if kind == "boolean":
        wrong = np.flatnonzero(~np.isnan(array) & (array != 0.0) & (array != 1.0))
        if len(wrong):
            array = array.copy()
            array[wrong] = math.nan
            return Column(array, {NUMBER: wrong.tolist()})
    return Column(array)


def _scalars(values: Iterable[object], read: Any) -> Column:
    floats: list[float] = []
    invalid: dict[str, list[int]] = {}
    absent: list[int] = []
    for row, value in enumerate(values):
        found = read(value)
        if isinstance(found, str):
            invalid.setdefault(found, []).append(row)
            found = math.nan
        elif value is ABSENT:
            absent.append(row)
        floats.append(found)
    return Column(np.array(floats, dtype=np.float64), invalid, absent)


def _raw(values: Iterable[Any]) -> Column:
    """Lists and maps as they are; NaN is None."""
    found, absent = [], []
    for row, value in enumerate(values):
        if value is ABSENT:
            absent.append(row)
        found.append(None if value is ABSENT or (isinstance(value, float) and math.isnan(value)) else value)
    return Column(found, absent=absent)


def _texts(values: Iterable[object]) -> Column:
    texts: list[str | None] = []
    invalid: list[int] = []
    absent: list[int] = []
    for row, value in enumerate(values):
        found = text(value)
        if isinstance(found, tuple):
            invalid.append(row)
            found = None
        elif value is ABSENT:
            absent.append(row)
        texts.append(found)
    return Column(texts, {NESTED: invalid} if invalid else {}, absent)
