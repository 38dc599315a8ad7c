"""A shuffled reference looks independent; live panes give it away while nobody is notified yet."""

from __future__ import annotations

import math

import numpy as np
import pytest

from driftmon import Monitor, Rule, Window, reference_of
from driftmon.monitor.live_dispersion import suspicious
from driftmon.monitor.rules import Calibrated

MINUTE = 60_000
DAY = 1440 * MINUTE


def correlated(rng: np.random.Generator, rows: int, rho: float) -> np.ndarray:
    values, state = np.empty(rows), rng.normal()
    for row, shock in enumerate(rng.normal(size=rows)):
        state = rho * state + math.sqrt(1 - rho**2) * shock
        values[row] = state
    return values


@pytest.mark.parametrize("notify_after_ms", [DAY, 0])
def test_live_rows_that_depend_on_one_another_are_told_apart_from_a_shuffled_reference(notify_after_ms: int) -> None:
    rng = np.random.default_rng(31)
    calm, stormy = correlated(rng, 20_000, 0.0), correlated(rng, 20_000, 0.95)
    reference = reference_of({"calm": calm, "stormy": rng.permutation(stormy)})
    rule = Rule(
        "D", "kl_divergence_debiased", 0.02, calibrated=Calibrated(0.02, 30 * DAY), notify_after_ms=notify_after_ms
    )
    monitor = Monitor(reference, (Window.sliding("w", 60 * MINUTE),), (rule,))
    live = {"calm": correlated(rng, 10_000, 0.0), "stormy": correlated(rng, 10_000, 0.95)}
    for minute in range(100):
        rows = slice(100 * minute, 100 * minute + 100)
        monitor.observe_columns({name: values[rows] for name, values in live.items()}, time_ms=minute * MINUTE)
        report = monitor.tick(minute * MINUTE)
    told = suspicious(report.live_overdispersion, report.overdispersion)
    assert told == ([1] if notify_after_ms else [])
