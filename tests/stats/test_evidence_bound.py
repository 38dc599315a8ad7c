"""The cheap bound is never below the evidence, whatever was counted, and not much above it where nothing drifts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from driftmon.stats.binnings import boolean, categorical, numeric
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import dispersion, independent
from driftmon.stats.divergences import Pair
from driftmon.stats.evidence import Tolerance, lags, weighed
from driftmon.stats.evidence_bound import ENOUGH, EvidenceBound
from driftmon.stats.schema import Feature, Schema

SCHEMA = Schema(
    (
        Feature("x", numeric.Binning(tuple(range(14)))),
        Feature("c", categorical.Binning(("a", "b", "c"))),
        Feature("b", boolean.Binning()),
    )
)
LAGS = lags(20)
SHARES = np.repeat(1 / SCHEMA.sizes, SCHEMA.sizes)


def tolerance(seed: int, rows: int, effect: float, dependent: bool) -> Tolerance:
    """The special bins, and some others, are empty in the reference."""
    chance = np.random.default_rng(seed)
    shares = SHARES * SCHEMA.regular * (chance.random(SCHEMA.width) > 0.2)
    blocks = chance.poisson(shares * rows / 30 * (chance.gamma(2, 0.5, (30, 1)) if dependent else np.ones((30, 1))))
    reference = blocks.sum(axis=0)
    found = dispersion(SCHEMA, blocks) if dependent else independent(SCHEMA)
    assert found is not None
    pair = Pair(SCHEMA, reference.astype(float), np.zeros(SCHEMA.width), 0.5)
    return Tolerance(SCHEMA, pair.reference, pair.p, effect, found)


def bound_of(known: Tolerance, counts: Floats, allowed: NDArray[np.bool_]) -> Floats:
    """Each lag's counts as what lies between two rows of running sums."""
    bound, rows = EvidenceBound(known), counts.reshape(-1, SCHEMA.width)
    running = bound.running(np.concatenate((np.zeros((1, SCHEMA.width)), np.cumsum(rows, axis=0))))
    at = np.arange(len(rows)).reshape(counts.shape[:2])
    return bound.log_r(running, at, at + 1, allowed)


@settings(max_examples=60)
@given(
    st.integers(0, 10_000),
    st.sampled_from([0, 40, 3_000, 10**6]),
    st.sampled_from([0.02, 0.3]),
    st.booleans(),
    st.sampled_from([0.05, 3, 200]),
    st.floats(0, 1),
)
def test_it_is_never_less_than_the_evidence(
    seed: int, rows: int, effect: float, dependent: bool, rate: float, drift: float
) -> None:
    known = tolerance(seed, rows, effect, dependent)
    chance = np.random.default_rng(seed + 1)
    moved = (1 - drift) * SHARES + drift * chance.permutation(SHARES * SCHEMA.regular)
    panes = chance.poisson(moved * rate * 10, (3, LAGS[-1], SCHEMA.width)).astype(float)
    counts = np.cumsum(panes, axis=1)[:, LAGS - 1]
    allowed = chance.random((3, len(LAGS), 3)) > 0.3
    bound = bound_of(known, counts, allowed)
    exact = np.array([weighed(known.log_e(one), LAGS, may).log_r for one, may in zip(counts, allowed, strict=True)])
    said = exact > np.log(1e-299)  # less is no evidence at all
    assert (bound >= np.minimum(exact, ENOUGH) - 1e-6)[said].all()


@pytest.mark.parametrize("dependent", [False, True])
def test_without_drift_it_asks_for_the_whole_in_few_looks(dependent: bool) -> None:
    """A loose bound would be as true, and useless."""
    known = tolerance(3, 10**6, 0.02, dependent)
    known = replace(known, p=Pair(SCHEMA, known.reference, known.reference, 0.5).p)
    panes = np.random.default_rng(5).poisson(known.p_raw * 20, (200, LAGS[-1], SCHEMA.width)).astype(float)
    counts = np.cumsum(panes, axis=1)[:, LAGS - 1]
    bound = bound_of(known, counts, np.ones((200, len(LAGS), 3), dtype=np.bool_))
    assert (bound > np.log(1000.0)).mean() < 0.02
