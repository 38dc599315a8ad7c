"""Lane: plain posts of records go past h11, which takes five times as long: httptools reads their head.

Law: what the lane takes, h11 would take for the same request, and whatever is not plain is h11's as if there were no
lane: a head that came in parts, chunks, Expect, Upgrade, another version. So the bounds and the answers are h11's.
An answer leaves in one write.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

import h11
import httptools
from uvicorn.protocols.http.flow_control import CLOSE_HEADER, HIGH_WATER_LIMIT
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol, RequestResponseCycle

START: Final = b"POST /api/v1/ingest/"
END: Final = b"\r\n\r\n"
LENGTH_DIGITS: Final = 20  # as h11 takes them
WHOLE: Final = "whole"  # in the state of a request whose body came with its head
NOT_PLAIN: Final = frozenset({b"transfer-encoding", b"expect", b"upgrade"})


@dataclass(slots=True)
class Head:
    """Of a request, as httptools tells it; `length` is that of the body."""

    url: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    length: int = -1

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.strip(b" \t")))


def plain_head(data: bytes) -> Head | None:
    r"""The head of a plain post, whole with its empty line; None where h11 is to look at it.

    >>> plain_head(b"POST /api/v1/ingest/s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n").length
    2
    >>> plain_head(b"POST /api/v1/ingest/s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    """
    line, _, _ = data.partition(b"\r\n")
    if line.count(b" ") != 2 or not line.endswith(b" HTTP/1.1"):
        return None
    head = Head()
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    names = [name for name, _ in head.headers]
    plain = names.count(b"host") == names.count(b"content-length") == 1 and NOT_PLAIN.isdisjoint(names)
    if not plain or not head.url.isascii():
        return None
    told = dict(head.headers)
    if told.get(b"connection", b"keep-alive").lower() != b"keep-alive" or names.count(b"connection") > 1:
        return None
    if len(told[b"content-length"]) > LENGTH_DIGITS:
        return None
    head.length = int(told[b"content-length"])
    return head


class Lane(H11Protocol):
    """uvicorn's, with the lane beside it."""

    post: Post | None = None  # the request of the lane, until its body has come and it is answered
    left = 0  # bytes of its body that are still to come
    behind = b""  # what came after it

    def data_received(self, data: bytes) -> None:
        if self.post is not None:
            self._unset_keepalive_if_required()
            self._go_on(self.post, data)
        elif not self._begins(data):
            super().data_received(data)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._leave()

    def _begins(self, data: bytes) -> bool:
        """Whether a plain post does, with nothing before it."""
        if not data.startswith(START) or self.conn.their_state is not h11.IDLE or self.conn.trailing_data[0]:
            return False
        end, most_bytes = data.find(END) + len(END), self.config.h11_max_incomplete_event_size or 0
        head = plain_head(data[:end]) if len(END) < end <= most_bytes else None
        if head is None:
            return False
        self._unset_keepalive_if_required()
        self.left, self.post = head.length, self._start(head, head.length <= len(data) - end)
        self._go_on(self.post, data[end:])
        return True

    def _start(self, head: Head, whole: bool) -> Post:
        raw_path, _, query = head.url.partition(b"?")
        self.headers = head.headers
        self.scope = {
            "type": "http",
            "asgi": {"version": self.config.asgi_version, "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,  # type: ignore[typeddict-item]
            "method": "POST",
            "root_path": "",
            "path": unquote(raw_path.decode("ascii")),
            "raw_path": raw_path,
            "query_string": query,
            "headers": head.headers,
            "state": {WHOLE: True} if whole else {},
        }
        self.cycle = post = Post(self)
        task = self.loop.create_task(post.run_asgi(self.app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)
        return post

    def _go_on(self, post: Post, data: bytes) -> None:
        body, behind = data[: self.left], data[self.left :]
        self.left -= len(body)
        if post.more_body:
            post.take(body, more=self.left > 0)
        self.behind += behind
        if self.behind and not post.response_complete:
            self.flow.pause_reading()
        self._leave()

    def _leave(self) -> None:
        """Once its body has come and it is answered, what came after it is read as if it came now."""
        if self.post is None or self.left or not self.post.response_complete:
            return
        behind, self.post, self.behind = self.behind, None, b""
        if behind and not self.transport.is_closing():
            self.data_received(behind)


class Post(RequestResponseCycle):
    """A request of the lane; its answer is written when all of it is there."""

    def __init__(self, lane: Lane) -> None:
        super().__init__(
            lane.scope, lane.conn, lane.transport, lane.flow, lane.logger, lane.access_logger, lane.access_log,
            lane.server_state.default_headers, asyncio.Event(), lane.on_response_complete,
        )  # fmt: skip
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
