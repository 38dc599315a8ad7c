"""Cgroup: a memory limit for one process, by whichever version of cgroups this machine lets us write.

Law: a machine without is said so, with what was tried; nothing is left behind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

V1: Final = Path("/sys/fs/cgroup/memory")
V2: Final = Path("/sys/fs/cgroup")


class Unavailable(Exception):  # noqa: N818  a state, not an error
    """No memory cgroup can be made here."""


@dataclass(frozen=True)
class Cgroup:
    """One group; processes started with `enter` as preexec_fn are born in it."""

    folder: Path
    version: int

    def enter(self) -> None:
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    @property
    def kills(self) -> int:
        """How many of its processes the kernel has killed for memory."""
        lines = (self.folder / ("memory.oom_control" if self.version == 1 else "memory.events")).read_text()
        found = dict(line.split() for line in lines.splitlines())
        return int(found["oom_kill"])


@contextmanager
def limited(most_bytes: int) -> Iterator[Cgroup]:
    """A group of at most so much memory; swap, where there is any, counts."""
    group = _made(most_bytes)
    try:
        yield group
    finally:
        group.folder.rmdir()


def _made(most_bytes: int) -> Cgroup:
    tried = []
    for version, root in ((1, V1), (2, V2)):
        folder = root / f"driftmon-hostile-{os.getpid()}"
        try:
            if version == 2:
                (root / "cgroup.subtree_control").write_text("+memory")
            folder.mkdir()
        except OSError as fault:
            tried.append(f"v{version}: {fault}")
            continue
        limit, swap = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes") if version == 1 else ("memory.max", "")
        (folder / limit).write_text(str(most_bytes))
        with suppress(OSError):  # no swap accounting, as on many machines
            (folder / (swap or "memory.swap.max")).write_text(str(most_bytes) if swap else "0")
        return Cgroup(folder, version)
    raise Unavailable("; ".join(tried))
