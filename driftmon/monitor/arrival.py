"""Arrival: which rows of a batch are late or too early, and which pane the others belong to.

Law: every decision is made per record, as if the records came one by one, so that the size of a
batch never changes what is counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftmon.monitor.batch import Batch, Receipt, Times
from driftmon.stats.schema import Codes

Mask: TypeAlias = NDArray[np.bool_]

FUTURE_MS: Final = 60_000  # a record further ahead of the wall clock has a wrong clock, or a wrong unit
NEVER_MS: Final = -(2**62)


@dataclass(frozen=True)
class Arrival:
    """bool[rows] each: too far ahead, and late; None where no row is. `watermark_ms` after the batch (None: no record).

    `marks_ms`: the watermark after each row, where no other clock tells when it came.
    """

    rows: int
    watermark_ms: int | None
    future: Mask | None = None
    late: Mask | None = None
    marks_ms: Times | None = None

    @property
    def whole(self) -> bool:
        """All rows are kept."""
        return self.future is None and self.late is None

    @cached_property
    def kept(self) -> Mask:
        kept = np.ones(self.rows, dtype=np.bool_)
        for refused in (self.future, self.late):
            if refused is not None:
                kept &= ~refused
        return kept

    def receipt(self, batch: Batch) -> Receipt:
        """What became of the batch; rows of `extra` are told apart."""
        rejected, future = dict(batch.rejected), _times(self.future)
        if future:
            rejected["future"] = rejected.get("future", 0) + future
        if batch.extra is None:
            late = _times(self.late)
            return Receipt(self.rows - future - late, late, rejected)
        own, late_rows = ~batch.extra, np.zeros(self.rows, dtype=np.bool_) if self.late is None else self.late
        late_pairs = int((late_rows & batch.extra).sum())
        return Receipt(int((self.kept & own).sum()), int((late_rows & own).sum()), rejected, late_pairs)


def _times(refused: Mask | None) -> int:
    return 0 if refused is None else int(refused.sum())


def arrive(times_ms: Times, now_ms: int | None, watermark_ms: int | None, lateness_ms: int, pane_ms: int) -> Arrival:
    """A row is late when its pane ended at or before the watermark of its moment; `now_ms` None: no row is too early.

    >>> arrive(np.array([10, 130, 50, 190]), None, None, lateness_ms=0, pane_ms=60).kept.tolist()
    [True, True, False, True]
    """
    future = _some(times_ms > now_ms + FUTURE_MS) if now_ms is not None else None
    marks = times_ms - lateness_ms
    if future is not None:
        marks[future] = NEVER_MS
    marks = np.maximum(np.maximum.accumulate(marks), NEVER_MS if watermark_ms is None else watermark_ms)
    late = None
    if pane_ms:
        over = (times_ms // pane_ms + 1) * pane_ms <= marks
        late = _some(over if future is None else over & ~future)
    last = int(marks[-1]) if len(marks) else NEVER_MS
    watermark_ms = watermark_ms if last == NEVER_MS else last
    return Arrival(len(times_ms), watermark_ms, future, late, marks if now_ms is None else None)


def _some(refused: Mask) -> Mask | None:
    return refused if refused.any() else None


def panes_of(times_ms: Times | None, kept: NDArray[np.bool_], now_ms: int, pane_ms: int) -> Times:
    """int64[rows kept]: the pane of each; without times of their own that of `now_ms`."""
    if not pane_ms:
        return np.zeros(int(kept.sum()), dtype=np.int64)
    return np.full(int(kept.sum()), now_ms // pane_ms) if times_ms is None else times_ms[kept] // pane_ms


def by_pane(codes: Codes, panes: Times) -> Iterator[tuple[int, Codes]]:
    """Codes [features, rows] cut into runs of one pane each, panes rising, rows in their order.

    >>> [(pane, run.tolist()) for pane, run in by_pane(np.array([[1, 2, 3]]), np.array([7, 5, 7]))]
    [(5, [[2]]), (7, [[1, 3]])]
    """
    if (panes[1:] < panes[:-1]).any():
        order = np.argsort(panes, kind="stable")
        codes, panes = codes[:, order], panes[order]
    cuts = [0, *(np.flatnonzero(np.diff(panes)) + 1).tolist(), len(panes)]
    for low, high in pairwise(cuts):
        if low < high:
            yield int(panes[low]), codes[:, low:high]
