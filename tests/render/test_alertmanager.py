"""Notices: an identity that does not move, sentences that say what happened, JSON that Alertmanager takes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from driftmon.monitor.report import Report
from driftmon.monitor.rules import Alert, Change, Rule, State, TopBin
from driftmon.render.alertmanager import annotations_of, bad_label_name, firing, iso, notice_of, v2_alert, webhook_body
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
    assert notice.generator_url == "https://drift.example/x/api/v1/streams/flights/features/a%2Fb%20%C3%BC%3F"


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
