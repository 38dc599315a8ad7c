"""CSV in: a header, then records; separated by comma, semicolon or tab, sniffed.

Law: a record has as many cells as the header, else it is one rejection and costs no other record. A record that
repeats the header is none: files may be joined, and a rotated log starts anew.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import Final

from driftmon.formats import cells, times
from driftmon.formats.csv_records import Cells, clean, tolerant
from driftmon.formats.layout import Bounds, Layout, Reading
from driftmon.formats.rejections import MALFORMED, TOO_LONG, RecordError, Rejections
from driftmon.monitor.batch import Batch
from driftmon.stats.columns import Column

SEPARATORS: Final = (",", ";", "\t")
BYTE_ORDER_MARK: Final = "\ufeff"


class Decoder:
    """Bytes -> Batch for one layout. The header of the first block holds for all; of equal names the first counts.

    A column is found by the feature's `field`, or else its name. Columns the layout does not name are not read;
    one that is not there is absent from every row, but where none is there every record is rejected.

    >>> from types import SimpleNamespace as Spec
    >>> decoder = Decoder(Layout([Spec(name="delay", kind="numeric", field=None, absent="missing")]))
    >>> decoder.decode(b"carrier;delay\\nUA;3\\n").columns["delay"].values, decoder.decode(b"AA;\\n").rows
    (array([3.]), 1)
    """

    def __init__(self, layout: Layout, bounds: Bounds | None = None) -> None:
        self._layout = layout
        self._bounds = bounds or Bounds()
        self._line_bytes = self._bounds.line_bytes
        self._header: Cells = []
        self._separator = ""
        self._places: dict[str, int] = {}  # of each name in a row
        self._texts: list[str] = []  # the categories among them
        self._longest = 0  # line of the data at hand

    def decode(self, data: bytes, first_line: int = 1) -> Batch:
        """The rows of whole records; `first_line` is the number of data's first line in the sender's body or file."""
        rows: list[Cells] = []
        lines: list[int] = []
        rejections = Rejections()
        for index, record in self._records(data):
            if isinstance(record, RecordError):
                rejections.add(first_line + index, record)
            elif (why := self._too_long(record)) is not None:
                rejections.add(first_line + index, why)
            elif not self._repeats_header(record):
                rows.append(record)
                lines.append(first_line + index)
        return self._batch(rows, lines, rejections)

    def _records(self, data: bytes) -> Iterable[tuple[int, Cells | RecordError]]:
        """Each record with the index of its first line, the fast way if there is nothing wrong with them."""
        try:
            text, valid = data.decode(), True
        except UnicodeDecodeError:
            text, valid = data.decode(errors="surrogateescape"), False
        lines = text.removesuffix("\n").removeprefix(BYTE_ORDER_MARK).split("\n")
        first = next((line for line in lines if line.strip(" \r")), None)
        if first is None:
            return ()
        if not self._separator:
            self._begin(first)
        self._longest = len(text) if '"' in text else max(map(len, lines))
        width = len(self._header)
        records = clean(lines, self._separator, width, self._line_bytes) if valid else None
        return tolerant(lines, self._separator, width, self._line_bytes) if records is None else enumerate(records)

    def _begin(self, first: str) -> None:
        """Learn separator and header from the first line there ever is."""
        self._separator, self._header = head(first)
        for place, name in enumerate(self._header):
            self._places.setdefault(name, place)
        texts = {_name(reading) for reading in self._layout.readings if reading.kind == "categorical"}
        self._texts = sorted(texts & self._places.keys())

    def _too_long(self, record: Cells) -> RecordError | None:
        """Why a record that has a whole line's worth of text in one category is not taken."""
        most = self._bounds.text_length
        if self._longest > most:
            for name in self._texts:
                if (length := len(record[self._places[name]])) > most:
                    return RecordError(TOO_LONG, f"the text of {name} has {length:,} characters, more than {most:,}")
        return None

    def _repeats_header(self, record: Cells) -> bool:
        return record[0].strip() == self._header[0] and [cell.strip() for cell in record] == self._header

    def _batch(self, rows: list[Cells], lines: list[int], rejections: Rejections) -> Batch:
        time, times_ms = self._layout.time, None
        names = [_name(reading) for reading in self._layout.readings] + ([time.field] if time else [])
        if not any(name in self._places for name in names):
            fault = RecordError(MALFORMED, f"the header names none of {', '.join(names[:5])}: is line 1 the header?")
            for line in lines:
                rejections.add(line, fault)
            rows = []
        if time is not None:
            place = self._places.get(time.field)
            given = [None if place is None else cells.time(time.unit, row[place]) for row in rows]
            rows, times_ms = times.keep(rows, lines, given, time.unit, rejections)
        return Batch(len(rows), self._columns(rows), times_ms, rejections.counts, rejections.errors)

    def _columns(self, rows: list[Cells]) -> dict[str, Column]:
        table = list(zip(*rows, strict=True)) if rows else [()] * len(self._header)
        read = {
            reading.name: cells.column(reading.kind, table[self._places[_name(reading)]])
            for reading in self._layout.readings
            if _name(reading) in self._places
        }
        return self._layout.columns(read)


def head(line: str) -> tuple[str, Cells]:
    """The separator and the names of a header line; of two equal names the first column counts.

    >>> head('"a,b"; c ')
    (';', ['a,b', 'c'])
    """
    separator = max(SEPARATORS, key=lambda separator: len(_cut(line, separator)))
    return separator, [name.strip() for name in _cut(line, separator)]


def _cut(line: str, separator: str) -> Cells:
    """The names in a header; all of it as one name if it is no CSV, which then names no field."""
    try:
        return next(csv.reader([line], delimiter=separator))
    except csv.Error:
        return [line]


def _name(reading: Reading) -> str:
    """The column of a feature: CSV does not nest, so a path is a name with dots."""
    return reading.field or reading.name
