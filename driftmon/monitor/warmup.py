"""Warm-up: a reference gathered from the stream itself, and looked at before it is believed.

Law: the reference is exactly the first N rows (with hours, at least one whole period of them), whatever
batches they came in; rows after them are live. Bins are chosen from the first rows, then these are
counted again, exactly. A reference whose halves differ is dropped, and the next rows are tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from driftmon.monitor.batch import Batch, Receipt
from driftmon.monitor.blocks import ROWS, Blocks
from driftmon.monitor.quantities import QUANTITIES
from driftmon.monitor.references import count_into
from driftmon.monitor.report import Report, Status
from driftmon.monitor.rules import Alert
from driftmon.monitor.slots import COUNT, HOUR_MS, Slots
from driftmon.monitor.snapshot import Snapshot
from driftmon.stats import dispersion
from driftmon.stats.bounds import bounds
from driftmon.stats.columns import Column
from driftmon.stats.divergences import Pair
from driftmon.stats.edges import FeatureSpec
from driftmon.stats.noise import noise
from driftmon.stats.schema import Schema

SAMPLE_ROWS: Final = 2048  # bins chosen from so many rows have masses uneven by 9 %; more rows, more memory
SMALL_EFFECT: Final = 0.02  # nats by which the halves may differ
LEVEL: Final = 0.999
PANE_MS: Final = 60_000  # of blocks by time


class WarmUp:
    """The first `observations` rows of a stream become its reference. Same verbs as Monitor until then.

    `rest` holds the rows beyond the last one needed; they belong to the monitor that follows. `judge` says
    what is wrong with what was gathered; then `restarts` goes up, `fault` has its words, and it begins again.
    With `slots_by` the reference has its counts by hour, and lasts until every hour has come once.
    """

    def __init__(
        self,
        stream: str,
        specs: Sequence[FeatureSpec],
        observations: int,
        slots_by: Slots | None = None,
        judge: Judge | None = None,
    ) -> None:
        self.stream = stream
        self.specs = tuple(specs)
        self.needed = observations
        self.reference: Snapshot | None = None
        self.rest: Batch | None = None
        self.alerts: tuple[Alert, ...] = ()
        self.restarts = 0
        self.fault = ""
        self._slots_by = slots_by
        self._judge = instability if judge is None else judge
        self._begin()

    def _begin(self) -> None:
        self.seen = 0
        self._first_ms: int | None = None
        self._waiting: list[Batch] = []  # a sample to choose bins from; then rows that do not fill a block yet
        self._counted: Snapshot | None = None
        self._blocks = Blocks("rows", ROWS) if self._slots_by is None else Blocks("time", PANE_MS)

    def observe_batch(self, batch: Batch, now_ms: int | None) -> Receipt:
        """Take rows until there are enough; late and future rows are no concern of a reference."""
        rest: Batch | None = self._timed(batch, now_ms)
        while rest is not None and self.reference is None:
            rest = self._take(rest)
        self.rest = rest
        return Receipt(batch.rows - (0 if rest is None else rest.rows), rejected=batch.rejected)

    def _timed(self, batch: Batch, now_ms: int | None) -> Batch:
        """Hours are those of the records, or of their arrival."""
        if self._slots_by is None or batch.times_ms is not None:
            return batch
        return replace(batch, times_ms=np.full(batch.rows, now_ms or 0, dtype=np.int64))

    def _take(self, batch: Batch) -> Batch | None:
        """Gather the rows that are needed; what is left of the batch then."""
        ends = self._ends(batch)
        take = ends if ends is not None else batch.rows
        self._waiting.append(batch if take == batch.rows else part(batch, 0, take))
        self.seen += take
        sample = min(SAMPLE_ROWS, self.needed)
        if self._counted is None and self.seen >= sample:
            rows = part(joined(self._waiting, self.specs), 0, sample)  # exactly these, however they came
            schema = Schema(tuple(spec.fit(rows.columns[spec.name]) for spec in self.specs))
            self._counted = Snapshot(schema, np.zeros(schema.width, dtype=np.int64), slots_by=self._slots_by)
        if self._counted is not None:
            self._counted = self._count(self._counted, ends is not None)
        if ends is not None and self._counted is not None:
            self._settle(self._counted)
        return part(batch, take, batch.rows) if take < batch.rows else None

    def _ends(self, batch: Batch) -> int | None:
        """After how many rows of this batch there are enough; None: not with these."""
        enough = self.seen + np.arange(1, batch.rows + 1) >= self.needed
        if self._slots_by is not None and batch.times_ms is not None and batch.rows:
            self._first_ms = int(batch.times_ms[0]) if self._first_ms is None else self._first_ms
            enough &= batch.times_ms - self._first_ms >= COUNT[self._slots_by] * HOUR_MS
        return int(enough.argmax()) + 1 if enough.any() else None

    def _count(self, counted: Snapshot, last: bool) -> Snapshot:
        """Count the waiting rows by whole blocks, so that how they came does not matter."""
        rows = joined(self._waiting, self.specs)
        whole = rows.rows if last else rows.rows // ROWS * ROWS
        self._waiting = [part(rows, whole, rows.rows)]
        if not whole:
            return counted
        pane_ms = 0 if self._slots_by is None else PANE_MS
        piece, blocks = count_into(counted.schema, part(rows, 0, whole), pane_ms, self._slots_by)
        self._blocks = self._blocks.merge(blocks)
        return counted.merge(piece)

    def _settle(self, counted: Snapshot) -> None:
        if fault := self._judge(counted.schema, self._blocks):
            self.restarts, self.fault = self.restarts + 1, fault
            self._begin()
            return
        provenance = {"records": self.seen, "sources": [f"warm-up of stream {self.stream}"]}
        self.reference = replace(counted, provenance=provenance, dispersion=self._dispersion(counted))

    def _dispersion(self, counted: Snapshot) -> dict[str, Any]:
        if self._slots_by is None:
            return self._blocks.as_dispersion(counted.schema)
        return self._blocks.as_dispersion(counted.schema, counted.slots, self._slots_by)

    def tick(self, now_ms: int) -> Report:
        """A report without windows: every feature is warming up."""
        return warming_report(self.stream, self.specs, now_ms, (self.seen, self.needed), self.restarts, self.fault)


class Judge(Protocol):
    """Looks at what a warm-up gathered: in words what is wrong with it, empty where nothing is."""

    def __call__(self, schema: Schema, blocks: Blocks) -> str: ...


def instability(schema: Schema, blocks: Blocks) -> str:
    """Whether the first and the second half differ, beyond doubt and overdispersion, by more than a small effect.

    Where the halves have too few blocks to tell their overdispersion, nothing is said against them.
    """
    counts = np.array([held for _, held in sorted(blocks.counts.items())]).reshape(len(blocks.counts), schema.width)
    rows = np.cumsum(counts.sum(axis=1))
    middle = int(np.searchsorted(rows, rows[-1] / 2)) + 1 if len(rows) else 0
    halves = counts[:middle], counts[middle:]
    measured = [found for half in halves if (found := dispersion.dispersion(schema, half)) is not None]
    if len(measured) < len(halves):
        return ""
    phi = np.max([found.ratio for found in measured], axis=0)
    pair = Pair(schema, halves[0].sum(axis=0).astype(np.float64), halves[1].sum(axis=0).astype(np.float64), 0.5)
    low, _ = bounds(pair, noise(pair, phi=phi), pair.live_total / phi, phi, LEVEL)
    low = np.nan_to_num(low, nan=-np.inf)
    worst = int(low.argmax())
    if low[worst] <= SMALL_EFFECT:
        return ""
    return f"{schema.names[worst]}: its second half differs from its first by at least {low[worst]:.2g} nats"


def whatever_comes(schema: Schema, blocks: Blocks) -> str:
    """No objection: for references whose halves may differ, as the hours of a day do."""
    return ""


def warming_report(
    stream: str,
    specs: Sequence[FeatureSpec],
    now_ms: int,
    progress: tuple[int, int] | None,
    restarts: int = 0,
    fault: str = "",
) -> Report:
    """A report without windows, of a stream that has no reference yet."""
    statuses = {spec.name: Status.WARMING_UP for spec in specs}
    nothing = np.zeros((0, len(QUANTITIES), 0))
    return Report(
        stream, now_ms, Schema(()), (), nothing, (), statuses, warmup=progress, restarts=restarts, unstable=fault
    )


def part(batch: Batch, low: int, high: int) -> Batch:
    """Rows low to high of a batch; what the format refused stays with the first part."""
    columns = {name: _column_part(column, low, high) for name, column in batch.columns.items()}
    times_ms = None if batch.times_ms is None else batch.times_ms[low:high]
    first = low == 0
    return Batch(high - low, columns, times_ms, batch.rejected if first else {}, batch.errors if first else ())


def _column_part(column: Column, low: int, high: int) -> Column:
    kept = {reason: [row - low for row in rows if low <= row < high] for reason, rows in column.invalid.items()}
    invalid = {reason: rows for reason, rows in kept.items() if rows}
    tallies = None if column.tallies is None else column.tallies[:, low:high]
    return Column(column.values[low:high], invalid, [row - low for row in column.absent if low <= row < high], tallies)


def joined(batches: Sequence[Batch], specs: Sequence[FeatureSpec]) -> Batch:
    """Batches one after the other, with a column for every feature."""
    columns = {}
    for spec in specs:
        pieces, start = [], 0
        for batch in batches:
            pieces.append((start, batch.columns.get(spec.name) or _absent(spec, batch.rows)))
            start += batch.rows
        columns[spec.name] = _concatenated(pieces)
    times = [batch.times_ms for batch in batches if batch.times_ms is not None]
    times_ms = np.concatenate(times) if times and len(times) == len(batches) else None
    return Batch(sum(batch.rows for batch in batches), columns, times_ms)


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
    return Column(values, invalid, [at + row for at, column in pieces for row in column.absent], _tallies(pieces))


def _tallies(pieces: Sequence[tuple[int, Column]]) -> NDArray[np.int64] | None:
    """Of all pieces; zeros of those that have none."""
    some = next((column.tallies for _, column in pieces if column.tallies is not None), None)
    if some is None:
        return None
    nothing = np.zeros((len(some), max(map(len, (column for _, column in pieces)))), dtype=np.int64)
    found = (nothing[:, : len(one)] if one.tallies is None else one.tallies for _, one in pieces)
    return np.concatenate(list(found), axis=1)
