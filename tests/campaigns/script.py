"""Script: one run of the store in a child while one call fails; then a restart, and the power cut after both.

Law: what the run acknowledged is checked against images of its own trace, so a fault that was swallowed shows as a
loss. A sync that failed never happens: its pages are in the page cache, where the restart reads them, not on the disk.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from driftmon.daemon.store import StorageError
from tests.campaigns.children import BROKEN, in_a_child
from tests.campaigns.disk import Disk, Image, Mode, Op, records_of
from tests.campaigns.driver import Driver
from tests.campaigns.shim import Fault, Marks, Shim
from tests.campaigns.world import Ledger, World, chance_of, lay, read

SESSIONS: Final = (12, 12)  # the first is closed, the second ends as a kill ends it
MORE: Final = 4  # steps after the fault, with a checkpoint among them
WHOLE: Final = sum(SESSIONS) + MORE
RESTARTS: Final = 4  # of failed writes every fourth; they leave nothing in the page cache that is not on the disk
STREAMS: Final = len(SESSIONS) + 1
NAMES: Final = (Op.CREATE, Op.UNLINK, Op.RENAME, Op.SYNC_DIR)
CUTS: Final[tuple[Mode, ...]] = ("none", "all")


@dataclass
class Outcome:
    """How a run ended: its exit code, whether the fault happened, and what is wrong."""

    fault: Fault
    exit_code: int
    fired: bool
    full: int
    names_safe: bool  # it was the folder's sync, and another one covers the names
    faults: list[str]

    @property
    def end(self) -> str:
        """As a word for the table."""
        if not self.fired:
            return "no such call"
        if self.exit_code:
            return f"exit {self.exit_code}"
        if self.full:
            return "resumed"
        if self.names_safe:
            return "synced by another"
        # The log is moved at starts and ends; without room for that it stays, and has all that it had.
        return "log stays" if self.fault.kind == "write" and self.fault.error != "EIO" else "swallowed"


def tried(world: World, fault: Fault, base: Path, weaken: Callable[[], None] = lambda: None) -> Outcome:
    """Run the script with the fault; `weaken` makes the store a mutant."""
    shutil.rmtree(base, ignore_errors=True)
    state, trace = base / "state", base / "trace"
    state.mkdir(parents=True)
    code = in_a_child(lambda: _run(world, fault, state, trace, weaken))
    told = _told(trace)
    outcome = Outcome(fault, code, told.get("fired", 0) > 0, told.get("full", 0), _names_safe(trace), [])
    if code == BROKEN:
        outcome.faults.append("an unexpected exception")
    outcome.faults += _after_cuts(world, state, trace, base / "image")
    if code and outcome.fired and (fault.kind != "write" or fault.nth % RESTARTS == 0):
        again = in_a_child(lambda: _restart(world, state, trace, weaken))
        if again:
            outcome.faults.append(f"the restart ended with {again}")
        outcome.faults += [f"after a restart: {one}" for one in _after_cuts(world, state, trace, base / "image")]
    return outcome


def _run(world: World, fault: Fault, state: Path, trace: Path, weaken: Callable[[], None]) -> None:
    weaken()
    shim, mark, more = Shim(), Marks(trace), iter(range(MORE))
    shim.start(state, trace)
    shim.arm(fault)
    driver = Driver(world, state, mark, whole=WHOLE, together=1)
    driver.go_on = lambda: not shim.fired() or next(more, None) is not None
    try:
        for number, steps in enumerate(SESSIONS):
            driver.session(steps, close=number + 1 < len(SESSIONS))
            if shim.fired():
                more = iter(range(MORE))
    except StorageError as refused:
        sys.exit(refused.exit_code)
    finally:
        mark(f"fired {shim.fired()}")
        mark(f"full {driver.full}")


def _restart(world: World, state: Path, trace: Path, weaken: Callable[[], None]) -> None:
    weaken()
    Shim().start(state, trace)
    Driver(world, state, Marks(trace), pushed=10_000, step=sum(SESSIONS), whole=WHOLE, together=1).session(
        MORE, close=False
    )


def _told(trace: Path) -> dict[str, int]:
    marks = [record.path.split() for record in records_of(trace) if record.op == Op.MARK]
    return {words[0]: int(words[1]) for words in marks if words[0] in ("fired", "full")}


def _names_safe(trace: Path) -> bool:
    """Whether the sync that failed was the folder's, and no name waits for it: SQLite does not look at that one."""
    found = list(records_of(trace))
    files = {record.inode for record in found if record.op in (Op.CREATE, Op.OPENED)}
    failed = [record.inode for record in found if record.op == Op.SYNC_FAILED]
    words = [record.op for record in found if record.op in NAMES]
    return bool(failed) and not files & set(failed) and (not words or words[-1] == Op.SYNC_DIR)


def _after_cuts(world: World, state: Path, trace: Path, folder: Path) -> Iterator[str]:
    disk, ledger = Disk(state), Ledger()
    for record in records_of(trace):
        disk.apply(record)
        if record.op == Op.MARK:
            ledger.mark(record.path)
    tried_already: list[Image] = []
    for mode in CUTS:
        image = disk.after_a_cut("posix", mode, chance_of(0))  # what `ordered` keeps is in between
        if image not in tried_already:
            tried_already.append(image)
            yield from (f"{mode} of what was not synced: {one}" for one in _look(image, ledger, world, folder))


def _look(image: Image, ledger: Ledger, world: World, folder: Path) -> Iterator[str]:
    shutil.rmtree(folder, ignore_errors=True)
    lay(image, folder)
    try:
        found = read(folder)
    except (StorageError, sqlite3.Error) as fault:
        yield f"does not open: {fault}"
        return
    yield from ledger.lost(found)
    yield from ledger.wrong(found, world)
