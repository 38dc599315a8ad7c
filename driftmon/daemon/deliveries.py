"""Deliveries: one task per sink, which sends what its ledger owes, so that a slow receiver delays nobody.

Law: an attempt ends in taken, refused or to be tried again, and is counted as one of them; a sink that breaks is a
receiver that is away.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from driftmon.daemon.news import Debt
from driftmon.daemon.owed import Ledger
from driftmon.daemon.told import Told
from driftmon.render.notice import Notice
from driftmon.render.own import Receiver
from driftmon.sinks.base import Reject, Retry, Sink

log: Final = logging.getLogger("driftmon.outbox")


def wall_ms() -> int:
    """For what receivers read."""
    return time.time_ns() // 1_000_000


def monotonic_ms() -> int:
    """For when to send: a wall clock that is set back must not hold notifications for an hour."""
    return time.monotonic_ns() // 1_000_000


class Deliveries:
    """`settled` is called after each attempt."""

    def __init__(
        self,
        sinks: Mapping[str, Sink],
        settled: Callable[[], None],
        wall: Callable[[], int],
        monotonic: Callable[[], int],
        jitter: Callable[[], float],
    ) -> None:
        self._sinks = dict(sinks)
        self._settled = settled
        self._wall, self._monotonic, self._jitter = wall, monotonic, jitter
        self.ledgers = {name: Ledger(sink.resends) for name, sink in sinks.items()}
        self._wake = {name: asyncio.Event() for name in sinks}
        self.told = Told(sinks)
        self._last = dict.fromkeys(sinks, (0, ""))  # when each was tried, and why that failed

    def each(self, verb: Callable[[Ledger, Notice, int], None], notice: Notice) -> None:
        """To all ledgers; `wake` when there is no more to say."""
        for ledger in self.ledgers.values():
            verb(ledger, notice, self._monotonic())

    def wake(self) -> None:
        for event in self._wake.values():
            event.set()

    def rows(self) -> dict[Debt, Any]:
        """What changed in the ledgers since the last time, for the store."""
        found: dict[Debt, Any] = {}
        for name, ledger in self.ledgers.items():
            found |= {(name, key): ledger.row(key, self._shift_ms) for key in ledger.touched}
            ledger.touched.clear()
        return found

    def restore(self, target: str, key: str, row: Mapping[str, Any]) -> bool:
        """A row of an earlier process; False where its sink is gone."""
        if target in self.ledgers:
            self.ledgers[target].restore(key, row, self._monotonic(), self._shift_ms)
        return target in self.ledgers

    def succeed(self, old: Deliveries) -> list[Debt]:
        """Go on with the ledgers and counters of sinks that stay; the rows of ledgers that do not."""
        for name in self._sinks.keys() & old._sinks.keys():
            if self.ledgers[name].resends == old.ledgers[name].resends:
                self.ledgers[name] = old.ledgers[name]
            self._last[name] = old._last[name]
        self.told.succeed(old.told)
        gone = {name: ledger for name, ledger in old.ledgers.items() if self.ledgers.get(name) is not ledger}
        return [(name, key) for name, ledger in gone.items() for key in ledger.fingerprints()]

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name in self._sinks:
                tasks.create_task(self._serve(name), name=f"sink {name}")

    async def drain(self, timeout_s: float) -> None:
        """Try what is due once more, then close the sinks; call it when `run` has been cancelled."""
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*(self._send_due(name) for name in self._sinks))
        except TimeoutError:
            owed = sum(len(ledger.due(self._monotonic())) for ledger in self.ledgers.values())
            log.warning("%d notifications could not be sent before the end", owed)
        await self.close()

    async def close(self) -> None:
        for sink in self._sinks.values():
            await sink.close()

    def receivers(self) -> list[Receiver]:
        """Who is told, for people."""
        told = self.told
        return [
            Receiver(name, told.sent[name], told.failed[name], len(owed), *self._last[name])
            for name, owed in self.ledgers.items()
        ]

    @property
    def _shift_ms(self) -> int:
        """The wall clock less the one that ledgers go by."""
        return self._wall() - self._monotonic()

    async def _serve(self, name: str) -> None:
        while True:
            self._wake[name].clear()
            await self._send_due(name)
            next_ms = self.ledgers[name].next_ms()
            wait_s = None if next_ms is None else max(0, next_ms - self._monotonic()) / 1000
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake[name].wait()
            except TimeoutError:
                continue

    async def _send_due(self, name: str) -> None:
        while batch := self.ledgers[name].due(self._monotonic()):
            await self.attempt(name, batch)

    async def attempt(self, name: str, batch: Sequence[Notice]) -> None:
        """Send once, and note what became of it."""
        ledger = self.ledgers[name]
        self.told.sent[name] += len(batch)
        try:
            await self._sinks[name].send(batch, self._wall())
        except Reject as rejected:
            self.told.failed[name] += len(rejected.refused)
            self._last[name] = self._wall(), str(rejected)
            log.error("sink %s refused %d notifications for good: %s", name, len(rejected.refused), rejected)
            ledger.refuse(rejected.refused)
            ledger.settle(batch, self._monotonic())
        except Exception as fault:
            self.told.failed[name] += len(batch)
            told = fault or type(fault).__name__
            log.warning("sink %s: %d notifications will be retried: %s", name, len(batch), told)
            known = isinstance(fault, Retry)  # what else went wrong may tell a secret of an address
            self._last[name] = self._wall(), str(fault) if known else type(fault).__name__
            ledger.fail(self._monotonic(), fault.after_s if isinstance(fault, Retry) else None, self._jitter())
        else:
            self._last[name] = self._wall(), ""
            ledger.settle(batch, self._monotonic())
        self._settled()
