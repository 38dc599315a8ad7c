"""Clock rows: when features were last there, their seconds, surprisal, and up to where evidence was spent.

Law: one row a stream, written with each T2. `seq` is the last journal entry of that T2: rows counted by later ones
are not in the surprisal yet. A damaged row costs the clocks, never the counts.
"""

from __future__ import annotations

import logging
import sqlite3
import zlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from driftmon.daemon.database import Database
from driftmon.monitor.clocks import Clocks
from driftmon.monitor.monitor import Monitor
from driftmon.stats.schema import Counts, Schema

log: Final = logging.getLogger("driftmon.store")


class StoredClocks(NamedTuple):
    """`at` gives them once it is known what was counted by then."""

    clocks: Clocks
    spent: Mapping[str, Mapping[str, int]]
    seq: int

    def at(self, counted: Counts) -> Clocks:
        return Clocks(**{**vars(self.clocks), "counted": counted})


def write_clocks(connection: sqlite3.Connection, stream: str, monitor: Monitor, seq: int) -> None:
    """One row."""
    clocks = monitor.clocks
    tree = {
        "seq": seq,
        "start_ms": clocks.start_ms,
        "looked_ms": clocks.looked_ms,
        "last_ms": _bytes(clocks.last_ms),
        "evaluated_ms": _bytes(clocks.evaluated_ms),
        "drift_ms": _bytes(clocks.drift_ms),
        "surprisal_nats": clocks.surprisal_nats.astype("<f8").tobytes(),
        "spent": {rule: _bytes(np.array(panes, dtype=np.int64)) for rule, panes in monitor.spent_panes.items()},
    }
    data = zlib.compress(msgspec.msgpack.encode(tree), 1)
    connection.execute("INSERT OR REPLACE INTO clock VALUES (?, ?, ?)", (stream, zlib.crc32(data), data))


def read_clocks(database: Database, stream: str, schema: Schema) -> StoredClocks | None:
    """None if there is no sound row of this schema."""
    for crc, data in database.rows("SELECT crc, data FROM clock WHERE stream = ?", stream):
        if zlib.crc32(data) == crc:
            return _unpacked(msgspec.msgpack.decode(zlib.decompress(data)), schema)
        database.health.damaged("clock")
        log.error("stream %s: its clocks are damaged; seconds in drift and last observations start anew", stream)
    return None


def _unpacked(tree: Mapping[str, Any], schema: Schema) -> StoredClocks:
    clocks = Clocks(
        _counts(tree["last_ms"]),
        _counts(tree["evaluated_ms"]),
        _counts(tree["drift_ms"]),
        np.frombuffer(tree["surprisal_nats"], dtype="<f8").astype(np.float64),
        np.zeros(0, dtype=np.int64),
        tree["start_ms"],
        tree["looked_ms"],
    )
    spent = {
        rule: dict(zip(schema.names, _counts(panes).tolist(), strict=False)) for rule, panes in tree["spent"].items()
    }
    return StoredClocks(clocks, spent, tree["seq"])


def _bytes(values: Counts) -> bytes:
    return values.astype("<i8").tobytes()


def _counts(data: bytes) -> Counts:
    return np.frombuffer(data, dtype="<i8").astype(np.int64)
