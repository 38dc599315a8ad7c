"""Promotion on disk: a new reference takes the place of the old one, which stays beside it with a line that says why.

Law: at every instant the path holds a whole reference, and whatever it ever held is still there under its digest.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from driftmon.monitor.snapshot import Snapshot


def replace_reference(path: Path, new: Snapshot, now_ms: int, told: Mapping[str, str]) -> dict[str, Any]:
    """Keep the old file, write the audit line, then put the new one in place; the line is returned. OSError.

    `told` says who asked and for what; the line comes before the change, so that no change is without one.
    """
    old = path.read_bytes()
    before = Snapshot.from_bytes(old).identity
    kept = path.with_name(f"{path.stem}.{before}{path.suffix}")
    if not kept.exists():
        _write(kept, old)
    entry = {
        "time": datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "from": before,
        "to": new.identity,
        "kept": kept.name,
        **new.provenance,
        **told,
    }
    _append(audit_of(path), entry)
    _write(path, new.to_bytes())
    return entry


def restore_reference(path: Path, entry: Mapping[str, Any], now_ms: int, fault: str) -> None:
    """Undo: the kept file is in place again, and a second line says why."""
    time = datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    _append(audit_of(path), {"time": time, "from": entry["to"], "to": entry["from"], "undone": fault})
    _write(path, path.with_name(entry["kept"]).read_bytes())


def audit_of(path: Path) -> Path:
    """Where the history of a reference file is kept, a JSON object a line."""
    return path.with_name(path.name + ".audit.jsonl")


def _append(path: Path, entry: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _write(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), 0o644)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
