"""Found: rows and rejections so far, and the number of the line at hand.

Law: a row of a line is a struct or the map that stands in for it; `maps` says which are maps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final

from driftmon.formats.records import Record
from driftmon.formats.rejections import RecordError, Rejections
from driftmon.formats.rows import Row

MAP_ROWS: Final = 7


class Found:
    """Of one block or a part of it. `record` makes a map out of a JSON value, or says why it is none."""

    def __init__(self, line: int, record: Callable[[object], Record]) -> None:
        self.line = line
        self._record = record
        self.forget()

    def forget(self) -> None:
        """What a batch was made of."""
        self.rows: list[Row] = []
        self.maps: list[int] = []
        self.rejections = Rejections()
        self._lines: list[Sequence[int]] = []

    @property
    def size(self) -> int:
        """Of the rows; one that does not fit the struct takes as long as some others."""
        return len(self.rows) + MAP_ROWS * len(self.maps)

    @property
    def lines(self) -> list[int]:
        """Of each row."""
        return list(chain.from_iterable(self._lines))

    def add_all(self, rows: Sequence[Row]) -> None:
        """One struct a line from here on."""
        self.rows += rows
        self._lines.append(range(self.line, self.line + len(rows)))
        self.line += len(rows)

    def take(self, value: Any) -> None:
        """Add a JSON value of this line if it is a record; a line may hold several, in an array."""
        try:
            record = self._record(value)
        except RecordError as why:
            self.reject(why)
            return
        self.maps.append(len(self.rows))
        self.rows.append(record)
        self._lines.append((self.line,))

    def reject(self, why: RecordError) -> None:
        self.rejections.add(self.line, why)
