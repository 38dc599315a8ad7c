"""Compiled histograms of regular bins: what C and C++ need for the work, without our promise of exact edges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boost_histogram as bh
import fast_histogram
import numpy as np


def load(folder: Path, bins: int) -> Any:
    return np.load(folder / "normal.npy"), bins - 2  # the outer two are open


def count_boost(state: Any) -> tuple[int, Any]:
    """With its bins for what lies outside."""
    values, bins = state
    histogram = bh.Histogram(bh.axis.Regular(bins, -3.0, 3.0), storage=bh.storage.Int64())
    histogram.fill(values)
    return len(values), histogram.view(flow=True)


def count_fast(state: Any) -> tuple[int, Any]:
    """What lies outside is left out."""
    values, bins = state
    return len(values), fast_histogram.histogram1d(values, bins=bins, range=(-3.0, 3.0))


def told(counts: Any) -> Any:
    return {"counts": [int(count) for count in counts]}


TASKS = {"boost": (load, count_boost, told), "fast": (load, count_fast, told)}
