"""What a fleet costs a Prometheus: `python tests/benchmarks/fleet_load.py [PODS] [FEATURES] [MINUTES]`.

One HTTP server plays all pods, each a target of its own with `core` metrics and the default rules; a real Prometheus
with the shipped rules scrapes and evaluates every minute. Values differ from pod to pod and move with each scrape.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Final

import numpy as np

from driftmon.daemon.config import DEFAULT_RULES
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.references import reference_of
from driftmon.render.catalogue import Selection
from driftmon.render.openmetrics import choose
from driftmon.render.series import families
from tests.servers.helpers import free_port, query, require, running

ROOT: Final = Path(__file__).parents[2]
VARIANTS: Final = 12
MINUTE_MS: Final = 60_000


def expositions(features: int) -> list[bytes]:
    """The /metrics of a pod after 60 minutes and at as many minutes after as there are variants, gzipped."""
    draw = np.random.default_rng(1)
    names = [f"feature_{index}" for index in range(features)]
    reference = reference_of({name: draw.normal(size=5000) for name in names})
    monitor = Monitor(reference, (Window.sliding("fast", 60 * MINUTE_MS),), tuple(DEFAULT_RULES), stream="s")
    found = []
    for minute in range(60 + VARIANTS):
        monitor.observe_columns({name: draw.normal(size=100) for name in names}, minute * MINUTE_MS)
        report = monitor.tick((minute + 1) * MINUTE_MS - 1)
        if minute >= 60:
            render, _ = choose("text/plain")
            found.append(gzip.compress(render(families({"s": report}, Selection(limit=10**6)))))
    return found


def serve(bodies: list[bytes]) -> ThreadingHTTPServer:
    """Pod N at /N; each scrape gets the next variant."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = bodies[(int(self.path[1:]) + int(time.time() // 60)) % len(bodies)]
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return server


def main(pods: int = 900, features: int = 50, minutes: int = 5) -> None:
    """Print what Prometheus says of itself after so many minutes."""
    server = serve(expositions(features))
    target = f"127.0.0.1:{server.server_port}"
    with tempfile.TemporaryDirectory() as name:
        folder, address = Path(name), f"127.0.0.1:{free_port()}"
        own = {"targets": [address], "labels": {"job": "prometheus"}}
        fleet = [
            {"targets": [target], "labels": {"__metrics_path__": f"/{pod}", "instance": f"pod-{pod}"}}
            for pod in range(pods)
        ]
        (folder / "own.json").write_text(json.dumps([own]))
        (folder / "fleet.json").write_text(json.dumps(fleet))
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 60s, evaluation_interval: 60s}\n"
            f"rule_files: ['{ROOT}/deploy/rules/*.yml']\n"
            "scrape_configs:\n"
            f"  - {{job_name: prometheus, scrape_interval: 5s, file_sd_configs: [{{files: ['{folder}/own.json']}}]}}\n"
            f"  - {{job_name: fleet, file_sd_configs: [{{files: ['{folder}/fleet.json']}}]}}\n"
        )
        arguments = [require("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/d"]
        arguments.append(f"--web.listen-address={address}")
        with running(arguments, f"http://{address}/-/ready", folder / "log"):
            time.sleep(60 * minutes)
            for told, expression in QUESTIONS.items():
                for sample in query(f"http://{address}", expression):
                    which = sample["metric"].get("rule_group", "").rpartition(";")[2]
                    sys.stdout.write(f"{told}{' ' + which if which else ''}: {float(sample['value'][1]):,.4g}\n")
    server.shutdown()


QUESTIONS: Final = {
    "targets up": 'sum(up{job="fleet"})',
    "series of the fleet": 'sum(scrape_samples_scraped{job="fleet"})',
    "series in the head": 'prometheus_tsdb_head_series{job="prometheus"}',
    "resident memory, GiB": 'process_resident_memory_bytes{job="prometheus"} / 2^30',
    "CPU, cores over the last 2 minutes": 'rate(process_cpu_seconds_total{job="prometheus"}[2m])',
    "evaluation, seconds, group": 'prometheus_rule_group_last_duration_seconds{job="prometheus"}',
    "failed evaluations": 'sum(prometheus_rule_evaluation_failures_total{job="prometheus"})',
    "alerts": "count(ALERTS)",
}

if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
