"""Label rows: predictions and labels that wait, as pieces appended with each commit, and a head that is replaced.

Law: what is read does what was written would have done, exactly. A piece whose checksum is wrong is left out and named
in the log. Pieces of which every id is dropped are deleted; small ones are put together now and then.
"""

from __future__ import annotations

import logging
import sqlite3
import zlib
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np

from driftmon.daemon.database import Database
from driftmon.monitor.delayed import Delayed
from driftmon.monitor.label_pieces import Head, KeptLabels, Piece, head_of, piece_of

SMALL_BYTES: Final = 64 * 1024
TOGETHER_BYTES: Final = 1024 * 1024
LENGTH_BYTES: Final = 8

log: Final = logging.getLogger("driftmon.store")


def write_labels(connection: sqlite3.Connection, name: str, delayed: Delayed | None) -> None:
    """What was taken since the last commit; all of it where what the database has is not of this join."""
    if delayed is None:
        return
    join = delayed.join
    if delayed.anew:
        connection.execute("DELETE FROM label WHERE stream = ?", (name,))
    piece = piece_of(join, join.ring.first if delayed.anew else None)
    if len(piece.ids) or len(piece.matched):
        data = _packed(piece)
        row = (name, piece.last, zlib.crc32(data), data)
        connection.execute("INSERT INTO label (stream, last, crc, data) VALUES (?, ?, ?, ?)", row)
    connection.execute("DELETE FROM label WHERE stream = ? AND last < ?", (name, join.ring.first))
    data = msgspec.msgpack.encode({"for": delayed.meaning, "key": delayed.key, "head": head_of(join)})
    connection.execute("INSERT OR REPLACE INTO labels VALUES (?, ?, ?)", (name, zlib.crc32(data), data))


def fold_labels(connection: sqlite3.Connection, name: str, delayed: Delayed | None) -> None:
    """The same now and then: rows are put together, and those of a stream that joins none any more go."""
    if delayed is None:
        connection.execute("DELETE FROM label WHERE stream = ?", (name,))
        connection.execute("DELETE FROM labels WHERE stream = ?", (name,))
    else:
        write_labels(connection, name, delayed)
        _put_together(connection, name)


def _put_together(connection: sqlite3.Connection, name: str) -> None:
    """Runs of small pieces become one row each: there may be hundreds a second."""
    query = "SELECT seq, last, crc, data FROM label WHERE stream = ? AND length(data) < ? ORDER BY seq"
    run: list[Any] = []
    for row in connection.execute(query, (name, SMALL_BYTES)).fetchall():
        if zlib.crc32(row[3]) != row[2]:
            continue
        run.append(row)
        if sum(len(one[3]) for one in run) > TOGETHER_BYTES:
            _one_row(connection, name, run)
            run = []
    _one_row(connection, name, run)


def _one_row(connection: sqlite3.Connection, name: str, run: list[Any]) -> None:
    data = b"".join(one[3] for one in run)
    if len(run) < 2:
        return
    connection.executemany("DELETE FROM label WHERE seq = ?", [(one[0],) for one in run])
    row = (name, max(one[1] for one in run), zlib.crc32(data), data)
    connection.execute("INSERT INTO label (stream, last, crc, data) VALUES (?, ?, ?, ?)", row)


def read_labels(database: Database, name: str) -> KeptLabels | None:
    """None where nothing was kept, or where it cannot be known for what."""
    rows = database.rows("SELECT crc, data FROM labels WHERE stream = ?", name)
    if not rows:
        return None
    crc, data = rows[0]
    if zlib.crc32(data) != crc:
        database.health.damaged("label")
        log.error("stream %s: what says how its labels wait is damaged; those that wait are lost", name)
        return None
    tree = msgspec.msgpack.decode(data)
    pieces: list[Piece] = []
    for seq, piece_crc, packed in database.rows("SELECT seq, crc, data FROM label WHERE stream = ?", name):
        if zlib.crc32(packed) == piece_crc:
            pieces += _unpacked(packed)
        else:
            database.health.damaged("label")
            log.error("stream %s: entry %d of its labels is damaged; what waited in it is lost", name, seq)
    return KeptLabels(tree["for"], tree["key"], msgspec.convert(tree["head"], Head), tuple(pieces))


def _packed(piece: Piece) -> bytes:
    """Floats by their bits; a length before it, so that several stand one after the other."""
    columns = (
        piece.ids.astype("<u8"),
        piece.kinds,
        piece.since_ms.astype("<i8"),
        piece.times_ms.astype("<i8"),
        piece.values.astype("<f8"),
        piece.matched.astype("<i8"),
    )
    data = msgspec.msgpack.encode([piece.first, piece.values.shape[1], *(column.tobytes() for column in columns)])
    return len(data).to_bytes(LENGTH_BYTES, "little") + data


def _unpacked(data: bytes) -> Iterator[Piece]:
    at = 0
    while at < len(data):
        end = at + LENGTH_BYTES + int.from_bytes(data[at : at + LENGTH_BYTES], "little")
        first, width, ids, kinds, since, times, values, matched = msgspec.msgpack.decode(data[at + LENGTH_BYTES : end])
        yield Piece(
            first,
            np.frombuffer(ids, "<u8").astype(np.uint64),
            np.frombuffer(kinds, np.uint8),
            np.frombuffer(since, "<i8").astype(np.int64),
            np.frombuffer(times, "<i8").astype(np.int64),
            np.frombuffer(values, "<f8").astype(np.float64).reshape(-1, width),
            np.frombuffer(matched, "<i8").astype(np.int64),
        )
        at = end
