"""What a start reads of state.db: rows of older versions, of thinned records, and damaged ones, which cost no other."""

import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driftmon.daemon.deltas import Delta, Sum, between, packed, unpacked
from driftmon.daemon.store import Store
from driftmon.daemon.streams import Saved, Stream
from driftmon.sources.base import Block, Settled
from tests.daemon.kit import FEATURES, ndjson, records
from tests.daemon.test_streams import made

WARMING: dict[str, Any] = {"reference": {"type": "warmup", "observations": 100}}


def counted(one: Stream, rows: int = 10, weight: int = 1) -> None:
    one.observe(Block("s", "http", "ndjson", ndjson(records(rows)), origin="http", weight=weight), 0)


def kept(folder: Path) -> Store:
    """Panes of ten records, and two journal entries of as many."""
    store, one = Store(folder / "state"), made(folder)
    counted(one)
    store.checkpoint({"s": one}, {}, 0)
    for _ in range(2):
        counted(one)
        store.commit({"s": one}, {}, 0)
    return store


def total(found: object) -> int:
    assert isinstance(found, Saved)
    return int(found.snapshot.counts.sum()) // len(FEATURES)


@pytest.mark.parametrize("largest", [0, 255, 2**8, 2**24 + 3, 2**31, 2**32 - 1, 2**32, 2**62])
def test_a_pane_is_read_as_it_was_written(largest: int) -> None:
    few = np.array([0, largest, 1, largest // 2, 300], dtype=np.int64)
    for counts in (few, np.concatenate((few, np.zeros(10_000, dtype=np.int64))), -few):
        old = zlib.compress(counts.astype("<i8").view(np.uint8).reshape(-1, 8).T.tobytes())  # before version 3
        for data in (packed(counts), old):
            assert unpacked(data).tolist() == counts.tolist()
            assert unpacked(data).dtype == np.int64


def test_a_pane_is_as_wide_as_its_largest_count_and_packed_only_where_that_pays() -> None:
    draw = np.random.default_rng(1)
    assert len(packed(draw.integers(0, 256, 1000))) == 1001
    assert len(packed(draw.integers(0, 256, 1000) << 8)) == 2001
    assert len(packed(np.repeat([0, 1], [100_000, 1]))) < 1000


@pytest.mark.parametrize("data", [b"", b"\0", b"\x10", b"\x02odd", b"\x08seven", b"\x11no zlib", b"no zlib"])
def test_what_is_no_pane_is_no_pane(data: bytes) -> None:
    with pytest.raises((ValueError, zlib.error)):
        unpacked(data)


def test_entries_of_the_first_version_and_of_thinned_records_add_up(tmp_path: Path) -> None:
    one = made(tmp_path)
    assert one.monitor is not None
    snapshots = [one.monitor.snapshot()]
    for weight in (1, 4, 8):
        counted(one, weight=weight)
        snapshots.append(one.monitor.snapshot())
    sums = Sum(snapshots[0])
    for before, after in pairwise(snapshots):
        sums.add(between(before, after))
    assert sums.snapshot().to_bytes() == snapshots[-1].to_bytes()
    bins = np.flatnonzero(snapshots[1].counts).astype("<i4")
    old = {0: (bins.tobytes(), snapshots[1].counts[bins].astype("<i8").tobytes())}
    sums = Sum(snapshots[0])
    sums.add(Delta(old, {}, snapshots[1].watermark_ms, snapshots[1].first_ms))
    assert sums.snapshot().to_bytes() == snapshots[1].to_bytes()


def test_adding_the_journal_changes_no_pane_that_was_read(tmp_path: Path) -> None:
    store = kept(tmp_path)
    found = store.load("s")
    assert total(found) == 30
    assert sum(int(counts.sum()) for (ring, _), counts in store._written["s"].panes.items() if ring == "open") == 30
    store.close()


def test_a_damaged_entry_of_the_journal_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = kept(tmp_path)
    store._database.connection.execute("UPDATE journal SET crc = crc + 1 WHERE seq = 1")
    assert total(store.load("s")) == 20
    assert "entry 1 of the journal is damaged" in caplog.text
    store.close()


def test_a_stream_whose_bins_are_damaged_starts_empty(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, one = kept(tmp_path), made(tmp_path)
    assert one.monitor is not None
    store._database.connection.execute("UPDATE stream SET shape = substr(shape, 1, 900)")
    for known in ((), (one.monitor.schema,)):
        assert store.load("s", one.settings, known) is None
    assert caplog.text.count("its state is damaged") == 2
    store.close()


def test_a_damaged_answer_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(tmp_path)
    store.commit({}, {("s", "a"): Settled(1), ("s", "b"): Settled(2)}, 0)
    store._database.connection.execute("UPDATE seen SET outcome = x'7b' WHERE key = 'a'")
    assert store.seen() == {("s", "b"): (0, Settled(2))}
    assert "the answer to batch a is damaged" in caplog.text
    store.close()


def test_rows_of_a_warm_up_for_other_features_are_not_those_of_this_one(tmp_path: Path) -> None:
    store, one = Store(tmp_path / "state"), made(tmp_path, **WARMING)
    counted(one)
    store.checkpoint({"s": one}, {}, 0, fold=True)
    assert store.load("s", one.settings) is not None
    other = made(tmp_path, **WARMING, features={"x": {"type": "numeric"}})
    assert store.load("s", other.settings) is None
    store.close()
