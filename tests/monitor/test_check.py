"""One comparison: what a calibrated rule says where there is no time to weigh evidence over."""

from __future__ import annotations

import numpy as np
import pytest

from driftmon import Rule, check, reference_of
from driftmon.monitor.check import DEFAULT_RULES
from driftmon.monitor.report import Status
from driftmon.monitor.rules import Calibrated

REFERENCE = reference_of({"x": np.random.default_rng(1).normal(size=20_000)})
BY_EVIDENCE = (Rule("E", "kl_divergence_debiased", 0.02, calibrated=Calibrated(0.02, 86_400_000)),)


def drawn(rows: int, shift: float, seed: int = 2) -> dict[str, object]:
    return {"x": np.random.default_rng(seed).normal(shift, 1.0, rows)}


@pytest.mark.parametrize("rows", [200, 1000, 5000])
def test_without_drift_one_look_says_so(rows: int) -> None:
    """The debiased KL passes the effect by chance in many of these; its 99.9 % lower bound does in none."""
    found = [check(REFERENCE, drawn(rows, 0.0, seed), BY_EVIDENCE) for seed in range(40)]
    assert all(report.statuses["x"] is not Status.DRIFT for report in found)
    assert rows > 200 or any(report.value(0, 0, "kl_divergence_debiased") > 0.02 for report in found)


def test_a_drift_beyond_the_effect_is_found_and_one_below_it_is_not() -> None:
    assert check(REFERENCE, drawn(20_000, 0.35), BY_EVIDENCE).statuses["x"] is Status.DRIFT
    small = check(REFERENCE, drawn(20_000, 0.15), BY_EVIDENCE)  # KL about 0.011: sure, and too small
    assert small.value(0, 0, "kl_divergence_lower_bound") > 0.005
    assert small.statuses["x"] is Status.OK


def test_the_alert_has_value_and_bound_and_no_evidence() -> None:
    (alert,) = check(REFERENCE, drawn(20_000, 0.5), BY_EVIDENCE).alerts
    assert 0.02 < alert.lower_bound < alert.value
    assert np.isnan(alert.evidence_log10)


def test_the_default_rules_find_what_a_threshold_of_a_tenth_cannot() -> None:
    report = check(REFERENCE, drawn(20_000, 0.3))
    assert [alert.rule.name for alert in report.alerts] == ["DriftmonDrift"]
    assert report.alerts[0].features == ("x",)
    assert [rule.name for rule in DEFAULT_RULES if rule.calibrated] == ["DriftmonDrift"]
