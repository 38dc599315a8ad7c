"""Delayed: a batch of predictions, labels and complete records becomes one of rows to count, joined pairs among them.

Law: of every record each feature but the losses is counted as ever; a label record counts in none. A loss is counted
once, when both halves are there: in the row of a complete record, or in a row of its own right after the record that
completed the pair, at the label's or the prediction's time. What is given up is in the tally. A prediction that cannot
be scored whatever its label is counted as invalid at once, and does not wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftmon.monitor.arrival import FUTURE_MS
from driftmon.monitor.batch import Batch
from driftmon.monitor.id_ring import digests
from driftmon.monitor.label_pieces import KeptLabels, head_of, keep, piece_of, restore
from driftmon.monitor.labels import LABEL, PREDICTION, Join, Pairs, Records, entry_bytes
from driftmon.monitor.scoring import LOG_LOSS, Part, codes_of, is_missing, parts, readings, scored, table_of
from driftmon.stats.binnings.log_loss import Outcome
from driftmon.stats.columns import Column, Floats
from driftmon.stats.losses import binary, multiclass
from driftmon.stats.schema import Codes

Counted: TypeAlias = Literal["label", "prediction"]  # at whose time a loss is counted
Mask: TypeAlias = NDArray[np.bool_]

ID: Final = "\0id"
STRANGE: Final = "\0"  # no class


@dataclass(frozen=True, slots=True)
class Waits:
    """How predictions and labels of a stream find each other. `id` is a path in a record."""

    id: str
    wait_ms: int
    entries: int
    time: Counted = "label"


def delayed_readings(features: Iterable[Any], waits: Waits) -> list[Any]:
    """What formats read of a stream with delayed labels: the parts of its losses as they are, and the id."""
    return [*readings(features), Part(ID, "categorical", waits.id, "missing")]


def width_of(features: Iterable[Any]) -> int:
    """Numbers that wait with an id: one a probability; at least as many as there are losses."""
    outcomes = [feature.outcome for feature in features if feature.kind == LOG_LOSS]
    return sum(map(_columns, outcomes))


def bytes_of(features: Iterable[Any], waits: Waits) -> int:
    """The most memory that what waits can take."""
    return waits.entries * entry_bytes(width_of(features))


class Delayed:
    """Of one stream; `key` digests its ids. `losses` are its log_loss features."""

    def __init__(self, features: Sequence[Any], waits: Waits, key: bytes = b"") -> None:
        self.features, self.waits, self.key = tuple(features), waits, key
        self.losses = tuple(feature for feature in features if feature.kind == LOG_LOSS)
        self.join = Join(waits.wait_ms, waits.entries, width_of(features))
        self.anew = True  # whatever was kept of this stream is not of this join

    @property
    def meaning(self) -> str:
        """Where it is the same, what waits means the same."""
        return repr([(feature.name, feature.outcome.as_dict()) for feature in self.losses])

    def take(self, batch: Batch, now_ms: int | None) -> tuple[Batch, int]:
        """The rows to count, and how many label records are not among them."""
        batch = self._whole(batch)
        sides = [_Side(feature, batch.columns) for feature in self.losses]
        predicted = np.logical_or.reduce([side.predicted for side in sides])
        labelled = np.logical_or.reduce([side.labelled for side in sides])
        sound = _sound(batch, now_ms)
        waiting, labels = predicted & ~labelled & sound, labelled & ~predicted & sound
        table = np.concatenate([side.table for side in sides], axis=1)
        table[~waiting] = np.nan
        for at, side in enumerate(sides):
            table[labels, at] = side.codes[labels]
        able = np.zeros(batch.rows, dtype=np.bool_)
        able[waiting] = ~np.isnan(table[waiting]).all(axis=1)
        pairs = self._join(batch, now_ms, (waiting & able) | labels, labels, table)
        return self._assembled(batch, sides, waiting, ~labels, pairs), int(labels.sum())

    def late(self, pairs: int) -> None:
        """Of those matched, how many came when the pane of their time had closed."""
        self.join.tally.outcomes["matched"] -= pairs
        self.join.tally.outcomes["late"] += pairs

    def keep(self) -> None:
        """All of it is on the disk."""
        keep(self.join)
        self.anew = False

    def restore(self, kept: KeptLabels) -> bool:
        """Let wait on what waited; False where it was said of other losses."""
        if kept.meaning != self.meaning:
            return False
        restore(self.join, kept.head, kept.pieces)
        self.key, self.anew = kept.key, False
        return True

    def succeed(self, old: Delayed) -> None:
        """Take over from the configuration before; `wait` and bounds may be others now, and the past is not undone."""
        if self.meaning != old.meaning:
            return
        if self.waits == old.waits:
            self.join, self.key, self.anew = old.join, old.key, old.anew
            return
        whole = piece_of(old.join, old.join.ring.first)
        self.restore(KeptLabels(old.meaning, old.key, head_of(old.join), (whole,)))
        self.anew = True

    def _whole(self, batch: Batch) -> Batch:
        """With a column for every reading: a CSV header may not name them all."""
        wanted = delayed_readings(self.features, self.waits)
        missing = [reading for reading in wanted if reading.name not in batch.columns]
        empty = {reading.name: _empty(reading, batch.rows) for reading in missing}
        return replace(batch, columns={**batch.columns, **empty}) if empty else batch

    def _join(self, batch: Batch, now_ms: int | None, taking: Mask, labels: Mask, table: Floats) -> Pairs:
        """Records without an id can never be joined: they are given up at once."""
        times_ms = np.full(batch.rows, now_ms or 0) if batch.times_ms is None else batch.times_ms
        clock_ms = np.maximum.accumulate(np.where(_sound(batch, now_ms), times_ms, self.join.clock_ms))
        ids = batch.columns[ID].values
        named = np.array([one is not None for one in ids], dtype=np.bool_)
        outcomes = self.join.tally.outcomes
        outcomes["expired"] += int((taking & ~named & ~labels).sum())
        outcomes["orphan"] += int((taking & ~named & labels).sum())
        rows = np.flatnonzero(taking & named)
        kinds = np.where(labels[rows], LABEL, PREDICTION).astype(np.uint8)
        found = digests([str(ids[row]) for row in rows], self.key)
        pairs = self.join.take(Records(found, kinds, times_ms[rows], clock_ms[rows], table[rows]))
        return replace(pairs, rows=rows[pairs.rows])

    def _assembled(self, batch: Batch, sides: Sequence[_Side], waiting: Mask, kept: Mask, pairs: Pairs) -> Batch:
        """Rows in their order, each pair after the row that completed it."""
        rows = np.concatenate([np.flatnonzero(kept), pairs.rows])
        extra = np.zeros(len(rows), dtype=np.bool_)
        extra[len(rows) - len(pairs.rows) :] = True
        order = np.lexsort((extra, rows))
        rows, extra = rows[order], extra[order]
        columns = {}
        for feature in self.features:
            if feature.kind != LOG_LOSS:
                column = _taken(batch.columns[feature.name], rows, ~extra)
                columns[feature.name] = replace(column, uncounted=np.flatnonzero(extra).tolist())
        start = 0
        for at, side in enumerate(sides):
            width = side.table.shape[1]
            predictions, codes = pairs.predictions[:, start : start + width], pairs.labels[:, at]
            columns[side.name] = side.column(rows, extra, waiting[rows], predictions, codes)
            start += width
        times_ms = batch.times_ms
        if times_ms is not None:
            times_ms = times_ms[rows]
            times_ms[extra] = pairs.predicted_ms if self.waits.time == "prediction" else pairs.labelled_ms
        return replace(batch, rows=len(rows), columns=columns, times_ms=times_ms, extra=extra)


class _Side:
    """One loss in a batch: which rows have its probabilities and its label, as numbers."""

    def __init__(self, feature: Any, columns: Mapping[str, Column]) -> None:
        self.name: str = feature.name
        self.outcome: Outcome = feature.outcome
        read = [columns[part.name] for part in parts(feature)]
        self._probabilities, self._label = read[:-1], read[-1]
        self.predicted = ~np.logical_and.reduce([is_missing(column) for column in self._probabilities])
        self.labelled = ~is_missing(self._label)
        table, _ = table_of(self.outcome, self._probabilities)
        self.table = table.reshape(len(self.predicted), -1).copy()
        self.table[~_scorable(self.outcome, table)] = np.nan
        self.codes = np.where(self.labelled, codes_of(self.outcome, self._label.values), np.nan)

    def column(self, rows: Codes, extra: Mask, waiting: Mask, predictions: Floats, codes: Floats) -> Column:
        """The losses of these rows; those of pairs from what waited. `waiting` rows count only if they are invalid."""
        probabilities = [_taken(column, rows, ~extra) for column in self._probabilities]
        label = _taken(self._label, rows, ~extra)
        texts: Any = label.values
        for row in np.flatnonzero(waiting & ~extra).tolist():
            texts[row] = _text(self.outcome, 0)
        places = np.flatnonzero(extra)
        for at, column in enumerate(probabilities):
            values: Any = column.values
            for row, found in zip(places.tolist(), predictions.tolist(), strict=True):
                values[row] = found[at] if isinstance(values, np.ndarray) else found
        silent = np.isnan(predictions).any(axis=1) | np.isnan(codes)
        for row, code in zip(places.tolist(), codes.tolist(), strict=True):
            texts[row] = None if np.isnan(code) else _text(self.outcome, int(code))
        found = scored(self.outcome, probabilities, label)
        losses = np.asarray(found.values, dtype=np.float64)
        waits = waiting & ~extra & ~np.isnan(losses)
        uncounted = np.concatenate([np.flatnonzero(waits), places[silent]])
        assert found.tallies is not None
        losses[uncounted] = np.nan
        found.tallies[:, uncounted] = 0
        return replace(found, values=losses, uncounted=uncounted.tolist())


def _columns(outcome: Outcome) -> int:
    return 1 if outcome.binary else len(outcome.fields or outcome.classes)


def _sound(batch: Batch, now_ms: int | None) -> Mask:
    """Rows whose time is not too far ahead: the others are refused."""
    if batch.times_ms is None or now_ms is None:
        return np.ones(batch.rows, dtype=np.bool_)
    return np.asarray(batch.times_ms <= now_ms + FUTURE_MS)


def _scorable(outcome: Outcome, table: Floats) -> Mask:
    """Whatever the label: tried with the first class."""
    label = np.zeros(len(table), dtype=np.int64)
    return ~np.isnan((binary if outcome.binary else multiclass)(table, label).loss)


def _text(outcome: Outcome, code: int) -> str:
    """A label that has this code."""
    if code < 0:
        return STRANGE
    if not outcome.binary:
        return outcome.classes[code]
    if outcome.positive is None:
        return str(code)
    others = [name for name in outcome.classes if name != outcome.positive]
    return outcome.positive if code else (others or [STRANGE])[0]


def _empty(reading: Any, rows: int) -> Column:
    absent = range(rows) if reading.absent == "skip" else ()
    if reading.kind in ("numeric", "boolean"):
        return Column(np.full(rows, np.nan), absent=absent)
    return Column([None] * rows, absent=absent)


def _taken(column: Column, rows: Codes, own: Mask) -> Column:
    """The column of these rows; `own` are those that speak for the row itself."""
    values = column.values
    taken = values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows.tolist()]
    invalid = {reason: _at(at, rows, own) for reason, at in column.invalid.items()}
    return Column(taken, {reason: at for reason, at in invalid.items() if at}, _at(column.absent, rows, own))


def _at(marked: Sequence[int], rows: Codes, own: Mask) -> list[int]:
    if not len(marked):
        return []
    return [int(at) for at in np.flatnonzero(np.isin(rows, np.asarray(marked)) & own)]
