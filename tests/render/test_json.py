"""The JSON report: the shape of the public contract, and nothing JSON cannot hold."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest

from driftmon.monitor.report import Report
from driftmon.monitor.report_dict import report_dict
from driftmon.render.json import alerts_json, feature_json, report_json, to_bytes


def test_the_shape_of_the_contract(drifted: Report) -> None:
    report = report_json({"flights": drifted})
    assert report["time_ms"] == drifted.now_ms
    delay = report["streams"]["flights"]["features"]["delay"]
    assert delay["status"] == "drift"
    window = delay["windows"]["fast"]
    assert window["observations"] == 300
    assert isinstance(window["observations"], int)
    assert set(window["kl_divergence_nats"]) == set(window["cross_entropy_nats"]) == {"q_p", "p_q"}
    assert set(window["entropy_nats"]) == {"reference", "live"}
    assert set(window["bins"][0]) == {"label", "reference", "live", "p", "q", "contribution_nats"}
    alert = next(one for one in report["alerts"] if one["feature"] == "delay" and one["window"] == "fast")
    assert (alert["rule"], alert["state"], alert["stream"]) == ("Drift", "firing", "flights")
    assert alert["value"] == window["kl_divergence_debiased_nats"]


def test_contributions_sum_to_the_divergence(drifted: Report) -> None:
    window = report_json({"flights": drifted})["streams"]["flights"]["features"]["carrier"]["windows"]["slow"]
    total = math.fsum(one["contribution_nats"] for one in window["bins"])
    assert total == pytest.approx(window["kl_divergence_nats"]["q_p"], abs=1e-12)


def test_nothing_live_leaves_only_the_reference(empty: Report) -> None:
    window = report_json({"idle": empty})["streams"]["idle"]["features"]["delay"]["windows"]["fast"]
    assert set(window) == {"observations", "effective_observations", "entropy_nats", "bins"}
    assert set(window["entropy_nats"]) == {"reference"}
    assert set(window["bins"][0]) == {"label", "reference", "live", "p"}


def test_a_warming_stream_says_how_far_it_is(warming: Report) -> None:
    stream = report_json({"young": warming})["streams"]["young"]
    assert stream["warmup"] == {"observations": 0, "needed": 1000}
    assert stream["features"]["delay"] == {"status": "warming_up"}


def test_one_stream_alone_has_the_same_shape(drifted: Report) -> None:
    assert report_dict(drifted) == report_json({"flights": drifted})


def test_without_streams_there_is_no_time() -> None:
    assert report_json({}) == {"streams": {}, "alerts": []}


def test_every_number_is_finite_and_the_bytes_repeat(reports: Mapping[str, Report]) -> None:
    data = to_bytes(report_json(reports))
    assert data == to_bytes(report_json(reports))
    assert data.isascii()
    assert all(math.isfinite(number) for number in numbers_in(json.loads(data)))


def test_one_feature_with_its_alerts(drifted: Report) -> None:
    one: dict[str, Any] = feature_json(drifted, "carrier")
    assert one["windows"] == report_json({"flights": drifted})["streams"]["flights"]["features"]["carrier"]["windows"]
    assert {alert["feature"] for alert in one["alerts"]} == {"carrier"}
    with pytest.raises(KeyError):
        feature_json(drifted, "nobody")


def test_evidence_and_dispersion_stand_beside_the_windows(judged: Report, drifted: Report) -> None:
    delay = report_json({"flights": judged})["streams"]["flights"]["features"]["delay"]
    assert delay["evidence_log10"] > 6
    assert delay["overdispersion_ratio"] == judged.overdispersion[0] >= 1
    assert "evidence_log10" not in report_json({"flights": drifted})["streams"]["flights"]["features"]["delay"]


def test_an_alert_by_evidence_says_how_much_and_since_when(judged: Report) -> None:
    alerts = {alert["rule"]: alert for alert in alerts_json({"flights": judged})["alerts"]}
    one, together = alerts["Evidence"], alerts["Together"]
    assert one["feature"] == "delay"
    assert abs(one["drift_since_ms"] - 60 * 60_000) <= 2 * 60_000
    assert 0 < one["lower_bound"] < one["value"]
    assert one["evidence_log10"] > 6
    assert one["threshold"] == 0.02
    assert "notify_from_ms" not in one
    assert (together["features"], together["notify_from_ms"]) == (["delay"], 3_600_000)
    assert "feature" not in together
    assert {alert["rule"] for alert in feature_json(judged, "delay")["alerts"]} == {"Evidence", "Together"}
    assert feature_json(judged, "carrier")["alerts"] == []


def test_alerts_alone(drifted: Report) -> None:
    assert alerts_json({"flights": drifted}) == {"alerts": report_json({"flights": drifted})["alerts"]}


def numbers_in(value: object) -> list[float]:
    if isinstance(value, Mapping):
        return [number for one in value.values() for number in numbers_in(one)]
    if isinstance(value, list):
        return [number for one in value for number in numbers_in(one)]
    return [value] if isinstance(value, int | float) else []
