"""A Unix socket: private, shared by many writers, read no faster than it is consumed."""

import asyncio
import json
import stat
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

import pytest

from driftmon.sources import unix
from driftmon.sources.base import Block, Settled


@dataclass
class Limits:
    line_bytes: int = 65_536


def opened(path: Path) -> AsyncGenerator[Block, None]:
    return unix.Source("s", unix.Options(path), Limits()).blocks({})


async def listening(path: Path, blocks: AsyncGenerator[Block, None]) -> "asyncio.Future[Block]":
    """The next block, asked for; returns once the socket is there."""
    first = asyncio.ensure_future(anext(blocks))
    while not path.exists():
        await asyncio.sleep(0)
    return first


async def write(path: Path, data: bytes) -> None:
    _, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    writer.close()
    await writer.wait_closed()


def test_lines_of_every_writer_arrive_and_the_last_needs_no_line_end(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"

    async def scenario() -> list[bytes]:
        blocks = opened(path)
        first = await listening(path, blocks)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        await asyncio.gather(write(path, b"1\n"), write(path, b"2"))
        got = [(await first).data, (await anext(blocks)).data]
        await blocks.aclose()
        return got

    assert sorted(asyncio.run(scenario())) == [b"1\n", b"2"]
    assert not path.exists()


def test_a_socket_nobody_listens_on_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    unix.listening_socket(path).close()
    with unix.listening_socket(path), pytest.raises(FileExistsError, match="another process listens there"):
        unix.listening_socket(path)


def test_a_file_of_that_name_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="exists and is no socket"):
        unix.listening_socket(path)
    assert path.read_text() == "precious"


def test_a_writer_waits_while_nobody_takes_blocks(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    line = b"x" * 1000 + b"\n"
    total = 20_000

    async def scenario() -> tuple[bool, int]:
        blocks = opened(path)
        first = await listening(path, blocks)
        _, writer = await asyncio.open_unix_connection(path)
        writer.transport.set_write_buffer_limits(0)
        writer.write(line * total)
        writing = asyncio.ensure_future(writer.drain())
        got = len((await first).data)
        waits = not writing.done()
        while got < total * len(line):
            got += len((await anext(blocks)).data)
        await writing
        writer.close()
        await writer.wait_closed()
        await blocks.aclose()
        return waits, got

    assert asyncio.run(scenario()) == (True, total * len(line))


OUTCOMES = [Settled(2, {"malformed": 1}, durable=True), Settled(1, late=3, durable=True)]


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (OUTCOMES[1], {"accepted": 3, "rejected": {"malformed": 1}, "late": 3, "failed_blocks": 0, "durable": True}),
        (
            RuntimeError("a bug"),
            {"accepted": 2, "rejected": {"malformed": 1}, "late": 0, "failed_blocks": 1, "durable": False},
        ),
    ],
    ids=["counted", "broken"],
)
def test_a_writer_that_asks_is_answered_once_all_it_sent_is_settled(
    tmp_path: Path, second: Settled | Exception, expected: dict[str, object]
) -> None:
    path = tmp_path / "s.sock"

    async def scenario() -> bytes:
        blocks = opened(path)
        first = await listening(path, blocks)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"1\n2\n3\n")
        one = await first
        writer.write(b"4")
        writer.write_eof()
        other = await anext(blocks)
        answer = asyncio.ensure_future(reader.read())
        other.ack(second)
        await asyncio.sleep(0.01)
        assert not answer.done(), "the first block is not settled"
        one.ack(OUTCOMES[0])
        found = await answer
        writer.close()
        await writer.wait_closed()
        await blocks.aclose()
        return found

    line = asyncio.run(scenario())
    assert line.endswith(b"\n")
    assert json.loads(line) == expected


def test_a_writer_too_many_is_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unix, "CONNECTIONS", 0)

    async def scenario() -> bytes:
        blocks = opened(tmp_path / "s.sock")
        first = await listening(tmp_path / "s.sock", blocks)
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s.sock")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await blocks.aclose()
        return answer

    assert asyncio.run(scenario()) == b""


def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long"):
        unix.listening_socket(tmp_path / ("s" * 200))
