"""Crash: `make crash`: kill -9 of the real daemon at random points, thousands of times, under load on every source.

Law: what was acknowledged is counted once, bin by bin. The parts are a table; each runs in processes of its own.
Most daemons are forked from one that has imported everything (20 ms a start), every tenth episode uses the command
line.
"""

from __future__ import annotations

import argparse
import functools
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.campaigns import crash_file, episode, memory_ack
from tests.campaigns.episode import Found
from tests.campaigns.nursery import Nursery
from tests.campaigns.show import table
from tests.servers.helpers import alertmanager

LANES: Final = 2
KILLS_AN_EPISODE: Final = 25
COMMAND_LINE_EACH: Final = 10  # episodes; the first of a lane is one of them, a short one
COMMAND_LINE_KILLS: Final = 8


def durable(kills: int, seed: int) -> Found:
    """HTTP `ack: durable` with keys over kept-alive connections, several senders and streams, and a followed file."""
    total, number = Found(), 0
    nursery = Nursery()
    try:
        while total.kills < kills:
            on_command_line = number % COMMAND_LINE_EACH == 0
            most = COMMAND_LINE_KILLS if on_command_line else KILLS_AN_EPISODE
            with tempfile.TemporaryDirectory(prefix="driftmon-crash-") as folder:
                this = seed + 1000 * number
                found = episode.run(
                    Path(folder), this, min(most, kills - total.kills), None if on_command_line else nursery
                )
            found.faults = [f"episode of seed {this}: {fault}" for fault in found.faults]
            total = _sum(total, found)
            number += 1
    finally:
        nursery.close()
    if not total.duplicates:
        total.faults.append("no kill hit a request between its commit and its answer: nothing was tried")
    return total


def followed_file(kills: int, seed: int) -> Found:
    """tests/campaigns/crash_file.py: rotation, truncation and torn lines under kills."""
    try:
        survived = crash_file.run(kills, seed)
    except AssertionError as fault:
        return Found(faults=[str(fault)])
    return Found(survived, faults=[] if survived >= kills else [f"{survived} kills in place of {kills}"])


def real_alertmanager(kills: int, seed: int) -> Found:
    """Alerts that go through Alertmanager, which tells a webhook: none is lost, once more per kill at most."""
    if shutil.which(ALERTMANAGER) is None:
        reason = f"{ALERTMANAGER} is not installed"
        return Found(skipped=reason, faults=[reason] if os.environ.get("DRIFTMON_REQUIRE_SERVERS") == "1" else [])
    nursery = Nursery()
    try:
        with tempfile.TemporaryDirectory(prefix="driftmon-crash-") as made, episode.receiver() as (inbox, told):
            folder = Path(made)
            with alertmanager(inbox, folder) as url:
                found = episode.run(folder, seed, kills, nursery, [{"type": "alertmanager", "endpoint": url}])
                limit_s = time.monotonic() + episode.SETTLE_S
                while ("Drift", "x", "firing") not in told and time.monotonic() < limit_s:
                    time.sleep(0.05)
            episode.judge_told(told, found)
    finally:
        nursery.close()
    return found


@dataclass(frozen=True)
class Part:
    """One source under kills: its share of them, in how many processes."""

    name: str
    run: Callable[[int, int], Found]
    share: float
    lanes: int


ALERTMANAGER: Final = "prometheus-alertmanager"
PARTS: Final = (
    Part("HTTP durable, followed file, alerts", durable, 0.78, LANES),
    Part("HTTP memory", memory_ack.run, 0.06, 1),
    Part("followed file, rotated; Unix socket", followed_file, 0.10, 1),
    Part("HTTP durable, real Alertmanager", real_alertmanager, 0.06, 1),
)


def run(kills: int, seed: int, parts: Sequence[Part] = PARTS) -> list[tuple[Part, Found, float]]:
    """Each part with what it found and the seconds it took."""
    results = []
    for part in parts:
        started_s = time.monotonic()
        share = math.ceil(kills * part.share / part.lanes)
        with ProcessPoolExecutor(part.lanes) as lanes:
            asked = [lanes.submit(part.run, share, seed + 10_000_000 * lane) for lane in range(part.lanes)]
            total = functools.reduce(_sum, (one.result() for one in asked))
        if total.skipped:
            sys.stdout.write(f"{part.name}: SKIPPED, {total.skipped}\n")
        results.append((part, total, time.monotonic() - started_s))
    return results


def _sum(one: Found, other: Found) -> Found:
    return Found(
        one.kills + other.kills,
        one.records + other.records,
        one.requests + other.requests,
        one.duplicates + other.duplicates,
        one.told + other.told,
        one.faults + other.faults,
        one.skipped or other.skipped,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="250 kills instead of 10,000")
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int, default=5)
    chosen = parser.parse_args()
    results = run(chosen.kills or (250 if chosen.short else 10_000), chosen.seed)
    head = ("source", "kills", "requests", "retried and known", "records", "notifications", "seconds", "faults")
    rows = [
        (part.name, one.kills, one.requests, one.duplicates, one.records, one.told, round(seconds), len(one.faults))
        for part, one, seconds in results
    ]
    table(f"crash, seed {chosen.seed}", head, rows)
    faults = [fault for _, one, _ in results for fault in one.faults]
    for fault in faults:
        sys.stdout.write(f"FAULT (replay: --seed {chosen.seed}): {fault}\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
