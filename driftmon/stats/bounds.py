"""Bounds: how small and how large the true KL(Q||P) may be, given both samples and their dependence.

Law: the lower bound exceeds the truth in at most the stated share of looks (1 %), mostly far less near 0;
it is calibrated by simulation, not a theorem. Leaving out the reference's error is fatal: at n = 1,000
and N = 30,000 the known-P formula is wrong in 99.9 % of looks at nothing.

    SE² = phi V / N + phi X / n + Var(noise)        V = Σ q̂ ln²(q̂/p) - KL²        X = Σ q̂²/p - 1

`shown_below` asks the other way round, whether an effect is over: its law is that while KL(Q||P) is still
the effect or more, it says yes in about the stated share of looks or less (tests/simulate/clearing.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.columns import Floats
from driftmon.stats.divergences import Pair
from driftmon.stats.noise import Noise, debiased, raw_kl
from driftmon.stats.special import chndtr, ndtri


def log_spread(pair: Pair) -> Floats:
    """float64[F]: V, the variance of ln(q̂/p) over the live observations; about 2 KL unless rare bins carry it."""
    second = np.add.reduceat(pair.q_raw * pair.raw_log_ratio**2, pair.schema.starts)
    return np.maximum(second - raw_kl(pair) ** 2, 0.0)


def standard_error(pair: Pair, expected: Noise, effective: Floats, phi: Floats) -> Floats:
    """float64[F] nats: the standard error of the debiased KL; `effective` = N less overdispersion and decay."""
    spread = log_spread(pair)
    reference = np.maximum(np.add.reduceat(pair.q_raw * (pair.q_raw / pair.p), pair.schema.starts) - 1, 0.0)
    known = (effective > 0) & (pair.reference_total > 0)
    live_part = np.divide(spread, effective, out=np.zeros(len(spread)), where=known)
    reference_part = np.divide(phi * reference, pair.reference_total, out=np.zeros(len(spread)), where=known)
    return np.where(known, np.sqrt(live_part + reference_part + expected.variance), np.nan)


def bounds(pair: Pair, expected: Noise, effective: Floats, phi: Floats, level: float = 0.99) -> tuple[Floats, Floats]:
    """One-sided lower and upper bound at `level`, float64[F] each: the debiased KL -+ z SE; the lower may be negative.

    >>> from driftmon.stats.noise import noise
    >>> pair = Pair.of(p=[5000, 5000], q=[600, 400])
    >>> low, high = bounds(pair, noise(pair), pair.live_total, np.ones(1))
    >>> low.round(4).tolist(), high.round(4).tolist()      # around the truth of 0.0201
    ([0.0041], [0.035])
    """
    error = float(ndtri(level)) * standard_error(pair, expected, effective, phi)
    middle = debiased(pair, expected)
    return middle - error, middle + error


def shown_below(effect: float, pair: Pair, expected: Noise, spread: Floats, risk: float) -> NDArray[np.bool_]:
    """bool[F]: so small a raw KL arises in at most `risk` of looks if the true one is `effect`; False: or unknown.

    Under the effect the raw KL over a scale is taken as noncentral chi-square: its noise has the moments of `expected`,
    its noncentrality is effect / scale. `spread` = V / KL, the drift's that may be over, is 2 for a small shift over
    well filled bins; where rare bins carry it, it is more, and each observation says less: scale = its half / 2 N_h.

    >>> from driftmon.stats.noise import noise
    >>> pair = Pair.of(p=[5000, 5000], q=[640, 560])
    >>> [shown_below(0.02, pair, noise(pair), np.full(1, 2.0), risk).tolist() for risk in (0.01, 1e-6)]
    [[True], [False]]
    """
    known = (pair.live_total > 0) & (pair.reference_total > 0) & np.isfinite(expected.mean_nats)
    noise_nats = np.where(known, expected.mean_nats, 1.0)
    scale = np.where(known, expected.variance, 1.0) / (2 * noise_nats) * (spread / 2)
    chance = chndtr(np.where(known, raw_kl(pair), np.inf) / scale, noise_nats / scale, effect / scale)
    return np.asarray(known & (chance <= risk))
