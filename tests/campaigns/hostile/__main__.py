"""Hostile: `python -m tests.campaigns.hostile [--short]`: the real daemon in a 256 MiB cgroup while it is attacked.

Law: it is never killed, stays within the budget it exports, keeps every record it accepted, and under attack a good
client's p99 is at most TIMES that under the attack's mate, or MARGIN_S above it.

The mate is as many senders of as many well-formed requests a second, of as many bytes: senders, client and daemon share
two cores, so beside an idle daemon any load at all is slow, and what is asked is whether malice does more than that.
The margin is five turns of the kernel's scheduler and one of the daemon's fsync, which fall on either side by chance.
An attack that was late is made once more with its mate, and the times of both looks together are judged.
In the short form goals of time are told and fail nothing: whoever shares the machine would decide. Being killed, memory
above the budget and a record lost or doubled always fail.
Overload is TIMES_OVER times the measured capacity: refused aloud, and nothing that was accepted is lost.
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
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from tests.campaigns.hostile import bombs
from tests.campaigns.hostile.attacks import BEGUN, Attacker, Order
from tests.campaigns.hostile.cgroup import Cgroup, Unavailable, limited
from tests.campaigns.hostile.wire import Wire
from tests.daemon.kit import ready_config

LIMIT: Final = 256 * bombs.MIB
TIMES, MARGIN_S = 2.0, 0.050
TIMES_OVER: Final = 10
KINDS: Final = (*BEGUN, *bombs.BODIES, "all bombs")
LEAST_OVER: Final = 3  # requests sent or due; a busy machine may not let the senders have their turns
SHORT_S, LONG_S = 2.0, 30.0
GOING_S: Final = 0.4
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


@dataclass
class Look:
    """A good client's times under one attack and under its mate, and how the senders of both fared."""

    kind: str
    attacked: list[float] = field(default_factory=list)
    mated: list[float] = field(default_factory=list)
    accepted: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    pace: float = 0.0
    held: float = 0.0  # requests a second that nobody read

    @property
    def limit_s(self) -> float:
        return max(TIMES * p99_s(self.mated), p99_s(self.mated) + MARGIN_S)

    @property
    def late(self) -> bool:
        return p99_s(self.attacked) > self.limit_s

    def say(self, victim: Victim) -> None:
        told = ", ".join(f"{times} x {end}" for end, times in sorted(self.ends.items()))
        times = p99_s(self.attacked) / p99_s(self.mated)
        figures = f"{1000 * p99_s(self.attacked):>8.1f} {1000 * p99_s(self.mated):>8.1f} {times:>6.1f}"
        print(f"{self.kind:<20} {figures} {victim.peak_bytes / bombs.MIB:>9.0f} {self.pace:>10.1f}  {told}", flush=True)


class Campaign:
    """One daemon, one good client on one connection, as a model server is, and one process of other senders."""

    def __init__(self, victim: Victim, attacker: Attacker, seconds: float) -> None:
        self._victim, self._attacker, self._seconds = victim, attacker, seconds
        self._wire = Wire(victim.port)
        self._others = 0  # records accepted from others than the good client
        self.over: list[str] = []  # goals of time that were missed

    @property
    def accepted(self) -> int:
        return self._others + self._wire.accepted

    async def look(self, look: Look) -> None:
        """The attack, then its mate at the attack's pace; again where it was late, and all times count."""
        for _ in range(2):
            look.attacked += await self._beside(Order(look.kind, self._seconds), look)
            look.mated += await self._beside(Order(look.kind, self._seconds, good=True, pace=look.pace), look)
            if not look.late:
                break
        look.say(self._victim)

    async def overload(self) -> list[str]:
        """TIMES_OVER times what can be counted: refused aloud; what is accepted is counted (see `judged`)."""
        look = Look(bombs.OVERLOAD)
        look.mated = await self._beside(Order(bombs.OVERLOAD, self._seconds, good=True), look)
        capacity, look.ends = look.pace, Counter()
        look.attacked = await self._beside(Order(bombs.OVERLOAD, self._seconds, pace=TIMES_OVER * capacity), look)
        look.say(self._victim)
        print(
            f"capacity {capacity:.1f} requests/s of {bombs.OVERLOAD_ROWS:,} records, {look.pace:.1f} were sent; "
            f"{look.held:.1f} more were due while their connections waited to be read"
        )
        refused = look.ends["429"]
        over = (look.pace + look.held) / capacity
        return [] if refused and over >= LEAST_OVER else [f"no overload: {refused} x 429 at {over:.1f} x capacity"]

    async def _beside(self, order: Order, look: Look) -> list[float]:
        """The good client's times while an order is carried out, from when it has got going."""
        under_way = asyncio.create_task(self._attacker.ordered(order))
        await asyncio.sleep(GOING_S)
        took = await good_client(self._wire, order.seconds - GOING_S)
        result = await under_way
        self._others += result.accepted
        if not order.good or order.kind == bombs.OVERLOAD:
            look.pace, look.held = result.pace, result.held
            look.ends += Counter(result.ends)
        return took

    async def run(self) -> list[str]:
        """What went wrong."""
        looks = [Look(kind) for kind in KINDS]
        for look in looks:
            await self.look(look)
            if self._victim.process.poll() is not None:
                return [f"{look.kind}: the daemon ended with {self._victim.process.returncode}"]
        self.over += await self.overload()
        print("the good client was answered " + ", ".join(f"{n} x {end}" for end, n in self._wire.statuses.items()))
        await self._wire.close()
        await self._attacker.stop()
        self.over += [
            f"{look.kind}: a good client's p99 was {1000 * p99_s(look.attacked):.0f} ms, "
            f"more than {1000 * look.limit_s:.0f}"
            for look in looks
            if look.late
        ]
        return []


async def campaign(victim: Victim, seconds: float) -> tuple[list[str], list[str], int]:
    """What went wrong, which goals of time were missed, and how many records were accepted."""
    work = Campaign(victim, await Attacker.start(victim.port), seconds)
    return await work.run(), work.over, work.accepted


def judged(victim: Victim, cgroup: Cgroup, seconds: float, strict: bool) -> list[str]:
    """What went wrong; goals of time are among it if `strict`, else they are only told."""
    faults, over, accepted = asyncio.run(campaign(victim, seconds))
    if strict:
        faults += over
    else:
        print("".join(f"over the goal: {one}\n" for one in over), end="")
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
                    columns = f"{'p99, ms':>8} {'mate, ms':>8} {'times':>6} {'peak, MiB':>9} {'requests/s':>10}"
                    print(f"{'attack':<20} {columns}  what became of the attacker's requests")
                    faults = judged(victim, cgroup, SHORT_S if options.short else LONG_S, strict=not options.short)
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
