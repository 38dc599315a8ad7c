"""state.db: what is committed is found again as it was; it has one owner; damage never stops a start twice."""

import json
import math
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftmon.daemon.deltas import Sum, between
from driftmon.daemon.gathering import Gathering
from driftmon.daemon.repeats import KEEP_S
from driftmon.daemon.store import DiskFull, StorageError, Store
from driftmon.daemon.streams import Saved, Stream
from driftmon.daemon.tables import VERSION
from driftmon.monitor.batch import LineError
from driftmon.monitor.clocks import Clocks
from driftmon.monitor.references import reference_of
from driftmon.monitor.rules import Alert, Calibrated, Rule, State, TopBin, Verdict
from driftmon.sources.base import Block, Position, Settled
from tests.daemon.kit import ndjson, records
from tests.daemon.test_streams import made

MINUTE = 60_000
RULE = Rule("R", "kl_divergence", 0.1, labels={"severity": "info"})
ALERT = Alert(
    RULE,
    "s",
    "x",
    "w",
    State.FIRING,
    5,
    4,
    Verdict.BREACH,
    3,
    value=0.25,
    top_bins=(TopBin("x", "[1, 2)", 0.1, 0.2, 0.3),),
)

HELD = replace(
    ALERT,
    rule=replace(RULE, calibrated=Calibrated(0.02, 5, None), per="stream", notify_after_ms=9),
    feature="",
    noise_floor=0.1,
    reference_value=0.3,
    lower_bound=0.2,
    evidence_log10=300.0,
    once_in_ms=math.inf,
    drift_since_ms=1,
    features=("x", "c"),
    notify_from_ms=11,
)


def saved(rows: int = 3) -> Saved:
    reference = reference_of({"x": list(range(rows)), "c": ["ä", "\ud800", "c"][:rows]})
    spent = {"R": {"x": -5, "c": 7}}
    live = replace(reference, dispersion={}, provenance={})  # a monitor's counts have none
    clocks = Clocks(
        np.array([5, 6]), np.array([70, 80]), np.array([9, 10]), np.array([0.5, 1 / 3]), live.counts, 11, 12
    )
    return Saved(live, (ALERT, HELD), {"file:/a": {"offset": 7, "head": "ff"}}, reference, spent, clocks)


class Standing:
    """Stands where a monitor is."""

    def __init__(self, state: Saved) -> None:
        self.clocks, self.held_alerts = state.clocks, state.alerts
        self.spent_panes = {rule: [*panes.values()] for rule, panes in state.spent.items()}
        self.event_time = False
        self.flags = SimpleNamespace(watches={})
        self.snapshot = lambda: state.snapshot


class Holding:
    """Stands where a stream is."""

    kept, delayed = True, None

    def __init__(self, state: Saved) -> None:
        self.state, self.gathering = state, Gathering()
        self.monitor: Any = Standing(state)

    @property
    def positions(self) -> dict[str, Position]:
        return dict(self.state.positions)

    def saved(self) -> Saved:
        return self.state


def keep(store: Store, state: Saved, name: str = "s") -> None:
    streams: Any = {name: Holding(state)}
    store.checkpoint(streams, {}, 0)


def test_what_was_saved_is_found(tmp_path: Path) -> None:
    store, state = Store(tmp_path / "state"), saved()
    assert store.load("s") is None
    keep(store, state)
    store.close()
    found = Store(tmp_path / "state").load("s")
    assert isinstance(found, Saved)
    assert found.snapshot.to_bytes() == state.snapshot.to_bytes()
    assert found.reference is not None
    assert state.reference is not None
    assert found.reference.to_bytes() == state.reference.to_bytes()
    assert found.positions == state.positions
    assert found.spent == state.spent
    assert repr(found.clocks) == repr(state.clocks)
    held, alert = found.alerts
    assert held == HELD
    assert math.isnan(alert.noise_floor)
    assert (alert.key, alert.state, alert.since_ms, alert.value, alert.top_bins) == (
        ALERT.key, State.FIRING, 5, 0.25, ALERT.top_bins,
    )  # fmt: skip


STEPS = st.lists(st.sampled_from(["count", "two", "tick", "commit", "checkpoint", "reload"]), max_size=25)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_shape_panes_and_journal_are_the_counts_whatever_came_between(steps: list[str]) -> None:
    """Against a stream that never stopped; both tick at the end, for a restart may close a pane later."""
    with TemporaryDirectory() as folder:
        store, one, at_ms = Store(Path(folder) / "state"), made(Path(folder)), 0
        for number, step in enumerate([*steps, "commit"]):
            at_ms += MINUTE // 4
            if step in ("count", "two"):
                for seed in range(1 + (step == "two")):
                    rows = [*records(5, seed=number + 100 * seed), {"x": "text"}]
                    position = {"offset": number}
                    one.observe(Block("s", "file", "ndjson", ndjson(rows), position, origin="file:/a"), at_ms)
            elif step == "tick":
                store.ticking({"s": one})
                one.tick(at_ms)
                store.closed_panes({"s": one})
            elif step == "commit":
                store.commit({"s": one}, {}, at_ms)
            elif step == "checkpoint":
                store.checkpoint({"s": one}, {}, at_ms)
            else:
                one = restored(store, Path(folder), one)
        other = restored(store, Path(folder), None)
        store.close()
        for stream in (one, other):
            stream.tick(at_ms)
        assert saved_bytes(one) == saved_bytes(other)
        assert one.positions == other.positions


def restored(store: Store, folder: Path, before: Stream | None) -> Stream:
    """Of the database, or as a reload does it."""
    after = made(folder)
    if before is not None:
        after.succeed(before)
    elif (found := store.load("s")) is not None:
        after.restore(found)
    return after


def saved_bytes(one: Stream) -> bytes:
    found = one.saved()
    assert isinstance(found, Saved)
    return found.snapshot.to_bytes()


def test_a_delta_is_what_was_added(tmp_path: Path) -> None:
    one = made(tmp_path)
    assert one.monitor is not None
    before = one.monitor.snapshot()
    one.observe(Block("s", "http", "ndjson", ndjson([*records(9), {"x": "text"}])), MINUTE)
    after = one.monitor.snapshot()
    counts = Sum(before)
    counts.add(between(before, after))
    assert counts.snapshot().to_bytes() == after.to_bytes()


def test_batch_ids_come_back_with_their_answers_for_fifteen_minutes(tmp_path: Path) -> None:
    store, keep_ms = Store(tmp_path), int(1000 * KEEP_S)
    told = Settled(3, {"malformed": 1}, 2, (LineError(1, "malformed", "not JSON: \ud800"),))
    store.commit({}, {("s", "a"): told}, 1000)
    store.commit({}, {("s", "b"): Settled(1)}, 2000)
    assert store.seen() == {("s", "a"): (1000, replace(told, errors=())), ("s", "b"): (2000, Settled(1))}
    store.checkpoint({}, {}, 1000 + keep_ms)
    assert list(store.seen()) == [("s", "b")]
    store.close()


def test_files_are_private(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    keep(store, saved(), "../x")
    files = sorted((tmp_path / "state").iterdir())
    assert [path.name for path in files] == ["state.db", "state.db-wal"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    store.close()


def test_two_daemons_do_not_share_a_folder(tmp_path: Path) -> None:
    first = Store(tmp_path)
    with pytest.raises(StorageError, match="another driftmon uses it") as refused:
        Store(tmp_path)
    assert refused.value.exit_code == 75
    first.close()
    Store(tmp_path).close()


def test_a_folder_that_cannot_be_made_exits_73(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as refused:
        Store(tmp_path / "file" / "state")
    assert refused.value.exit_code == 73


def test_a_newer_state_is_refused_and_left_alone(tmp_path: Path) -> None:
    Store(tmp_path).close()
    change(tmp_path, f"UPDATE meta SET value = {VERSION + 1} WHERE key = 'schema_version'")
    change(tmp_path, f"PRAGMA user_version = {VERSION + 1}")
    for _ in range(2):
        with pytest.raises(StorageError, match="written by a newer driftmon") as refused:
            Store(tmp_path)
        assert refused.value.exit_code == 73


def change(folder: Path, statement: str) -> None:
    """By hand, while no daemon runs."""
    connection = sqlite3.connect(folder / "state.db")
    with connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize("at", [0, 100, 4096])
def test_a_damaged_database_is_put_aside_and_the_next_start_is_empty(
    tmp_path: Path, at: int, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    keep(store, saved())
    store.close()
    damage = bytearray((tmp_path / "state.db").read_bytes())
    damage[at : at + 3000] = b"x" * 3000
    (tmp_path / "state.db").write_bytes(damage)
    store = Store(tmp_path)
    assert store.load("s") is None
    assert "every stream starts empty" in caplog.text
    (aside,) = tmp_path.glob("state.db.corrupt-*")
    assert aside.read_bytes() == damage
    store.close()


def test_a_pane_whose_checksum_is_wrong_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = made(tmp_path)
    store = Store(tmp_path / "state")
    for minute in (1, 2):
        one.observe(Block("s", "http", "ndjson", ndjson(records(10))), minute * MINUTE)
        one.tick(minute * MINUTE)
    store.checkpoint({"s": one}, {}, 0)
    store.close()
    change(tmp_path / "state", "UPDATE pane SET crc = crc + 1 WHERE ring = 'window fast' AND pane = 1")
    found = Store(tmp_path / "state").load("s")
    assert isinstance(found, Saved)
    (panes,) = found.snapshot.rings.values()
    assert list(panes) == [2]
    assert "pane 1 of window fast is damaged" in caplog.text


def test_a_full_disk_changes_nothing_and_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keep(store, saved(2))
    fill(store)
    with pytest.raises(DiskFull):
        store.commit({}, {("s", str(number)): Settled(1) for number in range(1000)}, 1)
    found = store.load("s")
    assert isinstance(found, Saved)
    assert found.snapshot.to_bytes() == saved(2).snapshot.to_bytes()
    assert store.seen() == {}
    store.close()


def fill(store: Store) -> None:
    """The database may not grow any more, as on a full disk: SQLITE_FULL."""
    connection = store._database.connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count={pages}")


def test_a_fault_of_the_disk_exits_74(tmp_path: Path) -> None:
    class Broken:
        in_transaction = False

        def execute(self, *_: object) -> None:
            raise sqlite3.OperationalError("disk I/O error")

    store = Store(tmp_path)
    whole: Any = store._database.connection
    broken: Any = Broken()
    store._database.connection = broken
    with pytest.raises(StorageError, match="disk I/O error") as refused:
        store.commit({}, {}, 0)
    assert refused.value.exit_code == 74
    whole.close()


def test_state_of_an_older_driftmon_is_read_once(tmp_path: Path) -> None:
    state = saved()
    (tmp_path / "s.state.json").write_text(json.dumps(old_tree(state)))
    store = Store(tmp_path)
    found = store.load("s")
    assert isinstance(found, Saved)
    assert found.snapshot.to_bytes() == state.snapshot.to_bytes()
    assert (found.alerts[1], found.positions, found.spent) == (HELD, state.positions, state.spent)
    assert (tmp_path / "s.state.json").exists(), "it stays until the database has it"
    keep(store, replace(found, clocks=state.clocks))
    store.close()
    assert not (tmp_path / "s.state.json").exists()
    again = Store(tmp_path).load("s")
    assert isinstance(again, Saved)
    assert again.snapshot.to_bytes() == state.snapshot.to_bytes()


def old_tree(state: Saved) -> dict[str, Any]:
    """As the version before wrote it."""
    text = state.snapshot.to_bytes().decode("utf-8", "surrogatepass")
    return {
        "format": "driftmon.state",
        "version": 1,
        "snapshot": text,
        "reference": text,
        "alerts": msgspec.to_builtins(state.alerts),
        "spent": state.spent,
        "positions": state.positions,
    }


def test_a_state_of_an_older_driftmon_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / "s.state.json").mkdir()  # stands for a disk that fails
    with pytest.raises(StorageError, match="check the disk and the permissions") as refused:
        store.load("s")
    assert refused.value.exit_code == 74
    store.close()


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"format": "driftmon.state", "version": 2}', b'{"format": "driftmon.state", "version": 1}'],
)
def test_a_damaged_state_of_an_older_driftmon_is_put_aside(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    (tmp_path / "s.state.json").write_bytes(damage)
    assert store.load("s") is None
    assert "stream s starts empty" in caplog.text
    assert (tmp_path / "s.state.corrupt").read_bytes() == damage
    assert store.load("s") is None
    store.close()
