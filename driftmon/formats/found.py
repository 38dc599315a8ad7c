"""Found: what was read so far: the values of rows by field, rejections, and the number of the line at hand.

Law: a row is a struct or the map that stands in for it; where a map is, the values are those of an empty struct.
Structs become values a few hundred at a time, while they are in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final

from driftmon.formats.gathered import Gathered
from driftmon.formats.records import Record
from driftmon.formats.rejections import RecordError, Rejections
from driftmon.formats.rows import Rows
from driftmon.formats.structs import Values
from driftmon.stats.columns import Column

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
        self._structs: list[Any] = []
        dense = self.reader.dense
        self.gathered = None if dense is None else Gathered(dense)  # while there is nothing else
        self._values = self.reader.no_values() if self.gathered is None else {}
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
        self._pour()
        self.reader.extend(self._values, self._structs)
        self._structs = []
        return self._values

    def columns(self) -> Mapping[str, Column]:
        """Of the rows kept, and given away."""
        if self.gathered is not None and (together := self.reader.together(self.gathered)) is not None:
            return together
        return self.reader.columns(self.values, self.maps)

    def some(self, rows: Sequence[int]) -> tuple[Values, dict[int, Record]]:
        """Values and maps of these among the rows kept."""
        values = {path: [column[row] for row in rows] for path, column in self.values.items()}
        return values, {at: self.maps[row] for at, row in enumerate(rows) if row in self.maps}

    def add_all(self, structs: Sequence[Any]) -> None:
        """One struct a line from here on."""
        self._add(structs, range(self.line, self.line + len(structs)))
        self.line += len(structs)

    def add_dense(self, structs: Sequence[Any]) -> None:
        """The same, of `gathered.dense`."""
        some = self._kept(structs)
        if some and self.gathered is not None:
            self.gathered.add(some)
        self._note(structs, range(self.line, self.line + len(structs)), some)
        self.line += len(structs)

    def add_sparse(self, rows: Sequence[Record]) -> bool:
        """The same, of `gathered.dense.sparse`; False where they must be read otherwise: if not all are looked at."""
        if self.gathered is None or self._wanted != EVERY:
            return False
        if not self.gathered.add_sparse(rows, self.reader.most_fields):
            return False
        self._note(rows, range(self.line, self.line + len(rows)), rows)
        self.line += len(rows)
        return True

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

    def _kept(self, structs: Sequence[Any]) -> Sequence[Any]:
        if self._wanted == EVERY:
            return structs
        start, step = self._wanted.start - self.rows, self._wanted.step
        return structs[start if start >= 0 else start % step :: step]

    def _note(self, rows: Sequence[Any], lines: Sequence[int], some: Sequence[Any]) -> None:
        self.rows += len(rows)
        self.kept += len(some)
        self._lines.append(lines)

    def _pour(self) -> None:
        """Go on without the array."""
        if self.gathered is not None:
            self._values = self.gathered.values()
            self.gathered = None

    def _add(self, structs: Sequence[Any], lines: Sequence[int]) -> None:
        self._pour()
        some = self._kept(structs)
        self._note(structs, lines, some)
        self._structs += some
        if len(self._structs) >= STRUCTS:
            self.reader.extend(self._values, self._structs)
            self._structs = []

    def reject(self, why: RecordError) -> None:
        self.rejections.add(self.line, why)
