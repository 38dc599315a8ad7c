"""Vitals: how fast records arrive and how much memory is in use, for people.

Law: bounded: one count per stream and source and step, a minute of them.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

STEP_S: Final = 5.0
STEPS: Final = 13

Counts: TypeAlias = Mapping[tuple[str, str], int]


class Rates:
    """Records a second over the last minute, by stream and source.

    >>> rates = Rates(); rates.note(0.0, {("s", "http"): 0}); rates.note(60.0, {("s", "http"): 600})
    >>> rates.per_second({("s", "http"): 600}, 60.0)
    {('s', 'http'): 10.0}
    """

    def __init__(self) -> None:
        self._noted: deque[tuple[float, Counts]] = deque(maxlen=STEPS)

    def note(self, at_s: float, counts: Counts) -> None:
        """Give it the counters now and then; it keeps one of each STEP_S."""
        if not self._noted or at_s - self._noted[-1][0] >= STEP_S:
            self._noted.append((at_s, counts))

    def per_second(self, counts: Counts, at_s: float) -> dict[tuple[str, str], float]:
        """Empty before the first second has passed."""
        if not self._noted or at_s - self._noted[0][0] < 1:
            return {}
        since_s, before = self._noted[0]
        return {key: (count - before.get(key, 0)) / (at_s - since_s) for key, count in counts.items()}


def memory_bytes() -> int | None:
    """What this process holds in memory; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
