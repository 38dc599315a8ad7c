"""Counter rows: driftmon's own counters, by stream (empty: of none), name and further labels.

Law: a counter changes in the transaction of what it counts, so after a restart it goes on where the counts do.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import TypeAlias

from driftmon.daemon.database import Database
from driftmon.daemon.sealing import seal, sound

Counter: TypeAlias = tuple[str, str, tuple[str, ...]]
Counters: TypeAlias = Mapping[Counter, int]


def write_counters(connection: sqlite3.Connection, now: Counters, written: Counters) -> None:
    """Those that differ from what was written."""
    cells = [
        (stream, name, json.dumps(labels), value)
        for (stream, name, labels), value in now.items()
        if written.get((stream, name, labels)) != value
    ]
    rows = [(*row, seal(*row)) for row in cells]
    connection.executemany("INSERT OR REPLACE INTO counter VALUES (?, ?, ?, ?, ?)", rows)


def read_counters(database: Database) -> dict[Counter, int]:
    rows = database.rows("SELECT stream, name, labels, value, crc FROM counter")
    found = sound("counter", rows, database.health)
    return {(stream, name, tuple(json.loads(labels))): value for stream, name, labels, value in found}
