"""Label rows: a join that went through the database does what one that never stopped does."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from driftmon.daemon.label_rows import SMALL_BYTES, TOGETHER_BYTES, fold_labels, read_labels, write_labels
from driftmon.daemon.opening import open_database
from driftmon.monitor.delayed import Delayed, Waits
from driftmon.monitor.id_ring import digests
from driftmon.monitor.label_pieces import KeptLabels
from driftmon.monitor.labels import Join, Pairs, Records
from driftmon.stats.binnings.log_loss import Outcome
from driftmon.stats.edges import FeatureSpec

LOSS = FeatureSpec("loss", "log_loss", outcome=Outcome("y", "p", ("a", "b")))


def records(chance: np.random.Generator, rows: int, clock_ms: int) -> Records:
    ids = digests(map(str, chance.integers(0, 150, rows)), b"key")
    kinds, times = chance.integers(0, 2, rows).astype(np.uint8), chance.integers(0, 9999, rows)
    return Records(ids, kinds, times, clock_ms + np.cumsum(chance.integers(0, 3, rows)), chance.random((rows, 2)))


def at_once(ids: str, kinds: list[int], value: float = 0.0) -> Records:
    zeros = np.zeros(len(ids), dtype=np.int64)
    return Records(digests(ids), np.array(kinds, dtype=np.uint8), zeros, zeros, np.full((len(ids), 2), value))


def listed(pairs: Pairs) -> list[list[object]]:
    return [
        column.tolist()
        for column in (pairs.rows, pairs.predictions, pairs.labels, pairs.predicted_ms, pairs.labelled_ms)
    ]


def restored(kept: KeptLabels | None, wait_ms: int = 60, entries: int = 40) -> Delayed:
    delayed = Delayed((LOSS,), Waits("id", wait_ms, entries), b"key")
    assert kept is None or delayed.restore(kept)
    return delayed


@pytest.mark.parametrize("seed", range(2))
def test_a_crash_after_any_commit_costs_only_what_was_not_committed(tmp_path: Path, seed: int) -> None:
    chance = np.random.default_rng(seed)
    steady, database = Join(60, 40, 2), open_database(tmp_path)
    kept, clock_ms = restored(None), 0
    for _ in range(40):
        batch = records(chance, int(chance.integers(1, 30)), clock_ms)
        clock_ms = int(batch.clock_ms[-1])
        if chance.random() < 0.2:
            kept.join.take(batch)  # and the machine stops before the commit
            kept = restored(read_labels(database, "s"))
        assert listed(kept.join.take(batch)) == listed(steady.take(batch))
        assert (kept.join.tally, kept.join.waiting) == (steady.tally, steady.waiting)
        if chance.random() < 0.1:
            with suppress(RuntimeError), database.transaction() as connection:
                write_labels(connection, "s", kept)
                raise RuntimeError  # no room: tried again
        with database.transaction() as connection:
            (fold_labels if chance.random() < 0.2 else write_labels)(connection, "s", kept)
        kept.keep()
        if chance.random() < 0.3:
            kept = restored(read_labels(database, "s"))
    assert steady.tally.outcomes["matched"] > 30
    assert len(database.rows("SELECT seq FROM label")) < 25
    database.close()


def test_a_smaller_bound_lets_the_oldest_go_and_counts_them(tmp_path: Path) -> None:
    one = restored(None)
    one.join.take(at_once("abcde", [0, 0, 0, 1, 0]))
    database = open_database(tmp_path)
    with database.transaction() as connection:
        write_labels(connection, "s", one)
    smaller = restored(read_labels(database, "s"), entries=2)
    database.close()
    assert (smaller.join.waiting, smaller.join.tally.outcomes["expired"]) == ([1, 1], 3)


def test_a_damaged_piece_costs_its_own_ids(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, database = restored(None), open_database(tmp_path)
    for at, letter in enumerate("abc"):
        one.join.take(at_once(letter, [0], at))
        with database.transaction() as connection:
            write_labels(connection, "s", one)
        one.keep()
    with database.transaction() as connection:
        connection.execute("UPDATE label SET data = x'00' WHERE seq = 2")
    with caplog.at_level(logging.ERROR):
        found = restored(read_labels(database, "s"))
    database.close()
    pairs = found.join.take(at_once("abc", [1, 1, 1]))
    assert pairs.predictions[:, 0].tolist() == [0, 2]
    assert "entry 2 of its labels is damaged" in caplog.text


def test_small_pieces_are_put_together_and_a_damaged_one_stays_alone(tmp_path: Path) -> None:
    """And none of those put together is larger than a commit should be."""
    one, database, pieces = restored(None, entries=100_000), open_database(tmp_path), 40
    for at in range(pieces):
        zeros, ids = np.zeros(1000, dtype=np.int64), digests([f"{at} {number}" for number in range(1000)])
        one.join.take(Records(ids, zeros.astype(np.uint8), zeros, zeros, np.full((1000, 2), float(at))))
        with database.transaction() as connection:
            write_labels(connection, "s", one)
        one.keep()
    with database.transaction() as connection:
        connection.execute("UPDATE label SET crc = crc + 1 WHERE seq = 3")
    before = restored(read_labels(database, "s"), entries=100_000)
    with database.transaction() as connection:
        fold_labels(connection, "s", one)
    rows = database.rows("SELECT seq, length(data) FROM label")
    after = restored(read_labels(database, "s"), entries=100_000)
    database.close()
    assert len(rows) < 5
    assert 3 in {seq for seq, _ in rows}
    assert max(size for _, size in rows) < TOGETHER_BYTES + SMALL_BYTES
    assert before.join.waiting == after.join.waiting == [1000 * (pieces - 1), 0]


def test_a_damaged_head_loses_what_waits_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, database = restored(None), open_database(tmp_path)
    one.join.take(at_once("abc", [0, 0, 0]))
    with database.transaction() as connection:
        write_labels(connection, "s", one)
        connection.execute("UPDATE labels SET data = x'00'")
    with caplog.at_level(logging.ERROR):
        assert read_labels(database, "s") is None
    samples = {family.metric.name: family.samples for family in database.health.families()}
    database.close()
    assert "those that wait are lost" in caplog.text
    assert (("label",), 1.0) in samples["driftmon_state_damaged_rows_total"]
