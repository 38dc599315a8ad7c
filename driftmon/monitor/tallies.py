"""Tallies: what adds beside the counts of log_loss features, and the numbers of a window that come from it.

Law: a state vector int64[state_width] is counts, then tallies; both add, so rings, ledgers and the journal hold it
whole and merge it with `+`. Sums are the same integers by name, in one piece, for people and for files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np

from driftmon.stats.columns import Floats
from driftmon.stats.losses import NAT, WORD
from driftmon.stats.schema import Counts, Schema
from driftmon.stats.special import ndtri

HIGH: Final = "_hi"
LOW: Final = "_lo"
LEVEL: Final = 0.99
LABELLED: Final = "labelled_observations"
NAMES: Final = (
    LABELLED,
    "log_loss",
    "log_loss_lower_bound",
    "log_loss_upper_bound",
    "prediction_entropy",
    "calibration_gap",
    "calibration_gap_lower_bound",
    "calibration_gap_upper_bound",
    "accuracy_ratio",
)


def sums_of(schema: Schema, state: Counts) -> dict[str, int]:
    """Of a state vector: "loss churn" is the sum of the losses of feature churn, in units of 2^-40 nats."""
    found = {}
    for key, place, words in _places(schema):
        found[key] = int(state[place]) * WORD + int(state[place + 1]) if words else int(state[place])
    return found


def state_of(schema: Schema, counts: Counts, sums: Mapping[str, int]) -> Counts:
    """int64[state_width]: counts int64[width] with these sums; what is not among them is 0."""
    if schema.state_width == schema.width:
        return counts
    state = np.concatenate((counts, np.zeros(schema.state_width - schema.width, dtype=np.int64)))
    for key, place, words in _places(schema):
        if words:
            state[place : place + 2] = divmod(sums.get(key, 0), WORD)
        else:
            state[place] = sums.get(key, 0)
    return state


def names_of(schema: Schema) -> dict[str, str]:
    """The feature of each sum."""
    return {key: schema.tally_names[place - schema.width][0] for key, place, _ in _places(schema)}


def _places(schema: Schema) -> Iterator[tuple[str, int, bool]]:
    """Each sum with its place in a state vector, and whether it is in two words there."""
    for at, (feature, tally) in enumerate(schema.tally_names):
        if not tally.endswith(LOW):
            yield f"{tally.removesuffix(HIGH)} {feature}", schema.width + at, tally.endswith(HIGH)


def scores(schema: Schema, live: Floats, tallies: Floats, kish: Floats, phi: Floats) -> Floats:
    """float64[len(NAMES), features]: NaN where a feature has none; where no row has both a probability and a label,
    their number is 0 and the rest NaN.

    `live` float64[width] are the weighted counts, `tallies` weighted alike; `kish` float64[features] is how many
    observations they stand for and `phi` their overdispersion. The bounds are one-sided, of the normal distribution:
    mean -+ z sqrt(variance phi / n), which needs some hundred rows where losses are heavy-tailed. Those of the gap have
    the losses' variance too: given its prediction a calibrated loss has mean zero about the entropy, so losses vary by
    what the gap does and what the entropies do besides.
    """
    found = np.full((len(NAMES), len(schema.features)), np.nan)
    z = float(ndtri(LEVEL))
    for index, feature in enumerate(schema.features):
        bins = live[schema.bins(index)]
        rows = float(bins[: feature.binning.regular].sum())
        if not feature.binning.tallies:
            continue
        found[0, index] = rows
        if rows <= 0:
            continue
        start = schema.tallies(index).start - schema.width
        loss, squared, entropy = (_nats(tallies, start + at) / rows for at in (0, 2, 4))
        independent = rows / float(bins.sum()) * float(kish[index])
        error = np.nan
        if independent > 1:
            variance = max(squared - loss**2, 0.0) * independent / (independent - 1)
            error = z * np.sqrt(variance * float(phi[index]) / independent)
        gap = loss - entropy
        found[1:4, index] = loss, max(loss - error, 0.0), loss + error
        found[4:, index] = entropy, gap, gap - error, gap + error, tallies[start + 6] / rows
    return found


def _nats(tallies: Floats, at: int) -> float:
    return float(tallies[at]) * (WORD / NAT) + float(tallies[at + 1]) / NAT
