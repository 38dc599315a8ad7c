"""Calibrated rules on a mean, in the engine: evidence and effect, the words, the end, a restart, one budget."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from driftmon import Batch, Monitor, Rule, Snapshot, Window, check, reference_of
from driftmon.monitor.clearing import CLEAR_PANES
from driftmon.monitor.report import Report, Status
from driftmon.monitor.rules import Calibrated, Change
from driftmon.render.alert_words import annotations_of
from driftmon.render.replay_words import reasons
from driftmon.stats.binnings.log_loss import Outcome
from driftmon.stats.columns import Floats, column_of
from driftmon.stats.edges import FeatureSpec

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
FAST = Window.sliding("fast", 60 * MINUTE)
RULE = Rule("Risen", "mean_surprisal", 0.1, calibrated=Calibrated(0.1, 30 * DAY, mean="surprisal"))
DRIFT = Rule("Drift", "kl_divergence_debiased", 0.02, calibrated=Calibrated(0.02, 30 * DAY))
USUAL, SURPRISING = np.array([0.7, 0.2, 0.08, 0.02]), np.array([0.55, 0.2, 0.15, 0.1])
DULL = np.array([0.9, 0.1, 0.0, 0.0])  # as far away, but less of a surprise


def draw(rng: np.random.Generator, rows: int, law: Floats) -> list[str]:
    return [f"v{value}" for value in rng.choice(4, rows, p=law)]


def both(rng: np.random.Generator, rows: int, law: Floats) -> dict[str, list[str]]:
    return {"a": draw(rng, rows, law), "b": draw(rng, rows, USUAL)}


REFERENCE = reference_of(both(np.random.default_rng(1), 20_000, USUAL))


def monitor(*rules: Rule) -> Monitor:
    return Monitor(REFERENCE, (FAST,), rules or (RULE,), event_time=True)


def feed(one: Monitor, minutes: Iterable[int], rng: np.random.Generator, law: Floats = USUAL) -> list[Report]:
    reports = []
    for minute in minutes:
        columns = {name: column_of("categorical", values) for name, values in both(rng, 100, law).items()}
        one.observe_batch(Batch(100, columns, np.full(100, minute * MINUTE) + np.arange(100)), None)
        reports.append(one.tick(minute * MINUTE))
    return reports


def changes(reports: list[Report]) -> list[Change]:
    return [change for report in reports for change in report.changes]


def test_a_risen_mean_fires_says_by_how_much_and_clears_after_its_end() -> None:
    one, rng = monitor(), np.random.default_rng(2)
    assert not changes(feed(one, range(30), rng))
    told = changes(feed(one, range(30, 45), rng, SURPRISING))
    assert [(change.event, change.alert.feature) for change in told] == [("firing", "a")]
    alert = told[0].alert
    surprise = -np.log(USUAL)
    assert alert.value == pytest.approx((SURPRISING - USUAL) @ surprise, abs=0.15)
    assert alert.reference_value == pytest.approx(USUAL @ surprise, abs=0.02)
    assert 0 < alert.lower_bound < alert.value
    assert alert.drift_since_ms is not None
    assert abs(alert.drift_since_ms - 30 * MINUTE) <= 2 * MINUTE
    assert [bin_.label for bin_ in alert.top_bins][:2] == ["v3", "v2"]
    ended = changes(feed(one, range(45, 75), rng))
    assert [change.event for change in ended] == ["resolved"]
    assert ended[0].at_ms >= (45 + CLEAR_PANES) * MINUTE
    assert not changes(feed(one, range(75, 90), rng)), "what was cleared is no evidence any more"


def test_a_drift_that_surprises_less_is_none_of_its_business() -> None:
    one, rng = monitor(RULE, DRIFT), np.random.default_rng(3)
    told = changes(feed(one, range(15), rng, DULL))
    assert {change.alert.rule.name for change in told} == {"Drift"}


def test_the_exported_evidence_is_that_of_the_rule_on_the_divergence() -> None:
    one, rng = monitor(RULE, DRIFT), np.random.default_rng(3)
    alone = monitor(DRIFT)
    found, wanted = feed(one, range(4), rng), feed(alone, range(4), np.random.default_rng(3))
    assert found[-1].evidence_log10.tolist() == wanted[-1].evidence_log10.tolist()
    assert np.isnan(feed(monitor(), range(4), np.random.default_rng(3))[-1].evidence_log10).all()


def test_it_is_told_in_words() -> None:
    one, rng = monitor(), np.random.default_rng(4)
    alert = changes(feed(one, range(15), rng, SURPRISING))[0].alert
    alert = replace(alert, value=0.13, reference_value=2.18, lower_bound=0.09)
    said = "mean surprisal 2.31 nats, reference 2.18: risen by 0.13 (at least 0.09)"
    assert annotations_of(alert)["summary"] == f"a of data: {said}."
    assert f"of a (stream data): {said}, with 99 % confidence." in annotations_of(alert)["description"]
    assert "noise_floor" not in annotations_of(alert)
    assert next(reasons(alert)) == said
    over = replace(alert, state=type(alert.state)(0))
    assert annotations_of(over)["summary"] == (
        "a of data: mean surprisal is no longer 0.1 nats or more above the reference."
    )


def test_a_restart_in_mid_alarm_tells_nobody_twice_and_forgets_nothing() -> None:
    rule = replace(RULE, per="stream")
    whole, first = monitor(rule), monitor(rule)
    for one in (whole, first):
        feed(one, range(15), np.random.default_rng(7), SURPRISING)
    second = monitor(rule)
    second.merge(Snapshot.from_bytes(first.snapshot().to_bytes()))
    second.restore_alerts(first.held_alerts, first.spent_panes)
    wanted = changes(feed(whole, range(15, 45), np.random.default_rng(8)))
    assert changes(feed(second, range(15, 45), np.random.default_rng(8))) == wanted
    assert [change.event for change in wanted] == ["resolved"]


def test_a_rule_on_the_loss_watches_losses_only() -> None:
    rule = replace(RULE, calibrated=Calibrated(0.1, 30 * DAY, mean="log_loss"))
    one = monitor(rule)
    assert not changes(feed(one, range(15), np.random.default_rng(9), SURPRISING))
    assert set(one.tick(0).statuses.values()) == {Status.OK}


def test_too_small_a_reference_is_weak_and_too_few_rows_are_insufficient() -> None:
    rng = np.random.default_rng(10)
    small = Monitor(reference_of(both(rng, 400, USUAL)), (FAST,), (RULE,))
    assert set(small.tick(0).statuses.values()) == {Status.WEAK_REFERENCE}
    one = Monitor(REFERENCE, (FAST,), (RULE,))
    one.observe_columns(both(rng, 50, USUAL), time_ms=0)
    assert set(one.tick(0).statuses.values()) == {Status.INSUFFICIENT_DATA}
    one.observe_columns(both(rng, 3000, USUAL), time_ms=10)
    assert set(one.tick(10).statuses.values()) == {Status.OK}


def test_a_single_look_goes_by_the_bound() -> None:
    """`check` has no time to weigh evidence over."""
    rng = np.random.default_rng(11)
    found = {
        rows: [alert.feature for alert in check(REFERENCE, both(rng, rows, SURPRISING), (RULE,)).alerts]
        for rows in (50, 5000)
    }
    assert found == {50: [], 5000: ["a"]}
    assert check(REFERENCE, both(rng, 5000, USUAL), (RULE,)).alerts == ()


@pytest.mark.parametrize(("metric", "labels"), [("mean_surprisal", {}), ("cross_entropy", {"direction": "q_p"})])
def test_a_threshold_on_a_mean_blames_what_raises_it(metric: str, labels: dict[str, str]) -> None:
    """v0 has the second largest term of KL, for there are fewer of it: that raises no mean by itself."""
    rows = {"a": draw(np.random.default_rng(12), 5000, SURPRISING)}
    reference = reference_of({"a": draw(np.random.default_rng(1), 20_000, USUAL)})
    by_kl = Rule("Drift", "kl_divergence", 0.05, {"direction": "q_p"})
    (mean,), (drift,) = (check(reference, rows, (rule,)).alerts for rule in (Rule("High", metric, 1.0, labels), by_kl))
    assert [one.label for one in drift.top_bins] == ["v3", "v0", "v2"]
    assert [one.label for one in mean.top_bins][:2] == ["v3", "v2"]
    assert all(one.contribution_nats > 0 for one in mean.top_bins)
    assert "v0" not in annotations_of(mean)["top_bins"]


def test_a_threshold_on_the_loss_blames_the_losses_that_became_more() -> None:
    spec = FeatureSpec("loss", "log_loss", edges=(0.3, 0.7, 1.5), outcome=Outcome("y", "p"))
    reference = reference_of({"p": [0.9] * 900 + [0.1] * 100, "y": [1] * 1000}, [spec])
    live = {"p": [0.9] * 500 + [0.1] * 500 + [7.0] * 300, "y": [1] * 1300}  # what is invalid has no loss
    for metric in ("log_loss", "log_loss_lower_bound", "calibration_gap_lower_bound"):
        found = check(reference, live, (Rule("High", metric, 0.5),))
        (alert,) = found.alerts
        assert [(one.label, round(one.contribution_nats, 9)) for one in alert.top_bins] == [
            ("[1.5, inf)", 0.76)
        ]  # 0.4 x 1.9
