"""Current: the running divergences of a monitor, made when first asked for and kept up with what waits.

Law: it is what a fresh one would be on the counts and the events that wait; after counts changed without it, it
starts afresh from them. Events that it has counted already are counted no second time: their counts are added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from driftmon.monitor.batch import Batch, Receipt
from driftmon.monitor.events import Events
from driftmon.monitor.ledger import Ledger
from driftmon.stats.columns import Column, Floats
from driftmon.stats.running import Running
from driftmon.stats.schema import Counts

FEW: Final = 16  # events are added one by one; more are counted first


class Current:
    """Events are added one by one, unless they may be late or have more than a value a feature.

    `watching`: others look at the events when they are counted, so each must be.
    """

    def __init__(self, events: Events, ledger: Ledger, pseudocount: float, event_time: bool, watching: bool) -> None:
        self._schema, self._pseudocount = ledger.schema, pseudocount
        self._events, self._waiting, self._ledger = events, events.waiting, ledger
        self._able = not event_time and all(feature.outcome is None for feature in self._schema.features)
        self._watching = watching
        self._running: Running | None = None
        self._reference: Floats | None = None
        self._stale = True
        self._seen = 0
        self._taken = np.zeros(0)

    def changed(self) -> None:
        """Counts changed otherwise than by the events that waited."""
        self._stale = True

    def take(self, now_ms: int | None, count: Callable[[Batch], Receipt]) -> None:
        """Count all that wait; without `now_ms` each has a time of its own."""
        try:
            if now_ms is None or (counts := self._counted()) is None:
                self._stale = True
                self._events.take(count, lambda: self._ledger.state)
            else:
                self._add(counts, now_ms)
        except BaseException:
            self._stale = True
            raise
        self._seen = 0

    def _counted(self) -> Counts | None:
        """int64[width] of the events that wait, if all are in it; None too where the reasons of a value are wanted."""
        if self._running is None or self._watching or not self._near:
            return None
        try:
            self._follow(self._running)
        except Exception:  # told when it is counted among the others
            return None
        counts = self._running.counts
        found: Counts = (counts - self._taken).astype(np.int64)
        if found[self._schema.special_bins("invalid")].any():
            return None
        self._taken = counts
        return found

    @property
    def _near(self) -> bool:
        """Whether it lacks a few events at most."""
        return self._able and not self._stale and len(self._waiting) - self._seen <= FEW

    def _follow(self, running: Running) -> None:
        waiting, self._stale = self._waiting, True  # until all are in it
        while self._seen < len(waiting):
            running.observe(waiting[self._seen])
            self._seen += 1
        self._stale = False

    def _add(self, counts: Counts, now_ms: int) -> None:
        schema, ledger = self._schema, self._ledger
        there = np.flatnonzero(np.add.reduceat(counts, schema.starts)).tolist()
        batch = Batch(len(self._waiting), {schema.names[at]: Column([]) for at in there if schema.skips[at]})
        ledger.add(now_ms // ledger.pane_ms if ledger.pane_ms else 0, counts)
        self._events.counted()
        ledger.note(batch, np.ones(batch.rows, dtype=np.bool_), now_ms)

    def running(self, reference: Floats, take: Callable[[], None]) -> Running:
        """With the events that still wait; `take` counts them, where they are many or one cannot be read."""
        if not self._near:
            take()
        running = self._running
        if running is None or reference is not self._reference:
            running = self._running = Running(self._schema, reference, self._pseudocount)
            self._reference, self._stale = reference, True
        if self._stale:
            self._taken = self._ledger.first_window().astype(np.float64)
            running.rebase(self._taken)
            self._seen = 0
        try:
            self._follow(running)
        except Exception:
            take()
            raise
        return running
