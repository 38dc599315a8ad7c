"""Store: the state on the disk, answers that wait for it, and labels that wait for their predictions; by themselves.

Each module here has its own table with p99 and the worst: `python -m tests.benchmarks.storage`, `acks` and `labels`.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Final

from tests.benchmarks import acks, labels, storage
from tests.benchmarks.rows import Row
from tests.benchmarks.sizes import FULL, Size

FEATURES: Final = 1000
WAITING: Final = 200_000


def rows(size: Size) -> list[Row]:
    short = size is not FULL
    features, rounds, waiting = (5, 2, 500) if short else (FEATURES, 40, WAITING)
    found = []
    with tempfile.TemporaryDirectory() as name:
        for what, times in storage.measure(Path(name), features, rounds).items():
            row = Row("store", f"{what}, {FEATURES:,} features x 64 bins, 60 panes", "", "ms of CPU")
            found.append(row.alone([1000 * cpu_s for _, cpu_s in times]))
    with tempfile.TemporaryDirectory() as name:
        for what, waits_ms in asyncio.run(acks.measure(Path(name), features, 2 * size.seconds)).items():
            found.append(Row("store", f"{what} (wall)", "", "ms").alone(waits_ms))
    for what, unit, figure in labels.measured(waiting):
        found.append(Row("store", what, "", unit).alone([figure]))
    return found
