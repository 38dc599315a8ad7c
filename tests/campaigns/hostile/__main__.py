"""Hostile: `python -m tests.campaigns.hostile [--short]`: the real daemon in a 256 MiB cgroup while it is attacked.

Law: it is never killed, stays within the budget it exports, keeps every record it accepted, and a good client's p99
stays within twice its own baseline of this run and MARGIN_S. The flood, which is ten good clients, is only shown.
"""

# ruff: noqa: T201  it reports to a terminal
from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.campaigns.hostile import bombs
from tests.campaigns.hostile.cgroup import Cgroup, Unavailable, limited
from tests.campaigns.hostile.wire import Wire
from tests.daemon.kit import ready_config

LIMIT: Final = 256 * bombs.MIB
MARGIN_S: Final = 0.050  # attacker, client and daemon share two cores, and the scheduler's turns are milliseconds
KINDS: Final = ("slowloris", "half open", "slow bodies", *bombs.BODIES, "all bombs", "flood")
SHORT_S, LONG_S = 2.5, 30.0
PAUSE_S: Final = 0.01


class Victim:
    """The daemon under attack, and what is known of it."""

    def __init__(self, folder: Path, cgroup: Cgroup) -> None:
        config = ready_config(folder)
        command = [
            sys.executable,
            "-m",
            "driftmon",
            "run",
            f"--config.file={config}",
            f"--storage.path={folder / 'kept'}",
        ]
        command += ["--web.listen-address=127.0.0.1:0", "--api.listen-address=127.0.0.1:0"]
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log, preexec_fn=cgroup.enter)  # noqa: PLW1509
        self.port = self._port()

    def _port(self) -> int:
        until = time.monotonic() + 30
        while time.monotonic() < until and self.process.poll() is None:
            if found := re.search(r"api listens on http://127.0.0.1:(\d+)", self._log.read_text()):
                return int(found[1])
            time.sleep(0.05)
        raise RuntimeError(f"the daemon did not start:\n{self._log.read_text()[-2000:]}")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as reply:
            return json.load(reply)

    @property
    def peak_bytes(self) -> int:
        """The most it ever had in RAM."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def counted(self, wanted: int) -> int:
        """Observations, once they are as many as wanted or no more come."""
        found, until = -1, time.monotonic() + 20
        while time.monotonic() < until and found != wanted:
            found = self.get("/api/v1/streams/s/features/x").get("observations_total", 0)
            time.sleep(0.1)
        return found


async def good_client(wire: Wire, seconds: float) -> list[float]:
    """A hundred records now and then, as a model server sends them; how long each answer took."""
    body, took, until = bombs.honest(100), [], time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.monotonic()
        await wire.post(body)
        took.append(time.monotonic() - began)
        await asyncio.sleep(PAUSE_S)
    return took


def p99_s(took: Sequence[float]) -> float:
    return float(np.quantile(took, 0.99))


async def under(kind: str, victim: Victim, seconds: float) -> tuple[list[float], list[float], int, dict[str, int]]:
    """The good client's times before and during an attack, what was accepted, and how the attacker fared.

    It is there before the attacker, on one connection, as a model server is.
    """
    wire = Wire(victim.port)
    before = await good_client(wire, max(1.5, seconds / 3))
    arguments = [sys.executable, "-m", "tests.campaigns.hostile.attacks", kind, str(victim.port), str(seconds + 1)]
    attacker = await asyncio.create_subprocess_exec(*arguments, stdout=subprocess.PIPE)
    await asyncio.sleep(1)
    during = await good_client(wire, seconds)
    output, _ = await attacker.communicate()
    await wire.close()
    told = json.loads(output)
    refused = {f"client {status}": times for status, times in wire.statuses.items() if status != "200"}
    return before, during, wire.accepted + told["accepted"], {**told["ends"], **refused}


async def campaign(victim: Victim, seconds: float) -> tuple[list[str], int]:
    """What went wrong, and how many records were accepted. The baseline is all quiet times together."""
    accepted, quiet, attacked = 0, list[float](), dict[str, list[float]]()
    for kind in KINDS:
        before, attacked[kind], more, ends = await under(kind, victim, seconds)
        accepted, quiet = accepted + more, quiet + before
        _say(kind, p99_s(attacked[kind]), victim, ends)
        if victim.process.poll() is not None:
            return [f"{kind}: the daemon ended with {victim.process.returncode}"], accepted
    most_s = 2 * p99_s(quiet) + MARGIN_S
    _say("nothing", p99_s(quiet), victim, {})
    for kind, took in attacked.items():
        times = p99_s(took) / p99_s(quiet)
        print(f"{kind:<20} {times:>8.1f} x baseline{'  over 2' if times > 2 else ''}")
    slow = {kind: p99_s(took) for kind, took in attacked.items() if kind != "flood" and p99_s(took) > most_s}
    return [
        f"{kind}: a good client's p99 was {1000 * took_s:.0f} ms, more than {1000 * most_s:.0f}"
        for kind, took_s in slow.items()
    ], accepted


def _say(kind: str, at_s: float, victim: Victim, ends: dict[str, int]) -> None:
    told = ", ".join(f"{times} x {end}" for end, times in sorted(ends.items()))
    print(f"{kind:<20} {1000 * at_s:>8.1f} {victim.peak_bytes / bombs.MIB:>9.0f}  {told}", flush=True)


def judged(victim: Victim, cgroup: Cgroup, seconds: float) -> list[str]:
    faults, accepted = asyncio.run(campaign(victim, seconds))
    if victim.process.poll() is None:
        budget, counted = victim.get("/api/v1/status")["memory"]["budget_bytes"], victim.counted(accepted)
        print(f"accepted {accepted:,}, counted {counted:,}; peak {victim.peak_bytes:,} of a budget of {budget:,} bytes")
        if counted != accepted:
            faults.append(f"accepted {accepted:,} records and counted {counted:,}")
        if victim.peak_bytes > budget:
            faults.append(f"RSS peaked at {victim.peak_bytes:,}, above the budget of {budget:,}")
    if cgroup.kills:
        faults.append(f"killed for memory {cgroup.kills} times")
    return faults


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.campaigns.hostile")
    asked.add_argument("--short", action="store_true", help=f"{SHORT_S:g} s per attack instead of {LONG_S:g}")
    options = asked.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            with limited(LIMIT) as cgroup:
                victim = Victim(Path(folder), cgroup)
                try:
                    print(f"{'attack':<20} {'p99, ms':>8} {'peak, MiB':>9}  what became of the attacker's requests")
                    faults = judged(victim, cgroup, SHORT_S if options.short else LONG_S)
                finally:
                    victim.process.terminate()
                    victim.process.wait(20)
        except Unavailable as fault:
            print(f"SKIPPED: no memory cgroup can be made here ({fault}); run as root")
            return 0
    print(f"{time.monotonic() - began:.0f} s; " + ("nothing wrong" if not faults else f"{len(faults)} faults"))
    for fault_text in faults:
        print(f"FAILED: {fault_text}", file=sys.stderr)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
