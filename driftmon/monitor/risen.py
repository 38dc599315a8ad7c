"""Risen: by how much a mean has risen above the reference's, by which bins, and when that is over.

Law: as in clearing.py, while the mean is still the effect or more above the reference's, at most CLEAR_RISK of looks
at independent rows call it over: calibrated by simulation (tests/simulate/means.py), not a theorem.

    SE² = phi (V_live / N + V_reference / n)         V the variance of the score over the rows
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftmon.monitor.clearing import CLEAR_RISK, Segments
from driftmon.monitor.rules import Mean, TopBin
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import Dispersion
from driftmon.stats.divergences import Pair
from driftmon.stats.evidence import Evidence
from driftmon.stats.rises import Rise, middles, moments
from driftmon.stats.special import ndtri

LEAST: Final = 1e-300  # no rows with a score: no shares of them
STRONGEST: Final = 3


def rise_of(mean: Mean, pair: Pair, dispersion: Dispersion) -> Rise:
    """What the reference of the pair fixes of a bet on this mean."""
    if mean == "surprisal":
        return Rise.of_surprisal(pair, dispersion)
    return Rise(pair.schema, pair.reference, middles(pair.schema), dispersion)


def measure(pair: Pair, scores: Floats, phi: Floats, level: float) -> tuple[Floats, Floats, Floats]:
    """float64[F] each: by how much the live mean is above the reference's, at least so at `level`; the reference's.

    >>> pair = Pair.of(p=[5000, 5000], q=[400, 600])
    >>> found = measure(pair, np.array([0.0, 1.0, *[np.nan] * 3]), np.ones(1), 0.99)      # SE² = .24 / 1,000 + ...
    >>> [value.round(4).tolist() for value in found]
    [[0.1], [0.0621], [0.5]]
    """
    live, spread, rows = moments(pair.schema, pair.live, scores)
    before, spread_before, n = moments(pair.schema, pair.reference, scores)
    error = np.sqrt(phi * (_per(spread, rows) + _per(spread_before, n)))
    return live - before, live - before - float(ndtri(level)) * error, before


def floor(rise: Rise, seen: Floats, level: float) -> Floats:
    """float64[W, F] nats: what chance alone adds to the mean of so many rows, but for 1 - level of looks."""
    spread = moments(rise.schema, rise.reference, rise.scores)[1]
    return float(ndtri(level)) * np.sqrt(rise.phi(seen)[0] * _per(spread, seen))


def over(
    rises: Sequence[Rise], segments: Segments, found: Evidence, effect: float, firing: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """bool[F], of features that fire: some segment since the rise began, but not all of it, shows that the effect does
    not last; or R is no more than without a rise, and the longest segment that evidence may look at shows less.

    `rises` are those of the lags. The spread is the largest of the segment's, of all since the rise began, and of the
    reference: a segment in which nothing rare happened yet does not vouch for itself.
    """
    if not firing.any():
        return np.zeros(len(firing), dtype=np.bool_)
    schema, features = rises[0].schema, np.arange(len(firing))
    mean, spread, rows = moments(schema, segments.live, np.stack([one.scores for one in rises]))
    before = {id(one): moments(schema, one.reference, one.scores) for one in rises}
    mean_before, spread_before, n = (np.stack([before[id(one)][part] for one in rises]) for part in range(3))
    phi, known = rises[-1].phi(np.add.reduceat(segments.live, schema.starts, axis=1))
    known = known & segments.allowed

    since = spread[np.searchsorted(segments.lags, found.lag), features]
    widest = np.fmax(np.fmax(spread, since), spread_before)
    error = np.sqrt(phi * (_per(widest, rows) + _per(spread_before, n)))
    rise = mean - mean_before
    with np.errstate(invalid="ignore"):
        below = rise - float(ndtri(CLEAR_RISK)) * error < effect
    shown = (below & (rows > 0) & (segments.lags[:, None] < found.lag)).any(axis=0)

    longest = len(known) - 1 - known[::-1].argmax(axis=0)
    small = known.any(axis=0) & (rise[longest, features] < effect)
    gone = found.log_r <= np.log(np.maximum(segments.allowed.sum(axis=0), 1))
    return np.asarray(firing & (shown | (gone & small)))


def raising(pair: Pair, rise: Rise, feature: int) -> tuple[TopBin, ...]:
    """The bins that raise the mean most, largest first: each one's share of the live mean less that of the reference's.

    >>> from driftmon.stats.dispersion import independent
    >>> pair = Pair.of(p=[900, 100], q=[50, 50])
    >>> worst, *_ = raising(pair, Rise.of_surprisal(pair, independent(pair.schema)), 0)
    >>> round(worst.contribution_nats, 12)                                                       # .4 x -ln .1
    0.921034037198
    """
    bins = pair.schema.bins(feature)
    scored = rise.scored[bins]
    p, q = (part[bins] * scored / max(float((part[bins] * scored).sum()), LEAST) for part in (pair.p_raw, pair.q_raw))
    terms = (q - p) * rise.known[bins]
    labels, name = pair.schema.features[feature].binning.labels(), pair.schema.names[feature]
    order = [k for k in np.argsort(-terms, kind="stable")[:STRONGEST].tolist() if terms[k] > 0]
    return tuple(TopBin(name, labels[k], float(p[k]), float(q[k]), float(terms[k])) for k in order)


def _per(spread: Floats, total: Floats) -> Floats:
    return np.asarray(np.divide(np.nan_to_num(spread), total, out=np.full(np.shape(total), np.inf), where=total > 0))
