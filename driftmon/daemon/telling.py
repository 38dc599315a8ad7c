"""Telling: what the world is to hear of a stream's transitions, its firing alerts, and those that vanished.

Law: a transition is told once. Nobody hears of an alert before its `notify_from_ms`, by the stream's own clock; then
of those that still fire, as they fired.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from driftmon.daemon.deliveries import Deliveries
from driftmon.daemon.owed import Ledger
from driftmon.daemon.standing import Standing
from driftmon.monitor.report import Report
from driftmon.monitor.rules import Change
from driftmon.render.alertmanager import firing, notice_of
from driftmon.render.notice import Notice


class Telling:
    """Makes debts of `deliveries`; what stands is in `standing`, within whose `changing` it is called."""

    def __init__(
        self, deliveries: Deliveries, standing: Standing, external_labels: Mapping[str, str], external_url: str
    ) -> None:
        self._deliveries, self._standing = deliveries, standing
        self._external_labels = dict(external_labels)
        self._external_url = external_url

    def report(self, report: Report) -> None:
        """Its changes become debts, its firing alerts are kept fresh."""
        told = {key for change in report.changes if (key := self.change(report.stream, change))}
        held = self._firing(report)
        for notice in held.values():
            self._deliveries.each(Ledger.refresh, notice)
        self.lost(report.stream, held.keys() | told, report.now_ms)
        self._standing.firing[report.stream] = held

    def again(self, stream: str, change: Change) -> None:
        """A transition taken a second time, without the report it was in."""
        self.change(stream, change)
        notice = notice_of(change, self._external_labels, self._external_url)
        if notice is None:
            return
        held = self._standing.firing.setdefault(stream, {})
        held.pop(notice.fingerprint, None)
        if notice.status == "firing" and notice.fingerprint not in self._standing.quiet.get(stream, {}):
            held[notice.fingerprint] = notice

    def lost(self, stream: str, known: Collection[str], at_ms: int) -> None:
        """What fired and is not among the known is over."""
        for key, notice in self._standing.firing.get(stream, {}).items():
            if key not in known:
                over = replace(notice, status="resolved", ends_ms=max(at_ms, notice.starts_ms))
                self._deliveries.each(Ledger.tell, over)

    def change(self, stream: str, change: Change) -> str:
        """The fingerprint of what was told, with the value that it had when it changed; empty where nobody hears."""
        notice = notice_of(change, self._external_labels, self._external_url)
        if notice is None:
            return ""
        if change.at_ms < change.alert.notify_from_ms:
            self._standing.keep_quiet(stream, notice, change.alert.notify_from_ms)
            return ""
        if (before := self._standing.quiet.get(stream, {}).pop(notice.fingerprint, None)) is not None:
            self._deliveries.each(Ledger.tell, before)
        self._deliveries.each(Ledger.tell, notice)
        return notice.fingerprint

    def _firing(self, report: Report) -> dict[str, Notice]:
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
                self._deliveries.each(Ledger.tell, waiting.get(key, notice))
        standing.quiet[report.stream] = quiet
        return held
