"""`python -m tests.campaigns.iofaults [--short]`: a write or sync that fails is never silent.

Law: a scripted run of the store with the n-th write, sync or truncation failing, for every n there is. It ends with
exit 73 or 74, or goes on when there is room again; cut the power then, or after a restart, and what was acknowledged
is there, exactly. A mutant that leaves the checkpoints to SQLite must be seen to swallow some.
"""

from __future__ import annotations

import argparse
import gc
import logging
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.campaigns.children import PROCESSES, in_two
from tests.campaigns.daemon_faults import daemon_smoke
from tests.campaigns.script import STREAMS, Outcome, tried
from tests.campaigns.shim import Fault, run_under_the_shim
from tests.campaigns.world import World

MODULE: Final = "tests.campaigns.iofaults"
MOST: Final = 300
FULL_FOR: Final = 9  # calls that find no room, one after the other
PLAN: Final = (  # and of which n the short form tries one
    (("write", "EIO", 1), 1),
    (("write", "ENOSPC", 1), 1),
    (("write", "short", 1), 5),
    (("write", "ENOSPC", FULL_FOR), 10),
    (("sync", "EIO", 1), 1),
    (("sync", "ENOSPC", 1), 5),
    (("truncate", "EIO", 1), 1),
)
MUTANT: Final = ("sync", "EIO", 1)


@dataclass
class Tally:
    """Runs with one kind of fault, by how they ended."""

    ends: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    last: int = 0  # the greatest n that there is

    def add(self, fault: Fault, outcome: Outcome) -> None:
        self.ends[outcome.end] += 1
        if outcome.fired:
            self.last = fault.nth
        self.faults += [f"{fault}: {outcome.end}: {one}" for one in outcome.faults]

    def join(self, other: Tally) -> None:
        self.ends += other.ends
        self.faults += other.faults
        self.last = max(self.last, other.last)


def sweep(
    world: World, like: tuple[str, str, int], most: int, stride: int, base: Path, weaken: Callable[[], None]
) -> Tally:
    """Every stride-th n until the script has no such call, at most `most`, in two processes."""

    def part(number: int) -> Tally:
        tally, (kind, error, times) = Tally(), like
        for nth in range(1 + number * stride, most + 1, PROCESSES * stride):
            fault = Fault(kind, error, nth, times)
            outcome = tried(world, fault, base / str(number), weaken)
            if not outcome.fired and not outcome.faults:
                break
            tally.add(fault, outcome)
        return tally

    result = Tally()
    for tally in in_two(part):
        result.join(tally)
    return result


def leave_checkpoints_to_sqlite() -> None:
    """The mutant: SQLite moves the log into the file by itself, and nobody looks whether it could."""
    connect = sqlite3.connect

    class Unchecked(sqlite3.Connection):
        def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
            if statement.startswith("PRAGMA wal_autocheckpoint"):
                statement = "PRAGMA wal_autocheckpoint=20"
            return super().execute(statement, *parameters)

    setattr(sqlite3, "connect", partial(connect, factory=Unchecked))  # noqa: B010  a mutant's


def nothing() -> None:
    """The product as it is."""


def main() -> int:
    parser = argparse.ArgumentParser(prog=MODULE)
    parser.add_argument("--short", action="store_true", help="of faults that a retry passes some n only")
    parser.add_argument("--most", type=int, default=MOST)
    options = parser.parse_args()
    run_under_the_shim(MODULE)
    logging.disable()
    base, failed = Path(tempfile.mkdtemp(prefix="driftmon-iofaults-", dir=_memory())), False
    try:
        world = World(base)
        tried(world, Fault("write", "EIO", options.most * 100), base / "warm")
        world.prepare(STREAMS)
        sys.stdout.write("the n-th call fails         runs  greatest n  silent  seconds  ended\n")
        gc.freeze()  # a collection in a child would copy what it shares with us
        for like, often in PLAN:
            stride = often if options.short else 1
            failed |= _row(like, partial(sweep, world, like, options.most, stride, base), nothing)
        swept = partial(sweep, world, MUTANT, options.most, 2 if options.short else 1, base)
        failed |= _row(MUTANT, swept, leave_checkpoints_to_sqlite)
        failed |= daemon_smoke(base / "daemon")
    finally:
        shutil.rmtree(base)
    return int(failed)


def _row(like: tuple[str, str, int], run: Callable[[Callable[[], None]], Tally], weaken: Callable[[], None]) -> bool:
    """Of the table; whether it is a failure."""
    began, mutant = time.monotonic(), weaken is not nothing
    tally = run(weaken)
    kind, error, times = like
    name = f"{'MUTANT ' if mutant else ''}{kind} {error}{f' x{times}' if times > 1 else ''}"
    silent = tally.ends["swallowed"] if kind != "truncate" else 0  # a log that is not cut holds the same
    ends = ", ".join(f"{end} {count}" for end, count in sorted(tally.ends.items()))
    took_s = time.monotonic() - began
    sys.stdout.write(f"{name:26} {sum(tally.ends.values()):5} {tally.last:11} {silent:7} {took_s:8.1f}  {ends}\n")
    wrong = [] if mutant else tally.faults
    for fault in wrong[:10]:
        sys.stdout.write(f"  FAILED {fault}\n")
    sys.stdout.flush()
    return silent == 0 if mutant else bool(wrong or silent)


def _memory() -> Path | None:
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else None


if __name__ == "__main__":
    sys.exit(main())
