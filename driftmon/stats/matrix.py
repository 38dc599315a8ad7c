"""Matrix: the columns of a block of rows as one array of numbers, where every value is what its feature asks for.

Law: it reads as the columns that it stands for. A column of its own for each of 1,000 features takes longer than
everything else that is done with a row, so they are made for those alone who ask.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.columns import Column, Floats

_ABSENT_BITS: Final = 0x7FF8_0000_0000_0A85
ABSENT_NUMBER: Final[float] = struct.unpack("=d", struct.pack("=q", _ABSENT_BITS))[0]  # a NaN that no record can hold


@dataclass(frozen=True, eq=False)
class Fields:
    """What the columns of a matrix are: the `place` of each, by name.

    `words` of a column of texts: those that stand for 0, 1, 2 ... in it; a column without is one of numbers.
    `flags` are columns of 0 and 1 alone. `marked` ones hold ABSENT_NUMBER where a record has no such key.
    """

    place: Mapping[str, int]
    words: Mapping[int, Sequence[str]] = field(default_factory=dict)
    flags: frozenset[int] = frozenset()
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True, eq=False)
class Matrix(Mapping[str, Column]):
    """`numbers` float64[rows, places], NaN where a value is missing. In a column of texts, -1, -2, ... are `others`.

    `beside` are columns that are none of numbers. What a matrix gives is its own, and may be changed.

    >>> fields = Fields({"x": 0, "c": 1}, {1: ["UA", "AA"]})
    >>> matrix = Matrix(fields, np.array([[0.5, 1.0], [np.nan, -1.0], [2.0, np.nan]]), {1: ["ZZ"]})
    >>> matrix["x"].values.tolist(), matrix["c"].values
    ([0.5, nan, 2.0], ['AA', 'ZZ', None])
    """

    fields: Fields
    numbers: Floats
    others: Mapping[int, Sequence[str]] = field(default_factory=dict)
    beside: Mapping[str, Column] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Column:
        place = self.fields.place.get(name)
        return self.beside[name] if place is None else self.at(place)

    def at(self, place: int) -> Column:
        """The column of a place."""
        values = self.numbers[:, place].copy()
        absent: Sequence[int] = ()
        if place in self.fields.marked:
            absent = absences(values).nonzero()[0].tolist()
            values[absent] = np.nan
        if place in self.fields.words:
            texts = [*self.fields.words[place], *reversed(self.others.get(place, ())), None]
            at = np.where(np.isnan(values), -1.0, values - (values < 0))  # others end where None begins
            return Column([*map(texts.__getitem__, at.astype(np.int64).tolist())], {}, absent)
        return Column(values, {}, absent)

    def __iter__(self) -> Iterator[str]:
        yield from self.fields.place
        yield from self.beside

    def __len__(self) -> int:
        return len(self.fields.place) + len(self.beside)

    def absent(self, place: Sequence[int]) -> NDArray[np.int64]:
        """int64[places]: of how many rows each of these keys is absent."""
        return np.asarray(absences(self.numbers[:, place]).sum(axis=0))


@dataclass(frozen=True, eq=False)
class Pivot(Mapping[str, Column]):
    """The same of `rows` that have few of the keys: their numbers alone, each with its row and its place.

    >>> pivot = Pivot(Fields({"x": 0, "y": 1}), 2, np.array([0, 1]), np.array([1, 1]), np.array([0.5, np.nan]))
    >>> pivot["y"].values.tolist(), pivot["x"].values.tolist(), pivot.absent([0, 1]).tolist()
    ([0.5, nan], [nan, nan], [2, 0])
    """

    fields: Fields
    rows: int
    row: NDArray[np.int64]
    place: NDArray[np.int64]
    numbers: Floats
    beside: Mapping[str, Column] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Column:
        return self.matrix[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.matrix)

    def __len__(self) -> int:
        return len(self.fields.place) + len(self.beside)

    @cached_property
    def matrix(self) -> Matrix:
        """With a number for each key and row."""
        return Matrix(self.fields, spread(self.fields, self.rows, self.row, self.place, self.numbers), {}, self.beside)

    @cached_property
    def times(self) -> NDArray[np.int64]:
        """int64[places]: of how many rows each key is there."""
        return np.bincount(self.place, minlength=len(self.fields.place))

    def absent(self, place: Sequence[int]) -> NDArray[np.int64]:
        """int64[places]: of how many rows each of these keys is absent."""
        return np.asarray(self.rows - self.times[list(place)])


Together: TypeAlias = Matrix | Pivot


def spread(fields: Fields, rows: int, row: NDArray[np.int64], place: NDArray[np.int64], numbers: Floats) -> Floats:
    """float64[rows, places] of numbers given by row and place."""
    found = np.full((rows, len(fields.place)), np.nan)
    found[:, list(fields.marked)] = ABSENT_NUMBER
    found[row, place] = numbers
    return found


def absences(values: Floats) -> NDArray[np.bool_]:
    """Where a record has no such key."""
    return np.asarray(np.ascontiguousarray(values).view(np.int64) == _ABSENT_BITS)
