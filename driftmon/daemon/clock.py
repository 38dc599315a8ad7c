"""Clock: the time that records are counted by: the wall clock, without its jumps.

Law: it never goes back, so no pane is opened again and nothing is late because a clock was set. The wall clock may be
wrong: a step ahead is believed once it has lasted for PROBATION_S; after a step back this clock goes on a little
slower until the wall clock has caught up. Pure: both readings are arguments.
"""

from __future__ import annotations

import math
import time
from typing import Final

STEP_MS: Final = 5000  # less is followed at once
PROBATION_S: Final = 900.0  # a time daemon that finds the clock wrong sets it within this time
SLOWER: Final = 0.9  # an hour back is made good in ten hours, and windows and rules notice little of it


class Clock:
    """Now, in ms since the epoch; `floor_ms`: the time up to which an earlier process counted.

    >>> clock = Clock(); year = 31_536_000_000
    >>> [clock.read(*at) for at in ((0, 0.0), (1000 + year, 1.0), (2000 + year, 2.0), (3000, 3.0))]
    [0, 1000, 2000, 3000]
    >>> clock.steps, clock.last_step_ms == -year, clock.offset_ms
    (2, True, 0)
    """

    def __init__(self, floor_ms: float = -math.inf) -> None:
        self.steps = 0
        self.last_step_ms = 0
        self.offset_ms = 0  # this clock less the wall clock
        self._now_ms = floor_ms
        self._before: tuple[int, float] | None = None
        self._stepped_s = 0.0

    def read(self, wall_ms: int, at_s: float) -> int:
        """Once per turn: the wall clock, and one that only measures how much time passes."""
        passed_ms = 0.0
        if self._before is not None:
            passed_ms = (at_s - self._before[1]) * 1000
            step_ms = round(wall_ms - self._before[0] - passed_ms)
            if abs(step_ms) > STEP_MS:
                self.steps, self.last_step_ms, self._stepped_s = self.steps + 1, step_ms, at_s
        first, self._before = self._before is None, (wall_ms, at_s)
        ahead_ms = wall_ms - self._now_ms - passed_ms
        believed = first or ahead_ms <= STEP_MS or at_s - self._stepped_s >= PROBATION_S
        if ahead_ms < -STEP_MS:
            self._now_ms += SLOWER * passed_ms
        elif believed:
            self._now_ms = max(self._now_ms, wall_ms)
        else:
            self._now_ms += passed_ms
        self.offset_ms = int(self._now_ms) - wall_ms
        return int(self._now_ms)


def passing_s() -> float:
    """Seconds that pass, those of a suspended machine among them where the system can tell: they are no step."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
