"""Crash, followed file and Unix socket: kill -9 of the real daemon while a log is torn and rotated, also in downtime.

Law: a followed file is counted exactly once, bin by bin, and no gap is claimed; over a Unix socket what was answered
is counted, and nothing is counted that was not sent, nor twice.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from driftmon.monitor.snapshot import Snapshot
from tests.campaigns.growing import STYLES, Log, Writer
from tests.campaigns.load import difference, expected
from tests.campaigns.nursery import Child, Nursery
from tests.campaigns.show import table
from tests.daemon.kit import ready_config, stream

KILLS_AN_EPISODE: Final = 20  # the rotated files of an episode all stay
AT_THE_START: Final = 0.2  # share of kills that hit a daemon still recovering
LONG_LIFE: Final = 0.05  # share of lives that see a second T2
FIRST_COMMIT_S: Final = 1.2
SETTLE_S: Final = 30.0


def run(kills: int, seed: int) -> int:
    """How many kills were survived; AssertionError names the seed of the episode that was not."""
    return sum(episode_kills for episode_kills, _ in _episodes(kills, seed))


def _episodes(kills: int, seed: int) -> list[tuple[int, Counter[str]]]:
    found: list[tuple[int, Counter[str]]] = []
    nursery = Nursery()
    try:
        for number, first in enumerate(range(0, kills, KILLS_AN_EPISODE)):
            this, some = seed + 100_000_000 * number, min(KILLS_AN_EPISODE, kills - first)
            with tempfile.TemporaryDirectory(prefix="driftmon-crash-") as folder:
                try:
                    style = STYLES[number % len(STYLES)]
                    found.append((some, _episode(Path(folder), this, some, style, nursery)))
                except AssertionError as fault:
                    raise AssertionError(f"episode of seed {this}, {style}, {some} kills: {fault}") from fault
    finally:
        nursery.close()
    return found


def _episode(folder: Path, seed: int, kills: int, style: str, nursery: Nursery) -> Counter[str]:
    chance = random.Random(seed)
    log, writer = Log(folder / "a.ndjson", seed, style), Writer(folder / "u.sock", seed + 50_000_000)
    streams = {
        "s": stream(sources=[{"type": "file", "path": str(log.path), "follow": True}]),
        "u": stream(sources=[{"type": "unix", "path": str(writer.path)}]),
    }
    start = partial(Child, nursery, ready_config(folder, streams), "--storage.path", str(folder / "state"))
    log.start()
    writer.start()
    _first_life(start(), log)
    for _ in range(kills - 1):
        child = start()
        if chance.random() < AT_THE_START:
            time.sleep(chance.uniform(0, 0.08))
        else:
            child.wait_until_it_listens()
            time.sleep(chance.uniform(1.0, 1.5) if chance.random() < LONG_LIFE else chance.uniform(0, 0.15))
        child.kill()
        time.sleep(chance.choice((0.0, 0.0, 0.1, 0.2)))  # the log goes on
    child = start()
    child.wait_until_it_listens()
    for thread in (log, writer):
        thread.over.set()
        thread.join(SETTLE_S)
    try:
        _judge(child, log, writer)
    except AssertionError as fault:
        told = "".join(one.read_text() for one in sorted(folder.glob("log-*")))
        raise AssertionError(f"{fault}; the logs:\n{told[-4000:]}") from fault
    assert (code := child.end()) == 0, f"SIGTERM: exit {code}; the log:\n{child.log.read_text()}"
    return Counter(
        records=len(log.sent), rotations=log.rotations, compressed=log.compressed,
        connections=writer.connections, answered=len(writer.answered), unanswered=len(writer.unanswered),
    )  # fmt: skip


def _first_life(child: Child, log: Log) -> None:
    """Until a position is committed: from then on the log may be rotated."""
    child.wait_until_it_listens()
    _wait_until(lambda: "" if _counts(child, "s").counts.any() else "nothing of the file was ever counted")
    time.sleep(FIRST_COMMIT_S)
    log.known.set()
    child.kill()


def _judge(child: Child, log: Log, writer: Writer) -> None:
    _wait_until(lambda: "" if not (fault := difference(_counts(child, "s"), log.sent)) else f"file: {fault}")
    assert not writer.faults, writer.faults[:3]

    def bounds() -> str:
        found = _counts(child, "u")
        least, unsure = expected(found.schema, writer.answered), expected(found.schema, writer.unanswered)
        wrong = np.flatnonzero((found.counts < least) | (found.counts > least + unsure)).tolist()
        return f"unix: bins {wrong} have less than was answered or more than was sent" if wrong else ""

    _wait_until(bounds)
    gap = next(row for row in child.get("/metrics", web=True).decode().splitlines() if row.startswith(GAP))
    assert gap.endswith(" 0.0"), gap


GAP: Final = 'driftmon_source_gap_events_total{stream="s",source="file"}'


def _counts(child: Child, name: str) -> Snapshot:
    return Snapshot.from_bytes(child.get(f"/api/v1/streams/{name}/snapshot"))


def _wait_until(fault: Callable[[], str]) -> None:
    """The end of the log may still be being read."""
    limit_s = time.monotonic() + SETTLE_S
    while found := fault():
        assert time.monotonic() < limit_s, found
        time.sleep(0.05)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="60 kills instead of 1,000")
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int, default=5)
    chosen = parser.parse_args()
    started_s = time.monotonic()
    try:
        found = _episodes(chosen.kills or (60 if chosen.short else 1000), chosen.seed)
    except AssertionError as fault:
        sys.stdout.write(f"FAULT (replay: --seed N of the episode): {fault}\n")
        return 1
    total = sum((one for _, one in found), Counter())
    done, seconds = sum(one for one, _ in found), time.monotonic() - started_s
    head = ("seed", "kills", *total, "seconds", "kills a second")
    table(
        "crash, followed file and Unix socket",
        head,
        [(chosen.seed, done, *total.values(), round(seconds), f"{done / seconds:.1f}")],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
