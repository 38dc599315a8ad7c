"""Receivers: sinks of the simulation, which flap, are slow, answer errors, and remember what they took.

Law: a notice is taken at most once a call; one whose answer is lost was taken and will come again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from driftmon.render.notice import Notice
from driftmon.sinks.base import Retry

MODES: Final = ("well", "well", "down", "slow", "flapping", "deaf")


class Receiver:
    """`mode`: well, down (refuses), slow (20 s), flapping (every second call), deaf (takes, and the answer is lost)."""

    def __init__(self, world: Any, resends: bool) -> None:
        self.resends = resends
        self.mode = "well"
        self.took: Counter[tuple[str, str, int]] = Counter()
        self.answered_s: list[float] = []  # when it took something and said so
        self.repeats_excused = 0
        self._world = world

    async def send(self, alerts: Sequence[Notice], now_ms: int) -> None:
        world = self._world
        await asyncio.sleep(20.0 if self.mode == "slow" else world.chance.uniform(0.001, 0.05))
        if self.mode == "down" or (self.mode == "flapping" and world.chance.random() < 0.5):
            world.note("receiver refused")
            raise Retry("simulated", world.chance.choice((None, 2.0)))
        for notice in alerts:
            world.note("notice", f"{self.resends} {notice.status} {notice.fingerprint} {notice.starts_ms}")
            self.took[notice.fingerprint, notice.status, notice.starts_ms] += 1
        if self.mode == "deaf":
            self.repeats_excused += len(alerts)
            raise Retry("simulated: the answer was lost")
        await asyncio.sleep(0.001)
        self.answered_s.append(world.loop.time())

    async def close(self) -> None:
        """The receiver outlives the daemon."""
