"""Growing: writers that know nothing of the daemon: a log that is torn and rotated, and connections to a Unix socket.

Law: what they call sent was sent for good: each line to its end, whatever its file is called by now.
"""

from __future__ import annotations

import gzip
import json
import random
import shutil
import socket
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.daemon.kit import ndjson, records

STYLES: Final = ("numbered", "dated", "copied")
ROTATE: Final = 0.03  # of the batches end a file
COMPRESS: Final = 0.3  # of the rotated files
REPLY_S: Final = 5.0


class Log(threading.Thread):
    """Appends to a file, now and then half a line, and rotates it: by rename and create, or copied and truncated.

    Not before `known`: what is rotated before a daemon has ever committed a position, no later one can know of.
    """

    def __init__(self, path: Path, seed: int, style: str) -> None:
        super().__init__(daemon=True)
        self.path, self.over, self.known = path, threading.Event(), threading.Event()
        self.sent: list[dict[str, Any]] = []
        self.rotations = self.compressed = 0
        self._seed, self._style, self._chance = seed, style, random.Random(seed)
        self._numbered: list[Path] = []  # newest first
        self._file = path.open("ab", buffering=0)

    def run(self) -> None:
        while not self.over.wait(0.002):
            rows = records(1 + len(self.sent) % 30, seed=self._seed + len(self.sent))
            data = ndjson(rows)
            cut = self._chance.randrange(len(data))
            self._file.write(data[:cut])
            self.over.wait(0.001)
            self._file.write(data[cut:])
            self.sent += rows
            if self.known.is_set() and self._chance.random() < ROTATE:
                self._rotate()
        self._file.close()

    def _rotate(self) -> None:
        self.rotations += 1
        if self._style == "copied":
            self._compress(Path(shutil.copy2(self.path, self._dated())))
            self._file.truncate(0)  # opened to append: the next write is at 0
            return
        rotated = self.path.rename(self._dated()) if self._style == "dated" else self._shift()
        self.over.wait(self._chance.choice((0, 0, 0.01)))  # the name is nobody's for a while
        self._file.close()
        self._file = self.path.open("ab", buffering=0)
        done = self._compress(rotated)
        self._numbered = [done, *self._numbered]

    def _dated(self) -> Path:
        return self.path.with_name(f"{self.path.name}-2026{self.rotations:08d}")

    def _shift(self) -> Path:
        for number in range(len(self._numbered), 0, -1):
            old = self._numbered[number - 1]
            end = ".gz" if old.suffix == ".gz" else ""
            self._numbered[number - 1] = old.rename(self.path.with_name(f"{self.path.name}.{number + 1}{end}"))
        return self.path.rename(self.path.with_name(f"{self.path.name}.1"))

    def _compress(self, rotated: Path) -> Path:
        """As gzip does: it writes beside the file, and removes that at the end."""
        if self._chance.random() >= COMPRESS:
            return rotated
        self.compressed += 1
        packed = rotated.with_name(f"{rotated.name}.gz")
        with rotated.open("rb") as plain, gzip.open(packed, "wb") as target:
            shutil.copyfileobj(plain, target)
        shutil.copystat(rotated, packed)
        rotated.unlink()
        return packed


class Writer(threading.Thread):
    """One connection after the other to a Unix socket: sends, shuts down, waits for the answer, never repeats."""

    def __init__(self, path: Path, seed: int, pause_s: float = 0.003) -> None:
        super().__init__(daemon=True)
        self.path, self.over, self._pause_s = path, threading.Event(), pause_s
        self.answered: list[dict[str, Any]] = []
        self.unanswered: list[dict[str, Any]] = []
        self.connections = 0
        self.faults: list[str] = []
        self._seed = seed

    def run(self) -> None:
        while not self.over.wait(self._pause_s):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
                one.settimeout(REPLY_S)
                try:
                    one.connect(str(self.path))
                except OSError:
                    continue  # nobody is there: nothing was sent
                self.connections += 1
                rows = records(1 + self.connections % 200, seed=self._seed + self.connections)
                self._judge(rows, _said(one, ndjson(rows)))

    def _judge(self, rows: Sequence[dict[str, Any]], line: bytes) -> None:
        if not line.endswith(b"\n"):
            self.unanswered += rows
            return
        self.answered += rows
        told = json.loads(line)
        if (told["accepted"], told["durable"]) != (len(rows), True):
            self.faults.append(f"{len(rows)} records were answered {told}")


def _said(one: socket.socket, data: bytes) -> bytes:
    """What the daemon answers; nothing where it was killed before that."""
    found = b""
    try:
        half = len(data) // 2
        one.sendall(data[:half])
        one.sendall(data[half:])
        one.shutdown(socket.SHUT_WR)
        while more := one.recv(4096):
            found += more
    except OSError:
        return b""
    return found
