"""Counting: the rows of a batch that are in time go into the ledger, pane by pane.

Law: the counts of a pane are the sum over its rows of one in each bin that the row's codes name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from driftmon.monitor.arrival import Arrival, by_pane, panes_of
from driftmon.monitor.batch import Batch, Times
from driftmon.monitor.flags import Flags
from driftmon.monitor.ledger import Ledger
from driftmon.monitor.panes import weighed
from driftmon.stats.columns import Floats
from driftmon.stats.schema import Codes, Counts, Schema

NO_CODES: Final = np.zeros((0, 0), dtype=np.int64)


def count(
    batch: Batch, arrival: Arrival, now_ms: int, times_ms: Times | None, ledger: Ledger, flags: Flags, log_p: Floats
) -> None:
    """`times_ms` of the rows, None where all are of `now_ms`. All or nothing: it fails before anything has changed."""
    schema = ledger.schema
    pane = None if flags.watching else _one_pane(arrival, now_ms, times_ms, ledger.pane_ms)
    if pane is not None:
        codes, counted = NO_CODES, iter([(pane, schema.counts(batch.columns, batch.rows))])
    else:
        codes = schema.codes(batch.columns, batch.rows)
        panes = panes_of(times_ms, arrival.kept, now_ms, ledger.pane_ms)
        counted = _by_pane(schema, codes if arrival.whole else codes[:, arrival.kept], panes)
    for pane, counts in counted:
        ledger.add(pane, *weighed(counts, batch.weight, schema.width))
    ledger.watermark_ms = arrival.watermark_ms
    came_ms = now_ms if arrival.marks_ms is None else arrival.marks_ms
    ledger.note(batch, None if arrival.whole else arrival.kept, came_ms)
    if flags.watching:
        flags.observe(batch, codes, arrival.kept, None if times_ms is not None else now_ms, log_p)


def _one_pane(arrival: Arrival, now_ms: int, times_ms: Times | None, pane_ms: int) -> int | None:
    """The pane of all rows, if all are kept and of one; without times of their own nothing is made per row."""
    if not arrival.rows or not arrival.whole:
        return None
    if times_ms is None or not pane_ms:
        return now_ms // pane_ms if pane_ms else 0
    first, last = int(times_ms.min()) // pane_ms, int(times_ms.max()) // pane_ms
    return first if first == last else None


def _by_pane(schema: Schema, codes: Codes, panes: Times) -> Iterator[tuple[int, Counts]]:
    for pane, run in by_pane(codes, panes):
        yield pane, schema.count(run)
