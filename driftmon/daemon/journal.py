"""Journal: what was counted since the panes were written, as rows that a restart adds to them.

Law: entries on the disk, those that wait and what was counted since are together what was counted. What waits is
kept until its commit is done, so one that failed can be tried again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping

import msgspec
from msgspec import Struct

from driftmon.daemon import deltas
from driftmon.daemon.sealing import seal
from driftmon.daemon.streams import Stream
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.snapshot import Snapshot


class _Head(Struct):
    """Of one stream: the counts that entries speak of, and what waits; `seq` and `size` of what is on the disk."""

    monitor: Monitor
    noted: Snapshot
    waiting: list[bytes] = []
    seq: int = 0
    size: int = 0
    closed: bool = False  # a pane was evaluated by the records' time: a restart must not do it again


class Journal:
    """By stream; it covers those whose panes in the database are of the monitor that counts now."""

    def __init__(self) -> None:
        self._heads: dict[str, _Head] = {}
        self._begun: dict[str, _Head] = {}  # when the transaction is done

    @property
    def bytes(self) -> int:
        """On the disk."""
        return sum(head.size for head in self._heads.values())

    def covers(self, name: str, stream: Stream) -> bool:
        """Whether an entry is all that is needed; a warm-up has its own rows."""
        if stream.monitor is None:
            return True
        head = self._heads.get(name)
        return head is not None and head.monitor is stream.monitor and not head.closed

    def note(self, streams: Mapping[str, Stream]) -> None:
        """Take down what these counted since the last time."""
        for head in self._followed(streams):
            now = head.monitor.snapshot()
            delta = deltas.between(head.noted, now)
            if delta.added or delta.invalid or now.watermark_ms != head.noted.watermark_ms:
                head.waiting.append(msgspec.msgpack.encode(delta))
            head.noted = now

    def moved(self, streams: Mapping[str, Stream]) -> None:
        """Ticks moved counts from pane to pane, and added none."""
        for head in self._followed(streams):
            now = head.monitor.snapshot()
            head.closed |= head.monitor.event_time and bool(head.noted.open_panes.keys() - now.open_panes.keys())
            head.noted = now

    def write(self, connection: sqlite3.Connection, name: str) -> int:
        """What waits becomes rows; the number of the last one there is."""
        head = self._heads.get(name)
        if head is None:
            return 0
        last = head.seq
        for delta in head.waiting:
            row = (name, seal(name, delta), delta)
            last = connection.execute("INSERT INTO journal (stream, crc, delta) VALUES (?, ?, ?)", row).lastrowid or 0
        return last

    def begin(self, connection: sqlite3.Connection, name: str, monitor: Monitor, now: Snapshot) -> None:
        """Anew, after the panes were written with all that `now` has."""
        connection.execute("DELETE FROM journal WHERE stream = ?", (name,))
        self._begun[name] = _Head(monitor, now)

    def done(self, last: Mapping[str, int]) -> None:
        """The transaction is; `last`: the number of the last row of the streams that were written."""
        for name, seq in last.items():
            if (head := self._heads.get(name)) is not None:
                head.size += sum(map(len, head.waiting))
                head.seq, head.waiting = seq, []
        self._heads |= self._begun
        self._begun = {}

    def forget_all_but(self, names: Collection[str]) -> None:
        """Streams that are gone make the journal no longer."""
        self._heads = {name: head for name, head in self._heads.items() if name in names}

    def undone(self) -> None:
        """The transaction failed."""
        self._begun = {}

    def _followed(self, streams: Mapping[str, Stream]) -> Iterator[_Head]:
        for name, stream in streams.items():
            if (head := self._heads.get(name)) is not None and head.monitor is stream.monitor:
                yield head
