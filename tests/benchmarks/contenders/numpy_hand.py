"""By hand: numpy, pandas and json, as somebody writes it who needs the numbers today."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.contenders.common import BINS, NUMERIC, TEXTS, blocks_of, kl, told_features
from tests.benchmarks.contenders.frames import load_frames


def load_array(folder: Path, bins: int) -> Any:
    """Edges like ours: the file of the run has them."""
    edges = json.loads((folder / f"edges-{bins}.json").read_text())
    return np.load(folder / "normal.npy"), np.array(edges)


def count_array(state: Any) -> tuple[int, Any]:
    values, edges = state
    codes = np.searchsorted(edges, values, side="right")
    return len(values), (edges, np.bincount(codes, minlength=len(edges) + 1))


def told_array(found: Any) -> Any:
    edges, counts = found
    return {"edges": edges.tolist(), "counts": counts.tolist()}


def load_memory(folder: Path, values: int) -> Any:
    return np.random.default_rng(1).normal(size=values)


def read_memory(values: Any) -> tuple[int, Any]:
    return len(values), float(values.sum())


def compare_frames(frames: Any) -> tuple[int, Any]:
    reference, live = frames
    found: dict[str, Any] = {}
    for name in NUMERIC:
        values = reference[name].to_numpy()
        edges = np.quantile(values, np.linspace(0.0, 1.0, BINS + 1)[1:-1])
        both = [
            np.bincount(np.searchsorted(edges, each, side="right"), minlength=BINS)
            for each in (values, live[name].to_numpy())
        ]
        found[name] = (edges, *both, kl(*both))
    for name in TEXTS:
        p = reference[name].value_counts()
        q = live[name].value_counts().reindex(p.index, fill_value=0)
        found[name] = (p.index, p.to_numpy(), q.to_numpy(), kl(p.to_numpy(), q.to_numpy()))
    return len(reference) + len(live), found


def load_lines(folder: Path, block_bytes: int) -> Any:
    """Blocks of lines, and the bins of a reference."""
    pieces = blocks_of(folder, block_bytes)
    bins = json.loads((folder / "bins.json").read_text())
    return bins, pieces


def count_lines(state: Any) -> tuple[int, Any]:
    """json.loads line by line, a column at a time to numpy."""
    bins, pieces = state
    counts = {name: np.zeros(len(bins[name]) + (name in NUMERIC), dtype=np.int64) for name in bins}
    edges = {name: np.array(bins[name]) for name in NUMERIC}
    events = 0
    for piece in pieces:
        rows = [json.loads(line) for line in piece.splitlines()]
        events += len(rows)
        for name in NUMERIC:
            codes = np.searchsorted(edges[name], np.array([row[name] for row in rows]), side="right")
            counts[name] += np.bincount(codes, minlength=len(counts[name]))
        for name in TEXTS:
            times = Counter(row[name] for row in rows)
            counts[name] += np.array([times[word] for word in bins[name]])
    return events, counts


def told_lines(counts: Any) -> Any:
    return {name: each.tolist() for name, each in counts.items()}


TASKS = {
    "array": (load_array, count_array, told_array),
    "memory": (load_memory, read_memory, lambda total: total),
    "frames": (load_frames, compare_frames, told_features),
    "lines": (load_lines, count_lines, told_lines),
}
