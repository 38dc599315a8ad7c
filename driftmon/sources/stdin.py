"""`type: stdin`: records from standard input, until it ends.

Law: every byte read becomes part of exactly one block; the last line needs no line end.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from driftmon.formats.lines import count_of
from driftmon.sources.base import BLOCK_BYTES, Block, Format, Limits, Lines, Positions, Progress, with_header

STDIN: Final = 0


@dataclass(frozen=True, slots=True)
class Options:
    """How standard input is read."""

    format: Format = field(default="ndjson", metadata={"doc": "ndjson, or csv with a header line"})


class Source:
    """Standard input holds no position: after a restart the writer decides what comes next."""

    def __init__(self, stream: str, options: Options, limits: Limits, *, descriptor: int = STDIN) -> None:
        self.origin = "stdin"
        self.progress = Progress()
        self._stream = stream
        self._format: Format = options.format
        self._lines = Lines(limits.line_bytes, quotes=b'"' if options.format == "csv" else b"")
        self._descriptor = descriptor

    async def blocks(self, resume: Positions) -> AsyncGenerator[Block, None]:
        header, line = b"", 1
        async for whole in self._whole_lines():
            first_line = line - header.count(b"\n")
            data, header = with_header(self._format, header, whole)
            yield Block(self._stream, "stdin", self._format, data, origin=self.origin, first_line=first_line)
            line += count_of(b"\n", whole)

    async def _whole_lines(self) -> AsyncIterator[bytes]:
        async for data in _read(self._descriptor):
            whole = self._lines.feed(data)
            if whole:
                yield whole
        torn = self._lines.rest()
        if torn:
            yield torn


async def _read(descriptor: int) -> AsyncIterator[bytes]:
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        while data := await asyncio.to_thread(os.read, descriptor, BLOCK_BYTES):
            yield data
        return
    # A pipe or a terminal may stay silent for ever; a thread waiting in read() could not be stopped.
    reader = asyncio.StreamReader(limit=BLOCK_BYTES)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(descriptor), "rb", buffering=0)
    )
    try:
        while data := await reader.read(BLOCK_BYTES):
            yield data
    finally:
        transport.close()
