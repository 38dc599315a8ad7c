"""News: transitions and what receivers are owed for them, as rows of state.db.

Law: a transition is in the transaction that decides it, under its number; what sinks are owed is written later,
as of the last transition they had taken, whose rows go then. A restart takes those that are left once more.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, field

from driftmon.daemon.database import Database
from driftmon.daemon.sealing import seal, sound
from driftmon.monitor.rules import Change

Debt: TypeAlias = tuple[str, str]  # target and fingerprint


class Progress(Struct, frozen=True):
    """From the event loop: debts that changed (None: paid), once it had taken so many transitions."""

    taken: int
    owed: Mapping[Debt, Any] = {}


class News(Struct, frozen=True):
    """What a T2 writes: transitions by number, and how far the sinks came."""

    changes: Mapping[int, Change] = {}
    progress: Progress = field(default_factory=lambda: Progress(0))


class Owing(Struct, frozen=True):
    """What a start finds: debts, and the transitions after them; `taken` is the number of the last one before those."""

    taken: int = 0
    owed: Mapping[Debt, Any] = {}
    changes: Sequence[Change] = ()


def merged(one: Progress, other: Progress) -> Progress:
    """`other` is the later one."""
    return Progress(max(one.taken, other.taken), {**one.owed, **other.owed})


def write_news(connection: sqlite3.Connection, news: News) -> None:
    cells = [(number, json.dumps(msgspec.to_builtins(change)).encode()) for number, change in news.changes.items()]
    rows = [(*row, seal(*row)) for row in cells]
    connection.executemany("INSERT OR REPLACE INTO change VALUES (?, ?, ?)", rows)
    progress = news.progress
    for debt, data in progress.owed.items():
        if data is None:
            connection.execute("DELETE FROM owed WHERE (target, fingerprint) = (?, ?)", debt)
        else:
            row = (*debt, json.dumps(data).encode())
            connection.execute("INSERT OR REPLACE INTO owed VALUES (?, ?, ?, ?)", (*row, seal(*row)))
    if progress.taken:
        connection.execute("DELETE FROM change WHERE number <= ?", (progress.taken,))
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('changes_taken', ?)", (progress.taken,))


def read_owing(database: Database) -> Owing:
    taken = database.rows("SELECT value FROM meta WHERE key = 'changes_taken'")
    owed = database.rows("SELECT target, fingerprint, data, crc FROM owed ORDER BY rowid")
    found = database.rows("SELECT number, data, crc FROM change ORDER BY number")
    changes = list(sound("change", found, database.health))
    last = taken[0][0] if taken else 0
    return Owing(
        changes[-1][0] - len(changes) if changes else last,  # as if none were missing: no number is given twice
        {(target, about): json.loads(data) for target, about, data in sound("owed", owed, database.health)},
        tuple(msgspec.convert(json.loads(data), Change) for _, data in changes),
    )
