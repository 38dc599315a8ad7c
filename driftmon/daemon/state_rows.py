"""State rows: what outlives a process, as rows of state.db and back.

Law: what is read equals what was written and what the journal added since. A pane or a delta whose checksum is
wrong is left out and named in the log; it costs no other.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np

from driftmon.daemon.database import Database
from driftmon.daemon.deltas import Delta, as_snapshot, flat, nested, unpacked
from driftmon.daemon.repeats import KEEP_S, KEYS, Key
from driftmon.daemon.streams import Saved
from driftmon.monitor.rules import Alert
from driftmon.monitor.snapshot import Snapshot
from driftmon.sources.base import Position, Settled
from driftmon.stats.schema import Counts

Place: TypeAlias = tuple[str, int]  # ring and pane

LIFETIME: Final = "lifetime"  # the rings of the table `pane` that are no window's
OPEN: Final = "open"
WINDOW: Final = "window "
EXCESS: Final = "excess "  # before any of these: of rows that stand for several records

log: Final = logging.getLogger("driftmon.store")


def panes_of(snapshot: Snapshot) -> dict[Place, Counts]:
    """All its counts by where they are kept."""
    rings = {
        (WINDOW + window.name, pane): counts
        for window, panes in snapshot.rings.items()
        for pane, counts in panes.items()
    }
    excess = {} if snapshot.excess is None else panes_of(snapshot.excess)
    return {
        **{(EXCESS + ring, pane): counts for (ring, pane), counts in excess.items()},
        (LIFETIME, 0): snapshot.counts,
        **{(OPEN, pane): held for pane, held in snapshot.open_panes.items()},
        **rings,
    }


def shape_of(saved: Saved) -> tuple[bytes, bytes | None]:
    """What does not change while a stream counts: bins and windows, and the reference it gathered."""
    snapshot, nothing = saved.snapshot, np.zeros(saved.snapshot.schema.width, dtype=np.int64)
    empty = Snapshot(snapshot.schema, nothing, {window: {} for window in snapshot.rings})
    return empty.to_bytes(), None if saved.reference is None else saved.reference.to_bytes()


def head_of(saved: Saved) -> bytes:
    """What is small and changes at every tick."""
    snapshot = saved.snapshot
    head = {
        "alerts": msgspec.to_builtins(saved.alerts),
        "spent": {rule: dict(panes) for rule, panes in saved.spent.items()},
        "invalid": nested(snapshot.invalid),
        "watermark_ms": snapshot.watermark_ms,
        "first_ms": snapshot.first_ms,
    }
    return json.dumps(head, ensure_ascii=True).encode()  # not msgspec: alerts have NaN and infinity


def read_state(database: Database, stream: str) -> Saved | None:
    """The state of a stream with its journal; None if there is none."""
    rows = database.rows("SELECT shape, reference, head FROM stream WHERE name = ?", stream)
    try:
        return _read(database, stream, rows) if rows else None
    except (ValueError, KeyError, TypeError) as fault:
        log.error("stream %s: its state is damaged (%s); it starts empty", stream, fault)
        return None


def _read(database: Database, stream: str, rows: list[Any]) -> Saved:
    shape, reference, head = Snapshot.from_bytes(rows[0][0]), rows[0][1], json.loads(rows[0][2])
    snapshot = _filled(shape, database.rows("SELECT ring, pane, crc, data FROM pane WHERE stream = ?", stream), head)
    for seq, crc, data in database.rows("SELECT seq, crc, delta FROM journal WHERE stream = ? ORDER BY seq", stream):
        if zlib.crc32(data) == crc:
            snapshot = snapshot.merge(as_snapshot(msgspec.msgpack.decode(data, type=Delta), shape.schema))
        else:
            log.error("stream %s: entry %d of the journal is damaged; what it counted is lost", stream, seq)
    positions = database.rows("SELECT origin, position FROM offset WHERE stream = ?", stream)
    return Saved(
        snapshot,
        msgspec.convert(head["alerts"], tuple[Alert, ...]),
        {origin: msgspec.convert(json.loads(position), Position) for origin, position in positions},
        None if reference is None else Snapshot.from_bytes(reference),
        msgspec.convert(head["spent"], dict[str, dict[str, int]]),
    )


def _filled(shape: Snapshot, rows: list[Any], head: Mapping[str, Any]) -> Snapshot:
    names = [OPEN, LIFETIME, *(WINDOW + window.name for window in shape.rings)]
    panes: dict[str, dict[int, Counts]] = {ring: {} for name in names for ring in (name, EXCESS + name)}
    for ring, pane, crc, data in rows:
        if zlib.crc32(data) == crc:
            panes[ring][pane] = unpacked(data)
        else:
            log.error("pane %d of %s is damaged; its counts are lost", pane, ring)
    counted, excess = (
        Snapshot(
            shape.schema,
            panes[kind + LIFETIME].get(0, shape.counts),
            {window: panes[kind + WINDOW + window.name] for window in shape.rings},
            panes[kind + OPEN],
        )
        for kind in ("", EXCESS)
    )
    return replace(
        counted,
        watermark_ms=head["watermark_ms"],
        invalid=flat(head["invalid"]),
        first_ms=head["first_ms"],
        excess=excess if panes[EXCESS + LIFETIME] else None,
    )


def write_positions(connection: sqlite3.Connection, stream: str, positions: Mapping[str, Position]) -> None:
    """How far the sources of a stream were counted."""
    rows = [(stream, origin, json.dumps(dict(position))) for origin, position in positions.items()]
    connection.executemany("INSERT OR REPLACE INTO offset VALUES (?, ?, ?)", rows)


def write_seen(connection: sqlite3.Connection, seen: Mapping[Key, Settled], at_ms: int) -> None:
    """Batches that were counted, with what their senders were told."""
    rows = [(*key, at_ms, json.dumps(msgspec.to_builtins(outcome)).encode()) for key, outcome in seen.items()]
    connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", rows)


def read_seen(database: Database) -> dict[Key, tuple[int, Settled]]:
    """Oldest first: when, and what their senders were told."""
    rows = database.rows("SELECT stream, key, at_ms, outcome FROM seen ORDER BY at_ms, rowid")
    return {(stream, key): (at_ms, msgspec.convert(json.loads(told), Settled)) for stream, key, at_ms, told in rows}


def forget_seen(connection: sqlite3.Connection, at_ms: int) -> None:
    """Ids past the time or the number that is promised."""
    connection.execute("DELETE FROM seen WHERE at_ms <= ?", (at_ms - int(1000 * KEEP_S),))
    connection.execute("DELETE FROM seen WHERE rowid <= (SELECT max(rowid) FROM seen) - ?", (KEYS,))
