"""Shim: shim.c in this process: what is written to a folder is recorded, and a write or sync of it can be made to fail.

Law: the campaign runs again under the library, so that its children have it too; without a compiler it is skipped
with a reason, and fails where DRIFTMON_REQUIRE_SERVERS=1.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).with_name("shim.c")
HEAD: Final = struct.Struct("=IIQqq")  # op, bytes of the path, inode, offset, size
MARK: Final = 10  # a record of the driver: its path is a text
KINDS: Final = {"write": 0, "sync": 1, "truncate": 2}
EVER_AFTER: Final = 10**6
ERRORS: Final = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "short": 0}


@dataclass(frozen=True)
class Fault:
    """Calls number `nth` and on, `times` of them, of a kind fail; "short": half is written, then there is no room."""

    kind: str
    error: str
    nth: int
    times: int = 1

    def __str__(self) -> str:
        more = " ->" if self.times == EVER_AFTER else f" x{self.times}" if self.times > 1 else ""
        return f"{self.kind} {self.nth} {self.error}{more}"

    def environment(self) -> str:
        return f"{KINDS[self.kind]} {self.nth} {self.times} {ERRORS[self.error]}"


def run_under_the_shim(module: str) -> None:
    """Come back only in a process that has the library."""
    if hasattr(ctypes.CDLL(None), "shim_start"):
        return
    if (compiler := shutil.which("cc")) is None:
        sys.stdout.write(f"{module}: SKIPPED, no C compiler: apt-get install gcc libc6-dev\n")
        sys.exit(int(os.environ.get("DRIFTMON_REQUIRE_SERVERS") == "1"))
    folder = Path(tempfile.mkdtemp(prefix="driftmon-shim-"))
    library = folder / "shim.so"
    try:
        build = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-pthread", "-o", str(library), str(SOURCE)]
        subprocess.run(build, check=True)
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        sys.exit(subprocess.run(command, env=os.environ | {"LD_PRELOAD": str(library)}, check=False).returncode)
    finally:
        shutil.rmtree(folder)


class Shim:
    """The library in this process."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None)
        self._library.shim_fired.restype = self._library.shim_counted.restype = ctypes.c_long
        self._library.shim_arm.argtypes = [ctypes.c_int, ctypes.c_long, ctypes.c_long, ctypes.c_int]

    def start(self, folder: Path, trace: Path) -> None:
        """Record what happens in the folder."""
        self._library.shim_start(os.fsencode(folder.resolve()), os.fsencode(trace))

    def stop(self) -> None:
        self._library.shim_stop()

    def arm(self, fault: Fault) -> None:
        self._library.shim_arm(KINDS[fault.kind], fault.nth, fault.times, ERRORS[fault.error])

    def fired(self) -> int:
        """How many calls were made to fail since it was armed."""
        return int(self._library.shim_fired())

    def counted(self, kind: str) -> int:
        """How many calls there were since the start."""
        return int(self._library.shim_counted(KINDS[kind]))


class Marks:
    """What the driver knows, between the records of the disk: appended in one write, so never torn."""

    def __init__(self, trace: Path) -> None:
        self._file = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def __call__(self, text: str) -> None:
        data = text.encode()
        os.write(self._file, HEAD.pack(MARK, len(data), 0, 0, 0) + data)

    def close(self) -> None:
        os.close(self._file)
