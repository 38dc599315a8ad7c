"""Generations: hourly copies of state.db in its folder, the newest three, for a start that finds it damaged.

Law: a generation is whole or not there: copied, flushed and looked at under another name, and then renamed.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from driftmon.daemon.database import Damaged, Database, DiskFull, StorageError
from driftmon.daemon.descriptor import Descriptor
from driftmon.daemon.sealing import look_at_positions
from driftmon.daemon.state_folder import sync_names

KEEP: Final = 3
EVERY_S: Final = 3600.0
FIRST_S: Final = 60.0  # a start that has none does not wait for an hour; nor is one made at every start
CHUNK: Final = 1024 * 1024
UNFINISHED: Final = "new-"

log: Final = logging.getLogger("driftmon.store")


class Generations:
    """Of one database. Called by whoever owns it, while no transaction is open."""

    def __init__(self, database: Database, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._database, self._clock_s = database, clock_s
        made_ms = [taken_ms(one) for one in generations_of(database.path)]
        database.health.generation_ms = made_ms[0] if made_ms else None
        waited_s = time.time() - made_ms[0] / 1000 if made_ms else EVERY_S
        self._due_s = clock_s() + min(max(FIRST_S, EVERY_S - waited_s), EVERY_S)  # whatever the wall clock says

    def keep_one(self) -> None:
        """Make one if it is time; without room for it the daemon goes on without. StorageError 74."""
        if self._clock_s() < self._due_s:
            return
        try:
            self._database.shorten_log(above_bytes=0)  # after it the file is whole, and only this thread writes to it
            self._make()
            self._due_s = self._clock_s() + EVERY_S
        except (OSError, DiskFull) as fault:
            self._due_s = self._clock_s() + FIRST_S
            log.warning("%s could not be copied (%s); it is tried again in a minute", self._database.path, fault)

    def _make(self) -> None:
        path = self._database.path
        new = unfinished(path, "generation")
        try:
            _refuse_to_fill(path)
            copied(self._database.pin, new)
            if fault := fault_of(new):  # byte by byte it is the file that a restart looks at and recovers
                raise StorageError(74, f"{path} is damaged ({fault}); the next start recovers it")
            _look_at_positions(path, new)
            at_ms = max([time.time_ns() // 1_000_000, *(taken_ms(one) + 1 for one in generations_of(path))])
            new.replace(path.with_name(f"{path.name}.generation-{at_ms}"))
        finally:
            new.unlink(missing_ok=True)
        self._database.health.generation_ms = at_ms
        for old in generations_of(path)[KEEP:]:
            old.unlink()
        sync_names(path.parent)


def _look_at_positions(path: Path, copy: Path) -> None:
    """A copy that no start would take must not push out one that it would."""
    try:
        with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            look_at_positions(connection)
    except Damaged as fault:
        raise StorageError(74, f"{path}: {fault}; the next start recovers it") from fault


def generations_of(path: Path) -> list[Path]:
    """Newest first."""
    named = re.compile(rf"{re.escape(path.name)}\.generation-\d{{1,18}}")
    return sorted((one for one in path.parent.iterdir() if named.fullmatch(one.name)), key=taken_ms, reverse=True)


def taken_ms(generation: Path) -> int:
    """When it was made, or right after the one before if the clock had gone back."""
    return int(generation.name.rpartition("-")[2])


def fault_of(copy: Path) -> str:
    """Why a copy is no sound database; empty if it is one."""
    try:
        with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            connection.execute("PRAGMA cell_size_check=ON")
            verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchall()
    except (sqlite3.Error, UnicodeDecodeError) as fault:  # the latter where a message quotes damaged names
        return str(fault)
    return "" if verdict == "ok" else verdict.splitlines()[-1]


def copied(source: Descriptor, target: Path) -> None:
    """A private copy, on the disk except for its name."""
    with open(
        os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "wb"
    ) as file:
        at = 0
        while chunk := os.pread(source.number, CHUNK, at):
            file.write(chunk)
            at += len(chunk)
        file.flush()
        os.fsync(file.fileno())


def unfinished(path: Path, what: str) -> Path:
    """A name that the next start sweeps away."""
    return path.with_name(f"{path.name}.{UNFINISHED}{what}")


def sweep(path: Path) -> None:
    """What an earlier process did not finish."""
    for left in path.parent.glob(f"{path.name}.{UNFINISHED}*"):
        left.unlink()


def _refuse_to_fill(path: Path) -> None:
    """A copy may not be what fills the disk."""
    room = os.statvfs(path.parent)
    if room.f_bavail * room.f_frsize < 2 * path.stat().st_size:
        raise OSError("there is too little room for a copy")
