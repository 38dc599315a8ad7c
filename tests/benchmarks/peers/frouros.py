"""frouros 0.9: KL of each column; it knows numbers only, so words are codes made before the clock starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from frouros.detectors.data_drift import KL, PSI

from tests.benchmarks.contenders.common import BINS, NUMERIC, TEXTS


def load(folder: Path, batches: int = 0) -> Any:
    tables = [pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "live")]
    both = pd.concat(tables)
    for name in TEXTS:
        both[name] = pd.factorize(both[name])[0]
    columns = {name: both[name].to_numpy(dtype=np.float64) for name in (*NUMERIC, *TEXTS)}
    rows = len(tables[0])
    reference = {name: values[:rows] for name, values in columns.items()}
    live = {name: values[rows:] for name, values in columns.items()}
    lows = range(0, 1000 * batches, 1000)
    parts = [{name: values[low : low + 1000] for name, values in live.items()} for low in lows] if batches else [live]
    return reference, parts


def compare(state: Any, detector_of: Any) -> Any:
    reference, parts = state
    detectors = {name: detector_of() for name in reference}
    for name, detector in detectors.items():
        detector.fit(X=reference[name])
    for part in parts:
        found = {name: detector.compare(X=part[name])[0].distance for name, detector in detectors.items()}
    return found


def compare_frames(state: Any) -> tuple[int, Any]:
    reference, (live,) = state
    return len(reference["n0"]) + len(live["n0"]), compare(state, lambda: KL(num_bins=BINS + 1))


def compare_batches(state: Any) -> tuple[int, Any]:
    """PSI: KL is infinite as soon as a batch leaves a bin of the reference empty."""
    return len(state[1]), compare(state, lambda: PSI(num_bins=BINS))


def told(found: Any) -> Any:
    return {name: min(float(value), 1e9) for name, value in found.items()}


TASKS = {"frames": (load, compare_frames, told), "batches": (load, compare_batches, told)}
