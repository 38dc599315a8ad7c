"""Growth: what an event, a tick and a scrape cost, and how much memory there is, as each thing grows by itself.

Law: one thing grows, the others stay at 10 features of 16 bins in one window of one stream.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import pyarrow.parquet as pq

import driftmon
from tests.benchmarks.data import data_of
from tests.benchmarks.engine import ROOT, Contender, Worker
from tests.benchmarks.rows import Row
from tests.benchmarks.running import configured, daemon
from tests.benchmarks.sizes import FULL, Size

GROWING: Final[Mapping[str, Sequence[int]]] = {
    "features": (10, 30, 100, 300, 1_000, 3_000, 10_000),
    "bins": (16, 32, 64, 128, 256, 512, 1_024),
    "windows": (1, 2, 4, 8),
    "streams": (1, 3, 10, 30, 100),
}
UNITS: Final = {"event_us": "us an event", "tick_ms": "ms a tick", "resident_mb": "MB of RSS"}
SERIES: Final = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
RATES: Final = (100, 1_000, 3_000, 10_000, 30_000, 100_000)  # events a second
ROUNDS: Final = 3
EVENTS, CONNECTIONS = 100, 8


def rows(size: Size) -> Iterator[list[Row]]:
    short = size is not FULL
    data = data_of(size.live_rows, size.reference_rows)
    for what, steps in GROWING.items():
        for step in steps[:2] if short else steps:
            yield list(_grown(data, what, step, 1 if short else ROUNDS))
    for series in SERIES[:1] if short else SERIES:
        yield [_scrape(data, series, 1 if short else ROUNDS)]
    yield list(_rates(data, RATES[:1] if short else RATES, size.seconds))


def _asked(contender: Contender, data: Path, rounds: int) -> list[dict[str, Any]]:
    with tempfile.NamedTemporaryFile() as log:
        worker = Worker(contender, data, Path(log.name))
        try:
            worker.told()
            return [worker.ask() for _ in range(1 + rounds)][1:]
        finally:
            worker.close()


def _grown(data: Path, what: str, step: int, rounds: int) -> Iterator[Row]:
    told = _asked(Contender("driftmon", "contenders/growing", "grow", arguments={what: step}), data, rounds)
    for key, unit in UNITS.items():
        row = Row("growth", f"{step:,} {what}", "", unit, place=f"{what}/{step}/{key}")
        yield row.alone([each["answer"][key] for each in told])


def _scrape(data: Path, wanted: int, rounds: int) -> Row:
    told = _asked(Contender("driftmon", "contenders/ours_render", "size", arguments={"series": wanted}), data, rounds)
    series = told[0]["answer"]["series"]
    row = Row("growth", f"{series:,} series", "", "ms a report as text", place=f"series/{series}/text_ms")
    return row.alone([1e3 * each["cpu_s"] / each["amount"] for each in told])


def _rates(data: Path, rates: Sequence[int], seconds: float) -> Iterator[Row]:
    """Share of a core that a paced load takes; the rate is the one that was reached."""
    reference = driftmon.reference_of(pq.read_table(data / "reference.parquet"))
    with tempfile.TemporaryDirectory() as name:
        config = configured(Path(name), reference, {"sources": [{"type": "http"}]}, storage={"ack": "memory"})
        with daemon(config, Path(name) / "state") as one:
            for rate in rates:
                before_s = one.cpu_s()
                settings = map(str, (data / "live.ndjson", EVENTS, CONNECTIONS, seconds, rate))
                sender = [sys.executable, "-P", str(ROOT / "tests/benchmarks/sender.py"), one.address("api"), *settings]
                told = json.loads(subprocess.run(sender, check=True, capture_output=True).stdout)
                reached = EVENTS * len(told["waits_ms"]) / told["seconds"]
                note = f"p50 {median(told['waits_ms']):.2f} ms" if told["waits_ms"] else ""
                work = f"HTTP, 100 events a body, {reached:,.0f} events a second"
                row = Row("growth", work, "", "% of a core", place=f"rate/{reached:.0f}/core_percent", note=note)
                yield row.alone([100 * (one.cpu_s() - before_s) / told["seconds"]])
