"""Soak: `make soak`: minutes of the real daemon under mixed load: what could grow, and does not.

Law: memory has no slope its own noise does not explain; descriptors, threads and the files of the state stay within
bounds; at the end counted == sent, bin by bin.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from driftmon.monitor.snapshot import Snapshot
from tests.campaigns import growing
from tests.campaigns.load import Sender, Writer, difference
from tests.campaigns.nursery import Child
from tests.campaigns.show import table
from tests.daemon.kit import ready_config, stream

SHORT_S: Final = 90.0
LONG_S: Final = 600.0
EACH_S: Final = 0.5
LEAST_LOOKS: Final = 24
WARM_SHARE: Final = 0.4  # caches, keys of requests and panes fill up first
SLOPE_S: Final = 300.0  # in less, the log of the state, its cache and request keys are still filling up
MOST_GROWTH_MIB: Final = 16.0
# Over minutes: keys gather for 15 of them (2 MiB an hour), SQLite's cache fills up (1.4 MiB, once), and holes of the
# heap come and go within each (1.5 MiB): 12 were measured, and 33 when nobody gave the holes back.
SLOPE_MIB_AN_HOUR: Final = 20.0
WAL_BYTES: Final = 12 * 1024 * 1024
DATABASE_BYTES: Final = 64 * 1024 * 1024
MIB: Final = 1024 * 1024
MEMORY: Final = ("rss", "heap", "mapped", "files")  # all of it, then by whose it is: see Look
COLUMNS: Final = (
    *((name, MIB, 0) for name in MEMORY),
    ("descriptors", 1, 8),
    ("threads", 1, 8),
    ("database", MIB, 0),
    ("log", MIB, 0),
)


@dataclass(frozen=True)
class Look:
    """The process at one instant. `heap` is the C library's for the event loop, which holes may lengthen; `mapped` what
    Python's own objects and the other threads have, where a leak of objects shows; `files` the code that was read."""

    at_s: float
    rss: int
    heap: int
    mapped: int
    files: int
    descriptors: int
    threads: int
    database: int
    log: int


def look(pid: int, state: Path, at_s: float) -> Look:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    files = {path.name: path.stat().st_size for path in state.glob("state.db*")}
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    rss, anonymous, mapped = (int(status[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon", "RssFile"))
    heap = heap_bytes(Path(f"/proc/{pid}/smaps").read_text())
    memory = rss, heap, anonymous - heap, mapped
    return Look(at_s, *memory, descriptors, int(status["Threads"]), files["state.db"], files.get("state.db-wal", 0))


def heap_bytes(smaps: str) -> int:
    r"""What of [heap] is in memory; 0 where there is none.

    >>> heap_bytes("7f00-7f01 rw-p\nRss: 8 kB\n5500-5600 rw-p 0  [heap]\nSize: 4 kB\nRss: 3 kB\nRss: 9 kB")
    3072
    """
    found = re.search(r"\[heap\]\n(?:.*\n)*?Rss: +(\d+) kB", smaps)
    return int(found[1]) * 1024 if found else 0


def slope(looks: list[Look], name: str = "rss") -> tuple[float, float]:
    """MiB an hour and half of its 95 % interval, from the means of 12 blocks: neighbours are not independent."""
    blocks = np.array_split(np.array([(one.at_s / 3600, getattr(one, name) / MIB) for one in looks]), 12)
    hours, mib = np.array([block.mean(axis=0) for block in blocks]).T
    centred = hours - hours.mean()
    found = float(centred @ mib / (centred @ centred))
    rest = mib - mib.mean() - found * centred
    error = math.sqrt(float(rest @ rest) / (len(blocks) - 2) / float(centred @ centred))
    return found, 2.23 * error  # t of 10 degrees of freedom


def soak(folder: Path, seconds: float) -> tuple[list[Look], list[str], int]:
    """What was seen, what was wrong, how many records."""
    followed, state = folder / "a.ndjson", folder / "state"
    sources = [{"type": "http"}, {"type": "file", "path": str(followed), "follow": True}]
    unix, (reading, writing) = folder / "u.sock", os.pipe()
    streams = {
        "s": stream(sources=sources),
        "t": stream(tick="1s"),
        "u": stream(sources=[{"type": "unix", "path": str(unix)}], tick="1s"),
        "i": stream(sources=[{"type": "stdin"}], tick="1s"),
    }
    config = ready_config(folder, streams)
    fast = Sender("s", 1, pause_s=0.005, keyed=False)  # 100,000 keys are kept for 15 minutes, and would be growth
    senders = [fast, Sender("t", 500_000, shift=2.0, pause_s=0.5, large=True)]
    writer, piping = Writer(followed, 3, pause_s=0.02), Writer(Path(f"/proc/self/fd/{writing}"), 4, pause_s=0.02)
    local = growing.Writer(unix, 700_000, pause_s=0.05)
    child, looks, faults = Child(None, config, "--storage.path", str(state), stdin=reading), [], []
    os.close(reading)
    child.wait_until_it_listens()
    everything: list[Sender | Writer] = [*senders, writer, piping]
    local.start()
    for thread in everything:
        thread.start()
    for sender in senders:
        sender.to(child.api)
    begun_s = time.monotonic()
    while (at_s := time.monotonic() - begun_s) < seconds:
        looks.append(look(child.pid, state, at_s))
        for path in ("/api/v1/report", "/"):
            child.get(path)
        child.get("/metrics", web=True)
        time.sleep(EACH_S)
    for thread in everything:
        thread.over.set()
    local.over.set()
    for thread in everything:
        thread.join(30)
    local.join(30)
    os.close(writing)
    time.sleep(2.0)  # the followed file is read to its end
    sent = {"s": [*senders[0].sent, *writer.sent], "t": senders[1].sent, "u": local.answered, "i": piping.sent}
    for name, rows in sent.items():
        if fault := difference(Snapshot.from_bytes(child.get(f"/api/v1/streams/{name}/snapshot")), rows):
            faults.append(f"stream {name}: {fault}")
    faults += [*local.faults, *(fault for sender in senders for fault in sender.faults)]
    if local.unanswered:
        faults.append(f"{len(local.unanswered)} records over the Unix socket had no answer")
    if (code := child.end()) != 0:
        faults.append(f"SIGTERM: exit {code}")
    return looks, faults, sum(map(len, sent.values()))


def judge(looks: list[Look], most_slope: float) -> tuple[list[tuple[str, object, object, object, str]], list[str]]:
    """Rows of a table, and faults."""
    warm = looks[int(len(looks) * WARM_SHARE) :]
    if len(warm) < LEAST_LOOKS:
        return [], [f"{len(warm)} looks are too few to judge by"]
    found, half = slope(warm)
    faults = []
    grown = (max(one.rss for one in warm) - warm[0].rss) / MIB
    if looks[-1].at_s - looks[0].at_s < SLOPE_S:
        if grown > MOST_GROWTH_MIB:
            faults.append(f"memory grew by {grown:.1f} MiB, more than {MOST_GROWTH_MIB:g}")
    elif found - half > most_slope:
        faults.append(f"memory grows by {found:.1f} +- {half:.1f} MiB an hour, more than {most_slope:g}")
    rows: list[tuple[str, object, object, object, str]] = []
    for name, unit, extra in COLUMNS:
        values = [getattr(one, name) / unit for one in warm]
        shown = "{:+.1f} +- {:.1f} MiB an hour (95 %)".format(*slope(warm, name)) if name in MEMORY else ""
        rows.append((name, f"{values[0]:.1f}", f"{max(values):.1f}", f"{values[-1]:.1f}", shown))
        if extra and max(values) > values[0] + extra:
            faults.append(f"{name} went from {values[0]:g} to {max(values):g}")
    if max(one.log for one in looks) > WAL_BYTES or max(one.database for one in looks) > DATABASE_BYTES:
        faults.append("the files of the state grew beyond their bounds")
    return rows, faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help=f"{SHORT_S:g} s instead of {LONG_S:g}")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--slope", type=float, default=SLOPE_MIB_AN_HOUR, help="MiB an hour that are too much")
    chosen = parser.parse_args()
    seconds = chosen.seconds or (SHORT_S if chosen.short else LONG_S)
    with tempfile.TemporaryDirectory(prefix="driftmon-soak-") as folder:
        looks, faults, records = soak(Path(folder), seconds)
    rows, more = judge(looks, chosen.slope)
    table(f"soak, {seconds:g} s, {records:,} records", ("what", "warm", "most", "end", "slope"), rows)
    for fault in (faults := [*faults, *more]):
        sys.stdout.write(f"FAULT: {fault}\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
