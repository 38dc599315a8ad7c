"""Traces: runs of the store and of the real daemon, recorded.

Law: a trace explains its folder: replayed to its end it gives every file, byte for byte, or it is not used.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import httpx

from tests.campaigns.children import in_a_child
from tests.campaigns.disk import Disk, Op, Record, records_of
from tests.campaigns.driver import Driver
from tests.campaigns.shim import Marks, Shim
from tests.campaigns.world import PUSHED, World, rows_of
from tests.daemon.kit import ndjson
from tests.daemon.test_app import Daemon

Sessions = Sequence[tuple[int, bool]]  # steps, and whether it is closed in the end
SESSIONS: Final[Sessions] = ((40, True), (50, False), (30, True))
LONG: Final[Sessions] = ((450, False),)  # its log grows over the 4 MiB after which it is moved into the file
CLIENTS: Final = 3


@dataclass(frozen=True)
class Trace:
    name: str
    folder: Path
    records: Sequence[Record]


def recorded(name: str, base: Path, run: Callable[[Path, Path], None]) -> Trace:
    """What `run(state folder, trace)` does to the folder."""
    state, trace = base / name / "state", base / name / "trace"
    state.mkdir(parents=True)
    run(state, trace)
    found = list(records_of(trace))
    disk = Disk(state)
    for record in found:
        disk.apply(record)
    there = {str(path.relative_to(state)): path.read_bytes() for path in state.rglob("*") if path.is_file()}
    if disk.seen() != there:
        raise AssertionError(f"{name}: the trace does not explain {sorted(there)}: a call is not recorded")
    return Trace(name, state, found)


def of_the_store(
    world: World, seed: int, sessions: Sessions, synchronous: str | None, state: Path, trace: Path
) -> None:
    """`synchronous`: a mutant, whatever the product asks SQLite for."""

    def session(number: int, steps: int, *, close: bool) -> None:
        Shim().start(state, trace)
        before, whole = (sum(steps for steps, _ in some) for some in (sessions[:number], sessions))
        driver = Driver(world, state, Marks(trace), seed, pushed=10_000 * number, step=before, whole=whole)
        if synchronous is not None:
            setattr(sqlite3, "connect", partial(_weaker, sqlite3.connect, synchronous))  # noqa: B010
        driver.session(steps, close=close)

    for number, (steps, close) in enumerate(sessions):
        if in_a_child(partial(session, number, steps, close=close)):
            raise AssertionError("the workload failed")


def _weaker(connect: Callable[..., sqlite3.Connection], synchronous: str, *args: Any, **options: Any) -> Any:
    class Weaker(sqlite3.Connection):
        def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
            if statement.startswith("PRAGMA synchronous"):
                statement = f"PRAGMA synchronous={synchronous}"
            return super().execute(statement, *parameters)

    return connect(*args, **options, factory=Weaker)


def of_the_daemon(world: World, requests: int, state: Path, trace: Path) -> None:
    """Three clients post batches with keys; it is killed in the middle, started again and stopped."""
    marks = Marks(trace)
    numbers = iter(range(requests))
    taking = threading.Lock()
    with patch.dict(os.environ, {"SHIM_FOLDER": str(state), "SHIM_TRACE": str(trace)}):
        for share in (requests // 2, requests):
            daemon = Daemon(world.config, "--storage.path", str(state))
            with ThreadPoolExecutor(CLIENTS) as clients:
                for done in [clients.submit(_post, daemon.api, numbers, share, taking, marks) for _ in range(CLIENTS)]:
                    done.result()
            if share < requests:
                daemon.process.kill()
                daemon.process.wait()
        if daemon.stop():
            raise AssertionError(daemon.log.read_text())
    marks.close()


def _post(api: str, numbers: Any, until: int, taking: threading.Lock, mark: Callable[[str], None]) -> None:
    with httpx.Client(trust_env=False, timeout=10) as client:
        while True:
            with taking:
                number = next(numbers, until)
            if number >= until:
                return
            mark(f"sent {number}")
            url = f"http://{api}/api/v1/ingest/{PUSHED}"
            reply = client.post(url, content=ndjson(rows_of(PUSHED, number)), headers={"Idempotency-Key": str(number)})
            if reply.status_code == 200 and reply.json()["durable"]:
                mark(f"acked {number}")


def marks_of(trace: Trace) -> int:
    """How many acknowledgements it has."""
    return sum(len(one.path.split()) - 1 for one in trace.records if one.op == Op.MARK and one.path.startswith("acked"))
