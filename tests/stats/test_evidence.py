"""The e-values are what they claim: their mean is at most 1 under every Q in the null, summed over all outcomes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmon.stats.binnings import categorical, numeric
from driftmon.stats.coarsenings import Coarsenings
from driftmon.stats.dispersion import dispersion, independent
from driftmon.stats.evidence import REFERENCE_ERROR, Evidence, Tolerance, evidence, lags
from driftmon.stats.multiplicity import flagged
from driftmon.stats.schema import Feature, Schema
from driftmon.stats.special import gammaln

RNG = np.random.default_rng(20240602)


def tolerance(schema: Schema, reference: list[float], effect: float = 0.02) -> Tolerance:
    counts = np.array(reference, dtype=np.float64)
    total = np.repeat(np.add.reduceat(counts, schema.starts), schema.sizes)
    smoothed = (counts + 0.5) / (total + 0.5 * np.repeat(schema.sizes, schema.sizes))
    return Tolerance(schema, counts, smoothed, effect, independent(schema))


def weigh(model: Tolerance, counts: np.ndarray, lag_panes: np.ndarray) -> Evidence:
    return evidence(model, counts, lag_panes, np.ones((len(lag_panes), len(model.schema.features)), dtype=np.bool_))


def outcomes(total: int, bins: int) -> Iterator[tuple[int, ...]]:
    if bins == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in outcomes(total - first, bins - 1):
            yield (first, *rest)


SCHEMA = Schema((Feature("x", numeric.Binning((0.0, 1.0))),))  # three bins, invalid, missing: K = 5


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(0, 300), min_size=5, max_size=5).filter(lambda counts: sum(counts) >= 50),
    st.lists(st.floats(0.0, 1.0), min_size=5, max_size=5).filter(lambda shares: sum(shares) > 0.1),
    st.floats(0.0, 1.0),
)
def test_no_q_within_reach_of_the_reference_expects_more_than_one(
    reference: list[int], towards: list[float], how_far: float
) -> None:
    """Sum over every possible outcome of P_Q(outcome) E(outcome) <= 1, exactly, for Q on the segment p̂ -> towards."""
    model = tolerance(SCHEMA, [float(count) for count in reference])
    p, target = model.p_raw, np.array(towards) / sum(towards)
    far = how_far
    while far > 1e-9 and not within(model, (1 - far) * p + far * target):
        far /= 2
    q = (1 - far) * p + far * target if far > 1e-9 else p
    total = 4
    every = np.array(list(outcomes(total, 5)), dtype=np.float64)
    e = np.exp(np.array([model.log_e(row[None, :])[0, 0] for row in every]))
    chance = np.array(
        [math.factorial(total) / math.prod(map(math.factorial, row)) for row in every.astype(int).tolist()]
    )
    chance = chance * np.prod(np.where(every > 0, q**every, 1.0), axis=1)
    assert chance.sum() == pytest.approx(1.0)
    assert float((chance * e).sum()) <= 1 + 1e-9


def within(model: Tolerance, q: np.ndarray) -> bool:
    """Q belongs to every null at once: the full histogram's and each coarsening's."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        kl = np.where(model.p_raw > 0, model.p_raw * np.log(model.p_raw / q), 0.0).sum()
    low, high = model.interval
    first = Coarsenings(SCHEMA).first(q)
    return bool(kl <= model.tau0[0] and (low <= first).all() and (first <= high).all())


def naive_log_e_two(first: float, total: float, p: float, middle: float, radius: float, mass: float) -> float:
    """The two-bin e-value by math.lgamma and bisection."""

    def kl(q: float) -> float:
        terms = [(middle, q), (1 - middle, 1 - q)]
        return sum(a * math.log(a / b) if b > 0 else math.inf for a, b in terms if a > 0)

    def edge(bound: float) -> float:
        inner, outer = middle, bound
        for _ in range(200):
            half = (inner + outer) / 2
            inner, outer = (inner, half) if kl(half) > radius else (half, outer)
        return outer

    a, b = mass * p, mass * (1 - p)
    mixture = math.lgamma(mass) - math.lgamma(mass + total)
    mixture += math.lgamma(a + first) - math.lgamma(a) + math.lgamma(b + total - first) - math.lgamma(b)
    share = min(max(first / total, edge(0.0)), edge(1.0))
    null = (first * math.log(share) if first else 0.0) + (
        (total - first) * math.log1p(-share) if total > first else 0.0
    )
    return mixture - null


def test_the_vectorised_two_bin_e_values_equal_the_scalar_ones() -> None:
    model = tolerance(SCHEMA, [300.0, 500.0, 200.0, 0.0, 0.0])
    counts = np.array([[40.0, 30.0, 30.0, 0.0, 2.0]])
    total = np.full((1, 7), counts.sum())
    found = model._log_e_two(model.pairs.first(counts), total, gammaln(model.mass + total))[0]
    pairs = Coarsenings(SCHEMA)
    parts = (pairs.first(counts)[0], pairs.first(model.p), pairs.first(model.p_raw), model.pair_tau0)
    wanted = [naive_log_e_two(first, 102.0, p, mid, radius, 25.0) for first, p, mid, radius in zip(*parts, strict=True)]
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


@given(st.lists(st.integers(0, 50), min_size=5, max_size=5).filter(lambda counts: sum(counts) > 0))
def test_the_nearest_q_in_the_null_is_on_its_outer_side_and_close(live: list[int]) -> None:
    model = tolerance(SCHEMA, [300.0, 500.0, 150.0, 20.0, 30.0])
    q = np.array([live], dtype=np.float64) / sum(live)
    weight = model._mixing(q)[0, 0]

    def kl(w: float) -> float:
        with np.errstate(divide="ignore"):
            return float(np.sum(model.p_raw * np.log(model.p_raw / ((1 - w) * q[0] + w * model.p_raw))))

    if kl(0.0) <= model.tau0[0]:
        assert weight == 0.0
    else:
        assert kl(weight) >= model.tau0[0] * (1 - 1e-9)
        assert kl(min(weight * 1.1 + 1e-3, 1.0)) <= model.tau0[0] * (1 + 1e-6)


def test_chernoff_radius_covers_the_reference_error_at_any_size() -> None:
    """All coarsenings of a true P lie within their intervals around p̂ but for a share REFERENCE_ERROR of references."""
    p, runs = np.array([0.5, 0.3, 0.19, 0.0, 0.01]), 2000  # each a feature of its own
    schema = Schema(tuple(Feature(f"f{run}", SCHEMA.features[0].binning) for run in range(runs)))
    pairs = Coarsenings(schema)
    first = pairs.first(np.tile(p, runs))
    for n in (50, 500):
        low, high = tolerance(schema, RNG.multinomial(n, p, size=runs).astype(float).ravel().tolist()).interval
        outside = np.unique(pairs.feature[(first < low - 1e-12) | (first > high + 1e-12)])
        assert len(outside) <= runs * REFERENCE_ERROR + 4


def test_r_stays_below_a_without_drift_and_rises_with_it() -> None:
    p = np.full(16, 1 / 16)
    binning = numeric.Binning(tuple(float(edge) for edge in range(15)))
    schema = Schema(tuple(Feature(f"f{index}", binning) for index in range(20)))
    reference = np.concatenate([[*RNG.multinomial(20_000, p), 0, 0] for _ in schema.features]).tolist()
    model, lag_panes = tolerance(schema, reference), lags(64)
    q = p * np.where(np.arange(16) < 8, 1.3, 0.7)
    for shares, drifts in ((p, False), (q, True)):
        panes = np.concatenate(
            [[[*RNG.multinomial(100, shares), 0, 0] for _ in range(64)] for _ in schema.features], axis=1
        )
        sums = np.cumsum(panes[::-1], axis=0)[lag_panes - 1].astype(np.float64)
        assert bool((weigh(model, sums, lag_panes).log_r >= math.log(10_000)).all()) is drifts
        assert bool((weigh(model, sums, lag_panes).log_r >= math.log(10_000)).any()) is drifts


def test_empty_panes_and_an_empty_reference_say_nothing() -> None:
    schema = Schema((Feature("c", categorical.Binning(("a", "b"))),))
    nothing, some = np.zeros((2, 5)), np.array([[5.0, 0, 0, 0, 0], [9.0, 0, 0, 0, 0]])
    assert weigh(tolerance(schema, [50.0, 50, 0, 0, 0]), nothing, lags(2)).log_r.tolist() == pytest.approx(
        [math.log(2)]
    )
    assert weigh(tolerance(schema, [0.0] * 5), some, lags(2)).log_r[0] <= math.log(2) + 1e-9


def test_e_d_bh_flags_by_the_largest_k() -> None:
    log_r = np.log([1e6, 300.0, 260.0, 1.0])
    assert flagged(log_r, math.log(200.0), family=4).tolist() == [True, False, False, False]
    assert flagged(log_r, math.log(190.0), family=4).tolist() == [True, True, True, False]
    assert not flagged(np.full(4, np.nan), math.log(200.0), family=4).any()


@given(st.lists(st.floats(-5, 20), min_size=1, max_size=12), st.floats(0, 8))
def test_a_flag_means_that_the_mean_of_r_is_at_least_a(log_r: list[float], log_a: float) -> None:
    """The short proof of the budget: whatever is flagged, the average of R over all features has reached A."""
    found = flagged(np.array(log_r), log_a, family=len(log_r))
    if found.any():
        assert np.exp(np.array(log_r)).mean() >= math.exp(log_a) * (1 - 1e-9)


def correlated_blocks(rho: float, blocks: int, rows: int) -> np.ndarray:
    rng, binning = np.random.default_rng(5), SCHEMA.features[0].binning
    state, noise = rng.normal(), rng.normal(size=blocks * rows)
    values = np.empty(len(noise))
    for index, shock in enumerate(noise):
        state = rho * state + math.sqrt(1 - rho**2) * shock
        values[index] = state
    codes = binning.codes(values).reshape(blocks, rows)
    return np.array([np.bincount(row, minlength=5) for row in codes])


def test_dispersion_is_one_for_independent_rows_and_grows_with_dependence() -> None:
    found = {rho: dispersion(SCHEMA, correlated_blocks(rho, 200, 100)) for rho in (0.0, 0.5, 0.9)}
    assert [bool(one is not None and one.dependent[0]) for one in found.values()] == [False, True, True]
    averages = [float(one.average[0, 0]) for one in found.values() if one is not None]
    assert averages == sorted(averages)
    assert averages[2] > 2


def test_fewer_than_twenty_blocks_say_nothing() -> None:
    assert dispersion(SCHEMA, correlated_blocks(0.0, 19, 10)) is None
