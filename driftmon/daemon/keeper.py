"""Keeper: when the store commits, and which answers wait for it.

Law: an answer that says `durable` goes out after its commit. While the disk is full nothing is lost and nothing
counted twice: those answers wait, new requests are refused, and the first commit that succeeds releases them.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import count
from typing import Final

from driftmon.daemon.counter_rows import Counters
from driftmon.daemon.database import DiskFull, StorageError
from driftmon.daemon.keeping import Ack, Outcome, Streams
from driftmon.daemon.news import News, Progress, merged
from driftmon.daemon.repeats import Key
from driftmon.daemon.store import JOURNAL_BYTES, Store
from driftmon.monitor.report import Report
from driftmon.monitor.rules import Change
from driftmon.sources.base import Settled, joined, unanswered

CHECKPOINT_S: Final = 1.0
RETRY_S: Final = 0.5

log: Final = logging.getLogger("driftmon.store")


class Storing:
    """With a store; `full` is told when the disk fills up and when there is room again.

    `counters` are those of some streams and of none; `progress` is where the event loop puts what sinks have done.
    """

    def __init__(
        self,
        store: Store,
        full: Callable[[bool], None],
        counters: Callable[[Iterable[str]], Counters] = lambda names: {},
    ) -> None:
        self.ack: Ack = "durable"
        self.progress: deque[Progress] = deque()
        self._store = store
        self._tell_full = full
        self._counters = counters
        owing = store.owing()
        self._numbers = count(owing.taken + len(owing.changes) + 1)
        self._changes: dict[int, Change] = {}  # not committed yet
        self._done = Progress(0)  # the same, of sinks
        self._ticking: Streams = {}
        self._held: list[Outcome] = []  # answers that wait for the disk
        self._counted: list[Outcome] = []  # those of sources that may forget what they gave, after T2
        self._committed: list[Outcome] = []
        self._seen: dict[Key, Settled] = {}  # batches not committed yet
        self._dirty = False
        self._full = False
        self._due_s = 0.0

    def settle(self, streams: Streams, outcomes: Sequence[Outcome], at_ms: int) -> Sequence[Outcome]:
        """T1 for what was counted together; the outcomes that may be told now."""
        self._dirty |= bool(outcomes)
        self._seen |= _batches(outcomes, streams)
        if self.ack == "memory":
            return [*self._released(), *outcomes]
        now = self._replayable(outcomes)
        waiting = self._held + [one for one in outcomes if one[0].position is None]
        if not waiting:
            return now
        names = {block.stream for block, _ in waiting}
        durable = {name: stream for name, stream in streams.items() if name in names and stream.kept}
        if not self._commit(streams, durable, at_ms):
            self._held = waiting
            return now
        self._held, self._seen = [], {key: told for key, told in self._seen.items() if key[0] not in durable}
        return now + [(block, _durable(outcome, block.stream in durable)) for block, outcome in waiting]

    def _released(self) -> list[Outcome]:
        """What still waits from before a reload to `ack: memory`."""
        waited, self._held, self._committed = [*self._held, *self._committed], [], []
        return waited

    def _replayable(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Of blocks that are read again after a crash: those nobody waits for, and those that T2 has written."""
        replayable = [one for one in outcomes if one[0].position is not None]
        # Without their data: they may be many until the next second.
        self._counted += [(replace(block, data=b""), told) for block, told in replayable if block.ack is not unanswered]
        now, self._committed = self._committed, []
        return now + [one for one in replayable if one[0].ack is unanswered]

    def ticking(self, streams: Streams) -> None:
        """Before these tick."""
        self._ticking = streams
        self._store.ticking(streams)

    def ticked(self, streams: Streams, reports: Iterable[Report], at_ms: int, at_s: float) -> None:
        """T2 when a second has passed, or alerts changed: before anybody is told of it."""
        ticked, self._ticking = self._ticking, {}
        self._store.closed_panes(ticked)
        told = list(reports)
        changes = [change for report in told for change in report.changes]
        self._changes |= {number: change for change, number in zip(changes, self._numbers, strict=False)}
        self._dirty |= bool(told) or bool(self.progress)
        long = self._store.journal_bytes > JOURNAL_BYTES
        if self._dirty and not self._held and (changes or long or at_s >= self._due_s):
            self._due_s = at_s + CHECKPOINT_S
            self._checkpoint(streams, at_ms)

    def rest_s(self, at_s: float) -> float:
        """Until the next T2, or until the disk is tried again; at once if there is somebody to tell."""
        if self._committed:
            return 0.0
        if self._held:
            return RETRY_S
        return max(0.0, self._due_s - at_s) if self._dirty else math.inf

    def finish(self, streams: Streams, at_ms: int) -> None:
        """The last T2; StorageError 74 where there is still no room for it."""
        if not self._checkpoint(streams, at_ms, fold=True):
            raise StorageError(74, "the disk of --storage.path is full; the state of the last commit stays")

    def notified(self, at_ms: int) -> None:
        """What sinks did after `finish`."""
        if self.progress:
            self._checkpoint({}, at_ms)

    def _commit(self, streams: Streams, durable: Streams, at_ms: int) -> bool:
        """T1; all of T2 while changes wait, for no alert may be on the disk without the news of it."""
        if self._changes:
            return self._checkpoint(streams, at_ms)
        self._forget_ids(streams)
        counters = self._counters(durable)
        seen = {key: told for key, told in self._seen.items() if key[0] in durable}
        return self._try(lambda: self._store.commit(durable, seen, at_ms, counters))

    def _checkpoint(self, streams: Streams, at_ms: int, fold: bool = False) -> bool:
        while self.progress:
            self._done = merged(self._done, self.progress.popleft())
        self._forget_ids(streams)
        news, counters = News(self._changes, self._done), self._counters(streams)
        done = self._try(lambda: self._store.checkpoint(streams, self._seen, at_ms, counters, news, fold))
        if done:
            self._seen, self._dirty, self._changes, self._done = {}, False, {}, Progress(0)
            lost = {name for name, stream in streams.items() if not stream.kept}  # what these count is not kept
            told = [(block, _durable(one, block.stream in streams)) for block, one in self._counted]
            self._committed += [one for one in told if one[0].stream not in lost]
            self._counted = [one for one in self._counted if one[0].stream in lost]
        return done

    def _forget_ids(self, streams: Streams) -> None:
        """Of streams that a reload removed before what they counted was written: another attempt may count it."""
        self._seen = {key: one for key, one in self._seen.items() if key[0] in streams}

    def _try(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except DiskFull as fault:
            self._note_full(fault)
            return False
        self._note_full(None)
        return True

    def _note_full(self, fault: DiskFull | None) -> None:
        full = fault is not None
        if full == self._full:
            return
        self._full = full
        self._tell_full(full)
        if full:
            log.error("%s: the disk is full; requests are refused until there is room", fault)
        else:
            log.info("there is room on the disk again; what waited is written")


def _batches(outcomes: Sequence[Outcome], streams: Streams) -> dict[Key, Settled]:
    """Keys whose every block was counted, by a stream whose counts outlive a crash."""
    parts: dict[Key, list[Settled | Exception]] = {}
    for block, outcome in outcomes:
        stream = streams.get(block.stream)
        if block.key and stream is not None and stream.kept:
            parts.setdefault((block.stream, block.key), []).append(outcome)
    counted = {key: [one for one in found if isinstance(one, Settled)] for key, found in parts.items()}
    return {key: joined(found) for key, found in counted.items() if len(found) == len(parts[key])}


def _durable(outcome: Settled | Exception, stored: bool) -> Settled | Exception:
    return replace(outcome, durable=stored) if isinstance(outcome, Settled) else outcome
