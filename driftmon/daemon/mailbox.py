"""Mailbox: the one way from the event loop to the pump, bounded in bytes.

Law: what was accepted is taken exactly once, in order, small requests beside large ones; what does not fit is
refused aloud (Busy, which becomes 429) or waits (sources that can stop reading), and is never dropped.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from driftmon.sources.base import Block

BLOCK_OVERHEAD_BYTES: Final = 1024  # an empty block is not free
TAKE_BYTES: Final = 256 * 1024  # leave at once, at most: acks, ticks and small requests wait for it
QUICK_BYTES: Final = 64 * 1024  # a request up to this does not stand in line behind large ones
LOW_WATER: Final = 0.5  # those who wait for room go on when half of it is free, not block by block

T = TypeVar("T")


class Busy(Exception):  # noqa: N818  a state, not an error
    """No room now; try again later."""


class Closed(Exception):  # noqa: N818
    """The daemon is draining; nothing new is accepted."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Something to be done by the owner of the monitors, between two blocks."""

    run: Callable[[], Any]
    answer: Future[Any]


class Mailbox:
    """`offer`, `put` and `ask` belong to the event loop, `take` to the pump.

    A request larger than the whole mailbox is accepted when nothing else waits, or it never would be.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._items: deque[Block | Question] = deque()
        self._quick: deque[Block | Question] = deque()  # the two lines take turns
        self._quick_next = True
        self._bytes = 0
        self._closed = False
        self._waiters: list[Future[None]] = []
        self._changed = threading.Condition()
        self._ringing = False
        # When to wake the pump: an event loop has it wait for all that came in one turn. Two threads that take turns
        # with the interpreter's lock cost more than what they do.
        self.soon: Callable[[Callable[[], None]], object] = _at_once
        self.taken_at = 0.0  # the share of its bytes that waited when the last items were taken

    @property
    def bytes(self) -> int:
        """Bytes that wait now."""
        return self._bytes

    def has_room(self, size: int) -> bool:
        """Whether a body of so many bytes would be accepted: the question to ask before reading it."""
        return not self._bytes or self._bytes + size <= self.limit_bytes

    def offer(self, blocks: Sequence[Block]) -> None:
        """All of the blocks or none; raises Busy or Closed."""
        with self._changed:
            quick = sum(map(_size, blocks)) <= QUICK_BYTES
            if not self._accepts(blocks, self._quick if quick else self._items):
                raise Busy

    async def put(self, block: Block) -> None:
        """As `offer` for one block, but waits for room."""
        while waiter := self._accepts_or_waiter(block):
            await asyncio.wrap_future(waiter)

    def _accepts_or_waiter(self, block: Block) -> Future[None] | None:
        with self._changed:
            if self._accepts((block,), self._items):
                return None
            waiter: Future[None] = Future()
            self._waiters.append(waiter)
            return waiter

    def _accepts(self, blocks: Sequence[Block], line: deque[Block | Question]) -> bool:
        if self._closed:
            raise Closed
        size = sum(map(_size, blocks))
        if not self.has_room(size):
            return False
        line.extend(blocks)
        self._bytes += size
        if not self._ringing:
            self._ringing = True
            self.soon(self._ring)
        return True

    def _ring(self) -> None:
        """Wake the pump."""
        with self._changed:
            self._ringing = False
            self._changed.notify()

    async def ask(self, run: Callable[[], T]) -> T:
        """What `run()` returns or raises in the pump's thread; raises Closed once the pump has stopped."""
        question = Question(run, Future())
        with self._changed:
            if self._closed:
                raise Closed
            self._items.append(question)
            self._changed.notify()
        answer: T = await asyncio.wrap_future(question.answer)
        return answer

    def take(self, timeout_s: float) -> list[Block | Question] | None:
        """What waits, oldest first, about TAKE_BYTES of it; empty after `timeout_s`; None when closed and empty.

        A request is never taken in parts: its blocks and its key are committed together or not at all.
        """
        with self._changed:
            if not self._items and not self._quick and not self._closed:
                self._changed.wait(timeout_s)
            if not (line := self._line()):
                self.taken_at = 0.0
                return None if self._closed else []
            self.taken_at = self._bytes / self.limit_bytes
            taken = self._cut(line, TAKE_BYTES)
            while self._items and isinstance(self._items[0], Question):
                taken.append(self._items.popleft())
        return taken

    def take_quick(self) -> list[Block | Question]:
        """Small requests that wait now, a few of them, while a large one is being read."""
        if not self._quick:
            return []
        with self._changed:
            return self._cut(self._quick, QUICK_BYTES)

    def _cut(self, line: deque[Block | Question], most_bytes: int) -> list[Block | Question]:
        taken: list[Block | Question] = []
        size = 0
        while line and (size < most_bytes or _goes_on(taken[-1])):
            item = line.popleft()
            size += _size(item)
            taken.append(item)
        self._bytes -= size
        if self._bytes <= LOW_WATER * self.limit_bytes:
            self._wake()
        return taken

    def _line(self) -> deque[Block | Question]:
        """The one whose turn it is, or in which somebody stands."""
        quick, self._quick_next = self._quick_next, not self._quick_next
        return self._quick or self._items if quick else self._items or self._quick

    def close(self) -> None:
        """Accept nothing more; what waits is still taken."""
        with self._changed:
            self._closed = True
            self._wake()
            self._changed.notify()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if waiter.set_running_or_notify_cancel():
                waiter.set_result(None)


def _at_once(do: Callable[[], None]) -> None:
    do()


def _size(item: Block | Question) -> int:
    return len(item.data) + BLOCK_OVERHEAD_BYTES if isinstance(item, Block) else 0


def _goes_on(item: Block | Question) -> bool:
    return isinstance(item, Block) and item.more
