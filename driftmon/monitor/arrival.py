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

Rows: TypeAlias = NDArray[np.bool_]

FUTURE_MS: Final = 60_000  # a record further ahead of the wall clock has a wrong clock, or a wrong unit
NEVER_MS: Final = -(2**62)


@dataclass(frozen=True)
class Arrival:
    """Of a batch of `rows`: bool[rows] too far ahead, and late, None where no row is; `watermark_ms` after it (None: no
    record yet).

    `marks_ms`: the watermark after each row, where no other clock tells when it came.
    """

    rows: int
    watermark_ms: int | None
    future: Rows | None = None
    late: Rows | None = None
    marks_ms: Times | None = None

    @cached_property
    def kept(self) -> Rows | None:
        """bool[rows], None: all. Mostly it is, and then nothing is made per row."""
        if self.future is None or self.late is None:
            wrong = self.late if self.future is None else self.future
            return None if wrong is None else ~wrong
        return ~(self.future | self.late)

    def receipt(self, batch: Batch) -> Receipt:
        """What became of the batch; rows of `extra` are told apart."""
        rejected, future, late = dict(batch.rejected), _many(self.future), _many(self.late)
        if future:
            rejected["future"] = rejected.get("future", 0) + future
        if batch.extra is None:
            return Receipt(self.rows - future - late, late, rejected)
        late_pairs = 0 if self.late is None else _many(self.late & batch.extra)
        own = ~batch.extra if self.kept is None else ~batch.extra & self.kept
        return Receipt(_many(own), late - late_pairs, rejected, late_pairs)


def _many(rows: Rows | None) -> int:
    return 0 if rows is None else int(np.count_nonzero(rows))


def _some(rows: Rows) -> Rows | None:
    return rows if rows.any() else None


def arrive(times_ms: Times, now_ms: int | None, watermark_ms: int | None, lateness_ms: int, pane_ms: int) -> Arrival:
    """A row is late when its pane ended at or before the watermark of its moment; `now_ms` None: no row is too early.

    >>> arrive(np.array([10, 130, 50, 190]), None, None, lateness_ms=0, pane_ms=60).late.tolist()
    [False, False, True, False]
    """
    future = None if now_ms is None else _some(times_ms > now_ms + FUTURE_MS)
    marks = times_ms - lateness_ms
    marks = np.maximum.accumulate(marks if future is None else np.where(future, NEVER_MS, marks))
    marks = np.maximum(marks, NEVER_MS if watermark_ms is None else watermark_ms)
    late = None
    if pane_ms:
        closed = (times_ms // pane_ms + 1) * pane_ms <= marks
        late = _some(closed if future is None else closed & ~future)
    last = int(marks[-1]) if len(marks) else NEVER_MS
    came_ms = marks if now_ms is None else None
    return Arrival(len(times_ms), watermark_ms if last == NEVER_MS else last, future, late, came_ms)


def panes_of(times_ms: Times | None, rows: int, now_ms: int, pane_ms: int) -> Times:
    """int64[rows]: the pane of each; without times of their own that of `now_ms`."""
    if not pane_ms:
        return np.zeros(rows, dtype=np.int64)
    return np.full(rows, now_ms // pane_ms) if times_ms is None else times_ms // pane_ms


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
