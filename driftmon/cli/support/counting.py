"""Counting: records into a reference. Two passes: the first chooses bins, the second counts in them.

Law: the bins come from a systematic sample and the counts are integers, so neither blocks nor processes
nor their order change a byte of the reference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from driftmon.cli.support.faults import Fault
from driftmon.cli.support.inputs import Input
from driftmon.cli.support.parts import by_processes
from driftmon.cli.support.records import Refusals, all_batches, sampled
from driftmon.cli.support.sampled_parts import sample_by_processes
from driftmon.cli.support.sampling import Systematic
from driftmon.daemon.decoders import some_rows
from driftmon.daemon.settings import StreamSettings
from driftmon.daemon.streams import layout_of
from driftmon.formats.layout import Layout
from driftmon.monitor.batch import MAX_ERRORS, Batch, LineError
from driftmon.monitor.blocks import Blocks
from driftmon.monitor.calibration import evidence_pane_ms
from driftmon.monitor.panes import finest_pane_ms
from driftmon.monitor.references import count_into
from driftmon.monitor.slots import Slots
from driftmon.monitor.snapshot import Snapshot
from driftmon.monitor.warmup import joined
from driftmon.stats.schema import Schema


def reference(sources: list[Input], stream: StreamSettings, refusals: Refusals, jobs: int = 1) -> Snapshot:
    """P of a stream, from all records of the inputs, whatever their time. Fault where there are none."""
    layout = layout_of(stream)
    schema = chosen(sources, stream, layout, jobs)
    asked = Asked(schema, evidence_pane_ms(finest_pane_ms(stream.windows), None), stream.reference.slots)
    landed = _in_processes(sources, layout, asked, jobs) if jobs > 1 else _in_turn(sources, layout, asked)
    total = Snapshot(schema, np.zeros(schema.width, dtype=np.int64), slots_by=asked.slots_by)
    stretches: Blocks | None = None
    spans: list[int] = []
    records = 0
    for source, piece in landed:
        refusals.add(source, piece.rejected, piece.errors)
        total = total.merge(piece.snapshot)
        stretches = piece.blocks if stretches is None else stretches.merge(piece.blocks)
        records += piece.rows
        spans += piece.span_ms
    if not records or stretches is None:
        names = ", ".join(source.name for source in sources)
        raise Fault(f"{names}: no usable record, so there is nothing to compare with; see the lines above")
    provenance = _provenance(sources, stream, records, spans)
    by_hour = (total.slots, asked.slots_by) if asked.slots_by is not None else ()
    return replace(total, provenance=provenance, dispersion=stretches.as_dispersion(schema, *by_hour))


def chosen(sources: list[Input], stream: StreamSettings, layout: Layout, jobs: int = 1) -> Schema:
    """The bins: given ones as they are, the others from a systematic sample of the rows."""
    sample = Systematic(some_rows)
    if jobs > 1 and not all(spec.fixed for spec in stream.features):
        sample_by_processes(sources, layout, sample, jobs, "choosing bins")
    elif not all(spec.fixed for spec in stream.features):
        for batch, size in sampled(sources, layout, "choosing bins", lambda: sample.wanted):
            sample.add(batch, size)
    rows = joined([Batch(0, {}), *sample.blocks], stream.features)
    return Schema(tuple(spec.fit(rows.columns[spec.name]) for spec in stream.features))


@dataclass(frozen=True, slots=True)
class Asked:
    """What is counted of each block: bins, panes for the dispersion, hours where the reference is seasonal."""

    schema: Schema
    pane_ms: int
    slots_by: Slots | None

    def of(self, batches: Iterator[Batch]) -> list[Counted]:
        """All batches as one; each by itself where blocks are of rows, whose merge goes by where it is cut."""
        found: list[Counted] = []
        for batch in batches:
            one = counted(batch, self)
            if found and one.blocks.by == "time" == found[-1].blocks.by:
                found[-1] = found[-1].plus(one)
            else:
                found.append(one)
        return found


@dataclass(frozen=True, slots=True)
class Counted:
    """One block, counted: small enough to be sent between processes."""

    snapshot: Snapshot
    blocks: Blocks
    rows: int
    span_ms: tuple[int, ...]  # first and last time; empty without times
    rejected: Mapping[str, int]
    errors: tuple[LineError, ...]

    def plus(self, other: Counted) -> Counted:
        """Both together, this one first."""
        span_ms = (*self.span_ms, *other.span_ms)
        return Counted(
            self.snapshot.merge(other.snapshot),
            self.blocks.merge(other.blocks),
            self.rows + other.rows,
            (min(span_ms), max(span_ms)) if span_ms else (),
            Counter(self.rejected) + Counter(other.rejected),
            (*self.errors, *other.errors)[:MAX_ERRORS],
        )


def counted(batch: Batch, asked: Asked) -> Counted:
    """A batch, counted; its dispersion in panes, where it has times."""
    times = batch.times_ms
    span_ms = () if times is None or not len(times) else (int(times.min()), int(times.max()))
    pieces = count_into(asked.schema, batch, asked.pane_ms, asked.slots_by)
    return Counted(*pieces, batch.rows, span_ms, batch.rejected, batch.errors)


def _in_turn(sources: list[Input], layout: Layout, asked: Asked) -> Iterator[tuple[Input, Counted]]:
    for source, batch in all_batches(sources, layout, "counting"):
        yield source, counted(batch, asked)


def _in_processes(sources: list[Input], layout: Layout, asked: Asked, jobs: int) -> Iterator[tuple[Input, Counted]]:
    """The same, a part at a time."""
    for landed in by_processes(sources, layout, asked, jobs, "counting"):
        for one in landed.found:
            errors = tuple(replace(error, line=error.line + landed.lines_before) for error in one.errors)
            yield landed.source, replace(one, errors=errors)


def _provenance(sources: list[Input], stream: StreamSettings, records: int, spans: list[int]) -> dict[str, Any]:
    """Where the counts come from; its times are those of the data, so that the same inputs give the same bytes."""
    span = {"from_ms": min(spans), "to_ms": max(spans)} if spans else {}
    return {"stream": stream.name, "sources": sorted(source.name for source in sources), "records": records, **span}
