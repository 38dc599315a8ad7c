"""prometheus_client: gauges of the same names, labels and values, and generate_latest of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.benchmarks.contenders.ours_render import TIMES, load_report, render, told_text


def load(folder: Path, series: int) -> Any:
    """Set once, from the last of the reports that ours writes."""
    registry, gauges = CollectorRegistry(), dict[str, Gauge]()
    layout, reports = load_report(folder, series)
    text = render(layout, reports, TIMES - 1).decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name not in gauges:
                gauges[sample.name] = Gauge(sample.name, family.documentation, list(sample.labels), registry=registry)
            gauge = gauges[sample.name]
            (gauge.labels(**sample.labels) if sample.labels else gauge).set(sample.value)
    return registry


def write(registry: Any) -> tuple[int, Any]:
    return 1, generate_latest(registry)


TASKS = {"text": (load, write, told_text)}
