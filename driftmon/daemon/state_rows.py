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
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np

from driftmon.daemon.alert_rows import read_alerts
from driftmon.daemon.clock_rows import read_clocks
from driftmon.daemon.database import Database
from driftmon.daemon.deltas import Delta, as_snapshot, flat, nested, unpacked
from driftmon.daemon.repeats import KEEP_S, KEYS, Key
from driftmon.daemon.sealing import seal
from driftmon.daemon.state_health import StateHealth
from driftmon.daemon.streams import Saved
from driftmon.monitor.rules import Alert
from driftmon.monitor.snapshot import Snapshot
from driftmon.sources.base import Position, Settled
from driftmon.stats.schema import Counts

Place: TypeAlias = tuple[str, int]  # ring and pane

LIFETIME: Final = "lifetime"  # the rings of the table `pane` that are no window's
OPEN: Final = "open"
WINDOW: Final = "window "
DAMAGED: Final = np.zeros(0, dtype=np.int64)  # stands for a pane that cannot be read: it equals none
EXCESS: Final = "excess "  # before any of these: of rows that stand for several records

log: Final = logging.getLogger("driftmon.store")


@dataclass(frozen=True, slots=True)
class Found:
    """A stream's state, and the panes as they lie in the database, without the journal."""

    saved: Saved
    panes: Mapping[Place, Counts]


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
    """What belongs to the panes and is small."""
    snapshot = saved.snapshot
    head = {
        "invalid": nested(snapshot.invalid),
        "watermark_ms": snapshot.watermark_ms,
        "first_ms": snapshot.first_ms,
    }
    return json.dumps(head, ensure_ascii=True).encode()


def read_state(database: Database, stream: str) -> Found | None:
    """The state of a stream with its journal; None if there is none."""
    rows = database.rows("SELECT shape, reference, head, crc FROM stream WHERE name = ?", stream)
    try:
        return _read(database, stream, rows) if rows else None
    except (ValueError, KeyError, TypeError) as fault:
        database.health.damaged("stream")
        log.error("stream %s: its state is damaged (%s); it starts empty", stream, fault)
        return None


def _read(database: Database, stream: str, rows: list[Any]) -> Found:
    shape, reference, head = Snapshot.from_bytes(rows[0][0]), rows[0][1], json.loads(rows[0][2])
    if rows[0][3] not in (None, seal(rows[0][2])):
        raise ValueError("its checksum is wrong")
    places = _panes(database.rows("SELECT ring, pane, crc, data FROM pane WHERE stream = ?", stream), database.health)
    snapshot = _filled(shape, places, head)
    clocks = read_clocks(database, stream, shape.schema)
    counted = snapshot.counts
    for seq, crc, data in database.rows("SELECT seq, crc, delta FROM journal WHERE stream = ? ORDER BY seq", stream):
        if crc in (seal(stream, data), zlib.crc32(data)):  # the latter: version 1
            snapshot = snapshot.merge(as_snapshot(msgspec.msgpack.decode(data, type=Delta), shape.schema))
        else:
            database.health.damaged("journal")
            log.error("stream %s: entry %d of the journal is damaged; what it counted is lost", stream, seq)
        if clocks is not None and seq <= clocks.seq:
            counted = snapshot.counts
    positions = database.rows("SELECT origin, position FROM offset WHERE stream = ?", stream)
    saved = Saved(
        snapshot,
        (*msgspec.convert(head.get("alerts", ()), tuple[Alert, ...]), *read_alerts(database, stream)),
        {origin: msgspec.convert(json.loads(position), Position) for origin, position in positions},
        None if reference is None else Snapshot.from_bytes(reference),
        msgspec.convert(head.get("spent", {}), dict[str, dict[str, int]]) if clocks is None else clocks.spent,
        None if clocks is None else clocks.at(counted),
    )
    return Found(saved, places)


def _panes(rows: list[Any], health: StateHealth) -> dict[Place, Counts]:
    found = {}
    for ring, pane, crc, data in rows:
        if zlib.crc32(data) == crc:
            found[ring, pane] = unpacked(data)
        else:
            found[ring, pane] = DAMAGED
            health.damaged("pane")
            log.error("pane %d of %s is damaged; its counts are lost", pane, ring)
    return found


def _filled(shape: Snapshot, places: Mapping[Place, Counts], head: Mapping[str, Any]) -> Snapshot:
    names = [OPEN, LIFETIME, *(WINDOW + window.name for window in shape.rings)]
    panes: dict[str, dict[int, Counts]] = {ring: {} for name in names for ring in (name, EXCESS + name)}
    for (ring, pane), counts in places.items():
        if counts is not DAMAGED:
            panes[ring][pane] = counts
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
    cells = [(stream, origin, json.dumps(dict(position))) for origin, position in positions.items()]
    rows = [(*row, seal(*row)) for row in cells]
    connection.executemany("INSERT OR REPLACE INTO offset VALUES (?, ?, ?, ?)", rows)


def write_seen(connection: sqlite3.Connection, seen: Mapping[Key, Settled], at_ms: int) -> None:
    """Batches that were counted, with what their senders were told."""
    told = {key: json.dumps(msgspec.to_builtins(outcome)).encode() for key, outcome in seen.items()}
    rows = [(*key, at_ms, data, zlib.crc32(data)) for key, data in told.items()]
    connection.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)", rows)


def read_seen(database: Database) -> dict[Key, tuple[int, Settled]]:
    """Oldest first: when, and what their senders were told."""
    rows = database.rows("SELECT stream, key, at_ms, outcome, crc FROM seen ORDER BY at_ms, rowid")
    found = {}
    for stream, key, at_ms, told, crc in rows:
        try:
            if crc not in (None, zlib.crc32(told)):
                raise ValueError("its checksum is wrong")
            found[stream, key] = (at_ms, msgspec.convert(json.loads(told), Settled))
        except ValueError:
            database.health.damaged("seen")
            log.error(
                "stream %s: the answer to batch %s is damaged; if it is sent again it is counted again", stream, key
            )
    return found


def forget_seen(connection: sqlite3.Connection, at_ms: int) -> None:
    """Ids past the time or the number that is promised."""
    connection.execute("DELETE FROM seen WHERE at_ms <= ?", (at_ms - int(1000 * KEEP_S),))
    connection.execute("DELETE FROM seen WHERE rowid <= (SELECT max(rowid) FROM seen) - ?", (KEYS,))
