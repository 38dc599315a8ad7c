"""Data: the same records for everybody, as arrays, Parquet and NDJSON: seven numbers and three categories.

Law: made from a seed, so a run anywhere compares the same; live differs from the reference, so that there is drift.
Numbers have six decimals, and text says exactly what the arrays say.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tests.benchmarks.engine import FOLDER

NUMERIC: Final = tuple(f"n{at}" for at in range(7))
CATEGORICAL: Final = {"c0": 8, "c1": 40, "c2": 60}  # and how many words
NDJSON_ROWS: Final = 50_000  # at most
WORDS: Final = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel")


def numbers(draw: np.random.Generator, rows: int, moved: float) -> NDArray[np.float64]:
    """float64[7, rows]: bell curves near and far from 0, a wide one, heavy tails, and two of positive numbers."""
    columns = [
        draw.normal(moved, 1.0, rows),
        draw.normal(1000.0, 1.0 + moved, rows),
        draw.lognormal(moved, 1.0, rows),
        draw.standard_t(2, rows),
        draw.uniform(0.0, 1.0, rows),
        draw.exponential(1.0, rows),
        draw.normal(0.0, 1e5, rows),
    ]
    return np.array(columns).round(6)


def words(draw: np.random.Generator, rows: int, many: int, moved: float) -> NDArray[np.str_]:
    """Frequencies as in language: the n-th most frequent word has a share like 1/n."""
    vocabulary = np.array([f"{WORDS[at % len(WORDS)]}-{at}" for at in range(many)])
    shares = (1.0 + np.arange(many)) ** -(1.0 - moved)
    return vocabulary[draw.choice(many, size=rows, p=shares / shares.sum())]


def columns_of(seed: int, rows: int, moved: float) -> dict[str, NDArray[Any]]:
    draw = np.random.default_rng(seed)
    found: dict[str, NDArray[Any]] = dict(zip(NUMERIC, numbers(draw, rows, moved), strict=True))
    return {**found, **{name: words(draw, rows, many, moved) for name, many in CATEGORICAL.items()}}


def lines(columns: dict[str, NDArray[Any]], rows: int) -> bytes:
    lists = [columns[name][:rows].tolist() for name in columns]
    return "".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in zip(*lists, strict=True)).encode()


def put(path: Path, write: Callable[[Path], object]) -> None:
    """A file that is there whole or not at all, whoever else writes the same just now."""
    whole = path.with_name(f"{os.getpid()}-{path.name}")
    write(whole)
    whole.rename(path)


def data_of(live_rows: int, reference_rows: int) -> Path:
    """The folder of that data, made where it is not there yet."""
    folder = FOLDER / "data" / f"{live_rows}-{reference_rows}"
    if (folder / "live.ndjson").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    normal = np.random.default_rng(3).normal(size=live_rows)
    put(folder / "normal.npy", lambda path: np.save(path, normal))
    for name, seed, rows, moved in (("reference", 1, reference_rows, 0.0), ("live", 2, live_rows, 0.1)):
        columns = columns_of(seed, rows, moved)
        array, table = np.array([columns[one] for one in NUMERIC]), pa.table(columns)
        put(folder / f"{name}.npy", partial(np.save, arr=array))
        put(folder / f"{name}.parquet", partial(pq.write_table, table))
    text = lines(columns, min(live_rows, NDJSON_ROWS))
    put(folder / "live.ndjson", lambda path: path.write_bytes(text))
    return folder
