"""References: where a tick's P comes from. A snapshot counted before, or one gathered from the stream itself.

Law: a warm-up's reference is exactly its first N rows, whatever blocks they came in; rows after
them are live. Bins are chosen from the first rows, then these are counted again, exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from driftmon.monitor.batch import Batch, Receipt
from driftmon.monitor.quantities import QUANTITIES
from driftmon.monitor.report import Report, Status
from driftmon.monitor.rules import Alert
from driftmon.monitor.snapshot import Snapshot
from driftmon.stats.columns import Column, column_of
from driftmon.stats.edges import FeatureSpec, Kind
from driftmon.stats.schema import Schema

SAMPLE_ROWS: Final = 2048  # bins chosen from so many rows have masses uneven by 9 %; more rows, more memory


def count_into(schema: Schema, batch: Batch, provenance: Mapping[str, Any] | None = None) -> Snapshot:
    """The rows of a batch counted, whatever their times: a piece of a reference. Pieces merge."""
    counts = schema.count(schema.codes(batch.columns, batch.rows))
    invalid = {
        (name, reason): len(rows)
        for name, column in batch.columns.items()
        for reason, rows in column.invalid.items()
        if name in schema.names and len(rows)
    }
    return Snapshot(schema, counts, invalid=invalid, provenance=provenance or {})


def reference_of(columns: Any, specs: Sequence[FeatureSpec] | None = None) -> Snapshot:
    """A reference from a DataFrame, an Arrow table or a mapping of columns; bins are chosen from all rows.

    Without specs, columns of text are categorical, of booleans boolean, all others numeric.

    >>> reference_of({"x": [1.0, 2.0], "c": ["a", "b"]}).schema.names
    ('x', 'c')
    """
    names = list(columns.column_names if hasattr(columns, "column_names") else columns)
    chosen = list(specs) if specs is not None else [FeatureSpec(str(name), _kind(columns[name])) for name in names]
    typed = {spec.name: column_of(spec.kind, columns[spec.name]) for spec in chosen}
    rows = len(next(iter(typed.values()), ()))
    schema = Schema(tuple(spec.fit(typed[spec.name]) for spec in chosen))
    return count_into(schema, Batch(rows, typed), {"records": rows})


def _kind(values: Any) -> Kind:
    listed = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
    some = [value for value in listed if value is not None and not (isinstance(value, float) and math.isnan(value))]
    if some and all(isinstance(value, (bool, np.bool_)) for value in some):
        return "boolean"
    return "categorical" if any(isinstance(value, str) for value in some) else "numeric"


class WarmUp:
    """The first `observations` rows of a stream become its reference. Same verbs as Monitor until then.

    `rest` holds the rows beyond the last one needed; they belong to the monitor that follows.
    """

    def __init__(self, stream: str, specs: Sequence[FeatureSpec], observations: int) -> None:
        self.stream = stream
        self.specs = tuple(specs)
        self.needed = observations
        self.seen = 0
        self.reference: Snapshot | None = None
        self.rest: Batch | None = None
        self.alerts: tuple[Alert, ...] = ()
        self._sample: list[Batch] = []
        self._counted: Snapshot | None = None

    def observe_batch(self, batch: Batch, now_ms: int | None) -> Receipt:
        """Take rows until there are enough; late and future rows are no concern of a reference."""
        take = min(batch.rows, self.needed - self.seen)
        if take < batch.rows:
            self.rest = part(batch, take, batch.rows)
        taken = batch if take == batch.rows else part(batch, 0, take)
        self.seen += take
        if self._counted is not None:
            self._counted = self._counted.merge(count_into(self._counted.schema, taken))
        else:
            self._sample.append(taken)
            if self.seen >= min(SAMPLE_ROWS, self.needed):
                self._choose_bins()
        if self.seen >= self.needed and self._counted is not None:
            provenance = {"records": self.seen, "sources": [f"warm-up of stream {self.stream}"]}
            self.reference = replace(self._counted, provenance=provenance)
        return Receipt(take, rejected=batch.rejected)

    def _choose_bins(self) -> None:
        rows = joined(self._sample, self.specs)
        schema = Schema(tuple(spec.fit(rows.columns[spec.name]) for spec in self.specs))
        self._counted = count_into(schema, rows)
        self._sample = []

    def tick(self, now_ms: int) -> Report:
        """A report without windows: every feature is warming up."""
        statuses = {spec.name: Status.WARMING_UP for spec in self.specs}
        nothing = np.zeros((0, len(QUANTITIES), 0))
        return Report(self.stream, now_ms, Schema(()), (), nothing, (), statuses, warmup=(self.seen, self.needed))


def part(batch: Batch, low: int, high: int) -> Batch:
    """Rows low to high of a batch; what the format refused stays with the first part."""
    columns = {name: _column_part(column, low, high) for name, column in batch.columns.items()}
    times_ms = None if batch.times_ms is None else batch.times_ms[low:high]
    first = low == 0
    return Batch(high - low, columns, times_ms, batch.rejected if first else {}, batch.errors if first else ())


def _column_part(column: Column, low: int, high: int) -> Column:
    kept = {reason: [row - low for row in rows if low <= row < high] for reason, rows in column.invalid.items()}
    invalid = {reason: rows for reason, rows in kept.items() if rows}
    return Column(column.values[low:high], invalid, [row - low for row in column.absent if low <= row < high])


def joined(batches: Sequence[Batch], specs: Sequence[FeatureSpec]) -> Batch:
    """Batches one after the other, with a column for every feature."""
    columns = {}
    for spec in specs:
        pieces, start = [], 0
        for batch in batches:
            pieces.append((start, batch.columns.get(spec.name) or _absent(spec, batch.rows)))
            start += batch.rows
        columns[spec.name] = _concatenated(pieces)
    return Batch(sum(batch.rows for batch in batches), columns)


def _absent(spec: FeatureSpec, rows: int) -> Column:
    values: Any = [None] * rows if spec.kind == "categorical" else np.full(rows, np.nan)
    return Column(values, absent=range(rows))


def _concatenated(pieces: Sequence[tuple[int, Column]]) -> Column:
    if all(isinstance(column.values, np.ndarray) for _, column in pieces):
        values: Any = np.concatenate([column.values for _, column in pieces])
    else:
        values = [value for _, column in pieces for value in column.values]
    reasons = sorted({reason for _, column in pieces for reason in column.invalid})
    invalid = {
        reason: [at + row for at, column in pieces for row in column.invalid.get(reason, ())] for reason in reasons
    }
    return Column(values, invalid, [at + row for at, column in pieces for row in column.absent])
