"""Calibrated rules at work in the engine: evidence, effect, who is named, when it ends, what a restart keeps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from driftmon import Batch, Monitor, Rule, Snapshot, Window, reference_of
from driftmon.monitor import assessment
from driftmon.monitor.calibration import evidence_pane_ms
from driftmon.monitor.clearing import CLEAR_PANES
from driftmon.monitor.report import Report, Status
from driftmon.monitor.rules import Calibrated, Change
from driftmon.stats.columns import column_of

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
FAST = Window.sliding("fast", 60 * MINUTE)
RULE = Rule(
    "Drift", "kl_divergence_debiased", 0.02, calibrated=Calibrated(0.02, 30 * DAY), labels={"severity": "warning"}
)
NAMES = ("a", "b", "c")


def draw(rng: np.random.Generator, rows: int, **shifts: float) -> dict[str, np.ndarray]:
    return {name: rng.normal(shifts.get(name, 0.0), 1.0, rows) for name in NAMES}


REFERENCE = reference_of(draw(np.random.default_rng(1), 20_000))


def monitor(rule: Rule = RULE, family: int | None = None) -> Monitor:
    return Monitor(REFERENCE, (FAST,), (rule,), event_time=True, family=family)


def feed(one: Monitor, minutes: Iterable[int], rng: np.random.Generator, **shifts: float) -> list[Report]:
    """A hundred records a minute; a report after each."""
    reports = []
    for minute in minutes:
        columns = {name: column_of("numeric", values) for name, values in draw(rng, 100, **shifts).items()}
        times = np.full(100, minute * MINUTE) + np.arange(100)
        one.observe_batch(Batch(100, columns, times), None)
        reports.append(one.tick(minute * MINUTE))
    return reports


def changes(reports: list[Report]) -> list[Change]:
    return [change for report in reports for change in report.changes]


def test_a_drift_fires_names_its_feature_and_its_start_and_clears_after_its_end() -> None:
    one, rng = monitor(), np.random.default_rng(2)
    assert not changes(feed(one, range(60), rng))
    told = changes(feed(one, range(60, 120), rng, b=0.5))
    assert [(change.event, change.alert.feature) for change in told] == [("firing", "b")]
    alert = told[0].alert
    assert alert.drift_since_ms is not None
    assert abs(alert.drift_since_ms - 60 * MINUTE) <= 2 * MINUTE
    assert alert.value >= 0.02
    assert alert.lower_bound < alert.value
    assert alert.once_in_ms >= 30 * DAY
    assert alert.top_bins[0].feature == "b"
    ended = changes(feed(one, range(120, 200), rng))
    assert [change.event for change in ended] == ["resolved"]
    assert ended[0].at_ms >= (120 + CLEAR_PANES) * MINUTE
    assert not changes(feed(one, range(200, 300), rng)), "what was cleared is no evidence any more"


def test_an_effect_below_the_one_that_matters_may_be_significant_but_does_not_alarm() -> None:
    """A tenth of a standard deviation is 0.005 nats."""
    one = monitor()
    reports = feed(one, range(200), np.random.default_rng(3), c=0.1)
    assert not changes(reports)
    assert reports[-1].statuses["c"] in (Status.OK, Status.SIGNIFICANT)
    assert reports[-1].evidence_log10[2] > reports[-1].evidence_log10[:2].max()


def test_one_alert_per_stream_names_the_strongest_first() -> None:
    one = monitor(replace(RULE, per="stream"))
    rng = np.random.default_rng(4)
    told = changes(feed(one, range(60), rng) + feed(one, range(60, 120), rng, a=0.4, b=1.0))
    assert [(change.event, change.alert.feature) for change in told] == [("firing", "")]
    assert one.alerts[0].features == ("b", "a")
    assert one.alerts[0].top_bins[0].feature == "b"
    assert {alert.feature for alert in one.held_alerts} == {"", "a", "b"}
    ended = changes(feed(one, range(120, 260), rng))
    assert [change.event for change in ended] == ["resolved"]


def test_one_alert_per_stream_says_how_many_it_does_not_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assessment, "NAMED_FEATURES", 1)
    one = monitor(replace(RULE, per="stream"))
    report = feed(one, range(60), np.random.default_rng(4), a=0.4, b=1.0)[-1]
    assert (one.alerts[0].features, one.alerts[0].more_features) == (("b",), 1)
    assert report.as_dict()["alerts"][0]["more_features"] == 1


def test_a_larger_family_needs_more_evidence() -> None:
    seen = []
    for family in (3, 3_000_000):
        rng = np.random.default_rng(5)
        one = monitor(family=family)
        seen.append([change.at_ms for change in changes(feed(one, range(120), rng, a=0.35))])
    assert len(seen[0]) == len(seen[1]) == 1
    assert seen[0] < seen[1]


@pytest.mark.parametrize("per", ["feature", "stream"])
def test_a_restart_in_mid_alarm_tells_nobody_twice_and_forgets_nothing(per: str) -> None:
    rule = replace(RULE, per=per)  # type: ignore[arg-type]
    minutes, rng = range(100, 180), np.random.default_rng(6)
    whole, second = monitor(rule), monitor(rule)
    feed(whole, range(100), np.random.default_rng(7), a=0.6)
    second.merge(Snapshot.from_bytes(whole.snapshot().to_bytes()))
    second.restore_alerts(whole.held_alerts, whole.spent_panes)
    state = rng.bit_generator.state
    wanted = feed(whole, minutes, rng)
    rng.bit_generator.state = state
    found = feed(second, minutes, rng)
    assert changes(found) == changes(wanted)
    assert [change.event for change in changes(found)] == ["resolved"]
    assert found[-1].values.tobytes() == wanted[-1].values.tobytes()


def test_on_arrival_time_evidence_is_weighed_when_its_pane_has_passed() -> None:
    one = Monitor(REFERENCE, (FAST,), (RULE,))
    rng = np.random.default_rng(8)
    for second in range(0, 1800, 10):
        one.observe_columns(draw(rng, 20, a=1.0), time_ms=second * 1000)
        report = one.tick(second * 1000)
        if second < 60:
            assert np.isnan(report.evidence_log10).all()
    assert [alert.feature for alert in one.alerts] == ["a"]


def test_a_weak_reference_says_so() -> None:
    small = reference_of(draw(np.random.default_rng(9), 500))
    one = Monitor(small, (FAST,), (RULE,))
    assert set(one.tick(0).statuses.values()) == {Status.WEAK_REFERENCE}


def test_too_little_live_data_is_insufficient_for_the_effect() -> None:
    one = Monitor(REFERENCE, (FAST,), (RULE,))
    one.observe_columns(draw(np.random.default_rng(10), 100), time_ms=0)
    assert set(one.tick(0).statuses.values()) == {Status.INSUFFICIENT_DATA}
    one.observe_columns(draw(np.random.default_rng(11), 5_000), time_ms=10)
    assert set(one.tick(10).statuses.values()) == {Status.OK}


def test_who_is_told_later_is_written_on_the_alert() -> None:
    one = monitor(replace(RULE, notify_after_ms=DAY))
    feed(one, range(60), np.random.default_rng(12), a=1.0)
    assert one.alerts[0].notify_from_ms == DAY


def test_panes_of_evidence_are_multiples_of_the_finest() -> None:
    with pytest.raises(ValueError, match="no multiple of 60000 ms"):
        evidence_pane_ms(60_000, 90_000)
    other = replace(RULE, name="Other", calibrated=Calibrated(0.1, DAY, pane_ms=5 * MINUTE))
    with pytest.raises(ValueError, match="must share one pane"):
        Monitor(REFERENCE, (FAST,), (RULE, other))


def test_dispersion_of_the_reference_discounts_live_observations() -> None:
    rng = np.random.default_rng(13)
    sessions = np.repeat(rng.normal(size=2_000), 10)  # ten equal rows in a row
    reference = reference_of({"x": sessions})
    one = Monitor(reference, (FAST,), (RULE,))
    one.observe_columns({"x": rng.normal(size=1_000)}, time_ms=0)
    report = one.tick(0)
    assert 7 < report.overdispersion[0] < 13
    assert report.value(0, 0, "effective_observations") < 200
