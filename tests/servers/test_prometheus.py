"""/metrics before a real Prometheus: promtool finds no fault, and what was scraped is what was rendered."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

import numpy as np
import pytest

from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.references import reference_of
from driftmon.monitor.report import Report
from driftmon.monitor.rules import Rule
from driftmon.render.catalogue import CATALOGUE, METRICS, Selection
from driftmon.render.openmetrics import Family, Histogram, choose, clean, render_openmetrics, render_text
from driftmon.render.series import families
from tests.servers.helpers import get_json, prometheus, query, require, serving, until

NASTY = 'a"b\\c\nd \u202eü' + "x" * 200
FULL = Selection("full", "counters", 10**6)
DAEMON = [
    Family(METRICS["driftmon_tick_duration_seconds"], [((), Histogram((0.001, 0.1), (3, 2, 1), 5.25))]),
    Family(METRICS["driftmon_build_info"], [(("0.1.0", "3.11"), 1.0)]),
]


@pytest.fixture(scope="module")
def reports() -> Mapping[str, Report]:
    """A drifted numeric feature, and categories with names no one should choose."""
    draw = np.random.default_rng(3)
    columns: dict[str, Any] = {"delay": draw.normal(size=500), NASTY: draw.choice([NASTY, "", "UA"], 500).tolist()}
    rules = (Rule("Drift", "kl_divergence_debiased", 0.1, min_observations=10),)
    monitor = Monitor(reference_of(columns), (Window.sliding("fast", 3_600_000),), rules, stream="flights")
    monitor.observe_columns({**columns, "delay": columns["delay"] + 3}, 0)
    return {"flights": monitor.tick(1000)}


@pytest.fixture(scope="module")
def scraped(reports: Mapping[str, Report], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus that has scraped the reports, rendered as it asked for them; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            render, content_type = choose(self.headers.get("Accept", ""))
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.end_headers()
            self.wfile.write(render([*families(reports, FULL), *DAEMON]))

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with serving(Handler) as target, prometheus(target, tmp_path_factory.mktemp("prometheus")) as url:
        until("a first scrape", lambda: query(url, 'up{job="driftmon"} == 1'))
        yield url


def promtool(text: bytes) -> str:
    checked = subprocess.run([require("promtool"), "check", "metrics"], input=text, capture_output=True, check=False)
    return f"{checked.stdout.decode()}{checked.stderr.decode()}" + (
        f"exit {checked.returncode}" if checked.returncode else ""
    )


def test_promtool_finds_no_fault_in_what_is_exported(reports: Mapping[str, Report]) -> None:
    assert promtool(render_text([*families(reports, FULL), *DAEMON])) == ""


def test_promtool_finds_no_fault_in_the_whole_catalogue() -> None:
    one: list[Family] = []
    for metric in CATALOGUE:
        value = Histogram((1.0,), (1, 0), 0.5) if metric.kind == "histogram" else 1.0
        one.append(Family(metric, [(tuple("x" for _ in metric.labels), value)]))
    assert promtool(render_text(one)) == ""


def test_promtool_would_find_one() -> None:
    """The check above can fail."""
    assert "exit" in promtool(b"# TYPE driftmon_bad_total gauge\ndriftmon_bad_total 1\n")


def test_a_real_prometheus_scrapes_every_series(reports: Mapping[str, Report], scraped: str) -> None:
    rendered = [*families(reports, FULL), *DAEMON]
    lines = [line for line in render_openmetrics(rendered).decode().splitlines() if not line.startswith("#")]
    assert query(scraped, "scrape_samples_scraped")[0]["value"][1] == str(len(lines))
    held = query(scraped, 'count({__name__=~"driftmon_.+"})')
    assert held[0]["value"][1] == str(len(lines)), "no two samples were one series"


def test_labels_and_values_arrive_as_they_are(reports: Mapping[str, Report], scraped: str) -> None:
    name = "driftmon_bin_observations_total"
    (family,) = (one for one in families(reports, FULL) if one.metric.name == name)
    held = {
        tuple(one["metric"][label] for label in family.metric.labels): float(one["value"][1])
        for one in query(scraped, name)
    }
    assert held == {tuple(map(clean, labels)): value for labels, value in family.samples}


def test_prometheus_knows_type_and_unit(scraped: str) -> None:
    (known,) = get_json(f"{scraped}/api/v1/metadata?metric=driftmon_kl_divergence_nats")["data"].values()
    assert (known[0]["type"], known[0]["unit"]) == ("gauge", "nats")


def test_kl_can_be_computed_in_promql_from_the_exported_bins(reports: Mapping[str, Report], scraped: str) -> None:
    """Sum q ln(q/p) with q = (n + a) / (N + aK), in PromQL, gives the daemon's own number."""
    size = "count by (stream, feature) (driftmon_reference_bin_ratio)"
    spread = f"(driftmon_smoothing_pseudocount * on (stream) group_right () {size})"
    total = f"(driftmon_observations_total + on (stream, feature) {spread})"
    counts = "(driftmon_bin_observations_total + on (stream) group_left () driftmon_smoothing_pseudocount)"
    q = f"({counts} / on (stream, feature) group_left () {total})"
    held = query(scraped, f"sum by (feature) ({q} * ln({q} / driftmon_reference_bin_ratio))")
    values = {one["metric"]["feature"]: float(one["value"][1]) for one in held}
    report = reports["flights"]
    expected = [report.value(0, index, "kl_divergence", direction="q_p") for index in range(2)]
    assert [values["delay"], values[clean(NASTY)]] == pytest.approx(expected, abs=1e-12)
