"""Sealing: rows whose cells are not those that were written: left out, counted, named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from driftmon.daemon.news import News, Progress
from driftmon.daemon.opening import open_database
from driftmon.daemon.store import Store
from driftmon.daemon.streams import Saved
from driftmon.daemon.tables import VERSION
from driftmon.sources.base import Block
from tests.daemon.kit import ndjson, records
from tests.daemon.state_kit import by_hand
from tests.daemon.test_outbox import FIRED
from tests.daemon.test_streams import made

COUNTER = ("s", "records", ("file",))


def leave(folder: Path) -> Path:
    """A state with a row in every sealed table."""
    one, store = made(folder), Store(folder / "state")
    settled = one.observe(Block("s", "file", "ndjson", ndjson(records(5)), {"offset": 9}, origin="file:/a"), 0)
    news = News({1: FIRED, 2: FIRED}, Progress(0, {("hook", "x"): {"refused": True}}))
    store.checkpoint({"s": one}, {("s", "k"): settled}, 0, {COUNTER: 7}, news, fold=True)
    store.close()
    return folder / "state"


def damaged_rows(store: Store) -> dict[str, Any]:
    samples = {one.metric.name: dict(one.samples) for one in store.health.families()}
    return {table: rows for (table,), rows in samples["driftmon_state_damaged_rows_total"].items() if rows}


def test_a_flipped_bit_in_a_row_costs_the_row_and_is_counted(tmp_path: Path) -> None:
    folder = leave(tmp_path)
    for change in (
        "UPDATE counter SET value = 71",
        "UPDATE change SET data = CAST(replace(data, 'firing', 'fjring') AS BLOB) WHERE number = 2",
        "UPDATE owed SET data = CAST('{\"refused\": false}' AS BLOB)",
        "UPDATE seen SET outcome = CAST(replace(outcome, '5', '4') AS BLOB)",
        "UPDATE stream SET head = CAST(replace(head, 'null', '7777') AS BLOB)",
    ):
        by_hand(folder / "state.db", change)
    store = Store(folder)
    owing = store.owing()
    assert (store.counters(), store.seen(), store.load("s")) == ({}, {}, None)
    assert (owing.taken, owing.owed, len(owing.changes)) == (0, {}, 1)
    assert damaged_rows(store) == {"counter": 1, "change": 1, "owed": 1, "seen": 1, "stream": 1}
    store.close()


def test_a_transition_after_a_damaged_one_keeps_its_place(tmp_path: Path) -> None:
    folder = leave(tmp_path)
    by_hand(folder / "state.db", "UPDATE change SET crc = crc + 1 WHERE number = 1")
    store = Store(folder)
    owing = store.owing()
    assert (owing.taken, len(owing.changes)) == (1, 1), "the next number is 3"
    store.close()


def test_an_alert_that_is_damaged_begins_anew(tmp_path: Path) -> None:
    store = Store(leave(tmp_path))
    row = "INSERT INTO alert VALUES ('s', 'x', CAST('{}' AS BLOB), 1)"
    with store._database.transaction() as connection:
        connection.execute(row)
    saved = store.load("s")
    assert isinstance(saved, Saved)
    assert saved.alerts == ()
    assert damaged_rows(store) == {"alert": 1}
    store.close()


def test_a_damaged_position_is_damage_of_the_whole_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Read again from the start its records would count twice."""
    folder = leave(tmp_path)
    by_hand(folder / "state.db", "UPDATE offset SET position = '{\"offset\": 1}'")
    store = Store(folder)
    assert store.health.recovery is not None
    assert "the position of file:/a of stream s in it is damaged" in caplog.text
    store.close()


def test_an_entry_of_the_journal_under_a_damaged_name_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = leave(tmp_path)
    by_hand(folder / "state.db", "INSERT INTO journal (stream, crc, delta) VALUES ('r', 0, x'00')")
    store = Store(folder)
    assert damaged_rows(store) == {"journal": 1}
    assert "entry 1 of the journal is of no stream ('r')" in caplog.text
    store.close()


def test_a_version_that_a_flipped_bit_made_newer_is_damage_and_stops_no_start(tmp_path: Path) -> None:
    folder = leave(tmp_path)
    by_hand(folder / "state.db", f"UPDATE meta SET value = {VERSION + 1} WHERE key = 'schema_version'")
    database = open_database(folder)
    assert database.health.recovery is not None
    assert database.health.recovery.reason == f"it says two versions, {VERSION + 1} and {VERSION}"
    database.close()


def test_an_empty_file_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "state.db").touch()
    open_database(tmp_path).close()
    assert "state.db is empty" in caplog.text
