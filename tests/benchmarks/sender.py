"""Sender: a process that posts bodies over some connections for a while, and says how long each answer took.

Law: it imports nothing of driftmon's and has its own interpreter, so that what it costs is not the daemon's.

    python -P sender.py HOST:PORT FILE EVENTS CONNECTIONS SECONDS [EVENTS_A_SECOND]
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from itertools import cycle
from pathlib import Path

BODIES = 64


def requests(host: str, path: str, events: int) -> list[bytes]:
    """Some requests ready to be written, of so many lines of the file each."""
    lines, found = Path(path).read_bytes().splitlines(keepends=True), []
    for number in range(BODIES):
        low = number * events % max(len(lines) - events, 1)
        body = b"".join(lines[low : low + events])
        head = f"POST /api/v1/ingest/s HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-ndjson\r\n"
        found.append(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return found


async def connection(
    host: str, ready: list[bytes], until_s: float, step_s: float, told: dict[str, list[float]]
) -> None:
    """The next body when the last one is answered and its time has come; a refusal is waited out."""
    name, _, port = host.rpartition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    due_s = time.monotonic()
    for request in cycle(ready):
        if step_s:
            await asyncio.sleep(due_s - time.monotonic())
        due_s += step_s
        if time.monotonic() >= until_s:
            break
        began_s = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(size)
        accepted = head.split(b" ", 2)[1] in (b"200", b"202")
        told["waits_ms" if accepted else "refused_ms"].append(1000 * (time.perf_counter() - began_s))
        if not accepted:
            await asyncio.sleep(0.1)
    writer.close()


async def main(host: str, path: str, events: int, connections: int, seconds: float, rate: float) -> None:
    ready, told = requests(host, path, events), {"waits_ms": list[float](), "refused_ms": list[float]()}
    began_s, step_s = time.monotonic(), events * connections / rate if rate else 0.0
    async with asyncio.TaskGroup() as group:
        for number in range(connections):
            turned = ready[number % BODIES :] + ready[: number % BODIES]
            group.create_task(connection(host, turned, began_s + seconds, step_s, told))
    sys.stdout.write(json.dumps({**told, "seconds": time.monotonic() - began_s}))


if __name__ == "__main__":
    host, path, events, connections, seconds, *rate = sys.argv[1:]
    asyncio.run(main(host, path, int(events), int(connections), float(seconds), float(rate[0]) if rate else 0.0))
