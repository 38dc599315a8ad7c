"""Time as interface.md says it: watermark, lateness, the clamp on the future, panes, decay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon import Batch, Monitor, Rule, Window, reference_of
from driftmon.monitor.panes import PANES, Ring, finest_pane_ms
from driftmon.monitor.report import Report
from driftmon.stats.columns import column_of

MINUTE = 60_000
HOUR = 60 * MINUTE
FAST = Window.sliding("fast", HOUR)
SLOW = Window.sliding("slow", 3 * HOUR)
REFERENCE = reference_of({"c": ["a"] * 50 + ["b"] * 50})
RULE = Rule("R", "kl_divergence", 0.2, {"direction": "q_p"}, min_observations=3, pending_for_ms=2 * MINUTE)

Records = Sequence[tuple[int, str]]


def batch(records: Records) -> Batch:
    times = np.array([time for time, _ in records], dtype=np.int64)
    return Batch(len(records), {"c": column_of("categorical", [value for _, value in records])}, times)


def fed(records: Records, cuts: Sequence[int] = (), lateness_ms: int = 0) -> tuple[Monitor, list[Report]]:
    """A monitor on event time that saw the records in batches cut at `cuts`, with a tick after each."""
    monitor = Monitor(REFERENCE, (FAST, SLOW), (RULE,), event_time=True, lateness_ms=lateness_ms)
    bounds = [0, *sorted(set(cuts)), len(records)]
    reports = []
    for low, high in pairwise(bounds):
        if records[low:high]:
            monitor.observe_batch(batch(records[low:high]), None)
            reports.append(monitor.tick(0))
    reports.append(monitor.finish(0))
    return monitor, reports


records_strategy = st.lists(st.tuples(st.integers(0, 8 * HOUR), st.sampled_from("abz")), min_size=1, max_size=60)


@given(records_strategy, st.lists(st.integers(1, 59), max_size=6), st.sampled_from([0, 5 * MINUTE, HOUR]))
def test_cutting_the_stream_into_other_batches_changes_nothing(
    records: Records, cuts: list[int], lateness: int
) -> None:
    one, reports = fed(records, lateness_ms=lateness)
    other, cut_reports = fed(records, [cut for cut in cuts if cut < len(records)], lateness_ms=lateness)
    assert one.snapshot().to_bytes() == other.snapshot().to_bytes()
    np.testing.assert_array_equal(reports[-1].values, cut_reports[-1].values)
    changes = [change for report in reports for change in report.changes]
    assert changes == [change for report in cut_reports for change in report.changes]


def naive_window(records: Records, lateness_ms: int, window: Window) -> Counter[str]:
    """What the last evaluation must have seen, by a dict: one record after the other, no vectors."""
    watermark, kept = -(10**18), []
    for time, value in records:
        watermark = max(watermark, time - lateness_ms)
        if (time // MINUTE + 1) * MINUTE > watermark:
            kept.append((time, value))
    current = (max(time for time, _ in kept) // MINUTE * MINUTE) // window.pane_ms
    return Counter(value for time, value in kept if current - PANES < time // window.pane_ms <= current)


@given(records_strategy, st.sampled_from([0, 7 * MINUTE]))
def test_windows_agree_with_a_naive_model(records: Records, lateness: int) -> None:
    monitor, reports = fed(records, lateness_ms=lateness)
    for index, window in enumerate(monitor.windows):
        wanted = naive_window(records, lateness, window)
        assert reports[-1].pairs[index].live.tolist() == [wanted["a"], wanted["b"], wanted["z"], 0, 0]


def test_a_pane_closes_when_the_watermark_reaches_its_end_and_not_before() -> None:
    monitor = Monitor(REFERENCE, (FAST,), event_time=True)
    monitor.observe_batch(batch([(0, "a"), (MINUTE - 1, "a")]), None)
    assert monitor.tick(0).value(0, 0, "window_observations") == 0
    monitor.observe_batch(batch([(MINUTE, "a")]), None)
    report = monitor.tick(0)
    assert (report.now_ms, report.value(0, 0, "window_observations")) == (MINUTE, 2)


def test_late_records_are_counted_as_late_and_not_used() -> None:
    monitor = Monitor(REFERENCE, (FAST,), event_time=True, lateness_ms=MINUTE)
    receipt = monitor.observe_batch(batch([(5 * MINUTE, "a"), (3 * MINUTE, "a"), (4 * MINUTE, "a")]), None)
    assert (receipt.counted, receipt.late) == (2, 1)


def test_records_beyond_a_minute_from_now_are_rejected_and_never_move_the_watermark() -> None:
    monitor = Monitor(REFERENCE, (FAST,), event_time=True)
    receipt = monitor.observe_batch(batch([(10**15, "a"), (MINUTE, "a"), (2 * MINUTE + 1, "a")]), MINUTE)
    assert (receipt.counted, receipt.late, dict(receipt.rejected)) == (1, 0, {"future": 2})
    assert monitor.observe_batch(batch([(MINUTE, "a")]), MINUTE).counted == 1


def test_without_a_time_field_arrival_counts_and_every_tick_evaluates() -> None:
    monitor = Monitor(REFERENCE, (FAST,))
    monitor.observe({"c": "a"}, time_ms=5)
    assert monitor.tick(5).value(0, 0, "window_observations") == 1
    assert monitor.tick(59 * MINUTE).value(0, 0, "window_observations") == 1
    assert monitor.tick(60 * MINUTE).value(0, 0, "window_observations") == 0


def test_event_time_needs_times() -> None:
    with pytest.raises(ValueError, match="goes by event time"):
        Monitor(REFERENCE, (FAST,), event_time=True).observe({"c": "a"})


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(1, 9)), min_size=1, max_size=40))
def test_a_decayed_window_weighs_panes_by_age(panes: list[tuple[int, int]]) -> None:
    window = Window.decayed("d", 6 * HOUR)
    ring = Ring(window, 1)
    for pane, count in sorted(panes):
        ring.add(pane, np.array([count]))
    newest = max(pane for pane, _ in panes)
    kept = [(0.5 ** ((newest - pane) / 6), count) for pane, count in panes if pane > newest - PANES]
    view = ring.view(newest)
    assert view.counts[0] == pytest.approx(sum(weight * count for weight, count in kept), rel=1e-12)
    assert view.squared[0] == pytest.approx(sum(weight**2 * count for weight, count in kept), rel=1e-12)


def test_decay_costs_effective_observations() -> None:
    monitor = Monitor(REFERENCE, (Window.decayed("d", 6 * HOUR),))
    for hour in range(60):
        monitor.observe_columns({"c": ["a"] * 100}, time_ms=hour * HOUR)
    report = monitor.tick(59 * HOUR)
    weights = [0.5 ** (age / 6) for age in range(60)]
    kish = 100 * sum(weights) ** 2 / sum(weight**2 for weight in weights)
    assert report.value(0, 0, "effective_observations") == pytest.approx(kish, rel=1e-12)


@pytest.mark.parametrize(
    ("windows", "fault"),
    [
        ((FAST, Window.sliding("odd", 90 * MINUTE)), "window odd: its panes of 90000 ms are no multiple of 60000 ms"),
        ((FAST, Window.decayed("half", 540_000)), "window half: its panes of 90000 ms"),
    ],
)
def test_panes_that_do_not_nest_are_refused(windows: tuple[Window, ...], fault: str) -> None:
    with pytest.raises(ValueError, match="multiple") as raised:
        finest_pane_ms(windows)
    assert fault in str(raised.value)


def test_a_gap_is_skipped_but_a_deadline_in_it_is_kept() -> None:
    """Two breaching minutes, then silence for a day: the alert fires when `for` has passed, not a day later."""
    records = [(0, "z"), (1, "z"), (2, "z"), (30 * HOUR, "a")]
    monitor = Monitor(REFERENCE, (FAST,), (RULE,), event_time=True)
    monitor.observe_batch(batch(records), None)
    changes = monitor.tick(0).changes
    assert [(change.event, change.at_ms) for change in changes] == [("pending", MINUTE), ("firing", 3 * MINUTE)]
