"""Lane: plain posts of records go past h11, which takes five times as long: httptools reads their head.

Law: what the lane takes, h11 would take for the same request, and whatever is not plain is h11's as if there were no
lane: a head that came in parts, chunks, Expect, Upgrade, another version. So the bounds and the answers are h11's.
An answer leaves in one write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol
from urllib.parse import unquote

import h11
import httptools
from uvicorn.protocols.http.h11_impl import H11Protocol

from driftmon.daemon.post import Post

if TYPE_CHECKING:
    from starlette.responses import Response

START: Final = b"POST /api/v1/ingest/"
END: Final = b"\r\n\r\n"
LENGTH_DIGITS: Final = 20  # as h11 takes them
MOMENT_S: Final = 0.05
WHOLE: Final = "whole"  # in the state of a request whose body was there when its handler began
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


class Express(Protocol):
    """Who may take a post whose small body is here; `answered` is called once, later, with the whole answer."""

    most_bytes: int

    def take(self, asked: Mapping[str, Any], body: bytes, answered: Callable[[Response], None]) -> bool: ...


class Lane(H11Protocol):
    """uvicorn's, with the lane beside it."""

    express: ClassVar[Express | None] = None
    post: Post | None = None  # the request of the lane, until its body has come and it is answered
    left = 0  # bytes of its body that are still to come
    behind = b""  # what came after it
    moment: asyncio.TimerHandle | None = None  # for a body that is not all here

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
        self.left, self.post = head.length, self._post(head)
        if self.express is None or head.length > self.express.most_bytes:
            whole = head.length <= len(data) - end
            self._hand_over(self.post, whole)
        self._go_on(self.post, data[end:])
        return True

    def _decide(self, post: Post, express: Express) -> None:
        """Once the body is here, which is small; many clients send it a moment after the head."""
        if self.left:
            if self.moment is None:
                self.moment = self.loop.call_later(MOMENT_S, self._hand_over, post, False)
            return
        if self.flow.write_paused or not express.take(self.scope, bytes(post.body), post.answer):
            self._hand_over(post, whole=True)
            return
        self._end_moment()
        post.wait()

    def _hand_over(self, post: Post, whole: bool) -> None:
        """To the application."""
        self._end_moment()
        post.undecided = False
        if whole:
            self.scope["state"][WHOLE] = True
        task = self.loop.create_task(post.run_asgi(self.app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _end_moment(self) -> None:
        if self.moment is not None:
            self.moment.cancel()
            self.moment = None

    def _post(self, head: Head) -> Post:
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
            "state": {},
        }
        self.cycle = post = Post(self)
        return post

    def _go_on(self, post: Post, data: bytes) -> None:
        body, behind = data[: self.left], data[self.left :]
        self.left -= len(body)
        if post.more_body:
            post.take(body, more=self.left > 0)
        if post.undecided and self.express is not None:
            self._decide(post, self.express)
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
