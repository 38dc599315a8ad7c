"""Standard input: a pipe, a file; the end of input ends the source."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from driftmon.sources import stdin
from driftmon.sources.base import Block


@dataclass
class Limits:
    line_bytes: int = 65_536


async def collect(descriptor: int, options: stdin.Options) -> list[Block]:
    return [block async for block in stdin.Source("s", options, Limits(), descriptor=descriptor).blocks({})]


def test_a_pipe_is_read_until_its_writer_closes_it() -> None:
    reader, writer = os.pipe()

    async def scenario() -> list[Block]:
        reading = asyncio.ensure_future(collect(reader, stdin.Options()))
        os.write(writer, b'{"x":1}\n{"x"')
        await asyncio.sleep(0)
        os.write(writer, b":2}")
        os.close(writer)
        return await reading

    blocks = asyncio.run(scenario())
    os.close(reader)
    assert b"".join(block.data for block in blocks) == b'{"x":1}\n{"x":2}'
    assert {block.origin for block in blocks} == {"stdin"}


def test_a_redirected_file_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"x\n1\n2\n")
    with path.open("rb") as file:
        (block,) = asyncio.run(collect(file.fileno(), stdin.Options(format="csv")))
    assert (block.format, block.data, block.first_line) == ("csv", b"x\n1\n2\n", 1)


def test_a_line_that_comes_in_parts_is_one(tmp_path: Path) -> None:
    reader, writer = os.pipe()

    async def scenario() -> list[Block]:
        reading = asyncio.ensure_future(collect(reader, stdin.Options()))
        for part in (b"1", b"2", b"\n"):
            os.write(writer, part)
            await asyncio.sleep(0.02)
        os.close(writer)
        return await reading

    (block,) = asyncio.run(scenario())
    os.close(reader)
    assert block.data == b"12\n"
