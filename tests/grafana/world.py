"""A shop whose data drift: daemons with different settings, their traffic, and a real Prometheus that scrapes them."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from driftmon.monitor.references import reference_of
from driftmon.monitor.snapshot import Snapshot
from driftmon.stats.binnings.log_loss import Outcome
from driftmon.stats.edges import FeatureSpec
from tests.servers.helpers import free_port, get, require, running, until

MINUTE_MS: Final = 60_000
EVERYTHING: Final = "{set: full, bins: window}"
CORE: Final = "{set: core, bins: none}"

BROKEN: Final = '{"time": 1, "amount":\n[1, 2]'  # cut off, then not an object
LATE: Final = '{"time": 1000}'
STREAMS: Final = ("checkout", "search")
FRAUD: Final = "fraud"  # predictions and labels in records of their own

CONFIG: Final = """
version: 1
streams:
  checkout:
    sources: [{{type: http}}]
    time: {{field: time, unit: ms}}
    reference: {{type: file, path: checkout.reference.json}}
    features:
      amount: {{type: numeric}}
      items: {{type: numeric}}
      country: {{type: categorical}}
      returning: {{type: boolean}}
    windows: [{{name: hour, length: 1h}}]
    tick: 100ms
  search:
    sources: [{{type: http}}]
    time: {{field: time, unit: ms}}
    reference: {{type: file, path: search.reference.json}}
    features:
      latency_ms: {{type: numeric}}
      words: {{type: numeric}}
      score: {{type: numeric}}
      device: {{type: categorical}}
    windows: [{{name: hour, length: 1h}}]
    tick: 100ms
  fraud:
    sources: [{{type: http}}]
    time: {{field: time, unit: ms}}
    labels: {{id: order, wait: 30m}}
    reference: {{type: file, path: fraud.reference.json}}
    features:
      outcome: {{type: log_loss, probability: p, label: y, edges: [0.1, 0.4, 1, 2]}}
    windows: [{{name: hour, length: 1h}}]
    tick: 100ms
rules:
  - {{name: DriftmonFeatureDrift, metric: kl_divergence_debiased, above: 0.1, min_observations: 200}}
  - {{name: DriftmonSchemaBreak, metric: invalid_ratio, above: 0.05}}
  - {{name: DriftmonDrift, calibrated: {{effect: small, false_alarms: "1/30d"}}, per: stream}}
metrics: {metrics}
"""


@dataclass(frozen=True)
class Weather:
    """What has changed: `dearer` amounts and `slower` answers in standard deviations, the rest as shares."""

    dearer: float = 0.0
    slower: float = 0.0
    abroad: float = 0.0
    broken: float = 0.0


QUIET: Final = Weather()


def rows(stream: str, count: int, seed: int, weather: Weather = QUIET) -> list[dict[str, Any]]:
    """Records of a stream."""
    draw = np.random.default_rng(seed)
    columns = {"checkout": _checkout, "search": _search}[stream](draw, count, weather)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _checkout(draw: np.random.Generator, count: int, weather: Weather) -> dict[str, list[Any]]:
    amounts = draw.normal(40 + 15 * weather.dearer, 15, count).round(2).tolist()
    countries = draw.choice(["DE", "FR", "PL", "NL", "IT"], count, p=[0.4, 0.25, 0.15, 0.12, 0.08])
    countries[draw.random(count) < weather.abroad] = "BR"
    missing = draw.random(count) < 0.01
    return {
        "amount": [None if gone else amount for amount, gone in zip(amounts, missing.tolist(), strict=True)],
        "items": draw.poisson(3, count).tolist(),
        "country": countries.tolist(),
        "returning": (draw.random(count) < 0.6).tolist(),
    }


def _search(draw: np.random.Generator, count: int, weather: Weather) -> dict[str, list[Any]]:
    latencies = draw.lognormal(4 + 0.6 * weather.slower, 0.6, count).round(1).tolist()
    broken = draw.random(count) < weather.broken
    return {
        "latency_ms": [f"{ms} ms" if bad else ms for ms, bad in zip(latencies, broken.tolist(), strict=True)],
        "words": (1 + draw.poisson(1.5, count)).tolist(),
        "score": draw.beta(5, 2, count).round(4).tolist(),
        "device": draw.choice(["phone", "laptop", "tablet"], count, p=[0.62, 0.3, 0.08]).tolist(),
    }


def orders(count: int, seed: int, part: str) -> list[dict[str, Any]]:
    """Predictions of a calibrated model, each followed by its label ten orders later; every 20th never has one."""
    draw = np.random.default_rng(seed)
    p = draw.beta(0.5, 2, count).round(4)
    y = (draw.random(count) < p).astype(int).tolist()
    found: list[dict[str, Any]] = []
    for at, probability in enumerate(p.tolist()):
        found.append({"order": f"{part}{at}", "p": probability})
        if at >= 10 and at % 20:
            found.append({"order": f"{part}{at - 10}", "y": y[at - 10]})
    return found


def _fraud_reference() -> Snapshot:
    draw = np.random.default_rng(1)
    p = draw.beta(0.5, 2, 20_000)
    spec = FeatureSpec("outcome", "log_loss", edges=(0.1, 0.4, 1.0, 2.0), outcome=Outcome("y", "p"))
    return reference_of({"p": p, "y": (draw.random(len(p)) < p).astype(int)}, [spec])


@dataclass(frozen=True)
class Daemon:
    """Where one listens."""

    web: str
    api: str

    def send(
        self, stream: str, records: Sequence[Mapping[str, Any]], from_ms: int, until_ms: int, more: str = ""
    ) -> None:
        """Spread over a span of event time; `more` is a raw tail of the body."""
        times = np.linspace(from_ms, until_ms - 1, len(records)).astype(int).tolist()
        lines = [json.dumps({"time": at, **record}) for at, record in zip(times, records, strict=True)]
        body = "\n".join([*lines, more]).encode()
        request = urllib.request.Request(f"http://{self.api}/api/v1/ingest/{stream}", body)
        with urllib.request.urlopen(request, timeout=30) as reply:
            assert json.load(reply)["accepted"] >= len(records)

    def page(self, observations: Mapping[str, int]) -> str:
        """/metrics, once it shows so many observations of each feature of a stream."""
        told = [
            f'driftmon_observations_total{{stream="{stream}",feature="{feature}"}} {float(count)}\n'
            for (stream, feature), count in zip(
                (("checkout", "items"), ("search", "words")), (observations[name] for name in STREAMS), strict=True
            )
        ]

        def found() -> str:
            text = get(f"http://{self.web}/metrics").decode()
            return text if all(line in text for line in told) else ""

        page: str = until(f"{observations} observations on /metrics", found)
        return page


@contextmanager
def daemon(folder: Path, metrics: str) -> Iterator[Daemon]:
    """`driftmon run` as a process of its own, with the references of quiet days."""
    for stream in STREAMS:
        sample = rows(stream, 40_000, 1)
        columns = {name: [row[name] for row in sample] for name in sample[0]}
        (folder / f"{stream}.reference.json").write_bytes(reference_of(columns).to_bytes())
    (folder / f"{FRAUD}.reference.json").write_bytes(_fraud_reference().to_bytes())
    (folder / "driftmon.yaml").write_text(CONFIG.format(metrics=metrics))
    web, api = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    arguments = [sys.executable, "-m", "driftmon", "run", f"--config.file={folder / 'driftmon.yaml'}"]
    arguments += [f"--web.listen-address={web}", f"--api.listen-address={api}", "--log.level=warn"]
    with running(arguments, f"http://{web}/-/ready", folder / "driftmon.log"):
        yield Daemon(web, api)


@contextmanager
def prometheus(folder: Path, targets: Sequence[str]) -> Iterator[str]:
    """Scrapes each target every second, on top of what its storage holds already; gives its URL."""
    address = f"127.0.0.1:{free_port()}"
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "driftmon", "static_configs": [{"targets": list(targets)}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    arguments = [
        require("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={address}",
    ]
    with running(arguments, f"http://{address}/-/ready", folder / "prometheus.log"):
        yield f"http://{address}"
