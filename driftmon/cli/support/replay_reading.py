"""Reading: recorded data as batches, in the order of the inputs, decoded here or by several processes.

Law: the batches and their order do not depend on the number of processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from driftmon.cli.support import parquet
from driftmon.cli.support.inputs import Input, Progress, blocks
from driftmon.cli.support.progress import progress
from driftmon.cli.support.records import all_batches
from driftmon.daemon.decoders import Decoders
from driftmon.formats.layout import Layout
from driftmon.monitor.batch import Batch
from driftmon.sources.base import Block

BLOCKS_A_JOB = 4  # in flight: enough that no process waits, and few enough for memory


@dataclass(frozen=True, slots=True)
class Recorded:
    """The inputs of a replay and what is read of each record."""

    sources: Sequence[Input]
    layout: Layout
    jobs: int = 1

    def batches(self, what: str) -> Iterator[tuple[Input, Batch]]:
        """All batches, with a progress bar called `what`."""
        if self.jobs == 1:
            yield from all_batches(list(self.sources), self.layout, what)
            return
        with (
            progress(what, sum(source.size_bytes for source in self.sources)) as told,
            ProcessPoolExecutor(self.jobs, get_context("spawn"), _prepare, (self.layout,)) as pool,
        ):
            for source in self.sources:
                if source.form == "parquet":
                    yield from ((source, batch) for batch in parquet.batches(source, self.layout, told))
                else:
                    yield from ((source, batch) for batch in self._by(pool, source, told))

    def _by(self, pool: ProcessPoolExecutor, source: Input, told: Progress) -> Iterator[Batch]:
        flying: deque[Future[Batch]] = deque()
        for block in blocks(source, told):
            flying.append(pool.submit(_decode, block))
            if len(flying) > BLOCKS_A_JOB * self.jobs:
                yield flying.popleft().result()
        while flying:
            yield flying.popleft().result()


# What a process of the pool knows; set once, before its first block.
_prepared: list[Decoders] = []


def _prepare(layout: Layout) -> None:
    _prepared[:] = [Decoders(layout)]


def _decode(block: Block) -> Batch:
    return _prepared[0].decode(block)
