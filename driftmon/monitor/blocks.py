"""Blocks: counts of consecutive stretches of a reference, from which its dispersion is measured.

Law: blocks add and nest. A block of twice the size is the sum of two, so pieces counted apart, at whatever
size each needed, come together exactly; memory is bounded by doubling the size when blocks are too many.
By time a block is a stretch of the clock; by rows it is rows in the order they came, and shuffled rows
hide dependence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from driftmon.monitor.batch import Times
from driftmon.monitor.slots import COUNT, HOUR_MS, Slots, shares
from driftmon.monitor.snapshot import Panes
from driftmon.stats import dispersion
from driftmon.stats.columns import Floats
from driftmon.stats.schema import Codes, Counts, Schema

ROWS: Final = 64  # rows of the smallest block where there is no time
MAX_BYTES: Final = 64 * 2**20
MAX_BLOCKS: Final = 2048
LEAST_BLOCKS: Final = 64
CELLS: Final = 2**18


@dataclass(frozen=True)
class Blocks:
    """Counts int64[width] by block number; `size` is in ms or in rows, `end` the number after the last block."""

    by: Literal["time", "rows"]
    size: int
    counts: Mapping[int, Counts] = field(default_factory=dict)
    end: int = 0

    def merge(self, other: Blocks) -> Blocks:
        """Both together: by time block by block, by rows the other's after one's own."""
        one, other = self._at(other.size), other._at(self.size)
        shift = one.end if self.by == "rows" else 0
        merged = dict(one.counts)
        for number, counts in other.counts.items():
            held = merged.get(number + shift)
            merged[number + shift] = counts if held is None else held + counts
        return Blocks(self.by, one.size, merged, max(one.end, other.end + shift)).bounded()

    def _at(self, size: int) -> Blocks:
        coarse = self
        while coarse.size < size:
            coarse = coarse.doubled()
        return coarse

    def doubled(self) -> Blocks:
        """The same in blocks of twice the size.

        >>> Blocks("rows", 64, {0: np.array([1]), 1: np.array([2]), 2: np.array([4])}, 3).doubled().counts
        {0: array([3]), 1: array([4])}
        """
        merged: dict[int, Counts] = {}
        for number, counts in sorted(self.counts.items()):
            held = merged.get(number // 2)
            merged[number // 2] = counts if held is None else held + counts
        return Blocks(self.by, self.size * 2, merged, -(-self.end // 2))

    def bounded(self) -> Blocks:
        """Coarse enough to fit the memory allowed."""
        coarse = self
        while coarse.counts and len(coarse.counts) > _most(len(next(iter(coarse.counts.values())))):
            coarse = coarse.doubled()
        return coarse

    def as_dispersion(
        self, schema: Schema, slots: Panes | None = None, slots_by: Slots = "hour_of_day"
    ) -> dict[str, Any]:
        """What a snapshot keeps under `dispersion`; empty where there are too few blocks.

        With `slots`, the counts by hour, it is what is left beside the season, if there are two periods to tell.
        """
        rows = np.array([counts for _, counts in sorted(self.counts.items())]).reshape(len(self.counts), schema.width)
        periods = self.span_ms / (COUNT[slots_by] * HOUR_MS)
        if not slots or periods < 2:
            found = dispersion.dispersion(schema, rows)
        else:
            found = dispersion.dispersion(schema, rows, self._expected(schema, rows, slots, slots_by), 1 / periods)
        return {} if found is None else dispersion.as_dict(schema, found, self.by)

    @property
    def span_ms(self) -> int:
        """From the first block to the last; 0 without times."""
        return 0 if self.by == "rows" or not self.counts else (max(self.counts) - min(self.counts) + 1) * self.size

    def _expected(self, schema: Schema, rows: Counts, slots: Panes, slots_by: Slots) -> Floats:
        """float64[J, width]: each block's observations as the reference has them at its hours, as busy as these are."""
        nothing = np.zeros(schema.width)
        usual = np.array(
            [
                sum(
                    (
                        share * slots.get(slot, nothing)
                        for slot, share in shares(slots_by, at * self.size, self.size).items()
                    )
                )
                for at in sorted(self.counts)
            ]
        )
        have, want = (np.add.reduceat(part, schema.starts, axis=1).astype(np.float64) for part in (usual, rows))
        busy = np.divide(want, have, out=np.zeros(want.shape), where=have > 0)
        return np.asarray(usual * np.repeat(busy, schema.sizes, axis=1))


def blocks_of(schema: Schema, codes: Codes, times_ms: Times | None, pane_ms: int) -> Blocks:
    """Blocks of one batch's codes int64[features, rows]: by panes of `pane_ms` where rows have times, else by ROWS."""
    if times_ms is None or not pane_ms:
        numbers, found = np.arange(codes.shape[1]) // ROWS, Blocks("rows", ROWS)
    else:
        numbers, found = times_ms // pane_ms, Blocks("time", pane_ms)
        while len(np.unique(numbers)) > _most(schema.width):
            numbers, found = numbers // 2, Blocks("time", found.size * 2)
    counts = dict(_counted(schema, codes, numbers))
    return Blocks(found.by, found.size, counts, int(numbers.max(initial=-1)) + 1)


def _counted(schema: Schema, codes: Codes, numbers: Times) -> Iterator[tuple[int, Counts]]:
    """The counts of each block; of as many blocks in one go as CELLS allow: there may be thousands of a few rows."""
    if (numbers[1:] < numbers[:-1]).any():
        order = np.argsort(numbers, kind="stable")
        codes, numbers = codes[:, order], numbers[order]
    cuts = np.flatnonzero(numbers[1:] != numbers[:-1]) + 1
    starts, ends = np.append(0, cuts), np.append(cuts, len(numbers))
    distinct = numbers[starts] if len(numbers) else numbers
    step = max(1, CELLS // max(1, schema.width))
    for low in range(0, len(distinct), step):
        first, last = starts[low : low + step], ends[low : low + step]
        run = codes[:, first[0] : last[-1]]
        offsets = np.repeat(np.arange(len(first)) * schema.width, last - first)
        flat = (run + offsets)[run >= 0] if schema.skips.any() or schema.tally_names else (run + offsets).ravel()
        table = np.bincount(flat, minlength=len(first) * schema.width).reshape(len(first), schema.width)
        yield from zip(distinct[low : low + step].tolist(), table, strict=True)


def _most(width: int) -> int:
    return max(LEAST_BLOCKS, min(MAX_BLOCKS, MAX_BYTES // (8 * width)))
