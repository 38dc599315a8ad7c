"""Disk: what a power cut may leave of a folder, from the trace of what was written and synced there.

Law: of a file there is what its last completed sync covered; of every write since, any part may be there or not, by
sectors. Names come and go in order with the next sync of anything (`ordered`, a journal as ext4 has it), or each by
itself until its directory is synced (`posix`). What a failed sync should have written is never written later.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from enum import IntEnum
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

from tests.campaigns.shim import HEAD, MARK

SECTOR: Final = 512
Mode: TypeAlias = Literal["none", "all", "prefix", "subset", "torn"]
MODES: Final[tuple[Mode, ...]] = ("none", "all", "prefix", "subset", "torn")
Model: TypeAlias = Literal["ordered", "posix"]
MODELS: Final[tuple[Model, ...]] = ("ordered", "posix")

Image: TypeAlias = dict[str, bytes]  # by path below the folder


class Op(IntEnum):
    """As shim.c numbers them."""

    CREATE = 1
    OPENED = 2
    WRITE = 3
    TRUNCATE = 4
    SYNC = 5
    SYNC_FAILED = 6
    UNLINK = 7
    RENAME = 8
    SYNC_DIR = 9
    MARK = MARK


class Record(NamedTuple):
    op: Op
    path: str
    inode: int
    offset: int
    size: int
    data: memoryview


def records_of(trace: Path) -> Iterator[Record]:
    """In the order of their effects."""
    raw, at = memoryview(trace.read_bytes()), 0
    while at < len(raw):
        op, path_bytes, inode, offset, size = HEAD.unpack_from(raw, at)
        at += HEAD.size
        path = bytes(raw[at : at + path_bytes]).decode()
        at += path_bytes
        length = size if op == Op.WRITE else 0
        yield Record(Op(op), path, inode, offset, size, raw[at : at + length])
        at += length


class Content:
    """A file whatever it is called: what is safe, and the writes (or, without data, truncations) that are not."""

    def __init__(self, data: bytes = b"") -> None:
        self.safe = bytearray(data)
        self.seen = bytearray(data)  # as the process reads it
        self.unsynced: list[tuple[int, memoryview | None]] = []

    def change(self, offset: int, data: memoryview | None) -> None:
        apply(self.seen, offset, data)
        self.unsynced.append((offset, data))

    def sync(self) -> None:
        for offset, data in self.unsynced:
            apply(self.safe, offset, data)
        self.unsynced = []

    def drop(self) -> None:
        self.unsynced = []

    def after_a_cut(self, mode: Mode | None, chance: random.Random) -> bytes:
        chosen: Mode = chance.choice(MODES) if mode is None else mode
        result = bytearray(self.safe)
        count = {"none": 0, "prefix": chance.randint(0, len(self.unsynced))}.get(chosen, len(self.unsynced))
        for offset, data in self.unsynced[:count]:
            if chosen == "torn" and data is not None:
                for start in range(0, len(data), SECTOR):
                    if chance.random() < 0.5:
                        apply(result, offset + start, data[start : start + SECTOR])
            elif chosen in ("all", "prefix") or chance.random() < 0.5:
                apply(result, offset, data)
        return bytes(result)


def apply(content: bytearray, offset: int, data: memoryview | None) -> None:
    r"""
    >>> content = bytearray(b"abc")
    >>> apply(content, 4, memoryview(b"x")); bytes(content)
    b'abc\x00x'
    >>> apply(content, 2, None); bytes(content)
    b'ab'
    """
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    if data is None:
        del content[offset:]
    else:
        content[offset : offset + len(data)] = data


Change: TypeAlias = Mapping[str, Content | None]  # a name and what it means now, nothing if None; both of a rename


class Disk:
    """The folder as the records so far leave it; `image` is what was there when it began."""

    def __init__(self, folder: Path, image: Mapping[str, bytes] | None = None) -> None:
        self._root = f"{folder.resolve()}/"
        self._inodes: dict[int, Content] = {}
        self._now: dict[str, Content] = {name: Content(data) for name, data in (image or {}).items()}
        self._safe = {model: dict(self._now) for model in MODELS}
        self._changes: dict[Model, list[Change]] = {model: [] for model in MODELS}  # of names, not yet safe

    def apply(self, record: Record) -> None:
        match record.op:
            case Op.CREATE | Op.OPENED:
                self._open(record)
            case Op.WRITE:
                self._inodes[record.inode].change(record.offset, record.data)
            case Op.TRUNCATE:
                self._inodes[record.inode].change(record.size, None)
            case Op.SYNC:
                self._inodes[record.inode].sync()
                self._names_are_safe("ordered")
            case Op.SYNC_FAILED if record.inode in self._inodes:  # else of the folder: its names stay unsafe
                self._inodes[record.inode].drop()
            case Op.UNLINK:
                self._name({self._below(record.path): None})
            case Op.RENAME:
                old, _, new = record.path.partition("\n")
                self._name({self._below(old): None, self._below(new): self._now[self._below(old)]})
            case Op.SYNC_DIR:
                for model in MODELS:
                    self._names_are_safe(model)

    def seen(self) -> Image:
        """As the process sees it: the trace is complete if this is what the folder holds."""
        return {name: bytes(content.seen) for name, content in self._now.items()}

    def after_a_cut(self, model: Model, mode: Mode | None, chance: random.Random) -> Image:
        """Of all files in one mode; None: each in its own."""
        names, changes = dict(self._safe[model]), self._changes[model]
        kept = {"none": 0, "all": len(changes)}.get(mode or "", chance.randint(0, len(changes)))
        for number, change in enumerate(changes):
            independent = model == "posix" and mode not in ("none", "all")
            if chance.random() < 0.5 if independent else number < kept:
                _rename(names, change)
        return {name: held.after_a_cut(mode, chance) for name, held in names.items()}

    def _open(self, record: Record) -> None:
        name = self._below(record.path)
        if record.op == Op.OPENED and name in self._now:
            self._inodes[record.inode] = self._now[name]
            return
        content = self._inodes[record.inode] = Content()
        self._name({name: content})

    def _name(self, change: Change) -> None:
        _rename(self._now, change)
        for changes in self._changes.values():
            changes.append(change)

    def _names_are_safe(self, model: Model) -> None:
        self._safe[model], self._changes[model] = dict(self._now), []

    def _below(self, path: str) -> str:
        return path.removeprefix(self._root)


def _rename(names: dict[str, Content], change: Change) -> None:
    for name, content in change.items():
        if content is None:
            names.pop(name, None)
        else:
            names[name] = content
