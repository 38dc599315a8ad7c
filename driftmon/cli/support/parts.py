"""Parts: the inputs in parts that processes count by themselves, and what they found, in the order of the inputs.

Law: the parts of a file are cut where one reader would have cut its blocks, so that every block, and with it every
batch, count and line number, is the same with any number of processes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing import active_children
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

from driftmon.cli.support import parquet
from driftmon.cli.support.faults import Fault
from driftmon.cli.support.inputs import Input, Progress, blocks, blocks_between, untold
from driftmon.cli.support.progress import progress
from driftmon.cli.support.workers import context, unheard
from driftmon.daemon.decoders import Decoders
from driftmon.formats.layout import Layout
from driftmon.formats.lines import count_of
from driftmon.monitor.batch import Batch
from driftmon.sources.base import BLOCK_BYTES, Block

READS: Final = 32  # blocks of a part: 8 MiB, some 60 ms of work
PARTS_A_JOB: Final = 3  # in flight: enough that no process waits, and few enough for memory

Submit: TypeAlias = Callable[..., Future[Any]]
Found = TypeVar("Found")
Found_co = TypeVar("Found_co", covariant=True)


class Work(Protocol[Found_co]):
    """What is done with the batches of a part. It is sent to the processes once, what it finds comes back."""

    def of(self, batches: Iterator[Batch]) -> Found_co: ...


@dataclass(frozen=True, slots=True)
class Part:
    """Of a plain NDJSON file the `reads` from one to before another, which its process does itself; of text that cannot
    be read from the middle its `blocks`; of Parquet neither: the whole file."""

    source: Input
    reads: tuple[int, int] | None = None
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Landed(Generic[Found]):
    """What was found in a part; `lines_before` it, which its line numbers do not know of."""

    source: Input
    found: Found
    lines_before: int


def by_processes(
    sources: list[Input], layout: Layout, work: Work[Found], jobs: int, what: str
) -> Iterator[Landed[Found]]:
    """What `work` found in each part. Fault names the file in which a process failed; none goes on after that."""
    flying: deque[tuple[Part, Future[tuple[Found, int]]]] = deque()
    lines: dict[Input, int] = {}

    def landed() -> Landed[Found]:
        part, future = flying.popleft()
        found, count = result(part, future)
        before = lines.get(part.source, 0)
        lines[part.source] = before + count
        return Landed(part.source, found, before)

    with (
        progress(what, sum(source.size_bytes for source in sources)) as told,
        processes(jobs, _prepare, (layout, work)) as submit,
    ):
        for part in (part for source in sources for part in parts_of(source, told)):
            flying.append((part, submit(_work, part)))
            if len(flying) > PARTS_A_JOB * jobs:
                yield landed()
        while flying:
            yield landed()


def result(part: Part, future: Future[Found]) -> Found:
    """What a process found in a part; Fault where it was killed."""
    try:
        return future.result()
    except BrokenProcessPool as fault:
        raise Fault(
            f"{part.source.name}: a process that read it was killed, perhaps for its memory; --jobs 1 takes less"
        ) from fault


@contextmanager
def processes(jobs: int, prepare: Callable[..., None], known: tuple[Any, ...]) -> Iterator[Submit]:
    """A pool whose processes were told once what is `known`; none goes on after a failure."""
    pool = ProcessPoolExecutor(jobs, context(), prepare, known)

    def submit(work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        with unheard():
            return pool.submit(work, *arguments)

    try:
        yield submit
    except BaseException:  # nobody waits for what they do, and one that is just starting would miss its queue
        for process in active_children():
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def parts_of(source: Input, told: Progress) -> Iterator[Part]:
    """All of an input."""
    if source.form == "parquet":
        yield Part(source)
        told(source.size_bytes)
    elif source.form == "ndjson" and source.path.suffix != ".gz":
        reads = -(-source.size_bytes // BLOCK_BYTES)
        for first in range(0, reads, READS):
            yield Part(source, (first, min(first + READS, reads)))
            told(min(READS * BLOCK_BYTES, source.size_bytes - first * BLOCK_BYTES))
    else:
        found = blocks(source, told)
        while some := tuple(islice(found, READS)):
            yield Part(source, blocks=some)


# What a process of the pool knows; set once, before its first part. Its decoders get faster with what they have seen.
_prepared: list[tuple[Layout, Decoders, Work[Any]]] = []


def _prepare(layout: Layout, work: Work[Any]) -> None:
    _prepared[:] = [(layout, Decoders(layout), work)]


def _work(part: Part) -> tuple[Any, int]:
    """What was found, and how many lines the part has where its blocks do not know where they are."""
    ((layout, decoders, work),) = _prepared
    if part.source.form == "parquet":
        return work.of(parquet.batches(part.source, layout, untold)), 0
    lines = _Lines()
    found = work.of(map(decoders.decode, lines.of(blocks_in(part))))
    return found, 0 if part.reads is None else lines.seen


def blocks_in(part: Part) -> Iterator[Block]:
    """Of a part that is text."""
    return iter(part.blocks) if part.reads is None else blocks_between(part.source, *part.reads)


class _Lines:
    """How many lines there are in blocks that pass; each knows how many were before it."""

    def __init__(self) -> None:
        self._last: Block | None = None

    def of(self, blocks: Iterator[Block]) -> Iterator[Block]:
        for self._last in blocks:
            yield self._last

    @property
    def seen(self) -> int:
        last = self._last
        return 0 if last is None else last.first_line - 1 + count_of(b"\n", last.data)
