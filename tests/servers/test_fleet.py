"""Four daemons, two references, a real Prometheus with the shipped rules: the merged values are those of all raw data.

The oracle counts the raw values by itself and computes with math.log and math.fsum; nothing of driftmon's statistics.
"""

from __future__ import annotations

import json
import math
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driftmon.monitor.references import reference_of
from driftmon.monitor.snapshot import Snapshot
from driftmon.stats.divergences import Pair
from driftmon.stats.noise import debiased, noise, raw_kl
from tests.servers.helpers import free_port, get_json, query, require, running, until

RULES = Path(__file__).parents[2] / "deploy" / "rules"
CONFIG = """
version: 1
streams:
  payments:
    reference: {type: file, path: reference.json}
    features: {amount: {type: numeric}, country: {type: categorical}}
    windows: [{name: fast, length: 1h}, {name: slow, length: 6h}]
    tick: 200ms
metrics: {bins: window}
"""
PODS = {"a": "one", "b": "one", "c": "one", "d": "two"}  # which reference each has
Record = Mapping[str, Any]


def records(draw: np.random.Generator, count: int, shift: float, countries: Sequence[str]) -> list[Record]:
    amounts = draw.normal(shift, 1.0, count).tolist()
    chosen = draw.choice(countries, count).tolist()
    rows: list[dict[str, Any]] = [{"amount": a, "country": c} for a, c in zip(amounts, chosen, strict=True)]
    for row in rows[::50]:
        row["amount"] = None
    return [*rows]


def traffic() -> dict[str, list[Record]]:
    """Pods differ in volume and in what they see; `fr` is never seen, so a bin is 0 in all of them."""
    draw = np.random.default_rng(4)
    return {
        "a": records(draw, 3000, 0.0, ["de", "pl"]),
        "b": records(draw, 500, 1.5, ["de", "xx"]),
        "c": records(draw, 40, -2.0, ["pl"]),
        "d": records(draw, 800, 0.3, ["de", "pl", "cz"]),
    }


@dataclass
class Fleet:
    url: str
    references: dict[str, Snapshot]
    api: dict[str, str]

    def value(self, name: str, pods: str, feature: str, **labels: str) -> float:
        matchers = {"reference": self.references[pods].identity, "feature": feature, "window": "fast", **labels}
        found = query(self.url, f"{name}{{{', '.join(f'{key}={json.dumps(text)}' for key, text in matchers.items())}}}")
        assert len(found) == 1, (name, matchers, found)
        return float(found[0]["value"][1])


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    require("prometheus")
    folder = tmp_path_factory.mktemp("fleet")
    draw = np.random.default_rng(3)
    references = {
        name: reference_of({"amount": draw.normal(0, 1, rows), "country": draw.choice(["de", "fr", "pl"], rows)})
        for name, rows in (("one", 5000), ("two", 2000))
    }
    api: dict[str, str] = {}
    with ExitStack() as stack:
        web = [_daemon(stack, folder / pod, references[PODS[pod]], api) for pod in PODS]
        yield Fleet(_prometheus(stack, folder, web), references, api)


def _daemon(stack: ExitStack, folder: Path, reference: Snapshot, api: dict[str, str]) -> str:
    folder.mkdir()
    (folder / "reference.json").write_bytes(reference.to_bytes())
    (folder / "driftmon.yaml").write_text(CONFIG)
    web, own = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    arguments = [sys.executable, "-m", "driftmon", "run", f"--config.file={folder / 'driftmon.yaml'}"]
    arguments += [f"--web.listen-address={web}", f"--api.listen-address={own}"]
    stack.enter_context(running(arguments, f"http://{web}/-/ready", folder / "log"))
    api[folder.name] = own
    for_pod = "\n".join(map(json.dumps, traffic()[folder.name]))
    request = urllib.request.Request(f"http://{own}/api/v1/ingest/payments", for_pod.encode())
    with urllib.request.urlopen(request, timeout=10) as reply:
        assert json.load(reply)["accepted"] == len(traffic()[folder.name])
    return web


def _prometheus(stack: ExitStack, folder: Path, targets: list[str]) -> str:
    address = f"127.0.0.1:{free_port()}"
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n"
        f"rule_files: ['{RULES}/*.yml']\n"
        f"scrape_configs: [{{job_name: payments, static_configs: [{{targets: {targets}}}]}}]\n"
    )
    arguments = [require("prometheus"), f"--config.file={folder / 'prometheus.yml'}"]
    arguments += [f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={address}"]
    stack.enter_context(running(arguments, f"http://{address}/-/ready", folder / "prometheus.log"))
    url = f"http://{address}"
    rows = sum(map(len, traffic().values()))
    merged = "sum(feature:driftmon_window_observations:merged{feature='country', window='fast'})"
    until("all records in the merged windows", lambda: _number(query(url, f"{merged} == {rows}")))
    # The rules of a group come one after the other: others may still have what they found before all was scraped.
    last = f"timestamp(feature:driftmon_kl_divergence_debiased_nats:merged{{feature='country'}}) > {time.time()}"
    until("the last rule of the group", lambda: len(query(url, last)) == 4)
    return url


def _number(found: list[dict[str, Any]]) -> float | None:
    return float(found[0]["value"][1]) if found else None


def shares(fleet: Fleet, pods: str, feature: str) -> tuple[list[float], list[float]]:
    """p and q by bin, smoothed by 0.5, from the raw records of the pods that share a reference."""
    tree = json.loads(fleet.references[pods].to_bytes())
    entry = next(one for one in tree["features"] if one["name"] == feature)
    rows = [row for pod, reference in PODS.items() if reference == pods for row in traffic()[pod]]
    seen = Counter(_label(entry, row[feature]) for row in rows)
    assert sum(seen.values()) == len(rows)
    assert set(seen) <= set(range(len(entry["labels"])))
    live = [seen[at] for at in range(len(entry["labels"]))]
    return _smoothed(entry["counts"]), _smoothed(live)


def _label(entry: dict[str, Any], value: Any) -> int:
    labels = entry["labels"]
    if value is None:
        return int(labels.index("missing"))
    if entry["type"] == "categorical":
        return int(labels.index(value if value in entry["categories"] else "unseen"))
    return sum(edge <= value for edge in entry["edges"])


def _smoothed(counts: list[int]) -> list[float]:
    return [(count + 0.5) / (sum(counts) + 0.5 * len(counts)) for count in counts]


def kl(p: list[float], q: list[float]) -> float:
    return math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def cross(p: list[float], q: list[float]) -> float:
    return -math.fsum(a * math.log(b) for a, b in zip(p, q, strict=True))


@pytest.mark.parametrize("feature", ["amount", "country"])
@pytest.mark.parametrize("pods", ["one", "two"])
def test_merged_values_are_those_of_all_raw_records(fleet: Fleet, pods: str, feature: str) -> None:
    p, q = shares(fleet, pods, feature)
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    truth = {
        ("kl_divergence_nats", "direction", "q_p"): kl(q, p),
        ("kl_divergence_nats", "direction", "p_q"): kl(p, q),
        ("cross_entropy_nats", "direction", "q_p"): cross(q, p),
        ("cross_entropy_nats", "direction", "p_q"): cross(p, q),
        ("entropy_nats", "distribution", "reference"): cross(p, p),
        ("entropy_nats", "distribution", "live"): cross(q, q),
        ("js_divergence_nats", "window", "fast"): (kl(p, middle) + kl(q, middle)) / 2,
        ("psi_nats", "window", "fast"): kl(p, q) + kl(q, p),
    }
    for (name, label, own), value in truth.items():
        merged = fleet.value(f"feature:driftmon_{name}:merged", pods, feature, **{label: own})
        assert merged == pytest.approx(value, rel=1e-12), (name, own)


@pytest.mark.parametrize("pods", ["one", "two"])
def test_the_merged_noise_is_near_the_daemons_own(fleet: Fleet, pods: str) -> None:
    """PromQL has a short table of the Poisson moments, Wilson and Hilferty's quantile, and one sample's formula:
    where the reference has few observations a bin the daemon's own floor is higher by some per cent."""
    reference = fleet.references[pods]
    total = Snapshot(reference.schema, np.zeros_like(reference.counts))
    for pod in (pod for pod, theirs in PODS.items() if theirs == pods):
        total = total.merge(
            Snapshot.from_bytes(json_bytes(get_json(f"http://{fleet.api[pod]}/api/v1/streams/payments/snapshot")))
        )
    pair = Pair(reference.schema, reference.counts.astype(float), total.counts.astype(float), 0.5)
    expected, measured, raw = noise(pair), debiased(pair, noise(pair)), raw_kl(pair)
    for at, feature in enumerate(reference.schema.names):
        for name, value, tolerance in (
            ("kl_divergence_unsmoothed_nats", raw[at], 1e-12),
            ("kl_noise_mean_nats", expected.mean_nats[at], 0.06),
            ("kl_noise_floor_nats", expected.floor_nats[at], 0.06),
        ):
            found = fleet.value(f"feature:driftmon_{name}:merged", pods, feature)
            assert found == pytest.approx(value, rel=tolerance), name
        found = fleet.value("feature:driftmon_kl_divergence_debiased_nats:merged", pods, feature)
        assert found == pytest.approx(measured[at], abs=0.06 * expected.mean_nats[at])


def json_bytes(tree: Any) -> bytes:
    """Without its checksum, which is of the text as it was."""
    return json.dumps({key: value for key, value in tree.items() if key != "checksum"}).encode()


def test_no_rule_fails_and_mixed_references_are_told(fleet: Fleet) -> None:
    groups = get_json(f"{fleet.url}/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] == "err"] == []
    pending = 'ALERTS{alertname="DriftmonMixedReferences", alertstate="pending", stream="payments"}'
    assert len(until("mixed references", lambda: query(fleet.url, pending))) == 1


def test_a_mean_of_the_pods_values_is_not_the_fleets(fleet: Fleet) -> None:
    """Why the rules sum counts: the pods' own KL, averaged however, is too large."""
    own = query(fleet.url, 'driftmon_kl_divergence_nats{feature="amount", window="fast", direction="q_p"}')
    merged = fleet.value("feature:driftmon_kl_divergence_nats:merged", "one", "amount", direction="q_p")
    mean = 'feature:driftmon_kl_divergence_debiased_nats:mean{feature="amount", window="fast"}'
    until("the mean, of another group of rules", lambda: query(fleet.url, mean))
    assert len(own) == 4
    assert float(query(fleet.url, mean)[0]["value"][1]) > merged
