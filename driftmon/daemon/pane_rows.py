"""Pane rows: the counts of a stream, pane by pane; only panes that differ from those in the database are written.

Law: after `save_panes` the rows are the counts of that instant, whatever was there before.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from driftmon.daemon.alert_rows import Standing
from driftmon.daemon.deltas import packed
from driftmon.daemon.sealing import seal
from driftmon.daemon.state_rows import Found, Place, head_of, panes_of, shape_of
from driftmon.daemon.streams import Saved
from driftmon.stats.schema import Counts


@dataclass(frozen=True, slots=True)
class Written:
    """What the database has of a stream: its panes since `at_ms`, its alerts; None: they must be written anew."""

    meaning: tuple[Any, ...]
    panes: Mapping[Place, Counts]
    at_ms: int = 0
    alerts: Mapping[str, Standing] | None = None

    @classmethod
    def of(cls, found: Found) -> Written:
        """Read back."""
        return cls(_meaning(found.saved), found.panes)


def save_panes(connection: sqlite3.Connection, name: str, saved: Saved, written: Written | None, at_ms: int) -> Written:
    """What is written now."""
    meaning = _meaning(saved)
    if written is None or written.meaning != meaning:
        written = None
        connection.execute("DELETE FROM pane WHERE stream = ?", (name,))
        connection.execute("DELETE FROM offset WHERE stream = ?", (name,))
        connection.execute("INSERT OR REPLACE INTO stream VALUES (?, ?, ?, x'', 0)", (name, *shape_of(saved)))
    held, now = {} if written is None else written.panes, panes_of(saved.snapshot)
    gone = [(name, *place) for place in held.keys() - now.keys()]
    connection.executemany("DELETE FROM pane WHERE (stream, ring, pane) = (?, ?, ?)", gone)
    for place, counts in now.items():
        before = held.get(place)  # panes are replaced, never changed in place; the lifetime is a copy each time
        if before is None or (before is not counts and not np.array_equal(before, counts)):
            data = packed(counts)
            row = (name, *place, zlib.crc32(data), data)
            connection.execute("INSERT OR REPLACE INTO pane VALUES (?, ?, ?, ?, ?)", row)
    head = head_of(saved)
    connection.execute("UPDATE stream SET head = ?, crc = ? WHERE name = ?", (head, seal(head), name))
    connection.execute("DELETE FROM gathered WHERE stream = ?", (name,))
    return Written(meaning, now, at_ms, None if written is None else written.alerts)


def _meaning(saved: Saved) -> tuple[Any, ...]:
    """Where it is the same, panes mean the same and `shape_of` is the same bytes."""
    windows = frozenset(saved.snapshot.rings)
    return (saved.snapshot.schema.fingerprint, windows, saved.reference and saved.reference.identity)
