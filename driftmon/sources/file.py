"""`type: file`: a whole file, or a growing one with `follow`.

Law: every complete line is read once, whatever happens to the name: a file that was renamed, while it was read or
while nobody did, is read to its end before the next one. Where the unread end of a file is gone, that is a gap, which
is counted: truncated without a copy, or removed. copytruncate is read from its copy, but what is written between
the copy and the truncation is in neither: rename and create is the better rotation.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from driftmon.formats.lines import count_of
from driftmon.sources.base import BLOCK_BYTES, Block, Format, Limits, Lines, Position, Positions, Progress, with_header
from driftmon.sources.rotation import Opened, after, where

POLL_S: Final = 0.25

Place: TypeAlias = tuple[Opened, Position | None]  # the file, and where to go on in it

log: Final = logging.getLogger("driftmon.sources")


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
    """Goes on at the stored position, in that file or a copy of it wherever it is now; without one, at the start."""

    def __init__(self, stream: str, options: Options, limits: Limits) -> None:
        self.origin = f"file:{options.path}"
        self.progress = Progress(lag_bytes=self._lag_bytes if options.follow else None)
        self._stream = stream
        self._path = options.path
        self._follow = options.follow
        self._format: Format = options.format or _format_of(options.path)
        self._line_bytes = limits.line_bytes
        self._reading: _Reading | None = None

    async def blocks(self, resume: Positions) -> AsyncGenerator[Block, None]:
        opened, start = await self._open(resume.get(self.origin))
        while True:
            reading = self._reading = _Reading(opened, self._format, self._line_bytes, start)
            try:
                async for block in self._read(reading):
                    yield block
            except BaseException:
                if reading.next is not None:
                    reading.next.file.close()
                raise
            finally:
                self._reading = None
                opened.file.close()
            if not self._follow:
                return
            # The next file from its start; or what is left of one that was truncated, from where that was read.
            opened, start = (reading.next, None) if reading.next is not None else await self._find(reading.last)

    async def _open(self, position: Position | None) -> Place:
        if self._follow and position is not None:
            return await self._find(position)
        while True:
            try:
                opened = await asyncio.to_thread(Opened, self._path)
            except FileNotFoundError:
                if not self._follow:
                    raise
                await asyncio.sleep(POLL_S)
            else:
                return opened, position if position is not None and opened.is_of(position) else None

    async def _find(self, position: Position) -> Place:
        """The file of a position, to go on there; where it is gone, the one after it from its start."""
        for _ in range(2):  # a rotation may be under way
            if (found := await asyncio.to_thread(where, self._path, position)) is not None:
                return found, position
            await asyncio.sleep(POLL_S)
        self.progress.gap_events += 1
        log.error(
            "stream %s: %s was truncated or removed after byte %d (line %d) was read, and there is no copy: "
            "what was written there later is lost; rotate by rename and create",
            self._stream, self._path, position["offset"], position["line"],
        )  # fmt: skip
        while (found := await asyncio.to_thread(after, self._path, position)) is None:
            await asyncio.sleep(POLL_S)
        return found, None

    async def _read(self, reading: _Reading) -> AsyncIterator[Block]:
        """One file, until there is no more of it, ever: then `reading.next` is the next one, None if it was truncated.

        Followed, it is read once more after the next one was begun: its writer may have added a line before that.
        """
        over = not self._follow
        while True:
            data = await asyncio.to_thread(reading.opened.file.read, BLOCK_BYTES)
            if self._follow and reading.opened.changed:
                return
            whole = reading.lines.feed(data) if data or not over else reading.lines.rest()
            if whole:
                yield self._block(reading, whole)
            if data:
                continue
            if over:
                return
            reading.next = await asyncio.to_thread(self._next, reading)
            over = reading.next is not None
            if not over:
                await asyncio.sleep(POLL_S)

    def _next(self, reading: _Reading) -> Opened | None:
        try:
            if os.path.samestat(self._path.stat(), reading.opened.status):
                return None
        except FileNotFoundError:
            pass  # between rename and create there may be rotated files that are newer
        return after(self._path, reading.position())

    def _block(self, reading: _Reading, whole: bytes) -> Block:
        line = reading.line - reading.header.count(b"\n")
        reading.line += count_of(b"\n", whole)
        data, reading.header = with_header(self._format, reading.header, whole)
        reading.last = reading.position()
        return Block(self._stream, "file", self._format, data, reading.last, origin=self.origin, first_line=line)

    def _lag_bytes(self) -> int:
        """Not read yet: of the file that is read, and of the one that has the name if that is another."""
        try:
            status = self._path.stat()
        except OSError:
            return 0 if self._reading is None else self._reading.rest_bytes
        if self._reading is None:
            return status.st_size
        same = self._reading.opened.status.st_ino == status.st_ino
        return self._reading.rest_bytes + (0 if same else status.st_size)


class _Reading:
    """How far one open file was read; from `start` if that was taken in it."""

    def __init__(self, opened: Opened, form: Format, line_bytes: int, start: Position | None) -> None:
        self.opened = opened
        self.next: Opened | None = None
        self.lines = Lines(line_bytes, quotes=b'"' if form == "csv" else b"")
        self.line, self.header = 1, b""
        if start is not None:
            self._resume(start, form)
        self.last = self.position()

    def _resume(self, start: Position, form: Format) -> None:
        if form == "csv":
            _, self.header = with_header("csv", b"", self.opened.file.read(BLOCK_BYTES))
        self.line = int(start["line"])
        self.opened.file.seek(int(start["offset"]))

    def position(self) -> Position:
        return {
            "offset": self.opened.file.tell() - self.lines.torn_bytes,
            "line": self.line,
            **self.opened.identity(),
        }

    @property
    def rest_bytes(self) -> int:
        return 0 if self.opened.compressed else max(0, self.opened.status.st_size - int(self.last["offset"]))


def _format_of(path: Path) -> Format:
    return "csv" if ".csv" in path.suffixes[-2:] else "ndjson"
