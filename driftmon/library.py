"""What a library user needs of the file system: read a snapshot."""

from __future__ import annotations

from pathlib import Path

from driftmon.monitor.snapshot import Snapshot, SnapshotError


def load(path: str | Path) -> Snapshot:
    """A reference or another snapshot from its file; SnapshotError names the file and what is wrong with it."""
    try:
        return Snapshot.from_bytes(Path(path).read_bytes())
    except SnapshotError as fault:
        raise SnapshotError(f"{path}: {fault}") from fault
