"""A stream across warm-up, reload and restart: no row is lost, no count is guessed."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon.daemon.carry import carried
from driftmon.daemon.config import load
from driftmon.daemon.store import Store
from driftmon.daemon.streams import Saved, Stream, build_streams
from driftmon.monitor.panes import Window
from driftmon.monitor.references import reference_of
from driftmon.monitor.report import Report
from driftmon.monitor.snapshot import Snapshot
from driftmon.sources.base import Block
from driftmon.stats.edges import FeatureSpec
from tests.daemon.kit import FEATURES, RULE, ndjson, records, stream, write_config

MINUTE = 60_000


def made(folder: Path, *, rules: Sequence[Any] = (RULE,), **changes: Any) -> Stream:
    """A stream as the configuration of one would make it; its reference is counted from 2,000 records."""
    config = load(write_config(folder, {"s": stream(**changes)}, rules=list(rules)), {})
    settings = config.streams["s"]
    reference = counted(settings.features) if settings.reference.type == "file" else None
    return Stream(settings, config.rules, config.limits, reference)


@cache
def counted(features: tuple[FeatureSpec, ...]) -> Snapshot:
    rows = records(2000)
    return reference_of({spec.name: [row.get(spec.name) for row in rows] for spec in features}, features)


def block(rows: Sequence[Any], **changes: Any) -> Block:
    return Block("s", "http", "ndjson", ndjson(rows), **changes)


def counts(one: Stream) -> dict[str, int]:
    saved = one.saved()
    assert saved is not None
    schema = saved.snapshot.schema
    return dict(zip(schema.names, schema.totals(saved.snapshot.counts.astype(float)).tolist(), strict=True))


def saved_of(one: Stream) -> Saved:
    saved = one.saved()
    assert saved is not None
    return saved


def test_a_warm_up_ends_in_the_middle_of_a_block_and_the_rest_is_live(tmp_path: Path) -> None:
    one = made(tmp_path, reference={"type": "warmup", "observations": 100})
    assert one.saved() is None
    first = one.observe(block(records(60)), 0)
    second = one.observe(block([*records(90, seed=1), 7]), 0)
    assert (first.accepted, second.accepted, dict(second.rejected)) == (60, 90, {"not_object": 1})
    assert one.reference is not None
    assert one.reference.schema.totals(one.reference.counts.astype(float)).tolist() == [100] * 3
    assert counts(one) == {"x": 50, "c": 50, "ok": 50}


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_a_position_is_kept_with_the_counts_of_its_block(tmp_path: Path, form: Any) -> None:
    one = made(tmp_path)
    data = ndjson(records(3)) if form == "ndjson" else b"x,c,ok\n1,a,true\n2,b,0\n,,\n"
    one.observe(Block("s", "file", form, data, {"offset": 77}, origin="file:/a"), 0)
    assert dict(saved_of(one).positions) == {"file:/a": {"offset": 77}}
    assert counts(one)["x"] == 3


def test_a_restart_goes_on_with_counts_alerts_and_positions(tmp_path: Path) -> None:
    one = made(tmp_path)
    one.observe(block(records(1000, shift=2.0), position={"offset": 1}, origin="o"), MINUTE)
    before = one.tick(MINUTE)
    two = made(tmp_path)
    two.restore(saved_of(one))
    after = two.tick(MINUTE)
    assert [alert.feature for alert in after.alerts] == ["x"]
    assert after.alerts[0].since_ms == before.alerts[0].since_ms
    assert after.changes == ()  # what goes on firing is no news
    np.testing.assert_array_equal(before.values, after.values)
    assert two.positions == one.positions
    assert saved_of(two).snapshot.to_bytes() == saved_of(one).snapshot.to_bytes()


def test_a_gathered_reference_outlives_the_process_unless_the_features_changed(tmp_path: Path) -> None:
    warm: dict[str, Any] = {"reference": {"type": "warmup", "observations": 50}}
    one = made(tmp_path, **warm)
    one.observe(block(records(80)), 0)
    same = made(tmp_path, **warm)
    same.restore(saved_of(one))
    assert counts(same) == {"x": 30, "c": 30, "ok": 30}
    other = made(tmp_path, **warm, features={"x": {"type": "numeric"}})
    other.restore(saved_of(one))
    assert other.saved() is None


def test_a_reload_that_changes_nothing_of_a_stream_keeps_all_of_it(tmp_path: Path) -> None:
    one = made(tmp_path)
    one.observe(block(records(1000, shift=2.0)), MINUTE)
    before = one.tick(MINUTE)
    two = made(tmp_path, sources=[{"type": "stdin"}])
    two.succeed(one)
    after = two.tick(MINUTE)
    assert after.alerts == before.alerts
    assert after.lifetime is not None
    assert before.lifetime is not None
    assert after.lifetime.last_observation_ms.tolist() == before.lifetime.last_observation_ms.tolist()


def test_a_reload_keeps_the_counts_of_features_that_stay_and_only_those(tmp_path: Path) -> None:
    one = made(tmp_path)
    one.observe(block(records(1000, shift=2.0)), MINUTE)
    one.tick(MINUTE)
    changed = {**FEATURES, "ok": {"type": "numeric", "edges": [0.5]}, "new": {"type": "boolean"}}
    two = made(tmp_path, features=changed)
    two.succeed(one)
    assert counts(two) == {"x": 1000, "c": 1000, "ok": 0, "new": 0}
    assert [(alert.feature, alert.state.name) for alert in two.tick(MINUTE).alerts] == [("x", "FIRING")]


def test_a_reload_of_the_rules_keeps_the_windows_and_drops_the_alerts_of_rules_that_are_gone(tmp_path: Path) -> None:
    one = made(tmp_path)
    one.observe(block(records(1000, shift=2.0)), MINUTE)
    before = one.tick(MINUTE)
    two = made(tmp_path, rules=[{**RULE, "name": "Other", "above": 50}])
    two.succeed(one)
    after = two.tick(MINUTE)
    assert after.alerts == ()
    np.testing.assert_array_equal(before.values, after.values)


def test_a_warm_up_under_way_goes_on_through_a_reload(tmp_path: Path) -> None:
    warm: dict[str, Any] = {"reference": {"type": "warmup", "observations": 100}}
    one = made(tmp_path, **warm)
    one.observe(block(records(60)), 0)
    two = made(tmp_path, rules=[], **warm)
    two.succeed(one)
    two.observe(block(records(50)), 0)
    assert counts(two)["x"] == 10


WINDOWS = (Window.sliding("a", 3_600_000), Window.decayed("b", 6 * 3_600_000))
amounts = st.dictionaries(st.integers(0, 50), st.integers(0, 99), max_size=5)


def snapshot(rings: dict[int, int], opened: dict[int, int], windows: tuple[Window, ...] = WINDOWS) -> Snapshot:
    schema = reference_of({"x": [1.0, 2.0, 3.0], "c": ["a", "b", "a"]}).schema

    def flat(value: int) -> Any:
        return np.full(schema.width, value, dtype=np.int64)

    return Snapshot(
        schema,
        flat(sum(rings.values()) + sum(opened.values())),
        {window: {pane: flat(n) for pane, n in rings.items()} for window in windows},
        {pane: flat(n) for pane, n in opened.items()},
        watermark_ms=5,
        invalid={("x", "text"): 3, ("c", "nested"): 4},
    )


@given(amounts, amounts)
def test_carried_into_the_same_schema_and_windows_nothing_changes(
    rings: dict[int, int], opened: dict[int, int]
) -> None:
    old = snapshot(rings, opened)
    assert carried(old, snapshot({}, {})).to_bytes() == old.to_bytes()


@given(amounts, amounts)
def test_open_panes_of_other_windows_lose_no_count(rings: dict[int, int], opened: dict[int, int]) -> None:
    old = snapshot(rings, opened)
    longer = (Window.sliding("long", 7 * 3_600_000),)
    found = carried(old, snapshot({}, {}, longer))
    assert sum(int(counts.sum()) for counts in found.open_panes.values()) == sum(opened.values()) * old.schema.width
    assert found.rings == {longer[0]: {}}


def test_what_changed_is_not_carried_not_even_its_reasons() -> None:
    old = snapshot({1: 5}, {2: 6})
    other = reference_of({"x": [10.0, 20.0, 30.0], "c": ["a", "b", "a"]}).schema
    found = carried(old, replace(snapshot({}, {}), schema=other))
    assert other.totals(found.counts.astype(float)).tolist() == [0, 11 * old.schema.sizes[1]]
    assert found.invalid == {("c", "nested"): 4}


EVIDENCE = {"name": "E", "calibrated": {"effect": "medium", "false_alarms": "1/30d"}, "per": "stream"}
BY_TIME: dict[str, Any] = {"time": {"field": "at", "unit": "ms"}, "windows": [{"name": "fast", "length": "1h"}]}


def minutes(one: Stream, first: int, last: int, shift: float = 0.0) -> Report:
    """Fifty records a minute; the last report."""
    for minute in range(first, last):
        rows = records(50, shift=shift, seed=minute)
        one.observe(block([{**row, "at": minute * MINUTE + 7} for row in rows]), minute * MINUTE)
        report = one.tick(minute * MINUTE)
    return report


@pytest.mark.parametrize("at", [70, 76, 110, 125])
def test_evidence_goes_on_through_a_restart_as_if_there_had_been_none(tmp_path: Path, at: int) -> None:
    """Before the drift, while it is not yet told, while it fires, and after it has cleared and its panes are spent."""

    def go(one: Stream, first: int, last: int) -> Report:
        for start, end, shift in ((0, 72, 0.0), (72, 90, 1.5), (90, 160, 0.0)):
            if max(first, start) < min(last, end):
                report = minutes(one, max(first, start), min(last, end), shift)
        return report

    steady, broken = (made(tmp_path, rules=[EVIDENCE], **BY_TIME) for _ in range(2))
    go(broken, 0, at)
    restarted = made(tmp_path, rules=[EVIDENCE], **BY_TIME)
    store = Store(tmp_path / "state")
    store.checkpoint({"s": broken}, {}, 0)
    loaded = store.load("s")
    store.close()
    assert loaded is not None
    restarted.restore(loaded)
    go(steady, 0, at)
    for minute in range(at, 160):
        one, other = go(steady, minute, minute + 1), go(restarted, minute, minute + 1)
        np.testing.assert_array_equal(one.evidence_log10, other.evidence_log10)
        assert [(a.key, a.state, a.since_ms, a.features) for a in one.alerts] == [
            (a.key, a.state, a.since_ms, a.features) for a in other.alerts
        ]
        assert repr(one.changes) == repr(other.changes)  # a NaN that was on a disk equals none
    assert saved_of(steady).spent == saved_of(restarted).spent
    assert saved_of(steady).spent["E"]["x"] > 0, "the drift was told and cleared"


def test_a_feature_that_changed_begins_its_evidence_anew(tmp_path: Path) -> None:
    one = made(tmp_path, rules=[EVIDENCE], **BY_TIME)
    minutes(one, 0, 20)
    changed = {"new": {"type": "numeric", "field": "x"}, **FEATURES, "ok": {"type": "numeric", "edges": [0.5]}}
    two = made(tmp_path, rules=[EVIDENCE], **BY_TIME, features=changed)
    two.succeed(one)
    spent = saved_of(two).spent["E"]
    assert spent["new"] == spent["ok"] == 18
    assert spent["x"] == spent["c"] < 0


def test_another_evidence_pane_begins_all_evidence_anew(tmp_path: Path) -> None:
    one = made(tmp_path, rules=[EVIDENCE], **BY_TIME)
    minutes(one, 0, 20)
    longer = {**EVIDENCE, "calibrated": {"effect": "medium", "false_alarms": "1/30d", "pane": "5m"}}
    two = made(tmp_path, rules=[longer], **BY_TIME)
    two.succeed(one)
    assert max(saved_of(two).spent["E"].values()) < 0
    minutes(two, 20, 40)


def test_all_streams_share_one_budget(tmp_path: Path) -> None:
    path = write_config(tmp_path, {"s": stream(**BY_TIME), "t": stream(**BY_TIME)}, rules=[EVIDENCE])
    config = load(path, {})
    reference = made(tmp_path).reference
    assert reference is not None
    streams = build_streams(config, {"s": reference, "t": reference})
    for one in streams.values():
        assert one.monitor is not None
        assert [found.family for found in one.monitor._assessment.calibrations.values()] == [6]


def test_the_quiet_time_counts_from_the_first_record_and_outlives_a_restart(tmp_path: Path) -> None:
    later = {**EVIDENCE, "notify_after": "1h"}
    one, two = (made(tmp_path, rules=[later], **BY_TIME) for _ in range(2))
    minutes(one, 10, 20)
    two.restore(saved_of(one))
    (alert,) = minutes(two, 20, 40, shift=1.5).alerts
    assert (alert.state.name, alert.notify_from_ms) == ("FIRING", 10 * MINUTE + 7 + 60 * MINUTE)
