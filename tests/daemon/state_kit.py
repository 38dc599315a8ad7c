"""A folder of state as a killed daemon leaves it: a database, a log with commits of its own, one generation."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from driftmon.daemon.database import Database
from driftmon.daemon.generations import Generations
from driftmon.daemon.opening import open_database


def note(database: Database, name: str, times: int = 1) -> None:
    """Commits, each of a row of its own that fills some pages."""
    for number in range(times):
        with database.transaction() as connection:
            row = (name, f"{name}-{number}", b"x" * 9000)
            connection.execute("INSERT INTO seen VALUES (?, ?, 0, ?, NULL)", row)


def noted(database: Database) -> list[str]:
    return [key for (key,) in database.rows("SELECT key FROM seen ORDER BY rowid")]


def copy_now(database: Database) -> Path:
    """A generation."""
    times = iter([0.0, 1e9, 1e9])
    Generations(database, lambda: next(times)).keep_one()
    return max(database.path.parent.glob("state.db.generation-*"))


@contextmanager
def opened(folder: Path) -> Iterator[Database]:
    """Closed at the end, in good order."""
    database = open_database(folder)
    try:
        yield database
    finally:
        database.close()


def leave(folder: Path) -> Path:
    """As if killed: `g-…` are in the generation, `f-…` in the file too, `w-…` only in the log."""
    folder.mkdir(exist_ok=True)
    for name, data in _killed().items():
        (folder / name).write_bytes(data)
    return folder / "state.db"


@cache
def _killed() -> Mapping[str, bytes]:
    with TemporaryDirectory() as made, opened(folder := Path(made) / "state") as database:
        note(database, "g", 2)
        copy_now(database)
        note(database, "f", 2)
        database.shorten_log(above_bytes=0)
        note(database, "w", 4)
        return {path.name: path.read_bytes() for path in folder.iterdir() if path != database.path} | {
            database.path.name: os.pread(database.pin.number, 1 << 30, 0)
        }


def by_hand(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()
