"""Migrating: a state.db of an older version becomes one of this version, one version after the other.

Law: a version's statements and its number change in one transaction; a database is of one version at any time.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from driftmon.daemon.database import Damaged, StorageError, code_of
from driftmon.daemon.tables import FIRST, MIGRATIONS, VERSION

log: Final = logging.getLogger("driftmon.store")

SCRIPTS: Final[Mapping[int, str]] = {1: FIRST, **MIGRATIONS}


def version_of(connection: sqlite3.Connection) -> int:
    """0 of a database without tables; Damaged where it does not say."""
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
        return 0
    found = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    if found is None or not isinstance(found[0], int) or found[0] < 1:
        raise Damaged("it does not say its version")
    (again,) = connection.execute("PRAGMA user_version").fetchone()
    if again != (found[0] if found[0] > 1 else 0):  # a number alone could be a flipped bit, and no start would help
        raise Damaged(f"it says two versions, {found[0]} and {again}")
    return int(found[0])


def missing_tables(connection: sqlite3.Connection, version: int) -> list[str]:
    """Tables and indices that a database of its version has and this one has not."""
    made = [name for one in range(1, version + 1) for name in re.findall(r"CREATE \w+ (\w+)", SCRIPTS[one])]
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    return [name for name in made if name not in there]


def migrate(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """From a version to ours; StorageError 73 where a step is refused, and the database is as it was before it."""
    for newer in range(version + 1, VERSION + 1):
        try:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _statements(SCRIPTS[newer]):
                connection.execute(statement)
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('schema_version', ?)", (newer,))
            connection.execute(f"PRAGMA user_version = {newer if newer > 1 else 0}")
            connection.execute("COMMIT")
        except sqlite3.Error as fault:
            if code_of(fault) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT):
                raise
            raise StorageError(
                73, f"{path}: it cannot become version {newer} ({fault}); use the driftmon of version {newer - 1}"
            ) from fault
        if version:
            log.info("%s: its tables are of version %d now", path, newer)


def _statements(script: str) -> Iterator[str]:
    return filter(str.strip, script.split(";"))
