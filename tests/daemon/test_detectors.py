"""Rules that go by river's detectors, in the daemon: restart, reload, what is said of them, and no river without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from driftmon.cli.check_config import summary
from driftmon.daemon.budget import parts
from driftmon.daemon.config import load
from driftmon.daemon.redaction import redacted
from driftmon.daemon.store import Store
from driftmon.daemon.streams import Saved, Stream
from driftmon.monitor.flags import Place
from driftmon.render.alert_words import annotations_of
from tests.daemon.kit import stream, write_config
from tests.daemon.state_kit import by_hand
from tests.daemon.test_streams import block, made

MINUTE = 60_000
PLACE: Place = ("Changed", "x")
RULE = {
    "name": "Changed",
    "features": "x",
    "detector": {"river": "PageHinkley", "params": {"threshold": 50, "mode": "up"}, "hold": "30m"},
}


def rows(mean: float, seed: int, count: int = 100) -> list[dict[str, Any]]:
    return [{"x": value, "c": "a", "ok": True} for value in np.random.default_rng(seed).normal(mean, 1, count).tolist()]


def flags(one: Stream) -> list[tuple[int, float]]:
    assert one.monitor is not None
    return one.monitor.flags.watches[PLACE].flags


BLOCKS = [*(rows(0.0, seed) for seed in range(6)), *(rows(1.0, seed) for seed in range(6, 10))]


@pytest.fixture
def undisturbed(tmp_path: Path) -> list[tuple[int, float]]:
    """The flags of a stream that never stopped."""
    one = made(tmp_path, rules=[RULE])
    for at, sent in enumerate(BLOCKS):
        one.observe(block(sent), at)
    assert len(flags(one)) == 1
    assert flags(one)[0][0] >= 6
    return flags(one)


@pytest.mark.parametrize("last", ["T1", "T2"])
@pytest.mark.parametrize("stop", [3, 6])
def test_a_restart_after_any_commit_flags_at_the_same_row(
    tmp_path: Path, undisturbed: list[tuple[int, float]], stop: int, last: str
) -> None:
    """The values are counted, and lost, with the rows they came from."""
    store, one = Store(tmp_path / "state"), made(tmp_path, rules=[RULE])
    store.checkpoint({"s": one}, {}, 0)
    for at, sent in enumerate(BLOCKS[:stop]):
        one.observe(block(sent), at)
        if last == "T1":
            store.commit({"s": one}, {}, at)
        elif at == stop - 1:
            store.checkpoint({"s": one}, {}, at, fold=stop == 3)
    one.observe(block(rows(50.0, 99)), 50)  # not committed
    store.close()

    again, store = made(tmp_path, rules=[RULE]), Store(tmp_path / "state")
    saved = store.load("s", again.settings)
    assert saved is not None
    again.restore(saved)
    for at, sent in enumerate(BLOCKS[stop:], stop):
        again.observe(block(sent), at)
        store.commit({"s": again}, {}, at)
    store.close()
    assert flags(again) == undisturbed
    found = Store(tmp_path / "state").load("s")
    assert isinstance(found, Saved)
    assert found.watched[PLACE].flags == tuple(undisturbed)


def test_a_damaged_row_costs_what_came_before_it(tmp_path: Path) -> None:
    store, one = Store(tmp_path / "state"), made(tmp_path, rules=[RULE])
    store.checkpoint({"s": one}, {}, 0)
    for at, sent in enumerate(BLOCKS[:3]):
        one.observe(block(sent), at)
        store.commit({"s": one}, {}, at)
    store.close()
    by_hand(
        tmp_path / "state" / "state.db",
        "UPDATE watched SET crc = crc + 1 WHERE seq = (SELECT min(seq) + 1 FROM watched)",
    )
    store = Store(tmp_path / "state")
    found = store.load("s")
    assert isinstance(found, Saved)
    assert 100 <= len(found.watched[PLACE].values) <= 200
    store.close()


def test_a_commit_without_a_new_value_writes_no_row_of_them(tmp_path: Path) -> None:
    store, one = Store(tmp_path), made(tmp_path, rules=[RULE])
    store.checkpoint({"s": one}, {}, 0)
    one.observe(block(BLOCKS[0]), 0)
    counts = []
    for at in range(2):
        store.commit({"s": one}, {}, at)
        counts.append(len(store._database.rows("SELECT seq FROM watched")))
    store.close()
    assert counts == [2, 2]  # of the whole series, empty, and of the block


def test_a_reload_keeps_what_is_unchanged_and_only_that(tmp_path: Path, undisturbed: list[tuple[int, float]]) -> None:
    one = made(tmp_path, rules=[RULE])
    for at, sent in enumerate(BLOCKS[:6]):
        one.observe(block(sent), at)
    kept, changed = made(tmp_path, rules=[RULE], pseudocount=1.0), made(tmp_path, rules=[_other_rule()])
    changed.succeed(one)
    kept.succeed(one)
    assert changed.monitor is not None
    assert len(changed.monitor.flags.watches[PLACE].kept().values) == 0
    for at, sent in enumerate(BLOCKS[6:], 6):
        kept.observe(block(sent), at)
    assert flags(kept) == undisturbed


def _other_rule() -> dict[str, Any]:
    return {**RULE, "detector": {"river": "ADWIN"}}


def test_the_alert_says_who_flagged_what(tmp_path: Path) -> None:
    one = made(tmp_path, rules=[RULE])
    for sent in BLOCKS:
        one.observe(block(sent), 5 * MINUTE)
    report = one.tick(5 * MINUTE)
    (alert,) = report.alerts
    said = annotations_of(alert)
    assert said["summary"] == "x of s: PageHinkley flagged a change of value."
    assert said["description"].startswith(
        "PageHinkley flagged a change of the value of x (stream s) at 1970-01-01T00:05:00.000Z; before the flag it was "
    )
    assert "x=" in said["top_bins"]
    assert "threshold" not in report.as_dict()["alerts"][0]
    config = load(tmp_path / "driftmon.yaml", {})
    assert parts(config, {"s": report})["detectors"] == 2 * 2000 * 32


def test_check_config_says_what_it_costs_and_that_no_budget_covers_it(tmp_path: Path) -> None:
    config = load(write_config(tmp_path, {"s": stream()}, rules=[RULE]), {})
    (line,) = [line for line in summary(config, {}) if "rule Changed" in line]
    assert line == (
        "  rule Changed: PageHinkley of river, threshold 50, mode up, on the value of 1 feature; a flag holds for 30m; "
        "its false alarms are its own, in no budget; about 1.5 us a value, of one core"
    )
    shown = yaml.safe_load(redacted(config))["rules"][0]
    assert shown["detector"] == {**RULE["detector"], "of": "value", "memory": 2000}  # type: ignore[dict-item]


def test_surprisal_wants_a_reference_that_stays(tmp_path: Path) -> None:
    moving = stream(reference={"type": "trailing", "length": "60m", "lag": "60m"})
    rule = {"name": "R", "detector": {"river": "ADWIN", "of": "surprisal"}}
    with pytest.raises(ValueError, match=r"detector\.of: the reference of stream s moves"):
        load(write_config(tmp_path, {"s": moving}, rules=[rule]), {})


def test_river_is_imported_only_by_a_rule_that_names_it(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from driftmon.daemon import app, config\n"
        "for path in sys.argv[1:]: config.load(Path(path), {}); print('river' in sys.modules)"
    )
    paths = []
    for name, rule in (("without", {"name": "R", "metric": "psi", "above": 1}), ("with", RULE)):
        (tmp_path / name).mkdir()
        paths.append(str(write_config(tmp_path / name, {"s": stream()}, rules=[rule])))
    ran = subprocess.run([sys.executable, "-c", script, *paths], check=True, capture_output=True, text=True)
    assert ran.stdout.split() == ["False", "True"]
