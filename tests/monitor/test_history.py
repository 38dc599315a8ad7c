"""The course of a stream: never changed, at most a point a pane, bounded in memory, started anew with other bins."""

from __future__ import annotations

import numpy as np
import pytest

from driftmon.monitor.history import MOST_BYTES, POINTS, TRACKED, History, points_for
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.references import reference_of
from driftmon.stats.edges import FeatureSpec

HOUR_MS, MINUTE_MS = 3_600_000, 60_000
SPECS = (FeatureSpec("x", "numeric", bins=4), FeatureSpec("y", "numeric", bins=4))


def a_monitor(bins: int = 4) -> Monitor:
    draw = np.random.default_rng(5)
    columns = {name: draw.normal(size=500) for name in ("x", "y")}
    specs = tuple(FeatureSpec(spec.name, "numeric", bins=bins) for spec in SPECS)
    return Monitor(reference_of(columns, specs), (Window.sliding("fast", HOUR_MS), Window.sliding("day", 24 * HOUR_MS)))


def test_a_point_a_pane_the_newest_wins() -> None:
    monitor, history = a_monitor(), History()
    for second in (0, 10, 50, 60, 70, 130):
        monitor.observe_columns({"x": [0.1], "y": [0.2]}, second * 1000)
        history = history.after(monitor.tick(second * 1000))
    assert history.tracks[0].times_ms.tolist() == [50_000, 70_000, 130_000]
    assert history.tracks[0].of("window_observations", 0) == [3.0, 5.0, 6.0]
    assert history.tracks[1].times_ms.tolist() == [130_000]  # panes of 24 minutes


def test_a_history_is_never_changed() -> None:
    monitor = a_monitor()
    first = History().after(monitor.tick(0))
    kept = first.tracks[0].values.copy()
    first.after(monitor.tick(MINUTE_MS)).after(monitor.tick(2 * MINUTE_MS))
    assert np.array_equal(first.tracks[0].values, kept, equal_nan=True)
    assert len(first.tracks[0].times_ms) == 1


def test_old_points_go_and_times_rise_even_when_the_clock_is_set_back() -> None:
    monitor, history = a_monitor(), History()
    report = monitor.tick(0)
    for minute in range(POINTS + 20):
        history = history.after(monitor.tick(minute * MINUTE_MS))
    assert len(history.tracks[0].times_ms) == POINTS
    assert history.tracks[0].times_ms[0] == 20 * MINUTE_MS
    back = history.after(report)
    assert back.tracks[0].times_ms.tolist() == [0]


def test_other_bins_begin_another_history() -> None:
    history = History().after(a_monitor().tick(0)).after(a_monitor().tick(MINUTE_MS))
    assert len(history.tracks[0].times_ms) == 2
    assert len(history.after(a_monitor(bins=5).tick(2 * MINUTE_MS)).tracks[0].times_ms) == 1


@pytest.mark.parametrize(("features", "windows"), [(1, 1), (100, 2), (1000, 3), (5000, 3)])
def test_memory_is_bounded(features: int, windows: int) -> None:
    assert points_for(features, windows) * features * windows * len(TRACKED) * 4 <= MOST_BYTES


def test_the_json_has_no_value_where_there_is_none() -> None:
    monitor = a_monitor()
    history = History().after(monitor.tick(0))
    assert history.as_dict(0)["fast"] == [{"time_ms": 0, "observations": 0.0}]
    monitor.observe_columns({"x": [0.1] * 50, "y": [0.2] * 50}, MINUTE_MS)
    (_, second) = history.after(monitor.tick(MINUTE_MS)).as_dict(1)["fast"]
    assert second["observations"] == 50
    assert second["kl_divergence_lower_bound_nats"] <= second["kl_divergence_debiased_nats"]
