"""`type: file`: a whole file, or a growing one with `follow`.

Law: every complete line is read once, whatever happens to the name: a file that was renamed is read to its
end before the new one is opened. A file that shrank was truncated and is read from its start; what was
written between the last read and the truncation is gone, which is why rename and create is the better rotation.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, cast

from driftmon.sources.base import BLOCK_BYTES, Block, Format, Limits, Lines, Position, with_header

POLL_S: Final = 0.25
HEAD_BYTES: Final = 1024  # of the file's first bytes make its identity, for inode numbers are used again


@dataclass(frozen=True, slots=True)
class Options:
    """Which file, and how it is read."""

    path: Path = field(metadata={"doc": "the file; it may end in .gz unless it is followed"})
    follow: bool = field(default=False, metadata={"doc": "wait for more, and for the next file after a rotation"})
    format: Format | None = field(
        default=None, metadata={"doc": "ndjson, or csv with a header line; by default as the name ends, else ndjson"}
    )

    def __post_init__(self) -> None:
        if self.follow and self.path.suffix == ".gz":
            raise ValueError(f"follow: {self.path.name} is compressed and cannot be followed; follow the plain file")


class Source:
    """Goes on at the stored position if the file is still the same one, else at its start."""

    def __init__(self, stream: str, options: Options, limits: Limits) -> None:
        self.origin = f"file:{options.path}"
        self._stream = stream
        self._path = options.path
        self._follow = options.follow
        self._format: Format = options.format or _format_of(options.path)
        self._line_bytes = limits.line_bytes

    async def blocks(self, resume: Position | None) -> AsyncIterator[Block]:
        while True:
            with await self._open() as file:
                async for block in self._read(file, resume):
                    yield block
            resume = None
            if not self._follow:
                return

    async def _open(self) -> BinaryIO:
        while True:
            try:
                opened = gzip.open if self._path.suffix == ".gz" else open
                return cast(BinaryIO, opened(self._path, "rb"))
            except FileNotFoundError:
                if not self._follow:
                    raise
                await asyncio.sleep(POLL_S)

    async def _read(self, file: BinaryIO, resume: Position | None) -> AsyncIterator[Block]:
        """One file, to its end: the end of its bytes, or, followed, when another file has its name or it shrank."""
        reading = _Reading(file, Lines(self._line_bytes, quotes=b'"' if self._format == "csv" else b""))
        reading.resume(resume, self._format)
        while True:
            data = await asyncio.to_thread(file.read, BLOCK_BYTES)
            if data:
                whole = reading.feed(data)
            elif not self._follow or await self._is_over(file):
                # Once more: the writer may have added a line between our read and the rotation.
                whole = reading.feed(await asyncio.to_thread(file.read)) + reading.lines.rest()
            else:
                continue
            if whole:
                yield self._block(reading, whole)
            if not data:
                return

    async def _is_over(self, file: BinaryIO) -> bool:
        await asyncio.sleep(POLL_S)
        held = os.fstat(file.fileno())
        if held.st_size < file.tell():
            return True
        try:
            named = self._path.stat()
        except FileNotFoundError:
            return False
        return (named.st_dev, named.st_ino) != (held.st_dev, held.st_ino)

    def _block(self, reading: _Reading, whole: bytes) -> Block:
        line = reading.line - reading.header.count(b"\n")
        reading.line += whole.count(b"\n")
        data, reading.header = with_header(self._format, reading.header, whole)
        position = reading.position()
        return Block(self._stream, "file", self._format, data, position, origin=self.origin, first_line=line)


@dataclass
class _Reading:
    """How far one open file was read."""

    file: BinaryIO
    lines: Lines
    line: int = 1
    header: bytes = b""

    def feed(self, data: bytes) -> bytes:
        return self.lines.feed(data)

    def position(self) -> Position:
        return {"offset": self.file.tell() - self.lines.torn_bytes, "line": self.line, **_identity(self.file)}

    def resume(self, position: Position | None, form: Format) -> None:
        if position is None or any(position.get(key) != value for key, value in _identity(self.file, position).items()):
            return
        if form == "csv":
            _, self.header = with_header("csv", b"", self.file.read(BLOCK_BYTES))
        self.line = int(position["line"])
        self.file.seek(int(position["offset"]))


def _identity(file: BinaryIO, position: Position | None = None) -> dict[str, int | str]:
    """Device, inode and a hash of the first bytes: as many as there were when the position was taken."""
    at, status = file.tell(), os.fstat(file.fileno())
    head_bytes = int(position.get("head_bytes", 0)) if position else HEAD_BYTES
    file.seek(0)
    head = file.read(min(head_bytes, HEAD_BYTES))
    file.seek(at)
    digest = hashlib.sha256(head).hexdigest()[:16]
    return {"device": status.st_dev, "inode": status.st_ino, "head_bytes": len(head), "head": digest}


def _format_of(path: Path) -> Format:
    return "csv" if ".csv" in path.suffixes[-2:] else "ndjson"
