"""Rows: a msgspec struct made for a layout, and columns out of many of them.

Law: a struct and the map it was decoded from give the same columns. The struct holds only the fields of
the layout, so msgspec skips the rest of a record unread; a map stands in for a record that does not fit it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from driftmon.formats import records
from driftmon.formats.layout import Bounds, Layout, Reading, path_of
from driftmon.formats.records import Record
from driftmon.formats.rejections import TOO_LONG, RecordError
from driftmon.monitor.scoring import ANY, Part
from driftmon.stats.columns import ABSENT, Column, Floats, column_of

Row: TypeAlias = msgspec.Struct | Record

TIME_ISO: Final = "iso8601"
TIME_NUMBER: Final = "time"

PLAIN_TEXTS: Final = {str, type(None)}
PLAIN_NUMBERS: Final = {float, type(None)}  # not int: it may be larger than any float64

NUMBERS: Final = {"numeric", "boolean"}  # the kinds that are float64
# What a clean value looks like. A boolean may come as 0 or 1, a category as a number; all else goes the slow way.
TYPES: Final[Mapping[str, Any]] = {
    "numeric": float | None,
    "boolean": bool | float | None,
    TIME_ISO: str | None,
    TIME_NUMBER: int | float | None,
}


class Rows:
    """The struct of one layout (`struct`), and the columns and times of its rows."""

    def __init__(self, layout: Layout, bounds: Bounds) -> None:
        self._layout, self._bounds = layout, bounds
        wanted = _wanted(layout)
        listed = [reading.keys for reading in layout.readings if isinstance(reading, Part)]
        self._read = len(wanted) + sum(listed) - len(listed)  # a map of probabilities has a key for each class
        self._texts = [path for path, wants in wanted.items() if any(kind == "categorical" for kind, _ in wants)]
        self.most_fields = bounds.fields + self._read
        self.plain = all(_plain(key) for path in wanted for key in path)  # else no record may be decoded into `struct`
        self.struct, attributes = _struct(wanted, bounds.text_length)
        self._empty = self.struct()
        self._time = attributes[next(iter(layout.paths()))] if layout.time else ""
        alone = {path for path, wants in wanted.items() if len(wants) == 1}
        matrix = [
            reading
            for reading in layout.readings
            if reading.kind in NUMBERS and reading.absent == "missing" and path_of(reading) in alone
        ]
        self._matrix = {reading.name: at for at, reading in enumerate(matrix)}
        self._numbers = attrgetter(*(attributes[path_of(r)] for r in matrix)) if matrix else None
        self._getters = {r.name: attrgetter(attributes[path_of(r)]) for r in layout.readings}

    def record(self, value: Any) -> Record:
        """A JSON value as a record that stands in for a struct; RecordError where it is none, or out of bounds."""
        found = records.record(value, self._bounds, self._read)
        for path in self._texts:
            text = follow(found, path)
            if isinstance(text, str) and len(text) > self._bounds.text_length:
                name, most = records.shown(".".join(path)), self._bounds.text_length
                raise RecordError(TOO_LONG, f"the text of {name} has {len(text):,} characters, more than {most:,}")
        return found

    def times(self, rows: Sequence[Row]) -> list[Any]:
        """The raw event time of each row; None where there is none. The layout has a time."""
        path = next(iter(self._layout.paths()))
        get = attrgetter(self._time)
        return [_present(follow(row, path) if isinstance(row, dict) else get(row)) for row in rows]

    def columns(self, rows: Sequence[Row]) -> dict[str, Column]:
        """One column per feature, in the order of the rows."""
        maps = [at for at, row in enumerate(rows) if isinstance(row, dict)]
        records: list[Any] = [rows[at] for at in maps]
        structs: list[Any] = list(rows)
        for at in maps:
            structs[at] = self._empty
        matrix = self._as_matrix(structs)
        columns = {}
        for reading in self._layout.readings:
            if reading.name in self._matrix:
                column = column_of(reading.kind, matrix[self._matrix[reading.name]])
            else:
                column = _column(reading, list(map(self._getters[reading.name], structs)))
            if maps:
                path = path_of(reading)
                column = _mended(column, maps, _column(reading, [follow(record, path) for record in records]))
            columns[reading.name] = column
        return self._layout.columns(columns)

    def _as_matrix(self, structs: Sequence[Any]) -> Floats:
        """float64[features, rows] of the plain numbers; None becomes NaN by itself.

        One flat iterator over all of them: 1.5 to 2 times faster than an array of tuples.
        """
        if self._numbers is None:
            return np.empty((0, len(structs)))
        width = len(self._matrix)
        found = map(self._numbers, structs)
        flat: Iterable[Any] = chain.from_iterable(found) if width > 1 else found
        return np.ascontiguousarray(np.fromiter(flat, np.float64, width * len(structs)).reshape(-1, width).T)


def follow(record: Any, path: tuple[str, ...]) -> Any:
    """The value at the end of a path; ABSENT where a key is missing or what should be a map is none.

    >>> follow({"meta": {"coupon": "A"}}, ("meta", "coupon")), follow({"meta": 3}, ("meta", "coupon")) is ABSENT
    ('A', True)
    """
    for key in path:
        if not isinstance(record, dict) or key not in record:
            return ABSENT
        record = record[key]
    return record


def _present(value: Any) -> Any:
    return None if value is ABSENT or value is UNSET else value


def _column(reading: Reading, values: list[Any]) -> Column:
    """Raw values of one feature, absent ones marked, as a column; an absent one counts as null unless skipped."""
    types = set(map(type, values))
    if reading.kind == "categorical" and types <= PLAIN_TEXTS:
        return Column(values)
    if reading.kind in NUMBERS and types <= PLAIN_NUMBERS:
        return column_of(reading.kind, np.array(values, np.float64))
    absent = ABSENT if reading.absent == "skip" else None
    return column_of(reading.kind, [absent if value is UNSET or value is ABSENT else value for value in values])


def _mended(column: Column, at: Sequence[int], other: Column) -> Column:
    """The column with other's rows put at the rows `at`."""
    here = set(at)
    for row, value in zip(at, other.values, strict=True):
        column.values[row] = value
    invalid = {reason: list(rows) for reason, rows in column.invalid.items()}
    for reason, rows in other.invalid.items():
        invalid[reason] = sorted([*invalid.get(reason, ()), *(at[row] for row in rows)])
    absent = sorted([*(row for row in column.absent if row not in here), *(at[row] for row in other.absent)])
    return Column(column.values, invalid, absent)


def _wanted(layout: Layout) -> dict[tuple[str, ...], set[tuple[str, str]]]:
    """Each path with the (kind, absent) pairs that read it."""
    wanted: dict[tuple[str, ...], set[tuple[str, str]]] = {}
    paths = layout.paths()
    if layout.time is not None:
        kind = TIME_ISO if layout.time.unit == "iso8601" else TIME_NUMBER
        wanted[next(paths)] = {(kind, "missing")}
    for reading, path in zip(layout.readings, paths, strict=True):
        wanted.setdefault(path, set()).add((reading.kind, reading.absent))
    return wanted


def _struct(
    wanted: Mapping[tuple[str, ...], set[tuple[str, str]]], text_length: int
) -> tuple[type[msgspec.Struct], dict[tuple[str, ...], str]]:
    """The struct for these paths, a struct within for each map, and the attribute that each path became."""
    fields: list[tuple[str, Any, Any]] = []
    attributes: dict[tuple[str, ...], str] = {}
    keys: dict[str, str] = {}
    for key in dict.fromkeys(path[0] for path in wanted):
        attribute = f"f{len(fields)}"
        keys[attribute] = key if _plain(key) else attribute
        if (key,) in wanted:
            fields.append((attribute, *_leaf(frozenset(wanted[(key,)]), text_length)))
            attributes[(key,)] = attribute
            continue
        inner, inside = _struct({path[1:]: wants for path, wants in wanted.items() if path[0] == key}, text_length)
        fields.append((attribute, inner, inner()))
        attributes |= {(key, *path): f"{attribute}.{name}" for path, name in inside.items()}
    # No cycles, so nothing for the garbage collector to track; frozen, so that one empty map can be the default.
    return msgspec.defstruct("Row", fields, gc=False, frozen=True, rename=keys), attributes


def _plain(key: str) -> bool:
    """Whether msgspec takes it as a field's name: it refuses what JSON would have to escape."""
    return key.isprintable() and '"' not in key and "\\" not in key


@lru_cache  # thousands of features are of a few kinds
def _leaf(wants: frozenset[tuple[str, str]], text_length: int) -> tuple[Any, Any]:
    """Type and default of a value; any scalar goes where it is a category or read in several ways."""
    scalar = Annotated[str, msgspec.Meta(max_length=text_length)] | int | float | bool | None
    kinds = {kind for kind, _ in wants}
    kind = Any if ANY in kinds else TYPES.get(next(iter(kinds)), scalar) if len(wants) == 1 else scalar
    return (kind | UnsetType, UNSET) if any(absent == "skip" for _, absent in wants) else (kind, None)
