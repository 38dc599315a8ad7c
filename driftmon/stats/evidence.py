"""Evidence that a feature has left its reference: an e-detector over start lags, a pure function of pane counts.

Law: with independent rows and no drift, R = sum over lags of E has mean at most the number of panes seen,
so R >= A happens on average no sooner than after A panes, however often one looks (README.md, "Evidence").

Each E is a tolerant e-value: the chance of the live counts under a Dirichlet mixture around p, over the
largest chance under any Q with KL(p̂||Q) <= tau0, where tau0 covers what the reference itself may be off.
Full histograms, single bins and ordered cuts each find other shifts, so E is their mixture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.coarsenings import Coarsenings
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import Dispersion
from driftmon.stats.divergences import Pair
from driftmon.stats.schema import Schema
from driftmon.stats.special import chdtri, gammaln, rel_entr, xlog1py, xlogy

PANES: Final = 256  # the longest lag
LAG_RATIO: Final = 1.5
REFERENCE_ERROR: Final = 0.001  # the chance that the reference is further from the truth than tau0
CAP_LOG10: Final = 300.0
MIXTURE: Final = (0.4, 0.2, 0.25, 0.15)  # of the bet: whole histogram, singles, cuts, bands
# Where Newton may begin: the last one left of the root.
STARTS: Final = np.array([0.0, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.25, 0.5, 0.75, 0.9])
NEWTON_STEPS: Final = 4
BISECTIONS: Final = 60


def lags(longest: int = PANES) -> NDArray[np.int64]:
    """Start lags in panes, geometric, up to the longest.

    >>> lags(20).tolist()
    [1, 2, 3, 4, 6, 9, 14, 20]
    """
    found = [1]
    while found[-1] < longest:
        found.append(min(max(found[-1] + 1, round(found[-1] * LAG_RATIO)), longest))
    return np.array(found, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Per feature: ln R, and the lag in panes whose E is largest: drift, if any, began about then."""

    log_r: Floats
    lag: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tolerance:
    """What the reference fixes once: priors around p, and how far from p̂ the truth may lie.

    `reference` float64[width] are P's counts, `p` the smoothed shares, `effect` the KL that matters (nats).
    `dispersion` says how much less than independent observations the reference's and the live rows are.
    """

    schema: Schema
    reference: Floats
    p: Floats
    effect: float
    dispersion: Dispersion

    def against(self, pair: Pair, dispersion: Dispersion) -> Tolerance:
        """The same effect, of another reference."""
        return replace(self, reference=pair.reference, p=pair.p, dispersion=dispersion)

    @cached_property
    def pairs(self) -> Coarsenings:
        return Coarsenings(self.schema)

    @cached_property
    def worth(self) -> Floats:
        """float64[F]: n / phi, the independent observations the reference is worth."""
        return np.asarray(np.add.reduceat(self.reference, self.schema.starts) / self.dispersion.ratio)

    @cached_property
    def tau0(self) -> Floats:
        """float64[F]: KL(p̂||P) is below chi2_(K-1) / 2n but for REFERENCE_ERROR / 2; infinite without a reference."""
        quantile = chdtri(self.schema.sizes - 1, REFERENCE_ERROR / 2)
        worth = self.worth
        return np.asarray(np.divide(quantile, 2 * worth, out=np.full(len(quantile), np.inf), where=worth > 0))

    @property
    def radius(self) -> Floats:
        """float64[F] nats: what the reference itself may be off by."""
        return self.tau0

    @cached_property
    def pair_tau0(self) -> Floats:
        """float64[G]: the same for each coarsening: all of a feature's stay below ln(2 G / error) / n together.

        Chernoff's bound P(KL > x) <= 2 exp(-n x), at any n, over the feature's G coarsenings. With K = 18 it is
        0.6 of tau0, and a shift of a quarter standard deviation is found in 900 observations instead of 1,200.
        """
        several = np.bincount(self.pairs.feature, minlength=len(self.schema.features))
        bound = np.log(2 * several / (REFERENCE_ERROR / 2))
        radius = np.divide(bound, self.worth, out=np.full(len(bound), np.inf), where=self.worth > 0)
        return np.asarray(np.minimum(radius, self.tau0)[self.pairs.feature])

    @cached_property
    def p_raw(self) -> Floats:
        """float64[width]: the reference's unsmoothed shares, the middle of the null."""
        total = np.repeat(np.add.reduceat(self.reference, self.schema.starts), self.schema.sizes)
        return np.asarray(np.divide(self.reference, total, out=np.zeros(self.schema.width), where=total > 0))

    @cached_property
    def interval(self) -> tuple[Floats, Floats]:
        """float64[G] twice: the least and largest first share q with KL((p̂, 1-p̂) || (q, 1-q)) <= pair_tau0."""
        middle = np.clip(self.pairs.first(self.p_raw), 0.0, 1.0)
        return _outward(middle, self.pair_tau0, 0.0), _outward(middle, self.pair_tau0, 1.0)

    def log_e(self, counts: Floats) -> Floats:
        """float64[L, F]: ln E of the counts float64[L, width] of L lags; -inf where the lag says nothing."""
        totals = np.add.reduceat(counts, self.schema.starts, axis=1)
        scale, known = self.dispersion.scale_of(totals)
        dependent = self.dispersion.dependent
        views = np.full((len(MIXTURE), *totals.shape), -np.inf)
        if dependent.any():
            phi = np.where(dependent[self.pairs.feature], self._phi(scale), 1.0)
            worst = np.maximum.reduceat(phi[:, : self.pairs.singles], self.schema.starts, axis=1)
            views[0] = self._log_e_full(counts / np.repeat(worst, self.schema.sizes, axis=1), totals / worst)
            total = totals[:, self.pairs.feature] / phi
            two = self._log_e_two(self.pairs.first(counts) / phi, total, gammaln(self.mass + total))
        else:  # phi is 1
            views[0] = self._log_e_full(counts, totals)
            total, of_mass = (each[:, self.pairs.feature] for each in (totals, gammaln(self.mass + totals)))
            two = self._log_e_two(self.pairs.first(counts), total, of_mass)
        for view, group in zip(views[1:], self.pairs.groups, strict=True):
            if len(group.features):
                view[:, group.features] = _log_mean(two[:, group.at], group.starts)
        mixed = np.logaddexp.reduce(views + self.log_weights[:, None, :], axis=0)
        return np.where(known | ~dependent, mixed, -np.inf)

    @cached_property
    def log_weights(self) -> Floats:
        """float64[4, F]: ln of MIXTURE, shared out among the views that a feature has."""
        held = np.ones((len(MIXTURE), len(self.schema.features)))
        for view, group in enumerate(self.pairs.groups, start=1):
            held[view] = np.isin(np.arange(held.shape[1]), group.features)
        weights = held * np.array(MIXTURE)[:, None]
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(weights / weights.sum(axis=0)))

    def _phi(self, scale: NDArray[np.int64]) -> Floats:
        return np.take_along_axis(self.dispersion.phi, scale[:, self.pairs.feature], axis=0)

    @property
    def mass(self) -> float:
        """What the priors of two bins add up to."""
        return 1 / (2 * self.effect)

    @cached_property
    def priors(self) -> tuple[Floats, Floats, Floats]:
        """float64[G] thrice: those of the first share and of the rest, and ln of the inverse of their Beta function."""
        prior = np.clip(self.pairs.first(self.p), 1e-12, 1 - 1e-12) * self.mass
        beside = self.mass - prior
        return prior, beside, gammaln(self.mass) - gammaln(prior) - gammaln(beside)

    def _log_e_two(self, first: Floats, total: Floats, of_mass: Floats) -> Floats:
        """ln of Beta-binomial chance over the largest binomial chance in the interval, float64[L, G].

        `of_mass` is gammaln(mass + total).
        """
        rest = total - first
        prior, beside, constant = self.priors
        mixture = gammaln(prior + first) + gammaln(beside + rest) - of_mass
        mixture += constant
        low, high = self.interval
        share = np.clip(np.divide(first, total, out=np.zeros(first.shape), where=total > 0), low, high)
        return np.asarray(mixture - xlogy(first, share) - xlog1py(rest, -share))

    @cached_property
    def whole_prior(self) -> tuple[Floats, Floats]:
        """float64[width] twice: of each bin, and its gammaln."""
        prior = np.repeat((self.schema.sizes - 1) / (2 * self.effect), self.schema.sizes) * self.p
        return prior, np.asarray(gammaln(prior))

    def _log_e_full(self, counts: Floats, totals: Floats) -> Floats:
        """ln of Dirichlet-multinomial chance over the largest multinomial chance in the null, float64[L, F]."""
        starts, sizes = self.schema.starts, self.schema.sizes
        mass = (sizes - 1) / (2 * self.effect)
        prior, of_prior = self.whole_prior
        mixture = np.add.reduceat(gammaln(prior + counts) - of_prior, starts, axis=1)
        mixture += gammaln(mass) - gammaln(mass + totals)
        spread = np.repeat(totals, sizes, axis=1)
        q = np.divide(counts, spread, out=np.zeros(counts.shape), where=spread > 0)
        weight = np.repeat(self._mixing(q), sizes, axis=1)
        nearest = (1 - weight) * q + weight * self.p_raw
        return mixture - np.add.reduceat(xlogy(counts, nearest), starts, axis=1)

    def _mixing(self, q: Floats) -> Floats:
        """float64[L, F]: the least w, from below, with KL(p̂ || (1-w) q̂ + w p̂) <= tau0; 0 where q̂ is inside.

        The function is convex and falls, so Newton steps from the left never pass the root: what is left
        of it makes the null's chance larger and E smaller, never larger.
        """
        starts, sizes, p = self.schema.starts, self.schema.sizes, self.p_raw
        last = np.zeros((len(q), len(sizes)), dtype=np.int64)  # of STARTS the last that is outside
        for leap in (8, 4, 2, 1):  # whoever is outside with some weight is outside with less
            tried = np.minimum(last + leap, len(STARTS) - 1)
            mixed = np.repeat(STARTS[tried], sizes, axis=1)
            outside = np.add.reduceat(rel_entr(p, (1 - mixed) * q + mixed * p), starts, axis=1) > self.tau0
            last = np.where(outside, tried, last)
        weight = STARTS[last]
        for _ in range(NEWTON_STEPS):
            mixed = np.repeat(weight, sizes, axis=1)
            nearest = (1 - mixed) * q + mixed * p
            ratio = np.divide(p, nearest, out=np.zeros(q.shape), where=nearest > 0)
            excess = np.add.reduceat(rel_entr(p, nearest), starts, axis=1) - self.tau0
            slope = np.add.reduceat(ratio * (p - q), starts, axis=1)
            step = np.divide(
                excess, slope, out=np.zeros(slope.shape), where=(slope > 0) & np.isfinite(excess) & (excess > 0)
            )
            weight = np.minimum(weight + step, 1.0)
        return weight


def _outward(middle: Floats, radius: Floats, bound: float) -> Floats:
    """The q between the middle and the bound at which the two-bin KL reaches the radius, on the outer side."""
    inner, outer = middle.copy(), np.full(len(middle), bound)
    for _ in range(BISECTIONS):
        half = (inner + outer) / 2
        with np.errstate(divide="ignore"):
            outside = rel_entr(middle, half) + rel_entr(1 - middle, 1 - half) > radius
        inner, outer = np.where(outside, inner, half), np.where(outside, half, outer)
    return outer


def _log_mean(values: Floats, starts: NDArray[np.int64]) -> Floats:
    """ln of the mean of exp over each group of columns."""
    sizes = np.diff(starts, append=values.shape[1])
    largest = np.maximum.reduceat(values, starts, axis=1)
    sums = np.add.reduceat(np.exp(values - np.repeat(largest, sizes, axis=1)), starts, axis=1)
    return largest + np.log(sums / sizes)


def evidence(
    tolerance: Tolerance, counts: Floats, lag_panes: NDArray[np.int64], allowed: NDArray[np.bool_]
) -> Evidence:
    """R = sum of E over the lags allowed, bool[L, F], from the counts float64[L, width] of the last `lag_panes` panes.

    A lag that reaches back before a feature's first pane is no start of its own and must not be allowed.
    """
    return weighed(tolerance.log_e(counts), lag_panes, allowed)


def weighed(log_e: Floats, lag_panes: NDArray[np.int64], allowed: NDArray[np.bool_]) -> Evidence:
    """The same from ln E, float64[L, F], however each lag's was come by."""
    log_e = np.where(allowed, log_e, -np.inf)
    largest = log_e.max(axis=0)
    safe = np.where(np.isfinite(largest), largest, 0.0)
    log_r = safe + np.log(np.maximum(np.exp(log_e - safe).sum(axis=0), 1e-300))
    return Evidence(log_r, lag_panes[log_e.argmax(axis=0)])
