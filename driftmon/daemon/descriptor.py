"""Descriptor: an open file that is closed once.

Law: the one on state.db outlives SQLite's connection: closing any descriptor of a file drops all POSIX locks that
this process has on it.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path


class Descriptor:
    """Closed by `close`, or when nobody holds it any more; never through a symbolic link."""

    def __init__(self, path: Path, flags: int) -> None:
        self.number = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.close = weakref.finalize(self, os.close, self.number)
