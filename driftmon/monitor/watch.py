"""Watch: one detector over one series, with what a fresh one must be fed to go on where it stopped.

Law: river's detectors begin anew after each flag, so the values since then are all that is needed: as long as they
are no more than `memory`, a fresh detector that was fed them flags at the same value as the one that never stopped.
Of a longer stretch it has seen the last `memory` values only.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol, TypeAlias

import numpy as np

from driftmon.monitor.batch import Times
from driftmon.monitor.rules import Detector
from driftmon.stats.columns import Floats

NEVER_MS: Final = -(2**62)
TOLD: Final = 100  # values before a flag whose mean an alert tells

Flag: TypeAlias = tuple[int, float]  # its time, and the mean of the values before it


class Flagging(Protocol):
    """What is asked of a detector of river's."""

    @property
    def drift_detected(self) -> bool: ...
    def update(self, x: float) -> object: ...


Make: TypeAlias = Callable[[Detector], Flagging]


@dataclass(frozen=True, eq=False)
class Kept:
    """What outlives a process: the values since the last flag, oldest first, and the flags.

    `meaning` is all that decides what they are. `live`: the detector itself, within one process.
    """

    meaning: str
    values: Floats
    flags: tuple[Flag, ...]
    live: Flagging | None = field(default=None, repr=False)


class Watch:
    """`reference`: the identity of P where the series is by it."""

    def __init__(self, detector: Detector, make: Make, reference: str | None) -> None:
        self.detector = detector
        self.meaning = json.dumps([detector.river, dict(detector.params), detector.of, detector.memory, reference])
        self.flags: list[Flag] = []
        self._make = make
        self._live = make(detector)
        self._values: deque[float] = deque(maxlen=detector.memory)
        self._fresh = 0  # the last so many of them are not in the store
        self._stored = 0
        self._anew = True  # what the store has is not of this stretch

    def take(self, values: Floats, times_ms: Times) -> None:
        """Values in the order of their rows."""
        for value, at_ms in zip(values.tolist(), times_ms.tolist(), strict=True):
            self._live.update(value)
            self._values.append(value)
            self._fresh += 1
            if self._live.drift_detected:
                last = [*self._values][-TOLD:]
                self.flags.append((at_ms, sum(last) / len(last)))
                self._values.clear()
                self._fresh, self._anew = 0, True

    def newest(self, inside_ms: int) -> Flag:
        """The newest flag up to then; older ones are forgotten."""
        due = [flag for flag in self.flags if flag[0] <= inside_ms]
        found = max(due, default=(NEVER_MS, np.nan))
        if len(due) > 1:
            self.flags = [found, *(flag for flag in self.flags if flag[0] > inside_ms)]
        return found

    def come_due(self, now_ms: int) -> None:
        self.flags = [(min(at_ms, now_ms), mean) for at_ms, mean in self.flags]

    def kept(self) -> Kept:
        return Kept(self.meaning, np.array(self._values), tuple(self.flags), self._live)

    def restore(self, kept: Kept) -> None:
        """Nothing is taken of one that watched something else, or otherwise."""
        if kept.meaning != self.meaning:
            return
        self.flags = list(kept.flags)
        self._live = self._make(self.detector) if kept.live is None else kept.live
        self._values.extend(kept.values.tolist())
        for value in self._values if kept.live is None else ():
            self._live.update(value)
        self._fresh, self._stored, self._anew = 0, len(kept.values), kept.live is not None

    def unwritten(self) -> tuple[bool, Floats] | None:
        """Whether what the store has is void, and the values it lacks; None: it lacks nothing.

        It has at most twice the memory, then everything is written again.
        """
        if not self._fresh and not self._anew:
            return None
        if self._lacks_all:
            return True, np.array(self._values)
        return False, np.array([*islice(reversed(self._values), self._fresh)][::-1])

    @property
    def _lacks_all(self) -> bool:
        return self._anew or self._stored + self._fresh > 2 * self.detector.memory

    def written(self, whole: bool) -> None:
        """They are in the store now, or all of it is, anew."""
        anew = whole or self._lacks_all
        self._stored = len(self._values) if anew else self._stored + self._fresh
        self._fresh, self._anew = 0, False
