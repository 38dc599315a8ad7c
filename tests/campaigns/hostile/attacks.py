"""Attacks: `python -m tests.campaigns.hostile.attacks KIND PORT SECONDS`, a process of its own; it prints what it got.

Law: a request that was begun is waited for, so that what the daemon accepted is known.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final

from tests.campaigns.hostile import bombs
from tests.campaigns.hostile.wire import Wire

SENDERS: Final = 4
SLOW: Final = 1000
DRIPPING: Final = 100
AGAIN_S: Final = 1.0
FLOOD: Final = 10  # senders of honest records without a pause
HEAD: Final = f"POST {bombs.PATH} HTTP/1.1\r\nHost: localhost\r\n".encode()


async def send(wire: Wire, until_s: float, kinds: list[str]) -> None:
    """Bodies in turn, one after another, pausing a little where they are refused, as an impatient client does."""
    at = 0
    while time.monotonic() < until_s:
        body, headers = bombs.BODIES[kinds[at % len(kinds)]]()
        at += 1
        if await wire.post(body, headers) in (0, 429, 503):
            await asyncio.sleep(0.05)


async def flood(wire: Wire, until_s: float) -> None:
    body = bombs.honest(5000)
    while time.monotonic() < until_s:
        if await wire.post(body) in (0, 429, 503):
            await asyncio.sleep(0.02)


async def drip(port: int, until_s: float, begun: bytes, each: bytes, ends: Counter[str]) -> None:
    """One connection that never finishes; again when it is cut."""
    while time.monotonic() < until_s:
        writer = None
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begun)
            while time.monotonic() < until_s and not reader.at_eof():
                writer.write(each)
                await writer.drain()
                await asyncio.sleep(0.5)
            ends["cut" if reader.at_eof() else "held to the end"] += 1
        except OSError:
            ends["cut"] += 1
        finally:
            if writer is not None:
                writer.transport.abort()
        await asyncio.sleep(AGAIN_S)


async def main(kind: str, port: int, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    wires: list[Wire] = []
    ends: Counter[str] = Counter()

    def several(number: int, work: Callable[[Wire], Coroutine[Any, Any, None]]) -> list[Coroutine[Any, Any, None]]:
        wires.extend(Wire(port) for _ in range(number))
        return [work(wire) for wire in wires]

    if kind == "slowloris":
        tasks = [drip(port, until_s, b"GET / HTTP/1.1\r\n", b"X-A: b\r\n", ends) for _ in range(SLOW)]
    elif kind == "half open":
        tasks = [drip(port, until_s, b"", b"", ends) for _ in range(SLOW)]
    elif kind == "slow bodies":
        begun = HEAD + b"Content-Length: 8000000\r\n\r\n"
        tasks = [drip(port, until_s, begun, b" " * 50, ends) for _ in range(DRIPPING)]
    elif kind == "flood":
        tasks = several(FLOOD, lambda wire: flood(wire, until_s))
    else:
        kinds = list(bombs.BODIES) if kind == "all bombs" else [kind]
        tasks = several(SENDERS, lambda wire: send(wire, until_s, kinds))
    await asyncio.gather(*tasks)
    for wire in wires:
        ends += wire.statuses
        await wire.close()
    sys.stdout.write(json.dumps({"accepted": sum(wire.accepted for wire in wires), "ends": ends}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
