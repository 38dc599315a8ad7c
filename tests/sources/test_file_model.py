"""Any sequence of writing, rotating, truncating, reading and crashing: each complete line counted exactly once."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sources.following import Follower, stepped

LINE_BYTES = 40
STYLES = ("numbered", "dated", "extension")


class World:
    """A naive writer, who knows what he wrote, and a follower."""

    def __init__(self, folder: Path, style: str) -> None:
        self.path, self._style = folder / "a.log", style
        self.path.touch()
        self.follower = Follower(self.path, LINE_BYTES, format="ndjson")
        self.sent: list[bytes] = []
        self._torn = b""
        self._rotated: list[Path] = []  # newest first
        self._stamp = self._number = 0
        self.truncations = 0
        self.append(1)
        self.follower.read()
        self.follower.commit()  # before a first commit nobody knows which file comes next

    def _write(self, data: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(data)

    def append(self, much: int) -> None:
        """Some lines; every third is torn, every seventh is too long."""
        for _ in range(1 + much % 5):
            self._finish_line()
            self._number += 1
            line = b"%07d" % self._number + b"x" * (much % 20 + (100 if much % 7 == 0 else 0))
            cut = len(line) if much % 3 else much % len(line)
            self._write(line[:cut])
            self._torn, rest = line, line[cut:]
            if much % 3:
                self._finish_line()
            else:
                self._rest = rest

    _rest = b""

    def _finish_line(self) -> None:
        if self._torn:
            self._write(self._rest + b"\n")
            self.sent.append(self._torn[:7])
        self._torn = self._rest = b""

    def rotate(self, much: int) -> None:
        self._finish_line()
        self.path.rename(self._place())
        self.path.touch()

    def copy_truncate(self, much: int) -> None:
        if self.path.stat().st_size:
            self._finish_line()
            shutil.copyfile(self.path, self._place())
            self.path.write_bytes(b"")
            self.follower.read()  # twice between two looks would be once too often

    def _place(self) -> Path:
        self._stamp += 1
        if self._style == "numbered":
            for number in range(len(self._rotated), 0, -1):
                old = self._rotated[number - 1]
                end = ".gz" if old.suffix == ".gz" else ""
                self._rotated[number - 1] = old.rename(self.path.with_name(f"a.log.{number + 1}{end}"))
            place = self.path.with_name("a.log.1")
        else:
            shape = "a.log-2026{:04d}" if self._style == "dated" else "a-2026{:04d}.log"
            place = self.path.with_name(shape.format(self._stamp))
        self._rotated = [place, *self._rotated]
        return place

    def compress(self, much: int) -> None:
        plain = [place for place in self._rotated if place.suffix != ".gz"]
        if plain:
            old = plain[much % len(plain)]
            packed = old.with_name(f"{old.name}.gz")
            packed.write_bytes(gzip.compress(old.read_bytes()))
            shutil.copystat(old, packed)
            old.unlink()
            self._rotated[self._rotated.index(old)] = packed

    def truncate(self, much: int) -> None:
        """When all of it was counted; the follower cannot know that, and says so."""
        self._finish_line()
        self.follower.read()
        if self.path.stat().st_size:
            self.follower.commit()
            self.path.write_bytes(b"")
            self.truncations += 1
            self.follower.read()

    def read(self, much: int) -> None:
        self.follower.read()

    def step(self, much: int) -> None:
        for _ in range(1 + much % 4):
            self.follower.step()

    def commit(self, much: int) -> None:
        self.follower.commit()

    def crash(self, much: int) -> None:
        self.follower.crash()


STEPS = (
    "append",
    "append",
    "append",
    "rotate",
    "rotate",
    "copy_truncate",
    "compress",
    "truncate",
    "read",
    "step",
    "commit",
    "crash",
)
runs = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 200)), min_size=8, max_size=40)


@settings(max_examples=60, deadline=None)
@given(runs, st.sampled_from(STYLES), st.sampled_from([16, 1024]))
def test_each_complete_line_is_counted_exactly_once(steps: list[tuple[str, int]], style: str, head_bytes: int) -> None:
    with TemporaryDirectory() as folder, stepped(block_bytes=64, head_bytes=head_bytes):
        world = World(Path(folder), style)
        for step, much in steps:
            getattr(world, step)(much)
        world.follower.read()
        world.follower.end()
        assert [line[:7] for line in world.follower.lines] == world.sent
        assert bool(world.follower.gaps) == bool(world.truncations)
