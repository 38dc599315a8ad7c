"""The transition table, on a simulated clock: three hours in milliseconds of test time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftmon import Monitor, Rule, Window, reference_of
from driftmon.monitor.judgement import verdicts_of
from driftmon.monitor.report import Status
from driftmon.monitor.rules import TRANSITIONS, Alert, State, Verdict, deadline_ms, step

MINUTE = 60_000
RULE = Rule("R", "kl_divergence", 0.1, {"direction": "q_p"}, pending_for_ms=2 * MINUTE, keep_firing_for_ms=3 * MINUTE)


def run(rule: Rule, verdicts: Sequence[Verdict]) -> list[State]:
    """The states after one verdict a minute."""
    alert, states = Alert(rule, "s", "f", "w"), []
    for minute, verdict in enumerate(verdicts):
        alert = step(alert, verdict, minute * MINUTE)
        states.append(alert.state)
    return states


U, C, B, X = Verdict.UNKNOWN, Verdict.CLEAR, Verdict.BETWEEN, Verdict.BREACH
Q, P, F = State.INACTIVE, State.PENDING, State.FIRING


@pytest.mark.parametrize(
    ("verdicts", "states"),
    [
        ([X, X, X, X], [P, P, F, F]),  # `for` 2m
        ([X, C, X, X, X], [P, Q, P, P, F]),  # the clock starts again
        ([X, B, X], [P, Q, P]),  # between is not a breach
        ([X, U, X, X], [P, P, F, F]),  # unknown stops nothing: the breach began at minute 0
        ([X, X, X, C, C, C, C], [P, P, F, F, F, F, Q]),  # `keep_firing_for` 3m
        ([X, X, X, C, C, B, C, C, C, C], [P, P, F, F, F, F, F, F, F, Q]),  # the band starts that clock again
        ([X, X, X, U, U, U, U, U], [P, P, F, F, F, F, F, F]),  # unknown never resolves
        ([U, U, C, B], [Q, Q, Q, Q]),  # nor does it fire, nor does the band
    ],
)
def test_life_of_an_alert(verdicts: list[Verdict], states: list[State]) -> None:
    assert run(RULE, verdicts) == states


def test_without_waits_one_look_fires_and_one_resolves() -> None:
    assert run(replace(RULE, pending_for_ms=0, keep_firing_for_ms=0), [X, B, C]) == [F, F, Q]


def test_unknown_is_nowhere_in_the_table() -> None:
    assert all(verdict is not U for _, verdict in TRANSITIONS)
    assert len(TRANSITIONS) == 5


@given(st.lists(st.sampled_from(list(Verdict)), max_size=30))
def test_an_alert_changes_state_no_earlier_than_its_deadline(verdicts: list[Verdict]) -> None:
    alert = Alert(RULE, "s", "f", "w")
    for minute, verdict in enumerate(verdicts):
        alert = step(alert, verdict, minute * MINUTE)
    due = deadline_ms(alert)
    if due is not None:
        assert step(alert, alert.verdict, due - 1).state is alert.state
        assert step(alert, alert.verdict, due).state is not alert.state


@given(
    st.lists(st.floats(-1, 1) | st.just(float("nan")), min_size=1, max_size=9),
    st.floats(-1, 1),
    st.none() | st.floats(-1, 1),
    st.integers(0, 20),
)
def test_verdicts_as_an_array_are_the_verdicts_one_by_one(
    values: list[float], above: float, resolve_below: float | None, observations: int
) -> None:
    rule = Rule(
        "R",
        "psi",
        above,
        resolve_below=min(above, resolve_below) if resolve_below is not None else None,
        min_observations=10,
    )
    found = verdicts_of(rule, np.array(values), np.full(len(values), float(observations)))
    assert found.tolist() == [rule.verdict(value, observations) for value in values]


def test_three_simulated_hours_with_drift_from_minute_90_to_140() -> None:
    """A window of five minutes, `for` 2m, `keep_firing_for` 3m; the same code as runs live."""
    rule = replace(RULE, min_observations=50)
    monitor = Monitor(reference_of({"x": [0.0, 1.0] * 500}), (Window.sliding("w", 5 * MINUTE),), (rule,))
    changes = []
    for minute in range(180):
        drifted = 90 <= minute < 140
        monitor.observe_columns({"x": [1.0] * 100 if drifted else [0.0, 1.0] * 50}, time_ms=minute * MINUTE)
        changes += [(c.event, c.at_ms // MINUTE) for c in monitor.tick(minute * MINUTE).changes]
    events = dict(changes)
    assert [event for event, _ in changes] == ["pending", "firing", "resolved"]
    assert events["firing"] == events["pending"] + 2
    assert 90 <= events["pending"] <= 94
    assert 140 < events["resolved"] <= 148


def test_ratio_rules_compare_the_live_share_with_the_references() -> None:
    """A field that is 40 % empty by nature breaks nothing when 42 % are empty."""
    rule = Rule("Missing", "missing_ratio", 0.05, min_observations=10)
    reference = reference_of({"x": [1.0, 2.0, 3.0, None, None] * 100})
    for share, fires in ((42, False), (50, True)):
        monitor = Monitor(reference, (Window.everything(),), (rule,))
        monitor.observe_columns({"x": [None] * share + [1.0] * (100 - share)})
        assert bool(monitor.tick(0).alerts) is fires


def test_globs_choose_streams_features_and_windows() -> None:
    rule = replace(RULE, streams="flights*", features="dep_*", window="fast")
    assert rule.watches("flights-eu", "dep_delay", "fast")
    assert not rule.watches("flights", "arr_delay", "fast")
    assert not rule.watches("trains", "dep_delay", "fast")
    assert not rule.watches("flights", "dep_delay", "slow")


def test_status_precedence_stale_before_drift_before_insufficient_data() -> None:
    rule = Rule("R", "psi", 0.1, min_observations=10)
    monitor = Monitor(reference_of({"x": [0.0, 1.0] * 500}), (Window.everything(),), (rule,), stale_after_ms=1000)
    assert monitor.tick(0).statuses["x"] is Status.INSUFFICIENT_DATA
    monitor.observe_columns({"x": [0.0, 1.0] * 250}, time_ms=10)
    assert monitor.tick(10).statuses["x"] is Status.OK
    monitor.observe_columns({"x": [1.0] * 1000}, time_ms=20)
    assert monitor.tick(20).statuses["x"] is Status.DRIFT
    assert monitor.tick(1021).statuses["x"] is Status.STALE


def test_alerts_survive_a_restart_with_their_clocks() -> None:
    rule = replace(RULE, min_observations=1)
    reference = reference_of({"x": [0.0, 1.0] * 50})
    first = Monitor(reference, (Window.sliding("w", 60 * MINUTE),), (rule,))
    first.observe_columns({"x": [1.0] * 50}, time_ms=0)
    first.tick(0)
    second = Monitor(reference, (Window.sliding("w", 60 * MINUTE),), (rule,))
    second.merge(first.snapshot())
    second.restore_alerts(first.alerts)
    report = second.tick(2 * MINUTE)
    assert [(change.event, change.alert.active_ms) for change in report.changes] == [("firing", 0)]


def test_drift_and_evaluated_seconds_are_a_burn_rate_pair() -> None:
    rule = Rule("R", "psi", 0.1, min_observations=10)
    monitor = Monitor(reference_of({"x": [0.0, 1.0] * 50}), (Window.sliding("w", 60 * MINUTE),), (rule,))
    for minute in range(10):
        monitor.observe_columns({"x": [1.0] * 50 if minute >= 5 else [0.0, 1.0] * 25}, time_ms=minute * MINUTE)
        report = monitor.tick(minute * MINUTE)
    assert report.evaluated_seconds.tolist() == [9 * 60]
    assert 60 <= report.drift_seconds[0] < 9 * 60
