"""`python -m tests.campaigns.powercut [--short] [--seed N]`: nothing acknowledged is lost when the power goes.

Law: the writes and syncs of the store and of the real daemon are recorded; the power is cut at random points of them,
and every image a disk may then hold opens by itself and holds what was acknowledged, exactly, also if the power goes
again while it is recovered. `synchronous` NORMAL and OFF must lose something here, else the campaign itself fails.
"""

from __future__ import annotations

import argparse
import logging
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from driftmon.daemon.store import StorageError
from tests.campaigns.children import PROCESSES, in_two
from tests.campaigns.disk import MODELS, MODES, Disk, Image, Mode, Model, Op, records_of
from tests.campaigns.shim import Shim, run_under_the_shim
from tests.campaigns.traces import LONG, SESSIONS, Trace, marks_of, of_the_daemon, of_the_store, recorded
from tests.campaigns.world import Found, Ledger, World, chance_of, lay, read

MODULE: Final = "tests.campaigns.powercut"
TWICE: Final = 8  # of so many images one is cut again while it is recovered
RARE: Final = (Op.CREATE, Op.UNLINK, Op.RENAME, Op.TRUNCATE)
NEAR: Final = 25


@dataclass
class Tally:
    """Of images; `faults` say which."""

    images: int = 0
    again: int = 0
    lost: int = 0
    wrong: int = 0
    shut: int = 0  # did not open
    faults: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.images += other.images
        self.again += other.again
        self.lost += other.lost
        self.wrong += other.wrong
        self.shut += other.shut
        self.faults += other.faults


@dataclass(frozen=True)
class Cut:
    """Image `number` of a trace; `at` records have happened."""

    at: int
    number: int
    model: Model
    mode: Mode | None


def cuts_of(trace: Trace, images: int, seed: int) -> list[Cut]:
    """Half of them anywhere, half near where names and lengths change, which is rare."""
    rare = [at for at, record in enumerate(trace.records) if record.op in RARE]
    result = []
    for number in range(images):
        chance, end = chance_of(seed, number), len(trace.records)
        at = chance.randint(0, end) if number % 2 else chance.choice(rare) + chance.randint(-NEAR, NEAR)
        mode = chance.choice([None, *MODES])
        result.append(Cut(min(max(at, 0), end), number, chance.choice(MODELS), mode))
    return sorted(result, key=lambda cut: cut.at)


def campaign(trace: Trace, images: int, seed: int, world: World, base: Path) -> Tally:
    """In two processes."""
    share = partial(_share, trace, cuts_of(trace, images, seed), seed, world, base / trace.name)
    result = Tally()
    for part in in_two(share):
        result.add(part)
    return result


def _share(trace: Trace, cuts: Sequence[Cut], seed: int, world: World, base: Path, part: int) -> Tally:
    logging.disable()
    disk, ledger, tally, done = Disk(trace.folder), Ledger(), Tally(), 0
    for cut in cuts[part::PROCESSES]:
        for record in trace.records[done : cut.at]:
            disk.apply(record)
            if record.op == Op.MARK:
                ledger.mark(record.path)
        done = cut.at
        chance = chance_of(seed, cut.number, 1)
        folder = base / f"image-{part}"
        image = disk.after_a_cut(cut.model, cut.mode, chance)
        for fault in _try(image, ledger, world, folder, tally, chance if cut.number % TWICE == 0 else None):
            tally.faults.append(f"{trace.name}, seed {seed}, {cut}: {fault}")
    return tally


def _try(
    image: Image, ledger: Ledger, world: World, folder: Path, tally: Tally, again: random.Random | None
) -> Iterator[str]:
    """Recover an image and look; with `again` the power goes once more meanwhile."""
    tally.images += 1
    trace = folder.with_suffix(".trace")
    try:
        found = _recovered(image, folder, None if again is None else trace)
    except Exception as fault:
        tally.shut += 1
        yield f"does not open: {fault!r}"
        return
    lost, wrong = list(ledger.lost(found)), list(ledger.wrong(found, world))
    if again is not None:
        wrong += _cut_again(image, found, folder, trace, again)
        tally.again += 1
    tally.lost += bool(lost)
    tally.wrong += bool(wrong)
    yield from lost + wrong


def _cut_again(image: Image, found: Found, folder: Path, trace: Path, chance: random.Random) -> Iterator[str]:
    disk, steps = Disk(folder, image), list(records_of(trace))
    for record in steps[: chance.randint(0, len(steps))]:
        disk.apply(record)
    second = disk.after_a_cut(chance.choice(MODELS), chance.choice([None, *MODES]), chance)
    try:
        if _recovered(second, folder, None) != found:
            yield "recovered otherwise after a second cut"
    except StorageError as fault:
        yield f"does not open after a second cut: {fault}"


def _recovered(image: Image, folder: Path, trace: Path | None) -> Found:
    shutil.rmtree(folder, ignore_errors=True)
    lay(image, folder)
    if trace is None:
        return read(folder)
    trace.unlink(missing_ok=True)
    shim = Shim()
    shim.start(folder, trace)
    try:
        return read(folder)
    finally:
        shim.stop()


def plan(world: World, seed: int, base: Path, images: int) -> Iterator[tuple[Trace, int, bool]]:
    """Traces, how many images of each, and whether it is a mutant."""
    mutant = min(images // 6, 1000)

    def store(name: str, synchronous: str | None = None) -> Trace:
        sessions = LONG if name == "store-long" else SESSIONS
        return recorded(name, base, partial(of_the_store, world, seed, sessions, synchronous))

    yield store("store"), images * 6 // 10, False
    yield store("store-long"), images // 10, False
    yield recorded("daemon", base, partial(of_the_daemon, world, 250)), images * 3 // 10, False
    yield store("mutant-normal", "NORMAL"), mutant, True
    yield store("mutant-off", "OFF"), mutant, True


def main() -> int:
    parser = argparse.ArgumentParser(prog=MODULE)
    parser.add_argument("--short", action="store_true", help="2,000 images in place of 20,000")
    parser.add_argument("--images", type=int)
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    run_under_the_shim(MODULE)
    images, failed, base = options.images or (2000 if options.short else 20000), False, _workplace()
    sys.stdout.write(f"power cuts, seed {options.seed}\n")
    sys.stdout.write(f"{'trace':14} records   acks  images  cut twice  lost  wrong  unopenable  seconds\n")
    try:
        (base / "config").mkdir()
        world = World(base / "config")
        for trace, share, mutant in plan(world, options.seed, base, images):
            began = time.monotonic()
            tally = campaign(trace, share, options.seed, world, base)
            counts = f"{len(trace.records):7} {marks_of(trace):6} {tally.images:7} {tally.again:10} {tally.lost:5}"
            took_s = time.monotonic() - began
            sys.stdout.write(f"{trace.name:14} {counts} {tally.wrong:6} {tally.shut:11} {took_s:8.1f}\n")
            bad = not tally.lost if mutant else bool(tally.faults)
            for fault in ["a mutant that loses nothing: the harness sees no loss"] if mutant else tally.faults[:10]:
                if bad:
                    sys.stdout.write(f"  FAILED {fault}\n")
            sys.stdout.flush()
            failed |= bad
    finally:
        shutil.rmtree(base)
    return int(failed)


def _workplace() -> Path:
    """In memory where there is room for it: a sync costs nothing there, and the model does not ask the disk."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="driftmon-powercut-", dir=memory if memory.is_dir() else None))


if __name__ == "__main__":
    sys.exit(main())
