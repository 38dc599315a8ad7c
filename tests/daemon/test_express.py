"""The express answers as the handlers would, takes what it may, and ends with the daemon."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from starlette.responses import Response

from driftmon.daemon.access.keeper import Keeper
from driftmon.daemon.express import Express
from driftmon.daemon.lane import Lane
from tests.daemon.access_kit import WHO, tokens, write_web
from tests.daemon.kit import Running, ndjson, ready_config, records, running, stream
from tests.daemon.test_lane import ODD, PLAIN, answered, pieces

ROWS = records(50)
LIMITS = {"body_bytes": 250_000, "array_bytes": 2048}


class Echo:
    """Says soon, or after some turns of the loop, what the application of `answered` says."""

    most_bytes = 9

    def take(self, asked: Mapping[str, Any], body: bytes, answer: Callable[[Response], None]) -> bool:
        if asked["path"].endswith(("early", "late")):  # those answer before they read, or not while anybody looks
            return False
        told = {key: one for key, one in asked.items() if key not in ("state", "asgi")}
        text = f"{told} {body!r}".encode()
        said = Response()
        said.body, said.raw_headers = text, [(b"content-length", b"%d" % len(text))]
        after(len(body) % 4, lambda: answer(said))
        return True


def after(turns: int, do: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(*((after, turns - 1, do) if turns else (do,)))


class Fast(Lane):
    express = Echo()


def compare(parts: list[bytes]) -> None:
    async def both() -> list[Any]:
        return [await answered(kind, parts) for kind in (Fast, Lane)]

    fast, slow = asyncio.run(both())
    assert fast.written == slow.written
    assert (fast.closed, fast.paused, fast.waiting) == (slow.closed, slow.paused, slow.waiting)


@pytest.mark.parametrize("parts", ODD)
def test_each_oddity_is_answered_as_without_it(parts: list[bytes]) -> None:
    compare(parts)


@settings(max_examples=40, deadline=None)
@given(pieces())
def test_the_express_answers_as_the_lane_does(parts: list[bytes]) -> None:
    compare(parts)


async def nobody(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("asked")


def post(body: bytes) -> list[bytes]:
    return [b"POST /api/v1/ingest/s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body), body]


@pytest.mark.parametrize("parts", [[PLAIN, PLAIN], post(b"{}\n\n"), [*post(b"{}")[:1], b"{", b"}"], post(b"x" * 9)])
def test_it_needs_no_application_though_the_body_comes_behind_its_head(parts: list[bytes]) -> None:
    assert asyncio.run(answered(Fast, parts, nobody)).written.startswith(b"HTTP/1.1 200")
    assert asyncio.run(answered(Lane, parts, nobody)).written.startswith(b"HTTP/1.1 500")


def test_what_is_not_small_is_the_applications() -> None:
    assert asyncio.run(answered(Fast, post(b"x" * 10), nobody)).written.startswith(b"HTTP/1.1 500")


def test_a_body_that_does_not_come_soon_is_awaited_by_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftmon.daemon.lane.MOMENT_S", 0)
    head, body = post(b"{}")
    fast, slow = (asyncio.run(answered(kind, [head, b"", body])) for kind in (Fast, Lane))
    assert fast.written == slow.written
    assert asyncio.run(answered(Fast, [head, b"", body], nobody)).written.startswith(b"HTTP/1.1 500")


ASKED: dict[str, tuple[bytes, dict[str, str], str, bool | None]] = {  # body, headers, stream; taken? None: not asked
    "lines": (ndjson(ROWS), {}, "s", True),
    "one object": (json.dumps(ROWS[0]).encode(), {}, "s", True),
    "an array": (json.dumps(ROWS[:3]).encode(), {}, "s", True),
    "some lines are wrong": (b'{"x":1}\nno\n{"x":"no"}\n', {}, "s", True),
    "no line is right": (b"<html>", {}, "s", True),
    "nothing": (b" \n", {}, "s", False),
    "a large array": (b"[" + b" " * 3000 + b"]", {}, "s", False),
    "a large body": (ndjson(records(1400)), {}, "s", None),
    "too large a body": (b"x" * 300_000, {}, "s", None),
    "gzip": (gzip.compress(ndjson(ROWS)), {"Content-Encoding": "gzip"}, "s", False),
    "not gzip": (b"{}", {"Content-Encoding": "gzip"}, "s", False),
    "a key": (ndjson(ROWS), {"Idempotency-Key": "k"}, "s", False),
    "no such stream": (b"{}", {}, "t", False),
    "a stream without http": (b"{}", {}, "quiet", False),
    "no stream": (b"{}", {}, "", False),
    "more of a path": (b"{}", {}, "s/t", False),
    "a name in other letters": (ndjson(ROWS), {}, "%73", True),
    "a query": (ndjson(ROWS), {}, "s?a=b", True),
    "another site": (b"{}", {"Origin": "http://evil.example"}, "s", False),
    "another host": (b"{}", {"Host": "evil.example"}, "s", False),
}


def seen(reply: httpx.Response) -> Any:
    headers = {name: value for name, value in reply.headers.items() if name not in ("date", "retry-after")}
    return reply.status_code, headers, reply.text


async def all_answers(daemon: Running) -> Any:
    found = {}
    for name, (body, headers, to, _) in ASKED.items():
        found[name] = seen(await daemon.http.post(f"/api/v1/ingest/{to}", content=body, headers=headers))
    text = (await daemon.web.get("/metrics")).text
    counted = [line for line in text.splitlines() if line.startswith(("driftmon_ingest_records", "driftmon_http"))]
    return found, counted


def watched(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each post whether it was taken."""
    took: list[bool] = []
    take = Express.take

    def taking(*asked: Any) -> bool:
        took.append(take(*asked))
        return took[-1]

    monkeypatch.setattr(Express, "take", taking)
    return took


def test_answers_and_counts_are_those_of_the_handlers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = stream(sources=[{"type": "unix", "path": "q.sock"}])
    config = ready_config(tmp_path, {"s": stream(), "quiet": quiet}, limits=LIMITS)
    took = watched(monkeypatch)

    async def scenario() -> Any:
        async with running(config) as daemon:
            return await all_answers(daemon)

    fast = asyncio.run(scenario())
    assert took == [taken for *_, taken in ASKED.values() if taken is not None]
    monkeypatch.setattr(Express, "take", lambda *_: False)
    assert fast == asyncio.run(scenario())
    assert any('reason="' in line and not line.endswith(" 0") for line in fast[1]), fast[1]


def test_where_a_token_is_asked_for_only_one_that_may_send_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    took, told = watched(monkeypatch), dict[str, int]()
    keeper = Keeper(write_web(tmp_path, **tokens(tmp_path)), {})

    async def scenario() -> None:
        async with running(ready_config(tmp_path), keeper=keeper) as daemon:
            for name, who in WHO.items():
                told[name] = (await daemon.http.post("/api/v1/ingest/s", content=b"{}", headers=who)).status_code

    asyncio.run(scenario())
    assert [*told.values()] == [202 if name in ("ingest", "admin") else 403 if name == "read" else 401 for name in WHO]
    assert took == [status == 202 for status in told.values()]


def test_who_waits_when_the_daemon_ends_is_told_to_send_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that stays full: the server cancels what it waits for, and that counts as answered."""
    monkeypatch.setattr("driftmon.daemon.app.REQUEST_GRACE_S", 1)

    async def scenario() -> httpx.Response:
        async with running(ready_config(tmp_path), tmp_path / "state") as daemon:
            monkeypatch.setattr(daemon.app._keeper, "settle", lambda *_: [])  # forgets who asked
            waiting = asyncio.create_task(daemon.post(b"{}"))
            await asyncio.sleep(0.2)
            daemon.app.stop()
            return await waiting

    reply = asyncio.run(scenario())
    assert (reply.status_code, reply.headers["content-type"]) == (503, "application/problem+json")
    assert reply.json()["detail"].startswith("the daemon stopped before the records were on the disk")
