"""Block: bytes on their way in. Settled: what became of them. Lines: a byte stream cut into whole records.

Law: a block holds whole records only and is acknowledged exactly once, with Settled or an exception.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeAlias

from driftmon.formats.lines import count_of
from driftmon.monitor.batch import MAX_ERRORS, LineError

BLOCK_BYTES: Final = 256 * 1024  # one block keeps the pump busy for about a millisecond

Format: TypeAlias = Literal["ndjson", "csv"]
Position: TypeAlias = Mapping[str, int | str]  # opaque to everyone but the source that made it; survives JSON
Positions: TypeAlias = Mapping[str, Position]  # by origin


@dataclass(frozen=True, slots=True)
class Settled:
    """A block was counted: rows used, records refused by reason, rows too late; `durable` once on disk.

    `sampled_out` records were left out by chance under overload; those used count for them.
    """

    accepted: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    late: int = 0
    errors: tuple[LineError, ...] = ()
    duplicate: bool = False
    durable: bool = False
    sampled_out: int = 0


def joined(parts: Sequence[Settled]) -> Settled:
    """What became of a request, from what became of its blocks."""
    rejected: Counter[str] = Counter()
    for part in parts:
        rejected.update(part.rejected)
    errors = sorted((error for part in parts for error in part.errors), key=lambda error: error.line)
    return Settled(
        sum(part.accepted for part in parts),
        dict(rejected),
        sum(part.late for part in parts),
        tuple(errors[:MAX_ERRORS]),
        durable=all(part.durable for part in parts),
        sampled_out=sum(part.sampled_out for part in parts),
    )


Ack: TypeAlias = Callable[[Settled | Exception], None]


def unanswered(outcome: Settled | Exception) -> None:
    """The ack of sources that have nobody to tell; the counters tell it."""


@dataclass(frozen=True, slots=True)
class Block:
    """Whole records of one stream, at most about BLOCK_BYTES.

    `source` is the kind of source (a metric label), `origin` the very one ("file:/var/log/a.ndjson");
    `position` is where its source would go on after this block. `first_line` is the number of the
    block's first line in its input, so that errors name the line a person can look up. Blocks of one
    request are counted and committed together: all but the last have `more`, and share its `key`.
    Each record stands for `weight` records that arrived.
    """

    stream: str
    source: str
    format: Format
    data: bytes
    position: Position | None = None
    ack: Ack = unanswered
    origin: str = ""
    first_line: int = 1
    key: str = ""
    more: bool = False
    weight: int = 1


class Limits(Protocol):
    """What a source must keep to; the daemon's limits have it."""

    @property
    def line_bytes(self) -> int: ...


@dataclass(slots=True)
class Progress:
    """What a source tells of itself: losses that it noticed, and what it has still to read, where that is known."""

    gap_events: int = 0
    lag_records: Callable[[], int] | None = None
    lag_bytes: Callable[[], int] | None = None


class Source(Protocol):
    """The world in. `Source(stream, options, limits)`; `blocks` ends at the end of input.

    `origin` names it for people. Each block's own origin is the name its position is kept under, in the transaction
    of its counts: one for a file, one a partition for a broker. `blocks` goes on from all that are kept for the stream
    and looks up its own; while the disk is full the next block is not asked for. A block with a position is
    acknowledged once that is on the disk (at once where nothing is kept): then the broker may be told.
    """

    @property
    def origin(self) -> str: ...
    @property
    def progress(self) -> Progress: ...
    def blocks(self, resume: Positions) -> AsyncGenerator[Block, None]: ...


class Lines:
    """Cuts a stream of bytes at line ends; a torn last line waits for its rest.

    A line longer than `line_bytes` is cut short just above that length, so its format rejects it as
    too long, once, and no more of it is kept. With `quotes`, a line end between two double quotes is
    part of a cell and no place to cut; an unclosed quote holds at most `line_bytes` up.

    >>> lines = Lines(line_bytes=8)
    >>> lines.feed(b"one\\ntw"), lines.feed(b"o\\n" + b"x" * 20), lines.feed(b"x\\n3\\n"), lines.rest()
    (b'one\\n', b'two\\n', b'xxxxxxxxxx\\n3\\n', b'')
    """

    def __init__(self, line_bytes: int, *, quotes: Literal[b"", b'"'] = b"") -> None:
        self._limit = line_bytes
        self._quotes = quotes
        self._torn = b""
        self._cut_bytes = 0  # of the torn line, and not kept

    def feed(self, data: bytes) -> bytes:
        """The lines that are complete now."""
        data = self._torn + data
        end = self._last_line_end(data)
        whole, torn = data[:end], data[end:]
        self._torn = torn[: self._limit + 1]
        self._cut_bytes = len(torn) - len(self._torn) + (0 if whole else self._cut_bytes)
        return whole

    def rest(self) -> bytes:
        """The torn last line, at the end of input; forgotten here."""
        torn, self._torn, self._cut_bytes = self._torn, b"", 0
        return torn

    @property
    def torn_bytes(self) -> int:
        """How many bytes of the input wait for the rest of their line, kept or not."""
        return len(self._torn) + self._cut_bytes

    def _last_line_end(self, data: bytes) -> int:
        last = end = data.rfind(b"\n") + 1
        while self._quotes and end and data.count(self._quotes, 0, end) % 2:
            end = data.rfind(b"\n", 0, data.rfind(self._quotes, 0, end)) + 1
        return last if len(data) - end > self._limit else end


def pieces(data: bytes, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[int, bytes]]:
    """Cut a body at line ends: (number of its first line, piece) of about `block_bytes`.

    >>> list(pieces(b"1\\n2\\n3\\n4", block_bytes=4))
    [(1, b'1\\n2\\n'), (3, b'3\\n4')]
    """
    start, line = 0, 1
    while start < len(data):
        end = len(data)
        if end - start > block_bytes:
            cut = data.rfind(b"\n", start, start + block_bytes)
            cut = cut if cut >= 0 else data.find(b"\n", start + block_bytes)
            end = cut + 1 if cut >= 0 else end
        piece = data[start:end]
        yield line, piece
        start = end
        if start < len(data):
            line += count_of(b"\n", piece)


def with_header(form: Format, header: bytes, whole: bytes) -> tuple[bytes, bytes]:
    """(block, header): every CSV block opens with its input's header line, so that it can be read by itself.

    >>> with_header("csv", b"", b"a,b\\n1,2\\n")
    (b'a,b\\n1,2\\n', b'a,b\\n')
    >>> with_header("csv", b"a,b\\n", b"3,4\\n")
    (b'a,b\\n3,4\\n', b'a,b\\n')
    """
    if form != "csv":
        return whole, b""
    if header:
        return header + whole, header
    return whole, whole[: whole.find(b"\n") + 1] or whole + b"\n"
