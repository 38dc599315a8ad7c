"""alibi-detect 0.13: TabularDrift, Kolmogorov-Smirnov and chi-square; words as codes made before the clock starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from alibi_detect.cd import TabularDrift

from tests.benchmarks.contenders.common import NUMERIC, TEXTS


def load(folder: Path, batches: int = 0) -> Any:
    tables = [pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "live")]
    both = pd.concat(tables)
    for name in TEXTS:
        both[name] = pd.factorize(both[name])[0]
    values = both[[*NUMERIC, *TEXTS]].to_numpy(dtype=np.float64)
    reference, live = values[: len(tables[0])], values[len(tables[0]) :]
    return reference, [live[low : low + 1000] for low in range(0, 1000 * batches, 1000)] if batches else [live]


def compare(state: Any) -> Any:
    reference, parts = state
    places = range(len(NUMERIC), len(NUMERIC) + len(TEXTS))
    detector = TabularDrift(reference, categories_per_feature=dict.fromkeys(places))
    for part in parts:
        found = detector.predict(part, drift_type="feature")
    return found


def compare_frames(state: Any) -> tuple[int, Any]:
    return len(state[0]) + len(state[1][0]), compare(state)


def compare_batches(state: Any) -> tuple[int, Any]:
    return len(state[1]), compare(state)


def told(found: Any) -> Any:
    return dict(zip((*NUMERIC, *TEXTS), found["data"]["distance"].tolist(), strict=True))


TASKS = {"frames": (load, compare_frames, told), "batches": (load, compare_batches, told)}
