"""Delayed: a batch of predictions, labels and complete records becomes one of rows to count, joined pairs among them.

Law: of every record each feature but the losses is counted as ever; a label record counts in none. A loss is counted
once, when both halves are there: in the row of a complete record, or in a row of its own right after the record that
completed the pair, at the label's or the prediction's time, whether it can be scored or not. What is given up is in the
tally.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

import numpy as np

from driftmon.monitor import halves
from driftmon.monitor.arrival import FUTURE_MS
from driftmon.monitor.batch import Batch
from driftmon.monitor.halves import Halves, Mask, taken
from driftmon.monitor.id_ring import digests
from driftmon.monitor.label_pieces import KeptLabels, head_of, keep, piece_of, restore
from driftmon.monitor.labels import LABEL, PREDICTION, Join, Pairs, Records, entry_bytes
from driftmon.monitor.scoring import LOG_LOSS, Part, readings
from driftmon.stats.columns import Column, Floats

Counted: TypeAlias = Literal["label", "prediction"]  # at whose time a loss is counted
ID: Final = "\0id"


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
    return sum(halves.width_of(feature.outcome) for feature in features if feature.kind == LOG_LOSS)


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
        sides = [Halves(feature, batch.columns) for feature in self.losses]
        predicted = np.logical_or.reduce([side.predicted for side in sides])
        labelled = np.logical_or.reduce([side.labelled for side in sides])
        sound = _sound(batch, now_ms)
        waiting, labels = predicted & ~labelled & sound, labelled & ~predicted & sound
        table = np.concatenate([side.table for side in sides], axis=1)
        table[~waiting] = np.nan
        for at, side in enumerate(sides):
            table[labels, at] = side.codes[labels]
        pairs = self._join(batch, now_ms, waiting | labels, labels, table)
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

    def _assembled(self, batch: Batch, sides: Sequence[Halves], waiting: Mask, kept: Mask, pairs: Pairs) -> Batch:
        """Rows in their order, each pair after the row that completed it."""
        rows = np.concatenate([np.flatnonzero(kept), pairs.rows])
        extra = np.zeros(len(rows), dtype=np.bool_)
        extra[len(rows) - len(pairs.rows) :] = True
        order = np.lexsort((extra, rows))
        rows, extra = rows[order], extra[order]
        columns = {}
        for feature in self.features:
            if feature.kind != LOG_LOSS:
                column = taken(batch.columns[feature.name], rows, ~extra)
                columns[feature.name] = replace(column, uncounted=np.flatnonzero(extra).tolist())
        start = 0
        for at, side in enumerate(sides):
            predictions, codes = pairs.predictions[:, start : start + side.width], pairs.labels[:, at]
            columns[side.name] = side.column(rows, extra, waiting[rows], predictions, codes)
            start += side.width
        times_ms = batch.times_ms
        if times_ms is not None:
            times_ms = times_ms[rows]
            times_ms[extra] = pairs.predicted_ms if self.waits.time == "prediction" else pairs.labelled_ms
        return replace(batch, rows=len(rows), columns=columns, times_ms=times_ms, extra=extra)


def _sound(batch: Batch, now_ms: int | None) -> Mask:
    """Rows whose time is not too far ahead: the others are refused."""
    if batch.times_ms is None or now_ms is None:
        return np.ones(batch.rows, dtype=np.bool_)
    return np.asarray(batch.times_ms <= now_ms + FUTURE_MS)


def _empty(reading: Any, rows: int) -> Column:
    absent = range(rows) if reading.absent == "skip" else ()
    if reading.kind in ("numeric", "boolean"):
        return Column(np.full(rows, np.nan), absent=absent)
    return Column([None] * rows, absent=absent)
