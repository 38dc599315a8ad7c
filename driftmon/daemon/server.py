"""Server: HTTP on sockets that are bound already, by uvicorn, several in one event loop.

Law: signals belong to the daemon, not to a server, and a server that stops answers what it has begun.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from driftmon.daemon.access.handshakes import HANDSHAKE_S, Doorstep, Handshakes
from driftmon.daemon.connections import Connection, Connections, with_places
from driftmon.daemon.lane import Express
from driftmon.daemon.problem import Problem, answer_problem

ACCEPTS: Final = (
    8  # connections in one turn of the event loop; asyncio takes as many as the backlog, and all else waits
)
KEEP_ALIVE_S: Final = 75  # longer than usual scrape intervals, so that a scraper keeps its connection
TICK_S: Final = 1.0
LENGTHS: Final = {b"transfer-encoding", b"content-length"}


class _Server(uvicorn.Server):
    handshakes: Handshakes | None = None

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """Stop answering, from the event loop."""
        self.should_exit = True
        self._leaving.set()

    async def main_loop(self) -> None:
        """Renews the Date header each second; uvicorn's own looks ten times a second whether it is to stop."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._leaving.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM drains the whole daemon; uvicorn would take it for itself."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's for sockets that are open; its own bounds TLS handshakes neither in number nor under 60 s."""
        context, opened = self.config.ssl, sockets or []
        if context is not None and self.handshakes is not None:
            opened = [Doorstep(one, self.handshakes) for one in opened]
        limit_s = None if context is None else HANDSHAKE_S
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                self._protocol, sock=one, ssl=context, backlog=ACCEPTS, ssl_handshake_timeout=limit_s
            )
            for one in opened
        ]
        for one in opened:
            one.listen(self.config.backlog)  # as many may stand in the kernel's queue
        self.started = True

    def _protocol(self) -> asyncio.Protocol:
        kind: Any = self.config.http_protocol_class
        made = kind(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        if self.handshakes is not None:
            made.connection_made = _then(made.connection_made, self.handshakes)
        found: asyncio.Protocol = made
        return found


def _then(begin: Callable[[asyncio.BaseTransport], None], handshakes: Handshakes) -> Callable[..., None]:
    """What asyncio calls when there is a connection: over TLS that is after the handshake."""

    def connection_made(transport: asyncio.BaseTransport) -> None:
        handshakes.done(transport.get_extra_info("socket").fileno())
        begin(transport)

    return connection_made


class _Config(uvicorn.Config):
    """With a TLS context of ours; uvicorn's own wants files and reads them once."""

    context: ssl.SSLContext | None = None

    def load(self) -> None:
        super().load()
        self.ssl = self.context


class Listener:
    """One application on some sockets; with `context` all but Unix sockets speak TLS; those have mode 0600.

    `express` may take what would go to the application.
    """

    def __init__(
        self,
        app: ASGIApp,
        sockets: Sequence[socket.socket],
        places: Connections,
        grace_s: int,
        context: ssl.SSLContext | None = None,
        handshakes: Handshakes | None = None,
        express: Express | None = None,
    ) -> None:
        unix = [opened for opened in sockets if opened.family == socket.AF_UNIX]
        inet = [opened for opened in sockets if opened.family != socket.AF_UNIX]
        wanted = [(inet, context), (unix, None)] if context else [(list(sockets), None)]
        kind, checked = with_places(places, express), _one_length(app)
        self._servers = [(_server(checked, kind, grace_s, how), which) for which, how in wanted if which]
        for server, _ in self._servers:
            server.handshakes = handshakes
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Answer from now on."""
        self._tasks = [asyncio.create_task(server.serve(sockets=which)) for server, which in self._servers]

    async def stop(self) -> None:
        """Take no new connection, answer what was begun, and return."""
        for server, _ in self._servers:
            server.leave()
        await asyncio.gather(*self._tasks)


def _one_length(app: ASGIApp) -> ASGIApp:
    """A body with two lengths is two bodies to two readers (RFC 9112, 6.1): refused, and the connection closed."""

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        if {name for name, _ in scope["headers"]} >= LENGTHS:
            detail = "Content-Length and Transfer-Encoding in one request; send one of them"
            answer = await answer_problem(
                Request(scope, receive), Problem(400, detail, headers={"Connection": "close"})
            )
            await answer(scope, receive, send)
            return
        await app(scope, receive, send)

    return checked


def _server(app: ASGIApp, kind: type[Connection], grace_s: int, context: ssl.SSLContext | None) -> _Server:
    config = _Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        http=kind,  # h11 and its lane, whatever else is installed: the head of a request is bounded
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=grace_s,
        h11_max_incomplete_event_size=kind.places.limits.header_bytes,
    )
    config.context = context
    return _Server(config)
