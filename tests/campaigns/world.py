"""World: two streams at work on a store, batch after batch, and what must be found again of them.

Law: a batch counts what a count of its rows gives, so what a database holds follows from the keys and the position in
it, bin by bin; the driver's marks in the trace say what was sent and what was acknowledged before the cut.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from driftmon.daemon.config import load
from driftmon.daemon.on_disk import load_references
from driftmon.daemon.store import Store
from driftmon.daemon.streams import Saved, Stream, build_streams
from driftmon.monitor.batch import Batch
from driftmon.monitor.references import count_into
from driftmon.sources.base import Block
from driftmon.stats.columns import column_of
from driftmon.stats.schema import Counts, Schema
from tests.campaigns.disk import Image
from tests.daemon.kit import ndjson, ready_config, records, stream

PUSHED, FOLLOWED = "s", "f"  # with keys, T1 before the answer; with a position, T2
ORIGIN: Final = "file:/a"
START_MS: Final = 1_700_000_000_000


def rows_of(name: str, number: int) -> list[dict[str, Any]]:
    """Of one batch: few or, now and then, many, so that a commit has many pages."""
    seed = 2 * number + (name == FOLLOWED)
    return records(400 if number % 17 == 5 else 1 + number % 23, seed=seed)


@dataclass
class World:
    """Configured once; each process that counts makes its streams anew."""

    folder: Path  # of the configuration, not of the state
    schema: Schema = field(init=False)
    _ready: list[dict[str, Stream]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.config = ready_config(self.folder, {PUSHED: stream(), FOLLOWED: stream()})
        monitor = self.streams()[PUSHED].monitor
        assert monitor is not None
        self.schema = monitor.schema
        self.vector = cache(self._vector)

    def prepare(self, sets: int) -> None:
        """Make streams in advance: a fork has its own copy of them."""
        self._ready = [self.streams() for _ in range(sets)]

    def streams(self) -> dict[str, Stream]:
        """Of a process that starts."""
        if self._ready:
            return self._ready.pop()
        config = load(self.config, {})
        return build_streams(config, load_references(config))

    def _vector(self, name: str, number: int) -> Counts:
        rows = rows_of(name, number)
        columns = {one.name: column_of(one.kind, [row[one.name] for row in rows]) for one in self.schema.features}
        return count_into(self.schema, Batch(len(rows), columns))[0].counts

    def counts(self, name: str, numbers: Iterable[int]) -> Counts:
        return sum((self.vector(name, number) for number in numbers), np.zeros(self.schema.width, dtype=np.int64))


@cache
def block_of(name: str, number: int) -> Block:
    data = ndjson(rows_of(name, number))
    if name == FOLLOWED:
        return Block(name, "file", "ndjson", data, {"offset": number + 1}, origin=ORIGIN)
    return Block(name, "http", "ndjson", data, key=str(number))


@dataclass(frozen=True)
class Found:
    """In a database: keys of the pushed stream, how far the followed one was read, and the counts of both."""

    keys: frozenset[int]
    offset: int
    counts: Mapping[str, tuple[int, ...]]
    panes: Mapping[str, tuple[int, ...]]  # of all panes together, finest ring and open ones


def read(folder: Path) -> Found:
    """As a start does it."""
    store = Store(folder)
    try:
        saved = {name: store.load(name) for name in (PUSHED, FOLLOWED)}
        keys = frozenset(int(key) if key.isdecimal() else -1 for _, key in store.seen())
    finally:
        store.close()
    followed = saved[FOLLOWED]
    offset = 0 if not isinstance(followed, Saved) else int(followed.positions.get(ORIGIN, {"offset": 0})["offset"])
    kept = {name: one.snapshot for name, one in saved.items() if isinstance(one, Saved)}
    panes = {
        name: sum([*next(iter(one.rings.values())).values(), *one.open_panes.values()], np.zeros_like(one.counts))
        for name, one in kept.items()
    }
    return Found(
        keys,
        offset,
        {name: tuple(one.counts.tolist()) for name, one in kept.items()},
        {name: tuple(held.tolist()) for name, held in panes.items()},
    )


@dataclass
class Ledger:
    """What the marks say: batches sent, batches acknowledged, and of the followed stream the position told safe."""

    sent: set[int] = field(default_factory=set)
    acked: set[int] = field(default_factory=set)
    read: int = 0
    safe: int = 0

    def mark(self, text: str) -> None:
        word, *numbers = text.split()
        match word:
            case "sent":
                self.sent |= set(map(int, numbers))
            case "acked":
                self.acked |= set(map(int, numbers))
            case "read":
                self.read = int(numbers[0])
            case "safe":
                self.safe = int(numbers[0])

    def lost(self, found: Found) -> Iterator[str]:
        """What was acknowledged and is not there."""
        if missing := self.acked - found.keys:
            yield f"{len(missing)} acknowledged batches are lost, the first is {min(missing)}"
        if found.offset < self.safe:
            yield f"the position is {found.offset}, {self.safe} was safe"

    def wrong(self, found: Found, world: World) -> Iterator[str]:
        """What is there and should not be, or was counted otherwise than the keys and the position say."""
        if strange := found.keys - self.sent:
            yield f"batches {sorted(strange)[:5]} were never sent"
        if found.offset > self.read:
            yield f"the position is {found.offset}, only {self.read} was read"
        yield from untrue(found, world)


def untrue(found: Found, world: World) -> Iterator[str]:
    """Counts that are not those of the batches which are said to be there."""
    said = {PUSHED: found.keys, FOLLOWED: range(found.offset)}
    for name, numbers in said.items():
        expected = world.counts(name, numbers)
        for what, held in (("counts", found.counts), ("panes", found.panes)):
            difference = int(np.abs(np.array(held.get(name, 0 * expected)) - expected).sum())
            if difference:
                yield f"{what} of {name} differ by {difference} from those of the {len(numbers)} batches that it names"


def lay(image: Image, folder: Path) -> None:
    """Write it down; the folder is empty before."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in image.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)


def chance_of(*seed: int) -> random.Random:
    return random.Random(":".join(map(str, seed)))
