"""Current: the running divergences of a monitor, made when first asked for and kept up with what waits.

Law: it is what a fresh one would be on the counts and the events that wait; after counts changed without it, it
starts afresh from them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from driftmon.monitor.batch import Batch, Receipt
from driftmon.monitor.events import Coder, Events
from driftmon.monitor.ledger import Ledger
from driftmon.stats.columns import Floats
from driftmon.stats.running import Running
from driftmon.stats.schema import Schema

FEW: Final = 16  # events are added one by one; more are counted first


class Current:
    """`able`: whether events can be added one by one; not where they may be late."""

    def __init__(self, schema: Schema, pseudocount: float, event_time: bool) -> None:
        self._schema, self._pseudocount = schema, pseudocount
        self._coder = Coder(schema)
        self._able = self._coder.able and not event_time
        self._running: Running | None = None
        self._reference: Floats | None = None
        self._stale = True
        self._seen = 0

    def changed(self) -> None:
        """Counts changed otherwise than by the events that waited."""
        self._stale = True

    def take(self, events: Events, ledger: Ledger, count: Callable[[Batch], Receipt]) -> None:
        """Count all that wait."""
        waiting = len(events.waiting)
        try:
            events.take(count, lambda: ledger.state)
        except BaseException:
            self._stale = True
            raise
        self._stale, self._seen = self._stale or self._seen < waiting, 0

    def running(self, events: Events, ledger: Ledger, reference: Floats, take: Callable[[], None]) -> Running:
        """With the events that still wait; `take` counts them, where they are many or one cannot be read."""
        if self._stale or not self._able or len(events.waiting) - self._seen > FEW:
            take()
        if self._running is None or reference is not self._reference:
            self._running, self._reference = Running(self._schema, reference, self._pseudocount), reference
            self._stale = True
        if self._stale:
            self._running.rebase(ledger.first_window().astype(np.float64))
            self._stale, self._seen = False, 0
        try:
            for event in events.waiting[self._seen :]:
                self._running.add_each(self._coder.codes(event))
                self._seen += 1
        except Exception:
            take()
            raise
        return self._running
