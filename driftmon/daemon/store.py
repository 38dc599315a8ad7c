"""Store: what a clean shutdown leaves and the next start finds: one file a stream.

Law: a file holds counts, alerts and source positions of the same instant and is replaced as a whole, so
that a restart never counts a record twice nor misses one that its source can still give.
Durability of each acknowledged block (SQLite) is to come here; until then a reply says `durable: false`.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from driftmon.daemon.streams import Saved
from driftmon.monitor.rules import Alert
from driftmon.monitor.snapshot import Snapshot
from driftmon.sources.base import Position

log: Final = logging.getLogger("driftmon.store")

FORMAT: Final = "driftmon.state"
VERSION: Final = 1


class StorageError(Exception):
    """The storage cannot be used; `exit_code` says why: 73 not created, 74 I/O error, 75 in use."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Store:
    """The folder of --storage.path, ours alone until `close`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as fault:
            raise StorageError(
                73, f"--storage.path {folder}: {fault.strerror}; choose a folder this user may write"
            ) from fault
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            os.close(self._lock)
            raise StorageError(
                75, f"--storage.path {folder}: another driftmon uses it; stop it or choose another folder"
            ) from fault

    def load(self, stream: str) -> Saved | None:
        """The state of a stream; None if there is none, or if it cannot be read, when it is put aside."""
        path = self._path(stream)
        try:
            return _from_tree(json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise StorageError(74, f"{path}: {fault.strerror}; check the disk and the permissions") from fault
        except (ValueError, KeyError, TypeError) as fault:
            aside = path.with_suffix(".corrupt")
            os.replace(path, aside)
            log.error(
                "%s cannot be read (%s); it was moved to %s and stream %s starts empty", path, fault, aside, stream
            )
            return None

    def save(self, stream: str, saved: Saved) -> None:
        """Replace the state of a stream; the old one stands until the new one is on the disk."""
        path = self._path(stream)
        try:
            _replace(path, json.dumps(_tree(saved), ensure_ascii=True).encode())
        except OSError as fault:
            raise StorageError(74, f"{path}: {fault.strerror}; the state of stream {stream} is not saved") from fault

    def close(self) -> None:
        """Let another process have the folder."""
        os.close(self._lock)

    def _path(self, stream: str) -> Path:
        return self._folder / f"{quote(stream, safe='')}.state.json"


def _replace(path: Path, data: bytes) -> None:
    new = path.with_suffix(".new")
    with open(new, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name, too, must be on the disk
    finally:
        os.close(folder)


def _tree(saved: Saved) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "snapshot": _text(saved.snapshot),
        "reference": None if saved.reference is None else _text(saved.reference),
        "alerts": msgspec.to_builtins(saved.alerts),
        "spent": {rule: dict(panes) for rule, panes in saved.spent.items()},
        "positions": {origin: dict(position) for origin, position in saved.positions.items()},
    }


def _from_tree(tree: Any) -> Saved:
    if not isinstance(tree, dict) or tree.get("format") != FORMAT or tree.get("version") != VERSION:
        raise ValueError(f"not a {FORMAT} of version {VERSION}")
    reference = tree["reference"]
    return Saved(
        Snapshot.from_bytes(_bytes(tree["snapshot"])),
        msgspec.convert(tree["alerts"], tuple[Alert, ...]),
        msgspec.convert(tree["positions"], dict[str, Position]),
        None if reference is None else Snapshot.from_bytes(_bytes(reference)),
        msgspec.convert(tree.get("spent", {}), dict[str, dict[str, int]]),
    )


def _text(snapshot: Snapshot) -> str:
    return snapshot.to_bytes().decode("utf-8", "surrogatepass")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
