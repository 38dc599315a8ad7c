"""Attacks: `python -m tests.campaigns.hostile.attacks PORT`, a process of its own: orders in, results out, a line each.

Law: a request that was begun is waited for, so that what the daemon accepted is known. Each attack has a mate: as
many senders, or connections, that ask as often for as much, and everything they send is well-formed.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from tests.campaigns.hostile import bombs
from tests.campaigns.hostile.wire import Wire

SENDERS: Final = 4
SLOW: Final = 1000
DRIPPING: Final = 100
AGAIN_S: Final = 1.0
OVERLOADING: Final = 240  # connections that offer more than can be counted
HEAD: Final = f"POST {bombs.PATH} HTTP/1.1\r\nHost: localhost\r\n".encode()
BEGUN: Final[Mapping[str, tuple[int, bytes, bytes]]] = {  # how many, how each begins, and how it goes on for ever
    "slowloris": (SLOW, b"GET / HTTP/1.1\r\n", b"X-A: b\r\n"),
    "half open": (SLOW, b"", b""),
    "slow bodies": (DRIPPING, HEAD + b"Content-Length: 8000000\r\n\r\n", b" " * 50),
}


@dataclass(frozen=True)
class Order:
    """What to do for how long. `pace`: requests a second of all senders together; 0: as fast as they are answered."""

    kind: str
    seconds: float
    good: bool = False  # its mate instead
    pace: float = 0.0


@dataclass(frozen=True)
class Result:
    """What became of it: records accepted, requests by their end, and how many a second were begun.

    `held`: how many more a second were due while their sender still waited for an answer.
    """

    accepted: int
    ends: dict[str, int]
    pace: float
    held: float


class Attack:
    """One order at work."""

    def __init__(self, port: int, order: Order) -> None:
        self._port, self._order = port, order
        self._began_s = time.monotonic()
        self._until_s = self._began_s + order.seconds
        self._wires: list[Wire] = []
        self._ends: Counter[str] = Counter()
        self._begun = 0
        self._held = 0

    async def run(self) -> Result:
        kind, good = self._order.kind, self._order.good
        if kind in BEGUN and good:
            await self._several(BEGUN[kind][0], self._visit)
        elif kind in BEGUN:
            await asyncio.gather(*(self._drip(*BEGUN[kind][1:]) for _ in range(BEGUN[kind][0])))
        else:
            senders = OVERLOADING if kind == "overload" and not good else SENDERS
            await self._several(senders, self._send)
        for wire in self._wires:
            self._ends += wire.statuses
            await wire.close()
        accepted = sum(wire.accepted for wire in self._wires)
        seconds = self._order.seconds
        return Result(accepted, dict(self._ends), self._begun / seconds, self._held / seconds)

    async def _several(self, number: int, work: Callable[[Wire], Awaitable[None]]) -> None:
        self._wires = [Wire(self._port) for _ in range(number)]
        interval_s = number / self._order.pace if self._order.pace else 0.0
        await asyncio.gather(*(self._paced(wire, work, interval_s, at / number) for at, wire in enumerate(self._wires)))

    async def _paced(self, wire: Wire, work: Callable[[Wire], Awaitable[None]], interval_s: float, at: float) -> None:
        """In steps of `interval_s`, the senders one after another; steps that are missed are not made up for."""
        due_s = self._began_s + at * interval_s
        while max(due_s, time.monotonic()) < self._until_s:
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            self._begun += 1
            await work(wire)
            if interval_s:
                due_s += interval_s
                now_s = time.monotonic()
                late = (min(now_s, self._until_s) - due_s) / interval_s
                # What is due now is sent now, unless the time is over.
                missed = max(0, math.floor(late) if now_s < self._until_s else math.ceil(late))
                self._held += missed
                due_s += missed * interval_s

    async def _send(self, wire: Wire) -> None:
        """One body; a little pause where it is refused, as an impatient client makes, if there is no pace."""
        kinds = list(bombs.BODIES) if self._order.kind == "all bombs" else [self._order.kind]
        kind = kinds[self._begun % len(kinds)]
        body, headers = bombs.mate(kind) if self._order.good else bombs.body(kind)
        if await wire.post(body, headers) in (0, 429, 503) and not self._order.pace:
            await asyncio.sleep(0.05)

    async def _visit(self, wire: Wire) -> None:
        """A small request on a connection of its own."""
        await wire.post(bombs.honest(1))
        await wire.close()

    async def _drip(self, begun: bytes, each: bytes) -> None:
        """One connection that never finishes; again when it is cut."""
        while time.monotonic() < self._until_s:
            writer = None
            self._begun += 1
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(begun)
                while time.monotonic() < self._until_s and not reader.at_eof():
                    writer.write(each)
                    await writer.drain()
                    await asyncio.sleep(0.5)
                self._ends["cut" if reader.at_eof() else "held to the end"] += 1
            except OSError:
                self._ends["cut"] += 1
            finally:
                if writer is not None:
                    writer.transport.abort()
            await asyncio.sleep(AGAIN_S)


class Attacker:
    """The process, seen from the campaign."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, port: int) -> Attacker:
        command = [sys.executable, "-m", "tests.campaigns.hostile.attacks", str(port)]
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))

    async def ordered(self, order: Order) -> Result:
        """Returns when all its requests have ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
        return Result(**json.loads(await self._process.stdout.readline()))

    async def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


def main(port: int) -> None:
    for line in sys.stdin:
        asked: Any = json.loads(line)
        result = asyncio.run(Attack(port, Order(**asked)).run())
        sys.stdout.write(json.dumps(asdict(result)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
