"""Outbox: reports in, notifications out.

Law: what a sink holds for firing is what the last report says. A transition is told once; an alert
that vanished without one (its rule, feature or stream was removed) is resolved; an alert that
outlived a restart is repeated to receivers that forget and not told again to those that do not.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from typing import Any

from driftmon.daemon.deliveries import Deliveries, monotonic_ms, wall_ms
from driftmon.daemon.news import Debt, Owing, Progress
from driftmon.daemon.owed import Ledger
from driftmon.daemon.standing import WORLD, Standing
from driftmon.daemon.telling import Telling
from driftmon.monitor.report import Report
from driftmon.sinks.base import Sink


class Outbox:
    """Lives in the event loop: `take` each published report; `deliveries` are who sends."""

    def __init__(
        self,
        sinks: Mapping[str, Sink],
        external_labels: Mapping[str, str],
        external_url: str = "",
        *,
        wall: Callable[[], int] = wall_ms,
        monotonic: Callable[[], int] = monotonic_ms,
        jitter: Callable[[], float] = random.random,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.deliveries = Deliveries(sinks, self._note, wall, monotonic, jitter)
        self._standing = Standing()
        self._telling = Telling(self.deliveries, self._standing, external_labels, external_url)
        self._wall = wall
        self._progress = progress
        self._taken, self._noted = 0, 0  # transitions; up to which the store was told
        self._paid: dict[Debt, None] = {}  # rows of sinks that are gone, since then

    def take(self, reports: Mapping[str, Report]) -> None:
        """Each report once, in order: its changes become debts, its firing alerts are kept fresh."""
        for stream, report in reports.items():
            with self._standing.changing(stream):
                self._taken += len(report.changes)
                self._telling.report(report)
        self._note()
        self.deliveries.wake()

    def restore(self, owing: Owing, streams: Collection[str]) -> None:
        """Go on where an earlier process stopped; before the first report. Nothing where there is no past."""
        if owing == Owing():
            return
        self._standing.firing = {stream: {} for stream in streams}
        for (target, key), row in owing.owed.items():
            if target == WORLD:
                self._standing.restore(row)
            elif not self.deliveries.restore(target, key, row):
                self._paid[target, key] = None
        self._taken = owing.taken
        for change in owing.changes:
            stream = change.alert.stream
            with self._standing.changing(stream):
                self._taken += 1
                self._telling.again(stream, change)
        self._forget_all_but(streams)
        self._note()

    def succeed(self, old: Outbox, streams: Collection[str]) -> None:
        """After a reload: go on with the debts of sinks that stay, tell new ones what fires, resolve what is gone."""
        self._paid |= dict.fromkeys(self.deliveries.succeed(old.deliveries))
        self._taken = old._taken
        self._standing.succeed(old._standing, streams)
        self._forget_all_but(streams)
        for notices in self._standing.firing.values():
            for notice in notices.values():
                self.deliveries.each(Ledger.refresh, notice)
        self._note()
        self.deliveries.wake()

    def _note(self) -> None:
        """Tell the store what changed since the last time, if anything did."""
        changed: dict[Debt, Any] = {**self._paid, **self._standing.rows(), **self.deliveries.rows()}
        if self._progress is not None and (changed or self._taken != self._noted):
            self._progress(Progress(self._taken, changed))
        self._paid, self._noted = {}, self._taken

    def _forget_all_but(self, streams: Collection[str]) -> None:
        """What fired in streams that are gone is over."""
        for stream in self._standing.firing.keys() - set(streams):
            with self._standing.changing(stream):
                self._telling.lost(stream, frozenset(), self._wall())
                del self._standing.firing[stream]
                self._standing.quiet.pop(stream, None)
