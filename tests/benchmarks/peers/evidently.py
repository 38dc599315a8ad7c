"""evidently 0.7: a report of KL per column, from datasets made before the clock starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

from tests.benchmarks.contenders.common import NUMERIC, TEXTS


def load(folder: Path, batches: int = 0) -> Any:
    """Reference, and live as one dataset or as the first batches of 1,000."""
    columns = DataDefinition(numerical_columns=list(NUMERIC), categorical_columns=list(TEXTS))
    reference, live = (pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "live"))
    parts = [live.iloc[low : low + 1000] for low in range(0, 1000 * batches, 1000)] if batches else [live]
    return (
        [Dataset.from_pandas(each, data_definition=columns) for each in (reference, *parts)],
        len(reference),
        len(live),
    )


def report(reference: Any, live: Any) -> Any:
    return Report([DataDriftPreset(method="kl_div")]).run(live, reference)


def compare_frames(state: Any) -> tuple[int, Any]:
    (reference, live), *rows = state
    return sum(rows), report(reference, live)


def compare_batches(state: Any) -> tuple[int, Any]:
    (reference, *parts), _, _ = state
    for part in parts:
        found = report(reference, part)
    return len(parts), found


def told(found: Any) -> Any:
    """KL(P||Q) by column."""
    values = {}
    for metric in found.dict()["metrics"]:
        name = metric.get("config", {}).get("column") or metric["metric_name"].partition("column=")[2].split(",")[0]
        if name:
            values[name] = float(metric["value"])
    return values


TASKS = {"frames": (load, compare_frames, told), "batches": (load, compare_batches, told)}
