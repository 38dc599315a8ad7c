"""Decoders: the formats of one stream, each imported when its first block comes.

Law: a block can be read by itself, so what one block held never changes how the next is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy

from driftmon.formats import ndjson
from driftmon.formats.layout import Bounds, Layout
from driftmon.monitor.batch import Batch
from driftmon.sources.base import Block
from driftmon.stats.columns import Column


class Decoders:
    """Blocks -> batches, errors numbered by the lines of the block's input."""

    def __init__(self, layout: Layout, bounds: Bounds | None = None) -> None:
        self._layout = layout
        self._bounds = bounds or Bounds()
        self._ndjson = ndjson.Decoder(layout, self._bounds)

    def decode(self, block: Block) -> Batch:
        """All of it at once."""
        if block.format == "csv":
            from driftmon.formats import csv  # noqa: PLC0415  most daemons never see any

            # A new decoder for each block: it opens with the header of its own input.
            return csv.Decoder(self._layout, self._bounds).decode(block.data, block.first_line)
        return self._ndjson.decode(block.data, block.first_line)

    def batches(self, block: Block) -> Iterator[Batch | None]:
        """As `decode`, in batches of bounded size; None where somebody else may have a turn."""
        if block.format == "csv":
            return (self.decode(one) for one in (block,))  # when it is asked for: a fault is met where it is caught
        return self._ndjson.batches(block.data, block.first_line)

    def clean(self, lines: bytes) -> Batch | None:
        """Blocks of NDJSON together, where each line is a good record; else None, and nothing is known of them."""
        return self._ndjson.clean(lines)

    def sampled(self, block: Block, wanted: slice) -> tuple[Batch, int]:
        """Of a block's rows the columns of some, and how many rows there are."""
        if block.format == "csv":
            batch = self.decode(block)
            return some_rows(batch, wanted), batch.rows
        return self._ndjson.sampled(block.data, wanted)


def some_rows(batch: Batch, wanted: slice) -> Batch:
    """Their values alone. Copied, because a view would keep all rows in memory."""
    columns = {name: Column(copy(column.values[wanted])) for name, column in batch.columns.items()}
    return Batch(len(range(batch.rows)[wanted]), columns)
