"""A file, whole or followed: every complete line once, through rotation, truncation and restart."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from driftmon.sources import file
from driftmon.sources.base import Block, Position, Positions


@dataclass
class Limits:
    line_bytes: int = 65_536


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "POLL_S", 0.001)


def opened(path: Path, **options: Any) -> file.Source:
    return file.Source("s", file.Options(path, **options), Limits())


def at(path: Path, resume: Position | None) -> Positions:
    return {} if resume is None else {f"file:{path}": resume}


def read_all(path: Path, resume: Position | None = None, **options: Any) -> list[Block]:
    async def collect() -> list[Block]:
        return [block async for block in opened(path, **options).blocks(at(path, resume))]

    return asyncio.run(collect())


async def data(blocks: AsyncIterator[Block]) -> bytes:
    """The next block; a source that yields none hangs, so give up loudly."""
    async with asyncio.timeout(10):
        return (await anext(blocks)).data


def test_a_whole_file_is_read_to_its_end_and_the_last_line_needs_no_line_end(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'{"x":1}\n{"x":2}')
    blocks = read_all(path)
    assert b"".join(block.data for block in blocks) == b'{"x":1}\n{"x":2}'
    assert {(block.stream, block.source, block.format, block.origin) for block in blocks} == {
        ("s", "file", "ndjson", f"file:{path}")
    }


def test_an_empty_file_gives_no_block(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"")
    assert read_all(path) == []


def test_a_missing_file_is_an_error_unless_it_is_followed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_all(tmp_path / "none.ndjson")


def test_a_compressed_file_is_read_whole_and_cannot_be_followed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"x\n1\n"))
    (block,) = read_all(path)
    assert (block.format, block.data) == ("csv", b"x\n1\n")
    with pytest.raises(ValueError, match=r"follow: a\.csv\.gz is compressed and cannot be followed"):
        file.Options(path, follow=True)


def test_a_large_file_comes_in_blocks_of_whole_lines_with_their_line_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    lines = [b'{"x":%d}' % n for n in range(60_000)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    blocks = read_all(path)
    assert len(blocks) > 1
    for block in blocks:
        assert block.data.endswith(b"\n")
        assert block.data.split(b"\n")[0] == lines[block.first_line - 1]
    assert b"".join(block.data for block in blocks) == path.read_bytes()


def test_every_csv_block_opens_with_the_header_and_errors_would_name_the_right_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = [b"x"] + [b"%d" % n for n in range(60_000)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    for block in read_all(path):
        header, first, *_ = block.data.split(b"\n")
        assert header == b"x"
        assert lines[block.first_line] == first


@pytest.mark.parametrize("name", ["a.ndjson", "a.csv"])
def test_from_each_position_the_rest_is_read_and_nothing_twice(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    lines = [b"x"] + [b"%d" % n for n in range(60_000)]
    path.write_bytes(b"\n".join(lines) + b"\n")
    blocks = read_all(path)
    for at, block in enumerate(blocks):
        assert block.position is not None
        rest = read_all(path, resume=block.position)
        assert [(one.data, one.first_line) for one in rest] == [(one.data, one.first_line) for one in blocks[at + 1 :]]


def test_a_position_of_another_file_with_the_same_name_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"old\nold\n")
    position = read_all(path)[-1].position
    path.rename(tmp_path / "a.ndjson.1")
    path.write_bytes(b"new\nnew\nnew\n")
    assert b"".join(block.data for block in read_all(path, resume=position)) == b"new\nnew\nnew\n"


def test_a_file_that_was_rewritten_in_place_is_read_from_its_start(tmp_path: Path) -> None:
    """Same inode, other content: the hash of its first bytes tells."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"old\nold\n")
    position = read_all(path)[-1].position
    path.write_bytes(b"new\nnew\nnew\n")
    assert b"".join(block.data for block in read_all(path, resume=position)) == b"new\nnew\nnew\n"


def test_a_torn_last_line_waits_for_its_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"1\n2")

    async def scenario() -> None:
        blocks = opened(path, follow=True).blocks({})
        assert await data(blocks) == b"1\n"
        with path.open("ab") as writer:
            writer.write(b"2\n")
        assert await data(blocks) == b"22\n"

    asyncio.run(scenario())


def test_rotation_by_rename_and_create_loses_no_line(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"1\n")

    async def scenario() -> None:
        blocks = opened(path, follow=True).blocks({})
        assert await data(blocks) == b"1\n"
        with path.open("ab") as writer:
            path.rename(tmp_path / "a.ndjson.1")
            writer.write(b"2\n3")  # the old writer still has the old file open
        path.write_bytes(b"4\n")
        seen = b""
        while not seen.endswith(b"4\n"):
            seen += await data(blocks)
        assert seen == b"2\n34\n"

    asyncio.run(scenario())


def test_truncation_starts_the_file_again(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b"1\n2\n3\n")

    async def scenario() -> None:
        blocks = opened(path, follow=True).blocks({})
        assert await data(blocks) == b"1\n2\n3\n"
        path.write_bytes(b"4\n")
        assert await data(blocks) == b"4\n"

    asyncio.run(scenario())


def test_a_followed_file_may_come_later(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"

    async def scenario() -> None:
        first = asyncio.ensure_future(data(opened(path, follow=True).blocks({})))
        await asyncio.sleep(0)
        path.write_bytes(b"1\n")
        assert await first == b"1\n"

    asyncio.run(scenario())
