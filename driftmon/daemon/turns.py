"""Turns: an event loop that looks after a few ready sockets at a time.

Law: each ready socket has its turn before any has another. What else is due, an answer of the pump above all, waits for
AT_ONCE sockets at most, and not for all that hundreds of clients have sent.
"""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from typing import Final

AT_ONCE: Final = 8


class Turns(selectors.DefaultSelector):
    """As the selector of this system, but what is ready comes in small portions."""

    def __init__(self) -> None:
        super().__init__()
        self._ready: deque[tuple[selectors.SelectorKey, int]] = deque()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """The next few; waits only when all that were ready had their turns."""
        if not self._ready:
            self._ready.extend(super().select(timeout))
        found: list[tuple[selectors.SelectorKey, int]] = []
        known = self.get_map()
        while self._ready and len(found) < AT_ONCE:
            key, events = self._ready.popleft()
            if known.get(key.fd) is key:  # else it was closed, or something else is asked of it now
                found.append((key, events))
        return found


def event_loop() -> asyncio.AbstractEventLoop:
    """For `asyncio.Runner`."""
    return asyncio.SelectorEventLoop(Turns())
