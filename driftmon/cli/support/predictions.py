"""Predictions: whether a probability and the label it is about stand in a sample, to be watched by their log loss.

Law: one pair that names, values and the sample itself agree on, or none. A score that is no probability costs more than
to say the label's own rate each time, and is not taken for one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftmon.cli.support.inference import Finding, Seen, percent
from driftmon.stats.columns import Floats
from driftmon.stats.losses import binary
from driftmon.stats.schema import Codes

NAME: Final = "log_loss"  # of the feature
PROBABILITY_WORDS: Final = frozenset({"probability", "proba", "prob", "score", "p"})
LABEL_WORDS: Final = frozenset({"label", "target", "y", "outcome"})
LEAST_ROWS: Final = 100


@dataclass(frozen=True, slots=True)
class Prediction:
    """Paths of a probability and its label, and why they look like that."""

    probability: str
    label: str
    why: str


def prediction(
    records: Sequence[Mapping[str, object]], found: Sequence[Finding], nested: frozenset[str]
) -> Prediction | None:
    """Of the columns that were found to be watched.

    >>> rows = [{"p": 0.1 + 0.8 * (n % 2), "y": n % 2} for n in range(200)]
    >>> found = [Finding("p", "numeric", ""), Finding("y", "boolean", "")]
    >>> prediction(rows, found, frozenset()).why
    'p predicts y: log loss 0.105 nats, against 0.693 for 50 % each time'
    """
    if any(finding.field == NAME for finding in found):
        return None
    reached = [one for one in found if one.field in nested or "." not in one.field]
    columns = {one.field: (one.what, Seen(one.field, [row.get(one.field) for row in records])) for one in reached}
    named = [
        [seen for what, seen in columns.values() if what == kind and seen.words & words and _is_share(seen)]
        for kind, words in (("numeric", PROBABILITY_WORDS), ("boolean", LABEL_WORDS))
    ]
    if [len(some) for some in named] != [1, 1]:
        return None
    (probability,), (label,) = named
    rows = [
        (float(p), int(y))
        for p, y in zip(probability.values, label.values, strict=True)
        if isinstance(p, (int, float)) and isinstance(y, (int, float)) and math.isfinite(p) and math.isfinite(y)
    ]
    worth = _worth(np.array([p for p, _ in rows]), np.array([y for _, y in rows], dtype=np.int64))
    why = f"{probability.field} predicts {label.field}: {worth}"
    return Prediction(probability.field, label.field, why) if worth else None


def _worth(p: Floats, y: Codes) -> str:
    """What the probabilities are worth; nothing where they are worth nothing."""
    if len(p) < LEAST_ROWS:
        return ""
    rate = float(y.mean())
    loss, blind = float(binary(p, y).loss.mean()), float(binary(np.full(len(p), rate), y).loss.mean())
    return f"log loss {loss:.3g} nats, against {blind:.3g} for {percent(rate)} each time" if loss < blind else ""


def _is_share(seen: Seen) -> bool:
    """Whether every value is from 0 to 1; true and false are."""
    return all(isinstance(value, (bool, int, float)) and 0 <= value <= 1 for value in seen.present)
