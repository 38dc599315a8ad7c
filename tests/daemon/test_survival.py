"""What must outlive a process besides counts: debts to receivers, clocks, counters, the rows of a warm-up."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmon.daemon.config import load
from driftmon.daemon.gathering import Rows, Warming, packed_rows, unpacked_rows
from driftmon.daemon.news import News, Owing, Progress, merged
from driftmon.daemon.outbox import Outbox
from driftmon.daemon.owed import BACKOFF, RESOLVED_RETENTION_MS, Ledger
from driftmon.daemon.settings import Limits
from driftmon.daemon.store import Store
from driftmon.daemon.streams import Saved, Stream
from driftmon.daemon.telemetry import Telemetry
from driftmon.monitor.batch import Batch
from driftmon.render.alertmanager import RESEND_MS
from driftmon.render.notice import Notice
from driftmon.sinks.base import Reject, Retry
from driftmon.sources.base import Block, Settled
from driftmon.stats.columns import Column
from driftmon.stats.edges import FeatureSpec
from tests.daemon.kit import ndjson, ready_config, records, stream, write_config
from tests.daemon.test_app import Daemon, started
from tests.daemon.test_outbox import ALERT, FIRED, RESOLVED, Recorder, report
from tests.daemon.test_streams import made

MINUTE = 60_000
WARMING: dict[str, Any] = {"reference": {"type": "warmup", "observations": 100}}


class Process:
    """An outbox beside a store; `crash` is a process that comes after, with the same receivers."""

    def __init__(self, folder: Path, wall_ms: int = 0, **sinks: Recorder) -> None:
        self.folder, self.sinks, self.wall_ms, self.number = folder, sinks, wall_ms, 0
        self.store = Store(folder)
        self.said: list[Progress] = []
        clocks: dict[str, Any] = {"wall": lambda: self.wall_ms, "monotonic": lambda: self.wall_ms + 77 + id(self) % 999}
        self.outbox = Outbox(sinks, {}, jitter=lambda: 0.5, progress=self.said.append, **clocks)
        owing = self.store.owing()
        self.number = owing.taken + len(owing.changes)
        self.outbox.restore(owing, ["s"])

    async def turn(self, alerts: Sequence[Any] = (), changes: Sequence[Any] = (), taken: bool = True) -> None:
        """T2, then the report; `taken` False: the process died in between."""
        numbered = {}
        for change in changes:
            self.number += 1
            numbered[self.number] = change
        progress = Progress(0)
        for said in self.said:
            progress = merged(progress, said)
        self.said.clear()
        self.store.checkpoint({}, {}, 0, news=News(numbered, progress))
        if taken:
            self.outbox.take({"s": report(alerts, changes)})
            await self.send()

    async def send(self) -> None:
        await self.outbox.deliveries.drain(5)

    def crash(self, later_ms: int = 0, **sinks: Recorder) -> Process:
        self.store.close()
        return Process(self.folder, self.wall_ms + later_ms, **(sinks or self.sinks))


def test_a_transition_that_nobody_was_told_of_is_told_by_the_next_process_and_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        hook = Recorder()
        one = Process(tmp_path, hook=hook)
        await one.turn([ALERT], [FIRED], taken=False)
        two = one.crash()
        await two.send()
        assert hook.words() == ["firing"]
        await two.turn([ALERT])
        three = two.crash()
        await three.turn([ALERT])
        assert hook.words() == ["firing"]
        await three.turn([], [RESOLVED], taken=False)
        four = three.crash()
        await four.turn([])
        assert hook.words() == ["firing", "resolved"]
        four.store.close()

    asyncio.run(scenario())


def test_what_was_told_is_not_told_again_and_a_resend_keeps_its_clock(tmp_path: Path) -> None:
    async def scenario() -> None:
        hook, manager = Recorder(), Recorder(resends=True)
        one = Process(tmp_path, hook=hook, manager=manager)
        await one.turn([ALERT], [FIRED])
        await one.turn([ALERT])
        two = one.crash(RESEND_MS - 1)
        await two.turn([ALERT])
        assert (hook.words(), manager.words()) == (["firing"], ["firing"])
        two.wall_ms += 1
        await two.turn([ALERT])
        assert (hook.words(), manager.words()) == (["firing"], ["firing"] * 2)
        two.store.close()

    asyncio.run(scenario())


def test_a_crash_before_the_receipt_is_written_costs_one_duplicate(tmp_path: Path) -> None:
    async def scenario() -> None:
        hook = Recorder()
        one = Process(tmp_path, hook=hook)
        await one.turn([ALERT], [FIRED])
        two = one.crash()
        await two.turn([ALERT])
        await two.turn([ALERT])
        three = two.crash()
        await three.turn([ALERT])
        assert hook.words() == ["firing"] * 2
        three.store.close()

    asyncio.run(scenario())


def test_an_alert_whose_stream_is_gone_after_the_restart_is_resolved(tmp_path: Path) -> None:
    async def scenario() -> None:
        hook = Recorder()
        one = Process(tmp_path, hook=hook)
        await one.turn([ALERT], [FIRED])
        await one.turn([ALERT])
        one.store.close()
        store = Store(tmp_path)
        other = Outbox({"hook": hook}, {})
        other.restore(store.owing(), ["another"])
        await other.deliveries.drain(5)
        assert hook.words() == ["firing", "resolved"]
        store.close()

    asyncio.run(scenario())


def test_a_quiet_alert_is_told_when_its_time_comes_also_after_a_restart_and_not_twice(tmp_path: Path) -> None:
    async def scenario() -> None:
        hook = Recorder()
        quiet = replace(ALERT, notify_from_ms=10_001)  # the reports are of 10 000
        one = Process(tmp_path, hook=hook)
        await one.turn([quiet], [replace(FIRED, alert=quiet)])
        await one.turn([quiet])
        two = one.crash()
        await two.turn([quiet])
        assert hook.words() == []
        due = replace(quiet, notify_from_ms=10_000)
        await two.turn([due])
        await two.turn([due])
        three = two.crash()
        await three.turn([due])
        assert hook.words() == ["firing"]
        three.store.close()

    asyncio.run(scenario())


def test_rows_of_a_sink_that_is_gone_go_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        away = Recorder(outcomes=[Retry("away")])
        one = Process(tmp_path, away=away)
        await one.turn([ALERT], [FIRED])
        await one.turn([ALERT])
        assert {target for target, _ in one.store.owing().owed} == {"", "away"}
        two = one.crash(hook=Recorder())
        await two.turn([ALERT])
        assert {target for target, _ in two.store.owing().owed} == {""}
        two.store.close()

    asyncio.run(scenario())


def test_a_start_without_a_past_owes_nothing(tmp_path: Path) -> None:
    one = Process(tmp_path, hook=Recorder())
    assert one.store.owing() == Owing()
    assert one.said == []
    one.store.close()


OUTCOMES = st.lists(
    st.sampled_from(["fire", "resolve", "take", "refuse", "fail", "wait", "restart"]), min_size=1, max_size=30
)


@settings(max_examples=60, deadline=None)
@given(steps=OUTCOMES, resends=st.booleans())
def test_a_ledger_that_is_restored_behaves_as_the_one_that_was_saved(steps: list[str], resends: bool) -> None:
    """The other one lives by another monotonic clock."""
    one, other, now_ms, shift_ms = Ledger(resends), Ledger(resends), 0, 5_000
    rows: dict[str, Any] = {}
    for number, step in enumerate(steps):
        for ledger, at_ms in ((one, now_ms), (other, now_ms + shift_ms)):
            fired = Notice("firing", {"a": str(number % 2)}, {"n": "\ud800"}, starts_ms=number)
            if step in ("fire", "resolve"):
                ledger.tell(fired if step == "fire" else replace(fired, status="resolved", ends_ms=number), at_ms)
            elif step == "take":
                ledger.settle(ledger.due(at_ms), at_ms)
            elif step == "refuse":
                ledger.refuse(sorted(ledger.due(at_ms), key=lambda notice: notice.starts_ms)[:1])
            elif step == "fail":
                ledger.fail(at_ms, 2.0, 0.5)
        rows |= {key: one.row(key, 0) for key in one.touched}
        one.touched.clear()
        if step == "wait":
            now_ms += 40_000
        if step == "restart":
            other = Ledger(resends)
            for key, row in rows.items():
                if row is not None:
                    other.restore(key, row, now_ms + shift_ms, -shift_ms)
    assert [n.starts_ms for n in one.due(now_ms)] == [n.starts_ms for n in other.due(now_ms + shift_ms)] or (
        sorted(n.starts_ms for n in one.due(now_ms)) == sorted(n.starts_ms for n in other.due(now_ms + shift_ms))
    )
    next_ms = one.next_ms()
    assert other.next_ms() == (None if next_ms is None else next_ms + shift_ms)
    assert one.fingerprints() == other.fingerprints()


def test_after_a_long_outage_only_how_things_stand_is_told() -> None:
    ledger = Ledger(resends=False)
    ledger.tell(Notice("firing", {"a": "b"}, starts_ms=1), 0)
    ledger.tell(Notice("resolved", {"a": "b"}, starts_ms=1), 10)
    assert [one.status for one in ledger.due(RESOLVED_RETENTION_MS - 1)] == ["firing"]
    assert [one.status for one in ledger.due(RESOLVED_RETENTION_MS)] == ["resolved"]


def test_a_wall_clock_that_was_set_back_holds_nothing_for_long() -> None:
    ledger = Ledger(resends=True)
    ledger.fail(0, None, 1.0)
    ledger.tell(Notice("firing", {"a": "b"}), 0)
    other = Ledger(resends=True)
    for key in (BACKOFF, *ledger.fingerprints()):
        if (row := ledger.row(key, 10**12)) is not None:
            other.restore(key, row, 0, 0)
    assert other.next_ms() == 300_000


SPECS = (FeatureSpec("x", "numeric"), FeatureSpec("c", "categorical"))
COLUMNS = st.lists(st.one_of(st.none(), st.text(st.characters(), max_size=3)), min_size=3, max_size=3)


@settings(max_examples=40, deadline=None)
@given(
    numbers=st.lists(st.floats(allow_nan=True), min_size=3, max_size=3),
    texts=COLUMNS,
    times=st.one_of(st.none(), st.just([5, 6, 2**60])),
)
def test_rows_of_a_warm_up_are_read_as_they_were_written(numbers: Any, texts: Any, times: Any) -> None:
    columns = {"x": Column(np.array(numbers), {"text": [1]}, [0]), "c": Column([*texts, "\ud800"][1:], {}, [])}
    batch = Batch(3, columns, None if times is None else np.array(times))
    found = unpacked_rows(packed_rows(Rows(batch, 7, (2, "ä")), SPECS), SPECS)
    assert found is not None
    assert repr(found) == repr(Rows(batch, 7, (2, "ä")))
    assert unpacked_rows(packed_rows(Rows(batch, None), SPECS), SPECS[1:]) is None


@pytest.mark.parametrize("sizes", [[40, 70], [99, 1, 30]])
def test_a_warm_up_goes_on_after_a_restart_and_finds_the_same_reference(tmp_path: Path, sizes: list[int]) -> None:
    blocks = [
        Block("s", "http", "ndjson", ndjson(records(rows, seed=at)), origin="http") for at, rows in enumerate(sizes)
    ]
    whole, one, store = made(tmp_path, **WARMING), made(tmp_path, **WARMING), Store(tmp_path / "state")
    for block in blocks:
        whole.observe(block, MINUTE)
        one.observe(block, MINUTE)
        store.commit({"s": one}, {}, 0)
        store.close()
        store, again = Store(tmp_path / "state"), made(tmp_path, **WARMING)
        found = store.load("s", again.settings)
        assert found is not None
        again.restore(found)
        one = again
    assert isinstance(found, Saved)
    for each in (whole, one):
        each.tick(MINUTE)
    assert whole.reference is not None
    assert one.reference is not None
    assert one.reference.to_bytes() == whole.reference.to_bytes()
    snapshots = [each.saved() for each in (whole, one)]
    assert snapshots[0] is not None
    assert snapshots[1] is not None
    assert snapshots[0].snapshot.to_bytes() == snapshots[1].snapshot.to_bytes()
    store.close()


def test_a_warm_up_that_began_again_keeps_only_what_came_since(tmp_path: Path) -> None:
    store, one = Store(tmp_path / "state"), made(tmp_path, **WARMING)
    one.observe(Block("s", "http", "ndjson", ndjson(records(60)), origin="http"), 0)
    store.commit({"s": one}, {}, 0)
    assert one.warm_up is not None
    one.warm_up._judge = lambda schema, blocks: "unstable"
    one.observe(Block("s", "http", "ndjson", ndjson(records(60)), origin="http"), 0)
    store.checkpoint({"s": one}, {}, 0)
    again = made(tmp_path, **WARMING)
    found = store.load("s", again.settings)
    assert isinstance(found, Warming)
    again.restore(found)
    assert again.warm_up is not None
    assert (again.warm_up.seen, again.warm_up.restarts, again.warm_up.fault) == (20, 1, "unstable")
    store.close()


def test_a_damaged_row_of_a_warm_up_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, one = Store(tmp_path / "state"), made(tmp_path, **WARMING)
    for rows in (10, 20):
        one.observe(Block("s", "http", "ndjson", ndjson(records(rows)), origin="http"), 0)
        store.commit({"s": one}, {}, 0)
    store._database.connection.execute("UPDATE gathered SET crc = crc + 1 WHERE seq = 1")
    found = store.load("s", one.settings)
    assert isinstance(found, Warming)
    assert [rows.batch.rows for rows in found.rows] == [20]
    assert "entry 1 of its warm-up is damaged" in caplog.text
    store.close()


def test_clocks_go_on_and_damaged_ones_cost_no_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, one = Store(tmp_path / "state"), made(tmp_path)
    one.tick(0)
    for second in (1, 2, 3):
        one.observe(Block("s", "http", "ndjson", ndjson(records(200, shift=3.0)), origin="http"), 1000 * second)
        store.ticking({"s": one})
        before = one.tick(1000 * second)
        store.closed_panes({"s": one})
        store.checkpoint({"s": one}, {}, 1000 * second)
    found, other = store.load("s"), made(tmp_path)
    assert found is not None
    other.restore(found)
    after = other.tick(3000)
    assert before.evaluated_seconds.tolist() == after.evaluated_seconds.tolist()
    assert after.evaluated_seconds.max() >= 2
    assert before.drift_seconds.tolist() == after.drift_seconds.tolist()
    assert before.lifetime is not None
    assert after.lifetime is not None
    assert before.lifetime.last_observation_ms.tolist() == after.lifetime.last_observation_ms.tolist() == [3000] * 3
    assert before.lifetime.surprisal_nats.tolist() == after.lifetime.surprisal_nats.tolist()
    store._database.connection.execute("UPDATE clock SET crc = crc + 1")
    damaged = store.load("s")
    assert isinstance(damaged, Saved)
    assert isinstance(found, Saved)
    assert damaged.clocks is None
    assert damaged.snapshot.to_bytes() == found.snapshot.to_bytes()
    assert "its clocks are damaged" in caplog.text
    store.close()


def test_counters_are_written_with_what_they_count(tmp_path: Path) -> None:
    store, telemetry = Store(tmp_path), Telemetry()
    for name in ("s", "other"):
        telemetry.settled(Block(name, "http", "ndjson", b""), Settled(3, {"malformed": 2}, 1), 0)
    store.commit({}, {}, 0, telemetry.totals(["s"]))
    store.close()
    store, again = Store(tmp_path), Telemetry()
    again.restore({**store.counters(), ("s", "of another version", ()): 5})
    assert again.totals(["s", "other"]) == telemetry.totals(["s"])
    store.close()


def test_fluentbit_10952_acked_then_sigkill(tmp_path: Path) -> None:
    """Records that were acknowledged, then SIGKILL: counted, while the reference is gathered and after."""
    config = write_config(tmp_path, {"s": stream(reference={"type": "warmup", "observations": 500})})
    state = ("--storage.path", str(tmp_path / "state"))
    with started(config, *state) as daemon:
        reply = daemon.post(records(450))
        assert (reply["accepted"], reply["durable"]) == (450, True)
    with started(config, *state) as daemon:
        assert daemon.post([*records(80, seed=1), {"x": "text"}])["durable"] is True
    store, one = Store(tmp_path / "state"), Stream(settings := load(config, {}).streams["s"], (), Limits(), None)
    found = store.load("s", settings)
    assert isinstance(found, Saved)
    one.restore(found)
    assert one.monitor is not None
    assert one.monitor.snapshot().counts.sum() == 31 * len(settings.features)
    assert store.counters()["s", "records", ("http",)] == 531
    store.close()


def commits(daemon: Daemon) -> int:
    (line,) = re.findall(
        r"\ndriftmon_storage_commit_duration_seconds_count (\d+)", daemon.get(daemon.web, "/metrics")[1]
    )
    return int(line)


def test_a_firing_alert_is_not_news_after_sigkill(tmp_path: Path) -> None:
    config, state = ready_config(tmp_path), ("--storage.path", str(tmp_path / "state"))
    with started(config, *state) as daemon:
        daemon.post(records(500, shift=2.0))
        daemon.wait(lambda: "alert firing" in daemon.log.read_text())
        daemon.wait_for_metric('driftmon_alert_notifications_total{sink="log"}', 1.0)
        (since,) = (alert["since_ms"] for alert in daemon.feature()["alerts"])
        before = commits(daemon)
        daemon.wait(lambda: commits(daemon) >= before + 2)  # one of them has the receipt
    with started(config, *state) as daemon:
        daemon.wait_for_metric('driftmon_alert_notifications_total{sink="log"}', 1.0)
        assert [alert["since_ms"] for alert in daemon.feature()["alerts"]] == [since]
        assert "alert firing" not in daemon.log.read_text()


def test_a_refused_alert_stays_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        poison = Recorder(resends=True, outcomes=[])
        one = Process(tmp_path, manager=poison)
        notice = Notice("firing", {"alertname": "Drift"})
        poison.outcomes.append(Reject("poison", [notice]))
        one.outbox.deliveries.ledgers["manager"].tell(notice, 0)
        await one.send()
        await one.turn()
        two = one.crash()
        two.outbox.deliveries.ledgers["manager"].refresh(notice, 0)
        await two.send()
        assert poison.attempts == 1
        two.store.close()

    asyncio.run(scenario())
