"""Opening: state.db, made, ours, whole and of a version we know; or why not, as an exit code.

Law: a start never fails twice for the same damage: the file is put aside, and what can be read again is.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from driftmon.daemon.database import WAL_BYTES, Damaged, Database, DiskFull, StorageError, code_of
from driftmon.daemon.tables import TABLES, VERSION

log: Final = logging.getLogger("driftmon.store")

# EXCLUSIVE comes before WAL: no shared memory, so no second process, and this connection is the instance lock.
PRAGMAS: Final = (
    "locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=EXTRA", "wal_autocheckpoint=0", "cell_size_check=ON",
    "trusted_schema=OFF", "mmap_size=0", f"journal_size_limit={WAL_BYTES}",
)  # fmt: skip


def open_database(folder: Path) -> Database:
    """state.db in a folder, made where there is none; a damaged one is put aside. StorageError 73, 74 or 75."""
    path = folder / "state.db"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            database = Database(path, _opened(path))
        except Damaged as fault:
            _put_aside(path, fault)
            database = Database(path, _opened(path))
        # A sync may have failed before: the log is in the page cache and not on the disk, and no later sync of it
        # writes that again, so what is added behind it would go with the power. Moved, it is written anew.
        with suppress(DiskFull):
            database.shorten_log(above_bytes=0)
        return database
    except OSError as fault:
        raise StorageError(
            73, f"--storage.path {folder}: {fault.strerror}; choose a folder this user may write"
        ) from fault


def _opened(path: Path) -> sqlite3.Connection:
    if path.exists() and path.stat().st_size == 0:  # SQLite takes it for a new one
        log.warning("%s is empty, if a start was not cut short its content is lost; every stream starts empty", path)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        _prepare(connection, path)
        connection.execute("PRAGMA synchronous=FULL")  # EXTRA only matters while files come and go
    except BaseException as fault:
        connection.close()
        raise _refusal(fault, path) from fault
    _sync_names(path.parent)  # SQLite does not look whether its own sync of the folder failed
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")  # takes the lock that makes us the only one
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
        for statement in filter(str.strip, TABLES.split(";")):
            connection.execute(statement)
        connection.execute("INSERT INTO meta VALUES ('schema_version', ?)", (VERSION,))
    connection.execute("COMMIT")
    ((verdict,), *_) = connection.execute("PRAGMA integrity_check(1)").fetchall()
    if verdict != "ok":
        raise Damaged(verdict)
    found = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    if found is None or found[0] > VERSION:
        raise StorageError(73, f"{path}: written by a newer driftmon; use that one, or another --storage.path")


def _refusal(fault: BaseException, path: Path) -> BaseException:
    if not isinstance(fault, sqlite3.Error):
        return fault
    match code_of(fault):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StorageError(
                75, f"--storage.path {path.parent}: another driftmon uses it; stop it or choose another folder"
            )
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_ERROR:
            return Damaged(str(fault))
        case sqlite3.SQLITE_IOERR:
            return StorageError(74, f"{path}: {fault}; check the disk and the permissions")
    return StorageError(73, f"--storage.path {path.parent}: {fault}; choose a folder this user may write")


def _put_aside(path: Path, fault: Damaged) -> None:
    aside = f"{path.name}.corrupt-{time.time_ns() // 1_000_000}"
    for end in ("-wal", ""):  # the log first: without it the file alone would be taken for a whole one
        if (found := path.with_name(path.name + end)).exists():
            found.replace(path.with_name(aside + end))
    log.error("%s cannot be read (%s); it was moved to %s and every stream starts empty", path, fault, aside)


def _sync_names(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
