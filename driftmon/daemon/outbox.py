"""Outbox: reports in, notifications out.

Law: what a sink holds for firing is what the last report says. A transition is told once; an alert
that vanished without one (its rule, feature or stream was removed) is resolved; an alert that
outlived a restart is repeated to receivers that forget and not told again to those that do not.
Nobody hears of an alert before its `notify_from_ms`, by the stream's own clock; then of those that still fire.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from driftmon.daemon.deliveries import Deliveries, monotonic_ms, wall_ms
from driftmon.daemon.news import Debt, Owing, Progress
from driftmon.daemon.owed import Ledger
from driftmon.daemon.standing import WORLD, Standing
from driftmon.monitor.report import Report
from driftmon.monitor.rules import Change
from driftmon.render.alertmanager import firing, notice_of
from driftmon.render.notice import Notice
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
        self._external_labels = dict(external_labels)
        self._external_url = external_url
        self._wall = wall
        self._progress = progress
        self._taken, self._noted = 0, 0  # transitions; up to which the store was told
        self._paid: dict[Debt, None] = {}  # rows of sinks that are gone, since then

    def take(self, reports: Mapping[str, Report]) -> None:
        """Each report once, in order: its changes become debts, its firing alerts are kept fresh."""
        for stream, report in reports.items():
            with self._standing.changing(stream):
                told = self._tell_changes(stream, report.changes)
                held = self._tell_firing(report)
                for notice in held.values():
                    self.deliveries.each(Ledger.refresh, notice)
                self._resolve_lost(stream, held.keys() | told, report.now_ms)
                self._standing.firing[stream] = held
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
                self._tell_changes(stream, (change,))
                self._follow(stream, change)
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

    def _follow(self, stream: str, change: Change) -> None:
        """A transition taken a second time, without the report it was in."""
        notice = notice_of(change, self._external_labels, self._external_url)
        if notice is None:
            return
        held = self._standing.firing.setdefault(stream, {})
        held.pop(notice.fingerprint, None)
        if notice.status == "firing" and notice.fingerprint not in self._standing.quiet.get(stream, {}):
            held[notice.fingerprint] = notice

    def _forget_all_but(self, streams: Collection[str]) -> None:
        """What fired in streams that are gone is over."""
        for stream in self._standing.firing.keys() - set(streams):
            with self._standing.changing(stream):
                self._resolve_lost(stream, frozenset(), self._wall())
                del self._standing.firing[stream]
                self._standing.quiet.pop(stream, None)

    def _tell_changes(self, stream: str, changes: Sequence[Change]) -> set[str]:
        """Fingerprints of those told, with the values they had when they changed."""
        told = set()
        for change in changes:
            self._taken += 1
            notice = notice_of(change, self._external_labels, self._external_url)
            if notice is None:
                continue
            if change.at_ms < change.alert.notify_from_ms:
                self._standing.keep_quiet(stream, notice, change.alert.notify_from_ms)
                continue
            if (before := self._standing.quiet.get(stream, {}).pop(notice.fingerprint, None)) is not None:
                self.deliveries.each(Ledger.tell, before)
            self.deliveries.each(Ledger.tell, notice)
            told.add(notice.fingerprint)
        return told

    def _tell_firing(self, report: Report) -> dict[str, Notice]:
        """What the world knows or is told now to be firing. Those whose time has come are told as they fired."""
        standing = self._standing
        first = report.stream not in standing.firing
        waiting, held, quiet = standing.quiet.get(report.stream, {}), {}, {}
        for alert in report.alerts:
            notice = firing(alert, self._external_labels, self._external_url)
            if notice is None:
                continue
            key = notice.fingerprint
            if report.now_ms < alert.notify_from_ms:
                quiet[key] = waiting.get(key, notice)
                continue
            held[key] = notice
            # After a restart nobody remembers whether its time came before: a second notice is better than none.
            if key in waiting or (first and alert.since_ms < alert.notify_from_ms):
                self.deliveries.each(Ledger.tell, waiting.get(key, notice))
        standing.quiet[report.stream] = quiet
        return held

    def _resolve_lost(self, stream: str, known: Collection[str], at_ms: int) -> None:
        for key, notice in self._standing.firing.get(stream, {}).items():
            if key not in known:
                over = replace(notice, status="resolved", ends_ms=max(at_ms, notice.starts_ms))
                self.deliveries.each(Ledger.tell, over)
