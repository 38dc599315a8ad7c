"""Repeats: a request that is sent again with the same Idempotency-Key is counted once.

Law: within KEEP_S seconds and the last KEYS keys, one key of one stream is one answer. The store keeps the
answers with the counts, so it holds across a restart too.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from driftmon.sources.base import Settled

KEYS: Final = 100_000
KEEP_S: Final = 900.0
KEY_BYTES: Final = 256

Key: TypeAlias = tuple[str, str]


class Repeats:
    """Answers by (stream, key), in the order they were asked for."""

    def __init__(self) -> None:
        self._answers: OrderedDict[Key, tuple[float, asyncio.Future[Settled]]] = OrderedDict()

    def recall(self, key: Key, asked_s: float, outcome: Settled) -> None:
        """An answer of an earlier process; oldest first, within the event loop."""
        told: asyncio.Future[Settled] = asyncio.get_running_loop().create_future()
        told.set_result(outcome)
        self._answers[key] = (asked_s, told)

    async def once(self, key: Key, now_s: float, count: Callable[[], Awaitable[Settled]]) -> tuple[Settled, bool]:
        """(outcome, whether it is a repeat's). A failure is forgotten, so that a retry can succeed."""
        self._forget(now_s)
        known = self._answers.get(key)
        if known is not None:
            return await asyncio.shield(known[1]), True
        task = asyncio.ensure_future(_run(count))
        self._answers[key] = (now_s, task)
        try:
            return await asyncio.shield(task), False
        except BaseException:
            self._answers.pop(key, None)
            raise

    def _forget(self, now_s: float) -> None:
        while self._answers:
            asked_s, _ = next(iter(self._answers.values()))
            if len(self._answers) < KEYS and now_s - asked_s < KEEP_S:
                return
            self._answers.popitem(last=False)


async def _run(count: Callable[[], Awaitable[Settled]]) -> Settled:
    return await count()
