"""popmon 1.4: histograms of both by histogrammar, live in ten periods, and its comparisons with the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import popmon  # noqa: F401  it gives frames their pm_ methods
from popmon.config import Settings
from popmon.pipeline.metrics import stability_metrics

from tests.benchmarks.contenders.common import NUMERIC, TEXTS

PERIODS = 10


def load(folder: Path) -> Any:
    frames = [pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "live")]
    for frame in frames:
        frame["period"] = np.arange(len(frame)) * PERIODS // len(frame)
    return frames


def compare_frames(state: Any) -> tuple[int, Any]:
    reference, live = state
    features = [f"period:{name}" for name in (*NUMERIC, *TEXTS)]
    shape = {"features": features, "time_axis": "period"}
    p, _, specs, _, kinds = reference.pm_make_histograms(**shape, time_width=1, time_offset=-0.5, ret_specs=True)
    q = live.pm_make_histograms(**shape, bin_specs=specs, var_dtype=kinds)
    settings = Settings(time_axis="period", reference_type="external")
    return len(reference) + len(live), stability_metrics(q, settings, reference=p)


def told(found: Any) -> Any:
    comparisons = found["comparisons"]
    return {name: float(comparisons[name]["ref_jsd"].iloc[-1]) for name in (*NUMERIC, *TEXTS)}


TASKS = {"frames": (load, compare_frames, told)}
