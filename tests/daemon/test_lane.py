"""The lane beside h11 alone: whatever bytes come, in whatever pieces, the same answers go out and as much is read."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from driftmon.daemon.lane import Lane, plain_head

LINE = b"POST /api/v1/ingest/s HTTP/1.1\r\n"
HOST = b"Host: localhost\r\n"
PLAIN = LINE + HOST + b"Content-Length: 4\r\n\r\n{}\n\n"
CHUNKED = LINE + HOST + b"Transfer-Encoding: chunked\r\n\r\n3;a=b\r\n{}\n\r\n0\r\nT: x\r\n\r\n"
EARLY = PLAIN.replace(b"/s", b"/early")
MOST_BYTES = 400  # of a head

LINES = [
    LINE,
    LINE,
    LINE,
    LINE.replace(b"/s", b"/early"),
    LINE.replace(b"/s", b"/late"),
    LINE.replace(b"/s", b"/%73?a=%20&b"),
    LINE.replace(b"1.1", b"1.0"),
    LINE.replace(b"/s", b"/s#x"),
    LINE.replace(b"/s", b"/\xc3\xa9"),
    LINE.replace(b"/s", b"/s t"),
    LINE.replace(b"1.1", b"2.0"),
    LINE.replace(b"1.1", b"1.1 "),
    LINE.replace(b"POST", b"GET"),
    b"HEAD / HTTP/1.1\r\n",
    b"post" + LINE[4:],
    LINE[:-2] + b"\n",
    b"\r\n" + LINE,
    LINE.replace(b"/api", b"http://localhost/api"),
    LINE.replace(b"POST ", b"POST  "),
    LINE.replace(b" HTTP", b"  HTTP"),
    LINE.replace(b"HTTP", b"RTSP"),
]
HEADERS = [
    HOST,
    *(
        b"Content-Length: %b\r\n" % value
        for value in (b"4", b"4", b"0", b"004\t", b"4, 4", b"+4", b"9", b"", b"9" * 25, b"0" * 30 + b"4")
    ),
    *(b"Transfer-Encoding: %b\r\n" % value for value in (b"chunked", b"gzip, chunked")),
    *(b"Connection: %b\r\n" % value for value in (b"keep-alive", b"Keep-Alive , x", b"close", b"Upgrade")),
    *(b"X:%b\r\n" % value for value in (b"", b"  a\tb  ", b" a\r\n b", b" \xff", b" \x00", b" \x7f", b" a\rb")),
    *(b"%b: a\r\n" % name for name in (b"Upgrade", b"X ", b"X\xc3", b"", b"Proxy-Connection", b"Trailer", b"X\r\nY")),
    *(b"%bConnection: Upgrade\r\nUpgrade: h2c\r\n" % name for name in (b"", b"Proxy-")),
    b"Expect: 100-continue\r\n",
    b"X: a\n",
    b"X: " + 2 * MOST_BYTES * b"x" + b"\r\n",
]
BODIES = [b"{}\n\n", b"{}\n\n", b"", b"{}", b"2\r\n{}\r\n0\r\n\r\n", b"1;" + MOST_BYTES * b"x", b"x" * 9]
ODD = [  # each alone makes the difference
    *([line + HOST + b"Content-Length: 4\r\n\r\n{}\n\n" + PLAIN] for line in LINES),
    *([LINE + HOST + b"Content-Length: 4\r\n" + header + b"\r\n{}\n\n" + PLAIN] for header in HEADERS),
    *([LINE + header + b"\r\n{}\n\n" + PLAIN] for header in HEADERS),
    [b"GET /", PLAIN],
    [PLAIN + PLAIN + CHUNKED + PLAIN],
    [PLAIN.replace(b"/s", b"/late") + PLAIN, PLAIN, PLAIN],
    [EARLY[:-3], EARLY[-3:] + PLAIN],
    [EARLY[:-3], EARLY[-3:] + PLAIN[:20], PLAIN[20:]],
    [PLAIN[:-2], PLAIN[-2:-1], PLAIN[-1:] + PLAIN[:20], PLAIN[20:]],
]
# h11 refuses a later request of a connection in a chunk; one that has seen none before it does not know how to.
SECOND = re.compile(
    rb"connection: close\r\nTransfer-Encoding: chunked\r\n\r\n1e\r\n(Invalid HTTP request received.)\r\n0\r\n\r\n"
)
FIRST = rb"Connection: close\r\n\r\n\1"


@st.composite
def asked(draw: st.DrawFn) -> bytes:
    """One request, plain or odd, whole or not."""
    if draw(st.booleans()):
        return draw(st.sampled_from([PLAIN, PLAIN, EARLY, CHUNKED]))
    head = draw(st.sampled_from(LINES)) + b"".join(draw(st.lists(st.sampled_from(HEADERS), max_size=5)))
    return head + b"\r\n" + draw(st.sampled_from(BODIES))


@st.composite
def pieces(draw: st.DrawFn) -> list[bytes]:
    """Some requests one behind the other, a byte of them changed perhaps, as they come in."""
    whole = b"".join(draw(st.lists(asked(), min_size=1, max_size=3)))
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(whole) - 1))
        whole = whole[:at] + draw(st.binary(max_size=2)) + whole[at + 1 :]
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    return [whole[low:high] for low, high in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


class Line(asyncio.Transport):
    """What a client sees of a connection: nothing is read while reading is paused."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 80), "peername": ("127.0.0.1", 1)})
        self.written, self.writes, self.waiting = b"", 0, list[bytes]()
        self.closed = self.paused = False

    def write(self, data: Any) -> None:
        if not self.closed:
            self.written += data
            self.writes += bool(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Says what it was asked: early, if it is asked for that, before it reads the body; or late."""
    body, more = b"", "early" not in scope["path"]
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    for _ in range(60 if "late" in scope["path"] else 0):
        await asyncio.sleep(0)
    told = {key: one for key, one in scope.items() if key not in ("state", "asgi")}
    answer = f"{told} {body!r}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": answer})


async def answered(kind: type[H11Protocol], parts: list[bytes], app: Any = application) -> Line:
    """All that goes out, once nothing happens any more."""
    config = uvicorn.Config(
        app, http=kind, ws="none", lifespan="off", log_config=None, h11_max_incomplete_event_size=MOST_BYTES
    )
    state, line = ServerState(), Line()
    state.default_headers = [(b"date", b"today")]
    one = kind(config=config, server_state=state, app_state={})
    one.connection_made(line)
    for part in parts:
        line.waiting.append(part)
        for _ in range(12):
            while line.waiting and not line.paused and not line.closed:
                if data := line.waiting.pop(0):
                    one.data_received(data)
            await asyncio.sleep(0)
    one.connection_lost(None)
    await asyncio.sleep(0)
    return line


def compare(parts: list[bytes]) -> None:
    async def both() -> tuple[Line, Line]:
        return await answered(Lane, parts), await answered(H11Protocol, parts)

    ours, theirs = asyncio.run(both())
    assert SECOND.sub(FIRST, ours.written) == SECOND.sub(FIRST, theirs.written)
    assert (ours.closed, ours.paused, ours.waiting) == (theirs.closed, theirs.paused, theirs.waiting)


@pytest.mark.parametrize("parts", ODD)
def test_each_oddity_is_answered_as_by_h11_alone(parts: list[bytes]) -> None:
    compare(parts)


@settings(max_examples=60, deadline=None)
@given(pieces())
def test_the_lane_answers_as_h11_alone(parts: list[bytes]) -> None:
    compare(parts)


def test_a_plain_post_takes_the_lane_and_its_answer_leaves_in_one_write() -> None:
    plain = plain_head(PLAIN[:-4])
    assert plain is not None
    assert plain.headers == [(b"host", b"localhost"), (b"content-length", b"4")]
    assert asyncio.run(answered(Lane, [PLAIN, PLAIN])).writes == 2


@pytest.mark.parametrize(
    "name", [b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Upgrade: x", b"Connection: close"]
)
def test_what_is_not_plain_is_left_to_h11(name: bytes) -> None:
    assert plain_head(LINE + HOST + b"Content-Length: 4\r\n" + name + b"\r\n\r\n") is None


@pytest.mark.parametrize("begun", [False, True])
def test_an_application_that_breaks_costs_its_connection(begun: bool) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("a bug")

    ours, theirs = (asyncio.run(answered(kind, [PLAIN + PLAIN], broken)) for kind in (Lane, H11Protocol))
    assert (ours.closed, theirs.closed) == (True, True)
    assert ours.written.startswith(b"" if begun else b"HTTP/1.1 500 Internal Server Error\r\n")
    assert ours.written.count(b"HTTP/1.1") == 1 - begun


def test_an_answer_can_be_the_last() -> None:
    async def last(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"2"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": b"no"})

    ours, theirs = (asyncio.run(answered(kind, [PLAIN + PLAIN], last)) for kind in (Lane, H11Protocol))
    assert ours.written.lower() == theirs.written.lower()
    assert ours.closed == theirs.closed is True
