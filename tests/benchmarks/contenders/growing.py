"""driftmon's streams as they grow: features, bins, windows and streams; CPU of an event and of a tick, and memory.

Law: NDJSON bytes to counts by the code that the pump calls, and rings full of panes, as after a day.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

import driftmon
from driftmon.daemon.config import load as load_config
from driftmon.daemon.streams import build_streams
from driftmon.sources.base import Block
from driftmon.stats.edges import FeatureSpec
from tests.benchmarks.contenders.common import resident_mb

CELLS: Final = 100_000  # values counted in a round
MINUTE_MS: Final = 60_000
LINE_BYTES: Final = 2**20  # 10,000 fields are more than the usual 64 KiB
TICKED: Final = 5_000  # features evaluated in a round, in a few ticks


def load(folder: Path, features: int = 10, bins: int = 16, windows: int = 1, streams: int = 1) -> Any:
    draw = np.random.default_rng(1)
    names = [f"f{at}" for at in range(features)]
    specs = [FeatureSpec(name, "numeric", bins=bins) for name in names]
    reference = driftmon.reference_of({name: draw.normal(size=2000) for name in names}, specs)
    lengths = [{"name": f"w{at + 1}h", "length": f"{at + 1}h"} for at in range(windows)]
    settings = {
        "reference": {"type": "file", "path": "p.json"},
        "features": {name: {"type": "numeric"} for name in names},
    }
    streams_named = {f"s{at}": {**settings, "windows": lengths} for at in range(streams)}
    path = folder / f"growing-{os.getpid()}.yaml"
    path.write_text(json.dumps({"version": 1, "streams": streams_named, "limits": {"line_bytes": LINE_BYTES}}))
    made = build_streams(load_config(path, {}), dict.fromkeys(streams_named, reference))
    path.unlink()
    one, many = (
        _block(names, draw.normal(size=(rows, features))) for rows in (1, max(1, CELLS // features // streams))
    )
    for minute in range(60 * windows):
        for stream in made.values():
            stream.observe(one, minute * MINUTE_MS)
            if minute % 10 == 9:
                stream.tick(minute * MINUTE_MS)
    return made, many, [60 * windows * MINUTE_MS]


def _block(names: list[str], values: Any) -> Block:
    lines = [json.dumps(dict(zip(names, row, strict=True))) for row in values.round(4).tolist()]
    return Block("s", "http", "ndjson", ("\n".join(lines) + "\n").encode(), origin="http")


def work(state: Any) -> tuple[int, Any]:
    """All streams count a block, then the daemon's clock ticks a few times, a second apart."""
    streams, block, clock = state
    began_s = time.process_time()
    events = sum(stream.observe(block, clock[0]).accepted for stream in streams.values())
    counted_s = time.process_time()
    assert events == block.data.count(b"\n") * len(streams), "some records were refused"
    features = sum(len(stream.monitor.schema.features) for stream in streams.values())
    ticks = max(1, min(5, TICKED // features))
    ticking_s = time.process_time()
    for _ in range(ticks):
        clock[0] += 1000
        for stream in streams.values():
            stream.tick(clock[0])
    ticked_s = time.process_time()
    told = {"event_us": 1e6 * (counted_s - began_s) / events, "tick_ms": 1e3 * (ticked_s - ticking_s) / ticks}
    return events, {**told, "resident_mb": resident_mb()}


TASKS = {"grow": (load, work, lambda told: told)}
