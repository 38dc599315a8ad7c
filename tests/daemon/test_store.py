"""The state folder: what is saved is found again as it was; it has one owner; damage never stops a start twice."""

import json
import math
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from driftmon.daemon.store import StorageError, Store
from driftmon.daemon.streams import Saved
from driftmon.monitor.references import reference_of
from driftmon.monitor.rules import Alert, Calibrated, Rule, State, TopBin, Verdict

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
    return Saved(reference, (ALERT, HELD), {"file:/a": {"offset": 7, "head": "ff"}}, reference, spent)


def test_what_was_saved_is_found(tmp_path: Path) -> None:
    store, state = Store(tmp_path / "state"), saved()
    assert store.load("s") is None
    store.save("s", state)
    found = store.load("s")
    assert found is not None
    assert found.snapshot.to_bytes() == state.snapshot.to_bytes()
    assert found.reference is not None
    assert found.reference.to_bytes() == state.snapshot.to_bytes()
    assert found.positions == state.positions
    assert found.spent == state.spent
    alert, held = found.alerts
    assert held == HELD
    assert math.isnan(alert.noise_floor)
    assert (alert.key, alert.state, alert.since_ms, alert.value, alert.top_bins) == (
        ALERT.key, State.FIRING, 5, 0.25, ALERT.top_bins,
    )  # fmt: skip
    store.close()


def test_files_are_private_and_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    store.save("../x", saved())
    (path,) = (tmp_path / "state").glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert sorted(one.name for one in tmp_path.iterdir()) == ["state"]
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


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"format": "driftmon.state", "version": 2}', b'{"format": "driftmon.state", "version": 1}'],
)
def test_a_damaged_state_is_put_aside_and_the_stream_starts_empty(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path)
    (tmp_path / "s.state.json").write_bytes(damage)
    assert store.load("s") is None
    assert "stream s starts empty" in caplog.text
    assert (tmp_path / "s.state.corrupt").read_bytes() == damage
    assert store.load("s") is None
    store.close()


def test_a_flipped_count_is_noticed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save("s", saved())
    path = tmp_path / "s.state.json"
    tree = json.loads(path.read_bytes())
    tree["snapshot"] = tree["snapshot"].replace('"counts": [1', '"counts": [2', 1)
    path.write_text(json.dumps(tree))
    assert store.load("s") is None
    store.close()


def test_a_write_that_fails_leaves_the_old_state_and_exits_74(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.save("s", saved(2))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device") as refused:
        store.save("s", saved(3))
    assert refused.value.exit_code == 74
    found = store.load("s")
    assert found is not None
    assert found.snapshot.to_bytes() == saved(2).snapshot.to_bytes()
    store.close()
