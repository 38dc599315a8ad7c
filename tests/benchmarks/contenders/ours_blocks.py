"""driftmon's daemon without its network: NDJSON bytes to counts, by the code that the pump calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

import driftmon
from driftmon.daemon.config import load
from driftmon.daemon.streams import build_streams
from driftmon.sources.base import Block
from tests.benchmarks.contenders.common import blocks_of


def load_blocks(folder: Path, block_bytes: int) -> Any:
    frame = pd.read_parquet(folder / "reference.parquet")
    reference = driftmon.reference_of(frame)
    kinds = {feature.name: {"type": feature.kind} for feature in reference.schema.features}
    settings = {"version": 1, "streams": {"s": {"reference": {"type": "file", "path": "p.json"}, "features": kinds}}}
    path = folder / "driftmon.yaml"
    path.write_text(json.dumps(settings))
    stream = build_streams(load(path, {}), {"s": reference})["s"]
    return stream, [Block("s", "http", "ndjson", body, origin="http") for body in blocks_of(folder, block_bytes)]


def count_blocks(state: Any) -> tuple[int, Any]:
    stream, blocks = state
    before, counted = stream.monitor.snapshot().counts, 0
    for block in blocks:
        counted += stream.observe(block, 1_000_000).accepted
    return counted, (stream.monitor.schema, stream.monitor.snapshot().counts - before)


def told_blocks(found: Any) -> Any:
    """By feature the counts of its bins of values."""
    schema, counts = found
    features = enumerate(schema.features)
    return {each.name: counts[schema.bins(at)][: each.binning.regular].tolist() for at, each in features}


TASKS = {"blocks": (load_blocks, count_blocks, told_blocks)}
