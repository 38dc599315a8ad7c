"""Server: HTTP on sockets that are bound already, by uvicorn, several in one event loop.

Law: signals belong to the daemon, not to a server, and a server that stops answers what it has begun.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import Final

import uvicorn
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from driftmon.daemon.connections import Connections, with_places
from driftmon.daemon.problem import Problem, answer_problem

KEEP_ALIVE_S: Final = 75  # longer than usual scrape intervals, so that a scraper keeps its connection


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM drains the whole daemon; uvicorn would take it for itself."""
        yield


class _Config(uvicorn.Config):
    """With a TLS context of ours; uvicorn's own wants files and reads them once."""

    context: ssl.SSLContext | None = None

    def load(self) -> None:
        super().load()
        self.ssl = self.context


class Listener:
    """One application on some sockets; with `context` all but Unix sockets speak TLS; those have mode 0600."""

    def __init__(
        self,
        app: ASGIApp,
        sockets: Sequence[socket.socket],
        places: Connections,
        grace_s: int,
        context: ssl.SSLContext | None = None,
    ) -> None:
        unix = [opened for opened in sockets if opened.family == socket.AF_UNIX]
        inet = [opened for opened in sockets if opened.family != socket.AF_UNIX]
        wanted = [(inet, context), (unix, None)] if context else [(list(sockets), None)]
        self._servers = [(_server(_one_length(app), places, grace_s, how), which) for which, how in wanted if which]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Answer from now on."""
        self._tasks = [asyncio.create_task(server.serve(sockets=which)) for server, which in self._servers]

    async def stop(self) -> None:
        """Take no new connection, answer what was begun, and return."""
        for server, _ in self._servers:
            server.should_exit = True
        await asyncio.gather(*self._tasks)


def _one_length(app: ASGIApp) -> ASGIApp:
    """A body with two lengths is two bodies to two readers (RFC 9112, 6.1): refused, and the connection closed."""

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if "transfer-encoding" in headers and "content-length" in headers:
            detail = "Content-Length and Transfer-Encoding in one request; send one of them"
            answer = await answer_problem(
                Request(scope, receive), Problem(400, detail, headers={"Connection": "close"})
            )
            await answer(scope, receive, send)
            return
        await app(scope, receive, send)

    return checked


def _server(app: ASGIApp, places: Connections, grace_s: int, context: ssl.SSLContext | None) -> _Server:
    config = _Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        http=with_places(places),  # h11, whatever else is installed: it bounds the head of a request
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=grace_s,
        h11_max_incomplete_event_size=places.limits.header_bytes,
    )
    config.context = context
    return _Server(config)
