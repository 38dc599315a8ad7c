"""Losses: how well predicted probabilities met the labels that came: -ln p(label), in nats.

Law: with a one-hot label y, H(y) = 0, so KL(y||p) = H(y,p) = -ln p(label): divergence, cross-entropy and log loss
are one number. Here P is the label and Q the prediction, and neither is smoothed; everywhere else P is the
reference and Q is live. Losses add as integers of 2^-40 nats, so that shards and restarts agree to the bit.

A row's probabilities must be finite, not negative, and sum to 1 within SUM_TOLERANCE; they are divided by their sum
(a lone number above 1 is cut to 1), and a probability below LEAST counts as LEAST (690.8 nats), so that one impossible
event costs much, not everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.columns import Floats
from driftmon.stats.schema import Codes
from driftmon.stats.special import entr, xlog1py

NAT: Final = 2**40  # units in a nat
WORD: Final = 2**32  # a sum is kept as two int64: whole WORDs and the rest, room for 2^31 rows each
LEAST: Final = 1e-300
SUM_TOLERANCE: Final = 1e-3  # probabilities printed with three decimals still pass

NEGATIVE: Final = "negative_probability"
NOT_ONE: Final = "probabilities_not_one"
NOT_FINITE: Final = "probability_not_finite"
UNKNOWN_CLASS: Final = "unknown_class"
REASONS: Final = (NEGATIVE, NOT_ONE, NOT_FINITE, UNKNOWN_CLASS)


@dataclass(frozen=True, eq=False)
class Scores:
    """Per row: `loss` and `entropy` of the prediction, float64[rows] nats, NaN where it is invalid; `correct`
    bool[rows], whether the label was the likeliest class (the first of equals); `invalid` rows by reason."""

    loss: Floats
    entropy: Floats
    correct: NDArray[np.bool_]
    invalid: Mapping[str, NDArray[np.int64]]


def binary(probability: Floats, label: Codes) -> Scores:
    """Of the class coded 1, float64[rows]; `label` int64[rows] is 0 or 1, anything else an unknown class.

    >>> scores = binary(np.array([0.5, 0.9, 0.9, 1.5]), np.array([1, 1, 0, 1]))
    >>> scores.loss.round(4).tolist(), {reason: rows.tolist() for reason, rows in scores.invalid.items()}
    ([0.6931, 0.1054, 2.3026, nan], {'probabilities_not_one': [3]})
    """
    p = np.asarray(probability, dtype=np.float64)
    faults = {
        NOT_FINITE: ~np.isfinite(p),
        NEGATIVE: p < 0,
        NOT_ONE: np.isfinite(p) & (p > 1 + SUM_TOLERANCE),
        UNKNOWN_CLASS: (label != 0) & (label != 1),
    }
    invalid, valid = _first_fault(faults, len(p))
    p = np.where(valid, np.minimum(p, 1.0), 0.5)
    of_label = np.where(label == 1, p, 1 - p)
    with np.errstate(divide="ignore"):
        loss = np.where(label == 1, -np.log(np.maximum(p, LEAST)), -np.log1p(-p))
    loss = np.where(of_label > 0, loss, -np.log(LEAST))
    entropy = entr(p) - xlog1py(1 - p, -p)
    correct = valid & ((p > 0.5) == (label == 1))
    return Scores(np.where(valid, loss, np.nan), np.where(valid, entropy, np.nan), correct, invalid)


def multiclass(probabilities: Floats, label: Codes) -> Scores:
    """Of every class, float64[rows, classes]; `label` int64[rows] is a column, anything else an unknown class.

    >>> scores = multiclass(np.array([[0.7, 0.2, 0.1], [0.5, 0.6, -0.1]]), np.array([0, 2]))
    >>> scores.loss.round(4).tolist(), scores.correct.tolist(), list(scores.invalid)
    ([0.3567, nan], [True, False], ['negative_probability'])
    """
    p = np.asarray(probabilities, dtype=np.float64)
    rows, classes = p.shape
    finite = np.isfinite(p).all(axis=1)
    with np.errstate(over="ignore"):
        total = np.where(finite, p.sum(axis=1, where=np.isfinite(p)), np.nan)
    faults = {
        NOT_FINITE: ~finite,
        NEGATIVE: finite & (p < 0).any(axis=1),
        NOT_ONE: finite & ~(np.abs(total - 1) <= SUM_TOLERANCE),
        UNKNOWN_CLASS: (label < 0) | (label >= classes),
    }
    invalid, valid = _first_fault(faults, rows)
    safe = np.where(valid[:, None], p, 1 / classes) / np.where(valid, total, 1.0)[:, None]
    of_label = safe[np.arange(rows), np.where(valid, label, 0)]
    loss = -np.log(np.maximum(of_label, LEAST))
    correct = valid & (safe.argmax(axis=1) == label)
    return Scores(np.where(valid, loss, np.nan), np.where(valid, entr(safe).sum(axis=1), np.nan), correct, invalid)


def units(nats: Floats) -> NDArray[np.int64]:
    """int64: whole units of 2^-40 nats, the nearest; 0 where there is no loss.

    >>> units(np.array([0.5, 2.0, np.nan])).tolist() == [NAT // 2, 2 * NAT, 0]
    True
    """
    return np.rint(np.nan_to_num(nats) * NAT).astype(np.int64)


def nats(total_units: int) -> float:
    """A sum of units in nats.

    >>> nats(3 * NAT // 2)
    1.5
    """
    return total_units / NAT


def _first_fault(
    faults: Mapping[str, NDArray[np.bool_]], rows: int
) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.bool_]]:
    """Rows by the first fault each has, and which have none."""
    valid = np.ones(rows, dtype=np.bool_)
    invalid = {}
    for reason, at in faults.items():
        if (found := np.flatnonzero(at & valid)).size:
            invalid[reason] = found
        valid &= ~at
    return invalid, valid
