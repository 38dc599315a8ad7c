"""Store: the state of all streams in state.db: T1 before an answer goes out, T2 once a second.

Law: counts, positions, batch ids and alerts of one instant change in one transaction, so a restart never
counts a record twice nor misses one that was acknowledged or that its source can still give.
T1 adds what was counted since the last commit to a journal; T2 writes the panes that changed and forgets it.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from driftmon.daemon import deltas
from driftmon.daemon.database import DiskFull, StorageError
from driftmon.daemon.generations import Generations
from driftmon.daemon.old_state import put_away, read_old
from driftmon.daemon.opening import open_database
from driftmon.daemon.repeats import Key
from driftmon.daemon.state_rows import (
    Place,
    forget_seen,
    head_of,
    panes_of,
    read_seen,
    read_state,
    shape_of,
    write_positions,
    write_seen,
)
from driftmon.daemon.streams import Saved, Stream
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.snapshot import Snapshot
from driftmon.sources.base import Settled
from driftmon.stats.schema import Counts

__all__ = ["DiskFull", "StorageError", "Store"]


@dataclass(frozen=True, slots=True)
class _Mark:
    """Of one stream: whose counts the database has, and up to where."""

    monitor: Monitor
    snapshot: Snapshot | None  # journal and panes together have these counts; None: no journal entry can go on there
    written: Mapping[Place, Counts]  # the panes have these


class Store:
    """The folder of --storage.path, ours alone until `close`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._database = open_database(folder)
        self._generations = Generations(self._database)
        self.health = self._database.health
        self._marks: dict[str, _Mark] = {}
        self.journal_bytes = 0

    def load(self, stream: str) -> Saved | None:
        """The state of a stream; None if there is none."""
        return read_state(self._database, stream) or read_old(self._folder, stream)

    def seen(self) -> dict[Key, tuple[int, Settled]]:
        """The batches counted lately, oldest first: when, and what became of them."""
        return read_seen(self._database)

    def commit(self, streams: Mapping[str, Stream], seen: Mapping[Key, Settled], at_ms: int) -> None:
        """T1: what these streams counted since their last commit, their positions, these batch ids."""
        marks = dict(self._marks)
        with self._database.transaction() as connection:
            for name, stream in streams.items():
                entry = self._journal(connection, name, stream)
                marks[name] = self._save(connection, name, stream) if entry is None else entry
                write_positions(connection, name, stream.positions)
            write_seen(connection, seen, at_ms)
        self._marks = marks

    def checkpoint(self, streams: Mapping[str, Stream], seen: Mapping[Key, Settled], at_ms: int) -> None:
        """T2: the panes that changed, alerts, positions, these batch ids; ids that are old are forgotten."""
        marks = {}
        with self._database.transaction() as connection:
            for name, stream in streams.items():
                if stream.monitor is not None:
                    marks[name] = self._save(connection, name, stream)
                    write_positions(connection, name, stream.positions)
            write_seen(connection, seen, at_ms)
            forget_seen(connection, at_ms)
        for name in marks.keys() - self._marks.keys():
            put_away(self._folder, name)
        self._marks, self.journal_bytes = marks, 0
        self._database.shorten_log()
        self._generations.keep_one()

    def closed_panes(self, streams: Mapping[str, Stream]) -> None:
        """After ticks, which move counts from pane to pane and add none. Call it before the next block is counted."""
        for name, stream in streams.items():
            if (mark := self._mark_of(name, stream)) is not None and mark.snapshot is not None:
                now = mark.monitor.snapshot()
                committed = np.array_equal(now.counts, mark.snapshot.counts)
                self._marks[name] = replace(mark, snapshot=now if committed else None)

    def close(self) -> None:
        """Let another process have the folder."""
        self._database.close()

    def _mark_of(self, name: str, stream: Stream) -> _Mark | None:
        """None where the database has not the shape this stream counts in."""
        mark = self._marks.get(name)
        return mark if mark is not None and mark.monitor is stream.monitor else None

    def _journal(self, connection: sqlite3.Connection, name: str, stream: Stream) -> _Mark | None:
        """None where there is nothing in the database that an entry could be added to."""
        mark = self._mark_of(name, stream)
        if mark is None or mark.snapshot is None:
            return None
        after = mark.monitor.snapshot()
        delta = msgspec.msgpack.encode(deltas.between(mark.snapshot, after))
        row = (name, zlib.crc32(delta), delta)
        connection.execute("INSERT INTO journal (stream, crc, delta) VALUES (?, ?, ?)", row)
        self.journal_bytes += len(delta)
        return replace(mark, snapshot=after)

    def _save(self, connection: sqlite3.Connection, name: str, stream: Stream) -> _Mark:
        saved, monitor, mark = stream.saved(), stream.monitor, self._mark_of(name, stream)
        assert saved is not None
        assert monitor is not None
        if mark is None:
            connection.execute("DELETE FROM pane WHERE stream = ?", (name,))
            connection.execute("DELETE FROM offset WHERE stream = ?", (name,))
            connection.execute("INSERT OR REPLACE INTO stream VALUES (?, ?, ?, x'')", (name, *shape_of(saved)))
        written, now = {} if mark is None else mark.written, panes_of(saved.snapshot)
        for place in written.keys() - now.keys():
            connection.execute("DELETE FROM pane WHERE (stream, ring, pane) = (?, ?, ?)", (name, *place))
        for place, counts in now.items():
            held = written.get(place)  # panes are replaced, never changed in place; the lifetime is a copy each time
            if held is None or (held is not counts and not np.array_equal(held, counts)):
                data = deltas.packed(counts)
                row = (name, *place, zlib.crc32(data), data)
                connection.execute("INSERT OR REPLACE INTO pane VALUES (?, ?, ?, ?, ?)", row)
        connection.execute("UPDATE stream SET head = ? WHERE name = ?", (head_of(saved), name))
        connection.execute("DELETE FROM journal WHERE stream = ?", (name,))
        return _Mark(monitor, saved.snapshot, now)
