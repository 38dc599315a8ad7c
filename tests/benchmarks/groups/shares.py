"""Shares: where the time goes of what has missed its goal, by function: why it is missed, and what would help.

Law: the very work of the other groups, by a process that is watched (sampled.py); watching costs a few in a hundred.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

import driftmon
from tests.benchmarks.data import data_of
from tests.benchmarks.engine import ROOT, SCRIPTS, cost
from tests.benchmarks.groups import daemon, hand
from tests.benchmarks.installed import environment
from tests.benchmarks.rows import Row
from tests.benchmarks.running import configured
from tests.benchmarks.running import daemon as running
from tests.benchmarks.sizes import FULL, Size

SAMPLED: Final = str(SCRIPTS / "sampled.py")
SHOWN: Final = 7
TASKS: Final[tuple[tuple[str, str, str, Mapping[str, Any], str], ...]] = (
    ("1 M floats in 16 bins", "contenders/ours_columns", "array", {"bins": 16}, "ns a value"),
    ("DataFrame of 1 M rows", "contenders/ours_columns", "frames", {"text": "arrow"}, "ns a row"),
    ("DataFrame of 1 M rows, Python strings", "contenders/ours_columns", "frames", {"text": "object"}, "ns a row"),
    ("a batch of 1,000 rows", "contenders/ours_columns", "batches", {"text": "object", "batches": 100}, "us a batch"),
    ("events one at a time", "contenders/ours_columns", "events", {"events": 50_000}, "us an event"),
    ("the same, KL current", "contenders/ours_columns", "events_current", {"events": 50_000}, "us an event"),
    ("NDJSON in blocks of 20 kB", "contenders/ours_blocks", "blocks", {"block_bytes": 20_000}, "ns an event"),
    ("NDJSON in blocks of 200 kB", "contenders/ours_blocks", "blocks", {"block_bytes": 200_000}, "ns an event"),
    ("a tick of 1,000 features", "contenders/ours_render", "tick", {"features": 1000}, "ms"),
)
BODIES: Final = (1, 100)


def rows(size: Size) -> Iterator[list[Row]]:
    data, short = data_of(size.live_rows, size.reference_rows), size is not FULL
    hand.write_bins(data)
    with tempfile.TemporaryDirectory() as name:
        told = Path(name) / "told"
        for work, script, task, arguments, unit in TASKS[:1] if short else TASKS:
            command = [SAMPLED, str(told), "task", str(SCRIPTS / f"{script}.py"), task, str(data)]
            own = {**environment(), "PYTHONPATH": str(ROOT)}
            subprocess.run([sys.executable, "-P", *command, json.dumps(arguments)], check=True, env=own)
            found = json.loads(told.read_text())
            yield [Row("shares", work, "", unit, note=words(found["shares"])).alone([cost(found, unit)])]
        for events in BODIES[1:] if short else BODIES:
            yield [_http(Path(name) / str(events), data, events, size.seconds)]


def _http(folder: Path, data: Path, events: int, seconds: float) -> Row:
    """After a while to warm up."""
    reference = driftmon.reference_of(pq.read_table(data / "reference.parquet"))
    config = configured(folder, reference, {"sources": [{"type": "http"}]}, storage={"ack": "memory"})
    told = folder / "told"
    with running(config, folder / "state", [SAMPLED, str(told), "daemon"]) as one:
        daemon.sent(one, data / "live.ndjson", events, seconds / 4)
        before = json.loads(told.read_text())["shares"]
        counted, cpu_s, _ = daemon.sent(one, data / "live.ndjson", events, seconds)
        after = json.loads(told.read_text())["shares"]
    shares = {name: spent_s - before.get(name, 0.0) for name, spent_s in after.items()}
    row = Row("shares", f"HTTP, {events:,} events a body, ack: memory", "", "us an event", note=words(shares))
    return row.alone([1e6 * cpu_s / counted])


def words(shares: Mapping[str, float]) -> str:
    """The largest, in hundredths of all.

    >>> words({"stats/grids.fill": 3.0, "(asyncio)": 1.0})
    'stats/grids.fill 75 %, (asyncio) 25 %'
    """
    whole = sum(shares.values())
    largest = sorted(shares.items(), key=lambda item: -item[1])[:SHOWN]
    return ", ".join(f"{name} {100 * spent_s / whole:.0f} %" for name, spent_s in largest)
