"""driftmon after the counting: ticks of many features, and a report as Prometheus' text."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

import driftmon
from driftmon.monitor.check import DEFAULT_RULES
from driftmon.render.catalogue import Selection
from driftmon.render.openmetrics import render_text
from driftmon.render.series import Layout
from driftmon.stats.edges import FeatureSpec

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
ROWS: Final = 1000
TIMES: Final = 20  # reports written in a round
CELLS: Final = 20_000  # features x ticks of a round


def load_tick(folder: Path, features: int, minutes: int = 10) -> Any:
    """A monitor of so many features that has seen some minutes, and what each further second brings: as much again."""
    draw = np.random.default_rng(1)
    columns = {f"f{at}": draw.normal(size=ROWS) for at in range(features)}
    reference = driftmon.reference_of(columns, [FeatureSpec(name, "numeric") for name in columns])
    monitor = driftmon.Monitor(reference, (driftmon.Window.sliding("w", HOUR_MS),), DEFAULT_RULES, stream="s")
    for minute in range(minutes):
        monitor.observe_columns({name: values[minute::60] for name, values in columns.items()})
        if minute % 10 == 9:
            monitor.tick(minute * MINUTE_MS)
    return monitor, reference, [minutes * MINUTE_MS]


def tick(state: Any) -> tuple[int, Any]:
    """Each second the counts have changed."""
    monitor, reference, clock = state
    times = min(TIMES, CELLS // len(reference.schema.features))
    for _ in range(times):
        monitor.count_snapshot(reference)
        clock[0] += 1000
        report = monitor.tick(clock[0])
    return times, report


def told_report(report: Any) -> Any:
    return len(report.as_dict()["streams"]["s"]["features"])


def load_report(folder: Path, series: int) -> Any:
    """Reports of as many features as make so many series of `core`, or a few more; one after the other, in turns.

    Beside them their layout, which the daemon keeps from one report to the next.
    """
    one, two = (render(*laid_out(features)).count(b"\n") for features in (1, 2))
    return laid_out(-(-series // (two - one)))


def laid_out(features: int) -> tuple[Layout, list[Any]]:
    reports = reports_of(features)
    return Layout({"s": reports[0]}, Selection(limit=10**9)), reports


def reports_of(features: int) -> list[Any]:
    monitor, reference, clock = load_tick(Path(), features, 1)
    found = []
    for _ in range(2):
        monitor.count_snapshot(reference)
        found.append(monitor.tick(clock[0]))
        clock[0] += 1000
    return found


def render(layout: Layout, reports: list[Any], number: int = 0) -> bytes:
    return render_text(layout.filled({"s": reports[number % len(reports)]}))


def render_reports(state: tuple[Layout, list[Any]]) -> tuple[int, Any]:
    layout, reports = state
    for number in range(TIMES):
        text = render(layout, reports, number)
    return TIMES, text


def told_text(text: Any) -> Any:
    """How many samples, and a digest of them all, whatever their order."""
    lines = sorted(
        f"{sample.name} {sorted(sample.labels.items())} {sample.value!r}"
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    )
    return {"series": len(lines), "digest": hashlib.sha256("\n".join(lines).encode()).hexdigest()}


def told_size(text: Any) -> Any:
    return {"series": text.count(b"\n") - 2 * text.count(b"\n# TYPE"), "bytes": len(text)}


TASKS = {
    "tick": (load_tick, tick, told_report),
    "text": (load_report, render_reports, told_text),
    "size": (load_report, render_reports, told_size),
}
