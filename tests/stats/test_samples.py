"""What the numbers mean for a sample: cross-entropy is a mean over observations, and of one it is the log loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from driftmon.stats.binnings import categorical
from driftmon.stats.divergences import Pair
from driftmon.stats.noise import raw_kl
from driftmon.stats.schema import Feature, Schema
from tests.stats.pairs import exactly, pairs, value

FOUR = Schema((Feature("x", categorical.Binning(("a",))),))
observations = st.lists(st.integers(0, 3), min_size=1, max_size=60)
references = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any)


def pair_of(reference: list[int], codes: list[int], pseudocount: float) -> Pair:
    live = np.bincount(np.array(codes, dtype=np.int64), minlength=4).astype(np.float64)
    return Pair(FOUR, np.array(reference, dtype=np.float64), live, pseudocount)


@given(reference=references, codes=observations)
def test_cross_entropy_is_the_mean_surprise_of_the_observations(reference: list[int], codes: list[int]) -> None:
    """-1/N Σ ln p(x_i) over the live sample = H(q̂,P) = KL(q̂||P) + H(q̂)."""
    pair = pair_of(reference, codes, 0.5)
    mean_surprise = -math.fsum(pair.log_p[code] for code in codes) / len(codes)
    assert raw_kl(pair)[0] + scipy.stats.entropy(pair.live) == exactly(mean_surprise)


@given(reference=references, codes=observations)
def test_cross_entropy_of_the_reference_is_the_mean_of_minus_ln_q_over_its_sample(
    reference: list[int], codes: list[int]
) -> None:
    """-1/N Σ ln q(x_i), x_i the reference's own observations, is H(P,Q) as the reference's smoothing vanishes."""
    pair = pair_of(reference, codes, 0.5)
    sample = np.repeat(np.arange(4), reference)
    mean = -math.fsum(pair.log_q[code] for code in sample) / len(sample)
    assert -float(pair.p_raw @ pair.log_q) == exactly(mean)
    n, k, a = sum(reference), 4, 0.5
    smoothed = (n * mean - a * pair.log_q.sum()) / (n + a * k)
    assert value(pair, "cross_entropy", "p_q")[0] == exactly(smoothed)


@pytest.mark.parametrize("code", range(4))
@given(reference=references)
def test_of_a_single_observation_kl_is_the_log_loss(code: int, reference: list[int]) -> None:
    """One-hot Q: H(Q) = 0, so KL(Q||P) = H(Q,P) = -ln p(x)."""
    pair = pair_of(reference, [code], 0.5)
    assert raw_kl(pair)[0] == exactly(-math.log(pair.p[code]))


@pytest.mark.parametrize("label", range(3))
@given(logits=st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_one_hot_truth_makes_cross_entropy_the_log_loss_of_a_classifier(label: int, logits: list[float]) -> None:
    """One-hot P, predicted Q: H(P,Q) = KL(P||Q) = -ln q(label), H(P) = 0."""
    predicted = np.exp(logits) / np.exp(logits).sum()
    pair = Pair.of(p=[float(index == label) for index in range(3)], q=predicted.tolist())
    log_loss = -math.log(predicted[label])
    assert value(pair, "cross_entropy", "p_q")[0] == exactly(log_loss)
    assert value(pair, "kl_divergence", "p_q")[0] == exactly(log_loss)
    assert value(pair, "entropy", "reference")[0] == exactly(0.0)


@given(pair=pairs())
def test_as_the_pseudocount_vanishes_the_smoothed_value_is_the_raw_one(pair: Pair) -> None:
    bare = Pair(pair.schema, pair.reference + 1, pair.live, 1e-13)
    assert value(bare, "kl_divergence", "q_p") == pytest.approx(raw_kl(bare), rel=0, abs=1e-9, nan_ok=True)


@given(pair=pairs())
def test_smoothed_shares_sum_to_one_and_none_is_zero(pair: Pair) -> None:
    for shares in (pair.p, pair.q):
        assert pair.schema.totals(shares) == exactly(np.ones(len(pair.schema.features)))
        assert (shares > 0).all()


@given(codes=observations, reference=references)
def test_each_observation_adds_its_own_surprise(codes: list[int], reference: list[int]) -> None:
    """S H(Q,P) grows by -ln p(x) at every x: the estimate can be kept without the sample."""
    before = -0.5 * pair_of(reference, [], 0.5).log_p.sum()
    for seen in range(1, len(codes) + 1):
        pair = pair_of(reference, codes[:seen], 0.5)
        grown = value(pair, "cross_entropy", "q_p")[0] * (seen + 2)
        assert grown - before == pytest.approx(-pair.log_p[codes[seen - 1]], abs=1e-9)
        before = grown
