"""What a scrape costs: ours against prometheus_client's generate_latest on the same series; prints a table.

Law: CPU of the thread, interleaved, and read back the texts are the same, sample for sample, before anything is timed.
"Gauges" is what a user would write, one Gauge a metric; "prebuilt" a collector whose families are ready, its best case.

    python -m tests.benchmarks.exposition [--series 10000] [--rounds 15] [--short]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Final

import numpy as np
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.core import Metric as TheirMetric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families as parse

from driftmon.daemon.squeezed import Squeezed
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.report import Report
from driftmon.monitor.snapshot import Snapshot
from driftmon.render.catalogue import Selection
from driftmon.render.openmetrics import Piece, render_text
from driftmon.render.series import Layout, families
from driftmon.stats.binnings import numeric
from driftmon.stats.schema import Feature, Schema

MINUTE_MS: Final = 60_000
SELECTION: Final = Selection(limit=10**7)
PER_FEATURE: Final = 13  # series of a numeric feature with one window, core only, about
SHORT_SERIES: Final = 200


class Prebuilt:
    """Families whose samples are made already."""

    def __init__(self, pieces: list[Piece]) -> None:
        self._found = [_theirs(piece) for piece in pieces if piece.samples]

    def collect(self) -> Iterator[TheirMetric]:
        return iter(self._found)


def _theirs(piece: Piece) -> TheirMetric:
    family = GaugeMetricFamily(piece.metric.name, piece.metric.help, labels=piece.metric.labels)
    for labels, value in piece.samples:
        assert isinstance(value, float)
        family.add_metric(list(labels), value)
    return family


def gauges(pieces: list[Piece]) -> CollectorRegistry:
    registry = CollectorRegistry()
    for piece in pieces:
        gauge = Gauge(piece.metric.name, piece.metric.help, piece.metric.labels, registry=registry)
        for labels, value in piece.samples:
            assert isinstance(value, float)
            (gauge.labels(*labels) if labels else gauge).set(value)
    return registry


def a_report(series: int) -> Report:
    """Of about so many series, with values of full length."""
    edges = tuple(np.linspace(-3, 3, 15).tolist())
    count = max(1, round(series / PER_FEATURE))
    schema = Schema(tuple(Feature(f"feature_{index:05d}", numeric.Binning(edges)) for index in range(count)))
    monitor = Monitor(
        Snapshot(schema, np.full(schema.width, 100, dtype=np.int64)), (Window.sliding("hour", 60 * MINUTE_MS),)
    )
    draw = np.random.default_rng(7)
    monitor.observe_columns({name: draw.normal(0.2, 1.0, 500) for name in schema.names}, MINUTE_MS)
    return monitor.tick(2 * MINUTE_MS)


def values_of(text: bytes) -> dict[tuple[object, ...], float]:
    return {
        (one.name, *sorted(one.labels.items())): one.value for metric in parse(text.decode()) for one in metric.samples
    }


def contenders(series: int) -> tuple[int, dict[str, Callable[[], object]]]:
    """The number of series and what is timed; they agree, or this raises."""
    reports = {"s": a_report(series)}
    pieces = families(reports, SELECTION)
    ready, prebuilt = gauges(pieces), CollectorRegistry()
    prebuilt.register(Prebuilt(pieces))
    layout = Layout(reports, SELECTION)
    body = render_text(layout.filled(reports))
    found = values_of(body)
    for registry in (ready, prebuilt):
        if values_of(generate_latest(registry)) != found:
            raise SystemExit("generate_latest says something else")
    kept = Squeezed.of(body)
    return len(found), {
        "generate_latest, Gauges": lambda: generate_latest(ready),
        "generate_latest, prebuilt": lambda: generate_latest(prebuilt),
        "first scrape of a report": lambda: render_text(layout.filled(reports)),
        "the same of a new layout": lambda: render_text(families(reports, SELECTION)),
        "gzip of it, once": lambda: Squeezed.of(body),
        "a later scrape": lambda: body + b"own\n",
        "a later scrape, gzip": lambda: kept.followed_by(b"own\n"),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--short", action="store_true", help="few series, once: only that it runs and agrees")
    options = parser.parse_args(arguments)
    series, timed = contenders(SHORT_SERIES if options.short else options.series)
    taken: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(1 if options.short else options.rounds):
        for name, do in timed.items():
            began_s = time.thread_time()
            do()
            taken[name].append(1000 * (time.thread_time() - began_s))
    yardstick = median(taken["generate_latest, Gauges"])
    sys.stdout.write(f"{series} series{'':<14} {'CPU ms p50':>10} {'least':>8} {'us/series':>10} {'ratio':>9}\n")
    for name, times in taken.items():
        middle, least = median(times), min(times)
        figures = f"{middle:>10.3f} {least:>8.3f} {1000 * middle / series:>10.3f} {yardstick / middle:>8.1f}x"
        sys.stdout.write(f"{name:<26} {figures}\n")


if __name__ == "__main__":
    main()
