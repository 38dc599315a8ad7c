"""Rises: evidence that the mean of a score per bin has risen above the reference's, a pure function of counts.

Law: with independent rows whose mean score is at most the null's, each E has mean at most 1, however often one
looks, so R = sum of E over start lags keeps the run length of evidence.py.

A score is a number per bin: -ln p(bin) for the mean surprisal of any feature, the lower edge of a bin for the mean
log loss. The second understates each loss by less than a bin, in P and in Q, and bounds the open outer bin, so
nothing is assumed of how large a loss may get: the alarm is about the mean of the losses so rounded.

    E = mean over bets f of  prod_b (1 + f (y_b - mu0) / (mu0 - y_min)) ** c_b,     0 < f < 1

is a game in which nobody can win who plays it against a mean of mu0 or less (Waudby-Smith & Ramdas 2024). mu0 is the
reference's mean plus what n rows may be off, by the empirical Bernstein bound (Maurer & Pontil 2009).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from driftmon.stats.binnings import numeric
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import Dispersion
from driftmon.stats.evidence import REFERENCE_ERROR
from driftmon.stats.schema import Schema

BETS: Final = tuple(2.0**-power for power in range(1, 11))  # the best is (mean - mu0) / variance, whatever it is


@dataclass(frozen=True, eq=False)
class Rise:
    """What the reference fixes: `reference` float64[width] counts of P, `scores` float64[width] per bin, NaN where a
    bin has none (missing, invalid) and its rows have no say; `dispersion` of the reference's and the live rows."""

    schema: Schema
    reference: Floats
    scores: Floats
    dispersion: Dispersion

    @cached_property
    def scored(self) -> Floats:
        """float64[width]: 1 where a bin has a score, else 0."""
        return np.isfinite(self.scores).astype(np.float64)

    @cached_property
    def known(self) -> Floats:
        """float64[width]: the scores, 0 where there is none."""
        return np.nan_to_num(self.scores)

    def mean(self, counts: Floats) -> Floats:
        """float64[..., F]: the mean score of counts float64[..., width]; NaN without rows."""
        total, weighed = self._sums(counts, self.scored), self._sums(counts, self.known)
        return np.asarray(np.divide(weighed, total, out=np.full(total.shape, np.nan), where=total > 0))

    @cached_property
    def span(self) -> tuple[Floats, Floats]:
        """float64[F] twice: the least and the largest score of a feature."""
        least = np.minimum.reduceat(np.where(self.scored > 0, self.known, np.inf), self.schema.starts)
        most = np.maximum.reduceat(np.where(self.scored > 0, self.known, -np.inf), self.schema.starts)
        return np.where(np.isfinite(least), least, 0.0), np.where(np.isfinite(most), most, 0.0)

    @cached_property
    def mu0(self) -> Floats:
        """float64[F]: the true mean of the reference is below this but for REFERENCE_ERROR; inf without rows."""
        total = self._sums(self.reference, self.scored)
        worth = np.where(self.dispersion.ratio > 0, total / self.dispersion.ratio, 0.0)
        mean = np.nan_to_num(self.mean(self.reference))
        squares = self._sums(self.reference, self.known**2)
        variance = np.maximum(np.divide(squares, total, out=np.zeros(len(total)), where=total > 0) - mean**2, 0.0)
        log_chance = math.log(2 / REFERENCE_ERROR)
        least, most = self.span
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.sqrt(2 * variance * log_chance / worth) + 7 * (most - least) * log_chance / (3 * (worth - 1))
        return np.where(worth > 1, mean + error, np.inf)

    def log_e(self, counts: Floats) -> Floats:
        """float64[L, F]: ln E of the counts float64[L, width] of L lags; 0 where nothing can be said.

        >>> from driftmon.stats.dispersion import independent
        >>> from driftmon.stats.divergences import Pair
        >>> schema = Pair.of(p=[1, 1], q=[1, 1]).schema                          # two bins, unseen, invalid, missing
        >>> scores, many = np.array([0, 1, *[np.nan] * 3]), np.array([5e6, 5e6, 0, 0, 0])
        >>> rise = Rise(schema, many, scores, independent(schema))
        >>> rise.log_e(np.array([[50.0, 50.0, 0, 0, 9], [20.0, 80.0, 0, 0, 0]])).round(1).ravel().tolist()
        [-0.3, 16.2]
        """
        least, _ = self.span
        room = self.mu0 - least
        fair = np.isfinite(room) & (room > 0)
        gain = np.repeat(np.where(fair, 1 / np.where(fair, room, 1.0), 0.0), self.schema.sizes)
        middle = np.repeat(np.where(fair, self.mu0, 0.0), self.schema.sizes)
        steps = gain * (self.known - middle) * self.scored
        logs = np.stack([self._sums(counts, np.log1p(bet * steps)) for bet in BETS])
        return np.asarray(np.logaddexp.reduce(logs, axis=0) - math.log(len(BETS)))

    def _sums(self, counts: Floats, per_bin: Floats) -> Floats:
        return np.asarray(np.add.reduceat(counts * per_bin, self.schema.starts, axis=-1))


def lower_edges(schema: Schema) -> Floats:
    """float64[width]: the scores of losses, which are 0 or more: the lower edge of each bin, 0 of the first.

    >>> from driftmon.stats.schema import Feature
    >>> lower_edges(Schema((Feature("loss", numeric.Binning((0.5, 1.0))),))).tolist()
    [0.0, 0.5, 1.0, nan, nan]
    """
    scores = np.full(schema.width, np.nan)
    for index, feature in enumerate(schema.features):
        if isinstance(feature.binning, numeric.Binning):
            scores[schema.bins(index)][: feature.binning.regular] = np.maximum([0.0, *feature.binning.edges], 0.0)
    return scores
