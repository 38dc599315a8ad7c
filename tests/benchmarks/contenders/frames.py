"""The data as DataFrames, for those who count frames; apart from common.py, because it needs pandas."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tests.benchmarks.contenders.common import TEXTS


def load_frames(folder: Path, text: str = "arrow") -> list[pd.DataFrame]:
    """Reference and live; texts are Python strings ("object") or Arrow's ("arrow")."""
    frames = [pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "live")]
    if text == "object":
        return [frame.astype(dict.fromkeys(TEXTS, object)) for frame in frames]
    return frames
