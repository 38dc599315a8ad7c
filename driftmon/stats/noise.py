"""What KL(q̂||p) is when nothing has drifted: N live draws from p differ from p, and n reference draws did too.

Law: the debiased divergence averages zero without drift, and exceeds `floor_nats` less its mean once in
a hundred looks. Both hold in sparse bins, where the textbook's (K-1)/2N and chi-square fail: the counts
are taken as independent Poisson variables, corrected for their known sum (README.md, "Noise").
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from scipy.special import gammaincinv, gammaln, kl_div, rel_entr

from driftmon.stats.columns import Floats
from driftmon.stats.divergences import Pair

SPARSEST: Final = 1e-6  # expected counts below it: at most one observation per bin matters
FULLEST: Final = 200.0  # above it the moments approach their limits as 1/l
GRID: Final = 1024  # points of the table, even in ln l: linear interpolation errs by 5e-5 of the value
LIMITS: Final = np.array([[1.0], [2.0], [0.0]])  # of m, v and s in a well filled bin: chi-square with one degree
LEAST_OBSERVATIONS: Final = 0.5  # one live against one reference observation; with less there is no noise to speak of


@dataclass(frozen=True, eq=False)
class Noise:
    """Expected value, quantile and variance of KL(q̂||p) without drift, float64[features]; NaN: nothing observed."""

    mean_nats: Floats
    floor_nats: Floats
    variance: Floats


@cache
def _table() -> Floats:
    """float64[3, GRID]: m, v and s by summing over the Poisson distribution itself."""
    expected = np.geomspace(SPARSEST, FULLEST, GRID)[:, None]
    count = np.arange(FULLEST + 14 * FULLEST**0.5)  # fourteen standard deviations: nothing is left above
    chance = np.exp(count * np.log(expected) - expected - gammaln(count + 1))
    share = 2 * kl_div(count, expected)
    mean = (chance * share).sum(axis=1)
    variance = (chance * (share - mean[:, None]) ** 2).sum(axis=1)
    covariance = (chance * share * (count - expected)).sum(axis=1)
    return np.stack((mean, variance, covariance))


def poisson_moments(expected: Floats) -> tuple[Floats, Floats, Floats]:
    """(m, v, s) of a bin with `expected` = l observations: of h = 2 (c ln(c/l) - c + l) with c ~ Poisson(l),
    the mean, the variance, and the covariance with c. h is the bin's share of G = 2 N KL(q̂||p).

    >>> [round(moment.item(), 3) for moment in poisson_moments(np.array(1000.0))]
    [1.0, 2.001, -0.0]
    >>> [round(moment.item(), 3) for moment in poisson_moments(np.array(1.0))]
    [1.147, 1.365, 0.095]
    """
    table = _table()
    place = np.log(np.clip(expected, SPARSEST, FULLEST) / SPARSEST) * ((GRID - 1) / np.log(FULLEST / SPARSEST))
    below = np.clip(place.astype(np.int64), 0, GRID - 2)
    ratio = place - below
    limits = LIMITS.reshape(3, *[1] * expected.ndim)
    found = table[:, below] * (1 - ratio) + table[:, below + 1] * ratio
    found = limits + (found - limits) * np.minimum(1.0, FULLEST / np.maximum(expected, FULLEST))
    sparse = expected < SPARSEST
    if sparse.any():  # c is 0, or 1 with probability l
        log = np.log(np.maximum(expected, 1e-300))
        few = np.stack((-2 * expected * log, 4 * expected * (1 + log) ** 2, -2 * expected * (1 + log)))
        found = np.where(sparse, few, found)
    return found[0], found[1], found[2]


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
    values = np.maximum(pair.schema.totals(rel_entr(pair.q_raw, pair.p)), 0.0)
    return np.where((pair.live_total > 0) & (pair.reference_total > 0), values, np.nan)


def noise(pair: Pair, level: float = 0.99, phi: float | Floats = 1.0, kish: float | Floats = 1.0) -> Noise:
    """Moments of KL(q̂||p) with no drift, and its quantile at `level`: a gamma with that mean and variance.

        mu  = Σ m(N_h p) - 1                 var = (Σ v(N_h p) - (Σ s(N_h p))² / N_h) mu / (mu + 1)
        mean_nats = mu / 2 N_h               floor_nats = gamma quantile(mu²/var, var/mu) / 2 N_h

    `kish` is how many observations one of a decayed window stands for, (Σ w)² / (Σ w²) / N; 1 without decay.
    """
    effective = harmonic(pair.live_total * kish, pair.reference_total, phi)
    known = effective >= LEAST_OBSERVATIONS
    effective = np.where(known, effective, 1.0)
    expected = np.repeat(effective, pair.schema.sizes) * pair.p
    m, v, s = map(pair.schema.totals, poisson_moments(expected))
    mu = m - 1
    variance = (v - s**2 / effective) * mu / (mu + 1)
    quantile = gammaincinv(mu**2 / variance, level) * variance / mu
    unit = np.where(known, 2 * effective, np.nan)
    return Noise(mu / unit, quantile / unit, variance / unit**2)


def debiased(pair: Pair, expected: Noise) -> Floats:
    """KL(q̂||p) less what noise alone would make of it; below zero about half the time when nothing drifts."""
    return raw_kl(pair) - expected.mean_nats
