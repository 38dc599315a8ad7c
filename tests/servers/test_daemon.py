"""The whole way with real servers: records over HTTP -> `driftmon run` -> Prometheus, and Alertmanager -> webhook."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driftmon.monitor.references import reference_of
from driftmon.render.catalogue import CATALOGUE, LOSS, Selection
from tests.servers.helpers import Inbox, free_port, get, get_json, prometheus, query, require, running, until

CONFIG = """
version: 1
streams:
  payments:
    sources: [{{type: http}}]
    reference: {{type: file, path: payments.reference.json}}
    features: {{amount: {{type: numeric}}, country: {{type: categorical}}}}
    windows: [{{name: fast, length: 6s}}]
    tick: 200ms
rules:
  - name: DriftmonFeatureDrift
    metric: kl_divergence_debiased
    above: 0.1
    min_observations: 100
  - name: DriftmonDrift
    calibrated: {{effect: 9, false_alarms: "1/30d", pane: 1s}}
    per: stream
sinks:
  - {{type: alertmanager, endpoint: "{alertmanager}"}}
external_labels: {{pod: test-0}}
"""
DRAW = np.random.default_rng(11)
COLUMNS: dict[str, Any] = {
    "amount": DRAW.lognormal(size=1000).tolist(),
    "country": DRAW.choice(["DE", "FR", "PL"], 1000).tolist(),
}


@dataclass
class Daemon:
    """Where it listens."""

    web: str
    api: str

    def send(self, shift: float) -> None:
        """A thousand records like the reference's, amounts shifted."""
        rows = zip(COLUMNS["amount"], COLUMNS["country"], strict=True)
        body = "\n".join(json.dumps({"amount": amount + shift, "country": country}) for amount, country in rows)
        request = urllib.request.Request(f"http://{self.api}/api/v1/ingest/payments", body.encode())
        with urllib.request.urlopen(request, timeout=10) as reply:
            assert json.load(reply)["accepted"] == 1000


@pytest.fixture
def daemon(tmp_path: Path, alertmanager_url: str) -> Iterator[Daemon]:
    """`driftmon run` as a process of its own."""
    (tmp_path / "payments.reference.json").write_bytes(reference_of(COLUMNS).to_bytes())
    (tmp_path / "driftmon.yaml").write_text(CONFIG.format(alertmanager=alertmanager_url))
    web, api = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    arguments = [sys.executable, "-m", "driftmon", "run", f"--config.file={tmp_path / 'driftmon.yaml'}"]
    arguments += [f"--web.listen-address={web}", f"--api.listen-address={api}"]
    with running(arguments, f"http://{web}/-/ready", tmp_path / "driftmon.log"):
        yield Daemon(web, api)


def test_drift_is_scraped_and_told_and_resolved(daemon: Daemon, inbox: Inbox, tmp_path: Path) -> None:
    with prometheus(daemon.web, tmp_path) as url:
        daemon.send(shift=3.0)
        (alert,) = inbox.next("firing")["alerts"]
        fires = 'driftmon_alert_state{stream="payments", feature="amount", rule="DriftmonFeatureDrift"} == 2'
        until("the alert's state in Prometheus", lambda: query(url, fires))
        daemon.send(shift=0.0)  # the window holds six seconds: the drift slides out of it, good data stay
        until("the drift to leave the window", lambda: _resolved(daemon, inbox))
        resolved = inbox.next("resolved")["alerts"][0]
        sent = query(url, 'driftmon_alert_notifications_failed_total{sink="alertmanager"}')
    assert alert["labels"] == {
        "alertname": "DriftmonFeatureDrift",
        "stream": "payments",
        "feature": "amount",
        "window": "fast",
        "severity": "warning",
        "pod": "test-0",
    }
    assert resolved["fingerprint"] == alert["fingerprint"]
    assert sent[0]["value"][1] == "0"


def _resolved(daemon: Daemon, inbox: Inbox) -> bool:
    """Without live data a verdict is unknown and nothing resolves, so good data keep coming."""
    daemon.send(shift=0.0)
    return any(body["status"] == "resolved" for body in inbox.bodies)


def test_promtool_finds_no_fault_in_the_daemons_own_page(daemon: Daemon) -> None:
    daemon.send(shift=3.0)
    page = _page_with_data(daemon)
    checked = subprocess.run([require("promtool"), "check", "metrics"], input=page, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_the_report_and_the_metrics_say_the_same(daemon: Daemon) -> None:
    daemon.send(shift=1.0)
    page = _page_with_data(daemon).decode()
    report = get_json(f"http://{daemon.api}/api/v1/report")["streams"]["payments"]["features"]["amount"]
    value = report["windows"]["fast"]["kl_divergence_nats"]["q_p"]
    labels = 'stream="payments",feature="amount",window="fast",direction="q_p"'
    assert f"driftmon_kl_divergence_nats{{{labels}}} {value!r}\n" in page


def test_the_page_has_the_core_of_the_catalogue_and_nothing_else(daemon: Daemon) -> None:
    daemon.send(shift=0.0)
    page = _page_with_data(daemon).decode()
    exported = [line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")]
    without_samples = {
        "driftmon_reference_timestamp_seconds",  # this reference's data have no times
        "driftmon_ingest_records_rejected_total",  # nothing was rejected
        "driftmon_source_lag_records",  # nothing is read that could lag
        "driftmon_source_lag_bytes",
        "driftmon_ingest_sampled_out_records_total",  # nothing may be thinned
        "driftmon_sampling_ratio",
        "driftmon_state_recovered",  # no --storage.path
        "driftmon_state_lost_seconds",
        "driftmon_state_generation_timestamp_seconds",
        "driftmon_state_damaged_rows_total",
        "driftmon_web_config_last_reload_successful",  # no --web.config.file
    }
    core = [metric.name for metric in CATALOGUE if Selection().takes(metric)]
    losses = {metric.name for metric in CATALOGUE if metric.only == LOSS}  # no feature is a log_loss
    waiting = {"driftmon_labels_total", "driftmon_labels_waiting", "driftmon_label_age_seconds"}  # no labels come later
    assert exported == [name for name in core if name not in without_samples | losses | waiting]


def _page_with_data(daemon: Daemon) -> bytes:
    def page() -> bytes:
        text = get(f"http://{daemon.web}/metrics")
        return text if b"driftmon_kl_divergence_nats{" in text and b"driftmon_evidence_log10{" in text else b""

    found: bytes = until("a report with data and evidence", page)
    return found
