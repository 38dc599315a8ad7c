"""Sealing: a checksum of a row's cells, for what neither an index nor a checksum of its own guards.

Law: a row whose cells are not those that were written is left out, counted and named. A row of version 1 had no seal.
A damaged position is worse than a damaged row: from the start its records would count twice, further on some would
never count. So it is damage of the whole file, and positions and counts come back together, from a generation.
"""

from __future__ import annotations

import logging
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from driftmon.daemon.database import Damaged
from driftmon.daemon.state_health import StateHealth

log: Final = logging.getLogger("driftmon.store")


def seal(*cells: str | int | bytes) -> int:
    """
    >>> seal("s", 1) == seal("s", 1), seal("s", 1) == seal("s", 2)
    (True, False)
    """
    return zlib.crc32(msgspec.msgpack.encode(cells))


def sound(table: str, rows: Iterable[tuple[Any, ...]], health: StateHealth) -> Iterator[tuple[Any, ...]]:
    """The cells of those rows that are as they were written; the last cell of each is its seal."""
    for *cells, crc in rows:
        if crc is None or crc == seal(*cells):
            yield tuple(cells)
        else:
            health.damaged(table)
            log.error("a row of table %s is damaged and left out: %s", table, cells[:-1])


def look_at_positions(connection: sqlite3.Connection) -> None:
    """Damaged where one of them is."""
    for *cells, crc in connection.execute("SELECT stream, origin, position, crc FROM offset"):
        if crc is not None and crc != seal(*cells):
            raise Damaged(f"the position of {cells[1]} of stream {cells[0]} in it is damaged")


def look_for_strays(connection: sqlite3.Connection, health: StateHealth) -> None:
    """Entries of the journal whose stream has no panes: no index guards that name."""
    rows = connection.execute("SELECT seq, stream FROM journal WHERE stream NOT IN (SELECT name FROM stream)")
    for seq, stream in rows.fetchall():
        health.damaged("journal")
        log.error("entry %d of the journal is of no stream (%r); what it counted is lost", seq, stream)
