"""A divergence is one term per bin; its value for a feature is that term reduced over the feature's bins.

Law: one definition serves the number, the picture of "which bin did it", and every test. p and q are
smoothed, so each feature's p sums to 1, nothing is zero, and the identities hold exactly:
KL(Q||P) = H(Q,P) - H(Q), KL(P||Q) = H(P,Q) - H(P), PSI = KL(Q||P) + KL(P||Q).
Of nearly equal distributions the terms of KL cancel: the picture keeps them, the number is that of nearly.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftmon.stats import nearly
from driftmon.stats.binnings import categorical, numeric
from driftmon.stats.columns import Floats
from driftmon.stats.schema import Codes, Feature, Schema

Terms: TypeAlias = Floats  # float64[width], one per bin
Side: TypeAlias = tuple[Floats, Floats]  # counts of bins and totals of features

VANISHING: Final = 1e-300  # the least pseudocount: over a total of 1e20 it is still not zero, so its log is finite


@dataclass(frozen=True, eq=False)
class Pair:
    """The reference's and the live counts, float64[width], and the smoothed shares p and q made of them.

    Live counts may be fractional (a decayed window). Smoothing is p = (c + a) / (n + a K) with
    a = `pseudocount` and K all bins of the feature, the special ones included.
    """

    schema: Schema
    reference: Floats
    live: Floats
    pseudocount: float

    def __post_init__(self) -> None:
        if not VANISHING <= self.pseudocount < np.inf:
            raise ValueError(f"pseudocount must be a number > 0, not {self.pseudocount}; 0.5 is usual")
        for name, counts in (("reference", self.reference), ("live", self.live)):
            if counts.shape != (self.schema.width,):
                raise ValueError(f"{name} counts have shape {counts.shape}, the schema ({self.schema.width},)")

    @classmethod
    def of(cls, p: Sequence[float], q: Sequence[float], edges: Sequence[float] = ()) -> Pair:
        """One feature from its counts at a vanishing pseudocount: categorical, or numeric where edges are given.

        The special bins follow, empty.

        >>> Pair.of(p=[1, 1], q=[3, 1]).q.tolist()[:2]
        [0.75, 0.25]
        """
        binning = numeric.Binning(tuple(edges)) if edges else categorical.Binning(tuple(map(str, range(len(p)))))
        special = [0.0] * (binning.size - binning.regular)
        reference, live = (np.array([*counts, *special], dtype=np.float64) for counts in (p, q))
        return cls(Schema((Feature("x", binning),)), reference, live, VANISHING)

    def beside(self, live: Floats) -> Self:
        """The same reference, with what was derived of it, beside other live counts."""
        other = type(self)(self.schema, self.reference, live, self.pseudocount)
        other.__dict__.update({name: self.__dict__[name] for name in OF_THE_REFERENCE if name in self.__dict__})
        return other

    @cached_property
    def kept(self) -> dict[str, Any]:
        """By name what others derive of the reference alone, for the pairs beside as well."""
        return {}

    @cached_property
    def reference_total(self) -> Floats:
        """float64[features]: n, the reference's observations."""
        return self.schema.totals(self.reference)

    @cached_property
    def live_total(self) -> Floats:
        """float64[features]: N, the live observations (their weights' sum where the window decays)."""
        return self.schema.totals(self.live)

    @cached_property
    def p(self) -> Floats:
        return self._smoothed(self.reference, self.reference_total)

    @cached_property
    def q(self) -> Floats:
        return self._smoothed(self.live, self.live_total)

    @cached_property
    def log_p(self) -> Floats:
        return np.log(self.p)

    @cached_property
    def log_q(self) -> Floats:
        return np.log(self.q)

    @cached_property
    def log_ratio(self) -> Floats:
        """float64[width]: ln(q/p)."""
        return self.log_q - self.log_p

    @cached_property
    def p_raw(self) -> Floats:
        """float64[width]: r / n, zero where the reference has nothing."""
        return _shares(self.schema, self.reference, self.reference_total)

    @cached_property
    def q_raw(self) -> Floats:
        """float64[width]: c / N, zero where there is nothing live."""
        return _shares(self.schema, self.live, self.live_total)

    @cached_property
    def raw_log_ratio(self) -> Floats:
        """float64[width]: ln(q̂/p), -ln p where there is nothing live: q̂ times it is 0 there, as 0 ln 0."""
        return np.log(np.where(self.q_raw > 0, self.q_raw, 1.0)) - self.log_p

    @cached_property
    def raw_kl(self) -> Floats:
        """float64[features]: KL(q̂||p) nats, see noise.py; NaN where nothing was observed."""
        values = np.maximum(self.schema.totals(self.q_raw * self.raw_log_ratio), 0.0)
        return np.where((self.live_total > 0) & (self.reference_total > 0), values, np.nan)

    @cached_property
    def p_regular(self) -> Floats:
        """float64[width]: p renormalised over the regular bins; the special ones get none."""
        return _within_regular(self.schema, self.p)

    @cached_property
    def reference_seen(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """bool[features] twice: the reference has anything at all, and anything in its regular bins."""
        return self.reference_total > 0, self.schema.totals(self.reference * self.schema.regular) > 0

    @cached_property
    def live_seen(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """The same of the live counts."""
        return self.live_total > 0, self.schema.totals(self.live * self.schema.regular) > 0

    @cached_property
    def cumulative_difference(self) -> Floats:
        """float64[width]: F_Q - F_P over the regular bins, each distribution renormalised to them.

        Every feature's differences sum to zero, so one cumsum over all features is each feature's own.
        """
        return np.cumsum(_within_regular(self.schema, self.q) - self.p_regular)

    def _smoothed(self, counts: Floats, totals: Floats) -> Floats:
        sizes = self.schema.sizes
        shares: Floats = (counts + self.pseudocount) / np.repeat(totals + self.pseudocount * sizes, sizes)
        return shares


OF_THE_REFERENCE: Final = ("reference_total", "p", "log_p", "p_raw", "p_regular", "reference_seen", "kept")


def _shares(schema: Schema, counts: Floats, totals: Floats) -> Floats:
    shares: Floats = counts / np.repeat(np.where(totals > 0, totals, 1.0), schema.sizes)  # of no counts 0, whatever by
    return shares


def _within_regular(schema: Schema, shares: Floats) -> Floats:
    """The shares renormalised over the regular bins; the special ones get none."""
    kept = np.where(schema.regular, shares, 0.0)
    return _shares(schema, kept, schema.totals(kept))


@lru_cache(maxsize=256)
def _gaps(schema: Schema) -> Floats:
    """float64[width]: the distance to the next bin of an ordered feature; NaN where there is no order."""
    gaps = np.zeros(schema.width)
    for index, feature in enumerate(schema.features):
        positions, start = feature.binning.positions, int(schema.starts[index])
        if positions is None:
            gaps[schema.bins(index)] = np.nan
        else:
            gaps[start : start + len(positions) - 1] = positions[1:] - positions[:-1]
    gaps.flags.writeable = False
    return gaps


@lru_cache(maxsize=256)
def _ordered(schema: Schema) -> NDArray[np.bool_]:
    return np.array([feature.binning.positions is not None for feature in schema.features], dtype=np.bool_)


def kl_qp(d: Pair) -> Terms:
    """KL(Q||P) = Σ q ln(q/p) nats: the surprise added by coding live Q with reference P's code.

    >>> round(kl_qp(Pair.of(p=[1, 1], q=[3, 1])).sum().item(), 4)      # ¾ ln(3/2) + ¼ ln(1/2)
    0.1308
    """
    return d.q * d.log_ratio


def kl_pq(d: Pair) -> Terms:
    """KL(P||Q) = Σ p ln(p/q) nats: the same with the roles exchanged.

    >>> round(kl_pq(Pair.of(p=[1, 1], q=[3, 1])).sum().item(), 4)      # ½ ln(2/3) + ½ ln 2
    0.1438
    """
    return -d.p * d.log_ratio


def cross_entropy_qp(d: Pair) -> Terms:
    """H(Q,P) = -Σ q ln p nats: what live data cost under the reference, the mean of -ln p(x).

    >>> round(cross_entropy_qp(Pair.of(p=[1, 1], q=[3, 1])).sum().item(), 4)      # ln 2
    0.6931
    """
    return -d.q * d.log_p


def cross_entropy_pq(d: Pair) -> Terms:
    """H(P,Q) = -Σ p ln q nats: what the reference would cost under the live distribution.

    >>> round(cross_entropy_pq(Pair.of(p=[1, 1], q=[3, 1])).sum().item(), 4)      # ½ ln(4/3) + ½ ln 4
    0.837
    """
    return -d.p * d.log_q


def entropy_reference(d: Pair) -> Terms:
    """H(P) = -Σ p ln p nats: between 0, always the same bin, and ln K, all bins alike.

    >>> round(entropy_reference(Pair.of(p=[1, 1], q=[3, 1])).sum().item(), 4)      # ln 2
    0.6931
    """
    return -d.p * d.log_p


def entropy_live(d: Pair) -> Terms:
    """H(Q) = -Σ q ln q nats.

    >>> round(entropy_live(Pair.of(p=[1, 1], q=[3, 1])).sum().item(), 4)      # ¾ ln(4/3) + ¼ ln 4
    0.5623
    """
    return -d.q * d.log_q


def js(d: Pair) -> Terms:
    """JS = ½ KL(P||M) + ½ KL(Q||M) nats with M = (P+Q)/2: symmetric, between 0 and ln 2.

    >>> round(js(Pair.of(p=[1, 0], q=[0, 1])).sum().item(), 4)      # nothing in common: ln 2
    0.6931
    """
    log_m = np.log((d.p + d.q) / 2)
    return (d.p * (d.log_p - log_m) + d.q * (d.log_q - log_m)) / 2


def psi(d: Pair) -> Terms:
    """PSI = Σ (q - p) ln(q/p) nats = KL(Q||P) + KL(P||Q), the population stability index.

    >>> round(psi(Pair.of(p=[1, 1], q=[3, 1])).sum().item(), 4)      # ¼ ln(3/2) - ¼ ln(1/2)
    0.2747
    """
    return (d.q - d.p) * d.log_ratio


def hellinger(d: Pair) -> Terms:
    """Its square is ½ Σ (√q - √p)² = 1 - Σ √(pq); the distance lies between 0 and 1.

    >>> round(hellinger(Pair.of(p=[1, 1], q=[1, 0])).sum().item(), 4)      # 1 - √½
    0.2929
    """
    return (np.sqrt(d.q) - np.sqrt(d.p)) ** 2 / 2


def total_variation(d: Pair) -> Terms:
    """TV = ½ Σ |q - p|: the share of observations that would have to move, between 0 and 1.

    >>> total_variation(Pair.of(p=[1, 1], q=[3, 1])).sum().item()
    0.25
    """
    return np.abs(d.q - d.p) / 2


def ks(d: Pair) -> Terms:
    """KS = max |F_Q - F_P| at the edges of the regular bins; ordered features only.

    >>> ks(Pair.of(p=[1, 1, 2], q=[2, 1, 1], edges=[0, 10])).max().item()
    0.25
    """
    return np.abs(d.cumulative_difference)


def wasserstein(d: Pair) -> Terms:
    """W1 = Σ |F_Q - F_P| (x[k+1] - x[k]) in the feature's unit, x the bins' positions; ordered features only.

    >>> wasserstein(Pair.of(p=[1, 1, 2], q=[2, 1, 1], edges=[0, 10])).sum().item()      # ¼ moved by 0, 5, 10: ¼·5 + ¼·5
    2.5
    """
    return ks(d) * _gaps(d.schema)


def _nearly_qp(d: Pair, bins: Codes, features: Codes) -> Floats:
    """KL(Q||P) by nearly.py, float64[features]; `bins` are those of these features."""
    return _nearly(d, (d.live, d.live_total), (d.reference, d.reference_total), bins, features)


def _nearly_pq(d: Pair, bins: Codes, features: Codes) -> Floats:
    """KL(P||Q), the same."""
    return _nearly(d, (d.reference, d.reference_total), (d.live, d.live_total), bins, features)


def _nearly(d: Pair, of: Side, against: Side, bins: Codes, features: Codes) -> Floats:
    sizes, a = d.schema.sizes[features], d.pseudocount
    (s, s_total), (r, r_total) = (
        (counts[bins] + a, np.repeat(totals[features] + a * sizes, sizes)) for counts, totals in (of, against)
    )
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.asarray(np.add.reduceat(nearly.terms(s, s_total, r, r_total), starts))


def _as_it_is(values: Floats) -> Floats:
    return values


def _not_negative(values: Floats) -> Floats:
    """Gibbs' inequality: less than zero is rounding, at most some 1e-16."""
    return np.maximum(values, 0.0)


@dataclass(frozen=True)
class Divergence:
    """A row of the table: the metric's name without prefix and unit, its term, and how terms become a value."""

    name: str
    term: Callable[[Pair], Terms]
    unit: str = "nats"
    labels: Mapping[str, str] = field(default_factory=dict)
    reduce: np.ufunc = np.add
    finish: Callable[[Floats], Floats] = _as_it_is
    ordered: bool = False
    nearly: Callable[[Pair, Codes, Codes], Floats] | None = None  # of features below nearly.NEAR, whose sum cancels
    needs_reference: bool = True
    needs_live: bool = True

    def of(self, pair: Pair) -> Floats:
        """float64[features]; NaN where there is no value, never an infinity.

        No value: nothing was observed on a side it needs; an ordered divergence of a feature
        without order, or with nothing in its regular bins; a distance beyond float64.
        """
        if self.needs_live:
            return self._of(pair)
        if self.name not in pair.kept:
            pair.kept[self.name] = self._of(pair)
        return np.asarray(pair.kept[self.name])

    def _of(self, pair: Pair) -> Floats:
        with np.errstate(over="ignore"):  # bins at both ends of float64 may lie further apart than it can say
            values = self.finish(self.reduce.reduceat(self.term(pair), pair.schema.starts))
        known = self._has_value(pair)
        if self.nearly is not None and (small := known & (values < nearly.NEAR)).any():
            bins = np.flatnonzero(np.repeat(small, pair.schema.sizes))
            values[small] = self.nearly(pair, bins, np.flatnonzero(small))
        return np.where(known & np.isfinite(values), values, np.nan)

    def _has_value(self, pair: Pair) -> NDArray[np.bool_]:
        schema = pair.schema
        known = _ordered(schema) if self.ordered else np.ones(len(schema.features), dtype=np.bool_)
        if self.needs_reference:
            known = known & pair.reference_seen[self.ordered]
        return known & pair.live_seen[self.ordered] if self.needs_live else known


QP: Final = {"direction": "q_p"}
PQ: Final = {"direction": "p_q"}

DIVERGENCES: Final[tuple[Divergence, ...]] = (
    Divergence("kl_divergence", kl_qp, labels=QP, finish=_not_negative, nearly=_nearly_qp),
    Divergence("kl_divergence", kl_pq, labels=PQ, finish=_not_negative, nearly=_nearly_pq),
    Divergence("cross_entropy", cross_entropy_qp, labels=QP),
    Divergence("cross_entropy", cross_entropy_pq, labels=PQ),
    Divergence("entropy", entropy_reference, labels={"distribution": "reference"}, needs_live=False),
    Divergence("entropy", entropy_live, labels={"distribution": "live"}, needs_reference=False),
    Divergence("js_divergence", js, finish=_not_negative),
    Divergence("psi", psi),
    Divergence("hellinger_distance", hellinger, unit="", finish=np.sqrt),
    Divergence("total_variation_distance", total_variation, unit=""),
    Divergence("ks_distance", ks, unit="", reduce=np.maximum, ordered=True),
    Divergence("wasserstein_distance", wasserstein, unit="", ordered=True),
)
