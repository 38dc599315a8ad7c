"""Watched rows: the last values of each series that a detector of others watches, appended with each commit.

Law: what is read is a stretch without a gap, so values before a damaged row are left out, and those after it are kept.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import zlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np

from driftmon.daemon.database import Database
from driftmon.monitor.flags import Place
from driftmon.monitor.watch import Kept, Watch

log: Final = logging.getLogger("driftmon.store")

ONE: Final = " WHERE stream = ? AND rule = ? AND feature = ?"


def write_watched(
    connection: sqlite3.Connection, stream: str, watches: Mapping[Place, Watch], whole: bool = False
) -> None:
    """What was watched since the last commit; `whole`: all of it, whatever the database had."""
    if whole:
        connection.execute("DELETE FROM watched WHERE stream = ?", (stream,))
    for (rule, feature), watch in watches.items():
        lacking = (True, watch.kept().values) if whole else watch.unwritten()
        if lacking is None:
            continue
        anew, values = lacking
        if anew and not whole:
            connection.execute(f"DELETE FROM watched{ONE}", (stream, rule, feature))
        tree = {
            "for": watch.meaning,
            "values": values.astype("<f8").tobytes(),
            "flags": [list(flag) for flag in watch.flags],
        }
        data = msgspec.msgpack.encode(tree)
        row = (stream, rule, feature, zlib.crc32(data), data)
        connection.execute("INSERT INTO watched (stream, rule, feature, crc, data) VALUES (?, ?, ?, ?, ?)", row)


def read_watched(database: Database, stream: str) -> dict[Place, Kept]:
    """By rule and feature."""
    found: dict[Place, list[dict[str, Any]]] = {}
    sql = "SELECT seq, rule, feature, crc, data FROM watched WHERE stream = ? ORDER BY seq"
    for seq, rule, feature, crc, data in database.rows(sql, stream):
        parts = found.setdefault((rule, feature), [])
        if zlib.crc32(data) == crc:
            parts.append(msgspec.msgpack.decode(data))
            continue
        parts.clear()
        database.health.damaged("watched")
        log.error(
            "stream %s: entry %d of what %s watches of %s is damaged; it goes on from the values after it",
            stream,
            seq,
            json.dumps(rule),
            json.dumps(feature),
        )
    return {place: _kept(parts) for place, parts in found.items() if parts}


def _kept(parts: list[dict[str, Any]]) -> Kept:
    last = parts[-1]
    same = [np.frombuffer(part["values"], dtype="<f8") for part in parts if part["for"] == last["for"]]
    return Kept(last["for"], np.concatenate(same).astype(np.float64), tuple((at, mean) for at, mean in last["flags"]))
