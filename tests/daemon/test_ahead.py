"""Large requests are read in steps, and small ones have their turns in between; counts are as if nothing had."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from driftmon.daemon import ahead
from driftmon.daemon.config import load
from driftmon.daemon.mailbox import Mailbox, Question
from driftmon.daemon.on_disk import load_references
from driftmon.daemon.pump import Pump
from driftmon.daemon.streams import Stream, build_streams
from driftmon.daemon.telemetry import Telemetry
from driftmon.monitor.batch import Batch
from driftmon.sources.base import Ack, Block, Settled
from tests.daemon.kit import ndjson, ready_config, records

LARGE = 3000  # records of more than QUICK_BYTES


def block(name: str, rows: int) -> Block:
    def ack(outcome: Any) -> None:
        raise AssertionError(name)  # the world keeps it, and does not call it

    return Block("s", "http", "ndjson", ndjson(records(rows)), ack=ack, origin=name)


class World:
    """A pump over one stream; `told` is what was answered, in order."""

    def __init__(self, folder: Path) -> None:
        config = load(ready_config(folder), {})
        self.build: Callable[[], dict[str, Stream]] = lambda: build_streams(config, load_references(config))
        self.stream = self.build()["s"]
        self.mailbox = Mailbox(1024 * 1024)
        self.told: list[int] = []
        self.pump = Pump(self.mailbox, Telemetry(), self._deliver, lambda reports: None)
        self.pump.swap({"s": self.stream})

    def _deliver(self, ack: Ack, outcome: Settled | Exception) -> None:
        assert isinstance(outcome, Settled)
        self.told.append(outcome.accepted)

    def at_the_first_step(self, then: Callable[[], None]) -> None:
        """Something that happens while the first large block is being read."""
        read = self.stream.read

        def interrupted(one: Block) -> Iterator[Batch | None]:
            vars(self.stream)["read"] = read
            steps = read(one)
            yield next(steps)
            then()
            yield from steps

        vars(self.stream)["read"] = interrupted

    def run(self) -> None:
        self.mailbox.close()
        self.pump.run()


def counted(stream: Stream) -> int:
    saved = stream.saved()
    assert saved is not None
    return int(saved.snapshot.counts[: saved.snapshot.schema.sizes[0]].sum())


def test_a_small_request_does_not_wait_for_a_large_one_that_came_before(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.mailbox.offer([block("large", LARGE)])

    def come() -> None:
        world.mailbox.offer([block("small", 1)])
        world.mailbox.close()

    world.at_the_first_step(come)
    world.pump.run()
    assert world.told == [1, LARGE]
    assert counted(world.stream) == LARGE + 1


@pytest.mark.parametrize("most", [0, 1, ahead.AHEAD_BYTES])
def test_what_is_beyond_the_bound_is_read_while_it_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(ahead, "AHEAD_BYTES", most)
    world = World(tmp_path)
    world.mailbox.offer([block("large", LARGE), block("large", LARGE + 1)])
    world.run()
    assert world.told == [LARGE, LARGE + 1]
    assert counted(world.stream) == 2 * LARGE + 1


def test_a_reload_between_reading_and_counting_reads_again_by_its_own_layout(tmp_path: Path) -> None:
    world = World(tmp_path)
    new = world.build()
    items: list[Block | Question] = [Question(lambda: world.pump.swap(new), Future()), block("large", LARGE)]
    read = ahead.Reader(world.pump.streams, lambda: None).read(items)
    world.pump.turn(items, 10**12, 0.0, read)
    assert (counted(world.stream), counted(new["s"])) == (0, LARGE)


def test_a_bug_met_while_reading_ahead_is_told_where_the_block_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    told: list[Settled | Exception] = []
    monkeypatch.setattr(world, "_deliver", lambda ack, outcome: told.append(outcome))
    world.pump = Pump(world.mailbox, Telemetry(), world._deliver, lambda reports: None)
    world.pump.swap({"s": world.stream})

    def broken(one: Block) -> Iterator[Batch | None]:
        yield None
        raise RuntimeError("a bug")

    monkeypatch.setattr(world.stream, "read", broken)
    world.mailbox.offer([block("large", LARGE)])
    world.run()
    assert [type(outcome) for outcome in told] == [RuntimeError]
