"""Server: HTTP on sockets that are bound already, by uvicorn, several in one event loop.

Law: signals belong to the daemon, not to a server, and a server that stops answers what it has begun.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence
from typing import Final

import uvicorn
from starlette.applications import Starlette

KEEP_ALIVE_S: Final = 75  # longer than usual scrape intervals, so that a scraper keeps its connection
HEADER_BYTES: Final = 16 * 1024


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM drains the whole daemon; uvicorn would take it for itself."""
        yield


class Listener:
    """One application on some sockets."""

    def __init__(self, app: Starlette, sockets: Sequence[socket.socket], connections: int, grace_s: int) -> None:
        config = uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=connections,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=grace_s,
            h11_max_incomplete_event_size=HEADER_BYTES,
        )
        self._server = _Server(config)
        self._sockets = list(sockets)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Answer from now on."""
        self._task = asyncio.create_task(self._server.serve(sockets=self._sockets))

    async def stop(self) -> None:
        """Take no new connection, answer what was begun, and return."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
