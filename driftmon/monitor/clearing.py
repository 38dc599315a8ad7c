"""Clearing: when what set off an alarm by evidence is over.

Law: while KL(Q||P) is still the effect or more, at most CLEAR_RISK of looks at independent rows call it over,
and the alert table asks for CLEAR_PANES such looks in a row: calibrated by simulation, not a theorem
(tests/simulate/clearing.py). Where dependence leaves too little to be so sure, evidence that is gone does.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from driftmon.stats.bounds import log_spread, shown_below
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import Dispersion
from driftmon.stats.divergences import Pair
from driftmon.stats.evidence import Evidence
from driftmon.stats.noise import debiased, noise, raw_kl
from driftmon.stats.schema import Counts, Schema

CLEAR_PANES: Final = 10  # so many panes in a row must look clear
CLEAR_RISK: Final = 1e-4  # at 0.05 a drift as large as the effect was resolved and fired again three times a day
LEAST_SPREAD: Final = 2.0  # V / KL of a small shift over well filled bins; more where rare bins carry it
LEAST_KL: Final = 1e-12


class Segments(Struct, frozen=True, eq=False):
    """Of one look: per lag the newest counts and the reference's, both float64[L, width]; `allowed` bool[L, F]."""

    lags: Counts
    live: Floats
    references: Floats
    allowed: NDArray[np.bool_]


def over(
    schema: Schema,
    segments: Segments,
    found: Evidence,
    dispersion: Dispersion,
    effect: float,
    pseudocount: float,
    firing: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """bool[F], of features that fire: some segment since drift began, but not all of it, shows that the effect does
    not last; or R is no more than without drift, and the longest segment that evidence may look at shows less."""
    which = np.flatnonzero(firing)
    if not len(which):
        return np.zeros(len(firing), dtype=np.bool_)
    pair = _of_every_lag(schema, segments, pseudocount, firing)
    shape = (len(segments.lags), len(which))
    totals = np.add.reduceat(segments.live, schema.starts, axis=1)
    phi = dispersion.average_at(totals)[:, which].ravel()
    known = (dispersion.scale_of(totals)[1] | ~dispersion.dependent)[:, which] & segments.allowed[:, which]
    expected, lag = noise(pair, phi=phi), found.lag[which]

    drift = np.searchsorted(segments.lags, lag), np.arange(len(which))
    spread = (log_spread(pair) / np.maximum(raw_kl(pair), LEAST_KL)).reshape(shape)[drift]
    spread = np.tile(np.maximum(np.nan_to_num(spread), LEAST_SPREAD), len(segments.lags))
    below = shown_below(effect, pair, expected, spread, CLEAR_RISK).reshape(shape)
    shown = (below & (segments.lags[:, None] < lag)).any(axis=0)

    longest = shape[0] - 1 - known[::-1].argmax(axis=0), np.arange(len(which))
    small = known.any(axis=0) & (debiased(pair, expected).reshape(shape)[longest] < effect)
    gone = found.log_r[which] <= np.log(segments.allowed[:, which].sum(axis=0))
    clear = np.zeros(len(firing), dtype=np.bool_)
    clear[which] = shown | (gone & small)
    return clear


def _of_every_lag(schema: Schema, segments: Segments, pseudocount: float, firing: NDArray[np.bool_]) -> Pair:
    """Each lag of each firing feature as a feature of its own, lag by lag."""
    bins = np.repeat(firing, schema.sizes)
    features = [feature for feature, fires in zip(schema.features, firing.tolist(), strict=True) if fires]
    rows = range(len(segments.lags))
    named = (replace(one, name=f"{row}/{column}") for row in rows for column, one in enumerate(features))
    reference, live = segments.references[:, bins].ravel(), segments.live[:, bins].ravel()
    return Pair(Schema(tuple(named)), reference, live, pseudocount)
