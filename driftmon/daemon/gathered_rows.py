"""Gathered rows: what a warm-up took so far, appended with each commit, dropped when it is the reference.

Law: rows of a warm-up that began again, or for other features, are not those of this one.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import zlib
from collections.abc import Sequence
from typing import Final

import msgspec

from driftmon.daemon.database import Database
from driftmon.daemon.gathering import Rows, Warming, packed_rows, unpacked_rows
from driftmon.daemon.streams import Stream
from driftmon.sources.base import Position
from driftmon.stats.edges import FeatureSpec

log: Final = logging.getLogger("driftmon.store")


def write_gathered(connection: sqlite3.Connection, name: str, stream: Stream) -> None:
    """What was gathered since the last commit."""
    gathering = stream.gathering
    if gathering.anew:
        connection.execute("DELETE FROM gathered WHERE stream = ?", (name,))
    for rows in gathering.rows:
        data = packed_rows(rows, stream.settings.features)
        connection.execute("INSERT INTO gathered (stream, crc, data) VALUES (?, ?, ?)", (name, zlib.crc32(data), data))


def read_gathered(database: Database, stream: str, specs: Sequence[FeatureSpec]) -> Warming | None:
    """None where nothing was gathered for these features."""
    found: list[Rows] = []
    for seq, crc, data in database.rows("SELECT seq, crc, data FROM gathered WHERE stream = ? ORDER BY seq", stream):
        if zlib.crc32(data) != crc:
            database.health.damaged("gathered")
            log.error("stream %s: entry %d of its warm-up is damaged; its rows are lost", stream, seq)
        elif (rows := unpacked_rows(data, specs)) is not None:
            found.append(rows)
    if not found:
        return None
    positions = database.rows("SELECT origin, position FROM offset WHERE stream = ?", stream)
    return Warming(tuple(found), {origin: msgspec.convert(json.loads(at), Position) for origin, at in positions})
