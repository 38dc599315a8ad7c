"""State folder: ours alone, its names on the disk, and what of its filesystem one should know.

Law: whoever holds the claim is the only driftmon in the folder; it is taken before a file of it is judged.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from driftmon.daemon.database import StorageError
from driftmon.daemon.descriptor import Descriptor

UNSURE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "ceph", "glusterfs"})
PASSING: Final = frozenset({"tmpfs", "ramfs", "overlay", "aufs"})

log: Final = logging.getLogger("driftmon.store")


def claimed(folder: Path) -> Descriptor:
    """The folder, ours until it is closed or this process ends; StorageError 75 where it is somebody else's."""
    claim = Descriptor(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(claim.number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as fault:
        claim.close()
        raise in_use(folder) from fault
    except OSError as fault:  # no such locks on this filesystem: SQLite's remain
        log.debug("%s cannot be locked: %s", folder, fault)
    return claim


def in_use(folder: Path) -> StorageError:
    """Exit 75."""
    return StorageError(75, f"--storage.path {folder}: another driftmon uses it; stop it or choose another folder")


def sync_names(folder: Path) -> None:
    """What was made, renamed or removed in a folder is on the disk when this returns."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def warn_of_filesystem(folder: Path) -> None:
    """Say it where a folder's filesystem does not keep what this daemon promises."""
    try:
        mounts = Path("/proc/self/mounts").read_text(errors="replace").splitlines()
    except OSError:
        return
    if caution := caution_of(folder.resolve(), mounts):
        log.warning("--storage.path %s: %s", folder, caution)


def caution_of(folder: Path, mounts: Iterable[str]) -> str:
    """What to know of the filesystem a folder lies on, of lines as /proc/mounts has them; empty if nothing.

    >>> caution_of(Path("/data/x"), ["/dev/a / ext4 rw 0 0", "srv:/ /data nfs4 rw 0 0"])
    'it lies on nfs4, whose locks and flushes may not hold; use a local disk'
    >>> caution_of(Path("/data"), ["overlay / overlay rw 0 0"])
    'it lies on overlay, which is gone with its container or machine; mount a volume there'
    """
    kind, longest = "", -1
    for line in mounts:
        _, mounted, found, *_ = line.split(" ")
        point = Path(mounted.encode().decode("unicode_escape"))
        if folder.is_relative_to(point) and len(point.parts) >= longest:  # a later mount covers an earlier one
            kind, longest = found, len(point.parts)
    if kind in UNSURE:
        return f"it lies on {kind}, whose locks and flushes may not hold; use a local disk"
    if kind in PASSING:
        return f"it lies on {kind}, which is gone with its container or machine; mount a volume there"
    return ""
