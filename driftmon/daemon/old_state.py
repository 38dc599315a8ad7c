"""Old state: the files a stream's state was kept in before state.db; read once, when the database has none of it.

Law: a file is renamed only after its state is in the database, so a crash between the two reads it again
and finds the database's newer state first.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from driftmon.daemon.database import StorageError
from driftmon.daemon.streams import Saved
from driftmon.monitor.rules import Alert
from driftmon.monitor.snapshot import Snapshot
from driftmon.sources.base import Position

log: Final = logging.getLogger("driftmon.store")

FORMAT: Final = "driftmon.state"
VERSION: Final = 1


def read_old(folder: Path, stream: str) -> Saved | None:
    """What the file of a stream has; None if there is none, or if it cannot be read, when it is put aside."""
    path = _path(folder, stream)
    try:
        return _from_tree(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise StorageError(74, f"{path}: {fault.strerror}; check the disk and the permissions") from fault
    except (ValueError, KeyError, TypeError) as fault:
        aside = path.with_suffix(".corrupt")
        path.replace(aside)
        log.error("%s cannot be read (%s); it was moved to %s and stream %s starts empty", path, fault, aside, stream)
        return None


def put_away(folder: Path, stream: str) -> None:
    """The database has it now."""
    path = _path(folder, stream)
    if path.exists():
        path.replace(path.with_suffix(".migrated"))


def _path(folder: Path, stream: str) -> Path:
    return folder / f"{quote(stream, safe='')}.state.json"


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


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
