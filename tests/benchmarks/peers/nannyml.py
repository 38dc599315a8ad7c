"""nannyml 0.13: Jensen-Shannon distance of every column, in ten chunks as by default or in chunks of 1,000 rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nannyml as nml
import pandas as pd

from tests.benchmarks.contenders.common import NUMERIC, TEXTS


def load(folder: Path, batches: int = 0) -> Any:
    reference, live = (pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "live"))
    return reference, live.head(1000 * batches) if batches else live, {"chunk_size": 1000} if batches else {}


def compare(state: Any) -> Any:
    reference, live, chunks = state
    calculator = nml.UnivariateDriftCalculator(
        column_names=[*NUMERIC, *TEXTS], treat_as_categorical=list(TEXTS),
        continuous_methods=["jensen_shannon"], categorical_methods=["jensen_shannon"], **chunks,
    )  # fmt: skip
    return calculator.fit(reference).calculate(live)


def compare_frames(state: Any) -> tuple[int, Any]:
    return len(state[0]) + len(state[1]), compare(state)


def compare_batches(state: Any) -> tuple[int, Any]:
    return len(state[1]) // 1000, compare(state)


def told(found: Any) -> Any:
    table = found.filter(period="analysis").to_df()
    return {name: float(table[(name, "jensen_shannon", "value")].iloc[-1]) for name in (*NUMERIC, *TEXTS)}


TASKS = {"frames": (load, compare_frames, told), "batches": (load, compare_batches, told)}
