"""Two samples of one p: the moments behind the noise floor equal the double sum over both Poisson distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import poisson

from driftmon.stats.binnings import boolean
from driftmon.stats.divergences import Pair
from driftmon.stats.noise import noise, raw_kl
from driftmon.stats.poisson import reference_moments, two_sample_moments
from driftmon.stats.schema import Feature, Schema

SCHEMA = Schema((Feature("b", boolean.Binning()),))


@pytest.mark.parametrize("expected", [0.5, 3.0, 40.0, 150.0, 900.0])
@pytest.mark.parametrize("pseudocount", [0.5, 1.0])
def test_reference_moments_equal_the_sum_over_the_distribution(expected: float, pseudocount: float) -> None:
    count = np.arange(0, expected + 40 * max(expected, 1) ** 0.5 + 40)
    chance = poisson.pmf(count, expected)
    log = np.log((count + pseudocount) / expected)
    gap = (count + pseudocount) / expected - 1 - log
    mean = (chance * gap).sum()
    wanted = [(chance * log).sum(), (chance * log**2).sum(), (chance * (gap - mean) ** 2).sum()]
    wanted.append((chance * (gap - mean) * count).sum())
    found = reference_moments(np.array([expected]), pseudocount)
    np.testing.assert_allclose(np.ravel(found), wanted, rtol=0.02, atol=2e-4)


def brute(live: float, reference: float, p: np.ndarray, pseudocount: float) -> tuple[float, float]:
    """Mean and variance of the sum over bins of h, by the double sum; what the known totals take away left out."""
    total, variance = 0.0, 0.0
    for share in p:
        c, r = np.arange(0, 400.0)[:, None], np.arange(0, 400.0)[None, :]
        chance = poisson.pmf(c, live * share) * poisson.pmf(r, reference * share)
        smoothed = live * (r + pseudocount) / (reference + pseudocount * len(p))
        h = 2 * (np.where(c > 0, c * np.log(np.maximum(c, 1) / smoothed), 0.0) - c + smoothed)
        mean = (chance * h).sum()
        total, variance = total + mean, variance + (chance * (h - mean) ** 2).sum()
    return total, variance


def test_two_sample_moments_equal_the_double_sum() -> None:
    reference = np.array([60.0, 30.0, 8.0, 2.0])
    pair = Pair(SCHEMA, reference, reference / 2, 0.5)
    mean, _ = two_sample_moments(pair, np.array([50.0]), np.array([100.0]))
    wanted, _ = brute(50.0, 100.0, pair.p, 0.5)
    assert mean[0] == pytest.approx(wanted, rel=0.01)


def test_a_long_tail_that_the_reference_hardly_knows_does_not_cry_wolf() -> None:
    """Zipf 1.5 in 256 bins, n = 20,000, N = 1,000: the harmonic approximation alone is exceeded in 2.7 % of looks."""
    rng = np.random.default_rng(256)
    p = 1 / np.arange(1, 257) ** 1.5
    p /= p.sum()
    binning = [Feature(f"run{run}", _Wide()) for run in range(1500)]
    schema = Schema(tuple(binning))
    drawn = [rng.multinomial(size, p, size=1500).astype(float).ravel() for size in (20_000, 1_000)]
    pair = Pair(schema, drawn[0], drawn[1], 0.5)
    exceeded = (raw_kl(pair) > noise(pair).floor_nats).mean()
    assert 0.002 < exceeded <= 0.02


class _Wide:
    """256 bins, none of them special: only shapes matter here."""

    kind, size, regular, positions = "numeric", 256, 256, None
    tallies: tuple[str, ...] = ()
    cuts = places = None

    def codes(self, values: object) -> np.ndarray:
        raise NotImplementedError

    counts = codes

    def labels(self) -> tuple[str, ...]:
        return tuple(map(str, range(256)))

    def as_dict(self) -> dict[str, object]:
        return {"type": "wide"}
