"""The fleet's budget in short: `python -m tests.simulate fleet` has 900 pods x 50 features."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from driftmon.stats.columns import Floats
from driftmon.stats.multiplicity import flagged
from tests.simulate.fleet import by_rule, evidence_of, few_bins, first, fleet_alarms, mean_of
from tests.simulate.worlds import NULL, mean_shift

PODS, FEATURES, PANES = 12, 6, 50
LAW = few_bins(7)


@cache
def calm() -> Floats:
    rng = np.random.default_rng(2)
    return evidence_of(rng, FEATURES, PANES, (np.tile(LAW, (FEATURES, 1)) for _ in range(PODS)), LAW)


def test_without_drift_the_mean_over_pods_stays_below_the_number_of_panes() -> None:
    """The e-detector's own bound, E[R] <= t; far below it because every E allows for the reference's error."""
    means = np.exp(mean_of(calm()))
    assert (means.mean(axis=1) <= np.arange(1, PANES + 1)).all()
    assert not fleet_alarms(calm(), budget=10.0 * PANES).any()


@pytest.mark.parametrize("shifted", [PODS, 1])
def test_a_shift_in_all_pods_or_in_one_is_found_within_the_budget_of_the_fleet(shifted: int) -> None:
    """One pod of 12 needs 12 times the evidence: ln 12 / 0.1 = 25 observations more."""
    law = np.tile(NULL, (2, 1))
    moved = law.copy()
    moved[0] = mean_shift(0.1)
    laws = (moved if pod < shifted else law for pod in range(PODS))
    flags = fleet_alarms(evidence_of(np.random.default_rng(3), 2, 12, laws), budget=43_200.0)
    assert first(flags[:, 0]) <= 8
    assert not flags[:, 1].any()


@pytest.mark.parametrize("seed", range(20))
def test_the_recording_rule_flags_no_more_than_e_d_bh_and_loses_at_most_a_factor_two(seed: int) -> None:
    log_r = np.random.default_rng(seed).normal(2.0, 3.0, 40)
    exact, ours = flagged(log_r, math.log(10.0), 40), by_rule(log_r, math.log(10.0))
    assert not (ours & ~exact).any()
    assert (flagged(log_r - math.log(2.0), math.log(10.0), 40) <= ours).all()
