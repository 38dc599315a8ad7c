"""JSON in: one object a line (NDJSON), an array of objects, or one object over several lines; sniffed.

Law: each line counts for itself. A line is one row or one rejection, whatever stands around it, and cutting
the data at newlines changes nothing. Only an array that holds objects is as many records as it has elements.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from driftmon.formats import records, times
from driftmon.formats.arrays import Arrays
from driftmon.formats.dense import Dense
from driftmon.formats.found import EVERY, Found
from driftmon.formats.layout import Bounds, Layout
from driftmon.formats.lines import all_within, few_fields, flat, is_text, pieces, records_by_line, shallow
from driftmon.formats.rejections import RecordError
from driftmon.formats.rows import Rows
from driftmon.formats.structs import MISFIT
from driftmon.formats.words import Lexicon
from driftmon.monitor.batch import Batch, Times

PIECE_BYTES: Final = 256 * 1024  # of long lines are read at once
PIECE_LINES: Final = 16  # of them; short ones are read by as many bytes as one may have, to stay in the cache
STRANGERS: Final = 16  # pieces until one is tried again for keys that are all known
BATCH_ROWS: Final = 16 * 1024  # in a batch of `batches`, about; twice as many in one step
BATCH_CELLS: Final = 512 * 1024  # rows x features, likewise: empty records of a wide stream are 2,700 times their bytes


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
        self._most_rows = max(1, min(BATCH_ROWS, BATCH_CELLS // max(1, len(layout.features))))
        self._rows = Rows(layout, self._bounds)
        self._arrays = Arrays(self._most_rows)
        self._ordered = False  # by the first line that there was
        self._lexicon = Lexicon()
        self._strangers = 0
        self._clean = True  # the lines last read; where one did not fit, others will not, and all are read again
        self._shy = self._apart = 0  # how often `clean` is not tried after it found a fault, and still is not

    def decode(self, data: bytes, first_line: int = 1) -> Batch:
        """The rows of whole records; `first_line` is the number of data's first line in the sender's body or file.

        An array's size is its caller's to bound: it is read in one piece. Its errors count elements, not lines.
        """
        return self._batch(self._read(data, first_line))

    def sampled(self, data: bytes, wanted: slice) -> tuple[Batch, int]:
        """Of the rows that `decode` finds the columns of some, and how many rows there are: half its time for few."""
        if self._layout.time is None:
            found = self._read(data, 1, wanted)
            return Batch(found.kept, found.columns()), found.rows
        found = self._read(data, 1)
        rows, _ = self._timed(found)
        some = rows[wanted]
        return Batch(len(some), self._rows.columns(*found.some(some))), len(rows)

    def batches(self, data: bytes, first_line: int = 1) -> Iterator[Batch | None]:
        """As `decode`, in batches of a few MiB at most; None after each step of about a millisecond.

        >>> from types import SimpleNamespace as Spec
        >>> decoder = Decoder(Layout([Spec(name="x", kind="numeric", field=None, absent="missing")]))
        >>> [batch and batch.rows for batch in decoder.batches(b"{}\\n" * 60_000)]
        [None, 21845, None, 21845, None, 16310]
        """
        found = self._begin(data, first_line)
        for _ in self._steps(data, found):
            yield None
            if found.size >= self._most_rows:
                yield self._batch(found)
                found.forget()
        yield self._batch(found)

    def clean(self, data: bytes) -> Batch | None:
        """The batch, if each line of data is a good record of its own; else None, mostly before much was read.

        What is true of all lines together is true of each block of them, so blocks that end at line ends can be
        read as one. Of a line that is less than a record, or more, that is not known.

        >>> from types import SimpleNamespace as Spec
        >>> decoder = Decoder(Layout([Spec(name="x", kind="numeric", field=None, absent="missing")]))
        >>> decoder.clean(b'{"x":1}\\n{"x":2}\\n').rows, decoder.clean(b'{"x":1\\n,"y":2}\\n')
        (2, None)
        """
        if self._apart:
            self._apart -= 1
            return None
        found, most_rows = self._begin(data, 1), 2 * self._most_rows
        for piece in pieces(data, self._line_bytes):
            if not self._all_at_once(piece, found) or found.rows > most_rows:
                self._apart = self._shy = min(2 * self._shy + 1, STRANGERS)
                return None
        self._shy = 0
        batch = self._batch(found)
        return None if batch.rejected else batch  # for its time

    def _begin(self, data: bytes, first_line: int, wanted: slice = EVERY) -> Found:
        """Struct fields stand as the keys of the first line that there was: only how fast it goes depends on it."""
        if not self._ordered:
            line = data[: data.find(b"\n", 0, self._line_bytes) + 1 or self._line_bytes]
            with suppress(RecordError):
                self._rows = self._rows.ordered_as(self._rows.record(records.parse(line, self._line_bytes)))
                self._ordered = True
        return Found(first_line, self._rows, wanted)

    def _steps(self, data: bytes, found: Found) -> Iterator[None]:
        """Put all records into `found`; after each step those that are there may be taken out."""
        if (yield from self._arrays.take(data, found)) or self._spread_object(data, found):
            return
        wide = min(PIECE_BYTES, PIECE_LINES * (data.find(b"\n") + 1))
        for piece in pieces(data, max(wide, self._line_bytes)):
            if self._all_at_once(piece, found):
                yield
            else:
                yield from self._by_pieces(piece, found)

    def _by_pieces(self, piece: bytes, found: Found) -> Iterator[None]:
        """What did not go at once: a fault costs only the lines near it."""
        small = list(pieces(piece, self._line_bytes))
        for one in small:
            if len(small) == 1 or not self._all_at_once(one, found):
                yield from self._line_by_line(one, found)
            yield

    def _spread_object(self, data: bytes, found: Found) -> bool:
        """The data is one object over several lines, as people write it: take it."""
        whole = data.lstrip()
        first = whole[: whole.find(b"\n") + 1]
        if first[:1] != b"{" or first.rstrip()[-1:] == b"}":
            return False
        try:
            found.take(records.parse(data, self._line_bytes))
        except RecordError:
            return False
        return True

    def _all_at_once(self, piece: bytes, found: Found) -> bool:
        """The fast way, if each line is one flat object within its bounds that fits the struct.

        msgspec takes `{}{}` for two records and a record over two lines for one: `records_by_line` rules out both.
        """
        if not self._clean or not self._rows.plain or not all_within(piece, self._line_bytes):
            return False
        count = records_by_line(piece)
        if not 0 < count <= 2 * self._most_rows:
            return False
        if (gathered := found.gathered) is not None:
            if gathered.dense.is_sparse(piece, count) and self._sparse(piece, count, found, gathered.dense):
                return True
            if self._known(piece, count, found, gathered.dense):
                return True
        if not self._flat(piece, count):
            return False
        if gathered is not None and (rows := _dense(gathered.dense, gathered.dense.loose, piece, count)) is not None:
            found.add_dense(rows)
        elif (rows := _decoded(found.reader.one, piece, count)) is not None:
            found.add_all(rows)
            self._lexicon.forget()
            found.reader.learn({})
        return rows is not None

    def _known(self, piece: bytes, count: int, found: Found, dense: Dense) -> bool:
        """Records without keys that nobody reads; where there were some, not every piece is tried."""
        self._strangers = max(0, self._strangers - 1)
        rows = None if self._strangers else _dense(dense, dense.strict, piece, count)
        if rows is not None:
            found.add_dense(rows)
        elif not self._strangers:
            self._strangers = STRANGERS
        return rows is not None

    def _sparse(self, piece: bytes, count: int, found: Found, dense: Dense) -> bool:
        rows = _decoded(dense.sparse, piece, count)
        return rows is not None and found.add_sparse(rows)

    def _flat(self, piece: bytes, count: int) -> bool:
        """Whether what msgspec skips breaks no bound: nothing is nested, and all of it is text."""
        return flat(piece, count) and is_text(piece) and few_fields(piece, self._rows.most_fields)

    def _line_by_line(self, piece: bytes, found: Found) -> Iterator[None]:
        """Into the struct as far as lines fit, the tolerant way where one does not, and on behind it."""
        lines, first, clean = piece.removesuffix(b"\n").split(b"\n"), found.line, True
        within, rest = self._within(piece), iter(lines)
        while (at := found.line - first) < len(lines):
            if within:
                fits = self._fitting(islice(rest, self._most_rows), found)
            else:
                fits = self._within(lines[at]) and self._fitting(iter(lines[at : at + 1]), found)
            if not fits:
                line = lines[found.line - first]
                clean &= not line.strip()
                self._tolerant(line, found)
            if found.size >= self._most_rows:
                yield
        self._clean = clean

    def _within(self, piece: bytes) -> bool:
        """Whether no line of it can break a bound that msgspec does not know."""
        few = self._rows.plain and len(piece) <= self._line_bytes and few_fields(piece, self._rows.most_fields)
        return few and is_text(piece) and shallow(piece, self._bounds.depth)

    def _fitting(self, lines: Iterator[bytes], found: Found) -> bool:
        """Lines into structs, up to the first that does not fit; whether all did."""
        rows: list[Any] = []
        try:
            for row in map(found.reader.one.decode, lines):
                rows.append(row)  # noqa: PERF402  what came before a fault is kept
        except MISFIT:
            return False
        finally:
            found.add_all(rows)
        return True

    def _tolerant(self, line: bytes, found: Found) -> None:
        """It takes more than the struct does, or says what is wrong."""
        try:
            for element in records.elements(records.parse(line, self._line_bytes)) if line.strip() else ():
                found.take(element)
        except RecordError as why:
            found.reject(why)
        found.line += 1

    def _read(self, data: bytes, first_line: int, wanted: slice = EVERY) -> Found:
        found = self._begin(data, first_line, wanted)
        for _ in self._steps(data, found):
            pass
        return found

    def _timed(self, found: Found) -> tuple[list[int], Times | None]:
        """The rows whose times can be read, and these; the others are rejected."""
        rows, time = list(range(found.rows)), self._layout.time
        if time is None:
            return rows, None
        given = self._rows.times(found.values, found.maps)
        return times.keep(rows, found.lines, given, time.unit, found.rejections)

    def _learn(self, found: Found) -> None:
        """Which texts there mostly are, for the next batch."""
        if (gathered := found.gathered) is None or not self._rows.texts:
            return
        texts = {path: values for path, values in gathered.lists.items() if path in self._rows.texts}
        if self._lexicon.note(found.rows, texts, gathered.news()):
            self._rows.learn(self._lexicon.words)

    def _all_in_time(self, found: Found) -> Batch | None:
        """The batch, if there is no row whose time cannot be read, and nothing must be made for each."""
        time, times_ms, refused = self._layout.time, None, found.rejections
        if time is not None:
            if found.gathered is None:
                return None
            times_ms, unreadable = times.column(found.gathered.lists[next(self._layout.paths())], time.unit)
            if unreadable:
                return None
        return Batch(found.rows, found.columns(), times_ms, refused.counts, refused.errors)

    def _batch(self, found: Found) -> Batch:
        self._learn(found)
        if (clean := self._all_in_time(found)) is not None:
            return clean
        rows, times_ms = self._timed(found)
        whole = len(rows) == found.rows
        columns = self._rows.columns(*(found.values, found.maps) if whole else found.some(rows))
        return Batch(len(rows), columns, times_ms, found.rejections.counts, found.rejections.errors)


def _decoded(decoder: Any, piece: bytes, count: int) -> list[Any] | None:
    """So many records; None where they do not fit, or are another number of them."""
    try:
        rows: list[Any] = decoder.decode_lines(piece)
    except MISFIT:
        return None
    return rows if len(rows) == count else None


def _dense(dense: Dense, decoder: Any, piece: bytes, count: int) -> list[Any] | None:
    """The same; texts that were numbered on the way to a fault are forgotten."""
    rows = _decoded(decoder, piece, count)
    if rows is None:
        dense.forget()
    return rows
