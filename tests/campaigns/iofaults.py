"""`python -m tests.campaigns.iofaults [--short] [--seed N]`: a write or sync that fails is never silent.

Law: a scripted run of the store, the n-th write, sync or truncation of it failing, for every n there is. It ends with
exit 74, or goes on when there is room again, or the fault did no harm; whichever: cut the power then and what was
acknowledged is there, exactly. And so it is when the daemon was started again, counted more, and then the power went:
what a failed sync should have written is in the page cache, where a start reads it, and not on the disk.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from driftmon.daemon.store import StorageError
from tests.campaigns import daemon_faults
from tests.campaigns.children import BROKEN, PROCESSES, in_a_child, in_two
from tests.campaigns.disk import Disk, Mode, Op, records_of
from tests.campaigns.driver import Driver
from tests.campaigns.shim import Fault, Marks, Shim, run_under_the_shim
from tests.campaigns.unchecked import unchecked_checkpoints
from tests.campaigns.world import Ledger, World, chance_of, lay, read

MODULE: Final = "tests.campaigns.iofaults"
STEPS: Final = 22
AGAIN: Final = 4
MOST: Final = 300
WHOLE: Final = 2 * (STEPS + AGAIN)
EXIT_IO: Final = 74
GOES_ON: Final[tuple[tuple[str, str, int], ...]] = (
    ("write", "EIO", 1), ("write", "ENOSPC", 1), ("write", "ENOSPC", 9), ("write", "short", 1),
    ("sync", "EIO", 1), ("sync", "ENOSPC", 1), ("truncate", "EIO", 1),
)  # fmt: skip
CUTS: Final[tuple[Mode, ...]] = ("none", "all")


@dataclass
class Tally:
    """Runs of one kind of fault, by how they ended."""

    ends: Counter[str] = field(default_factory=Counter)
    silent: int = 0
    faults: list[str] = field(default_factory=list)
    over: bool = False  # the script has no n-th call

    def add(self, other: Tally) -> None:
        self.ends += other.ends
        self.silent += other.silent
        self.faults += other.faults
