"""One false-alarm budget over any number of features: e-d-BH, under any dependence between them.

Law: k features flagged with R >= A F / k imply that the mean of R over all F is at least A, and that
mean is itself an e-detector; so with no drift anywhere the first flag comes on average no sooner than
after A panes, whatever F is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.columns import Floats


def flagged(log_r: Floats, log_a: float, family: int) -> NDArray[np.bool_]:
    """bool[F]: the features with R >= A family / k*, k* the largest k whose k-th largest R is at least A family / k.

    `family` counts all features under the budget, those of other streams included; current R, never its past maximum.

    >>> flagged(np.log([100.0, 60.0, 1.0, 1.0]), np.log(20.0), family=4).tolist()      # 80/1 and 80/2
    [True, True, False, False]
    """
    ordered = np.sort(np.where(np.isnan(log_r), -np.inf, log_r))[::-1]
    needed = log_a + np.log(family) - np.log(np.arange(1, len(ordered) + 1))
    enough = np.flatnonzero(ordered >= needed)
    if not len(enough):
        return np.zeros(len(log_r), dtype=np.bool_)
    return np.asarray(log_r >= needed[enough[-1]])
