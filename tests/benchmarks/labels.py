"""What the label join costs: `python tests/benchmarks/labels.py [WAITING]`, a million by default.

Predictions are let wait, then a label comes for each in another order. Joins a second and bytes per waiting
prediction as the kernel counts them, on whatever machine this is.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

import numpy as np

from driftmon.monitor.batch import Times
from driftmon.monitor.id_ring import digests
from driftmon.monitor.labels import LABEL, PREDICTION, Join, Records

ROWS: Final = 5000  # of a block of 256 KiB
WAIT_MS: Final = 86_400_000


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def batches(order: Times, kind: int, clock_ms: int) -> float:
    """Seconds to join records of one kind, digests of their ids included."""
    spent_s = 0.0
    for low in range(0, len(order), ROWS):
        ids = [f"request-{one:012d}" for one in order[low : low + ROWS].tolist()]
        rows = len(ids)
        kinds, times = np.full(rows, kind, dtype=np.uint8), np.full(rows, clock_ms)
        values = np.full((rows, 1), 0.5)
        began = time.process_time()
        JOIN[0].take(Records(digests(ids, b"key"), kinds, times, times, values))
        spent_s += time.process_time() - began
    return spent_s


JOIN: list[Join] = []


def main() -> None:
    waiting = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    labels = np.random.default_rng(1).permutation(waiting)
    before = resident_bytes()
    JOIN.append(join := Join(WAIT_MS, waiting))
    waits_s = batches(np.arange(waiting), PREDICTION, 0)
    per_entry = (resident_bytes() - before) / waiting
    joins_s = batches(labels, LABEL, 1000)
    assert join.tally.outcomes["matched"] == waiting
    sys.stdout.write(
        f"{waiting:,} predictions wait: {per_entry:.0f} bytes each ({join.nbytes / waiting:.0f} of arrays)\n"
    )
    sys.stdout.write(
        f"predictions a second: {waiting / waits_s:,.0f}; labels joined a second: {waiting / joins_s:,.0f}\n"
    )
    sys.stdout.write(f"joins a second, both records: {waiting / (waits_s + joins_s):,.0f}\n")
    full_s = batches(np.arange(waiting, waiting + waiting // 2), PREDICTION, 2000)
    sys.stdout.write(f"predictions a second at the bound, each drops the oldest: {waiting // 2 / full_s:,.0f}\n")


if __name__ == "__main__":
    main()
