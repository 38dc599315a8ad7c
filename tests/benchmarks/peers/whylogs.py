"""whylogs 1.6: profiles of reference and live, and its drift scores of the two; or rows and frames tracked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import whylogs as why
from whylogs.core import DatasetProfile
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

from tests.benchmarks.contenders.common import events_of


def frames(folder: Path) -> Any:
    return [pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "live")]


def compare_frames(state: Any) -> tuple[int, Any]:
    reference, live = state
    views = [why.log(pandas=each).view() for each in (live, reference)]
    return len(reference) + len(live), calculate_drift_scores(*views)


def load_batches(folder: Path, batches: int) -> Any:
    reference, live = frames(folder)
    return why.log(pandas=reference).view(), [live.iloc[low : low + 1000] for low in range(0, 1000 * batches, 1000)]


def track_batches(state: Any) -> tuple[int, Any]:
    """The profile only; scores once, in the end."""
    reference, parts = state
    profile = DatasetProfile()
    for part in parts:
        profile.track(part)
    return len(parts), calculate_drift_scores(profile.view(), reference)


def track_rows(rows: Any) -> tuple[int, Any]:
    profile = DatasetProfile()
    for row in rows:
        profile.track(row=row)
    return len(rows), profile.view()


def told(scores: Any) -> Any:
    return {name: float(score["statistic"]) for name, score in scores.items()}


def told_counts(view: Any) -> Any:
    return {name: column.get_metric("counts").n.value for name, column in view.get_columns().items()}


TASKS = {
    "frames": (frames, compare_frames, told),
    "batches": (load_batches, track_batches, told),
    "events": (events_of, track_rows, told_counts),
}
