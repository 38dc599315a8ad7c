"""The data as DataFrames, for those who count frames; apart from common.py, because it needs pandas."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tests.benchmarks.contenders.common import TEXTS


def load_frames(folder: Path, text: str = "arrow") -> list[pd.DataFrame]:
    """Reference and live; texts are Arrow's ("arrow"), or Python strings ("object", "objects").

    Of "object" each text is one string for all its rows, as the peers' pandas 2 and `read_csv` make them; of "objects"
    each row has a string of its own, as pandas 3 does it.
    """
    frames = [pd.read_parquet(folder / f"{name}.parquet") for name in ("reference", "live")]
    steps = {"arrow": (), "object": ("category", object), "objects": (object,)}[text]
    for step in steps:
        frames = [frame.astype(dict.fromkeys(TEXTS, step)) for frame in frames]
    return frames
