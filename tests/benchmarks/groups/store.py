"""Store: the state on the disk, answers that wait for it, and labels that wait for their predictions; by themselves.

Each module here has its own table with p99 and the worst: `python -m tests.benchmarks.storage`, `acks` and `labels`.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.benchmarks import acks, labels, storage
from tests.benchmarks.rows import Row
from tests.benchmarks.sizes import FULL, Size

FEATURES: Final = 1000
WAITING: Final = 200_000


def rows(size: Size) -> Iterator[list[Row]]:
    features, rounds, waiting = (FEATURES, 40, WAITING) if size is FULL else (5, 2, 500)
    with tempfile.TemporaryDirectory() as name:
        found = storage.measure(Path(name), features, rounds)
    state = f"{features:,} features x 64 bins, 60 panes"
    yield [
        Row("store", f"{what}, {state}", "", "ms of CPU").alone([1000 * cpu_s for _, cpu_s in times])
        for what, times in found.items()
    ]
    with tempfile.TemporaryDirectory() as name:
        waits = asyncio.run(acks.measure(Path(name), features, 2 * size.seconds))
    yield [Row("store", f"{what} (wall)", "", "ms").alone(waits_ms) for what, waits_ms in waits.items()]
    yield [Row("store", what, "", unit).alone([figure]) for what, unit, figure in labels.measured(waiting)]
