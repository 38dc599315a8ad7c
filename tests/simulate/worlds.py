"""Worlds: the streams that driftmon is let loose on, as counts per pane; a run is a feature of one schema.

Law: everything is drawn from a generator with a seed, so a table is the same tomorrow. The in-control feature
is a standard normal in 16 bins of equal mass, with room for invalid and missing: K = 18.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from scipy.signal import lfilter
from scipy.special import rel_entr
from scipy.stats import norm

from driftmon.stats.binnings import categorical, numeric
from driftmon.stats.columns import Floats
from driftmon.stats.schema import Binning, Counts, Feature, Schema

BINS: Final = 16
WIDTH: Final = BINS + 2
EDGES: Final = norm.ppf(np.arange(1, BINS) / BINS)
NORMAL: Final = numeric.Binning(tuple(EDGES.tolist()))
CATEGORIES: Final = categorical.Binning(tuple("abcdefghij"))
PANE: Final = 100  # observations in a pane
REFERENCE: Final = 20_000  # observations in the reference
HUMP: Final = 0.8  # two humps at -0.8 and +0.8, as narrow as makes their variance 1


def shares(cdf: Callable[[Floats], Floats], missing: float = 0.0) -> Floats:
    """float64[WIDTH]: the bins' masses of a law with this distribution function."""
    inside = np.diff(np.concatenate(([0.0], cdf(EDGES), [1.0])))
    return np.concatenate((inside * (1 - missing), [0.0, missing]))


def shifted(by: float) -> Floats:
    """The shares of a normal with mean `by`."""
    return shares(lambda x: np.asarray(norm.cdf(x - by)))


def _humps(x: Floats) -> Floats:
    width = np.sqrt(1 - HUMP**2)
    return np.asarray((norm.cdf((x - HUMP) / width) + norm.cdf((x + HUMP) / width)) / 2)


NULL: Final = shares(norm.cdf)
SHIFTS: Final[Mapping[str, Floats]] = {
    "mean +0.25 sd": shifted(0.25),
    "mean +0.5 sd": shifted(0.5),
    "sd x1.3": shares(lambda x: np.asarray(norm.cdf(x / 1.3))),
    "missing 3 %": shares(norm.cdf, 0.03),
    "missing 0.5 %": shares(norm.cdf, 0.005),
    "two humps, same mean and sd": shares(_humps),
}
VALUES: Final[Mapping[str, Callable[[np.random.Generator, Floats], Floats]]] = {  # the same shifts, row by row
    "mean +0.25 sd": lambda rng, x: x + 0.25,
    "mean +0.5 sd": lambda rng, x: x + 0.5,
    "sd x1.3": lambda rng, x: x * 1.3,
    "missing 3 %": lambda rng, x: np.where(rng.random(x.shape) < 0.03, np.nan, x),
    "missing 0.5 %": lambda rng, x: np.where(rng.random(x.shape) < 0.005, np.nan, x),
    "two humps, same mean and sd": lambda rng, x: rng.choice([-HUMP, HUMP], x.shape) + np.sqrt(1 - HUMP**2) * x,
}

_FREQUENT = 1 / np.arange(1.0, 11.0)
POPULAR: Final = np.concatenate((_FREQUENT / _FREQUENT.sum(), [0.0, 0.0, 0.0]))
SWAP: Final = "category: 8 % from a to c"
SWAPPED: Final = POPULAR + np.array([-0.08, 0, 0.08] + [0] * 10)


def kl(q: Floats, p: Floats = NULL, n: int = REFERENCE) -> float:
    """KL(Q||P) against the smoothed shares that n reference observations of P have on average."""
    return float(rel_entr(q, (p * n + 0.5) / (n + 0.5 * len(p))).sum())


def mean_shift(wanted: float) -> Floats:
    """The shares of a normal shifted so that KL(Q||P) is as wanted."""
    low, high = 0.0, 3.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if kl(shifted(middle)) < wanted else (low, middle)
    return shifted(low)


def runs_schema(runs: int, binning: Binning = NORMAL) -> Schema:
    """So many features of the same bins."""
    return Schema(tuple(Feature(f"run{index}", binning) for index in range(runs)))


def drawn(rng: np.random.Generator, laws: Floats, panes: int, pane: int = PANE) -> Counts:
    """int64[panes, runs * K]: independent draws, one law float64[K] a run."""
    return np.asarray(rng.multinomial(pane, laws, size=(panes, len(laws))).reshape(panes, -1))


def reference(rng: np.random.Generator, runs: int, n: int = REFERENCE, law: Floats = NULL) -> Counts:
    """int64[runs * K]: a reference of n draws for each run."""
    return np.asarray(rng.multinomial(n, law, size=runs).reshape(-1))


def correlated(rng: np.random.Generator, runs: int, rho: float, rows: int) -> Floats:
    """float64[runs, rows]: a standard normal AR(1) a run."""
    shocks = rng.normal(size=(runs, rows)) * np.sqrt(1 - rho**2)
    first = rng.normal(size=(runs, 1)) * rho
    return np.asarray(lfilter([1.0], [1.0, -rho], shocks, axis=1, zi=first)[0])


def counted(values: Floats, pane: int = PANE) -> Counts:
    """int64[panes, runs * WIDTH]: the values float64[runs, rows], pane by pane; NaN is missing."""
    runs, rows = values.shape
    codes = np.where(np.isnan(values), WIDTH - 1, np.searchsorted(EDGES, values, side="right"))
    by_pane = codes.reshape(runs, rows // pane, pane).transpose(1, 0, 2)
    cell = (np.arange(rows // pane)[:, None, None] * runs + np.arange(runs)[None, :, None]) * WIDTH + by_pane
    return np.bincount(cell.ravel(), minlength=rows // pane * runs * WIDTH).reshape(rows // pane, runs * WIDTH)
