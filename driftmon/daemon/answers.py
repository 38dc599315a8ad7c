"""Answers: the way back from the pump to the event loop.

Law: each ack is called once, in the loop, in the order of the answers. The loop is woken once for all answers of a
turn: a wake-up is a write to a pipe and a turn of the loop, and the two threads have one interpreter between them.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from driftmon.sources.base import Ack, Settled, unanswered

log: Final = logging.getLogger("driftmon.answers")


class Answers:
    """`give` and `send` belong to the pump's thread; `soon` has the loop do something."""

    def __init__(self, soon: Callable[[Callable[[], None]], None]) -> None:
        self._soon = soon
        self._waiting: deque[tuple[Ack, Settled | Exception]] = deque()

    def give(self, ack: Ack, outcome: Settled | Exception) -> None:
        """What became of a block."""
        if ack is not unanswered:
            self._waiting.append((ack, outcome))

    def send(self) -> None:
        """Tell whoever asked."""
        if self._waiting:
            self._soon(self._tell)

    def _tell(self) -> None:
        while self._waiting:
            ack, outcome = self._waiting.popleft()
            try:
                ack(outcome)
            except Exception:  # a bug: it must not keep the others waiting
                log.exception("whoever sent a block could not be told what became of it")
