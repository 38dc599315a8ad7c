"""Reports made by a real Monitor: three kinds of features, two windows, drift, and everything that can be missing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.references import reference_of
from driftmon.monitor.report import Report
from driftmon.monitor.rules import Calibrated, Rule
from driftmon.monitor.warmup import WarmUp
from driftmon.stats.edges import FeatureSpec

HOUR_MS = 3_600_000
NASTY = 'say "hi"\\\n\u202e\x00'
SPECS = (
    FeatureSpec("delay", "numeric", bins=6),
    FeatureSpec("carrier", "categorical"),
    FeatureSpec("cancelled", "boolean"),
    FeatureSpec("coupon", "categorical", absent="skip"),
)
RULES = (
    Rule("Drift", "kl_divergence_debiased", above=0.1, min_observations=10),
    Rule("Break", "missing_ratio", above=0.05, min_observations=10, labels={"severity": "info", "team": "ops"}),
    Rule("Elsewhere", "psi", above=0.2, streams="other"),
)


def reference_columns(rows: int = 600, seed: int = 7) -> dict[str, object]:
    draw = np.random.default_rng(seed)
    return {
        "delay": draw.normal(size=rows),
        "carrier": draw.choice(["UA", "AA", NASTY], rows).tolist(),
        "cancelled": (draw.random(rows) < 0.1).tolist(),
        "coupon": draw.choice(["none", "half"], rows).tolist(),
    }


def a_monitor(stream: str = "flights") -> Monitor:
    windows = (Window.sliding("fast", HOUR_MS), Window.decayed("slow", 6 * HOUR_MS))
    return Monitor(reference_of(reference_columns(), SPECS), windows, RULES, stream=stream)


@pytest.fixture
def drifted() -> Report:
    """delay has moved, some carriers are missing, new or lists; coupon was never seen."""
    monitor = a_monitor()
    columns = {name: values for name, values in reference_columns(300).items() if name != "coupon"}
    columns["delay"] = np.asarray(columns["delay"]) + 2.0
    columns["carrier"] = [None] * 60 + ["ZZ"] * 30 + [["list"]] * 10 + ["UA"] * 200
    monitor.observe_columns(columns, HOUR_MS)
    return monitor.tick(HOUR_MS + 1000)


@pytest.fixture(scope="session")
def judged() -> Report:
    """By evidence: delay moved at minute 60; a rule per feature, one per stream and one of another feature."""
    month = Calibrated(0.02, 30 * 24 * HOUR_MS)
    rules = (
        Rule("Evidence", "kl_divergence_debiased", 0.02, features="[dc]*", calibrated=month),
        Rule("Together", "kl_divergence_debiased", 0.02, calibrated=month, per="stream", notify_after_ms=HOUR_MS),
        Rule("Any", "missing_ratio", 0.5, per="stream", features="carrier"),
        Rule("Coupons", "kl_divergence_debiased", 0.02, features="coupon", calibrated=month),
    )
    windows = (Window.sliding("day", 24 * HOUR_MS), Window.sliding("fast", HOUR_MS))
    monitor = Monitor(
        reference_of(reference_columns(20_000), SPECS[:3]), windows, rules, stream="flights", event_time=True
    )
    for minute in range(80):
        columns = reference_columns(100, seed=minute)
        del columns["coupon"]
        columns["delay"] = np.asarray(columns["delay"]) + (0.0 if minute < 60 else 1.0)
        monitor.observe_columns(columns, [minute * 60_000] * 100)
    return monitor.tick(80 * 60_000)


@pytest.fixture
def empty() -> Report:
    """A monitor that has seen nothing."""
    return a_monitor("idle").tick(HOUR_MS)


@pytest.fixture
def warming() -> Report:
    """A stream that gathers its reference."""
    return WarmUp("young", SPECS, 1000).tick(HOUR_MS)


@pytest.fixture
def reports(drifted: Report, empty: Report, warming: Report) -> Mapping[str, Report]:
    return {report.stream: report for report in (drifted, empty, warming)}
