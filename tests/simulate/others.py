"""Others: what people would run instead, over the same panes: fixed thresholds, chi-square, river's detectors.

Law: each is used as its documentation shows, with its defaults; a window is the last 1,000 observations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import rel_entr

from driftmon.stats.columns import Floats
from driftmon.stats.schema import Counts

WINDOW: Final = 10  # panes
Looks = NDArray[np.bool_]  # [looks, runs]: would have raised an alarm
Looker = Callable[[Floats, Floats], Looks]  # windows' counts and the reference's, each float64[..., K]


def windows(panes: Counts, width: int, length: int = WINDOW) -> Floats:
    """float64[looks, runs, K]: the sums of the last `length` panes, from the first full window on."""
    total = np.cumsum(np.concatenate((np.zeros((1, panes.shape[1])), panes)), axis=0)
    return np.asarray((total[length:] - total[:-length]).reshape(len(panes) - length + 1, -1, width))


def kl_above(threshold: float) -> Looker:
    """KL(Q||P) of smoothed shares above a number."""

    def look(live: Floats, reference: Floats) -> Looks:
        q = (live + 0.5) / (live + 0.5).sum(axis=-1, keepdims=True)
        p = (reference + 0.5) / (reference + 0.5).sum(axis=-1, keepdims=True)
        return np.asarray(rel_entr(q, p).sum(axis=-1) > threshold)

    return look


def chi_square(live: Floats, reference: Floats) -> Looks:
    """The test of homogeneity at 1 %, as scipy.stats.chi2_contingency does it, over bins that are not empty."""
    both = live + reference
    part = live.sum(axis=-1, keepdims=True) / both.sum(axis=-1, keepdims=True)
    excess = np.divide((live - part * both) ** 2, both * part * (1 - part), out=np.zeros(both.shape), where=both > 0)
    return np.asarray(stats.chi2.sf(excess.sum(axis=-1), (both > 0).sum(axis=-1) - 1) < 0.01)


PER_LOOK: Final[Mapping[str, Looker]] = {
    "KL > 0.1": kl_above(0.1),
    "KL > 0.02": kl_above(0.02),
    "chi-square 1 % per look": chi_square,
}


def river_detectors() -> Mapping[str, Callable[[], Any]]:
    """Detectors of river by name."""
    from river import drift  # noqa: PLC0415 - not a dependency of driftmon, only of this comparison

    return {"river ADWIN": drift.ADWIN, "river PageHinkley": drift.PageHinkley, "river KSWIN": seeded(drift.KSWIN)}


def seeded(kswin: Callable[..., Any]) -> Callable[[], Any]:
    return lambda: kswin(seed=1)


def river_flags(make: Callable[[], Any], values: Floats) -> list[int]:
    """The rows at which a detector flags drift; it has no use for missing values."""
    detector, flags = make(), []
    for row in np.flatnonzero(~np.isnan(values)).tolist():
        detector.update(float(values[row]))
        if detector.drift_detected:
            flags.append(row)
    return flags
