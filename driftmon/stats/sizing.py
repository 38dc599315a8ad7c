"""Sizing: how many observations make an effect of so many nats stand out from noise, live and in the reference.

Law: noise grows with the number of bins and with overdispersion, and both samples count: N live
observations are never worth more than the n of the reference.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from driftmon.stats.columns import Floats
from driftmon.stats.special import chdtri

FEWER_BINS: Final = (10, 5)  # power against a shift of the mean at N = 300: 16 bins .30, 10 bins .39, 5 bins .50


def reference_needed(bins: Floats, effect: float, phi: Floats) -> Floats:
    """n with which the reference itself is off by at most a quarter of the effect: 2 phi chi2_.999(K-1) / effect.

    >>> float(reference_needed(np.array([17.0]), 0.02, np.ones(1))[0])
    3926.0
    """
    return np.asarray(np.ceil(2 * phi * chdtri(np.maximum(bins - 1, 1), 0.001) / effect))


def live_needed(bins: Floats, effect: float, phi: Floats, reference: Floats) -> Floats:
    """N whose noise floor is at most the effect: 1/N + 1/n = 2 effect / (phi chi2_.99(K-1)); infinite if n is too few.

    >>> live_needed(np.array([17.0, 17.0]), 0.02, np.ones(2), np.array([1e9, 500.0])).tolist()
    [800.0, inf]
    """
    both = phi * chdtri(np.maximum(bins - 1, 1), 0.01) / (2 * effect)
    left = 1 / both - np.divide(1.0, reference, out=np.full(len(both), np.inf), where=reference > 0)
    return np.asarray(np.ceil(np.divide(1.0, left, out=np.full(len(both), np.inf), where=left > 0)))
