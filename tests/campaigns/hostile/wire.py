"""Wire: one HTTP connection by hand, with what a client library would refuse to send."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from tests.campaigns.hostile import bombs


class Wire:
    """Keep-alive on one connection; opened again where the daemon closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.accepted = 0  # records, by the daemon's own word
        self.statuses: Counter[str] = Counter()

    async def post(self, body: bytes, headers: str = "") -> int:
        """The status; 0 where the connection broke before one came."""
        head = f"POST {bombs.PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        try:
            status, answer = await self._asked(head.encode() + body)
        except (OSError, EOFError, asyncio.LimitOverrunError):
            await self.close()
            status, answer = 0, {}
        self.accepted += int(answer.get("accepted", 0)) if 200 <= status < 300 else 0
        self.statuses[str(status or "broken")] += 1
        return status

    async def _asked(self, request: bytes) -> tuple[int, Any]:
        if self._ends is None:
            self._ends = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._ends
        writer.write(request)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].split()[0])
        answer = await reader.readexactly(length)
        if "connection: close" in head:
            await self.close()
        return int(head.split()[1]), json.loads(answer)

    async def close(self) -> None:
        if self._ends is not None:
            self._ends[1].transport.abort()
            self._ends = None
