"""Gathering: the rows of a warm-up as bytes, for a restart that gathers on.

Law: the same rows in the same order, so the reference that comes of them is the same. Rows that were gathered
for other features are of no use and are not read.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from driftmon.monitor.batch import Batch
from driftmon.monitor.warmup import WarmUp, part
from driftmon.sources.base import Position
from driftmon.stats.columns import Column
from driftmon.stats.edges import FeatureSpec

LEVEL: Final = 1


class Rows(Struct, frozen=True):
    """A batch that a warm-up took, and when; `told` is how often it had begun again by then, and why."""

    batch: Batch
    now_ms: int | None
    told: tuple[int, str] = (0, "")


class Warming(Struct, frozen=True):
    """What outlives a process of a stream that gathers its reference."""

    rows: tuple[Rows, ...]
    positions: Mapping[str, Position] = {}


class Gathering:
    """Rows that the store does not have yet; `anew`: what it has is of a warm-up that was dropped."""

    def __init__(self) -> None:
        self.rows: list[Rows] = []
        self.anew = False

    def note(self, warm_up: WarmUp, batch: Batch, now_ms: int | None, again: bool) -> None:
        """After `warm_up` took a batch; `again`: it found itself unstable and began again within it."""
        if again:
            self.rows, self.anew = [], True
            batch = part(batch, batch.rows - warm_up.seen, batch.rows)
        self.rows.append(Rows(batch, now_ms, (warm_up.restarts, warm_up.fault)))

    def forget(self) -> None:
        """They are in the store, or in the reference."""
        self.rows, self.anew = [], False


def packed_rows(rows: Rows, specs: Sequence[FeatureSpec]) -> bytes:
    """Exact, floats by their bits."""
    batch = rows.batch
    tree = {
        "for": _meaning(specs),
        "rows": batch.rows,
        "times": None if batch.times_ms is None else batch.times_ms.astype("<i8").tobytes(),
        "now_ms": rows.now_ms,
        "restarts": rows.told[0],
        "fault": json.dumps(rows.told[1]),
        "columns": {json.dumps(name): _packed(column) for name, column in batch.columns.items()},
    }
    return zlib.compress(msgspec.msgpack.encode(tree), LEVEL)


def unpacked_rows(data: bytes, specs: Sequence[FeatureSpec]) -> Rows | None:
    """None where they were gathered for other features."""
    tree: dict[str, Any] = msgspec.msgpack.decode(zlib.decompress(data))
    if tree["for"] != _meaning(specs):
        return None
    times = tree["times"]
    batch = Batch(
        tree["rows"],
        {json.loads(name): _unpacked(column) for name, column in tree["columns"].items()},
        None if times is None else np.frombuffer(times, dtype="<i8").astype(np.int64),
    )
    return Rows(batch, tree["now_ms"], (tree["restarts"], json.loads(tree["fault"])))


def _meaning(specs: Sequence[FeatureSpec]) -> str:
    told = [(spec.name, spec.kind, spec.field, spec.absent) for spec in specs]
    outcomes = [spec.outcome.as_dict() for spec in specs if spec.outcome is not None]
    return json.dumps([*told, *outcomes])


def _packed(column: Column) -> list[Any]:
    """Text as JSON, for it may hold half a surrogate pair, which no UTF-8 can."""
    array = isinstance(column.values, np.ndarray)
    values = np.asarray(column.values, dtype="<f8").tobytes() if array else json.dumps(list(column.values)).encode()
    invalid = {reason: list(map(int, rows)) for reason, rows in column.invalid.items()}
    tallies = None if column.tallies is None else column.tallies.astype("<i8").tobytes()
    return [array, values, invalid, list(map(int, column.absent)), tallies]


def _unpacked(packed: Sequence[Any]) -> Column:
    array, values, invalid, absent, tallies = (*packed, None)[:5]  # earlier versions had no tallies
    numbers = np.frombuffer(values, dtype="<f8").astype(np.float64) if array else json.loads(values)
    rows = len(numbers)
    words = None if tallies is None else np.frombuffer(tallies, dtype="<i8").astype(np.int64).reshape(-1, rows)
    return Column(numbers, invalid, absent, words)
