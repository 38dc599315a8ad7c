"""Who may stay connected: slow heads, idle places, quotas, and requests with two lengths; all on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import Mock

import pytest

from driftmon.daemon import connections
from driftmon.daemon.connections import APART_S, DEAF_S, Connection, Connections
from driftmon.daemon.settings import Limits
from tests.daemon.kit import Running, ndjson, ready_config, records, running

Ends: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
POST = b"POST /api/v1/ingest/s HTTP/1.1\r\nHost: localhost\r\n"
LARGE = 3000  # records of more than QUICK_BYTES
ASK = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n"


def with_daemon(folder: Path, scenario: Callable[[Running], Coroutine[Any, Any, None]], **limits: Any) -> None:
    async def go() -> None:
        async with running(ready_config(folder, limits=limits)) as daemon, asyncio.timeout(20):
            await scenario(daemon)

    asyncio.run(go())


async def connect(daemon: Running, first: bytes = b"") -> Ends:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(daemon.app.urls["api"][0].rpartition(":")[2]))
    writer.write(first)
    return reader, writer


async def rest(ends: Ends) -> bytes:
    """All that still comes; the connection is closed by then."""
    reader, writer = ends
    try:
        return await reader.read()
    except ConnectionError:
        return b"reset"
    finally:
        writer.close()


async def answered(ends: Ends) -> None:
    ends[1].write(ASK)
    assert await ends[0].readuntil(b"healthy.\n")


BEGUN = (b"", b"GET / HTTP/1.1\r\nHost: loc", ASK + b"GET /")


def test_who_is_too_slow_is_given_up(tmp_path: Path) -> None:
    async def scenario(daemon: Running) -> None:
        await asyncio.gather(
            *(head_given_up(daemon, begun) for begun in BEGUN), dripping_head(daemon), dripping_body(daemon)
        )

    with_daemon(tmp_path, scenario, header_timeout="200ms")


async def head_given_up(daemon: Running, begun: bytes) -> None:
    """A connection without a word, half a head, half a second head."""
    ends = await connect(daemon, begun)
    if begun.startswith(ASK):
        await ends[0].readuntil(b"healthy.\n")
        ends[1].write(b" ")
    assert b"408" in (await rest(ends)).partition(b"\r\n")[0]


async def dripping_head(daemon: Running) -> None:
    """A header now and then does not buy time."""
    ends = await connect(daemon, b"GET / HTTP/1.1\r\n")
    dripping = asyncio.create_task(drip(ends[1], b"X-A: b\r\n"))
    assert (await rest(ends)).startswith((b"HTTP/1.1 408", b"reset"))
    dripping.cancel()


async def dripping_body(daemon: Running) -> None:
    """Nor does a byte."""
    ends = await connect(daemon, POST + b"Content-Length: 100000\r\n\r\n")
    dripping = asyncio.create_task(drip(ends[1], b" "))
    assert (await ends[0].readuntil(b"limits.rate_bytes")).startswith(b"HTTP/1.1 408")
    dripping.cancel()
    ends[1].close()


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    while True:
        writer.write(data)
        await asyncio.sleep(0.02)


def test_when_all_places_are_taken_those_who_never_asked_give_way_first(tmp_path: Path) -> None:
    async def scenario(daemon: Running) -> None:
        regular = await connect(daemon)
        await answered(regular)
        silent = [await connect(daemon, b"GET") for _ in range(40)]
        await answered(regular)
        newcomer = await connect(daemon)
        await answered(newcomer)
        assert await rest(silent[0]) in (b"", b"reset")
        assert (await daemon.http.get("/api/v1/status")).json()["connections"] <= 8
        for _, writer in (regular, newcomer, *silent):
            writer.close()

    with_daemon(tmp_path, scenario, connections=8)


def test_when_everybody_is_busy_a_newcomer_is_told(tmp_path: Path) -> None:
    async def scenario(daemon: Running) -> None:
        await daemon.http.aclose()
        await daemon.web.aclose()
        busy = [await connect(daemon, POST + b"Content-Length: 9\r\n\r\n{") for _ in range(2)]
        await asyncio.sleep(0.1)
        refused = await rest(await connect(daemon, ASK))
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"limits.connections" in refused
        for _, writer in busy:
            writer.close()

    with_daemon(tmp_path, scenario, connections=2)


@pytest.mark.parametrize("records_sent", [LARGE, 1])
def test_who_sends_much_and_is_refused_is_not_heard_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records_sent: int
) -> None:
    """Only on that connection, and only where it was much."""
    monkeypatch.setattr(connections, "DEAF_S", 3600.0)

    async def scenario(daemon: Running) -> None:
        daemon.app.mailbox.has_room = lambda size: False  # type: ignore[method-assign]
        body = ndjson(records(records_sent))
        ends = await connect(daemon, POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert (await ends[0].readuntil(b"try again")).startswith(b"HTTP/1.1 429")
        ends[1].write(ASK)
        other = await connect(daemon)
        for _ in range(2):
            await answered(other)
        (refused,) = (one for one in opened if one.client == ends[1].get_extra_info("sockname"))
        assert refused.flow.read_paused == (records_sent == LARGE)
        if refused.flow.read_paused:
            refused.flow.resume_reading()  # as the timer does
        assert await ends[0].readuntil(b"healthy.\n")
        for _, writer in (ends, other):
            writer.close()

    opened: list[Connection] = []
    made = Connection.connection_made

    def noted(one: Connection, transport: asyncio.BaseTransport) -> None:
        opened.append(one)
        made(one, transport)

    monkeypatch.setattr(Connection, "connection_made", noted)
    with_daemon(tmp_path, scenario)


def test_those_refused_are_heard_in_turn_as_large_requests_are_counted_or_one_by_one_later() -> None:
    places, ones = Connections(Limits), [Mock(idle_since_s=float(at)) for at in (5, 5, 5, 9)]
    for one in ones:
        places.admit(one, "127.0.0.1")
        places.refused(one)
    late = [5 + DEAF_S, 5 + DEAF_S + APART_S, 5 + DEAF_S + 2 * APART_S, 9 + DEAF_S]
    assert [one.hear_not.call_args.args[0] for one in ones] == pytest.approx(late)
    places.counted()
    places.leave(ones[1])
    places.counted()
    for one in (ones[0], ones[1], ones[3], ones[3]):
        places.hear(one)  # their time has come
    places.counted()
    assert [one.hear.call_count for one in ones] == [1, 0, 1, 1]


def test_another_machine_has_a_quota_and_neighbours_have_none() -> None:
    places = Connections(lambda: Limits(connections_per_ip=2))
    far = [Mock(), Mock(), Mock()]
    assert [places.admit(one, "10.0.0.7")[:13] for one in far] == ["", "", "2 connections"]
    places.leave(far[0])
    assert not places.admit(far[2], "10.0.0.7")
    assert not any(places.admit(Mock(), host) for host in 9 * ["127.0.0.1", "::1", "::ffff:127.0.0.1", ""])
    assert not places.admit(Mock(), "10.0.0.8")


TWO = b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


def test_a_head_that_is_wrong_is_refused(tmp_path: Path) -> None:
    async def scenario(daemon: Running) -> None:
        answer = await rest(await connect(daemon, POST + TWO + ASK))
        assert answer.startswith(b"HTTP/1.1 400")
        assert answer.count(b"HTTP/1.1") == 1  # and nothing after it is read
        answer = await rest(await connect(daemon, b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000))
        assert answer.startswith((b"HTTP/1.1 400", b"reset"))

    with_daemon(tmp_path, scenario)


def test_status_tells_every_limit_and_the_budget(tmp_path: Path) -> None:
    async def scenario(daemon: Running) -> None:
        found = (await daemon.http.get("/status", headers={"accept": "application/json"})).json()
        assert found == {**found, "ready": True, "connections": 2}
        assert found["limits"]["depth"] == 9
        assert found["limits"].keys() == Limits.__dataclass_fields__.keys()
        assert found["memory"]["budget_bytes"] == await daemon.metric("driftmon_memory_budget_bytes")
        page = (await daemon.http.get("/status", headers={"accept": "text/html,*/*"})).text
        assert "limits.header_timeout" in page

    with_daemon(tmp_path, scenario, depth=9)
