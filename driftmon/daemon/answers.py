"""Answers: the way back from the pump to the event loop.

Law: each ack is called once, in the loop, in the order of the answers; the loop is woken once for all that wait, for
a wake-up is a write to a pipe and a turn of the loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Final

from driftmon.sources.base import Ack, Settled, unanswered

log: Final = logging.getLogger("driftmon.answers")


class Answers:
    """`give` belongs to the pump's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[Ack, Settled | Exception]] = deque()
        self._woken = False

    def give(self, ack: Ack, outcome: Settled | Exception) -> None:
        """Tell whoever asked."""
        if ack is unanswered:
            return
        self._waiting.append((ack, outcome))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._woken = False  # before looking, so that what is given from now on is either seen or wakes the loop again
        while self._waiting:
            ack, outcome = self._waiting.popleft()
            try:
                ack(outcome)
            except Exception:  # a bug: it must not keep the others waiting
                log.exception("whoever sent a block could not be told what became of it")
