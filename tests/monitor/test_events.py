"""Events that wait are counted as if each had come alone, whatever looks at the counts in between."""

from __future__ import annotations

import math
from collections import ChainMap, Counter, defaultdict
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmon.monitor import events as module
from driftmon.monitor.batch import Batch
from driftmon.monitor.events import Events
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.rules import Detector, Rule
from driftmon.monitor.scoring import typed_columns
from driftmon.monitor.snapshot import Snapshot
from driftmon.stats.binnings import boolean, categorical, log_loss, numeric
from driftmon.stats.running import Running
from driftmon.stats.schema import Feature, Schema

WIDE = tuple(Feature(f"w{at}", numeric.Binning((0.0,)), absent="skip") for at in range(30))
FEATURES = (
    Feature("x", numeric.Binning((0.0, 1.0, 2.0**53))),
    Feature("c", categorical.Binning(("a", "7", "true"))),
    Feature("b", boolean.Binning()),
    Feature("s", numeric.Binning((0.5,)), absent="skip"),
    Feature("t", categorical.Binning(("a",)), absent="skip"),
)
LOSS = Feature("loss", log_loss.Binning((0.5,), log_loss.Outcome("y", "x")))
SCHEMAS = [Schema(features) for features in (FEATURES, (*FEATURES, LOSS), (*FEATURES, *WIDE))]
values: Any = st.one_of(
    st.sampled_from([None, math.nan, True, False, "a", "7", "true", [], {}, 10**400, 2**53 + 1, -0.0, np.float64(0.5)]),
    st.floats(),
    st.integers(-3, 3),
)
maps: Any = st.dictionaries(st.sampled_from(["x", "c", "b", "s", "t", "y", "w3", "unknown"]), values, max_size=5)
WINDOWS = (Window.sliding("fast", 60_000), Window.everything())


def reference(schema: Schema) -> Snapshot:
    return Snapshot(schema, np.arange(schema.width) % 5 + 1)


def alone(schema: Schema, event: dict[str, Any], times_ms: int | None = None) -> Batch:
    """As a block of one row."""
    times = None if times_ms is None else np.array([times_ms])
    return Batch(1, typed_columns(schema.features, {key: [value] for key, value in event.items()}), times)


def same(one: Monitor, other: Monitor) -> None:
    a, b = one.snapshot(), other.snapshot()
    assert (a.counts.tolist(), a.sums, a.invalid, a.first_ms) == (b.counts.tolist(), b.sums, b.invalid, b.first_ms)
    assert {w.name: {at: p.tolist() for at, p in ring.items()} for w, ring in a.rings.items()} == {
        w.name: {at: p.tolist() for at, p in ring.items()} for w, ring in b.rings.items()
    }
    for name in ("kl_qp", "kl_pq", "entropy"):
        x, y = getattr(one.running, name)(), getattr(other.running, name)()
        assert x == pytest.approx(y, rel=0, abs=1e-9, nan_ok=True)


steps: Any = st.lists(st.one_of(maps, maps, maps, st.sampled_from(["tick", "running", "flush"])), max_size=25)


@settings(max_examples=40)
@given(schema=st.sampled_from(SCHEMAS), steps=steps, gaps=st.lists(st.integers(0, 900), min_size=25, max_size=25))
def test_events_that_wait_are_counted_as_if_each_came_alone(schema: Schema, steps: list[Any], gaps: list[int]) -> None:
    waiting, singly = (Monitor(reference(schema), WINDOWS) for _ in range(2))
    counted, now_ms = 0, 0
    for step, gap in zip(steps, gaps, strict=False):
        now_ms += gap if gap > 600 else 0
        if isinstance(step, dict):
            waiting.observe(step, now_ms)
            counted += singly.observe_batch(alone(schema, step), now_ms).counted
        elif step == "tick":
            assert waiting.tick(now_ms).as_dict() == singly.tick(now_ms).as_dict()
        elif step == "running":
            found = waiting.running
            kl = singly.running.kl_qp()
            assert found.kl_qp() == pytest.approx(kl, rel=0, abs=1e-9, nan_ok=True)
            assert found.counts.tolist() == singly.running.counts.tolist()
        else:
            assert waiting.flush().counted == counted
            counted = 0
    same(waiting, singly)
    assert waiting.clocks.last_ms.tolist() == singly.clocks.last_ms.tolist()


@settings(max_examples=25)
@given(events=st.lists(st.tuples(maps, st.integers(0, 200_000)), max_size=12), look=st.integers(0, 12))
def test_each_is_late_or_not_by_its_own_time(events: list[tuple[dict[str, Any], int]], look: int) -> None:
    waiting, singly = (Monitor(reference(SCHEMAS[0]), WINDOWS, event_time=True, lateness_ms=500) for _ in range(2))
    late = 0
    for at, (event, time_ms) in enumerate(events):
        waiting.observe(event, time_ms)
        late += singly.observe_batch(alone(SCHEMAS[0], event, time_ms), None).late
        if at == look:
            waiting.tick(0)
            singly.tick(0)
    receipt = waiting.flush()
    assert (receipt.counted, receipt.late) == (len(events) - late, late)
    assert waiting.clocks.last_ms.tolist() == singly.clocks.last_ms.tolist()
    same(waiting, singly)


def test_what_running_has_counted_is_counted_no_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor, singly = (Monitor(reference(SCHEMAS[0]), WINDOWS) for _ in range(2))
    assert monitor.running.counts.sum() == 0
    monkeypatch.setattr(Events, "_columns", None)  # what makes columns of events fails
    for row in range(module.MOST + 30):
        event = {"x": [0.5, -1, None, math.nan][row % 4], "c": "ab"[row % 2], "b": row % 3 == 0, "s": 0.1}
        monitor.observe(event, row // 200)
        assert monitor.running.counts.sum() == 4 * (row + 1)
        singly.observe_batch(alone(SCHEMAS[0], event), row // 200)
    assert monitor.flush().counted == module.MOST + 30
    same(monitor, singly)
    assert monitor.clocks.last_ms.tolist() == singly.clocks.last_ms.tolist() == [5, 5, 5, 5, 0]


def test_why_a_value_is_invalid_is_told_of_one_that_running_has_counted() -> None:
    monitor, singly = (Monitor(reference(SCHEMAS[0]), WINDOWS) for _ in range(2))
    assert monitor.running.counts.sum() == 0
    for event in ({"x": 1.0}, {"x": "?", "s": True}, {"b": 2}):
        monitor.observe(event)
        assert monitor.running.counts.sum() > 0
        singly.observe_batch(alone(SCHEMAS[0], event), 0)
    assert monitor.snapshot().invalid == {("x", "text"): 1, ("s", "boolean"): 1, ("b", "number"): 1}
    same(monitor, singly)


@given(event=maps)
def test_the_bins_of_one_event_are_those_of_its_row(event: dict[str, Any]) -> None:
    for schema in (SCHEMAS[0], SCHEMAS[2]):
        running = Running(schema, np.ones(schema.width), 0.5)
        running.observe(event)
        assert running.counts.tolist() == schema.counts(alone(schema, event).columns, 1).tolist()


def test_no_more_events_wait_than_there_is_room_for() -> None:
    monitor = Monitor(reference(SCHEMAS[0]), WINDOWS)
    for row in range(module.MOST + 3):
        monitor.observe({"x": float(row)})
    assert len(monitor._events.waiting) == 3
    assert monitor.flush().counted == module.MOST + 3
    assert monitor.flush().counted == 0


def test_an_event_without_the_time_its_stream_goes_by_is_refused_at_once() -> None:
    monitor = Monitor(reference(SCHEMAS[0]), WINDOWS, event_time=True)
    with pytest.raises(ValueError, match="stream data goes by event time, this event has none: give it time_ms"):
        monitor.observe({"x": 1.0})
    assert monitor.flush().counted == 0


TOO_LONG: Any = {"c": 10**5000}  # an integer of more digits than Python writes


@pytest.mark.parametrize("bad", [None, 5, ["x"], "x", {1.0}])
@pytest.mark.parametrize("event_time", [False, True])
def test_what_is_no_map_is_refused_at_once_and_takes_no_other_with_it(bad: Any, event_time: bool) -> None:
    monitor = Monitor(reference(SCHEMAS[0]), WINDOWS, event_time=event_time)
    for at in range(600):
        if at == 300:
            with pytest.raises(TypeError, match=rf"maps names to values, this is {type(bad).__name__} .*: give a dict"):
                monitor.observe(bad, at)
        monitor.observe({"x": 1.0}, at)
    assert monitor.flush().counted == 600


@pytest.mark.parametrize("bad", ["bad", 10**30, -(10**30), 2**63 - 1, math.nan, math.inf, [5], np.datetime64("now")])
@pytest.mark.parametrize("event_time", [False, True])
def test_a_time_that_is_none_is_refused_at_once_and_takes_no_event_with_it(bad: Any, event_time: bool) -> None:
    monitor = Monitor(reference(SCHEMAS[0]), WINDOWS, event_time=event_time)
    monitor.observe({"x": 1.0}, 7)
    with pytest.raises((TypeError, ValueError), match=r"time_ms is .*ms since 1970, this is .*: give"):
        monitor.observe({"x": 1.0}, bad)
    monitor.observe({"x": 1.0}, 7)
    monitor.tick(8)
    assert monitor.flush().counted == 2
    assert monitor.snapshot().first_ms == 7


@pytest.mark.parametrize("time_ms", [np.int64(61_000), 61_000.9, np.float64(61_000.5)])
@pytest.mark.parametrize("event_time", [False, True])
def test_a_time_may_be_of_numpy_and_a_float_is_cut(time_ms: Any, event_time: bool) -> None:
    monitor = Monitor(reference(SCHEMAS[0]), WINDOWS, event_time=event_time)
    monitor.observe({"x": 1.0}, time_ms)
    found = monitor.snapshot()
    assert (found.first_ms, type(found.first_ms)) == (61_000, int)


@pytest.mark.parametrize("event_time", [False, True])
def test_an_event_that_cannot_be_counted_is_told_and_left_out_alone(event_time: bool) -> None:
    waiting, singly = (Monitor(reference(SCHEMAS[1]), WINDOWS, event_time=event_time) for _ in range(2))
    for at in range(40):
        if at in (5, 30):
            waiting.observe(TOO_LONG, 70_000)
        event = {"x": float(at % 3), "c": "a"}
        waiting.observe(event, 70_000)
        singly.observe_batch(alone(SCHEMAS[1], event, 70_000), None if event_time else 70_000)
    with pytest.raises(
        ValueError, match=r"2 of the 42 events that waited .* the first of them is number 6, ValueError"
    ):
        waiting.tick(70_000)
    same(waiting, singly)
    receipt = waiting.flush()
    assert (receipt.counted, receipt.rejected) == (40, {"uncountable": 2})
    assert waiting.flush() == Monitor(reference(SCHEMAS[1]), WINDOWS).flush()


def test_the_event_that_makes_others_be_counted_is_not_lost_with_one_of_them() -> None:
    monitor = Monitor(reference(SCHEMAS[0]), WINDOWS)
    monitor.observe(TOO_LONG, 1)
    with pytest.raises(ValueError, match="1 of the 1 events"):
        monitor.observe({"x": 1.0}, 2)
    monitor.observe({"x": 1.0}, 2)
    assert (monitor.flush().counted, monitor.clocks.last_ms[0]) == (2, 2)


def test_running_tells_once_of_an_event_that_cannot_be_read() -> None:
    monitor = Monitor(reference(SCHEMAS[0]), WINDOWS)
    assert monitor.running.counts.sum() == 0
    for event in ({"x": 1.0}, TOO_LONG, {"x": 1.0}):
        monitor.observe(event)
    with pytest.raises(ValueError, match="1 of the 3 events"):
        _ = monitor.running
    assert monitor.running.counts.tolist() == monitor.snapshot().counts.tolist()
    assert monitor.flush().counted == 2


class Broken:
    """A detector that fails."""

    drift_detected = False

    def update(self, x: float) -> None:
        raise RuntimeError(f"cannot take {x}")


def test_what_fails_after_the_events_were_counted_counts_none_twice() -> None:
    rule = Rule("Changed", "value", 0.0, features="x", detector=Detector("ADWIN"))
    monitor = Monitor(reference(SCHEMAS[0]), WINDOWS, (rule,), make_detector=lambda _: Broken())
    assert monitor.running.counts.sum() == 0
    for _ in range(3):
        monitor.observe({"x": 1.0, "c": "a"})
    with pytest.raises(RuntimeError, match=r"cannot take 1.0"):
        monitor.flush()
    assert monitor.flush().counted == 3
    assert monitor.snapshot().counts[: SCHEMAS[0].starts[1]].sum() == 3
    assert monitor.running.counts.tolist() == monitor.snapshot().counts.tolist()


class Row:
    """As rows of pandas and sqlite3 are: keys and values, and no Mapping."""

    def keys(self) -> list[str]:
        return ["x"]

    def __getitem__(self, key: str) -> float:
        return {"x": 1.0}[key]


@pytest.mark.parametrize("looks", [0, 1])
def test_a_map_that_makes_up_what_it_lacks_counts_as_lacking_it(looks: int) -> None:
    maps: list[Any] = [
        Counter(x=1),
        defaultdict(float, x=1.0),
        MappingProxyType({"x": 1.0}),
        ChainMap({"x": 1.0}),
        Row(),
    ]
    for event in maps:
        waiting, singly = (Monitor(reference(SCHEMAS[0]), WINDOWS) for _ in range(2))
        for _ in range(looks):
            assert waiting.running.counts.sum() == 0
        waiting.observe(event)
        singly.observe_batch(alone(SCHEMAS[0], {"x": 1.0}), 0)
        same(waiting, singly)
        assert list(event.keys()) == ["x"]


def test_a_feature_was_last_there_when_its_last_row_in_time_came() -> None:
    found = []
    for each in (False, True):
        monitor = Monitor(reference(SCHEMAS[0]), WINDOWS, event_time=True, lateness_ms=1_000)
        for at in range(1, 30):
            there = {"s": 1.0} if at <= 3 else {"s": 1.0, "t": "a"} if at == 9 else {}
            monitor.observe({"x": 1.0, **there}, 1 if at == 9 else at * 60_000)  # the ninth is late
            if each:
                monitor.flush()
        found.append(monitor.clocks.last_ms.tolist())
    assert found[0] == found[1] == [29 * 60_000 - 1_000] * 3 + [3 * 60_000 - 1_000, 0]
