"""Following: a followed file read step by step, without a loop or a clock, and crashed wherever a test wants it.

Law: what was read since the last commit is forgotten with the process; counts and positions go together.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, TypeVar

import pytest

from driftmon.sources import file, rotation
from driftmon.sources.base import Block, Position, Positions

IDLE: Final = 6  # sleeps in a row with nothing between them: there is nothing to read

T = TypeVar("T")


@dataclass
class Limits:
    line_bytes: int = 65_536


class _Sleep:
    def __await__(self) -> Generator[str, None, None]:
        yield "sleeps"


async def _inline(call: Callable[..., T], *arguments: Any) -> T:
    return call(*arguments)


@contextlib.contextmanager
def stepped(block_bytes: int = 64, head_bytes: int = 1024) -> Iterator[None]:
    """Sources made here sleep by giving the control back, and read small blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file, "asyncio", SimpleNamespace(sleep=lambda _: _Sleep(), to_thread=_inline))
        patch.setattr(file, "BLOCK_BYTES", block_bytes)
        patch.setattr(rotation, "HEAD_BYTES", head_bytes)
        yield


class Follower:
    """One source after the other on one path: each goes on where the last commit was."""

    def __init__(self, path: Path, line_bytes: int = 65_536, **options: Any) -> None:
        self.path, self._options, self.limits = path, options, Limits(line_bytes)
        self.lines: list[bytes] = []
        self.gaps = 0
        self._committed: tuple[int, Position | None] = (0, None)
        self._position: Position | None = None
        self._start()

    def _start(self) -> None:
        self._position = self._committed[1]
        del self.lines[self._committed[0] :]
        self.source = file.Source("s", file.Options(self.path, follow=True, **self._options), self.limits)
        resume: Positions = {} if self._position is None else {self.source.origin: self._position}
        self._blocks = self.source.blocks(resume)
        self._next: Any = self._blocks.__anext__()
        self._ended = False

    def step(self) -> Block | None:
        """The next block; None where the source sleeps."""
        try:
            self._next.send(None)
        except StopIteration as found:
            block: Block = found.value
            self._next = self._blocks.__anext__()
            self._position = block.position
            self.lines += block.data.splitlines()
            return block
        return None

    def read(self) -> list[bytes]:
        """All there is now; the lines of it."""
        before, idle = len(self.lines), 0
        while idle < IDLE:
            idle = 0 if self.step() else idle + 1
        return self.lines[before:]

    def commit(self) -> None:
        self._committed = (len(self.lines), self._position)

    def end(self) -> None:
        """As a cancelled task ends; in a crash nobody closes anything, and files are not different for it."""
        if self._ended:
            return
        self._ended = True
        self.gaps += self.source.progress.gap_events
        with contextlib.suppress(GeneratorExit, StopIteration, StopAsyncIteration):
            self._next.throw(GeneratorExit)

    def crash(self) -> None:
        """And start again; after `end`, only that."""
        self.end()
        self._start()
