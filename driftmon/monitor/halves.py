"""Halves: what a prediction and a label say of one loss, as numbers that wait, and the losses of those that met.

Law: a pair counts as the complete record of both would: in a bin of losses, as invalid for the same reason, or as
missing. Until then neither half counts in the loss, whether it can be scored or not: of predictions that no label could
score alone a window would look broken.

A half is a row of float64: probabilities or the code of a class, none of them negative; where it cannot be scored the
same negative number throughout, -1 less the place of the reason in FAULTS; NaN where it says nothing. So what waits has
the same size whatever it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftmon.monitor.scoring import codes_of, is_missing, parts, scored, table_of
from driftmon.stats.binnings.log_loss import Outcome
from driftmon.stats.columns import BOOLEAN, NESTED, NUMBER, TEXT, Column, Floats
from driftmon.stats.losses import NEGATIVE, NOT_FINITE, NOT_ONE, UNKNOWN_CLASS
from driftmon.stats.schema import Codes

Mask: TypeAlias = NDArray[np.bool_]

FAULTS: Final = (UNKNOWN_CLASS, TEXT, BOOLEAN, NESTED, NUMBER, NEGATIVE, NOT_ONE, NOT_FINITE)  # kept: append only
STRANGE: Final = "\0"  # no class


class Halves:
    """Of one loss in a batch: which rows have its probabilities and its label, and what they say as numbers."""

    def __init__(self, feature: Any, columns: Mapping[str, Column]) -> None:
        self.name: str = feature.name
        self.outcome: Outcome = feature.outcome
        self.width = width_of(self.outcome)
        self._skips = feature.absent == "skip"
        read = [columns[part.name] for part in parts(feature)]
        self._probabilities, self._label = read[:-1], read[-1]
        self.predicted = ~np.logical_and.reduce([is_missing(column) for column in self._probabilities])
        self.labelled = ~is_missing(self._label)
        self.table, self.codes = self._predictions(), self._labels()

    def column(self, rows: Codes, extra: Mask, waiting: Mask, predictions: Floats, codes: Floats) -> Column:
        """The losses of these rows: those of pairs in `extra` ones, none yet in those that are `waiting`."""
        own = ~extra & ~waiting
        probabilities = [taken(column, rows, own) for column in self._probabilities]
        label = taken(self._label, rows, own)
        places = np.flatnonzero(extra)
        missing = np.isnan(predictions).any(axis=1) | np.isnan(codes)
        faults = np.where(predictions[:, 0] < 0, predictions[:, 0], codes)
        bad = ~missing & (faults < 0)
        for at, column in enumerate(probabilities):
            values: Any = column.values
            for row, found in zip(places.tolist(), predictions.tolist(), strict=True):
                values[row] = found[at] if isinstance(values, np.ndarray) else found
        texts: Any = label.values
        for row, code, empty in zip(places.tolist(), codes.tolist(), (missing | bad).tolist(), strict=True):
            texts[row] = None if empty else _text(self.outcome, int(code))
        found = scored(self.outcome, probabilities, label)
        invalid = {reason: [*at] for reason, at in found.invalid.items()}
        for row, fault in zip(places[bad].tolist(), faults[bad].tolist(), strict=True):
            invalid.setdefault(FAULTS[int(-1 - fault)], []).append(row)
        silent = places[missing] if self._skips else places[:0]  # the key may have been absent from both records
        uncounted = np.concatenate([np.flatnonzero(waiting & ~extra), silent])
        return replace(found, invalid={why: sorted(at) for why, at in invalid.items()}, uncounted=uncounted.tolist())

    def _predictions(self) -> Floats:
        """Tried with a label that is fine; what is neither scored nor invalid then lacks a probability."""
        table, _ = table_of(self.outcome, self._probabilities)
        table = table.reshape(-1, self.width).copy()
        tried = scored(self.outcome, self._probabilities, Column([_text(self.outcome, 0)] * len(table)))
        table[np.isnan(np.asarray(tried.values))] = np.nan
        for reason, rows in tried.invalid.items():
            table[rows] = _number(reason)
        return table

    def _labels(self) -> Floats:
        codes = np.where(self.labelled, codes_of(self.outcome, self._label.values), np.nan)
        for reason, rows in self._label.invalid.items():
            codes[np.asarray(rows, dtype=np.int64)] = _number(reason)
        return codes


def width_of(outcome: Outcome) -> int:
    """Numbers of a prediction."""
    return 1 if outcome.binary else len(outcome.fields or outcome.classes)


def taken(column: Column, rows: Codes, own: Mask) -> Column:
    """The column of these rows; `own` are those that speak for the row itself."""
    values = column.values
    found = values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows.tolist()]
    invalid = {reason: _at(at, rows, own) for reason, at in column.invalid.items()}
    return Column(found, {reason: at for reason, at in invalid.items() if at}, _at(column.absent, rows, own))


def _number(reason: str) -> float:
    return float(-1 - FAULTS.index(reason))


def _text(outcome: Outcome, code: int) -> str:
    """A label that has this code."""
    if not outcome.binary:
        return outcome.classes[code]
    if outcome.positive is None:
        return str(code)
    others = [name for name in outcome.classes if name != outcome.positive]
    return outcome.positive if code else (others or [STRANGE])[0]


def _at(marked: Sequence[int], rows: Codes, own: Mask) -> list[int]:
    if not len(marked):
        return []
    return [int(at) for at in np.flatnonzero(np.isin(rows, np.asarray(marked)) & own)]
