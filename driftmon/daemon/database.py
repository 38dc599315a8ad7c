"""Database: state.db, one connection with one owner, and what SQLite's faults mean for the daemon.

Law: a transaction that returned is on the disk; one that raised changed nothing. An fsync that failed is never
tried again: SQLite's own checkpoint would hide it (4 of 31 injected ones), so this one checkpoints itself and looks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from driftmon.daemon.descriptor import Descriptor
from driftmon.daemon.state_health import StateHealth

WAL_BYTES: Final = 4 * 1024 * 1024  # a longer log is moved into the file


class StorageError(Exception):
    """The storage cannot be used; `exit_code` says why: 73 not created, 74 I/O error, 75 in use."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class DiskFull(Exception):  # noqa: N818  a state, which passes
    """No room now; nothing was written."""


class Damaged(Exception):  # noqa: N818
    """The file is no database, or its pages do not agree."""


class Database:
    """Ours alone until `close`. One thread at a time: it is opened before the pump's thread starts, closed after."""

    def __init__(self, path: Path, connection: sqlite3.Connection, pin: Descriptor, claim: Descriptor) -> None:
        self.path = path
        self.connection = connection
        self.pin = pin  # state.db itself, for copies of it
        self._claim = claim
        self.health = StateHealth()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """On the disk when it ends; DiskFull, or StorageError 74."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield self.connection
            self.connection.execute("COMMIT")
        except sqlite3.Error as fault:
            raise self._meaning(fault) from fault
        finally:
            if self.connection.in_transaction:
                self.connection.rollback()

    def rows(self, query: str, *parameters: str) -> list[Any]:
        """What a query finds; StorageError 74."""
        try:
            return self.connection.execute(query, parameters).fetchall()
        except sqlite3.Error as fault:
            raise self._meaning(fault) from fault

    def shorten_log(self, above_bytes: int = WAL_BYTES) -> None:
        """Move the write-ahead log into the file when it is longer, and look whether that was done."""
        log_path = self.path.with_name(f"{self.path.name}-wal")
        if not log_path.exists() or log_path.stat().st_size <= above_bytes:
            return
        try:
            busy, *_ = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as fault:
            raise self._meaning(fault) from fault
        if busy:
            raise StorageError(74, f"{self.path}: its log could not be moved into it; somebody else reads the file")

    def close(self) -> None:
        """An orderly end: the next start is told so, and another process may have the folder."""
        with suppress(DiskFull):  # what is in the log is found by the next start too
            with self.transaction() as connection:
                connection.execute("UPDATE meta SET value = 1 WHERE key = 'clean_shutdown'")
            self.shorten_log(above_bytes=0)
        self.connection.close()
        self.pin.close()
        self._claim.close()

    def _meaning(self, fault: sqlite3.Error) -> Exception:
        if code_of(fault) == sqlite3.SQLITE_FULL:
            return DiskFull(str(self.path))
        return StorageError(74, f"{self.path}: {fault}; check the disk, a restart goes on where the last commit was")


def code_of(fault: Exception) -> int:
    """The primary code of an extended one; 0 of what is no error of SQLite."""
    return int(getattr(fault, "sqlite_errorcode", 0)) & 0xFF
