"""A promoted reference has the counts of its window, of all pods, and of nothing older."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.promotion import promoted
from driftmon.monitor.references import reference_of
from driftmon.monitor.snapshot import Snapshot, SnapshotError
from driftmon.stats.columns import column_of
from driftmon.stats.schema import Counts

MINUTE_MS = 60_000
FAST, SLOW = Window.sliding("fast", 60 * MINUTE_MS), Window.sliding("slow", 600 * MINUTE_MS)
DECAYED = Window.decayed("decayed", 60 * MINUTE_MS)
REFERENCE = reference_of({"x": np.arange(100.0)})


def monitor(windows: Any = (FAST, SLOW, DECAYED), **more: Any) -> Monitor:
    return Monitor(REFERENCE, windows, (), **more)


def filled(minutes: list[int], **more: Any) -> Monitor:
    """One more row in each minute than in the one before it in the list."""
    one = monitor(**more)
    for rows, minute in enumerate(minutes, 1):
        one.observe_columns({"x": np.full(rows, float(minute % 100))}, minute * MINUTE_MS)
        one.tick(minute * MINUTE_MS)
    return one


def _codes(values: list[float]) -> Counts:
    binning = REFERENCE.schema.features[0].binning
    return np.bincount(binning.codes(column_of("numeric", values).values), minlength=binning.size).astype(np.int64)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=12, unique=True).map(sorted))
def test_it_has_the_rows_of_the_windows_last_sixty_panes(minutes: list[int]) -> None:
    found = promoted([filled(minutes).snapshot()], "fast")
    inside = [
        float(minute % 100) for rows, minute in enumerate(minutes, 1) for _ in range(rows) if minute > minutes[-1] - 60
    ]
    assert found.counts.tolist() == _codes(inside).tolist()
    assert found.provenance["records"] == len(inside)


def test_the_longest_window_is_taken_where_none_is_named() -> None:
    found = promoted([filled([0, 100, 200]).snapshot()])
    assert found.provenance["sources"] == ["window slow of live"]
    assert int(found.counts.sum()) == 1 + 2 + 3


def test_pods_add_and_a_pod_that_has_been_silent_for_long_adds_nothing() -> None:
    pods = [filled([0, 100]), filled([90, 100]), filled([1, 2])]
    found = promoted([pod.snapshot() for pod in pods], "fast")
    assert int(found.counts.sum()) == 2 + (1 + 2)
    assert (found.provenance["from_ms"], found.provenance["to_ms"]) == (90 * MINUTE_MS, 101 * MINUTE_MS)


def test_records_of_panes_that_are_still_open_are_in_it() -> None:
    one = monitor(event_time=True)
    one.observe_columns({"x": np.arange(7.0)}, 100 * MINUTE_MS)
    assert int(promoted([one.snapshot()], "fast").counts.sum()) == 7


def test_it_measures_the_dispersion_of_its_own_panes() -> None:
    """Minutes of one value each depend on each other as much as can be."""
    steady, stormy = monitor((FAST,)), monitor((FAST,))
    draw = np.random.default_rng(1)
    for minute in range(60):
        steady.observe_columns({"x": draw.uniform(0, 100, 100)}, minute * MINUTE_MS)
        stormy.observe_columns({"x": np.full(100, draw.uniform(0, 100))}, minute * MINUTE_MS)
        steady.tick(minute * MINUTE_MS)
        stormy.tick(minute * MINUTE_MS)
    phi = [
        promoted([one.snapshot()]).measured_dispersion().average_at(np.array([100.0]))[0] for one in (steady, stormy)
    ]
    assert phi[0] < 1.3
    assert phi[1] > 20


def test_it_is_a_reference_like_any_other() -> None:
    found = promoted([filled([1, 2, 3]).snapshot()])
    again = Snapshot.from_bytes(found.to_bytes())
    assert (again.identity, again.schema) == (found.identity, REFERENCE.schema)
    assert Monitor(again, (FAST,), ()).tick(0).reference == found.identity


@pytest.mark.parametrize(
    ("window", "told"),
    [
        ("week", r"there is no window week with a length; there are: fast \(1h\), slow \(10h\)"),
        ("decayed", "there is no window decayed with a length"),
        ("fast", "window fast is empty: nothing was counted in it; wait for records"),
    ],
)
def test_what_cannot_be_promoted_says_why(window: str, told: str) -> None:
    with pytest.raises(SnapshotError, match=told):
        promoted([monitor().snapshot()], window)


def test_snapshots_of_different_bins_do_not_add() -> None:
    other = Monitor(reference_of({"x": np.arange(50.0)}), (FAST, SLOW, DECAYED), ())
    with pytest.raises(SnapshotError, match="do not add"):
        promoted([filled([1]).snapshot(), other.snapshot()])
