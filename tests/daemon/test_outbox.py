"""The outbox between real reports and sinks made for the test: what is told, to whom, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from driftmon.daemon.news import Owing
from driftmon.daemon.outbox import Outbox
from driftmon.daemon.settings import PluginSettings
from driftmon.daemon.sinks import build_sinks
from driftmon.monitor.quantities import QUANTITIES
from driftmon.monitor.report import Report
from driftmon.monitor.rules import Alert, Change, Rule, State
from driftmon.render.notice import Notice
from driftmon.render.own import Receiver
from driftmon.sinks import alertmanager, log
from driftmon.sinks.base import Reject, Retry
from driftmon.stats.schema import Schema

ALERT = Alert(Rule("Drift", "psi", 0.2), "s", "x", "fast", State.FIRING, since_ms=2000, active_ms=1000, value=0.3)
FIRED, RESOLVED = Change("firing", ALERT, 2000), Change("resolved", replace(ALERT, state=State.INACTIVE), 9000)


def report(alerts: Sequence[Alert] = (), changes: Sequence[Change] = (), stream: str = "s") -> Report:
    nothing = np.zeros((0, len(QUANTITIES), 0))
    return Report(stream, 10_000, Schema(()), (), nothing, (), {}, alerts=tuple(alerts), changes=tuple(changes))


class Recorder:
    """A sink that remembers and does as told: each outcome is raised once, then all is taken."""

    def __init__(self, resends: bool = False, outcomes: Sequence[Exception] = ()) -> None:
        self.resends = resends
        self.outcomes = list(outcomes)
        self.got: list[Notice] = []
        self.attempts = 0
        self.taken = asyncio.Event()
        self.closed = False

    async def send(self, alerts: Sequence[Notice], now_ms: int) -> None:
        self.attempts += 1
        if self.outcomes:
            raise self.outcomes.pop(0)
        self.got += alerts
        self.taken.set()

    async def close(self) -> None:
        self.closed = True

    def words(self) -> list[str]:
        return [notice.status for notice in self.got]


def outbox_of(labels: Mapping[str, str] | None = None, **sinks: Recorder) -> Outbox:
    return Outbox(sinks, labels or {}, wall=lambda: 50_000, monotonic=lambda: 0, jitter=lambda: 0.0)


def run(scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(scenario())


def test_a_transition_is_told_once_to_each_sink() -> None:
    async def scenario() -> None:
        hook, manager = Recorder(), Recorder(resends=True)
        outbox = outbox_of({"pod": "a"}, hook=hook, manager=manager)
        for changes in ([FIRED], [], []):
            outbox.take({"s": report([ALERT], changes)})
            await outbox.deliveries.drain(5)
        outbox.take({"s": report([], [RESOLVED])})
        await outbox.deliveries.drain(5)
        assert hook.words() == manager.words() == ["firing", "resolved"]
        assert hook.got[0].labels["pod"] == "a"
        assert hook.closed

    run(scenario)


def test_an_alert_restored_from_storage_is_news_only_to_a_receiver_that_forgets() -> None:
    async def scenario() -> None:
        hook, manager = Recorder(), Recorder(resends=True)
        outbox = outbox_of(hook=hook, manager=manager)
        outbox.take({"s": report([ALERT])})
        await outbox.deliveries.drain(5)
        assert (hook.words(), manager.words()) == ([], ["firing"])

    run(scenario)


def test_an_alert_whose_rule_was_removed_is_resolved() -> None:
    async def scenario() -> None:
        hook = Recorder()
        outbox = outbox_of(hook=hook)
        outbox.take({"s": report([ALERT], [FIRED])})
        outbox.take({"s": report()})
        await outbox.deliveries.drain(5)
        assert hook.words() == ["firing", "resolved"]
        assert hook.got[1].ends_ms == 10_000

    run(scenario)


def test_a_stream_that_a_reload_removed_has_its_alerts_resolved() -> None:
    async def scenario() -> None:
        hook, manager = Recorder(), Recorder(resends=True)
        before = outbox_of(hook=hook, manager=manager)
        before.take({"s": report([ALERT], [FIRED]), "t": report([replace(ALERT, stream="t")], [], "t")})
        await before.deliveries.drain(5)
        after = outbox_of(hook=hook, manager=manager)
        after.succeed(before, streams=["t"])
        await after.deliveries.drain(5)
        assert hook.words() == ["firing", "resolved"]
        assert [(one.status, one.labels["stream"]) for one in manager.got[2:]] == [("resolved", "s")]
        assert (before.deliveries.told.sent["hook"], after.deliveries.told.sent["hook"]) == (1, 2), "counters only grow"

    run(scenario)


def test_new_external_labels_resolve_the_alert_under_its_old_name() -> None:
    async def scenario() -> None:
        manager = Recorder(resends=True)
        before = outbox_of({"pod": "a"}, manager=manager)
        before.take({"s": report([ALERT], [FIRED])})
        await before.deliveries.drain(5)
        after = outbox_of({"pod": "b"}, manager=manager)
        after.succeed(before, streams=["s"])
        after.take({"s": report([ALERT])})
        await after.deliveries.drain(5)
        told = {(one.labels["pod"], one.status) for one in manager.got}
        assert told == {("a", "firing"), ("b", "firing"), ("a", "resolved")}

    run(scenario)


def test_debts_survive_a_reload() -> None:
    async def scenario() -> None:
        before = outbox_of(hook=Recorder(outcomes=[Retry("away")]))
        before.take({"s": report([ALERT], [FIRED])})
        await before.deliveries.attempt("hook", before.deliveries.ledgers["hook"].due(0))
        hook = Recorder()
        after = outbox_of(hook=hook)
        after.succeed(before, streams=["s"])
        await after.deliveries.drain(5)
        assert hook.words() == ["firing"]

    run(scenario)


@pytest.mark.parametrize("fault", [Retry("busy"), RuntimeError("a bug in the sink")])
def test_what_failed_is_tried_again_and_counted(fault: Exception) -> None:
    async def scenario() -> None:
        hook = Recorder(outcomes=[fault])
        outbox = outbox_of(hook=hook)
        task = asyncio.create_task(outbox.deliveries.run())
        outbox.take({"s": report([ALERT], [FIRED])})
        await asyncio.wait_for(hook.taken.wait(), 10)
        task.cancel()
        assert (hook.words(), outbox.deliveries.told.sent["hook"], outbox.deliveries.told.failed["hook"]) == (
            ["firing"],
            2,
            1,
        )

    run(scenario)


def test_a_refusal_is_counted_and_not_repeated() -> None:
    async def scenario() -> None:
        hook = Recorder()
        outbox = outbox_of(hook=hook)
        outbox.take({"s": report([ALERT], [FIRED])})
        (notice,) = outbox.deliveries.ledgers["hook"].due(0)
        hook.outcomes = [Reject("gone", [notice])]
        await outbox.deliveries.drain(5)
        assert (hook.attempts, hook.got, outbox.deliveries.told.failed["hook"]) == (1, [], 1)

    run(scenario)


def test_a_sink_that_hangs_delays_no_other() -> None:
    class Hanging(Recorder):
        async def send(self, alerts: Sequence[Notice], now_ms: int) -> None:
            await asyncio.Event().wait()

    async def scenario() -> None:
        hook = Recorder()
        outbox = outbox_of(slow=Hanging(), hook=hook)
        task = asyncio.create_task(outbox.deliveries.run())
        outbox.take({"s": report([ALERT], [FIRED])})
        await asyncio.wait_for(hook.taken.wait(), 10)
        task.cancel()
        await outbox.deliveries.drain(0.01)
        assert hook.words() == ["firing"]
        assert hook.closed

    run(scenario)


def test_the_counters_are_there_before_the_first_notification() -> None:
    async def scenario() -> None:
        families = {
            family.metric.name: dict(family.samples) for family in outbox_of(hook=Recorder()).deliveries.told.families()
        }
        assert families == {
            "driftmon_alert_notifications_total": {("hook",): 0.0},
            "driftmon_alert_notifications_failed_total": {("hook",): 0.0},
        }

    run(scenario)


def test_sinks_of_one_type_are_numbered() -> None:
    async def scenario() -> None:
        manager = PluginSettings("alertmanager", alertmanager.Options("http://127.0.0.1:9093"))
        sinks = build_sinks([PluginSettings("log", log.Options()), manager, manager])
        assert list(sinks) == ["log", "alertmanager", "alertmanager-2"]
        for sink in sinks.values():
            await sink.close()

    run(scenario)


QUIET = replace(ALERT, notify_from_ms=12_000)
QUIET_FIRED = Change("firing", QUIET, 2000)


def later(one: Report, now_ms: int) -> Report:
    return replace(one, now_ms=now_ms)


def test_nobody_hears_of_an_alert_before_its_time_and_then_of_what_still_fires(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        hook, manager = Recorder(), Recorder(resends=True)
        outbox = outbox_of(hook=hook, manager=manager)
        outbox.take({"s": report([QUIET], [QUIET_FIRED])})
        outbox.take({"s": later(report([QUIET]), 11_999)})
        await outbox.deliveries.drain(5)
        assert hook.words() == manager.words() == []
        outbox.take({"s": later(report([replace(QUIET, value=0.9)]), 12_000)})
        outbox.take({"s": later(report([QUIET]), 13_000)})
        await outbox.deliveries.drain(5)
        assert hook.words() == manager.words() == ["firing"]
        assert hook.got[0].annotations["value"] == "0.3", "as it fired"

    with caplog.at_level("INFO", "driftmon.outbox"):
        run(scenario)
    (said,) = [record.message for record in caplog.records]
    assert said.startswith("alert would have fired, nobody is told before 1970-01-01T00:00:12.000Z: alertname=Drift")


def test_what_was_over_before_its_time_is_never_told() -> None:
    async def scenario() -> None:
        hook, manager = Recorder(), Recorder(resends=True)
        outbox = outbox_of(hook=hook, manager=manager)
        outbox.take({"s": report([QUIET], [QUIET_FIRED])})
        gone = Change("resolved", replace(QUIET, state=State.INACTIVE), 11_000)
        outbox.take({"s": later(report([], [gone]), 13_000)})
        outbox.take({"s": later(report(), 14_000)})
        await outbox.deliveries.drain(5)
        assert hook.words() == manager.words() == []

    run(scenario)


@pytest.mark.parametrize("reports", [1, 2])
def test_what_fired_before_its_time_and_ended_after_it_is_told_both_ways(reports: int) -> None:
    async def scenario() -> None:
        hook = Recorder()
        outbox = outbox_of(hook=hook)
        gone = Change("resolved", replace(QUIET, state=State.INACTIVE), 12_500)
        if reports == 2:
            outbox.take({"s": report([QUIET], [QUIET_FIRED])})
            outbox.take({"s": later(report([], [gone]), 13_000)})
        else:
            outbox.take({"s": later(report([], [QUIET_FIRED, gone]), 13_000)})
        await outbox.deliveries.drain(5)
        assert hook.words() == ["firing", "resolved"]

    run(scenario)


def test_a_quiet_alert_that_vanishes_leaves_nothing_behind() -> None:
    async def scenario() -> None:
        hook = Recorder()
        outbox = outbox_of(hook=hook)
        outbox.take({"s": report([QUIET], [QUIET_FIRED])})
        outbox.take({"s": report()})
        outbox.take({"s": later(report(), 13_000)})
        await outbox.deliveries.drain(5)
        assert hook.words() == []

    run(scenario)


def test_the_quiet_time_goes_on_through_a_reload_and_a_restart() -> None:
    async def scenario() -> None:
        before, hook, restarted = outbox_of(hook=Recorder()), Recorder(), Recorder()
        before.take({"s": report([QUIET], [QUIET_FIRED])})
        after = outbox_of(hook=hook)
        after.succeed(before, streams=["s"])
        after.take({"s": later(report([QUIET]), 12_000)})
        await after.deliveries.drain(5)
        assert hook.words() == ["firing"]
        fresh = outbox_of(hook=restarted)
        fresh.take({"s": report([QUIET])})
        fresh.take({"s": later(report([QUIET]), 12_000)})
        await fresh.deliveries.drain(5)
        assert restarted.words() == ["firing"]

    run(scenario)


def test_a_time_that_came_while_the_daemon_was_down_is_not_missed() -> None:
    async def scenario() -> None:
        hook = Recorder()
        outbox = outbox_of(hook=hook)
        for now_ms in (12_000, 13_000):
            outbox.take({"s": later(report([QUIET]), now_ms)})
        await outbox.deliveries.drain(5)
        assert hook.words() == ["firing"]

    run(scenario)


def test_a_notice_has_the_value_of_the_moment_it_fired() -> None:
    """An hour of event time may pass in one tick: by then the alert's newest value can be below the threshold."""

    async def scenario() -> None:
        hook, manager = Recorder(), Recorder(resends=True)
        outbox = outbox_of(hook=hook, manager=manager)
        outbox.take({"s": report([replace(ALERT, value=0.01)], [FIRED])})
        outbox.take({"s": report([replace(ALERT, value=0.02)])})
        await outbox.deliveries.drain(5)
        assert [one.annotations["value"] for one in (*hook.got, *manager.got)] == ["0.3", "0.3"]

    run(scenario)


def test_a_pending_alert_is_news_to_nobody() -> None:
    async def scenario() -> None:
        pending = replace(ALERT, state=State.PENDING)
        change = Change("pending", pending, 1000)
        for resends in (True, False):
            hook = Recorder(resends)
            outbox = outbox_of(hook=hook)
            outbox.restore(Owing(changes=(change,)), ["s"])
            outbox.take({"s": report([pending], [change])})
            await outbox.deliveries.drain(5)
            assert hook.got == []

    run(scenario)


def test_people_see_why_the_last_attempt_of_a_receiver_failed() -> None:
    """The page had counts alone: who saw "failed 3" had to look for the log. Unknown faults may hold a secret."""

    async def scenario() -> None:
        hook = Recorder(outcomes=[Retry("503 of http://hook"), ValueError("https://hook/secret")])
        outbox = outbox_of(hook=hook)
        told = []
        for _ in range(3):
            await outbox.deliveries.attempt("hook", [])
            told.append(outbox.deliveries.receivers()[0])
        assert [one.trouble for one in told] == ["503 of http://hook", "ValueError", ""]
        assert all(one.tried_ms for one in told)
        after = outbox_of(hook=hook)
        assert not after.deliveries.receivers()[0].tried_ms
        after.succeed(outbox, ["s"])
        assert after.deliveries.receivers() == told[2:]

    run(scenario)


def test_a_receiver_of_another_kind_takes_over_no_debts() -> None:
    async def scenario() -> None:
        before, after = outbox_of(hook=Recorder(resends=True)), outbox_of(hook=Recorder(resends=False))
        before.take({"s": report([ALERT], [FIRED])})
        assert before.deliveries.receivers() == [Receiver("hook", 0, 0, 1)]
        after.succeed(before, ["s"])
        assert after.deliveries.receivers() == [Receiver("hook", 0, 0, 0)]

    run(scenario)
