"""Overload: the share of pushed records that is read while more arrive than can be counted (`overload: sample`).

Law: the share is 1, 1/2, ... 1/64 and each record is kept or left out by chance alone, before it is read, so a kept one
stands for 1/share records and the expected counts are those of all records. kept + left out == arrived, exactly.
Sources that read for themselves are never thinned: they wait.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import compress
from typing import Final

import numpy as np

from driftmon.daemon.streams import Stream
from driftmon.sources.base import Block, Settled

HIGH_WATER: Final = 0.8  # of the mailbox: fewer records from here on
LOW_WATER: Final = 0.5  # more again from here on
SETTLE_S: Final = 0.5  # faster, and it overshoots: rows of weight 64 cost more certainty than they save time
OCTAVES: Final = 6  # 1/64 at least
PUSHED: Final = frozenset({"http", "unix"})
ARRAY_LINE: Final = re.compile(rb"^[ \t\r]*\[", re.MULTILINE)


class Octaves:
    """How often the share was halved: up to six times above the high water, back one by one below the low.

    >>> octaves = Octaves()
    >>> [octaves.step(full, at_s) for full, at_s in ((0.9, 0.0), (0.9, 0.4), (0.9, 0.5), (0.6, 9.0))]
    [1, 1, 2, 2]
    >>> [octaves.step(0.1, at_s) for at_s in (10.0, 10.4, 10.5, 99.0)]
    [1, 1, 0, 0]
    """

    def __init__(self) -> None:
        self.now = 0
        self._changed_s = -SETTLE_S

    def step(self, full: float, at_s: float) -> int:
        """Once per turn: the octave for what is taken now; `full` is the share of the mailbox that waits."""
        fewer = full >= HIGH_WATER and self.now < OCTAVES
        more = full <= LOW_WATER and self.now > 0
        if (fewer or more) and at_s - self._changed_s >= SETTLE_S:
            self.now += 1 if fewer else -1
            self._changed_s = at_s
        return self.now


class Thinning:
    """Leaves lines of blocks out; `seed` None: another one each time, so that no sender can know it."""

    def __init__(self, seed: int | None = None) -> None:
        self._chance = np.random.default_rng(seed)

    def thinned(self, block: Block, octave: int) -> tuple[Block, list[int]]:
        """The block with each line kept at 1 in 2^octave, and the places of the kept ones among its lines.

        Data that may have other than one record a line stays whole, every record for itself: arrays, an object over
        several lines. It is rare, and no estimate suffers.
        """
        lines = block.data.removesuffix(b"\n").split(b"\n")
        if not octave or not _a_record_a_line(block, lines[0]):
            return block, []
        kept = self._chance.integers(0, 2**octave, len(lines)) == 0
        data = b"\n".join(compress(lines, kept)) + b"\n" if kept.any() else b""
        return replace(block, data=data, weight=2**octave), np.flatnonzero(kept).tolist()

    def observe(self, stream: Stream, block: Block, octave: int, at_ms: int) -> Settled:
        """As `stream.observe` of the thinned block; what was left out is told, and errors name the sender's lines."""
        thin, kept = self.thinned(block, octave)
        outcome = stream.observe(thin, at_ms)
        if thin.weight == 1:
            return outcome
        errors = tuple(
            replace(error, line=block.first_line + kept[error.line - block.first_line]) for error in outcome.errors
        )
        return replace(outcome, errors=errors, sampled_out=_records(block.data) - _records(thin.data))


def ratios(streams: Mapping[str, Stream], octave: int) -> dict[tuple[str, str], float]:
    """The share of records taken now, by stream and kind of source that may be thinned."""
    return {
        (name, source.type): 1 / 2**octave if stream.samples else 1.0
        for name, stream in streams.items()
        if stream.settings.overload == "sample"
        for source in stream.settings.sources
        if source.type in PUSHED
    }


def _a_record_a_line(block: Block, first: bytes) -> bool:
    if block.format != "ndjson" or (b"[" in block.data and ARRAY_LINE.search(block.data)):
        return False
    return not first.lstrip().startswith(b"{") or first.rstrip().endswith(b"}")


def _records(data: bytes) -> int:
    return sum(1 for line in data.split(b"\n") if line.strip())
