"""Bodies that have no place to go: the earlier it is known, the less is done for them."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import pytest
from starlette.requests import Request

from driftmon.daemon import bodies
from driftmon.daemon.bodies import IN_THREAD_BYTES, Bodies
from driftmon.daemon.problem import Problem
from driftmon.daemon.settings import Limits
from driftmon.formats.compression import decompress
from tests.daemon.kit import ndjson, records

PLAIN = ndjson(records(1000))
PACKED = gzip.compress(PLAIN)


def request(body: bytes, done: list[str]) -> Request:
    async def receive() -> Any:
        done.append("received")
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"content-encoding", b"gzip"), (b"content-length", str(len(body)).encode())]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


@pytest.mark.parametrize(
    ("until", "done"),
    [(0, []), (1, ["received"]), (2, ["received"]), (3, ["received", "unpacked"])],
    ids=["by its length", "by what it says it holds", "while others were unpacked", "never"],
)
def test_what_finds_no_room_is_neither_read_nor_unpacked(
    monkeypatch: pytest.MonkeyPatch, until: int, done: list[str]
) -> None:
    assert len(PACKED) > IN_THREAD_BYTES
    found: list[str] = []
    asked: list[int] = []

    def unpacked(*what: Any) -> bytes:
        found.append("unpacked")
        return decompress(*what)

    def claim(size: int) -> None:
        if len(asked) == until:
            raise Problem(429, "full")
        asked.append(size)

    monkeypatch.setattr(bodies, "decompress", unpacked)
    reading = Bodies().read(request(PACKED, found), Limits(), claim)
    if until < 3:
        with pytest.raises(Problem, match="full"):
            asyncio.run(reading)
    else:
        assert asyncio.run(reading) == PLAIN
    assert found == done
    assert asked == [len(PACKED), len(PLAIN), len(PLAIN)][:until]


def test_what_a_body_says_it_holds_is_believed_up_to_what_it_may_hold() -> None:
    asked: list[int] = []
    lying = PACKED[:-4] + b"\xff\xff\xff\xff"
    with pytest.raises(Problem) as refused:
        asyncio.run(Bodies().read(request(lying, []), Limits(), asked.append))
    assert refused.value.status == 400
    assert max(asked) == Limits().decompressed_bytes
