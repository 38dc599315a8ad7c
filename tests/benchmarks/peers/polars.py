"""By hand: polars, lazily and with all its threads where that is faster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tests.benchmarks.contenders.common import BINS, NUMERIC, TEXTS, blocks_of, kl, told_features


def load_frames(folder: Path) -> Any:
    return [pl.read_parquet(folder / f"{name}.parquet") for name in ("reference", "live")]


def compare_frames(frames: Any) -> tuple[int, Any]:
    """Quantiles by polars; each column to codes by search_sorted, counted by value_counts."""
    reference, live = frames
    levels = np.linspace(0.0, 1.0, BINS + 1)[1:-1]
    cuts = reference.select(
        pl.concat_list([pl.col(name).quantile(one) for one in levels]).alias(name) for name in NUMERIC
    )
    found: dict[str, Any] = {}
    for name in NUMERIC:
        edges = cuts[name][0]
        both = [_binned(each[name], edges) for each in frames]
        found[name] = (edges.to_list(), *both, kl(*both))
    for name in TEXTS:
        p = reference[name].value_counts(sort=True)
        q = p.join(live[name].value_counts(name="n"), on=name, how="left", maintain_order="left")["n"].fill_null(0)
        both = [p["count"].to_numpy().astype(np.int64), q.to_numpy().astype(np.int64)]
        found[name] = (p[name].to_list(), *both, kl(*both))
    return len(reference) + len(live), found


def _binned(values: Any, edges: Any) -> Any:
    times = edges.search_sorted(values, side="right").value_counts()
    counts = np.zeros(BINS, dtype=np.int64)
    counts[times.to_series(0).to_numpy()] = times["count"].to_numpy()
    return counts


def load_lines(folder: Path, block_bytes: int) -> Any:
    pieces = blocks_of(folder, block_bytes)
    return json.loads((folder / "bins.json").read_text()), pieces


def count_lines(state: Any) -> tuple[int, Any]:
    """read_ndjson with the schema told, numbers counted by numpy, words by polars."""
    bins, pieces = state
    schema = {**dict.fromkeys(NUMERIC, pl.Float64), **dict.fromkeys(TEXTS, pl.String)}
    counts = {name: np.zeros(len(bins[name]) + (name in NUMERIC), dtype=np.int64) for name in bins}
    edges = {name: np.array(bins[name]) for name in NUMERIC}
    words = {name: {word: at for at, word in enumerate(bins[name])} for name in TEXTS}
    events = 0
    for piece in pieces:
        frame = pl.read_ndjson(piece, schema=schema)
        events += len(frame)
        for name in NUMERIC:
            codes = np.searchsorted(edges[name], frame[name].to_numpy(), side="right")
            counts[name] += np.bincount(codes, minlength=len(counts[name]))
        for name in TEXTS:
            for word, times in frame[name].value_counts().iter_rows():
                if word in words[name]:
                    counts[name][words[name][word]] += times
    return events, counts


def told_lines(counts: Any) -> Any:
    return {name: each.tolist() for name, each in counts.items()}


TASKS = {"frames": (load_frames, compare_frames, told_features), "lines": (load_lines, count_lines, told_lines)}
