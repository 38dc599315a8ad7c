"""Alert rows: one row an alert, written when it changed, not when its value did.

Law: state and the times it goes by are those of the last T2; the value shown is that of the next tick anyway.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from driftmon.daemon.database import Database
from driftmon.daemon.sealing import seal, sound
from driftmon.monitor.rules import Alert

Standing: TypeAlias = tuple[Any, ...]


def standing(alert: Alert) -> Standing:
    """What of an alert must not be lost."""
    times = (alert.since_ms, alert.active_ms, alert.verdict_ms, alert.drift_since_ms, alert.notify_from_ms)
    return (alert.state, alert.verdict, *times, alert.features, alert.rule)


def write_alerts(
    connection: sqlite3.Connection, stream: str, alerts: Sequence[Alert], written: Mapping[str, Standing]
) -> dict[str, Standing]:
    """The rows that differ from those written; what is written now."""
    now, rows = {}, []
    for alert in alerts:
        key = json.dumps(alert.key)
        now[key] = standing(alert)
        if written.get(key) != now[key]:
            data = json.dumps(msgspec.to_builtins(alert)).encode()  # not msgspec: they have NaN and infinity
            rows.append((stream, key, data, seal(stream, key, data)))
    connection.executemany("INSERT OR REPLACE INTO alert VALUES (?, ?, ?, ?)", rows)
    gone = [(stream, key) for key in written if key not in now]
    connection.executemany("DELETE FROM alert WHERE stream = ? AND key = ?", gone)
    return now


def read_alerts(database: Database, stream: str) -> tuple[Alert, ...]:
    """In the order of their keys."""
    rows = database.rows("SELECT stream, key, data, crc FROM alert WHERE stream = ? ORDER BY key", stream)
    return tuple(msgspec.convert(json.loads(data), Alert) for *_, data in sound("alert", rows, database.health))
