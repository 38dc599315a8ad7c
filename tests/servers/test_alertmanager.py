"""The round trip: counts -> rule -> outbox -> a real Alertmanager -> its webhook, firing and resolved."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import numpy as np

from driftmon.daemon.outbox import Outbox
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.references import reference_of
from driftmon.monitor.report import Report
from driftmon.monitor.rules import Calibrated, Rule
from driftmon.render.notice import Notice
from driftmon.sinks.alertmanager import Options, Sink
from tests.servers.helpers import Inbox, get_json, until

MINUTE_MS = 60_000
NASTY = 'a"b\\c\nd'


@contextmanager
def outbox_for(url: str) -> Iterator[Any]:
    """An outbox in a loop of its own, as in the daemon; gives a function that hands it a report."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()

    async def build() -> tuple[Outbox, asyncio.Task[None]]:
        outbox = Outbox({"alertmanager": Sink(Options(url))}, {"pod": "test-0"}, "http://driftmon.example")
        return outbox, asyncio.create_task(outbox.deliveries.run())

    async def end(outbox: Outbox, task: asyncio.Task[None]) -> None:
        task.cancel()
        await outbox.deliveries.drain(5)

    outbox, task = asyncio.run_coroutine_threadsafe(build(), loop).result()
    yield lambda report: loop.call_soon_threadsafe(outbox.take, {report.stream: report})
    asyncio.run_coroutine_threadsafe(end(outbox, task), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def drift_and_recovery() -> tuple[Report, Report]:
    """A monitor on today's clock that drifts now and has recovered ten minutes later."""
    now_ms = time.time_ns() // 1_000_000 - 30 * MINUTE_MS
    draw = np.random.default_rng(5)
    columns = {NASTY: draw.normal(size=400)}
    rule = Rule("DriftmonFeatureDrift", "kl_divergence_debiased", 0.1, min_observations=10)
    monitor = Monitor(reference_of(columns), (Window.sliding("fast", 5 * MINUTE_MS),), (rule,), stream="flights")
    monitor.observe_columns({NASTY: columns[NASTY] + 3}, now_ms)
    drifted = monitor.tick(now_ms)
    monitor.observe_columns(columns, now_ms + 10 * MINUTE_MS)
    return drifted, monitor.tick(now_ms + 10 * MINUTE_MS)


def test_an_alert_fires_and_resolves_through_a_real_alertmanager(alertmanager_url: str, inbox: Inbox) -> None:
    drifted, recovered = drift_and_recovery()
    with outbox_for(alertmanager_url) as take:
        take(drifted)
        firing = inbox.next("firing")
        (held,) = get_json(f"{alertmanager_url}/api/v2/alerts")
        take(recovered)
        resolved = inbox.next("resolved")
    (alert,) = firing["alerts"]
    assert alert["labels"] == {
        "alertname": "DriftmonFeatureDrift",
        "stream": "flights",
        "feature": NASTY,
        "window": "fast",
        "severity": "warning",
        "pod": "test-0",
    }
    assert alert["annotations"]["top_bins"].count("nats") == 3
    assert alert["generatorURL"].startswith("http://driftmon.example/features/flights/a%22b")
    assert alert["fingerprint"] == held["fingerprint"] == Notice("firing", alert["labels"]).fingerprint
    assert resolved["alerts"][0]["fingerprint"] == alert["fingerprint"]
    assert resolved["alerts"][0]["startsAt"] == alert["startsAt"]


def test_a_repeated_report_notifies_once(alertmanager_url: str, inbox: Inbox) -> None:
    drifted, recovered = drift_and_recovery()
    with outbox_for(alertmanager_url) as take:
        for _ in range(3):
            take(drifted)
        inbox.next("firing")
        take(recovered)
        inbox.next("resolved")
    assert [body["status"] for body in inbox.bodies] == ["firing", "resolved"]


def test_one_poison_alert_does_not_keep_the_others_from_a_real_alertmanager(alertmanager_url: str) -> None:
    """Alertmanager answers 400 to a whole batch for one label it dislikes; only that one is lost."""
    good = [Notice("firing", {"alertname": name}, {}, 1000) for name in "abc"]
    empty = Notice("firing", {}, {}, 1000)  # no labels at all: a 400 that we do not foresee

    async def send() -> list[Notice]:
        sink = Sink(Options(alertmanager_url))
        try:
            await sink.send([good[0], empty, *good[1:]], time.time_ns() // 1_000_000)
        except Exception as rejected:
            return list(rejected.refused)  # type: ignore[attr-defined]
        finally:
            await sink.close()
        return []

    assert asyncio.run(send()) == [empty]
    names = until(
        "three alerts", lambda: sorted(a["labels"]["alertname"] for a in get_json(f"{alertmanager_url}/api/v2/alerts"))
    )
    assert names == ["a", "b", "c"]


def test_an_alert_per_stream_arrives_without_feature_and_with_its_evidence(alertmanager_url: str, inbox: Inbox) -> None:
    first_ms = time.time_ns() // (MINUTE_MS * 1_000_000) * MINUTE_MS - 30 * MINUTE_MS
    draw = np.random.default_rng(6)
    rule = Rule(
        "DriftmonDrift", "kl_divergence_debiased", 0.1, calibrated=Calibrated(0.1, 30 * 86_400_000), per="stream"
    )
    reference = reference_of({"amount": draw.normal(size=5000)})
    monitor = Monitor(reference, (Window.sliding("fast", 60 * MINUTE_MS),), (rule,), stream="payments")
    for minute in range(20):
        monitor.observe_columns({"amount": draw.normal(2.0, size=100)}, first_ms + minute * MINUTE_MS)
    report = monitor.tick(first_ms + 20 * MINUTE_MS)
    with outbox_for(alertmanager_url) as take:
        take(report)
        (alert,) = inbox.next("firing")["alerts"]
    labels = {"alertname": "DriftmonDrift", "stream": "payments", "window": "fast", "severity": "warning"}
    assert alert["labels"] == {**labels, "pod": "test-0"}
    assert alert["annotations"]["features"] == "amount"
    assert alert["annotations"]["evidence"].startswith("a false alarm this strong happens at most once in ")
