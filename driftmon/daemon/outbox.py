"""Outbox: reports in, notifications out, one task per sink, so that a slow receiver delays nobody.

Law: what a sink holds for firing is what the last report says. A transition is told once; an alert
that vanished without one (its rule, feature or stream was removed) is resolved; an alert that
outlived a restart is repeated to receivers that forget and not told again to those that do not.
Nobody hears of an alert before its `notify_from_ms`, by the stream's own clock; then of those that still fire.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from driftmon import plugins
from driftmon.daemon.news import Debt, Owing, Progress
from driftmon.daemon.owed import Ledger
from driftmon.daemon.settings import PluginSettings
from driftmon.monitor.report import Report
from driftmon.monitor.rules import Change
from driftmon.render.alert_words import iso
from driftmon.render.alertmanager import firing, notice_of
from driftmon.render.catalogue import METRICS
from driftmon.render.notice import Notice
from driftmon.render.openmetrics import Family
from driftmon.render.pages.alerts import Receiver
from driftmon.sinks.base import Reject, Retry, Sink

WORLD: Final = ""  # the target of rows that say what anybody knows; no sink has this name

log: Final = logging.getLogger("driftmon.outbox")


def wall_ms() -> int:
    """For what receivers read."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """For when to send: a wall clock that is set back must not hold notifications for an hour."""
    return time.monotonic_ns() // 1_000_000


def build_sinks(settings: Sequence[PluginSettings]) -> dict[str, Sink]:
    """Sinks by the name their metrics carry: the type, numbered from the second of its kind."""
    sinks: dict[str, Sink] = {}
    for one in settings:
        times = sum(other.type == one.type for other in settings[: len(sinks)])
        name = f"{one.type}-{times + 1}" if times else one.type
        sinks[name] = plugins.load("sinks", one.type).Sink(one.options)
    return sinks


class Outbox:
    """Lives in the event loop: `take` each published report, `run` as a task, `drain` at the end."""

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
        self._sinks = dict(sinks)
        self._external_labels = dict(external_labels)
        self._external_url = external_url
        self._wall, self._monotonic, self._jitter = wall, monotonic, jitter
        self._ledgers = {name: Ledger(sink.resends) for name, sink in sinks.items()}
        self._wake = {name: asyncio.Event() for name in sinks}
        self._firing: dict[str, dict[str, Notice]] = {}
        self._quiet: dict[str, dict[str, Notice]] = {}  # fired before their time, by stream and fingerprint
        self._progress = progress
        self._taken, self._noted = 0, 0  # transitions; up to which the store was told
        self._changed: dict[Debt, Any] = {}  # rows of what is told, since then
        self.sent: Counter[str] = Counter(dict.fromkeys(sinks, 0))
        self.failed: Counter[str] = Counter(dict.fromkeys(sinks, 0))

    def take(self, reports: Mapping[str, Report]) -> None:
        """Each report once, in order: its changes become debts, its firing alerts are kept fresh."""
        for stream, report in reports.items():
            before = self._standing(stream)
            told = self._tell_changes(stream, report.changes)
            held = self._tell_firing(report)
            for notice in held.values():
                self._each(Ledger.refresh, notice)
            self._resolve_lost(stream, held.keys() | told, report.now_ms)
            self._firing[stream] = held
            self._note_standing(stream, before)
        self._note()
        self._wake_all()

    def restore(self, owing: Owing, streams: Collection[str]) -> None:
        """Go on where an earlier process stopped; before the first report. Nothing where there is no past."""
        if owing == Owing():
            return
        self._firing = {stream: {} for stream in streams}
        now_ms, shift_ms = self._monotonic(), self._wall() - self._monotonic()
        for (target, key), row in owing.owed.items():
            if target == WORLD:
                kind = self._quiet if row["quiet"] else self._firing
                kind.setdefault(row["stream"], {})[row["fingerprint"]] = msgspec.convert(row["notice"], Notice)
            elif target in self._ledgers:
                self._ledgers[target].restore(key, row, now_ms, shift_ms)
            else:
                self._changed[target, key] = None  # a sink that is gone
        self._taken = owing.taken
        for change in owing.changes:
            stream = change.alert.stream
            before = self._standing(stream)
            self._tell_changes(stream, (change,))
            self._follow(stream, change)
            self._note_standing(stream, before)
        for stream in self._firing.keys() - set(streams):
            self._forget(stream)
        self._note()

    def succeed(self, old: Outbox, streams: Collection[str]) -> None:
        """After a reload: go on with the debts of sinks that stay, tell new ones what fires, resolve what is gone."""
        for name in self._sinks.keys() & old._sinks.keys():
            if self._ledgers[name].resends == old._ledgers[name].resends:
                self._ledgers[name] = old._ledgers[name]
            self.sent[name], self.failed[name] = old.sent[name], old.failed[name]
        for name, ledger in old._ledgers.items():
            if self._ledgers.get(name) is not ledger:
                self._changed |= dict.fromkeys(((name, key) for key in ledger.fingerprints()), None)
        self._taken = old._taken
        self._firing, self._quiet = dict(old._firing), {name: old._quiet.get(name, {}) for name in streams}
        for stream in old._quiet.keys() - set(streams):
            self._changed |= {_row_of(stream, key): None for key in old._quiet[stream]}
        for stream in self._firing.keys() - set(streams):
            self._forget(stream)
        for notices in self._firing.values():
            for notice in notices.values():
                self._each(Ledger.refresh, notice)
        self._note()
        self._wake_all()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name in self._sinks:
                tasks.create_task(self._serve(name), name=f"sink {name}")

    async def drain(self, timeout_s: float) -> None:
        """Try what is due once more, then close the sinks; call it when `run` has been cancelled."""
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*(self._send_due(name) for name in self._sinks))
        except TimeoutError:
            owed = sum(len(ledger.due(self._monotonic())) for ledger in self._ledgers.values())
            log.warning("%d notifications could not be sent before the end", owed)
        await self.close()

    async def close(self) -> None:
        for sink in self._sinks.values():
            await sink.close()

    def receivers(self) -> list[Receiver]:
        """Who is told, for people."""
        return [
            Receiver(name, self.sent[name], self.failed[name], len(ledger)) for name, ledger in self._ledgers.items()
        ]

    def families(self) -> Iterator[Family]:
        """The two counters of notifications."""
        for name, counter in (("total", self.sent), ("failed_total", self.failed)):
            metric = METRICS[f"driftmon_alert_notifications_{name}"]
            yield Family(metric, [((sink,), float(count)) for sink, count in sorted(counter.items())])

    def totals(self) -> dict[tuple[str, str, tuple[str, ...]], int]:
        """The same by name and sink, of no stream, for the store; from the pump's thread."""
        counters = {"sent": dict(self.sent), "failed": dict(self.failed)}
        return {("", name, (sink,)): times for name, counter in counters.items() for sink, times in counter.items()}

    def restore_totals(self, totals: Mapping[tuple[str, str, tuple[str, ...]], int]) -> None:
        """Go on where an earlier process stopped, for sinks there still are."""
        for name, counter in (("sent", self.sent), ("failed", self.failed)):
            for sink in self._sinks:
                counter[sink] += totals.get(("", name, (sink,)), 0)

    def _standing(self, stream: str) -> dict[str, bool]:
        """By fingerprint, whether it is quiet: what the world knows, or is not to know yet."""
        quiet, held = self._quiet.get(stream, {}), self._firing.get(stream, {})
        return dict.fromkeys(held, False) | dict.fromkeys(quiet, True)

    def _note_standing(self, stream: str, before: Mapping[str, bool]) -> None:
        now = self._standing(stream)
        for key in before.keys() - now.keys():
            self._changed[_row_of(stream, key)] = None
        for key, quiet in now.items():
            if before.get(key) is not quiet:
                notice = (self._quiet if quiet else self._firing)[stream][key]
                told = {"stream": stream, "fingerprint": key, "quiet": quiet, "notice": msgspec.to_builtins(notice)}
                self._changed[_row_of(stream, key)] = told

    def _note(self) -> None:
        """Tell the store what changed since the last time, if anything did."""
        shift_ms = self._wall() - self._monotonic()
        for name, ledger in self._ledgers.items():
            self._changed |= {(name, key): ledger.row(key, shift_ms) for key in ledger.touched}
            ledger.touched.clear()
        if self._progress is not None and (self._changed or self._taken != self._noted):
            self._progress(Progress(self._taken, self._changed))
        self._changed, self._noted = {}, self._taken

    def _follow(self, stream: str, change: Change) -> None:
        """A transition taken a second time, without the report it was in."""
        notice = notice_of(change, self._external_labels, self._external_url)
        if notice is None:
            return
        held = self._firing.setdefault(stream, {})
        held.pop(notice.fingerprint, None)
        if notice.status == "firing" and notice.fingerprint not in self._quiet.get(stream, {}):
            held[notice.fingerprint] = notice

    def _forget(self, stream: str) -> None:
        """A stream that is gone: what fired there is over."""
        before = self._standing(stream)
        self._resolve_lost(stream, frozenset(), self._wall())
        del self._firing[stream]
        self._quiet.pop(stream, None)
        self._note_standing(stream, before)

    def _tell_changes(self, stream: str, changes: Sequence[Change]) -> set[str]:
        """Fingerprints of those told, with the values they had when they changed."""
        told = set()
        for change in changes:
            self._taken += 1
            notice = notice_of(change, self._external_labels, self._external_url)
            if notice is None:
                continue
            waiting = self._quiet.setdefault(stream, {})
            if change.at_ms < change.alert.notify_from_ms:
                _keep_quiet(waiting, notice, change.alert.notify_from_ms)
                continue
            if (before := waiting.pop(notice.fingerprint, None)) is not None:
                self._each(Ledger.tell, before)
            self._each(Ledger.tell, notice)
            told.add(notice.fingerprint)
        return told

    def _tell_firing(self, report: Report) -> dict[str, Notice]:
        """What the world knows or is told now to be firing. Those whose time has come are told as they fired."""
        first = report.stream not in self._firing
        waiting, held, quiet = self._quiet.get(report.stream, {}), {}, {}
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
                self._each(Ledger.tell, waiting.get(key, notice))
        self._quiet[report.stream] = quiet
        return held

    def _resolve_lost(self, stream: str, known: Collection[str], at_ms: int) -> None:
        for key, notice in self._firing.get(stream, {}).items():
            if key not in known:
                self._each(Ledger.tell, replace(notice, status="resolved", ends_ms=max(at_ms, notice.starts_ms)))

    def _each(self, verb: Callable[[Ledger, Notice, int], None], notice: Notice) -> None:
        for ledger in self._ledgers.values():
            verb(ledger, notice, self._monotonic())

    def _wake_all(self) -> None:
        for event in self._wake.values():
            event.set()

    async def _serve(self, name: str) -> None:
        while True:
            self._wake[name].clear()
            await self._send_due(name)
            next_ms = self._ledgers[name].next_ms()
            wait_s = None if next_ms is None else max(0, next_ms - self._monotonic()) / 1000
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake[name].wait()
            except TimeoutError:
                continue

    async def _send_due(self, name: str) -> None:
        while batch := self._ledgers[name].due(self._monotonic()):
            await self._send(name, batch)

    async def _send(self, name: str, batch: Sequence[Notice]) -> None:
        """One attempt, and what became of it. A sink that breaks is a receiver that is away."""
        ledger = self._ledgers[name]
        self.sent[name] += len(batch)
        try:
            await self._sinks[name].send(batch, self._wall())
        except Reject as rejected:
            self.failed[name] += len(rejected.refused)
            log.error("sink %s refused %d notifications for good: %s", name, len(rejected.refused), rejected)
            ledger.refuse(rejected.refused)
            ledger.settle(batch, self._monotonic())
        except Exception as fault:
            self.failed[name] += len(batch)
            log.warning(
                "sink %s: %d notifications will be retried: %s", name, len(batch), fault or type(fault).__name__
            )
            ledger.fail(self._monotonic(), fault.after_s if isinstance(fault, Retry) else None, self._jitter())
        else:
            ledger.settle(batch, self._monotonic())
        self._note()


def _row_of(stream: str, fingerprint: str) -> Debt:
    return WORLD, json.dumps([stream, fingerprint])


def _keep_quiet(waiting: dict[str, Notice], notice: Notice, notify_from_ms: int) -> None:
    """The operator still sees in the log what the rule would have done."""
    if notice.status == "resolved":
        waiting.pop(notice.fingerprint, None)
        return
    waiting[notice.fingerprint] = notice
    labels = " ".join(f"{name}={text}" for name, text in notice.labels.items())
    log.info("alert would have fired, nobody is told before %s: %s", iso(notify_from_ms), labels)
