"""Opening: state.db, made, ours, whole and of a version we know; or why not, as an exit code.

Law: a start never fails twice for the same damage: the file is put aside, and what can be read again is.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from driftmon.daemon.database import WAL_BYTES, Damaged, Database, DiskFull, StorageError, code_of
from driftmon.daemon.descriptor import Descriptor
from driftmon.daemon.generations import generations_of, sweep
from driftmon.daemon.log_check import damage_of
from driftmon.daemon.migrating import migrate, missing_tables, version_of
from driftmon.daemon.recovery import recover, resume
from driftmon.daemon.sealing import look_at_positions, look_for_strays
from driftmon.daemon.state_folder import claimed, in_use, sync_names, warn_of_filesystem
from driftmon.daemon.tables import VERSION

log: Final = logging.getLogger("driftmon.store")

# EXCLUSIVE comes before WAL: no shared memory, so no second process, and this connection is the instance lock.
PRAGMAS: Final = (
    "locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=EXTRA", "wal_autocheckpoint=0", "cell_size_check=ON",
    "trusted_schema=OFF", "mmap_size=0", f"journal_size_limit={WAL_BYTES}",
)  # fmt: skip
BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
NOT_OURS_TO_USE: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH})


def open_database(folder: Path) -> Database:
    """state.db in a folder, made where there is none; a damaged one is put aside. StorageError 73, 74 or 75."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        claim = claimed(folder)
        try:
            database = _whole(folder / "state.db", claim)
        except BaseException:
            claim.close()
            raise
    except OSError as fault:
        code = 74 if fault.errno == errno.EIO else 73
        cure = "check the disk" if code == 74 else "choose a folder on a disk with room that this user may write"
        raise StorageError(code, f"--storage.path {folder}: {fault.strerror}; {cure}") from fault
    warn_of_filesystem(folder)
    return database


def _whole(path: Path, claim: Descriptor) -> Database:
    sweep(path)
    recovery = resume(path)
    log_path = path.with_name(f"{path.name}-wal")
    cut_short = log_path.exists() and log_path.stat().st_size > 0
    while True:  # each turn takes a generation away, and an empty start does not fail
        try:
            connection, pin = _opened(path)
            break
        except Damaged as fault:
            recovery = recover(path, fault, recovery)
    database = Database(path, connection, pin, claim)
    database.health.recovery = recovery
    look_for_strays(connection, database.health)
    if cut_short:
        # The log begins anew: it holds no frames of two runs. What a failed sync left in the page cache alone, where no
        # later sync of the log would write it again, is written.
        with suppress(DiskFull):
            database.shorten_log(above_bytes=0)
    return database


def _opened(path: Path) -> tuple[sqlite3.Connection, Descriptor]:
    _look_at_kind(path)
    there = path.exists()
    pin = Descriptor(path, os.O_RDWR | os.O_CREAT)
    for end in ("-wal", "-journal"):
        _look_at_kind(path.with_name(path.name + end))
    _look_at_content(path, pin)
    if there and os.fstat(pin.number).st_size == 0:
        log.warning("%s is empty, as after a first start that was cut short; every stream starts empty", path)
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    connection.text_factory = _text
    try:
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        _prepare(connection, path)
        connection.execute("PRAGMA synchronous=FULL")  # EXTRA only matters while files come and go
        sync_names(path.parent)  # SQLite does not look whether its own sync of the folder failed
    except BaseException as fault:
        connection.close()
        pin.close()
        raise _refusal(fault, path) from fault
    return connection, pin


def _text(data: bytes) -> str:
    """A name whose bytes were damaged is another name, not a fault of the whole table."""
    return data.decode("utf-8", "replace")


def _look_at_kind(path: Path) -> None:
    if path.is_symlink():
        raise StorageError(73, f"{path} is a symbolic link; state is not written through one, remove it")
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
        raise Damaged(f"{path.name} is no file")


def _look_at_content(path: Path, pin: Descriptor) -> None:
    """What SQLite would take for a new database, for the end of its log, or fill up with zeros."""
    log_path, size = path.with_name(f"{path.name}-wal"), os.fstat(pin.number).st_size
    data = log_path.read_bytes() if log_path.exists() else b""
    if size == 0 and (data or generations_of(path)):
        raise Damaged("it is empty")
    if not data and size % (int.from_bytes(os.pread(pin.number, 2, 16), "big") or 1):
        raise Damaged("its last page is cut short")
    if fault := damage_of(data):
        raise Damaged(fault)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")  # takes the lock that makes us the only one
    connection.execute("COMMIT")
    # Not quick_check: an index that disagrees with its table would fail the first query instead, at every start.
    ((verdict,), *_) = connection.execute("PRAGMA integrity_check(1)").fetchall()
    if verdict != "ok":
        raise Damaged(verdict.splitlines()[-1])
    version = version_of(connection)
    if version == 0 and generations_of(path):
        raise Damaged("it has no tables")
    if version > VERSION:
        raise StorageError(
            73,
            f"{path}: written by a newer driftmon (its version is {version}, this one knows {VERSION}); "
            "use that one, or another --storage.path",
        )
    if missing := missing_tables(connection, version):
        raise Damaged(f"it has no table {missing[0]}")
    migrate(connection, path, version)
    look_at_positions(connection)
    _begin(connection, path)


def _begin(connection: sqlite3.Connection, path: Path) -> None:
    """Note that a run is under way; without room for the note it is under way all the same."""
    ended = connection.execute("SELECT value FROM meta WHERE key = 'clean_shutdown'").fetchone()
    if ended == (0,):
        (entries,) = connection.execute("SELECT count(*) FROM journal").fetchone()
        log.warning("%s: the last run did not end cleanly; %d journal entries are read again", path, entries)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT OR IGNORE INTO meta VALUES ('instance_id', ?)", (secrets.randbits(62),))
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('clean_shutdown', 0)")
        connection.execute("COMMIT")
    except sqlite3.Error as fault:
        if code_of(fault) != sqlite3.SQLITE_FULL:
            raise
        connection.rollback()  # nothing is done where SQLite did it by itself


def _refusal(fault: BaseException, path: Path) -> BaseException:
    if not isinstance(fault, (sqlite3.Error, UnicodeDecodeError)):  # the latter: a message quotes damaged names
        return fault
    code = code_of(fault)
    if code in BUSY:
        return in_use(path.parent)
    if code == sqlite3.SQLITE_IOERR:
        return StorageError(74, f"{path}: {fault}; check the disk and the permissions")
    if code == sqlite3.SQLITE_FULL:
        return StorageError(73, f"--storage.path {path.parent}: the disk is full; make room for a new database")
    if code in NOT_OURS_TO_USE:
        return StorageError(73, f"--storage.path {path.parent}: {fault}; choose a folder this user may write")
    return Damaged(str(fault))  # also READONLY: the file was opened for writing, so its head says so
