"""By hand: SQL in duckdb over the same tables, loaded before the clock starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from tests.benchmarks.contenders.common import BINS, NUMERIC, TEXTS, kl, told_features


def load_frames(folder: Path) -> Any:
    database = duckdb.connect()
    for name in ("reference", "live"):
        database.execute(f"CREATE TABLE {name} AS SELECT * FROM '{folder / name}.parquet'")
    return database


def compare_frames(database: Any) -> tuple[int, Any]:
    """One query for all quantiles, one for each table's histograms: bins hold their upper edge."""
    levels = [at / BINS for at in range(1, BINS)]
    columns = ", ".join(f"quantile_disc({name}, {levels})" for name in NUMERIC)
    edges = dict(zip(NUMERIC, database.execute(f"SELECT {columns} FROM reference").fetchone(), strict=True))
    numbers = [f"histogram({name}, {edges[name]}::DOUBLE[])" for name in NUMERIC]
    query = ", ".join([*numbers, *(f"histogram({name})" for name in TEXTS), "count(*)"])
    both = [database.execute(f"SELECT {query} FROM {table}").fetchone() for table in ("reference", "live")]
    found: dict[str, Any] = {}
    for name, p, q in zip((*NUMERIC, *TEXTS), both[0], both[1], strict=False):
        if name in edges:
            bins, p_counts, q_counts = edges[name], list(p.values()), list(q.values())
            p_counts, q_counts = (each + [0] * (len(bins) + 1 - len(each)) for each in (p_counts, q_counts))
        else:
            bins = list(p)
            p_counts, q_counts = list(p.values()), [q.get(word, 0) for word in p]
        found[name] = (bins, p_counts, q_counts, kl(p_counts, q_counts))
    return both[0][-1] + both[1][-1], found


TASKS = {"frames": (load_frames, compare_frames, told_features)}
