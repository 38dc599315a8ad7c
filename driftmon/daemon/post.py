"""Post: a request of the lane, and its answer, which leaves in one write when all of it is there.

Law: it is answered once, by an application that sends or by whoever took it at once, and by nobody when its client has
left.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.flow_control import CLOSE_HEADER, HIGH_WATER_LIMIT
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, RequestResponseCycle

from driftmon.daemon.problem import response_of, stopped

if TYPE_CHECKING:
    from starlette.responses import Response

    from driftmon.daemon.lane import Lane


class Post(RequestResponseCycle):
    """uvicorn's, for the lane. It stands among the tasks of its server while it has none of its own."""

    def __init__(self, lane: Lane) -> None:
        super().__init__(
            lane.scope, lane.conn, lane.transport, lane.flow, lane.logger, lane.access_logger, lane.access_log,
            lane.server_state.default_headers, asyncio.Event(), lane.on_response_complete,
        )  # fmt: skip
        self.undecided = True  # who answers
        self._tasks: set[Any] = lane.tasks
        self._soon = lane.loop.call_soon
        self._head: list[tuple[bytes, bytes]] = []
        self._status = 0
        self._body = b""

    def take(self, data: bytes, more: bool) -> None:
        """Some of its body, or all; kept unless it is answered already."""
        if self.response_complete:
            return
        self.body += data
        if len(self.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        self.more_body = more
        self.message_event.set()

    def wait(self) -> None:
        """Somebody has its body and will answer. Who waits for tasks of the server, or cancels them, means it too."""
        self.undecided, self.body = False, bytearray()
        self._tasks.add(self)

    def answer(self, response: Response) -> None:
        """Without a task, so it does not wait until the client has read what came before."""
        self._tasks.discard(self)
        if self.disconnected or self.response_complete:
            return
        self.response_started, self._status, self._body = True, response.status_code, bytes(response.body)
        self._head = [*self.default_headers, *response.raw_headers]
        self._write()

    def cancel(self, msg: str) -> None:
        """What a server that stops does to what takes too long."""
        self._soon(self.answer, response_of(stopped()))  # the server is still counting its tasks

    async def send(self, message: Any) -> None:
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start":
            self.response_started, self._status = True, message["status"]
            self._head = [*self.default_headers, *message["headers"]]
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            self._write()

    def _write(self) -> None:
        head, names = self._head, {name for name, _ in self._head}
        if b"content-length" not in names:
            head.append((b"content-length", b"%d" % len(self._body)))
        lines = [b"HTTP/1.1 %d %b" % (self._status, STATUS_PHRASES[self._status])]
        lines += [b"%b: %b" % field for field in head]
        self.transport.write(b"\r\n".join((*lines, b"", self._body)))
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive or CLOSE_HEADER in head:
            self.transport.close()
        self.on_response()
