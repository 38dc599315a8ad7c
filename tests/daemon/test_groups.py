"""Small blocks that were taken together are read and counted as one; nobody can tell, but by the clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from driftmon.daemon.config import load
from driftmon.daemon.groups import Group, grouped
from driftmon.daemon.mailbox import QUICK_BYTES, Mailbox, Question
from driftmon.daemon.on_disk import load_references
from driftmon.daemon.pump import Pump
from driftmon.daemon.settings import Config
from driftmon.daemon.streams import Stream, build_streams
from driftmon.daemon.telemetry import Telemetry
from driftmon.monitor.snapshot import Snapshot
from driftmon.sources.base import Ack, Block, Settled
from tests.daemon.kit import ndjson, ready_config, records, running, stream

NOW_MS = 1_700_000_000_000
CLEAN = [ndjson(records(rows, seed=rows)) for rows in (1, 2, 3)]
PIECES = (
    *CLEAN,
    *CLEAN,
    CLEAN[1].removesuffix(b"\n"),
    CLEAN[1].replace(b"\n", b"\r\n"),
    b'{"x": 1, "c": "strange", "ok": null}\n',
    b'{"x": 1, "more": 2}\n',
    b'{"x":1',
    b',"x":2}\n',
    b'{"x":',
    b'{"x":1}',
    b"{}{}\n",
    b"{}\n\n{}\n",
    b"\n",
    b"",
    b"[1, 2]\n",
    b'[{"x":1},{"x":2}]',
    b'{"x":\n1}\n',
    b'\xef\xbb\xbf{"x":1}\n',
    b'{"c": "\xff"}\n',
    b'{"c": "a\nb"}\n',
    b'{"c": "',
    b'"}\n',
    b'{"x": NaN}\n',
    b'{"x": "text"}\n',
    b'{"x": {"y": [1]}}\n',
    b'{"c": "' + b"long" * 300 + b'"}\n',
    b" {}\n",
    b"no JSON",
)
BODIES = st.lists(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=2).map(b"".join) | st.sampled_from(CLEAN), max_size=8
)


@cache
def world() -> tuple[Config, dict[str, Snapshot]]:
    with TemporaryDirectory() as folder:
        config = load(ready_config(Path(folder)), {})
        return config, dict(load_references(config))


def fresh() -> Stream:
    return build_streams(*world())["s"]


def block(data: bytes, **changes: Any) -> Block:
    return Block("s", "http", "ndjson", data, origin="http", **changes)


class Side:
    """A pump over one stream; what it answered, by the key of each block."""

    def __init__(self, one: Stream) -> None:
        self.stream, self.told, self.telemetry = one, dict[str, Any](), Telemetry()
        self.pump = Pump(Mailbox(1024 * 1024), self.telemetry, lambda ack, outcome: ack(outcome), lambda reports: None)
        self.pump.swap({"s": one})

    def ack(self, name: str) -> Ack:
        def ack(outcome: Settled | Exception) -> None:
            assert name not in self.told
            self.told[name] = outcome

        return ack

    def blocks(self, bodies: Sequence[bytes]) -> list[Block]:
        return [block(body, ack=self.ack(str(at)), key=str(at)) for at, body in enumerate(bodies)]

    def counted(self) -> Any:
        saved = self.stream.saved()
        assert saved is not None
        assert saved.clocks is not None
        families = {one.metric.name: one.samples for one in self.telemetry.families() if one.metric.kind == "counter"}
        return (
            saved.snapshot.to_bytes(),
            saved.clocks.last_ms.tolist(),
            families,
            sum(self.telemetry.ingest.histogram().counts),
        )

    def turn(self, items: Any, at_ms: int) -> None:
        self.pump.turn(items, at_ms, at_ms / 1000)


@given(rounds=st.lists(BODIES, min_size=1, max_size=2))
@example(rounds=[[b'{"x":1', b',"x":2}\n']])
@example(rounds=[[b'{"x":', b"1}\n"], [b'{"c":"', b'"}\n'], [b"{}", b"{}"]])
@example(rounds=[[*CLEAN, b"{}{}", *CLEAN], [b"{}\n\n", *CLEAN], [*CLEAN, b" "], CLEAN * 2])
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_outcomes_and_counts_are_those_of_block_by_block(rounds: list[list[bytes]]) -> None:
    together, apart = Side(fresh()), Side(fresh())
    for at, bodies in enumerate(rounds):
        together.told, apart.told = {}, {}
        together.turn(grouped(together.blocks(bodies), {"s": together.stream}), NOW_MS + at)
        apart.turn(apart.blocks(bodies), NOW_MS + at)
        assert together.told == apart.told
        assert together.counted() == apart.counted()


def shape(items: Any) -> list[Any]:
    """Of each group how many blocks, of each block how many bytes."""
    return [
        len(item.blocks) if isinstance(item, Group) else len(item.data) if isinstance(item, Block) else "?"
        for item in items
    ]


def test_clean_blocks_are_one_and_stay_before_the_question_that_they_came_before() -> None:
    one, question = fresh(), Question(lambda: None, Future())
    blocks = [block(body) for body in CLEAN]
    assert shape(grouped(blocks, {"s": one})) == [3]
    assert shape(grouped([*blocks, question, *blocks[:2]], {"s": one})) == [3, "?", 2]
    assert shape(grouped([question, blocks[0]], {"s": one})) == ["?", len(CLEAN[0])]


def test_what_is_not_plain_goes_by_itself_and_no_block_of_its_stream_passes_it() -> None:
    body, one = CLEAN[0], fresh()
    size, large = len(body), CLEAN[2] * (QUICK_BYTES // len(CLEAN[2]) + 1)
    for odd in (block(large), block(body, more=True), block(body, position={"at": 1}), block(body, weight=2)):
        assert shape(grouped([block(body)] * 2 + [odd] + [block(body)] * 2, {"s": one})) == [2, len(odd.data), 2]
    assert shape(grouped([Block("gone", "http", "ndjson", body)] * 2, {"s": one})) == [size, size]
    assert shape(grouped([Block("s", "http", "csv", b"x\n1\n")] * 2, {"s": one})) == [4, 4]


@pytest.mark.parametrize(
    "changes",
    [
        {"time": {"field": "t", "unit": "ms"}},
        {"reference": {"type": "warmup", "observations": 1000}},
        {"overload": "sample"},
    ],
)
def test_streams_whose_outcomes_may_depend_on_more_than_the_record_are_left_alone(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    config = load(ready_config(tmp_path, {"s": stream()}), {})
    path = tmp_path / "other.yaml"
    tree = {"version": 1, "streams": {"s": stream(**changes)}}
    path.write_text(json.dumps(tree))
    config = load(path, {})
    one = build_streams(config, load_references(config))["s"]
    assert shape(grouped([block(body) for body in CLEAN], {"s": one})) == [len(body) for body in CLEAN]


def test_after_a_fault_blocks_go_alone_for_a_while_and_longer_each_time() -> None:
    one, odd = fresh(), b'{"x": "text"}\n'
    clean, dirty = [block(CLEAN[0])] * 2, [block(CLEAN[0]), block(odd)]
    assert shape(grouped(dirty, {"s": one})) == [len(CLEAN[0]), len(odd)]
    assert [len(shape(grouped(clean, {"s": one}))) for _ in range(3)] == [2, 1, 1]
    for _ in range(2):
        assert len(shape(grouped(dirty, {"s": one}))) == 2
        assert len(shape(grouped(dirty, {"s": one}))) == 2
    assert [len(shape(grouped(clean, {"s": one}))) for _ in range(4)] == [2, 2, 1, 1]


@pytest.mark.parametrize("method", ["read_clean", "count"])
def test_a_bug_in_reading_or_counting_as_one_is_logged_and_each_block_goes_its_own_way(
    method: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    side = Side(fresh())

    def broken(*given: Any) -> Any:
        monkeypatch.undo()
        raise RuntimeError("a bug")

    monkeypatch.setattr(side.stream, method, broken)
    side.turn(grouped(side.blocks(CLEAN), {"s": side.stream}), NOW_MS)
    assert side.told == {"0": Settled(1), "1": Settled(2), "2": Settled(3)}
    assert "could not be" in caplog.text
    apart = Side(fresh())
    apart.turn(apart.blocks(CLEAN), NOW_MS)
    assert side.counted() == apart.counted()


def test_after_a_reload_a_group_is_counted_by_the_new_stream() -> None:
    side, new = Side(fresh()), fresh()
    swap = Question(lambda: side.pump.swap({"s": new}), Future())
    side.turn(grouped([swap, *side.blocks(CLEAN)], {"s": side.stream}), NOW_MS)
    assert side.told == {"0": Settled(1), "1": Settled(2), "2": Settled(3)}
    old, side.stream = side.counted()[0], new
    assert old != side.counted()[0]


def test_many_at_once_are_each_told_of_their_own_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    joined: list[int] = []
    read = Stream.read_clean

    def noted(one: Stream, lines: bytes) -> Any:
        joined.append(lines.count(b"\n"))
        return read(one, lines)

    monkeypatch.setattr(Stream, "read_clean", noted)

    async def main() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            bodies = [ndjson(records(1 + at % 7)) + b"no JSON\n" * (at % 23 == 9) for at in range(48)]
            replies = await asyncio.gather(*(daemon.post(body) for body in bodies))
            told = [reply.json() for reply in replies]
            assert [one["accepted"] for one in told] == [1 + at % 7 for at in range(48)]
            assert [one["rejected"] for one in told] == [int(at % 23 == 9) for at in range(48)]
            whole = sum(one["accepted"] + one["rejected"] for one in told)
            assert await daemon.metric("driftmon_ingest_records_total") == whole
            assert await daemon.metric("driftmon_ingest_duration_seconds_count") == len(bodies)

    asyncio.run(main())
    assert joined
