"""What the scripts share: fields, blocks of lines, KL by the formula. Imports numpy and nothing of ours."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

NUMERIC: Final = tuple(f"n{at}" for at in range(7))
TEXTS: Final = ("c0", "c1", "c2")
BINS: Final = 16
PSEUDOCOUNT: Final = 0.5
BLOCK_BYTES: Final = 200_000


def blocks_of(folder: Path, block_bytes: int) -> list[bytes]:
    """The live records in pieces of whole lines, each of about so many bytes."""
    data, pieces, low = (folder / "live.ndjson").read_bytes(), [], 0
    while low < len(data):
        high = len(data) if low + block_bytes >= len(data) else data.rindex(b"\n", low, low + block_bytes) + 1
        pieces.append(data[low:high])
        low = high
    return pieces


def events_of(folder: Path, events: int) -> list[dict[str, Any]]:
    """The first live records, as a program makes them: all of the same keys, the values of one side by side."""
    lines = (folder / "live.ndjson").read_bytes().splitlines()[:events]
    found: list[dict[str, Any]] = json.loads(b"[" + b",".join(lines) + b"]")
    return found


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def kl(p_counts: Any, q_counts: Any) -> float:
    """KL(Q||P) in nats, with half a count more in each bin.

    >>> round(kl([1, 1], [3, 1]), 4)      # q = 0.7 and 0.3 against halves
    0.0823
    """
    p, q = (np.asarray(counts) + PSEUDOCOUNT for counts in (p_counts, q_counts))
    p, q = p / p.sum(), q / q.sum()
    return float((q * np.log(q / p)).sum())


def told_features(found: Mapping[str, tuple[Any, Any, Any, float]]) -> dict[str, dict[str, Any]]:
    """By feature what it takes to do it again: bins, the counts of reference and live, and KL(Q||P)."""
    return {
        name: {"bins": list(bins), "reference": [int(n) for n in p], "live": [int(n) for n in q], "kl_qp": nats}
        for name, (bins, p, q, nats) in found.items()
    }
