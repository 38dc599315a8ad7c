"""A warm-up looks at what it gathered before it believes it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from driftmon.monitor.batch import Batch
from driftmon.monitor.report import Report
from driftmon.monitor.slots import HOUR_MS
from driftmon.monitor.warmup import WarmUp, whatever_comes
from driftmon.stats.columns import Column, Floats
from driftmon.stats.edges import FeatureSpec

SPECS = (FeatureSpec("x", "numeric"), FeatureSpec("steady", "numeric"))
N = 8000


def feed(warm: WarmUp, x: Floats, times_ms: NDArray[np.int64] | None = None, piece: int = 500) -> int:
    """Rows in pieces until the reference is there; how many it took."""
    steady = np.random.default_rng(99).normal(size=len(x))
    taken = 0
    for low in range(0, len(x), piece):
        part = slice(low, low + piece)
        columns = {"x": Column(x[part]), "steady": Column(steady[part])}
        times = None if times_ms is None else times_ms[part]
        taken += warm.observe_batch(Batch(len(x[part]), columns, times), 0).counted
        if warm.reference is not None:
            break
    return taken


def test_a_step_in_the_middle_is_said_and_the_next_rows_are_tried() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=4 * N)
    values[: N // 2] -= 1.0
    warm = WarmUp("s", SPECS, N)
    assert feed(warm, values[:N]) == N
    assert (warm.reference, warm.restarts, warm.seen) == (None, 1, 0)
    assert warm.fault.startswith("x: its second half differs from its first by at least 0.")
    report = warm.tick(5)
    assert warming(report) == {"observations": 0, "needed": N, "restarts": 1, "unstable": warm.fault}
    assert feed(warm, values[N:]) == N
    assert warm.reference is not None
    assert warm.reference.counts[:18].sum() == N


def warming(report: Report) -> object:
    return report.as_dict()["streams"]["s"]["warmup"]


def test_rows_after_the_restart_in_one_block_are_not_lost() -> None:
    values = np.random.default_rng(2).normal(size=2 * N + 100)
    values[: N // 2] += 2.0
    warm = WarmUp("s", SPECS, N)
    assert feed(warm, values, piece=len(values)) == 2 * N
    assert (warm.restarts, warm.rest is not None and warm.rest.rows) == (1, 100)


def autocorrelated(rho: float, rows: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    state, values = rng.normal(), np.empty(rows)
    for row, shock in enumerate(rng.normal(size=rows) * np.sqrt(1 - rho**2)):
        state = rho * state + shock
        values[row] = state
    return values


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_dependent_rows_are_no_instability(rho: float) -> None:
    restarts = 0
    for seed in range(12):
        warm = WarmUp("s", SPECS, N)
        feed(warm, autocorrelated(rho, N, seed))
        restarts += warm.restarts
    assert restarts == 0


def test_where_the_hours_may_differ_nothing_is_said() -> None:
    values = np.concatenate([np.full(N // 2, -1.0), np.full(N // 2, 1.0)]) + np.random.default_rng(3).normal(size=N)
    warm = WarmUp("s", SPECS, N, judge=whatever_comes)
    feed(warm, values)
    assert warm.reference is not None


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(1, 2999), max_size=12))
def test_the_dispersion_too_does_not_depend_on_the_batches(cuts: Sequence[int]) -> None:
    values = np.random.default_rng(4).normal(size=3000)
    whole, pieces = WarmUp("s", SPECS[:1], 3000), WarmUp("s", SPECS[:1], 3000)
    whole.observe_batch(Batch(3000, {"x": Column(values)}), 0)
    for low, high in pairwise([0, *sorted(set(cuts)), 3000]):
        pieces.observe_batch(Batch(high - low, {"x": Column(values[low:high])}), 0)
    assert whole.reference is not None
    assert pieces.reference is not None
    assert whole.reference.dispersion
    assert pieces.reference.to_bytes() == whole.reference.to_bytes()


def test_with_hours_it_lasts_a_whole_period() -> None:
    times = np.arange(0, 30 * HOUR_MS, 60_000, dtype=np.int64)
    values = np.random.default_rng(5).normal(size=len(times))
    warm = WarmUp("s", SPECS[:1], 100, "hour_of_day", whatever_comes)
    assert feed(warm, values, times, piece=7) == 24 * 60 + 1
    assert warm.reference is not None
    assert (warm.reference.slots_by, sorted(warm.reference.slots)) == ("hour_of_day", list(range(24)))
    assert {int(counts.sum()) for counts in warm.reference.slots.values()} == {60, 61}


def test_without_times_hours_are_those_of_arrival() -> None:
    warm = WarmUp("s", SPECS[:1], 10, "hour_of_day", whatever_comes)
    for hour in range(26):
        warm.observe_batch(Batch(5, {"x": Column(np.arange(5.0))}), hour * HOUR_MS)
    assert warm.reference is not None
    assert sorted(warm.reference.slots) == list(range(24))
