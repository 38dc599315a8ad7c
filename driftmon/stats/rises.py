"""Rises: evidence that the mean of a score per bin has risen above the reference's, a pure function of counts.

Law: with independent rows and a live mean no higher than the reference's true one, each E has mean at most 1 over what
reference and live rows may be, so the chance that R = sum of E over start lags reaches A within t panes is t / A.

A score is a number per bin: -ln p(bin) for the mean surprisal of any feature, the middle of a bin for the mean log
loss. The second says each loss to half a bin, in P and in Q alike, and bounds the open outer bin, so nothing is assumed
of how large a loss may get: the alarm is about the mean of the losses so rounded.

    E = min over m of  E_P(m) E_Q(m)        E_Q(m) = mean over bets f of  prod_b (1 + f (y_b - m) / (m - y_min)) ** c_b

Two games: in E_Q nobody can win who plays it against a live mean of m or less, in E_P, its mirror image, nobody against
a reference's mean of m or more (Waudby-Smith & Ramdas 2024). The truth is one of the m, so E is at most their product
there. The least is taken over steps of a ladder, E_P at the lower end of each and E_Q at the upper: never more than it.

A surprisal's scores are made of the very counts that its mean is taken over, so it is too small there, by two KL, each
within the chi-square radius of evidence.py, which E_Q's m gets on top (P* the truth):

    H(P*,P) - H(p̂,P) = (P* - p̂)·(-ln P*) + KL(P*‖P) + KL(p̂‖P*) - KL(p̂‖P)

Rows that depend on one another count for 1/phi, the largest phi of the feature's coarsenings: a mean is a sum over
them. That is calibrated by simulation (tests/simulate/means.py), not a theorem.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import Dispersion
from driftmon.stats.divergences import Pair
from driftmon.stats.evidence import REFERENCE_ERROR
from driftmon.stats.schema import Schema
from driftmon.stats.special import chdtri

BETS: Final = (0.0, *(2.0**-power for power in range(1, 9)))  # the best is (mean - m) / variance, whatever it is
LADDER: Final = (0.0, 0.5, 1.0, 2.0, 3.0, 4.5, 6.0, 8.0, 11.0, 15.0, 30.0, 100.0)  # steps of m, in nats of E_P or so
ROOM: Final = 1e-9  # of the span: the highest m is so much below the highest score
KEPT: Final = -math.log(2)
LEAST: Final = 1e-300


@dataclass(frozen=True, eq=False)
class Rise:
    """What the reference fixes: `reference` float64[width] counts of P, `scores` float64[width] per bin, NaN where a
    bin has none (missing, invalid) and its rows have no say; `dispersion` of the reference's and the live rows.
    `fitted`: the scores are -ln p of the same reference."""

    schema: Schema
    reference: Floats
    scores: Floats
    dispersion: Dispersion
    fitted: bool = False

    @classmethod
    def of_surprisal(cls, pair: Pair, dispersion: Dispersion) -> Rise:
        """Every bin scores, the special ones too."""
        return cls(pair.schema, pair.reference, -pair.log_p, dispersion, fitted=True)

    def against(self, pair: Pair, dispersion: Dispersion) -> Rise:
        """The same score, held against another reference."""
        scores = -pair.log_p if self.fitted else self.scores
        return replace(self, reference=pair.reference, scores=scores, dispersion=dispersion)

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
        return moments(self.schema, counts, self.scores)[0]

    @cached_property
    def span(self) -> tuple[Floats, Floats]:
        """float64[F] twice: the least and the largest score of a feature."""
        least = np.minimum.reduceat(np.where(self.scored > 0, self.known, np.inf), self.schema.starts)
        most = np.maximum.reduceat(np.where(self.scored > 0, self.known, -np.inf), self.schema.starts)
        return np.where(np.isfinite(least), least, 0.0), np.where(np.isfinite(most), most, 0.0)

    @cached_property
    def steps(self) -> Floats:
        """float64[M, F]: the means that the reference may have, from what it has upwards; E holds for all between."""
        mean, variance, _ = map(np.nan_to_num, moments(self.schema, self.reference, self.scores))
        least, most = self.span
        nats = np.array(LADDER)[:, None] / np.maximum(self.worth, 1.0)
        risen = mean + np.sqrt(2 * variance * nats) + (most - mean) * nats / 2
        return np.asarray(np.minimum(risen, most - ROOM * (most - least)))

    @cached_property
    def log_doubt(self) -> Floats:
        """float64[M, F]: ln E_P(m), what the reference says against a mean as high as each of the steps; half of the
        stake is kept, so that E_P of what lies below them is at least a half."""
        _, most = self.span
        room = most - self.steps
        phi = np.repeat(self._worst[-1], self.schema.sizes)
        found = [
            _log_mean([self._sums(self.reference / phi, bet) for bet in self._bets(-step, -self.known, space)])
            for step, space in zip(self.steps, room, strict=True)
        ]
        return np.logaddexp(found, 0.0) + KEPT

    @cached_property
    def mu0(self) -> Floats:
        """float64[F]: the true mean of the reference is below this but for REFERENCE_ERROR; inf without rows."""
        refuted = self.log_doubt >= -math.log(REFERENCE_ERROR / 2 if self.fitted else REFERENCE_ERROR)
        first = np.take_along_axis(self.steps, refuted.argmax(axis=0)[None], axis=0)[0]
        return np.where(refuted.any(axis=0) & (self.worth > 1), first + self._fit, np.inf)

    @cached_property
    def _fit(self) -> Floats:
        """float64[F]: how much too small a mean of scores is over the rows that they were fitted to."""
        if not self.fitted:
            return np.zeros(len(self.schema.features))
        return np.asarray(chdtri(self.schema.sizes - 1, REFERENCE_ERROR / 2) / np.maximum(self.worth, LEAST))

    @cached_property
    def radius(self) -> Floats:
        """float64[F] nats: what the reference itself may be off by; inf without rows."""
        return np.asarray(self.mu0 - np.nan_to_num(self.mean(self.reference)))

    @cached_property
    def worth(self) -> Floats:
        """float64[F]: n / phi, the independent rows with a score that the reference is worth."""
        return np.asarray(self._sums(self.reference, self.scored) / self._worst[-1])

    def phi(self, totals: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """For float64[..., F] rows: the largest phi that a mean may have at that scale, beyond the longest that of the
        longest; and whether the reference is long enough to know it."""
        _, known = self.dispersion.scale_of(totals)
        return self.dispersion.at_scale(self._worst, totals), known | ~self.dispersion.dependent

    @cached_property
    def _worst(self) -> Floats:
        return self.dispersion.worst(self.schema)

    def log_e(self, counts: Floats) -> Floats:
        """float64[L, F]: ln E of the counts float64[L, width] of L lags; below 0 where nothing can be said, -inf where
        the lag is longer than what the reference has shown of its rows' dependence.

        >>> from driftmon.stats.dispersion import independent
        >>> from driftmon.stats.divergences import Pair
        >>> schema = Pair.of(p=[1, 1], q=[1, 1]).schema                          # two bins, unseen, invalid, missing
        >>> scores, many = np.array([0, 1, *[np.nan] * 3]), np.array([5e6, 5e6, 0, 0, 0])
        >>> rise = Rise(schema, many, scores, independent(schema))
        >>> rise.log_e(np.array([[50.0, 50.0, 0, 0, 9], [20.0, 80.0, 0, 0, 0]])).round(1).ravel().tolist()
        [-1.1, 15.7]
        """
        phi, known = self.phi(np.add.reduceat(counts, self.schema.starts, axis=-1))
        least, _ = self.span
        nothing = np.broadcast_to(-math.log(len(BETS)), phi.shape)  # what is left of E_Q, however high m: the bet of 0
        above = [
            _log_mean([self._sums(counts, bet) / phi for bet in self._bets(step, self.known, step - least)])
            for step in self.steps + self._fit
        ]
        below = [np.broadcast_to(KEPT, phi.shape), *self.log_doubt]
        found = np.min([doubt + won for doubt, won in zip(below, [*above, nothing], strict=True)], axis=0)
        return np.where(known, found, -np.inf)

    def _bets(self, mean: Floats, scores: Floats, room: Floats) -> Sequence[Floats]:
        """Per bet float64[width]: ln of what a row multiplies the stake by; `room` float64[F] is the most to lose."""
        fair = np.isfinite(room) & (room > 0)
        gain = np.repeat(np.where(fair, 1 / np.where(fair, room, 1.0), 0.0), self.schema.sizes)
        steps = gain * (scores - np.repeat(mean, self.schema.sizes)) * self.scored
        return [np.log1p(bet * steps) for bet in BETS]

    def _sums(self, counts: Floats, per_bin: Floats) -> Floats:
        return np.asarray(np.add.reduceat(counts * per_bin, self.schema.starts, axis=-1))


def _log_mean(logs: Sequence[Floats]) -> Floats:
    return np.asarray(np.logaddexp.reduce(logs, axis=0) - math.log(len(logs)))


def moments(schema: Schema, counts: Floats, scores: Floats) -> tuple[Floats, Floats, Floats]:
    """float64[..., F] each: mean and variance of the score over counts float64[..., width], NaN without rows that have
    one; and how many have.

    >>> schema = Pair.of(p=[1, 1], q=[1, 1]).schema
    >>> [value.tolist() for value in moments(schema, np.array([3.0, 1, 0, 0, 0]), np.array([0, 2, np.nan, 1, 1]))]
    [[0.5], [0.75], [4.0]]
    """
    known, scored = np.nan_to_num(scores), np.isfinite(scores)
    sums = [np.add.reduceat(counts * part, schema.starts, axis=-1) for part in (scored, known, known**2)]
    total, weighed, squares = sums
    mean, square = (
        np.divide(part, total, out=np.full(total.shape, np.nan), where=total > 0) for part in (weighed, squares)
    )
    return mean, np.maximum(square - mean**2, 0.0), total


def middles(schema: Schema) -> Floats:
    """float64[width]: the scores of losses, which are 0 or more: the middle of each bin, of which the last, open one
    counts as wide as the one before it.

    >>> from driftmon.stats.binnings import numeric
    >>> from driftmon.stats.schema import Feature
    >>> middles(Schema((Feature("loss", numeric.Binning((0.5, 1.0))),))).tolist()
    [0.25, 0.75, 1.25, nan, nan]
    """
    scores = np.full(schema.width, np.nan)
    for index, feature in enumerate(schema.features):
        edges = getattr(feature.binning, "edges", None)
        if edges is not None:
            ends = np.maximum([0.0, *edges], 0.0)
            ends = np.append(ends, 2 * ends[-1] - ends[-2:][0])
            scores[schema.bins(index)][: feature.binning.regular] = (ends[:-1] + ends[1:]) / 2
    return scores
