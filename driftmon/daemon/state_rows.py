"""State rows: what outlives a process, as rows of state.db and back.

Law: what is read equals what was written and what the journal added since. A pane or a delta whose checksum is
wrong is left out and named in the log; it costs no other.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np
from msgspec import Struct

from driftmon.daemon.alert_rows import read_alerts
from driftmon.daemon.clock_rows import read_clocks
from driftmon.daemon.database import Database
from driftmon.daemon.deltas import Delta, Sum, flat, nested, unpacked
from driftmon.daemon.repeats import KEEP_S, KEYS, Key
from driftmon.daemon.sealing import seal
from driftmon.daemon.state_health import StateHealth
from driftmon.daemon.streams import Saved
from driftmon.daemon.watched_rows import read_watched
from driftmon.monitor.rules import Alert
from driftmon.monitor.snapshot import Snapshot, shape_from_bytes
from driftmon.monitor.tallies import state_of, sums_of
from driftmon.sources.base import Position, Settled
from driftmon.stats.schema import Counts, Schema

Place: TypeAlias = tuple[str, int]  # ring and pane

LIFETIME: Final = "lifetime"  # the rings of the table `pane` that are no window's
OPEN: Final = "open"
WINDOW: Final = "window "
DAMAGED: Final = np.zeros(0, dtype=np.int64)  # stands for a pane that cannot be read: it equals none
EXCESS: Final = "excess "  # before any of these: of rows that stand for several records

log: Final = logging.getLogger("driftmon.store")


class Found(Struct, frozen=True):
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
        (LIFETIME, 0): state_of(snapshot.schema, snapshot.counts, snapshot.sums),
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


def read_state(database: Database, stream: str, known: Iterable[Schema] = ()) -> Found | None:
    """The state of a stream with its journal; None if there is none. Bins that are `known` need not be read."""
    rows = database.rows("SELECT shape, reference, head, crc FROM stream WHERE name = ?", stream)
    try:
        return _read(database, stream, rows, known) if rows else None
    except (ValueError, KeyError, TypeError) as fault:
        database.health.damaged("stream")
        log.error("stream %s: its state is damaged (%s); it starts empty", stream, fault)
        return None


def _read(database: Database, stream: str, rows: list[Any], known: Iterable[Schema]) -> Found:
    if rows[0][3] not in (None, seal(rows[0][2])):
        raise ValueError("its checksum is wrong")
    reference = None if rows[0][1] is None else Snapshot.from_bytes(rows[0][1])
    known = [*known, *([] if reference is None else [reference.schema])]
    shape, head = shape_from_bytes(rows[0][0], known), json.loads(rows[0][2])
    places = _panes(database.rows("SELECT ring, pane, crc, data FROM pane WHERE stream = ?", stream), database.health)
    counts = Sum(_filled(shape, places, head))
    clocks = read_clocks(database, stream, shape.schema)
    counted = None
    for seq, crc, data in database.rows("SELECT seq, crc, delta FROM journal WHERE stream = ? ORDER BY seq", stream):
        if clocks is not None and counted is None and seq > clocks.seq:
            counted = counts.counts.copy()
        if crc in (seal(stream, data), zlib.crc32(data)):  # the latter: version 1
            counts.add(msgspec.msgpack.decode(data, type=Delta))
        else:
            database.health.damaged("journal")
            log.error("stream %s: entry %d of the journal is damaged; what it counted is lost", stream, seq)
    positions = database.rows("SELECT origin, position FROM offset WHERE stream = ?", stream)
    saved = Saved(
        counts.snapshot(),
        (*msgspec.convert(head.get("alerts", ()), tuple[Alert, ...]), *read_alerts(database, stream)),
        {origin: msgspec.convert(json.loads(position), Position) for origin, position in positions},
        reference,
        msgspec.convert(head.get("spent", {}), dict[str, dict[str, int]]) if clocks is None else clocks.spent,
        None if clocks is None else clocks.at(counts.counts if counted is None else counted),
        read_watched(database, stream),
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
    schema, nothing = shape.schema, state_of(shape.schema, shape.counts, {})
    counted, excess = (
        Snapshot(
            schema,
            panes[kind + LIFETIME].get(0, nothing)[: schema.width],
            {window: panes[kind + WINDOW + window.name] for window in shape.rings},
            panes[kind + OPEN],
        )
        for kind in ("", EXCESS)
    )
    return replace(
        counted,
        sums=sums_of(schema, panes[LIFETIME].get(0, nothing)),
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
    """Batches that were counted, with what their senders were told, but for the errors: those may be long."""
    told = {key: json.dumps(msgspec.to_builtins(replace(outcome, errors=()))).encode() for key, outcome in seen.items()}
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
