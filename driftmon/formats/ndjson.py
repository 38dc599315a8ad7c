"""JSON in: one object a line (NDJSON), an array of objects, or one object over several lines; sniffed.

Law: each line counts for itself. A line is one row or one rejection, whatever stands around it, and cutting
the data at newlines changes nothing. Only an array that holds objects is as many records as it has elements.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

import msgspec

from driftmon.formats import records, times
from driftmon.formats.layout import Bounds, Layout
from driftmon.formats.records import Record
from driftmon.formats.rejections import RecordError, Rejections
from driftmon.formats.rows import Row, Rows
from driftmon.monitor.batch import Batch

# What msgspec raises for a record that does not fit: wrong type or not JSON; not UTF-8; nested a thousand deep.
MISFIT: Final = (msgspec.MsgspecError, ValueError, RecursionError)
NOT_OPENERS: Final = bytes(byte for byte in range(256) if byte not in b"{[\n")
NOT_MARKS: Final = bytes(byte for byte in range(256) if byte not in b"{[\n:")
FIELD_BYTES: Final = 5  # "":0, at least
BATCH_ROWS: Final = 16 * 1024  # in a batch of `batches`, about; twice as many in one step
BATCH_CELLS: Final = 512 * 1024  # rows x features, likewise: empty records of a wide stream are 2,700 times their bytes
STEP_ELEMENTS: Final = 4096
STEP_BYTES: Final = 64 * 1024
MAP_ROWS: Final = 7


class Decoder:
    """Bytes -> Batch for one layout, in blocks of at most 256 KiB: more falls out of the processor's cache.

    >>> from types import SimpleNamespace as Spec
    >>> delay = Spec(name="delay", kind="numeric", field=None, absent="missing")
    >>> batch = Decoder(Layout([delay])).decode(b'{"delay": 3}\\n{"delay": \\n{"delay": "late"}\\n')
    >>> batch.rows, batch.columns["delay"].invalid, dict(batch.rejected)
    (2, {'text': [1]}, {'malformed': 1})
    """

    def __init__(self, layout: Layout, bounds: Bounds | None = None) -> None:
        self._layout = layout
        self._bounds = bounds or Bounds()
        self._line_bytes = self._bounds.line_bytes
        self._rows = Rows(layout, self._bounds)
        self._most_rows = max(1, min(BATCH_ROWS, BATCH_CELLS // max(1, len(layout.features))))
        self._crowd = b":" * (self._rows.most_fields + 1)  # in a row without braces: perhaps too many fields
        self._one: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self._rows.struct)
        self._many: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[self._rows.struct])  # type: ignore[name-defined]

    def decode(self, data: bytes, first_line: int = 1) -> Batch:
        """The rows of whole records; `first_line` is the number of data's first line in the sender's body or file.

        An array's size is its caller's to bound: it is read in one piece. Its errors count elements, not lines.
        """
        found = _Found(first_line, self._rows.record)
        for _ in self._steps(data, found):
            pass
        return self._batch(found)

    def batches(self, data: bytes, first_line: int = 1) -> Iterator[Batch | None]:
        """As `decode`, in batches of a few MiB at most; None after each step of about a millisecond.

        >>> from types import SimpleNamespace as Spec
        >>> decoder = Decoder(Layout([Spec(name="x", kind="numeric", field=None, absent="missing")]))
        >>> [batch and batch.rows for batch in decoder.batches(b"{}\\n" * 60_000)]
        [None, 21845, None, 21845, None, 16310]
        """
        found = _Found(first_line, self._rows.record)
        for _ in self._steps(data, found):
            yield None
            if found.size >= self._most_rows:
                yield self._batch(found)
                found.forget()
        yield self._batch(found)

    def _steps(self, data: bytes, found: _Found) -> Iterator[None]:
        """Put all records into `found`; after each step those that are there may be taken out."""
        if (yield from self._array(data, found)) or self._spread_object(data, found):
            return
        for piece in pieces(data, self._line_bytes):
            if len(piece) > self._line_bytes or not self._clean_lines(piece, found):
                yield from self._lines(piece, found)
            yield

    def _array(self, data: bytes, found: _Found) -> Generator[None, None, bool]:
        """The data is one array of records: take them."""
        if data.lstrip()[:1] != b"[":
            return False
        if self._clean_array(data, found):
            return True
        try:
            parts = yield from _parts(data)
        except RecordError:
            return False
        flat = self._flat(data, sum(map(len, parts)))
        step = min(STEP_ELEMENTS, self._most_rows)
        for part in parts:
            for start in range(0, len(part), step):
                self._elements(part[start : start + step], flat, found)
                yield
            part.clear()
        return True

    def _elements(self, elements: list[Any], flat: bool, found: _Found) -> None:
        """Some of an array; those that are known to be `flat` go into the struct where they fit."""
        if flat:
            try:
                found.add_all(msgspec.convert(elements, self._many.type))
                return
            except MISFIT:
                pass
        for element in elements:
            found.take(element)
            found.line += 1

    def _flat(self, data: bytes, elements: int) -> bool:
        """Whether each of so many elements of an array is a map that holds no other, of few enough fields."""
        marks = data.translate(None, NOT_MARKS).replace(b"\n", b"")
        flat = self._rows.plain and marks.count(b"{") == elements and marks.count(b"[") == 1
        return flat and self._crowd not in marks

    def _clean_array(self, data: bytes, found: _Found) -> bool:
        """The fast way, if each element is one flat object that fits the struct, and they are not very many."""
        if not self._rows.plain or data.count(b"{") > 2 * self._most_rows:
            return False
        try:
            data.decode()
            rows = self._many.decode(data)
        except MISFIT:
            return False
        if not self._flat(data, len(rows)):
            return False
        found.add_all(rows)
        return True

    def _spread_object(self, data: bytes, found: _Found) -> bool:
        """The data is one object over several lines, as people write it: take it."""
        first, newline, _ = data.lstrip().partition(b"\n")
        if not newline or first[:1] != b"{" or first.rstrip()[-1:] == b"}":
            return False
        try:
            found.take(records.parse(data, self._line_bytes))
        except RecordError:
            return False
        return True

    def _clean_lines(self, piece: bytes, found: _Found) -> bool:
        """The fast way: all lines at once, if each is one flat object that fits the struct.

        msgspec takes `{}{}` for two records and a record over two lines for one. One opening brace a line and
        as many records as lines rule out both, and bound the depth.
        """
        if not _all_within(piece, FIELD_BYTES * self._rows.most_fields) and self._crowd in piece.translate(
            None, NOT_MARKS
        ):
            return False
        openers = piece.translate(None, NOT_OPENERS).removesuffix(b"\n") + b"\n"
        count = len(openers) // 2
        if not self._rows.plain or openers != b"{\n" * count or count > 2 * self._most_rows:
            return False
        try:
            piece.decode()  # msgspec does not look into the texts it skips
            rows = self._one.decode_lines(piece)
        except MISFIT:
            return False
        if len(rows) != count:
            return False
        found.add_all(rows)
        return True

    def _lines(self, piece: bytes, found: _Found) -> Iterator[None]:
        """Line by line: into the struct where that fits, else the tolerant way."""
        lines = piece.removesuffix(b"\n")
        openers = lines.translate(None, NOT_OPENERS)
        for line, opened in zip(lines.split(b"\n"), openers.split(b"\n"), strict=True):
            if line.strip():
                try:
                    self._line(line, len(opened), found)
                except RecordError as why:
                    found.reject(why)
            found.line += 1
            if found.size >= self._most_rows:
                yield

    def _line(self, line: bytes, openers: int, found: _Found) -> None:
        if self._rows.plain and openers <= self._bounds.depth and len(line) <= self._line_bytes and self._few(line):
            try:
                line.decode()
                found.add(self._one.decode(line))
                return
            except MISFIT:
                pass  # the tolerant way takes more, or says what is wrong
        for element in records.elements(records.parse(line, self._line_bytes)):
            found.take(element)

    def _few(self, line: bytes) -> bool:
        """Whether it cannot have too many fields."""
        most = self._rows.most_fields
        return len(line) <= FIELD_BYTES * most or line.count(b":") <= most

    def _batch(self, found: _Found) -> Batch:
        rows, times_ms, time = found.rows, None, self._layout.time
        if time is not None:
            rows, times_ms = times.keep(rows, found.lines, self._rows.times(rows), time.unit, found.rejections)
        return Batch(len(rows), self._rows.columns(rows), times_ms, found.rejections.counts, found.rejections.errors)


def _all_within(piece: bytes, most: int) -> bool:
    """Whether no line is longer; in jumps of that length, which costs a tenth of marking every byte.

    >>> _all_within(b"1234\\n12\\n1234\\n", 4), _all_within(b"12\\n12345\\n", 4), _all_within(b"12345", 4)
    (True, False, False)
    """
    start = 0
    while start + most < len(piece):
        end = piece.rfind(b"\n", start, start + most + 1)
        if end < 0:
            return False
        start = end + 1
    return True


def _parts(data: bytes) -> Generator[None, None, list[list[Any]]]:
    """The records in an array, in parts; RecordError where it is none.

    It is cut behind maps. If each cut is an array of something, then all of it is one, and these are its elements;
    else a cut went through a text or a map within, and the array is read in one piece.
    """
    inner = data.strip(b" \t\r\n")[1:-1] if data.rstrip(b" \t\r\n").endswith(b"]") else b""
    parts: list[list[Any]] = []
    start = 0
    while True:
        comma = inner.find(b"},", start + STEP_BYTES) + 1
        try:
            part = records.parse(b"[" + inner[start : comma or None] + b"]", len(data) + 2)
        except RecordError:
            break
        if not part or not any(isinstance(element, dict) for element in part):
            break
        parts.append(part)
        if not comma:
            return parts
        start = comma + 1
        yield
    return [records.elements(records.parse(data, len(data)))]


def pieces(data: bytes, line_bytes: int) -> Iterator[bytes]:
    """Whole lines of at most `line_bytes` together, so that in them no line is too long; such a line alone."""
    start = 0
    while start < len(data):
        end = start + line_bytes
        cut = len(data) if end >= len(data) else data.rfind(b"\n", start, end) + 1
        if not cut:
            cut = data.find(b"\n", end) + 1 or len(data)
        yield data[start:cut]
        start = cut


class _Found:
    """Rows and rejections so far, and the number of the line at hand."""

    def __init__(self, line: int, record: Callable[[object], Record]) -> None:
        self.line = line
        self._record = record
        self.rows: list[Row] = []
        self.lines: list[int] = []  # of each row
        self.rejections = Rejections()
        self._maps = 0

    def forget(self) -> None:
        """What a batch was made of."""
        self.rows, self.lines, self.rejections, self._maps = [], [], Rejections(), 0

    @property
    def size(self) -> int:
        """Of the rows; one that does not fit the struct takes as long as some others."""
        return len(self.rows) + MAP_ROWS * self._maps

    def add(self, row: Row) -> None:
        self.rows.append(row)
        self.lines.append(self.line)

    def add_all(self, rows: list[Row]) -> None:
        """One row a line from here on."""
        self.rows += rows
        self.lines += range(self.line, self.line + len(rows))
        self.line += len(rows)

    def take(self, value: Any) -> None:
        """Add a JSON value if it is a record."""
        try:
            self.add(self._record(value))
            self._maps += 1
        except RecordError as why:
            self.reject(why)

    def reject(self, why: RecordError) -> None:
        self.rejections.add(self.line, why)
