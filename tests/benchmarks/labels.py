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


def batches(join: Join, order: Times, kind: int, clock_ms: int) -> float:
    """Seconds to join records of one kind, digests of their ids included."""
    spent_s = 0.0
    for low in range(0, len(order), ROWS):
        ids = [f"request-{one:012d}" for one in order[low : low + ROWS].tolist()]
        rows = len(ids)
        kinds, times = np.full(rows, kind, dtype=np.uint8), np.full(rows, clock_ms)
        values = np.full((rows, 1), 0.5)
        began = time.process_time()
        join.take(Records(digests(ids, b"key"), kinds, times, times, values))
        spent_s += time.process_time() - began
    return spent_s


def measured(waiting: int) -> list[tuple[str, str, float]]:
    """What, its unit, and the figure."""
    labels = np.random.default_rng(1).permutation(waiting)
    before = resident_bytes()
    join = Join(WAIT_MS, waiting)
    waits_s = batches(join, np.arange(waiting), PREDICTION, 0)
    per_entry = (resident_bytes() - before) / waiting
    joins_s = batches(join, labels, LABEL, 1000)
    assert join.tally.outcomes["matched"] == waiting
    full_s = batches(join, np.arange(waiting, waiting + waiting // 2), PREDICTION, 2000)
    each = "us of CPU"
    return [
        (f"a prediction that waits, of {waiting:,}", "bytes", per_entry),
        ("the same, of arrays", "bytes", join.nbytes / waiting),
        ("a prediction begins to wait", each, 1e6 * waits_s / waiting),
        ("a label is joined", each, 1e6 * joins_s / waiting),
        ("a prediction at the bound, which drops the oldest", each, 1e6 * full_s / (waiting // 2)),
    ]


def main() -> None:
    for what, unit, figure in measured(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000):
        sys.stdout.write(f"{what}: {figure:,.2f} {unit}\n")


if __name__ == "__main__":
    main()
