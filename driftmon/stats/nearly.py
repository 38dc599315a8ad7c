"""Nearly: KL of two distributions that are nearly equal, right to the last digits of what remains.

Law: Σ q ln(q/p) is a small difference of large terms there: what is off by 2e-16 in all may be all there is. With
Σ p = Σ q = 1 the same is Σ (q ln(q/p) - q + p), of which no term is below 0, and each is had without cancellation
(Loader 2000):

    v = (q - p) / (q + p)       q ln(q/p) - q + p = v (q - p) + 2 q v (v²/3 + v⁴/5 + ...)

q - p comes from the counts, not from the rounded shares: with s = c + a over S and r = n + a over R, q - p is
(s R - r S) / (R S), and the products are exact for whole counts.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from driftmon.stats.columns import Floats

NEAR: Final = 1e-6  # nats: above it 2e-16 here and there is less than 1e-9 of KL
SMALL: Final = 0.1  # |v|: below it v¹⁸/19 is nothing beside v²/3
POWERS: Final = range(8, 0, -1)


def terms(s: Floats, s_total: Floats, r: Floats, r_total: Floats) -> Floats:
    """float64[bins]: q ln(q/p) - q + p with q = s / s_total and p = r / r_total, none of them 0.

    >>> live, half, total = np.array([5e6 + 1, 5e6 - 1]), np.full(2, 5e6), np.full(2, 1e7)
    >>> round(float(terms(live, total, half, total).sum()) * 1e14, 9)      # x² / 2 with x = 2e-7
    2.0
    """
    # 64 bits of mantissa or more where the machine has them: exact to four thousand million observations on a side.
    a, b = s.astype(np.longdouble) * r_total, r.astype(np.longdouble) * s_total
    difference = (a - b).astype(np.float64)
    v = difference / (a + b).astype(np.float64)
    q, p = s / s_total, r / r_total
    squared, rest = v * v, np.zeros(len(v))
    for power in POWERS:
        rest = (rest + 1 / (2 * power + 1)) * squared
    near = v * difference / (r_total * s_total) + 2 * q * v * rest
    far = q * np.log(q / p) - q + p
    return np.asarray(np.where(np.abs(v) < SMALL, near, far))
