"""Virtual: time that leaps: an event loop without waiting, clocks that obey it, and stand-ins for threads and sockets.

Law: with one seed everything happens in one order; nothing here reads a real clock or starts a thread.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final, TypeVar, TypeVarTuple, Unpack

BOOT_S: Final = 1000.0
EPOCH_MS: Final = 1_400_000_000_000


class Killed(BaseException):
    """SIGKILL at this point."""


T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _Leaping(selectors.SelectSelector):
    """Instead of waiting it moves the time on."""

    now_s = BOOT_S

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found:
            if timeout is None:
                raise RuntimeError("everything waits and nothing is to come")
            self.now_s += max(0.0, timeout)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """Work for other threads is done at once; who waits for one that was killed waits for ever, as he was too."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now_s

    def run_in_executor(self, executor: Any, func: Callable[[Unpack[Ts]], T], *args: *Ts) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Killed:
            return done
        except Exception as fault:
            done.set_exception(fault)
        return done


class Clock:
    """Stands where modules have `time`; `skew_ms` is how wrong the wall clock is."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.skew_ms = 0

    def monotonic(self) -> float:
        return self._loop.time()

    perf_counter = monotonic

    def monotonic_ns(self) -> int:
        return int(self._loop.time() * 1e9)

    def time_ns(self) -> int:
        return (EPOCH_MS + self.skew_ms) * 1_000_000 + int((self._loop.time() - BOOT_S) * 1e9)

    def time(self) -> float:
        return self.time_ns() / 1e9

    def now_ms(self) -> int:
        return self.time_ns() // 1_000_000


class Pumping:
    """Stands where the daemon has `threading`: its pump's turns become those of a task.

    `turn(pump, items, at_ms, at_s)` does one; what it raises reaches `failed`.
    """

    def __init__(self, clock: Clock, turn: Callable[..., None], failed: Callable[[Any, BaseException], None]) -> None:
        self._clock, self._turn, self._failed = clock, turn, failed

    def Thread(self, target: Any, name: str) -> Pumping:  # noqa: N802  as it is called
        self._app = target.__self__
        return self

    def start(self) -> None:
        self._app._pump.start_clock()
        self._task = asyncio.get_running_loop().create_task(self._turns())

    def join(self) -> None:
        """At the end of a drain: what waits is counted and written, by the pump's own `run`."""
        self._task.cancel()
        if self._app._failure is not None:
            return
        try:
            while items := self._app.mailbox.take(0):
                self._turn(self._app._pump, items, self._clock.now_ms(), self._clock.monotonic())
            self._app._pump.run()
        except Killed as kill:
            self._failed(self._app, kill)
            raise
        except BaseException as fault:
            self._failed(self._app, fault)

    async def _turns(self) -> None:
        mailbox, pump = self._app.mailbox, self._app._pump
        try:
            while True:
                rest_s = pump._rest_s(self._clock.monotonic())
                items = mailbox.take(0)
                if items is None:
                    return
                if not items:
                    await self._woken(mailbox, rest_s)
                    items = mailbox.take(0) or []
                self._turn(pump, items, self._clock.now_ms(), self._clock.monotonic())
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            raise
        except BaseException as fault:
            self._failed(self._app, fault)

    async def _woken(self, mailbox: Any, rest_s: float) -> None:
        """Until there is something, or the pump is due; the granularity of a scheduler."""
        limit_s = self._clock.monotonic() + rest_s
        while (
            not (mailbox._items or mailbox._quick or mailbox._closed)
            and (left_s := limit_s - self._clock.monotonic()) > 0
        ):
            await asyncio.sleep(min(left_s, 1.0))


class Socketless:
    """Stands where the daemon has its listener; `apps` collects what would be served, by order of construction."""

    apps: list[Any] = []

    def __init__(self, app: Any, *_: Any) -> None:
        self.apps.append(app)

    def start(self) -> None:
        """Nobody can connect."""

    async def stop(self) -> None:
        """Nobody had."""


@contextmanager
def clocks(clock: Clock) -> Iterator[None]:
    """Every module of driftmon reads this clock."""
    found: list[ModuleType] = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("driftmon") and getattr(module, "time", None) is time
    ]
    for module in found:
        setattr(module, "time", clock)  # noqa: B010  a module has no such attribute for a type checker
    try:
        yield
    finally:
        for module in found:
            setattr(module, "time", time)  # noqa: B010
