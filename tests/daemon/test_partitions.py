"""A source of several partitions, as a broker is one: counts and all positions go together, whatever is killed when.

Law: it resumes each partition where the store has it; it is told of a block once that is on the disk, never before.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from driftmon.daemon.intake import Intake
from driftmon.daemon.keeper import Storing
from driftmon.daemon.mailbox import Mailbox
from driftmon.daemon.pump import Pump
from driftmon.daemon.store import Store
from driftmon.daemon.streams import Stream
from driftmon.daemon.telemetry import Telemetry
from driftmon.sources.base import Ack, Block, Positions, Progress, Settled
from tests.daemon.kit import ndjson, records
from tests.daemon.test_intake import configured
from tests.daemon.test_streams import counts, made

PARTITIONS = 3
ROWS = 200  # in each partition


class Broker:
    """Keeps its records for ever; `told` is up to where each partition was acknowledged, for its lag display."""

    def __init__(self) -> None:
        self.rows = [records(ROWS, seed=partition) for partition in range(PARTITIONS)]
        self.told: Counter[str] = Counter()


class Source:
    """Reads the partitions in any order, some records at a time."""

    def __init__(self, broker: Broker, chance: random.Random) -> None:
        self.origin = "broker:topic"
        self.progress = Progress(lag_records=lambda: ROWS * PARTITIONS - sum(self._at))
        self._broker, self._chance = broker, chance
        self._at = [0] * PARTITIONS

    async def blocks(self, resume: Positions) -> AsyncGenerator[Block, None]:
        self._at = [int(resume.get(self._name(p), {}).get("next", 0)) for p in range(PARTITIONS)]
        while open_ones := [p for p in range(PARTITIONS) if self._at[p] < ROWS]:
            partition = self._chance.choice(open_ones)
            rows = self._broker.rows[partition][self._at[partition] :][: self._chance.randint(1, 20)]
            self._at[partition] += len(rows)
            name, end = self._name(partition), self._at[partition]
            yield Block("s", "broker", "ndjson", ndjson(rows), {"next": end}, self._ack(name, end), name)

    def _name(self, partition: int) -> str:
        return f"{self.origin}/{partition}"

    def _ack(self, name: str, end: int) -> Ack:
        def told(outcome: Settled | Exception) -> None:
            assert isinstance(outcome, Settled)
            assert outcome.durable
            self._broker.told[name] = end

        return told


class Life:
    """One process of a daemon, until it is killed: its store is closed without a commit."""

    def __init__(self, folder: Path, broker: Broker, chance: random.Random) -> None:
        self.one, self.store = made(folder), Store(folder / "state")
        if (saved := self.store.load("s")) is not None:
            self.one.restore(saved)
        self.source = Source(broker, chance)
        resume = dict(self.one.positions)
        for name, told in broker.told.items():
            assert int(resume[name]["next"]) >= told, "the broker was told of what is not on the disk"
        self._blocks = self.source.blocks(resume)
        keeper = Storing(self.store, lambda _: None)
        self._pump = Pump(Mailbox(1), Telemetry(), lambda ack, told: ack(told), lambda _: None, keeper)
        self._pump.swap({"s": self.one})

    async def turns(self, count: int, chance: random.Random) -> bool:
        """Whether the end of input was reached."""
        for _ in range(count):
            blocks = [found for _ in range(chance.randint(0, 3)) if (found := await anext(self._blocks, None))]
            self.at_s = getattr(self, "at_s", 0.0) + chance.uniform(0, 0.7)  # T2 is due each second
            self._pump.turn(blocks, 1000, self.at_s)
        return await anext(self._blocks, None) is None

    def finish(self) -> None:
        self._pump.turn([], 1000, self.at_s + 2)  # T2
        self._pump.turn([], 1000, self.at_s + 2)  # and who waits for it is told

    def kill(self) -> None:
        self.store._database.close()


def everything(folder: Path, broker: Broker) -> Stream:
    """What one daemon counts that was never killed."""
    whole = made(folder)
    for rows in broker.rows:
        whole.observe(Block("s", "broker", "ndjson", ndjson(rows)), 1000)
    return whole


@pytest.mark.parametrize("seed", range(2))
def test_killed_again_and_again_it_counts_each_record_of_each_partition_once(tmp_path: Path, seed: int) -> None:
    async def scenario() -> None:
        chance, broker, lives, over = random.Random(seed), Broker(), 0, False
        while not over:
            life = Life(tmp_path, broker, chance)
            lives += 1
            over = await life.turns(chance.randint(1, 12), chance)
            if over:
                life.finish()
            life.kill()
        last = Life(tmp_path, broker, chance)
        saved, expected = last.one.saved(), everything(tmp_path, broker).saved()
        last.kill()
        assert saved is not None
        assert expected is not None
        assert saved.snapshot.counts.tolist() == expected.snapshot.counts.tolist()
        assert [at["next"] for at in saved.positions.values()] == [ROWS] * PARTITIONS
        assert broker.told, "a kill between commit and ack may leave the broker behind, but it was told of something"
        assert counts(last.one) == dict.fromkeys(("x", "c", "ok"), ROWS * PARTITIONS)
        assert lives > 1

    asyncio.run(scenario())


def test_a_broker_is_told_of_records_that_gather_a_reference_when_they_are_on_the_disk(tmp_path: Path) -> None:
    """By the next T2, as of others; until then a crash has them read again."""
    told: list[bool] = []

    def ack(outcome: Settled | Exception) -> None:
        assert isinstance(outcome, Settled)
        told.append(outcome.durable)

    one, store = made(tmp_path, reference={"type": "warmup", "observations": 100}), Store(tmp_path / "state")
    keeper = Storing(store, lambda _: None)
    pump = Pump(Mailbox(1), Telemetry(), lambda ack, outcome: ack(outcome), lambda _: None, keeper)
    pump.swap({"s": one})
    for turn in range(2):
        rows = ndjson(records(60, seed=turn))
        pump.turn([Block("s", "broker", "ndjson", rows, {"next": turn}, ack, "broker")], 1000, 10.0 * turn)
        pump.turn([], 1000, 10.0 * turn + 5)
        assert told == [True] * (turn + 1)
    store.close()


def test_intake_keeps_a_position_for_each_partition_and_pauses_while_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, resumed = Broker(), list[Positions]()

    class Breaking(Source):
        async def blocks(self, resume: Positions) -> AsyncGenerator[Block, None]:
            resumed.append(resume)
            given = 0
            async for block in super().blocks(resume):
                yield block
                given += 1
                if len(resumed) == 1 and given == 20:
                    raise OSError("gone")

    mailbox, telemetry, taken = Mailbox(1024 * 1024), Telemetry(), list[Block]()
    source = Breaking(broker, random.Random(1))
    monkeypatch.setattr("driftmon.daemon.intake._open", lambda *_: source)
    monkeypatch.setattr("driftmon.daemon.intake.RETRY_FIRST_S", 0.001)

    async def scenario() -> None:
        intake = Intake(mailbox, telemetry)
        intake.pause(full=True)
        await intake.follow(configured(tmp_path, "a"), {})
        for _ in range(50):
            await asyncio.sleep(0)
        assert mailbox.take(0.0) == []
        intake.pause(full=False)
        async with asyncio.timeout(10):
            while sum(block.data.count(b"\n") for block in taken) < ROWS * PARTITIONS:
                taken.extend(item for item in mailbox.take(0.0) or () if isinstance(item, Block))
                await asyncio.sleep(0)
        await intake.stop()

    asyncio.run(scenario())
    for partition, rows in enumerate(broker.rows):
        assert b"".join(b.data for b in taken if b.origin.endswith(f"/{partition}")) == ndjson(rows)
    assert len(resumed) == 2
    assert len(resumed[1]) == PARTITIONS
