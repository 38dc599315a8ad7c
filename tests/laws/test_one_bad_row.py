"""One bad row blinds nothing: each ugliness shows in the right bin and metric, and nowhere is an infinity.

Peers that fail here: one value of 1e6 in 5,000 rows took drift-watchdog's PSI of a +1 sd shift from
1.148 to 0.0029, and evidently's KL of a 0.5 sd shift from 0.1195 to 0.00003.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from driftmon import Monitor, Window, reference_of
from driftmon.monitor.quantities import index_of
from driftmon.monitor.report import Report
from driftmon.stats.edges import FeatureSpec

N = 5000
RNG = np.random.default_rng(20130101)
HEALTHY: dict[str, Any] = {
    "x": RNG.normal(size=N),
    "c": RNG.choice(["UA", "AA", "B6"], N).tolist(),
    "b": (RNG.random(N) < 0.1).tolist(),
}
KINDS = (FeatureSpec("x", "numeric"), FeatureSpec("c", "categorical"), FeatureSpec("b", "boolean"))
REFERENCE = reference_of(HEALTHY, KINDS)


def seen(reference: Any = REFERENCE, **columns: Any) -> Report:
    monitor = Monitor(reference, (Window.everything(),))
    monitor.observe_columns({**HEALTHY, **columns})
    return monitor.tick(0)


def kl(report: Report, feature: str = "x") -> float:
    return report.value(0, report.schema.names.index(feature), "kl_divergence_debiased")


def share(report: Report, feature: str, ratio: str) -> float:
    return report.value(0, report.schema.names.index(feature), ratio)


@pytest.mark.parametrize("giant", [1e300, -1e300, float("inf"), 10**400])
def test_a_giant_value_hides_no_shift(giant: float) -> None:
    shifted = (HEALTHY["x"] + 0.5).tolist()
    assert kl(seen(x=[*shifted[:-1], giant])) == pytest.approx(kl(seen(x=shifted)), rel=0.05)


@pytest.mark.parametrize("giant", [1e300, float("inf")])
def test_a_giant_value_in_the_reference_hides_no_shift(giant: float) -> None:
    polluted = reference_of({**HEALTHY, "x": np.append(HEALTHY["x"][:-1], giant)}, KINDS)
    assert kl(seen(polluted, x=HEALTHY["x"] + 0.5)) == pytest.approx(kl(seen(x=HEALTHY["x"] + 0.5)), rel=0.2)


def test_a_column_of_nan_is_missing_and_drifts() -> None:
    report = seen(x=np.full(N, np.nan))
    assert share(report, "x", "missing_ratio") == 1.0
    assert kl(report) > 1.0


def test_a_vanished_column_is_missing_in_every_record() -> None:
    monitor = Monitor(REFERENCE, (Window.everything(),))
    monitor.observe_columns({"c": HEALTHY["c"], "b": HEALTHY["b"]})
    assert share(monitor.tick(0), "x", "missing_ratio") == 1.0


def test_half_a_column_missing_is_drift() -> None:
    """evidently drops NaN first: 0.0038, "no drift"."""
    assert kl(seen(x=np.where(np.arange(N) % 2, HEALTHY["x"], np.nan))) > 0.5


def test_a_new_category_is_unseen_and_counts_in_full() -> None:
    """KL(P||Q) is silent up to 9 % of a new category; KL(Q||P) is not."""
    report = seen(c=["NEW" if row % 20 == 0 else value for row, value in enumerate(HEALTHY["c"])])
    assert share(report, "c", "unseen_ratio") == pytest.approx(0.05)
    assert kl(report, "c") > 0.2


def test_text_in_a_number_is_invalid_with_its_reason() -> None:
    report = seen(x=["oops", True, [1], *HEALTHY["x"][3:]])
    assert share(report, "x", "invalid_ratio") == pytest.approx(3 / N)
    assert report.lifetime is not None
    assert report.lifetime.invalid == {("x", "text"): 1, ("x", "boolean"): 1, ("x", "nested"): 1}


@pytest.mark.parametrize("empty", [{"x": [], "c": [], "b": []}, {"x": [None] * N, "c": [None] * N, "b": [None] * N}])
def test_an_empty_or_all_missing_reference_gives_numbers_or_absence_but_no_infinity(empty: dict[str, Any]) -> None:
    reference = reference_of(empty, KINDS)
    report = seen(reference)
    assert not np.isinf(report.values).any()


def test_nothing_live_is_absence_not_zero() -> None:
    report = Monitor(REFERENCE, (Window.everything(),)).tick(0)
    assert np.isnan(report.value(0, 0, "kl_divergence", direction="q_p"))
    assert np.isnan(report.value(0, 0, "missing_ratio"))
    assert report.value(0, 0, "window_observations") == 0


def test_every_accepted_record_adds_exactly_one_to_every_feature() -> None:
    report = seen(x=[*HEALTHY["x"][:-3], "oops", None, 1e300])
    assert report.values[0, index_of("window_observations")].tolist() == [N, N, N]


def test_a_record_without_any_known_field_is_missing_in_all_of_them() -> None:
    monitor = Monitor(REFERENCE, (Window.everything(),))
    monitor.observe({})
    assert monitor.flush().counted == 1
    assert monitor.observe_columns({"something else": [1, 2]}).counted == 2
    report = monitor.tick(0)
    assert [share(report, name, "missing_ratio") for name in "xcb"] == [1.0, 1.0, 1.0]
    assert report.value(0, 0, "window_observations") == 3
