"""Daemon faults: the real daemon whose syncs fail, and whose disk is full for a while.

Law: after a sync that failed it ends with 74 and the next start has what was acknowledged, once each; while the disk is
full it refuses with 503, and goes on by itself.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from unittest.mock import patch

import httpx

from tests.campaigns.shim import EVER_AFTER, Fault
from tests.campaigns.world import PUSHED, Ledger, World, read, rows_of
from tests.daemon.kit import ndjson
from tests.daemon.test_app import Daemon

BATCHES: Final = 60
CLIENTS: Final = 2
EXIT_IO: Final = 74
BROKEN_SYNC: Final = Fault("sync", "EIO", 25)  # well after the start
FULL_DISK: Final = Fault("write", "ENOSPC", 400, times=EVER_AFTER)  # after the start, until a client was refused
TIMEOUT_S: Final = 1.0  # who was counted before the disk filled up waits for room: he gives up and asks anew
PATIENCE_S: Final = 30.0


class Run:
    """A daemon with a fault to come, and a client that sends every batch until it is counted."""

    def __init__(self, folder: Path, fault: Fault) -> None:
        (folder / "state").mkdir(parents=True)
        self.world = World(folder)
        self.state = (folder / "state").resolve()
        self.room = folder / "room"  # once it is there, no call fails
        self.ledger, self.refused, self.exit_code = Ledger(), 0, 0
        self._starting = threading.Lock()
        armed = {"SHIM_FOLDER": str(self.state), "SHIM_ARM": fault.environment(), "SHIM_CURE": str(self.room)}
        with patch.dict(os.environ, armed):
            self.daemon = self._start()

    def _start(self) -> Daemon:
        return Daemon(self.world.config, "--storage.path", str(self.state))

    def send(self) -> None:
        """Batch after batch, from two clients; a daemon that ended is started again."""
        self.ledger.sent |= set(range(BATCHES))
        with ThreadPoolExecutor(CLIENTS) as clients:
            for done in [clients.submit(self._send, range(first, BATCHES, CLIENTS)) for first in range(CLIENTS)]:
                done.result()

    def _send(self, numbers: range) -> None:
        for number in numbers:
            limit_s = time.monotonic() + PATIENCE_S
            while number not in self.ledger.acked:
                if time.monotonic() > limit_s:
                    raise AssertionError(f"batch {number} is never acknowledged")
                self._post(number)

    def _post(self, number: int) -> None:
        url = f"http://{self.daemon.api}/api/v1/ingest/{PUSHED}"
        key = {"Idempotency-Key": str(number)}
        try:
            body = ndjson(rows_of(PUSHED, number))
            reply = httpx.post(url, content=body, headers=key, trust_env=False, timeout=TIMEOUT_S)
        except httpx.TransportError:
            with self._starting:
                if self.daemon.process.poll() is None:
                    return
                self.exit_code = self.daemon.process.returncode
                self.daemon = self._start()
            return
        if reply.status_code == 200 and reply.json()["durable"]:
            self.ledger.acked.add(number)
            return
        if reply.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            self.refused += 1
            self.room.touch()
        time.sleep(0.1)

    def faults(self) -> list[str]:
        """Stopped, what its folder holds less what it should."""
        if code := self.daemon.stop():
            return [f"it stopped with {code}"]
        found = read(self.state)
        return [*self.ledger.lost(found), *self.ledger.wrong(found, self.world)]


def daemon_smoke(base: Path) -> bool:
    """Two rows of the table; whether one is a failure."""
    failed = False
    for fault in (BROKEN_SYNC, FULL_DISK):
        began, run = time.monotonic(), Run(base / fault.error, fault)
        try:
            run.send()
            faults = run.faults()
        finally:
            run.daemon.process.kill()
            run.daemon.process.wait()
        if fault is BROKEN_SYNC and run.exit_code != EXIT_IO:
            faults.append(f"it ended with {run.exit_code}, not {EXIT_IO}")
        log = "".join(path.read_text() for path in (base / fault.error).glob("log-*"))
        if fault is FULL_DISK and (run.exit_code or not run.refused or "there is room on the disk again" not in log):
            faults.append("it did not refuse while the disk was full, or not go on by itself")
        ended = f"exit {run.exit_code}, {len(run.ledger.acked)} acknowledged, {run.refused} refused"
        took_s = time.monotonic() - began
        sys.stdout.write(f"{f'daemon: {fault}':26} {1:5} {fault.nth:11} {0:7} {took_s:8.1f}  {ended}\n")
        for one in faults:
            sys.stdout.write(f"  FAILED {one}\n")
        failed |= bool(faults)
    return failed
