"""The pump, called without a loop and with its times as arguments."""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import pytest

from driftmon.daemon.gathering import Gathering
from driftmon.daemon.mailbox import Mailbox, Question
from driftmon.daemon.pump import Pump, UnknownStream
from driftmon.daemon.telemetry import Telemetry
from driftmon.monitor.report import Report
from driftmon.sources.base import Block, Settled

TICK_MS = 10_000


class FakeStream:
    """Counts what it is given; `events` is the order in which things happened."""

    gathering = Gathering()
    delayed = None

    class settings:  # noqa: N801  stands where a stream has its settings
        tick_ms = TICK_MS
        time = None
        overload = "block"
        sources = ()

    samples = joins = False
    newest_ms = 0

    def __init__(self, events: list[str]) -> None:
        self._events = events

    def observe(self, block: Block, now_ms: int) -> Settled:
        if block.data == b"broken":
            raise RuntimeError("a bug")
        self._events.append(f"count {block.data.decode()} at {now_ms}")
        return Settled(2, {"malformed": 1}, late=1)

    def tick(self, now_ms: int) -> Any:
        self._events.append(f"tick at {now_ms}")
        if now_ms < 0:
            raise RuntimeError("a bug")
        return f"report of {now_ms}"


class World:
    """A pump, and all that leaves it."""

    def __init__(self, names: str = "s") -> None:
        self.events: list[str] = []
        self.outcomes: list[Settled | Exception] = []
        self.published: list[Mapping[str, Report]] = []
        self.telemetry = Telemetry()
        self.mailbox = Mailbox(1024 * 1024)
        self.pump = Pump(self.mailbox, self.telemetry, self._deliver, self.published.append)
        streams: Any = {name: FakeStream(self.events) for name in names}
        self.pump.swap(streams)

    def _deliver(self, ack: Any, outcome: Settled | Exception) -> None:
        self.events.append("answer")
        self.outcomes.append(outcome)


def block(data: bytes, stream: str = "s") -> Block:
    return Block(stream, "http", "ndjson", data, origin="http")


def test_all_that_was_taken_together_is_counted_before_the_first_answer() -> None:
    world = World()
    world.pump.turn([block(b"a"), block(b"b")], at_ms=5, at_s=0.0)
    assert world.events == ["count a at 5", "count b at 5", "answer", "answer", "tick at 5"]


def test_a_small_request_that_comes_while_others_are_counted_is_committed_with_them() -> None:
    world = World()
    count = world.pump.streams["s"].observe

    def interrupted(one: Block, now_ms: int) -> Settled:
        vars(world.pump.streams["s"])["observe"] = count
        world.mailbox.offer([block(b"b")])
        world.mailbox.close()
        return count(one, now_ms)

    vars(world.pump.streams["s"])["observe"] = interrupted
    world.mailbox.offer([block(b"a")])
    world.pump.run()
    assert [event.partition(" at ")[0] for event in world.events][:4] == ["count a", "count b", "answer", "answer"]


def test_a_block_that_trips_a_bug_is_answered_with_it_and_costs_no_other_block(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    world.pump.turn([block(b"broken"), block(b"b")], at_ms=5, at_s=0.0)
    assert [type(outcome) for outcome in world.outcomes] == [RuntimeError, Settled]
    assert "stream s: a block from http could not be counted" in caplog.text


def test_a_block_of_a_stream_that_is_gone_is_answered() -> None:
    world = World()
    world.pump.turn([block(b"a", "gone")], at_ms=5, at_s=0.0)
    assert [type(outcome) for outcome in world.outcomes] == [UnknownStream]


def test_a_stream_ticks_at_once_and_then_once_an_interval_of_the_monotonic_clock() -> None:
    world = World()
    for at_s in (0.0, 9.9, 10.0, 19.9, 20.0):
        world.pump.turn([], at_ms=int(1000 * at_s), at_s=at_s)
    assert world.events == ["tick at 0", "tick at 10000", "tick at 20000"]
    assert [str(reports["s"]) for reports in world.published] == [f"report of {at}" for at in (0, 10_000, 20_000)]


def test_a_tick_that_fails_leaves_the_others_their_reports(caplog: pytest.LogCaptureFixture) -> None:
    world = World("st")
    world.pump.turn([], at_ms=-1, at_s=0.0)
    assert world.published == []
    assert "stream s: the tick failed" in caplog.text
    world.pump.turn([], at_ms=1, at_s=10.0)
    assert [sorted(reports) for reports in world.published] == [["s", "t"]]


def test_records_are_counted_by_stream_source_and_reason() -> None:
    world = World()
    world.pump.turn([block(b"a"), block(b"b"), block(b"broken")], at_ms=5, at_s=0.0)
    found = {
        (family.metric.name, labels): value
        for family in world.telemetry.families()
        for labels, value in family.samples
        if family.metric.kind == "counter"
    }
    assert found == {
        ("driftmon_clock_steps_total", ()): 0.0,
        ("driftmon_ingest_records_total", ("s", "http")): 8.0,  # 2 blocks of 2 counted, 1 rejected, 1 late
        ("driftmon_ingest_records_rejected_total", ("s", "http", "malformed")): 2.0,
        ("driftmon_ingest_late_records_total", ("s", "http")): 2.0,
    }


def test_a_question_sees_the_blocks_before_it_and_its_fault_goes_to_who_asked() -> None:
    world = World()
    seen: Future[Any] = Future()
    failed: Future[Any] = Future()
    questions = [Question(lambda: list(world.events), seen), Question(lambda: 1 // 0, failed)]
    world.pump.turn([block(b"a"), *questions, block(b"b")], at_ms=5, at_s=0.0)
    assert seen.result() == ["count a at 5"]
    assert isinstance(failed.exception(), ZeroDivisionError)


def test_run_counts_what_still_waits_when_the_mailbox_closes_and_ticks_a_last_time() -> None:
    world = World()
    world.mailbox.offer([block(b"a"), block(b"b")])
    world.mailbox.close()
    world.pump.run()
    assert [event.split()[0] for event in world.events] == ["count", "count", "answer", "answer", "tick", "tick"]


def test_after_a_swap_the_new_streams_report_at_once() -> None:
    world = World()
    world.pump.turn([], at_ms=1, at_s=0.0)
    streams: Any = {"t": FakeStream(world.events)}
    world.pump.swap(streams)
    world.pump.turn([], at_ms=2, at_s=0.1)
    assert [sorted(reports) for reports in world.published] == [["s"], ["t"]]
