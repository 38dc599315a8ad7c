"""By hand: what a user would write instead, with numpy, pandas, polars, duckdb and json."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import driftmon
from driftmon.stats.edges import FeatureSpec
from tests.benchmarks.checks import Recounted, same
from tests.benchmarks.contenders.common import BLOCK_BYTES
from tests.benchmarks.data import data_of, put
from tests.benchmarks.engine import Contender, Contest
from tests.benchmarks.sizes import Size

BINS = (16, 64)
BLOCKS = (20_000, BLOCK_BYTES, 2_000_000)
STRINGS = {
    "object": "each text one object, as pandas' readers make them",
    "objects": "one object a row",
}


def contests(size: Size) -> list[Contest]:
    data = data_of(size.live_rows, size.reference_rows)
    write_bins(data)
    arrays = (_array(data, bins, size) for bins in BINS)
    strings = (_strings(data, text, size) for text in STRINGS)
    return [*arrays, _frames(data, size), *strings, *(_lines(data, block_bytes, size) for block_bytes in BLOCKS)]


def write_bins(data: Path) -> None:
    """The bins that driftmon chooses, for those who count in the same."""
    reference = driftmon.reference_of(pq.read_table(data / "reference.parquet"))
    text = json.dumps({each.name: _bins(each) for each in reference.schema.features})
    put(data / "bins.json", lambda path: path.write_text(text))
    values = np.load(data / "normal.npy")
    for bins in BINS:
        (feature,) = driftmon.reference_of({"x": values}, [FeatureSpec("x", "numeric", bins=bins)]).schema.features
        put(data / f"edges-{bins}.json", partial(Path.write_text, data=json.dumps(_bins(feature))))


def _bins(feature: driftmon.Feature) -> object:
    told = feature.binning.as_dict()
    return told["edges"] if "edges" in told else told["categories"]


def _array(data: Path, bins: int, size: Size) -> Contest:
    ours = Contender("driftmon", "contenders/ours_columns", "array", arguments={"bins": bins})
    numpy = Contender("numpy: searchsorted, bincount", "contenders/numpy_hand", "array", arguments={"bins": bins})
    work = f"count 1 M floats in {bins} bins of quantiles, exactly"
    return Contest(work, ours, [(numpy, 5.0)], data, "ns a value", same, size.rounds, size.warm_ups)


def _frames(data: Path, size: Size) -> Contest:
    ours = Contender("driftmon", "contenders/ours_columns", "frames", arguments={"text": "arrow"})
    others = [
        (Contender("numpy and pandas", "contenders/numpy_hand", "frames"), 3.0),
        (Contender("polars", "peers/polars", "frames", "hand"), 3.0),
        (Contender("duckdb", "peers/duckdb", "frames", "hand"), 3.0),
    ]
    work = "DataFrame of 10 columns, 1 M rows against 100 k: bins, counts, KL"
    return Contest(work, ours, others, data, "ns a row", Recounted(data), size.rounds, size.warm_ups)


def _strings(data: Path, text: str, size: Size) -> Contest:
    """Texts as Python strings: shared ones are told apart by where they are, all others by what they say."""
    ours = Contender("driftmon", "contenders/ours_columns", "frames", arguments={"text": text})
    pandas = Contender("numpy and pandas", "contenders/numpy_hand", "frames", arguments={"text": text})
    work = f"the same with Python strings, {STRINGS[text]}"
    return Contest(work, ours, [(pandas, None)], data, "ns a row", Recounted(data), size.rounds, size.warm_ups)


def _lines(data: Path, block_bytes: int, size: Size) -> Contest:
    arguments = {"block_bytes": block_bytes}
    ours = Contender("driftmon", "contenders/ours_blocks", "blocks", arguments=arguments)
    others = [
        (Contender("json.loads and numpy", "contenders/numpy_hand", "lines", arguments=arguments), 6.0),
        (Contender("polars.read_ndjson and numpy", "peers/polars", "lines", "hand", arguments), 1.0),
    ]
    work = f"NDJSON of 10 fields to counts, blocks of {block_bytes // 1000:,} kB"
    return Contest(work, ours, others, data, "ns an event", same, size.rounds, size.warm_ups)
