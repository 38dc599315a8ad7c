"""When the store commits, and which answers wait for it."""

from pathlib import Path
from typing import Any

import pytest

from driftmon.daemon.database import StorageError
from driftmon.daemon.keeper import RETRY_S, Storing
from driftmon.daemon.keeping import Outcome
from driftmon.daemon.news import Progress
from driftmon.daemon.store import Store
from driftmon.daemon.streams import Saved
from driftmon.sources.base import Block, Settled
from tests.daemon.kit import ndjson, records
from tests.daemon.test_store import fill
from tests.daemon.test_streams import made

WARMING = {"reference": {"type": "warmup", "observations": 100}}


class World:
    """One stream, its store and its keeper."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.store, self.one = Store(folder / "state"), made(folder, **changes)
        self.streams = {"s": self.one}
        self.told: list[bool] = []
        self.keeper = Storing(self.store, self.told.append)

    def count(self, rows: int = 10, **more: Any) -> list[Outcome]:
        block = Block("s", "http", "ndjson", ndjson(records(rows)), origin="http", **more)
        return [(block, self.one.observe(block, 0))]

    def settled(self, outcomes: list[Outcome]) -> list[Settled]:
        told = self.keeper.settle(self.streams, outcomes, 1)
        return [outcome for _, outcome in told if isinstance(outcome, Settled)]

    def tick(self, at_s: float) -> None:
        self.keeper.ticking(self.streams)
        self.keeper.ticked(self.streams, [self.one.tick(0)], 0, at_s)

    def on_disk(self) -> int:
        found = self.store.load("s")
        return (
            0
            if not isinstance(found, Saved)
            else int(found.snapshot.schema.totals(found.snapshot.counts.astype(float))[0])
        )


def test_a_durable_answer_comes_after_its_commit_a_position_waits_for_the_second(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert [one.durable for one in world.settled(world.count(position={"offset": 1}))] == [False]
    assert world.on_disk() == 0
    assert [one.durable for one in world.settled(world.count(key="k"))] == [True]
    assert world.on_disk() == 20
    assert list(world.store.seen()) == [("s", "k")]


def test_in_memory_mode_counts_and_ids_are_written_each_second_together(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.keeper.ack = "memory"
    world.tick(5.0)
    assert [one.durable for one in world.settled(world.count(key="k"))] == [False]
    world.keeper.ticked(world.streams, [], 1, 5.9)
    assert (world.on_disk(), world.store.seen()) == (0, {})
    assert world.keeper.rest_s(5.9) == pytest.approx(0.1)
    world.keeper.ticked(world.streams, [], 1, 6.0)
    assert (world.on_disk(), list(world.store.seen())) == (10, [("s", "k")])


def test_while_a_reference_is_gathered_its_rows_are_durable_too(tmp_path: Path) -> None:
    world = World(tmp_path, **WARMING)
    assert [one.durable for one in world.settled(world.count(60, key="a"))] == [True]
    assert list(world.store.seen()) == [("s", "a")]
    assert [one.durable for one in world.settled(world.count(60, key="b"))] == [True]
    assert (world.on_disk(), list(world.store.seen())) == (20, [("s", "a"), ("s", "b")])


def test_while_the_disk_is_full_answers_wait_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.settled(world.count())
    fill(world.store)
    waiting = [outcome for number in range(300) for outcome in world.count(1, key=f"{number}-{'k' * 200}")]
    assert world.settled(waiting) == []
    world.tick(9.0)  # evaluation goes on
    assert (world.told, world.on_disk()) == ([True], 10)
    world.store._database.connection.execute("PRAGMA max_page_count=100000")
    assert [one.durable for one in world.settled(world.count())] == [True] * 301
    assert (world.told, world.on_disk(), len(world.store.seen())) == ([True, False], 320, 300)


def test_a_stop_while_the_disk_is_full_exits_74(tmp_path: Path) -> None:
    world = World(tmp_path)
    fill(world.store)
    world.settled([outcome for number in range(300) for outcome in world.count(1, key=f"{number}-{'k' * 200}")])
    with pytest.raises(StorageError) as refused:
        world.keeper.finish(world.streams, 0)
    assert refused.value.exit_code == 74


def unroom(world: World) -> None:
    """Answers wait."""
    fill(world.store)
    assert world.settled([one for number in range(300) for one in world.count(1, key=f"{number}-{'k' * 200}")]) == []


def room(world: World) -> None:
    world.store._database.connection.execute("PRAGMA max_page_count=100000")


def test_a_reload_to_memory_releases_what_waits_for_a_full_disk_and_commits_go_on(tmp_path: Path) -> None:
    world = World(tmp_path)
    unroom(world)
    assert world.keeper.rest_s(0.0) == RETRY_S
    world.keeper.ack = "memory"
    assert [one.durable for one in world.settled([])] == [False] * 300
    assert world.settled([]) == [], "each is told once"
    world.tick(1.0)
    assert (world.on_disk(), world.told) == (0, [True])
    room(world)
    world.tick(2.0)
    assert (world.on_disk(), len(world.store.seen()), world.told) == (300, 300, [True, False])


def test_a_reload_to_memory_releases_what_waits_for_the_next_second(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.settled(world.count(position={"offset": 1}, ack=lambda outcome: None)) == []
    world.tick(1.0)
    world.keeper.ack = "memory"
    assert world.keeper.rest_s(1.0) == 0.0
    assert [one.durable for one in world.settled([])] == [True]
    assert world.keeper.rest_s(1.0) > 0.0, "nobody waits"


def test_a_reload_that_removes_a_stream_answers_what_waits_and_may_be_sent_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    unroom(world)
    del world.streams["s"]
    assert world.settled([]) == [Settled(1)] * 300, "a commit of nothing needs no room"
    room(world)
    world.keeper.ticked(world.streams, [], 1, 1.0)
    assert (world.store.seen(), world.on_disk()) == ({}, 0)


def test_a_source_of_a_removed_stream_is_not_told_that_its_counts_are_on_the_disk(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.settled(world.count(position={"offset": 1}, ack=lambda outcome: None))
    del world.streams["s"]
    world.keeper.ticked(world.streams, [], 1, 1.0)
    assert [one.durable for one in world.settled([])] == [False]


def test_the_journal_of_a_removed_stream_is_no_reason_to_write_all_panes_each_second(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.tick(1.0)
    world.settled(world.count())
    assert world.store.journal_bytes > 0
    del world.streams["s"]
    world.keeper.ticked(world.streams, [world.one.tick(0)], 1, 9.0)
    assert world.store.journal_bytes == 0
    assert world.on_disk() == 10, "what it had is found by a later start that has it again"


def test_what_sinks_did_at_the_end_needs_no_room(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.keeper.finish(world.streams, 0)
    world.keeper.notified(0)  # nothing, and so nothing is written
    fill(world.store)
    debts = {("webhook", f"{number}-{'k' * 200}"): {"owed": [], "refused": True} for number in range(300)}
    world.keeper.progress.append(Progress(1, debts))
    world.keeper.notified(0)
    assert (world.told, world.store.owing().owed) == ([True], {})
