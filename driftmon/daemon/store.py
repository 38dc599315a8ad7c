"""Store: the state of all streams in state.db: T1 before an answer goes out, T2 once a second.

Law: counts, positions, batch ids, alerts and the news of them of one instant change in one transaction, so a
restart never counts a record twice nor misses one that was acknowledged or that its source can still give.
Both add what was counted since the last commit to a journal; now and then T2 writes the panes and forgets it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from msgspec import Struct

from driftmon.daemon.alert_rows import write_alerts
from driftmon.daemon.clock_rows import write_clocks
from driftmon.daemon.counter_rows import Counter, Counters, read_counters, write_counters
from driftmon.daemon.database import DiskFull, StorageError
from driftmon.daemon.gathered_rows import read_gathered, write_gathered
from driftmon.daemon.gathering import Warming
from driftmon.daemon.generations import Generations
from driftmon.daemon.journal import Journal
from driftmon.daemon.label_rows import fold_labels, read_labels, write_labels
from driftmon.daemon.news import News, Owing, read_owing, write_news
from driftmon.daemon.old_state import put_away, read_old
from driftmon.daemon.opening import open_database
from driftmon.daemon.pane_rows import Written, save_panes
from driftmon.daemon.repeats import Key
from driftmon.daemon.settings import StreamSettings
from driftmon.daemon.state_rows import (
    forget_seen,
    read_seen,
    read_state,
    write_positions,
    write_seen,
)
from driftmon.daemon.streams import Saved, Stream
from driftmon.daemon.watched_rows import write_watched
from driftmon.monitor.label_pieces import KeptLabels
from driftmon.monitor.watch import Watch
from driftmon.sources.base import Settled
from driftmon.stats.schema import Schema

__all__ = ["DiskFull", "StorageError", "Store"]

JOURNAL_BYTES: Final = 4 * 1024 * 1024  # read again after a crash, so it is kept short
FOLD_MS: Final = 60_000

NO_COUNTERS: Final[Counters] = {}
NO_NEWS: Final = News()


class _Done(Struct, frozen=True):
    """What a transaction wrote, to be noted once it is on the disk."""

    written: dict[str, Written] = {}
    last: dict[str, int] = {}
    watched: dict[str, Collection[Watch]] = {}
    whole: set[str] = set()  # the streams of which all of `watched` was written


class Store:
    """The folder of --storage.path, ours alone until `close`. `took` is told how many seconds each commit lasted."""

    def __init__(self, folder: Path, took: Callable[[float], None] = lambda seconds: None) -> None:
        self._folder = folder
        self._took = took
        self._database = open_database(folder)
        self._generations = Generations(self._database)
        self.health = self._database.health
        self._journal = Journal()
        self._written: dict[str, Written] = {}
        self._counters: dict[Counter, int] = {}
        self._put_away: set[str] = set()

    def load(
        self, stream: str, settings: StreamSettings | None = None, known: Iterable[Schema] = ()
    ) -> Saved | Warming | None:
        """The state of a stream; None if there is none. Rows of a warm-up need `settings`; `known` makes it faster."""
        found = read_state(self._database, stream, known)
        if found is not None:
            self._written[stream] = Written.of(found)
        if settings is not None and settings.reference.observations is not None:
            warming = read_gathered(self._database, stream, settings.features)
            if warming is not None:  # newer than the state, for it goes when the reference is there
                return warming
        return read_old(self._folder, stream) if found is None else found.saved

    def labels(self, stream: str) -> KeptLabels | None:
        """What waits for its label, or for its prediction."""
        return read_labels(self._database, stream)

    def seen(self) -> dict[Key, tuple[int, Settled]]:
        """The batches counted lately, oldest first: when, and what became of them."""
        return read_seen(self._database)

    def counters(self) -> Counters:
        """By stream, name and further labels."""
        self._counters = read_counters(self._database)
        return dict(self._counters)

    def owing(self) -> Owing:
        """What receivers are owed."""
        return read_owing(self._database)

    @property
    def journal_bytes(self) -> int:
        return self._journal.bytes

    def commit(
        self, streams: Mapping[str, Stream], seen: Mapping[Key, Settled], at_ms: int, counters: Counters = NO_COUNTERS
    ) -> None:
        """T1: what these streams counted since their last commit, their positions, their counters, these batch ids."""
        self._journal.note(streams)
        with self._transaction(streams, counters) as (connection, done):
            for name, stream in streams.items():
                if self._journal.covers(name, stream):
                    self._append(connection, name, stream, done)
                else:
                    self._save(connection, name, stream, done, at_ms)
                write_positions(connection, name, stream.positions)
            write_seen(connection, seen, at_ms)

    def checkpoint(
        self,
        streams: Mapping[str, Stream],
        seen: Mapping[Key, Settled],
        at_ms: int,
        counters: Counters = NO_COUNTERS,
        news: News = NO_NEWS,
        fold: bool = False,
    ) -> None:
        """T2: as T1 for all streams, with alerts, clocks and news; ids that are old are forgotten.

        The panes are written where the journal cannot go on or is long, once a minute, and with `fold`.
        """
        self._journal.note(streams)
        long = fold or self._journal.bytes > JOURNAL_BYTES
        kept = {name: stream for name, stream in streams.items() if stream.kept}
        with self._transaction(kept, counters) as (connection, done):
            for name, stream in kept.items():
                if long or not self._journal.covers(name, stream) or self._is_old(name, at_ms):
                    self._save(connection, name, stream, done, at_ms)
                else:
                    self._append(connection, name, stream, done)
                    self._note(connection, name, stream, done)
                write_positions(connection, name, stream.positions)
            write_seen(connection, seen, at_ms)
            write_news(connection, news)
            forget_seen(connection, at_ms)
        for name in done.written.keys() - self._put_away:
            put_away(self._folder, name)
            self._put_away.add(name)
        self._journal.forget_all_but(streams)
        self._written = {name: one for name, one in self._written.items() if name in streams}
        self._database.shorten_log()
        self._generations.keep_one()

    def ticking(self, streams: Mapping[str, Stream]) -> None:
        """Before ticks, which move counts from pane to pane: take down what was counted."""
        self._journal.note(streams)

    def closed_panes(self, streams: Mapping[str, Stream]) -> None:
        """After them, before the next block is counted."""
        self._journal.moved(streams)

    def close(self) -> None:
        """Let another process have the folder."""
        self._database.close()

    @contextmanager
    def _transaction(
        self, streams: Mapping[str, Stream], counters: Counters
    ) -> Iterator[tuple[sqlite3.Connection, _Done]]:
        """What it wrote is noted only when it is on the disk."""
        started_s, done = time.perf_counter(), _Done()
        try:
            with self._database.transaction() as connection:
                yield connection, done
                write_counters(connection, counters, self._counters)
        except BaseException:
            self._journal.undone()
            raise
        self._took(time.perf_counter() - started_s)
        self._journal.done(done.last)
        self._written |= done.written
        self._counters |= counters
        for stream in streams.values():
            stream.gathering.forget()
            if stream.delayed is not None:
                stream.delayed.keep()
        for name, watches in done.watched.items():
            for watch in watches:
                watch.written(name in done.whole)

    def _is_old(self, name: str, at_ms: int) -> bool:
        written = self._written.get(name)
        return written is not None and abs(at_ms - written.at_ms) >= FOLD_MS

    def _append(self, connection: sqlite3.Connection, name: str, stream: Stream, done: _Done) -> None:
        done.last[name] = self._journal.write(connection, name)
        write_gathered(connection, name, stream)
        write_labels(connection, name, stream.delayed)
        self._watch(connection, name, stream, done)

    def _save(self, connection: sqlite3.Connection, name: str, stream: Stream, done: _Done, at_ms: int) -> None:
        """All of a stream, whatever the database had of it."""
        saved, monitor = stream.saved(), stream.monitor
        if saved is None or monitor is None:
            self._append(connection, name, stream, done)
            return
        fold_labels(connection, name, stream.delayed)
        done.written[name] = save_panes(connection, name, saved, self._written.get(name), at_ms)
        self._journal.begin(connection, name, monitor, saved.snapshot)
        done.whole.add(name)
        self._watch(connection, name, stream, done)
        self._note(connection, name, stream, done)

    def _watch(self, connection: sqlite3.Connection, name: str, stream: Stream, done: _Done) -> None:
        """The series that detectors watch go with the counts of the same rows."""
        if stream.monitor is not None:
            watches = stream.monitor.flags.watches
            write_watched(connection, name, watches, name in done.whole)
            done.watched[name] = watches.values()

    def _note(self, connection: sqlite3.Connection, name: str, stream: Stream, done: _Done) -> None:
        """What belongs to an instant and is no count."""
        monitor, written = stream.monitor, done.written.get(name) or self._written.get(name)
        if monitor is None or written is None:
            return
        write_clocks(connection, name, monitor, done.last.get(name, 0))
        if written.alerts is None:
            connection.execute("DELETE FROM alert WHERE stream = ?", (name,))
        alerts = write_alerts(connection, name, monitor.held_alerts, written.alerts or {})
        done.written[name] = replace(written, alerts=alerts)
