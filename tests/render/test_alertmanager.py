"""Notices: an identity that does not move, sentences that say what happened, JSON that Alertmanager takes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from driftmon.monitor.report import Report
from driftmon.monitor.rules import Alert, Calibrated, Change, Rule, State, TopBin
from driftmon.render.alert_words import annotations_of, iso
from driftmon.render.alertmanager import bad_label_name, firing, notice_of, v2_alert, webhook_body
from driftmon.render.notice import Notice

RULE = Rule("DriftmonFeatureDrift", "kl_divergence_debiased", 0.1, labels={"severity": "warning", "team": "ops"})
ALERT = Alert(
    RULE,
    "flights",
    "dep_delay",
    "slow",
    State.FIRING,
    since_ms=1_360_000_300_000,
    active_ms=1_360_000_000_000,
    value=0.0281,
    noise_floor=0.0084,
    top_bins=(TopBin("carrier", "UA", 0.12, 0.04, -0.044),),
)
RESOLVED = Change("resolved", replace(ALERT, state=State.INACTIVE, value=0.01), 1_360_001_000_000)


def test_labels_are_those_of_the_contract_and_none_moves() -> None:
    notice = firing(ALERT, {"pod": "a"})
    assert notice is not None
    assert notice.labels == {
        "alertname": "DriftmonFeatureDrift",
        "stream": "flights",
        "feature": "dep_delay",
        "window": "slow",
        "severity": "warning",
        "team": "ops",
        "pod": "a",
    }
    later = firing(replace(ALERT, value=0.5, since_ms=1_360_000_900_000, top_bins=()), {"pod": "a"})
    assert later is not None
    assert later.fingerprint == notice.fingerprint
    assert later.starts_ms == notice.starts_ms


def test_replicas_differ_by_their_external_labels() -> None:
    one, other = firing(ALERT, {"pod": "a"}), firing(ALERT, {"pod": "b"})
    assert one is not None
    assert other is not None
    assert one.fingerprint != other.fingerprint


def test_no_label_of_a_rule_can_pretend_to_be_another_alert() -> None:
    rule = replace(RULE, labels={"alertname": "Other", "feature": "none"})
    notice = firing(replace(ALERT, rule=rule), {"stream": "elsewhere"})
    assert notice is not None
    assert (notice.labels["alertname"], notice.labels["feature"]) == ("DriftmonFeatureDrift", "dep_delay")
    assert notice.labels["stream"] == "flights"


def test_severity_is_a_warning_where_the_rule_names_none() -> None:
    notice = firing(replace(ALERT, rule=replace(RULE, labels={})), {})
    assert notice is not None
    assert notice.labels["severity"] == "warning"


def test_annotations_say_it_in_words() -> None:
    assert annotations_of(ALERT) == {
        "summary": "dep_delay of flights: kl_divergence_debiased is above 0.1.",
        "description": (
            "kl_divergence_debiased of dep_delay (stream flights, window slow) is 0.0281, the rule's threshold 0.1; "
            "noise alone stays below 0.0084. Since 2013-02-04T17:46:40.000Z. "
            "Largest contributions: carrier=UA 12 % -> 4 % (-0.044 nats)."
        ),
        "value": "0.0281",
        "noise_floor": "0.0084",
        "since": "2013-02-04T17:46:40.000Z",
        "top_bins": "carrier=UA 12 % -> 4 % (-0.044 nats)",
    }


def test_the_noise_floor_of_kl_is_not_shown_beside_a_ratio() -> None:
    rule = replace(RULE, metric="missing_ratio", annotations={"runbook_url": "https://example.com/r"})
    annotations = annotations_of(replace(ALERT, rule=rule))
    assert "noise_floor" not in annotations
    assert annotations["description"].startswith("missing_ratio, live less reference, of dep_delay")
    assert annotations["runbook_url"] == "https://example.com/r"


def test_pending_is_nobodys_business() -> None:
    pending = replace(ALERT, state=State.PENDING)
    assert notice_of(Change("pending", pending, 0), {}) is None
    assert firing(pending, {}) is None


def test_firing_and_resolved_are_one_alert() -> None:
    fired, resolved = notice_of(Change("firing", ALERT, ALERT.since_ms), {}), notice_of(RESOLVED, {})
    assert fired is not None
    assert resolved is not None
    assert fired.fingerprint == resolved.fingerprint
    assert (fired.status, fired.ends_ms) == ("firing", None)
    assert (resolved.status, resolved.ends_ms) == ("resolved", 1_360_001_000_000)
    assert fired.starts_ms == resolved.starts_ms == ALERT.active_ms


def test_the_link_survives_any_name() -> None:
    notice = firing(replace(ALERT, feature="a/b ü?"), {}, "https://drift.example/x/")
    assert notice is not None
    assert notice.generator_url == "https://drift.example/x/features/flights/a%2Fb%20%C3%BC%3F"


@pytest.mark.parametrize(
    ("ends_ms", "now_ms", "ends"),
    [
        (None, 1_360_000_300_000, "2013-02-04T17:55:40.000Z"),  # four resends ahead
        (1_360_001_000_000, 1_360_002_000_000, "2013-02-04T18:03:20.000Z"),
        (1_360_001_000_000, 1_360_000_500_000, "2013-02-04T17:55:00.000Z"),  # event time is ahead: not in the future
        (1_360_001_000_000, 1_000, "2013-02-04T17:46:40.000Z"),  # nor before the start
    ],
)
def test_when_alertmanager_may_forget_it(ends_ms: int | None, now_ms: int, ends: str) -> None:
    status = "firing" if ends_ms is None else "resolved"
    notice = Notice(status, {"alertname": "A"}, {}, ALERT.active_ms, ends_ms)  # type: ignore[arg-type]
    assert v2_alert(notice, now_ms)["endsAt"] == ends


def test_the_webhook_body_has_every_key_of_alertmanagers() -> None:
    fired, resolved = notice_of(Change("firing", ALERT, ALERT.since_ms), {}), notice_of(RESOLVED, {"pod": "b"})
    assert fired is not None
    assert resolved is not None
    body = webhook_body([fired, resolved])
    assert set(body) == {
        "version", "groupKey", "status", "receiver", "groupLabels", "commonLabels", "commonAnnotations",
        "externalURL", "truncatedAlerts", "alerts",
    }  # fmt: skip
    assert set(body["alerts"][0]) == {
        "status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint",
    }  # fmt: skip
    assert (body["status"], body["alerts"][0]["endsAt"]) == ("firing", "0001-01-01T00:00:00Z")
    assert "pod" not in body["commonLabels"]
    assert body["commonLabels"]["team"] == "ops"
    assert webhook_body([resolved])["status"] == "resolved"


def test_label_names_that_alertmanager_refuses_are_known_before() -> None:
    assert bad_label_name(Notice("firing", {"alertname": "A", "my-label": "x"})) == "my-label"
    assert bad_label_name(Notice("firing", {"alertname": "A", "_x1": "y"})) is None


def test_times_are_utc_with_milliseconds() -> None:
    assert [iso(0), iso(-1), iso(253_402_300_799_999)] == [
        "1970-01-01T00:00:00.000Z",
        "1969-12-31T23:59:59.999Z",
        "9999-12-31T23:59:59.999Z",
    ]


def test_the_alerts_of_a_report_become_notices(drifted: Report) -> None:
    notices = [notice_of(change, {}) for change in drifted.changes]
    fired = [notice for notice in notices if notice is not None]
    assert {notice.labels["feature"] for notice in fired} >= {"delay", "carrier"}
    assert all(notice.annotations["top_bins"].count("nats") == 3 for notice in fired)


MONTH = Calibrated(0.02, 30 * 86_400_000)
BY_EVIDENCE = replace(
    ALERT,
    rule=Rule("DriftmonDrift", "kl_divergence_debiased", 0.02, calibrated=MONTH),
    lower_bound=0.0214,
    evidence_log10=6.2,
    once_in_ms=214 * 86_400_000.0,
    drift_since_ms=1_359_990_000_000,
)
TOGETHER = replace(
    BY_EVIDENCE, feature="", features=("dep_delay", "carrier", "origin"), rule=replace(BY_EVIDENCE.rule, per="stream")
)


def test_an_alert_by_evidence_says_how_sure_and_since_when() -> None:
    assert annotations_of(BY_EVIDENCE) == {
        "summary": "dep_delay of flights has drifted.",
        "description": (
            "Since 2013-02-04T15:00:00.000Z the KL divergence of dep_delay (stream flights) from its reference is "
            "0.0281 nats, at least 0.0214 with 99 % confidence; noise alone stays below 0.0084 in window slow. "
            "A false alarm this strong happens at most once in 214 days. "
            "Largest contributions: carrier=UA 12 % -> 4 % (-0.044 nats)."
        ),
        "value": "0.0281",
        "noise_floor": "0.0084",
        "lower_bound": "0.0214",
        "evidence": "a false alarm this strong happens at most once in 214 days",
        "since": "2013-02-04T15:00:00.000Z",
        "top_bins": "carrier=UA 12 % -> 4 % (-0.044 nats)",
    }


@pytest.mark.parametrize(
    ("once_in_ms", "words"),
    [(math.inf, "centuries"), (1e300, "centuries"), (45 * 86_400_000.0, "45 days"), (math.nan, "")],
)
def test_evidence_is_told_in_time_and_not_beyond_centuries(once_in_ms: float, words: str) -> None:
    told = annotations_of(replace(BY_EVIDENCE, once_in_ms=once_in_ms)).get("evidence", "")
    assert told == (f"a false alarm this strong happens at most once in {words}" if words else "")


def test_a_bound_below_zero_excludes_nothing_and_is_not_boasted_of() -> None:
    assert "confidence" not in annotations_of(replace(BY_EVIDENCE, lower_bound=-0.001))["description"]


def test_an_alert_per_stream_names_its_features_in_words_and_not_in_labels() -> None:
    notice, other = firing(TOGETHER, {}, "http://d"), firing(replace(TOGETHER, features=("carrier",)), {}, "http://d")
    assert notice is not None
    assert other is not None
    assert "feature" not in notice.labels
    assert notice.fingerprint == other.fingerprint
    assert notice.annotations["summary"] == "flights has drifted: dep_delay, carrier, origin."
    assert notice.annotations["features"] == "dep_delay, carrier, origin"
    assert "the KL divergence of dep_delay (stream flights)" in notice.annotations["description"]
    assert "The next: carrier, origin." in notice.annotations["description"]
    assert notice.generator_url == "http://d/alerts"


def test_an_alert_per_stream_says_how_many_more_there_are() -> None:
    annotations = annotations_of(replace(TOGETHER, more_features=1015))
    assert annotations["summary"] == "flights has drifted: dep_delay, carrier, origin and 1,015 more."
    assert annotations["features"] == "dep_delay, carrier, origin and 1,015 more"
    assert "The next: carrier, origin and 1,015 more." in annotations["description"]


def test_a_threshold_per_stream_names_them_too() -> None:
    annotations = annotations_of(replace(TOGETHER, rule=replace(RULE, per="stream"), drift_since_ms=None))
    assert annotations["summary"] == "flights: kl_divergence_debiased is above 0.1 in dep_delay, carrier, origin."


@pytest.mark.parametrize("alert", [ALERT, BY_EVIDENCE, TOGETHER])
def test_what_is_over_does_not_read_as_if_it_went_on(alert: Alert) -> None:
    annotations = annotations_of(replace(alert, state=State.INACTIVE, once_in_ms=1.0, evidence_log10=-3.0))
    assert " is above " not in annotations["summary"]
    assert "has drifted" not in annotations["summary"]
    assert "no longer" in annotations["summary"]
    assert "evidence" not in annotations
    assert "at most once" not in annotations["description"]


def test_the_alert_of_the_engine_reads_whole(judged: Report) -> None:
    told = {alert.rule.name: annotations_of(alert) for alert in judged.alerts}
    assert told["Evidence"]["summary"] == "delay of flights has drifted."
    assert told["Together"]["summary"] == "flights has drifted: delay."
    assert told["Evidence"]["top_bins"].count("delay=") == 3
    assert "at most once in" in told["Together"]["evidence"]
