"""How long a sender waits for its durable answer, and how late the event loop is beside the store; prints a table.

Law: a whole daemon over HTTP with its T2 running; the sender is a process of its own, so it holds no lock of ours.

    python -m tests.benchmarks.acks [--features 1000] [--seconds 10]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from tests.benchmarks.storage import SPREAD, block_of, spread, stream_of
from tests.daemon.kit import running

BODIES: Final = (1, 100)  # events
PAUSE_S: Final = 0.002  # between two bodies of one sender


def fsync_ms(folder: Path, times: int = 200) -> list[float]:
    """Of a page, appended."""
    taken = []
    with open(folder / "fsync", "wb") as file:
        for _ in range(times):
            file.write(b"x" * 4096)
            file.flush()
            began_s = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(1000 * (time.perf_counter() - began_s))
    return taken


def send(host: str, features: int, events: int, seconds: float) -> None:
    """One sender: the next body when the last one is answered; its waits in ms to stdout."""
    bodies = [block_of(features, events, seed).data for seed in range(4)]
    connection, waits = HTTPConnection(host, timeout=60), list[float]()
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        began_s = time.perf_counter()
        connection.request("POST", "/api/v1/ingest/s", bodies[len(waits) % 4], {"content-type": "application/x-ndjson"})
        answer = connection.getresponse()
        told = json.loads(answer.read())
        waits.append(1000 * (time.perf_counter() - began_s))
        assert (answer.status, told["durable"], told["accepted"]) == (200, True, events), told
        time.sleep(PAUSE_S)
    json.dump(waits, sys.stdout)


async def lateness_ms(found: list[float]) -> None:
    """A task that sleeps a millisecond, again and again."""
    while True:
        began_s = time.perf_counter()
        await asyncio.sleep(0.001)
        found.append(1000 * (time.perf_counter() - began_s) - 1)


async def measure(folder: Path, features: int, seconds: float) -> dict[str, list[float]]:
    """Of each kind of body the waits, and of the loop the delays meanwhile."""
    stream_of(folder, features)
    table = {"fsync of a page": fsync_ms(folder)}
    async with running(folder / "driftmon.yaml", folder / "state") as one:
        host = one.app.urls["api"][0].removeprefix("http://")
        late: list[float] = []
        watch = asyncio.create_task(lateness_ms(late))
        await asyncio.sleep(seconds / 2)
        table["loop late, nobody sends"] = late.copy()
        for events in BODIES:
            late.clear()
            arguments = ["--send", host, "--features", features, "--events", events, "--seconds", seconds]
            command = [sys.executable, "-m", "tests.benchmarks.acks", *map(str, arguments)]
            sender = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            told, _ = await sender.communicate()
            table[f"ack of {events} events"] = json.loads(told)
            table[f"loop late, {events} events a body"] = late.copy()
        watch.cancel()
    return table


def shown(table: dict[str, list[float]]) -> str:
    return "\n".join([f"{'ms':<32} {SPREAD}", *(f"{name:<32} {spread(found)}" for name, found in table.items())])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--events", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--send", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        send(options.send, options.features, options.events, options.seconds)
        return
    with tempfile.TemporaryDirectory() as folder:
        table = asyncio.run(measure(Path(folder), options.features, options.seconds))
    sys.stdout.write(f"{options.features} features\n{shown(table)}\n")


if __name__ == "__main__":
    main()
