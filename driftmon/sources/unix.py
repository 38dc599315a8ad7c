"""`type: unix`: NDJSON lines over a Unix socket, one connection per writer.

Law: a writer is never dropped for being fast: when the daemon is busy its socket is not read, so its writes block.
A line is counted at most once. A writer that wants to know shuts its side down and reads: one line of JSON comes,
after the commit of all that its connection sent; without that line, what it sent may or may not have been counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from driftmon.sources.base import Ack, Block, Limits, Lines, Positions, Progress, Settled, joined

READ_BYTES: Final = 64 * 1024
WAITING_BLOCKS: Final = 4  # between the connections and the mailbox
CONNECTIONS: Final = 64  # each may hold READ_BYTES and one torn line


@dataclass(frozen=True, slots=True)
class Options:
    """Where the socket is; it is created with mode 0600."""

    path: Path = field(metadata={"doc": "path of the socket, at most 107 bytes"})


class Source:
    """Blocks of all connections, in the order of arrival; never ends."""

    def __init__(self, stream: str, options: Options, limits: Limits) -> None:
        self.origin = f"unix:{options.path}"
        self.progress = Progress()
        self._stream = stream
        self._path = options.path
        self._line_bytes = limits.line_bytes
        self._waiting: asyncio.Queue[Block] = asyncio.Queue(WAITING_BLOCKS)
        self._connections: set[asyncio.StreamWriter] = set()

    async def blocks(self, resume: Positions) -> AsyncGenerator[Block, None]:
        server = await asyncio.start_unix_server(self._serve, sock=listening_socket(self._path), limit=READ_BYTES)
        try:
            while True:
                yield await self._waiting.get()
        finally:
            server.close()
            for writer in self._connections:
                writer.transport.abort()
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= CONNECTIONS:
            writer.transport.abort()
            return
        self._connections.add(writer)
        try:
            with contextlib.suppress(ConnectionError):
                receipt = await self._read(reader)
                writer.write(receipt)
                await writer.drain()
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        """All that a connection sends; the answer to it."""
        lines, line, receipt = Lines(self._line_bytes), 1, _Receipt()
        while data := await reader.read(READ_BYTES):
            whole = lines.feed(data)
            if whole:
                await self._waiting.put(self._block(whole, line, receipt.ask()))
                line += whole.count(b"\n")
        torn = lines.rest()
        if torn:
            await self._waiting.put(self._block(torn, line, receipt.ask()))
        return await receipt.line()

    def _block(self, data: bytes, line: int, ack: Ack) -> Block:
        return Block(self._stream, "unix", "ndjson", data, ack=ack, origin=self.origin, first_line=line)


class _Receipt:
    """What became of the blocks of one connection."""

    def __init__(self) -> None:
        self._total = Settled(0, durable=True)
        self._faults = self._open = 0
        self._all = asyncio.Event()
        self._all.set()

    def ask(self) -> Ack:
        """The ack of one more block."""
        self._open += 1
        self._all.clear()
        return self._settle

    def _settle(self, outcome: Settled | Exception) -> None:
        self._open -= 1
        if isinstance(outcome, Settled):
            self._total = joined((self._total, replace(outcome, errors=())))
        else:
            self._faults += 1
        if not self._open:
            self._all.set()

    async def line(self) -> bytes:
        """Once every block has been answered."""
        await self._all.wait()
        total = self._total
        told = {
            "accepted": total.accepted,
            "rejected": total.rejected,
            "late": total.late,
            "failed_blocks": self._faults,
            "durable": total.durable and not self._faults,
        }
        return json.dumps(told).encode() + b"\n"


def listening_socket(path: Path) -> socket.socket:
    """A Unix socket with mode 0600 at `path`; a socket nobody listens on any more is replaced, OSError otherwise."""
    with contextlib.suppress(FileNotFoundError):
        _remove_stale(path)
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The mask, not a later chmod: between bind and chmod anyone could connect.
    mask = os.umask(0o177)
    try:
        found.bind(str(path))
    except OSError:
        found.close()
        raise
    finally:
        os.umask(mask)
    found.listen(128)
    found.setblocking(False)
    return found


def _remove_stale(path: Path) -> None:
    if not path.is_socket():
        if path.exists():
            raise FileExistsError(f"{path} exists and is no socket; remove it or choose another path")
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise FileExistsError(f"{path}: another process listens there; stop it or choose another path")
