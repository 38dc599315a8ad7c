"""Turns: an event loop that looks after a few ready sockets at a time, and has others begin when it rests.

Law: each ready socket has its turn before any has another. What else is due, an answer of the pump above all, waits for
AT_ONCE sockets at most, and not for all that hundreds of clients have sent. What is to begin at rest begins when no
socket is ready and nothing is due, or after ROUNDS rounds of a loop that never rests.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

AT_ONCE: Final = 8
ROUNDS: Final = 4  # some 4 ms where each has as many sockets as it may

Begin: TypeAlias = Callable[[], None]
Ready: TypeAlias = list[tuple[selectors.SelectorKey, int]]


class Turns(selectors.DefaultSelector):
    """As the selector of this system, but what is ready comes in small portions."""

    def __init__(self) -> None:
        super().__init__()
        self._ready: deque[tuple[selectors.SelectorKey, int]] = deque()
        self._at_rest: list[Begin] = []
        self._rounds = 0  # since the first of them waits

    def at_rest(self, begin: Begin) -> None:
        """Call it soon, from `select`; it may ask nothing of the loop, which perhaps sleeps then."""
        self._at_rest.append(begin)

    def select(self, timeout: float | None = None) -> Ready:
        """The next few; waits only when all that were ready had their turns."""
        if not self._ready:
            self._ready.extend(super().select(0 if self._at_rest else timeout))
        if self._at_rest:
            self._rounds += 1
            if not self._ready and timeout != 0:
                self._rest()
                self._ready.extend(super().select(timeout))
            elif self._rounds >= ROUNDS:
                self._rest()
        return self._portion()

    def _rest(self) -> None:
        self._rounds, waiting = 0, [*self._at_rest]
        self._at_rest.clear()
        for begin in waiting:
            begin()

    def _portion(self) -> Ready:
        found: Ready = []
        known = self.get_map()
        while self._ready and len(found) < AT_ONCE:
            key, events = self._ready.popleft()
            if known.get(key.fd) is key:  # else it was closed, or something else is asked of it now
                found.append((key, events))
        return found


class Loop(asyncio.SelectorEventLoop):
    """Of the daemon."""

    def __init__(self) -> None:
        turns = Turns()
        super().__init__(turns)
        self.at_rest = turns.at_rest


def event_loop() -> asyncio.AbstractEventLoop:
    """For `asyncio.Runner`."""
    return Loop()
