"""Rotation: where the file of a position is now, and which file was begun after it.

Law: a file is told by device, inode and its first KiB, never by its name, for names move and inode numbers are
used again. A copy (compressed, or made by copytruncate) is told by those bytes, when it is no older and no shorter.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

from driftmon.sources.base import Position

HEAD_BYTES: Final = 1024
TRIES: Final = 100
STAMP: Final = r"[.-](\d[\dT:._-]*?)"  # path.1, path-20260102, path.2026-01-02T03:04
NUMBER_DIGITS: Final = 5  # more are a date


class Moved(Exception):  # noqa: N818  a state, which passes
    """A name stands for another file than a moment ago."""


class Opened:
    """A file, open: its name may change, it does not. Raises OSError where it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.compressed = path.suffix == ".gz"
        self.file = cast(BinaryIO, gzip.GzipFile(path) if self.compressed else io.FileIO(path))
        self._head = b""
        try:
            self.grow_head()
        except BaseException:
            self.file.close()
            raise

    @property
    def status(self) -> os.stat_result:
        return os.fstat(self.file.fileno())

    @property
    def changed(self) -> bool:
        """Whether it was truncated or written anew since it was opened: what was read does not lead up to here."""
        if self.compressed:
            return False
        return self.status.st_size < self.file.tell() or self._first(len(self._head)) != self._head

    def grow_head(self) -> None:
        """A young file has fewer bytes than its identity may have."""
        if len(self._head) < HEAD_BYTES:
            self._head = self._first(HEAD_BYTES)

    def identity(self) -> dict[str, int | str]:
        """What tells this file from others; a part of every position in it."""
        self.grow_head()
        status = self.status
        return {
            "device": status.st_dev,
            "inode": status.st_ino,
            "mtime_ns": status.st_mtime_ns,
            "head_bytes": len(self._head),
            "head": _digest(self._head),
        }

    def is_of(self, position: Position) -> bool:
        """Whether the position was taken in this very file, and it was not truncated since."""
        status = self.status
        same = (status.st_dev, status.st_ino) == (position["device"], position["inode"])
        return same and self._leads_to(position)

    def is_copy_of(self, position: Position) -> bool:
        """Whether this is a copy, made later, of the file the position was taken in."""
        return self.status.st_mtime_ns >= int(position.get("mtime_ns", 0)) and self._leads_to(position)

    def _leads_to(self, position: Position) -> bool:
        if not self.compressed and self.status.st_size < int(position["offset"]):
            return False
        head = self._first(min(int(position["head_bytes"]), HEAD_BYTES))
        return len(head) == position["head_bytes"] and _digest(head) == position["head"]

    def _first(self, count: int) -> bytes:
        if not self.compressed:
            return os.pread(self.file.fileno(), count, 0)
        if not self._head:
            self._head = self.file.read(HEAD_BYTES)
            self.file.seek(0)
        return self._head[:count]


@dataclass(frozen=True, slots=True)
class Name:
    """A file as it was called a moment ago."""

    path: Path
    inode: int
    size: int
    mtime_ns: int

    def opened(self) -> Opened:
        """Moved where another file has the name by now, or none."""
        try:
            found = Opened(self.path)
        except FileNotFoundError:
            raise Moved from None
        if found.status.st_ino != self.inode:
            found.file.close()
            raise Moved
        return found


def where(path: Path, position: Position) -> Opened | None:
    """The file that a position was taken in, or a copy of it; None if neither is there any more."""

    def look() -> Opened | None:
        older, current = names(path)
        known = older if current is None else [current, *older]
        same = [name for name in (*known, *_strangers(path)) if name.inode == position["inode"]]
        return _first_of(same, position, copies=False) or _first_of(older, position, copies=True)

    return _at_rest(path, look)


def after(path: Path, position: Position) -> Opened | None:
    """What was begun after the file of a position and is not empty: a rotated file, at last the one at `path`.

    If that file is gone, all that were written to later came after it.
    """

    def look() -> Opened | None:
        older, current = names(path)
        if current is not None and _is(current, position, copies=False):
            return None
        place = _place(older, position)
        since = int(position.get("mtime_ns", 0))
        later = [name for name in older if name.mtime_ns > since] if place is None else older[place + 1 :]
        later += [] if current is None else [current]
        return next((name.opened() for name in later if name.size), None)

    return _at_rest(path, look)


def _at_rest(path: Path, look: Callable[[], Opened | None]) -> Opened | None:
    """What is found while nobody renames: a file that moves during the search would be missed, or taken for gone."""
    for _ in range(TRIES):
        with suppress(Moved):
            return look()
    raise OSError(f"{path} and its rotated files are renamed all the time")


def names(path: Path) -> tuple[list[Name], Name | None]:
    """The rotated files of a path, oldest first, and the one that has its name; Moved where that changes meanwhile."""
    first, again = _names(path), _names(path)
    if [_who(one) for one in (*first[0], first[1])] != [_who(one) for one in (*again[0], again[1])]:
        raise Moved
    return again


def _who(name: Name | None) -> tuple[Path, int] | None:
    return None if name is None else (name.path, name.inode)


def _names(path: Path) -> tuple[list[Name], Name | None]:
    places = {(path.parent, path.name): None, (path.resolve().parent, path.resolve().name): None}
    found: dict[tuple[bool, int, str], Name] = {}
    for folder, name in places:
        for entry, stamp in _stamped(folder, name):
            found[_age(stamp)] = entry
    return [found[age] for age in sorted(found)], _name(path)


def _stamped(folder: Path, name: str) -> Iterator[tuple[Name, str]]:
    """Compressed ones first: while one is being compressed it is there twice, and the plain one counts."""
    stem, suffix = os.path.splitext(name)
    shape = re.compile(rf"(?:{re.escape(name)}{STAMP}|{re.escape(stem)}{STAMP}{re.escape(suffix)})(\.gz)?", re.ASCII)
    matched = [(file, found) for file in _files(folder) if (found := shape.fullmatch(file))]
    for file, found in sorted(matched, key=lambda one: one[1][3] is None):
        yield _still(folder / file), found[1] or found[2]


def _age(stamp: str) -> tuple[bool, int, str]:
    """Sorts the oldest first: dates as they are, numbers the other way.

    >>> sorted(["1", "10", "2", "20260102", "20260101"], key=_age)
    ['20260101', '20260102', '10', '2', '1']
    """
    numbered = stamp.isdigit() and len(stamp) <= NUMBER_DIGITS
    return (True, -int(stamp), "") if numbered else (False, 0, stamp)


def _strangers(path: Path) -> Iterator[Name]:
    """Whatever else lies beside it: a file may be renamed to anything."""
    for folder in {path.parent, path.resolve().parent}:
        yield from (_still(folder / file) for file in _files(folder))


def _files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_file()]
    except FileNotFoundError:
        return []


def _still(path: Path) -> Name:
    """Moved where a name that was just read from its folder is gone."""
    if (found := _name(path)) is None:
        raise Moved
    return found


def _name(path: Path) -> Name | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return Name(path, status.st_ino, status.st_size, status.st_mtime_ns)


def _place(older: list[Name], position: Position) -> int | None:
    for copies in (False, True):
        for place, name in enumerate(older):
            if (copies or name.inode == position["inode"]) and _is(name, position, copies):
                return place
    return None


def _is(name: Name, position: Position, copies: bool) -> bool:
    found = _first_of((name,), position, copies)
    if found is not None:
        found.file.close()
    return found is not None


def _first_of(candidates: Iterable[Name], position: Position, copies: bool) -> Opened | None:
    for name in candidates:
        try:
            found = name.opened()
        except (gzip.BadGzipFile, EOFError, zlib.error):
            continue  # no copy of anything
        if found.is_copy_of(position) if copies else found.is_of(position):
            return found
        found.file.close()
    return None


def _digest(head: bytes) -> str:
    return hashlib.sha256(head).hexdigest()[:16]
