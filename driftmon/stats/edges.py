"""FeatureSpec: what is wanted of a feature; `fit` looks at a sample and fixes its bins.

Law: the choice of edges only makes masses uneven, it never biases P, because the reference is
counted again, exactly, in the bins chosen. Infinite and missing values have no say in it.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.binnings import boolean, categorical, log_loss, numeric
from driftmon.stats.coded import Coded
from driftmon.stats.columns import Column, Floats
from driftmon.stats.schema import Absent, Feature

Kind: TypeAlias = Literal["numeric", "categorical", "boolean", "log_loss"]
Method: TypeAlias = Literal["quantile_tails", "quantile", "uniform"]

# Equal mass alone sees 1 % of outliers with power .02, with cuts in the tails .85 (statistics.md section 8).
TAIL_CUTS: Final = (0.001, 0.01, 0.99, 0.999)
BEYOND = 1e300  # values farther out choose no edge, so that no difference of two edges leaves float64

LARGEST: Final = float(np.finfo(np.float64).max)
READABLE: Final = (1e-12, 1e12)  # gaps below and numbers above have no short decimal worth looking for


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """A feature before its bins are known. `edges` and `categories`, where given, are taken as they are.

    `outcome` is of a log_loss feature, and of no other.
    """

    name: str
    kind: Kind
    field: str | None = None
    absent: Absent = "missing"
    bins: int = 16
    method: Method = "quantile_tails"
    edges: tuple[float, ...] | None = None
    top: int = 64
    categories: tuple[str, ...] | None = None
    outcome: log_loss.Outcome | None = None

    @property
    def fixed(self) -> bool:
        """Whether the bins are known without looking at data."""
        return self.kind == "boolean" or (self.categories if self.kind == "categorical" else self.edges) is not None

    def fit(self, sample: Column) -> Feature:
        """The feature with bins chosen from a sample of the reference."""
        return Feature(self.name, self._binning(sample), self.field, self.absent)

    def _binning(self, sample: Column) -> numeric.Binning | categorical.Binning | boolean.Binning:
        if self.kind == "boolean":
            return boolean.Binning()
        if self.kind == "categorical":
            given = self.categories
            return categorical.Binning(vocabulary(sample.values, self.top) if given is None else given)
        edges = self.edges
        if edges is None:
            edges = numeric_edges(np.asarray(sample.values, dtype=np.float64), self.bins, self.method)
        return numeric.Binning(edges) if self.outcome is None else log_loss.Binning(edges, self.outcome)


def vocabulary(values: Any, top: int) -> tuple[str, ...]:
    """The most frequent categories, ties in the order of their text.

    >>> vocabulary(["b", "a", "c", "c", None], top=2)
    ('c', 'a')
    """
    if isinstance(values, Coded):
        times = _times(values)
    else:
        times = Counter(values)
        del times[None]
    return tuple(sorted(times, key=lambda text: (-times[text], text))[:top])


def _times(values: Coded) -> Counter[str]:
    """Of the texts that occur; a container may know others, or one twice."""
    times: Counter[str] = Counter()
    for text, occurs in zip(values.texts, values.times().tolist(), strict=False):
        if text is not None and occurs:
            times[text] += occurs
    return times


def numeric_edges(values: Floats, bins: int, method: Method) -> tuple[float, ...]:
    """At most bins - 1 rising edges; few-valued data gets a bin a value and an empty open bin on either side.

    >>> numeric_edges(np.array([0.0, 1.0, 1.0, 2.0]), 16, "quantile_tails")
    (0.0, 1.0, 2.0, 3.0)
    >>> numeric_edges(np.arange(1000.0), 4, "quantile")
    (250.0, 500.0, 750.0)
    """
    ordered = np.sort(values)  # NaN comes last
    finite = ordered[np.searchsorted(ordered, -BEYOND) : np.searchsorted(ordered, BEYOND, side="right")]
    if not len(finite):
        return ()
    if method == "uniform":
        low, high = finite[_rank(len(finite), TAIL_CUTS[0])], finite[_rank(len(finite), TAIL_CUTS[-1])]
        if low < high:
            return tuple(np.unique(np.linspace(low, high, bins + 1)[1:-1]).tolist())
    first = np.flatnonzero(np.append(True, finite[1:] != finite[:-1]))
    if len(first) <= bins - 2:
        return tuple(sorted({_cut(finite[first], index) for index in range(len(first) + 1)}))
    return _quantile_edges(finite, first, _levels(bins, method))


def _levels(bins: int, method: Method) -> Floats:
    if method == "quantile_tails" and bins > len(TAIL_CUTS) + 1:
        inner = np.linspace(TAIL_CUTS[1], TAIL_CUTS[2], bins - len(TAIL_CUTS) + 1)[1:-1]
        return np.sort(np.concatenate((TAIL_CUTS, inner)))
    return np.linspace(0.0, 1.0, bins + 1)[1:-1]


def _rank(size: int, level: float) -> int:
    return min(round(level * size), size - 1)


def _quantile_edges(ordered: Floats, first: NDArray[np.int64], levels: Floats) -> tuple[float, ...]:
    """Cut at each level, or at the nearer end of the run of equal values there, so that a heavy value stands alone."""
    distinct = ordered[first]
    ends = np.append(first, len(ordered))
    cuts = set()
    for level in levels:
        rank = _rank(len(ordered), level)
        run = int(np.searchsorted(first, rank, side="right")) - 1
        cuts.add(run if rank - ends[run] <= ends[run + 1] - rank else run + 1)
    return tuple(sorted({_cut(distinct, index) for index in cuts}))


def _cut(distinct: Floats, index: int) -> float:
    """A short number in (distinct[index - 1], distinct[index]]; beyond either end as far out as the last gap."""
    low = distinct[index - 1] if index else distinct[0] - _gap(np.diff(distinct[:2]), distinct[0])
    high = distinct[index] if index < len(distinct) else distinct[-1] + _gap(np.diff(distinct[-2:]), distinct[-1])
    return _short_between(float(low), float(high))


def _gap(gap: Floats, value: float) -> float:
    wanted = float(gap[0]) if len(gap) else (1.0 if value == np.rint(value) else abs(value) / 100)
    return max(wanted, 4 * float(np.spacing(abs(value))))


def _short_between(low: float, high: float) -> float:
    """The shortest decimal in (low, high]: edges are read by people.

    >>> _short_between(3.0, 4.0), _short_between(0.123, 0.1288), _short_between(1.0, 1.0000000000000002)
    (4.0, 0.126, 1.0000000000000002)
    """
    high = min(high, LARGEST)
    if not (high - low >= READABLE[0] and abs(high) <= READABLE[1]):
        return high
    digits = -math.ceil(math.log10(high - low))
    for more in range(3):
        scale = 10.0 ** (digits + more)
        for number in (low / 2 + high / 2, math.floor(high * scale) / scale):
            short = round(number, digits + more) + 0.0
            if low < short <= high:
                return short
    return high
