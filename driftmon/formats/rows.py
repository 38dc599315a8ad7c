"""Rows: the records of a layout, decoded, and columns out of many of them.

Law: a struct and the map it was decoded from give the same columns. A map stands in for a record that does not
fit the struct.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import UNSET

from driftmon.formats import records
from driftmon.formats.dense import KINDS, NUMBERS, Dense, floats
from driftmon.formats.gathered import Gathered
from driftmon.formats.layout import Bounds, Layout, Reading, path_of
from driftmon.formats.records import Record
from driftmon.formats.rejections import TOO_LONG, RecordError
from driftmon.formats.structs import MISFIT, Path, Shape, Values, Wants, in_order_of, is_plain, wanted
from driftmon.monitor.scoring import Part
from driftmon.stats.columns import ABSENT, Column, column_of
from driftmon.stats.matrix import Together

PLAIN_TEXTS: Final = {str, type(None)}
PLAIN_NUMBERS: Final = {float, type(None)}  # not int: it may be larger than any float64

SHORT: Final = 256  # rows; a column of more is faster alone


class Rows:
    """Decoders of one layout's struct, of one and of many, and the columns and times of rows. `maps`: by row."""

    def __init__(self, layout: Layout, bounds: Bounds, wants: Wants | None = None) -> None:
        self._layout, self._bounds = layout, bounds
        wants = wanted(layout) if wants is None else wants
        listed = [reading.keys for reading in layout.readings if isinstance(reading, Part)]
        self._read = len(wants) + sum(listed) - len(listed)  # a map of probabilities has a key for each class
        self.texts = [path for path, want in wants.items() if any(kind == "categorical" for kind, _ in want)]
        self.most_fields = bounds.fields + self._read
        self.plain = all(
            is_plain(key) for path in wants for key in path
        )  # else no record may be decoded into the struct
        self._wants = wants
        self._words: Mapping[Path, Sequence[str]] = {}
        self._shape = Shape(wants, bounds.text_length)
        self.empty = self._shape.struct()
        self.one: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self._shape.struct)
        self.many: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[self._shape.struct])  # type: ignore[name-defined]
        self._alone = {path for path, want in wants.items() if len(want) == 1}  # the struct has its very type
        numeric = [reading for reading in layout.readings if reading.kind == "numeric"]
        self._numbers = [(one.name, path_of(one)) for one in numeric if path_of(one) in self._alone]

    def ordered_as(self, record: Record) -> Rows:
        """The same, with the struct's fields as this record has its keys."""
        ordered = in_order_of(record, self._wants)
        return self if list(ordered) == list(self._wants) else Rows(self._layout, self._bounds, ordered)

    @cached_property
    def dense(self) -> Dense | None:
        """None where a record is more than plain values, each read once, or columns are made of several of them."""
        layout, wants = self._layout, self._wants
        simple = all(len(path) == len(want) == 1 and min(want)[0] in KINDS for path, want in wants.items())
        shared = len({path_of(one) for one in layout.readings}) < len(layout.readings)  # a place is of one column
        if not self.plain or not simple or shared or len(layout.readings) > len(layout.features):
            return None
        return Dense(layout.readings, wants, self._bounds.text_length, self._words)

    def learn(self, words: Mapping[Path, Sequence[str]]) -> None:
        """From the next block on."""
        self._words = words
        self.__dict__.pop("dense", None)

    def together(self, gathered: Gathered) -> Together | None:
        """The columns of records of plain values; None: a flag among them is none."""
        return gathered.together({one.name: _typed(one, gathered.lists[path_of(one)]) for one in gathered.dense.beside})

    def record(self, value: Any) -> Record:
        """A JSON value as a record that stands in for a struct; RecordError where it is none, or out of bounds."""
        found = records.record(value, self._bounds, self._read)
        for path in self.texts:
            text = follow(found, path)
            if isinstance(text, str) and len(text) > self._bounds.text_length:
                name, most = records.shown(".".join(path)), self._bounds.text_length
                raise RecordError(TOO_LONG, f"the text of {name} has {len(text):,} characters, more than {most:,}")
        return found

    def struct_of(self, record: Record) -> Any:
        """The record as a struct, where only its spelling did not fit, as that of NaN; else None."""
        try:
            return msgspec.convert(record, self._shape.struct) if self.plain else None
        except MISFIT:
            return None

    def no_values(self) -> Values:
        """Of no rows."""
        return {path: [] for path in self._wants}

    def extend(self, values: Values, structs: Sequence[Any]) -> None:
        """Add the values of these."""
        self._shape.extend(values, structs)

    def times(self, values: Values, maps: Mapping[int, Record]) -> list[Any]:
        """The raw event time of each row; None where there is none. The layout has a time."""
        path = next(iter(self._layout.paths()))
        given = values[path].copy()
        for at, record in maps.items():
            given[at] = follow(record, path)
        return given if path in self._alone and not maps else [_present(value) for value in given]

    def columns(self, values: Values, maps: Mapping[int, Record]) -> dict[str, Column]:
        """One column per feature, in the order of the rows; they take the values over."""
        columns, at, known = {}, list(maps), self._together(values)
        for reading in self._layout.readings:
            path = path_of(reading)
            if (column := known.get(reading.name)) is None:
                column = (_typed if path in self._alone else _column)(reading, values[path])
            if maps:
                column = _mended(column, at, _column(reading, [follow(record, path) for record in maps.values()]))
            columns[reading.name] = column
        return self._layout.columns(columns)

    def _together(self, values: Values) -> dict[str, Column]:
        """The columns of numbers of a short block, all in one step, if nothing among them is anything else.

        A step of numpy's takes as long as a hundred values: of one record with 1,000 numbers that was all the time.
        """
        if not self._numbers or len(values[self._numbers[0][1]]) >= SHORT:
            return {}
        try:
            found = floats([*chain.from_iterable(values[path] for _, path in self._numbers)])
        except TypeError:  # a key that is not there, where that is no null
            return {}
        rows = found.reshape(len(self._numbers), -1)
        return {name: Column(row) for (name, _), row in zip(self._numbers, rows, strict=True)}


def follow(record: Any, path: Path) -> Any:
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
    if reading.kind == "categorical" and _only_texts(values):
        return Column(values.copy())
    if reading.kind in NUMBERS and set(map(type, values)) <= PLAIN_NUMBERS:
        return column_of(reading.kind, np.array(values, np.float64))
    absent = ABSENT if reading.absent == "skip" else None
    return column_of(reading.kind, [absent if value is UNSET or value is ABSENT else value for value in values])


def _typed(reading: Reading, values: list[Any]) -> Column:
    """The same of a field of the struct that nobody else reads: where a number belongs there is none but floats.

    None becomes NaN by itself, true is 1; what is not there is no number, and ends the fast way.
    """
    if reading.kind not in NUMBERS:
        return Column(values) if reading.kind == "categorical" and _only_texts(values) else _column(reading, values)
    try:
        absent: Sequence[int] = ()
        found = floats(values)
    except TypeError:
        absent = [row for row, value in enumerate(values) if value is UNSET]
        found = floats([None if value is UNSET else value for value in values])
    if reading.kind == "numeric":
        return Column(found, {}, absent)
    flags = column_of(reading.kind, found)
    return Column(flags.values, flags.invalid, absent)


def _only_texts(values: Sequence[Any]) -> bool:
    """Texts and nulls alone. Joining them ends at the first other value, and takes a fifth of looking at types."""
    try:
        "".join(values)
    except TypeError:
        return set(map(type, values)) <= PLAIN_TEXTS
    return True


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
