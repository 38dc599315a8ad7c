"""`python -m tests.campaigns.bitflips [--short] [--seed N]`: a flipped bit or a cut file never stops a start and never
counts wrongly.

Law: of every sector of every file of the state one bit is flipped, and every file is cut at every sector. Each time
the store opens by itself and holds the truth, or an earlier or emptier state and says so in the log. What is gone or
counted otherwise and told by nobody is a failure, and so is a start that takes longer than LONGEST_S.
A cut of the log, or a flip in its last transaction, looks as a power cut does: it takes the end of it (`earlier`).
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from tests.campaigns.children import PROCESSES, in_a_child, in_two
from tests.campaigns.disk import SECTOR, Image
from tests.campaigns.driver import Driver
from tests.campaigns.world import Found, World, chance_of, lay, read, untrue

MODULE: Final = "tests.campaigns.bitflips"
LONGEST_S: Final = 5.0  # a start, on a machine that does other things too
TOGETHER: Final = 4  # batches in one commit of the driver, at most
ENDS: Final = ("harmless", "told", "earlier", "silent", "no start")


class Ear(logging.Handler):
    """Hears what an operator would: warnings and errors, by their texts before names and numbers are filled in."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.add(record.msg)

    def __enter__(self) -> Ear:
        logging.getLogger("driftmon").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("driftmon").removeHandler(self)


@dataclass(frozen=True)
class Damage:
    """One bit of a file, or its end from a sector on."""

    file: str
    sector: int
    bit: int | None

    def of(self, image: Image) -> Image:
        data = bytearray(image[self.file])
        if self.bit is None:
            del data[self.sector * SECTOR :]
        else:
            data[self.sector * SECTOR + self.bit // 8] ^= 1 << self.bit % 8
        return {**image, self.file: bytes(data)}

    def __str__(self) -> str:
        return f"{self.file} sector {self.sector} " + ("cut off" if self.bit is None else f"bit {self.bit}")


@dataclass
class Tally:
    """By file and kind of damage: how the starts ended."""

    ends: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0


def damages(image: Image, rounds: int, seed: int) -> list[Damage]:
    """Each sector once and a cut at each; more bits of it in more rounds."""
    result = []
    for name, data in sorted(image.items()):
        for sector in range(-(-len(data) // SECTOR)):
            bits = 8 * min(SECTOR, len(data) - sector * SECTOR)
            chance = chance_of(seed, sector, len(name))
            result += [Damage(name, sector, chance.randrange(bits)) for _ in range(rounds)]
            result.append(Damage(name, sector, None))
    return result


def state_of(world: World, folder: Path, sessions: Sequence[tuple[int, bool]]) -> Image:
    """A folder as sessions of the store leave it."""
    folder.mkdir()
    for number, (steps, close) in enumerate(sessions):
        driver = Driver(world, folder, lambda _: None, pushed=1000 * number, step=40 * number)
        if in_a_child(partial(driver.session, steps, close=close)):
            raise AssertionError("the workload failed")
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def campaign(world: World, image: Image, base: Path, rounds: int, seed: int) -> Tally:
    """In two processes."""
    lay(image, base / "whole")
    with Ear() as usual:
        truth = read(base / "whole")
    if any(untrue(truth, world)) or not truth.keys:
        raise AssertionError("the undamaged state is not as it should be")
    all_of_them = damages(image, rounds, seed)

    def part(number: int) -> Tally:
        tally = Tally()
        for damage in all_of_them[number::PROCESSES]:
            _try(world, damage, damage.of(image), (truth, usual.heard), base / str(number), tally)
        return tally

    result = Tally()
    for tally in in_two(part):
        result.ends += tally.ends
        result.faults += tally.faults
        result.slowest_s = max(result.slowest_s, tally.slowest_s)
    return result


def _try(world: World, damage: Damage, image: Image, whole: tuple[Found, set[str]], folder: Path, tally: Tally) -> None:
    """`whole`: what a start without damage finds, and what it logs."""
    shutil.rmtree(folder, ignore_errors=True)
    lay(image, folder)
    truth, usual = whole
    began = time.monotonic()
    try:
        with Ear() as ear:
            found = read(folder)
        end, told = ("told", []) if ear.heard - usual and found != truth else _untold(world, found, truth, damage)
    except Exception as fault:
        end, told = "no start", [repr(fault)]
    took_s = time.monotonic() - began
    tally.slowest_s = max(tally.slowest_s, took_s)
    if took_s > LONGEST_S:
        told.append(f"the start took {took_s:.1f} s")
    tally.ends[damage.file, "cut" if damage.bit is None else "flip", end] += 1
    tally.faults += [f"{damage}: {end}: {one}" for one in told]


def _untold(world: World, found: Found, truth: Found, damage: Damage) -> tuple[str, list[str]]:
    """How a start ended that said nothing, and what is wrong with that."""
    if found == truth:
        return "harmless", []
    wrong = list(untrue(found, world))
    gone = len(truth.keys - found.keys)
    in_the_end = gone <= TOGETHER or damage.bit is None  # of the log
    if not wrong and in_the_end and damage.file.endswith("-wal") and found.keys <= truth.keys:
        return "earlier", []
    return "silent", wrong or [f"{gone} batches are gone, the position is {found.offset} of {truth.offset}"]


def rows_of(tally: Tally) -> Iterator[str]:
    """Of the table."""
    for file, kind in sorted({(file, kind) for file, kind, _ in tally.ends}):
        counts = [tally.ends[file, kind, end] for end in ENDS]
        yield f"{file:14} {kind:5} {sum(counts):6} " + " ".join(f"{count:9}" for count in counts)


def main() -> int:
    parser = argparse.ArgumentParser(prog=MODULE)
    parser.add_argument("--short", action="store_true", help="one bit of each sector in place of ten")
    parser.add_argument("--seed", type=int, default=5)
    options = parser.parse_args()
    logging.getLogger("driftmon").propagate = False
    memory = Path("/dev/shm")
    base, failed = Path(tempfile.mkdtemp(prefix="driftmon-bitflips-", dir=memory if memory.is_dir() else None)), False
    sys.stdout.write(f"a bit of every sector flipped, every file cut at every sector, seed {options.seed}\n")
    sys.stdout.write(f"{'file':14} {'':5} {'starts':>6} " + " ".join(f"{end:>9}" for end in ENDS) + "\n")
    try:
        (base / "config").mkdir()
        world = World(base / "config")
        for name, sessions in (("closed", ((40, True),)), ("killed", ((24, True), (16, False)))):
            began = time.monotonic()
            image = state_of(world, base / name, sessions)
            image = {file: data for file, data in image.items() if data}
            tally = campaign(world, image, base / f"{name}-images", 1 if options.short else 10, options.seed)
            for row in rows_of(tally):
                sys.stdout.write(row + "\n")
            took_s = time.monotonic() - began
            sys.stdout.write(f"  {name}: {took_s:.1f} s, slowest start {tally.slowest_s:.2f} s\n")
            for fault in tally.faults[:10]:
                sys.stdout.write(f"  FAILED {fault}\n")
            sys.stdout.flush()
            failed |= bool(tally.faults)
    finally:
        shutil.rmtree(base)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
