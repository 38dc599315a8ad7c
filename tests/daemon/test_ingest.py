"""POST /api/v1/ingest/{stream}, line by line as interface.md §3 has it, against a daemon on a real socket."""

import asyncio
import gzip
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import zstandard

from driftmon.daemon import app
from tests.daemon.kit import Running, ndjson, ready_config, records, running, stream

ROWS = records(50)
NOTHING_ACCEPTED = {"accepted": 0, "rejected": 1, "late": 0, "sampled_out": 0, "duplicate": False, "durable": False}

TAKEN = {
    "ndjson": (ndjson(ROWS), {}, 50),
    "ndjson without a last line end": (ndjson(ROWS).rstrip(), {}, 50),
    "array": (json.dumps(ROWS).encode(), {}, 50),
    "array with spaces before it": (b" \n" + json.dumps(ROWS).encode(), {}, 50),
    "one object": (json.dumps(ROWS[0]).encode(), {}, 1),
    "gzip": (gzip.compress(ndjson(ROWS)), {"Content_Encoding": "gzip"}, 50),
    "zstd": (zstandard.compress(ndjson(ROWS)), {"Content_Encoding": "zstd"}, 50),
    "a wrong content type": (ndjson(ROWS), {"Content_Type": "image/png"}, 50),
    "many blocks": (ndjson(records(10_000)), {}, 10_000),
}


@pytest.mark.parametrize(("body", "headers", "accepted"), TAKEN.values(), ids=TAKEN)
def test_what_is_taken(tmp_path: Path, body: bytes, headers: dict[str, str], accepted: int) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            reply = await daemon.post(body, **headers)
            assert reply.status_code == 202  # in memory, not on disk
            assert reply.json() == {**NOTHING_ACCEPTED, "accepted": accepted, "rejected": 0, "errors": []}
            found = await daemon.observed(at_least=accepted)
            assert found["observations_total"] == accepted

    asyncio.run(scenario())


REFUSED: dict[str, tuple[bytes, dict[str, str], str, int, str]] = {  # body, headers, stream, status, detail
    "nothing parsed": (b"<html>", {}, "s", 400, "no record of the body could be used"),
    "empty": (b" \n", {}, "s", 400, "the body is empty; send JSON objects"),
    "unknown stream": (b"{}", {}, "nobody", 404, "no stream 'nobody' takes records over HTTP; there are s"),
    "stream without http": (b"{}", {}, "quiet", 404, "no stream 'quiet' takes records over HTTP; there are s"),
    "too large": (b"x" * 5000, {}, "s", 413, "the body is larger than 4096 bytes (limits.body_bytes)"),
    "array too large": (
        b"[" + b" " * 3000 + b"]",
        {},
        "s",
        413,
        "an array of more than 2048 bytes (limits.array_bytes)",
    ),
    "bomb": (gzip.compress(b" " * 100_000), {"Content_Encoding": "gzip"}, "s", 413, "limits.decompressed_bytes"),
    "not gzip": (b"{}", {"Content_Encoding": "gzip"}, "s", 400, "not gzip"),
    "unknown encoding": (b"{}", {"Content_Encoding": "br"}, "s", 415, "send identity, gzip or zstd"),
    "stacked encodings": (b"{}", {"Content_Encoding": "gzip, gzip"}, "s", 415, "one of them"),
    "empty key": (b"{}", {"Idempotency_Key": ""}, "s", 400, "Idempotency-Key must have 1 to 256 characters"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_says_why(tmp_path: Path, case: str) -> None:
    body, headers, to, status, detail = REFUSED[case]
    quiet = stream(sources=[{"type": "unix", "path": "q.sock"}])
    limits = {"body_bytes": 4096, "array_bytes": 2048, "decompressed_bytes": 8192}
    config = ready_config(tmp_path, {"s": stream(), "quiet": quiet}, limits=limits)

    async def scenario() -> None:
        async with running(config) as daemon:
            reply = await daemon.post(body, to=to, **headers)
            assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
            problem = reply.json()
            assert problem["status"] == status
            assert detail in problem["detail"]

    asyncio.run(scenario())


def test_a_chunked_body_is_held_to_the_same_limit(tmp_path: Path) -> None:
    async def chunks() -> Any:
        for _ in range(10):
            yield b"x" * 1000

    async def scenario() -> None:
        async with running(ready_config(tmp_path, limits={"body_bytes": 4096})) as daemon:
            reply = await daemon.http.post("/api/v1/ingest/s", content=chunks())
            assert reply.status_code == 413

    asyncio.run(scenario())


def test_a_bad_record_costs_only_itself_and_is_named_by_its_line_across_blocks(tmp_path: Path) -> None:
    rows = ndjson(records(10_000)).splitlines()
    rows[3] = b"7"
    rows[9_000] = b'{"x":'

    async def scenario() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            reply = (await daemon.post(b"\n".join(rows))).json()
            assert (reply["accepted"], reply["rejected"]) == (9_998, 2)
            assert [(one["line"], one["reason"]) for one in reply["errors"]] == [
                (4, "not_object"),
                (9_001, "malformed"),
            ]
            await daemon.observed(at_least=9_998)
            line = 'driftmon_ingest_records_rejected_total{stream="s",source="http",reason="malformed"}'
            assert await daemon.metric(line) == 1

    asyncio.run(scenario())


def test_of_many_bad_records_ten_are_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            reply = (await daemon.post(b"7\n" * 40 + b"{}")).json()
            assert (reply["accepted"], reply["rejected"], len(reply["errors"])) == (1, 40, 10)
            assert [one["line"] for one in reply["errors"]] == list(range(1, 11))

    asyncio.run(scenario())


def test_a_retry_with_the_same_key_is_counted_once_even_while_the_first_is_under_way(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            replies = await asyncio.gather(*(daemon.post(ndjson(ROWS), Idempotency_Key="k") for _ in range(4)))
            assert sorted(reply.json()["duplicate"] for reply in replies) == [False, True, True, True]
            assert {reply.json()["accepted"] for reply in replies} == {50}
            assert not (await daemon.post(ndjson(ROWS), Idempotency_Key="other")).json()["duplicate"]
            assert (await daemon.observed(at_least=100))["observations_total"] == 100

    asyncio.run(scenario())


def test_a_full_mailbox_answers_429_with_retry_after_and_counts_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path, limits={"mailbox_bytes": 1024 * 1024})) as daemon:
            body = ndjson(records(12_000))
            async with held_pump(daemon):
                waiting = asyncio.ensure_future(daemon.post(body))
                async with asyncio.timeout(10):
                    while daemon.app.mailbox.has_room(len(body)):
                        await asyncio.sleep(0.01)
                refused = await daemon.post(body)
            assert (await waiting).json()["accepted"] == 12_000
            assert (refused.status_code, refused.headers["retry-after"] in ("1", "2")) == (429, True)
            assert (await daemon.observed(at_least=12_000))["observations_total"] == 12_000
            assert (await daemon.post(body)).status_code == 202

    asyncio.run(scenario())


@asynccontextmanager
async def held_pump(daemon: Running) -> AsyncIterator[None]:
    """The pump stands still, as in a slow commit."""
    reached, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hold() -> None:
        loop.call_soon_threadsafe(reached.set)
        go_on.wait(30)

    held = asyncio.ensure_future(daemon.app.mailbox.ask(hold))
    await reached.wait()
    try:
        yield
    finally:
        go_on.set()
        await held


def test_a_body_that_stops_coming_is_given_up(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path, limits={"idle_timeout": "50ms"})) as daemon:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", int(daemon.app.urls["api"][0].rpartition(":")[2])
            )
            writer.write(b"POST /api/v1/ingest/s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
            writer.close()
            await writer.wait_closed()

    asyncio.run(scenario())


def test_a_client_slower_than_the_drain_is_told_to_come_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "REQUEST_GRACE_S", 0)

    async def scenario() -> bytes:
        async with running(ready_config(tmp_path)) as daemon:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", int(daemon.app.urls["api"][0].rpartition(":")[2])
            )
            writer.write(
                b"POST /api/v1/ingest/s HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n"
            )
            assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
            daemon.app.stop()
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer

    answer = asyncio.run(scenario())
    assert b"HTTP/1.1 503" in answer
    assert 5 <= int(answer.partition(b"retry-after: ")[2].split()[0]) <= 10


def test_a_client_that_sends_before_it_listens_still_reads_why_it_was_refused(tmp_path: Path) -> None:
    """An incident: a connection closed on unread bytes is reset, and the 413 was lost with it."""
    size = 12 * 1024 * 1024

    async def scenario() -> bytes:
        async with running(ready_config(tmp_path)) as daemon:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", int(daemon.app.urls["api"][0].rpartition(":")[2])
            )
            head = f"POST /api/v1/ingest/s HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n"
            head += "Connection: close\r\n\r\n"
            writer.write(head.encode() + b"x" * size)
            await writer.drain()
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer

    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 413")
