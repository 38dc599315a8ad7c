"""One incident, one notification: a real Alertmanager with the shipped routes and inhibitions."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.helpers import Inbox, free_port, get_json, require, running, until

OF_FEATURES = {
    "DriftmonFeatureDrift",
    "DriftmonPodDrift",
    "DriftmonDriftBudgetBurn",
    "DriftmonSchemaBreak",
    "DriftmonStale",
}
EXAMPLE = Path(__file__).parents[2] / "deploy" / "alertmanager.yml"


@pytest.fixture
def url(tmp_path: Path, inbox: Inbox) -> Iterator[str]:
    """The example as it is, but for its receiver and for how long it waits for company."""
    text = EXAMPLE.read_text().replace("http://127.0.0.1:8080/alerts", inbox.url)
    assert "group_wait: 1m" in text
    (tmp_path / "alertmanager.yml").write_text(text.replace("group_wait: 1m", "group_wait: 1s"))
    address = f"127.0.0.1:{free_port()}"
    arguments = [require("prometheus-alertmanager"), f"--config.file={tmp_path / 'alertmanager.yml'}"]
    arguments += [f"--storage.path={tmp_path / 'data'}", f"--web.listen-address={address}"]
    with running([*arguments, "--cluster.listen-address="], f"http://{address}/-/ready", tmp_path / "log"):
        yield f"http://{address}"


def post(url: str, *names: str, features: int = 1, stream: str = "s") -> int:
    """Each alert for so many features; those that are about a whole stream just once."""
    alerts = []
    for name in names:
        of_stream = name not in OF_FEATURES
        for feature in range(1 if of_stream else features):
            labels = {"alertname": name, "job": "j", "stream": stream, "severity": "warning"}
            alerts.append({"labels": labels if of_stream else {**labels, "feature": f"f{feature}"}})
    body = json.dumps(alerts).encode()
    request = urllib.request.Request(f"{url}/api/v2/alerts", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as reply:
        assert reply.status == 200
    return len(alerts)


def suppressed(url: str) -> int:
    return sum(alert["status"]["state"] == "suppressed" for alert in get_json(f"{url}/api/v2/alerts"))


@pytest.mark.parametrize(
    ("cause", "effects"),
    [
        ("DriftmonStreamDrift", ["DriftmonFeatureDrift", "DriftmonPodDrift", "DriftmonDriftBudgetBurn"]),
        ("DriftmonIngestRejecting", ["DriftmonStreamDrift", "DriftmonFeatureDrift", "DriftmonDriftBudgetBurn"]),
        ("DriftmonNoData", ["DriftmonStale", "DriftmonIngestRejecting"]),
        ("DriftmonDown", ["DriftmonNoData", "DriftmonStale"]),
    ],
)
def test_an_incident_in_fifty_features_is_one_notification(
    url: str, inbox: Inbox, cause: str, effects: list[str]
) -> None:
    sent = post(url, cause, *effects, features=50)
    (body,) = [inbox.next("firing")]
    assert [alert["labels"]["alertname"] for alert in body["alerts"]] == [cause]
    assert body["groupLabels"] == {"job": "j", "stream": "s"}
    until("all but the cause to be held back", lambda: suppressed(url) == sent - 1)


def test_a_broken_schema_holds_back_what_is_said_of_its_own_feature_only(url: str, inbox: Inbox) -> None:
    """A feature that has been broken for long must not hide the drift of the others."""
    post(url, "DriftmonSchemaBreak", features=1)
    post(url, "DriftmonFeatureDrift", features=2)
    told = [(alert["labels"]["alertname"], alert["labels"]["feature"]) for alert in inbox.next("firing")["alerts"]]
    assert sorted(told) == [("DriftmonFeatureDrift", "f1"), ("DriftmonSchemaBreak", "f0")]


def test_another_streams_drift_is_an_incident_of_its_own(url: str, inbox: Inbox) -> None:
    post(url, "DriftmonIngestRejecting", stream="broken")
    post(url, "DriftmonStreamDrift", stream="drifting")
    until("two notifications", lambda: len(inbox.bodies) == 2)
    assert sorted(body["groupLabels"]["stream"] for body in inbox.bodies) == ["broken", "drifting"]
    assert suppressed(url) == 0
