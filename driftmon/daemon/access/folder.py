"""Folder: who may get at the folder of --storage.path.

Law: what another user owns is not ours to trust, whatever its bits; that others may write there is told at each start.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import Final

from driftmon.daemon.database import StorageError

WRITERS: Final = ((stat.S_IWGRP, "its group"), (stat.S_IWOTH, "everybody"))

log: Final = logging.getLogger("driftmon.access")


def check_folder(folder: Path) -> None:
    """StorageError 73 where somebody else owns it. What is not there yet is made with mode 0700 later.

    Root's is trusted, who could do anything anyway: a volume of Kubernetes is root's. And root trusts everybody's.
    """
    try:
        found = folder.stat()  # of what a link leads to
    except OSError:
        return
    user = os.geteuid()
    if user != 0 and found.st_uid not in (user, 0):
        fault = f"belongs to user {found.st_uid}, not to {user} who runs this; chown it or choose another folder"
        raise StorageError(73, f"--storage.path {folder}: {fault}")
    if writers := " and ".join(who for bit, who in WRITERS if found.st_mode & bit):
        log.warning("%s may be written by %s, who could forge counts; chmod go-w it", folder, writers)
