"""Found: what was read so far: the values of rows by field, rejections, and the number of the line at hand.

Law: a row is a struct or the map that stands in for it; where a map is, the values are those of an empty struct.
Structs become values a few hundred at a time, while they are in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from driftmon.formats.records import Record
from driftmon.formats.rejections import RecordError, Rejections
from driftmon.formats.rows import Rows
from driftmon.formats.structs import Values

MAP_ROWS: Final = 7
STRUCTS: Final = 256  # at hand at most, about
EVERY: Final = slice(0, None, 1)


class Found:
    """Of one block or a part of it. Values are kept of the rows in `wanted` alone: a slice with start and step."""

    def __init__(self, line: int, reader: Rows, wanted: slice = EVERY) -> None:
        self.line = line
        self.reader = reader
        self._wanted = wanted
        self.forget()

    def forget(self) -> None:
        """What a batch was made of."""
        self.rows = 0
        self.kept = 0  # of the rows, those whose values are
        self.maps: dict[int, Record] = {}  # by place among these
        self.rejections = Rejections()
        self._values = self.reader.no_values()
        self._structs: list[Any] = []
        self._lines: list[Sequence[int]] = []

    @property
    def size(self) -> int:
        """Of the rows; one that does not fit the struct takes as long as some others."""
        return self.rows + MAP_ROWS * len(self.maps)

    @property
    def lines(self) -> list[int]:
        """Of each row."""
        return list(chain.from_iterable(self._lines))

    @property
    def values(self) -> Values:
        """Of each row that is kept."""
        self.reader.extend(self._values, self._structs)
        self._structs = []
        return self._values

    def some(self, rows: Sequence[int]) -> tuple[Values, dict[int, Record]]:
        """Values and maps of these among the rows kept."""
        values = {path: [column[row] for row in rows] for path, column in self.values.items()}
        return values, {at: self.maps[row] for at, row in enumerate(rows) if row in self.maps}

    def add_all(self, structs: Sequence[Any]) -> None:
        """One struct a line from here on."""
        self._add(structs, range(self.line, self.line + len(structs)))
        self.line += len(structs)

    def take(self, value: Any) -> None:
        """Add a JSON value of this line if it is a record; a line may hold several, in an array."""
        try:
            record = self.reader.record(value)
        except RecordError as why:
            self.reject(why)
            return
        if (struct := self.reader.struct_of(record)) is not None:
            self._add((struct,), (self.line,))
            return
        if (self.rows - self._wanted.start) % self._wanted.step == 0 <= self.rows - self._wanted.start:
            self.maps[self.kept] = record
        self._add((self.reader.empty,), (self.line,))

    def _add(self, structs: Sequence[Any], lines: Sequence[int]) -> None:
        start, step = self._wanted.start - self.rows, self._wanted.step
        some = structs[start if start >= 0 else start % step :: step]
        self.rows += len(structs)
        self.kept += len(some)
        self._lines.append(lines)
        self._structs += some
        if len(self._structs) >= STRUCTS:
            self.reader.extend(self._values, self._structs)
            self._structs = []

    def reject(self, why: RecordError) -> None:
        self.rejections.add(self.line, why)
