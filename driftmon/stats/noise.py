"""What KL(q̂||p) is when nothing has drifted: N live draws from p differ from p, and n reference draws did too.

Law: the debiased divergence averages zero without drift, and exceeds `floor_nats` less its mean once in
a hundred looks. Both hold in sparse bins, where the textbook's (K-1)/2N and chi-square fail: the counts
are taken as independent Poisson variables, corrected for their known sum (README.md, "Noise").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from driftmon.stats.columns import Floats
from driftmon.stats.divergences import Pair
from driftmon.stats.gammas import gamma_quantile
from driftmon.stats.poisson import poisson_moments, two_sample_moments

LEAST_OBSERVATIONS: Final = 0.5  # one live against one reference observation; with less there is no noise to speak of


@dataclass(frozen=True, eq=False)
class Noise:
    """Expected value, quantile and variance of KL(q̂||p) without drift, float64[features]; NaN: nothing observed."""

    mean_nats: Floats
    floor_nats: Floats
    variance: Floats


def harmonic(live: Floats, reference: Floats, phi: float | Floats = 1.0) -> Floats:
    """N_h = 1 / (phi/N + phi/n): both sides are samples, so it is less than either; 0 where one is empty.

    `phi` >= 1 is the overdispersion: dependent observations count for less.

    >>> harmonic(np.array([1000.0, 0.0]), np.array([1000.0, 1000.0])).tolist()
    [500.0, 0.0]
    """
    both = live + reference
    share: Floats = np.divide(reference, both, out=np.zeros(np.shape(both)), where=both > 0)
    return live * share / phi


def raw_kl(pair: Pair) -> Floats:
    """KL(q̂||p) = Σ q̂ ln(q̂/p) nats, live unsmoothed (0 ln 0 = 0): float64[features], NaN where nothing was observed.

    It is the G statistic over 2N, and the mean of -ln p(x) over the live observations less the entropy of q̂.
    """
    return pair.raw_kl


def mean_surprisal(pair: Pair) -> Floats:
    """-1/N Σ ln p(x) = H(q̂,P) nats over the live observations, unsmoothed: float64[features], NaN as raw_kl.

    >>> mean_surprisal(Pair.of(p=[1, 1], q=[3, 1])).tolist()         # -ln .5
    [0.6931471805599453]
    """
    known = (pair.live_total > 0) & (pair.reference_total > 0)
    return np.where(known, pair.schema.totals(-pair.q_raw * pair.log_p), np.nan)


def noise(pair: Pair, level: float = 0.99, phi: float | Floats = 1.0, kish: float | Floats = 1.0) -> Noise:
    """Moments of KL(q̂||p) with no drift, and its quantile at `level`: a gamma with that mean and variance.

        mu  = Σ m(N_h p) - 1                 var = (Σ v(N_h p) - (Σ s(N_h p))² / N_h) mu / (mu + 1)
        mean_nats = mu / 2 N_h               floor_nats = gamma quantile(mu²/var, var/mu) / 2 N_h

    or, where that is more, the same of two samples (poisson.py). The first is too low by some 2 % of looks where
    the reference has a few observations a bin, the second where it has none in many; neither where the other is.
    `kish` is how many observations one of a decayed window stands for, (Σ w)² / (Σ w²) / N; 1 without decay.
    """
    live, reference = pair.live_total * kish / phi, pair.reference_total / phi
    effective = harmonic(live, reference)
    known = effective >= LEAST_OBSERVATIONS
    effective, live, reference = (np.where(known, size, 1.0) for size in (effective, live, reference))
    expected = np.repeat(effective, pair.schema.sizes) * pair.p
    m, v, s = (np.add.reduceat(moment, pair.schema.starts) for moment in poisson_moments(expected))
    one = _gamma(m - 1, v - s**2 / effective, np.ones(len(m)), level, effective)
    m, v = two_sample_moments(pair, live, reference)
    freedom = 1 + live / reference
    two = _gamma(m - freedom, v, freedom, level, live)
    found = (np.where(known, np.fmax(a, b), np.nan) for a, b in zip(one, two, strict=True))
    return Noise(*found)


def _gamma(mu: Floats, variance: Floats, freedom: Floats, level: float, size: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, quantile and variance in nats of a gamma with these moments of 2 `size` KL."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        variance = variance * mu / (mu + freedom)
        quantile = gamma_quantile(mu**2 / variance, level) * variance / mu
    return mu / (2 * size), quantile / (2 * size), variance / (2 * size) ** 2


def debiased(pair: Pair, expected: Noise) -> Floats:
    """KL(q̂||p) less what noise alone would make of it; below zero about half the time when nothing drifts."""
    return raw_kl(pair) - expected.mean_nats
