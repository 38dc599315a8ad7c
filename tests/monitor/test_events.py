"""Events that wait are counted as if each had come alone, whatever looks at the counts in between."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmon.monitor import events as module
from driftmon.monitor.batch import Batch
from driftmon.monitor.events import Coder
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.scoring import typed_columns
from driftmon.monitor.snapshot import Snapshot
from driftmon.stats.binnings import boolean, categorical, log_loss, numeric
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
    same(waiting, singly)


@given(event=maps)
def test_the_codes_of_one_event_are_those_of_its_row(event: dict[str, Any]) -> None:
    for schema in (SCHEMAS[0], SCHEMAS[2]):
        codes = schema.codes(alone(schema, event).columns, 1)
        assert sorted(Coder(schema).codes(event)) == codes[codes >= 0].tolist()


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
