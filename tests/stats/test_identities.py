"""What the loss and the divergence share: the same minimum, the same number of observations, no digits lost near it."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmon.monitor.risen import raising
from driftmon.stats.binnings import categorical
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import independent
from driftmon.stats.divergences import Pair
from driftmon.stats.noise import mean_surprisal, raw_kl
from driftmon.stats.rises import Rise
from driftmon.stats.schema import Feature, Schema
from tests.oracle import smooth
from tests.stats.pairs import exactly, pairs, value

SCHEMA = Schema((Feature("x", categorical.Binning(("a", "b", "c"))),))
counts = st.lists(st.integers(0, 1000), min_size=6, max_size=6).filter(any)


def pair(reference: list[int], live: list[int]) -> Pair:
    return Pair(SCHEMA, np.array(reference, dtype=np.float64), np.array(live, dtype=np.float64), 0.5)


@given(counts, st.lists(counts, min_size=1, max_size=8))
def test_the_q_of_least_divergence_is_the_q_of_least_cross_entropy(p: list[int], others: list[list[int]]) -> None:
    """For a fixed P they differ by H(P), whatever Q is; and no Q is better than P itself."""
    tried = [pair(p, q) for q in (*others, p)]
    kl = np.concatenate([value(one, "kl_divergence", "p_q") for one in tried])
    cross = np.concatenate([value(one, "cross_entropy", "p_q") for one in tried])
    entropy = value(tried[0], "entropy", "reference")[0]
    assert cross - kl == exactly(np.full(len(tried), entropy))
    assert cross[kl.argmin()] == exactly(cross.min())
    assert kl[-1] == 0
    assert cross[-1] == exactly(cross.min())


@given(counts, st.lists(counts, min_size=1, max_size=8))
def test_the_likeliest_p_is_what_was_seen(seen: list[int], others: list[list[int]]) -> None:
    """The mean negative log-likelihood of a sample is least, H(q̂), under its own shares: maximum likelihood."""
    under = [mean_surprisal(pair(p, seen))[0] for p in others]
    own = Pair(SCHEMA, np.array(seen, dtype=np.float64), np.array(seen, dtype=np.float64), 1e-300)
    least = mean_surprisal(own)[0]
    assert least == exactly(value(own, "entropy", "live")[0])
    assert min(under) >= least - 1e-12
    order = np.argsort([raw_kl(pair(p, seen))[0] for p in others], kind="stable")
    assert under[order[0]] == exactly(min(under))


@given(pair=pairs())
def test_mean_surprisal_is_that_of_the_observations_one_by_one(pair: Pair) -> None:
    q = np.add.reduceat(
        np.where(pair.q_raw > 0, -pair.q_raw * np.log(np.maximum(pair.q_raw, 1e-300)), 0.0), pair.schema.starts
    )
    assert mean_surprisal(pair) == exactly(raw_kl(pair) + q)


def test_mean_surprisal_of_a_handful_by_hand() -> None:
    found = pair([7, 3, 0, 0, 0, 0], [1, 0, 2, 0, 0, 0])
    p = (np.array([7, 3, 0, 0, 0, 0]) + 0.5) / 13
    one_by_one: Floats = -np.log(p[[0, 2, 2]])
    assert mean_surprisal(found)[0] == exactly(one_by_one.mean())


def exact_kl(of: list[Fraction], under: list[Fraction]) -> float:
    """Σ p g(x / p), g(x) = (1 + x) ln(1 + x) - x, as a series in fractions: no logarithm, nothing to cancel."""
    found = Fraction(0)
    for q, p in zip(of, under, strict=True):
        x = q / p - 1
        assert abs(x) < Fraction(1, 10)
        found += p * sum((-x) ** k / (k * (k - 1)) for k in range(2, 20))
    return float(found)


@pytest.mark.parametrize("moved", [1, 10, 1_000, 30_000, 300_000, 900_000])
def test_nearly_equal_distributions_lose_no_digits_that_count(moved: int) -> None:
    """From 1e-13 to 1e-2 nats: never below 0, and right in relation to what is left."""
    p, q = [10_000_000, 20_000_000, 30_000_000, 0, 0, 0], [10_000_000 - moved, 20_000_000 + moved, 30_000_000, 0, 0, 0]
    found = pair(p, q)
    for label, of, under in (("q_p", q, p), ("p_q", p, q)):
        wanted = exact_kl(smooth(of, 0.5), smooth(under, 0.5))
        kl = value(found, "kl_divergence", label)[0]
        assert kl >= 0
        assert kl == pytest.approx(wanted, rel=1e-9, abs=0)


def decimal_kl(of: list[Fraction], under: list[Fraction]) -> float:
    """Σ q ln(q/p) in 90 digits, so that what cancels leaves enough."""
    with localcontext(prec=90):
        q, p = ([Decimal(one.numerator) / one.denominator for one in some] for some in (of, under))
        return float(sum(one * (one / other).ln() for one, other in zip(q, p, strict=True)))


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from([-1, 0, 0, 0, 1, 7])), min_size=1, max_size=5),
    st.sampled_from([1, 3, 10, 997]),
    st.sampled_from([0.5, 1.0, 1e-6]),
)
@settings(max_examples=60, deadline=None)
def test_kl_of_nearly_equal_shares_is_right_to_a_thousand_millionth(
    bins: list[tuple[int, int]], times: int, pseudocount: float
) -> None:
    """Live counts are the reference's so many times over, but for a few: up to 1e-20 nats, beside a far feature."""
    binning = categorical.Binning(tuple(f"c{at}" for at in range(len(bins))))
    p, q = ([*counts, 0, 0, 0] for counts in zip(*((n, max(0, n * times + off)) for n, off in bins), strict=True))
    schema = Schema((Feature("near", binning), Feature("far", binning)))
    reference, live = (np.array([*counts, *other], dtype=np.float64) for counts, other in ((p, p), (q, q[::-1])))
    found = Pair(schema, reference, live, pseudocount)
    alone = Pair(Schema((Feature("near", binning),)), reference[: len(p)], live[: len(q)], pseudocount)
    for label, of, under in (("q_p", q, p), ("p_q", p, q)):
        kl, _ = value(found, "kl_divergence", label)
        if sum(of) and sum(under):
            assert kl >= 0
            assert kl == pytest.approx(decimal_kl(smooth(of, pseudocount), smooth(under, pseudocount)), rel=1e-9, abs=0)
            assert kl == value(alone, "kl_divergence", label)[0]


def test_equal_shares_have_no_divergence_at_all() -> None:
    schema = Schema((Feature("x", categorical.Binning(("a", "b", "c"))),))
    reference = np.array([1e7 + 1, 3e8 + 7, 5.0, 0, 0, 0])
    assert value(Pair(schema, reference, reference, 0.5), "kl_divergence", "q_p")[0] == 0
    assert value(Pair(schema, reference, reference, 0.5), "kl_divergence", "p_q")[0] == 0


def test_the_worked_example_of_the_readme() -> None:
    found = Pair.of(p=[70, 20, 10], q=[50, 20, 30])
    assert mean_surprisal(found)[0] == pytest.approx(1.191, abs=5e-4)
    assert value(found, "entropy", "live")[0] == pytest.approx(1.030, abs=5e-4)
    assert value(found, "kl_divergence", "q_p")[0] == pytest.approx(0.161, abs=5e-4)
    rise = Rise.of_surprisal(found, independent(found.schema))
    assert rise.mean(found.reference)[0] == pytest.approx(0.802, abs=5e-4)
    assert (rise.mean(found.live) - rise.mean(found.reference))[0] == pytest.approx(0.389, abs=5e-4)
    assert raising(found, rise, 0)[0].contribution_nats == pytest.approx(0.461, abs=5e-4)


def test_for_a_fixed_p_the_worked_example_ranks_q_alike_by_both() -> None:
    """And no KL is 0 but that of P itself, nor the same in both directions."""
    tried = [Pair.of(p=[70, 20, 10], q=q) for q in ([70, 20, 10], [72, 19, 9], [50, 20, 30], [1, 1, 1])]
    cross, kl, back = (
        np.concatenate([value(one, name, label) for one in tried])
        for name, label in (("cross_entropy", "p_q"), ("kl_divergence", "p_q"), ("kl_divergence", "q_p"))
    )
    assert cross == pytest.approx([0.802, 0.803, 0.927, 1.099], abs=5e-4)
    assert kl == pytest.approx([0, 0.00107, 0.126, 0.297], abs=5e-4)
    assert back == pytest.approx([0, 0.00105, 0.161, 0.324], abs=5e-4)
    assert cross - kl == exactly(np.full(4, value(tried[0], "entropy", "reference")[0]))
    assert cross.argsort().tolist() == kl.argsort().tolist() == [0, 1, 2, 3]
    assert kl[0] == back[0] == 0
    assert (np.minimum(kl, back)[1:] > 0).all()
    assert (kl != back).tolist() == [False, True, True, True]


@given(counts, st.integers(0, 5), st.integers(0, 5))
def test_kl_is_zero_only_where_p_equals_q(before: list[int], source: int, target: int) -> None:
    """A single row of up to 6,000 in another bin is seen, both ways."""
    after = list(before)
    after[source] += 1
    before[target] += 1
    found = pair(before, after)
    for label in ("q_p", "p_q"):
        assert (value(found, "kl_divergence", label)[0] > 0) == (source != target)
