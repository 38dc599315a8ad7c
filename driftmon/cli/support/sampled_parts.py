"""Sampled parts: a systematic sample of the rows of all inputs, each part read by a process of its own.

Law: the sample is that of one process. Which rows of a part are in it depends on how many come before: that many lines,
as far as parts have not been read yet. A part for which this was wrong, because a line before it is no record, is read
again; files full of such lines gain nothing by more processes.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import chain

from driftmon.cli.support import parquet
from driftmon.cli.support.inputs import Input, untold
from driftmon.cli.support.parts import PARTS_A_JOB, Part, Submit, blocks_in, parts_of, processes, result
from driftmon.cli.support.progress import progress
from driftmon.cli.support.sampling import Systematic, wanted
from driftmon.daemon.decoders import Decoders, some_rows
from driftmon.formats.layout import Layout
from driftmon.formats.lines import count_of
from driftmon.monitor.batch import Batch
from driftmon.sources.base import BLOCK_BYTES

Some = list[tuple[Batch, int]]  # of each block the rows wanted, and how many rows it has


@dataclass(frozen=True, slots=True)
class Asked:
    """A part that is being read: `rows` are expected in it, and `offered` before it."""

    part: Part
    rows: int
    offered: int
    stride: int
    found: Future[Some]


def sample_by_processes(sources: list[Input], layout: Layout, sample: Systematic[Batch], jobs: int, what: str) -> None:
    """Offer all rows of the inputs to a sample, values alone."""
    flying: deque[Asked] = deque()
    with (
        progress(what, sum(source.size_bytes for source in sources)) as told,
        processes(jobs, _prepare, (layout,)) as submit,
    ):
        for part in chain.from_iterable(parts_of(source, told) for source in sources):
            offered = sample.offered + sum(asked.rows for asked in flying)
            rows = _lines(part)
            stride = sample.stride_after(offered + rows)
            flying.append(Asked(part, rows, offered, stride, submit(_some, part, offered, stride)))
            if len(flying) > PARTS_A_JOB * jobs:
                _land(flying.popleft(), sample, submit)
        while flying:
            _land(flying.popleft(), sample, submit)


def _land(asked: Asked, sample: Systematic[Batch], submit: Submit) -> None:
    """Add what was found in a part; if it was looked for in the wrong place, look again."""
    found, stride = result(asked.part, asked.found), asked.stride
    most = sample.stride_after(sample.offered + sum(rows for _, rows in found))
    if (sample.offered - asked.offered) % stride or stride > most:
        stride = sample.stride
        found = result(asked.part, submit(_some, asked.part, sample.offered, stride))
    for batch, rows in found:
        sample.add_of(stride, batch, rows)


def _lines(part: Part) -> int:
    """About as many rows as it has; all that is wrong with a guess is that a part is read twice."""
    if part.source.form == "parquet":
        return int(parquet.opened(part.source).metadata.num_rows)
    if part.reads is None:
        headers = len(part.blocks) if part.source.form == "csv" else 0
        return sum(count_of(b"\n", block.data) for block in part.blocks) - headers
    with part.source.path.open("rb") as file:
        file.seek(part.reads[0] * BLOCK_BYTES)
        return sum(count_of(b"\n", file.read(BLOCK_BYTES)) for _ in range(*part.reads))


# What a process of the pool knows; set once, before its first part.
_prepared: list[tuple[Layout, Decoders]] = []


def _prepare(layout: Layout) -> None:
    _prepared[:] = [(layout, Decoders(layout))]


def _some(part: Part, offered: int, stride: int) -> Some:
    """The rows of a part that a stride wants, if so many come before."""
    ((layout, decoders),) = _prepared
    found: Some = []
    if part.source.form == "parquet":
        for batch in parquet.batches(part.source, layout, untold):
            found.append((some_rows(batch, wanted(offered, stride)), batch.rows))
            offered += batch.rows
        return found
    for block in blocks_in(part):
        found.append(decoders.sampled(block, wanted(offered, stride)))
        offered += found[-1][1]
    return found
