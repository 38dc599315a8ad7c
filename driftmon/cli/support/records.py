"""Records: inputs as batches, for whoever counts them.

Law: what a batch holds depends on its block and the layout alone, so blocks may be decoded in any order
and in other processes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

import click

from driftmon.cli.support import parquet
from driftmon.cli.support.inputs import Input, Progress, blocks
from driftmon.cli.support.progress import progress
from driftmon.daemon.decoders import Decoders, some_rows
from driftmon.formats.layout import Layout
from driftmon.monitor.batch import MAX_ERRORS, Batch, LineError


def batches(source: Input, layout: Layout, told: Progress) -> Iterator[Batch]:
    """All records of an input."""
    if source.form == "parquet":
        yield from parquet.batches(source, layout, told)
        return
    yield from map(Decoders(layout).decode, blocks(source, told))


def all_batches(sources: list[Input], layout: Layout, what: str) -> Iterator[tuple[Input, Batch]]:
    """The batches of several inputs, with a progress bar over all of them."""
    with progress(what, sum(source.size_bytes for source in sources)) as told:
        for source in sources:
            for batch in batches(source, layout, told):
                yield source, batch


def sampled(
    sources: list[Input], layout: Layout, what: str, wanted: Callable[[], slice]
) -> Iterator[tuple[Batch, int]]:
    """Of each batch in its turn the rows that are `wanted` then, values alone; and how many rows it has."""
    with progress(what, sum(source.size_bytes for source in sources)) as told:
        for source in sources:
            if source.form == "parquet":
                for batch in parquet.batches(source, layout, told):
                    yield some_rows(batch, wanted()), batch.rows
                continue
            decoders = Decoders(layout)
            for block in blocks(source, told):
                yield decoders.sampled(block, wanted())


class Refusals:
    """What could not be used, over all inputs: counted by reason, the first few kept with their place."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._first: list[tuple[str, LineError]] = []

    def add(self, source: Input, rejected: Mapping[str, int], errors: tuple[LineError, ...]) -> None:
        self.counts.update(rejected)
        self._first += [(source.name, error) for error in errors[: MAX_ERRORS - len(self._first)]]

    def tell(self) -> None:
        """On stderr, nothing if there is nothing to tell."""
        if not self.counts:
            return
        reasons = ", ".join(f"{times} {reason}" for reason, times in sorted(self.counts.items()))
        click.echo(f"rejected {self.counts.total()} records: {reasons}", err=True)
        for name, error in self._first:
            click.echo(f"  {name}:{error.line}  {error.reason}: {error.message}", err=True)
