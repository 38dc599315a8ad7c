"""How long state.db takes: T1, T2 and a load, with 1,000 features of 64 bins and 60 panes; prints a table.

Law: the daemon's own Store, Stream and keeper's order of calls; nothing is written that a daemon would not write.

    python -m tests.benchmarks.storage [--rounds 200] [--features 1000]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final

import numpy as np
import yaml

from driftmon.daemon.config import load
from driftmon.daemon.store import Store
from driftmon.daemon.streams import Stream, build_streams
from driftmon.monitor.snapshot import Snapshot
from driftmon.sources.base import Block
from driftmon.stats.binnings import numeric
from driftmon.stats.schema import Feature, Schema

MINUTE_MS: Final = 60_000
BINS: Final = 62  # with the two open ones 64, besides those of missing and invalid values
Table = dict[str, list[tuple[float, float]]]


def stream_of(folder: Path, features: int) -> Stream:
    edges = tuple(np.linspace(-3, 3, BINS + 1).tolist())
    schema = Schema(tuple(Feature(f"f{index:04d}", numeric.Binning(edges)) for index in range(features)))
    reference = Snapshot(schema, np.full(schema.width, 100, dtype=np.int64))
    (folder / "p.json").write_bytes(reference.to_bytes())
    settings = {
        "reference": {"type": "file", "path": "p.json"},
        "features": {feature.name: {"type": "numeric"} for feature in schema.features},
        "windows": [{"name": "hour", "length": "1h"}],
    }
    path = folder / "driftmon.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "streams": {"s": settings}, "rules": []}))
    return build_streams(load(path, {}), {"s": reference})["s"]


def block_of(features: int, rows: int, seed: int) -> Block:
    values = np.random.default_rng(seed).normal(size=(rows, features)).round(3)
    lines = [json.dumps({f"f{index:04d}": value for index, value in enumerate(row)}) for row in values.tolist()]
    return Block("s", "http", "ndjson", ("\n".join(lines) + "\n").encode(), origin="http")


def timed(table: Table, name: str, do: Callable[[], Any]) -> Any:
    wall_s, cpu_s = time.perf_counter(), time.thread_time()
    found = do()
    table.setdefault(name, []).append((time.perf_counter() - wall_s, time.thread_time() - cpu_s))
    return found


def measure(folder: Path, features: int, rounds: int) -> Table:
    """The clock moves on a second a round, so that panes close and are folded as in a daemon."""
    table: Table = {}
    one, store = stream_of(folder, features), Store(folder / "state")
    streams = {"s": one}
    blocks = {rows: [block_of(features, rows, seed) for seed in range(4)] for rows in (1, 100)}
    for minute in range(60):
        one.observe(blocks[100][minute % 4], minute * MINUTE_MS)
        one.tick(minute * MINUTE_MS)
    at_ms = 60 * MINUTE_MS
    timed(table, "first T2 of a new state", lambda: store.checkpoint(streams, {}, at_ms))
    for number in range(rounds):
        for rows, ready in blocks.items():
            one.observe(ready[number % 4], at_ms)
            timed(table, f"T1 of {rows} records", partial(store.commit, streams, {}, at_ms))
        one.observe(blocks[1][number % 4], at_ms)
        timed(table, "before a tick", lambda: store.ticking(streams))
        one.tick(at_ms)
        timed(table, "after a tick", lambda: store.closed_panes(streams))
        timed(table, "T2", partial(store.checkpoint, streams, {}, at_ms))
        at_ms += 1000
    store.close()
    store, again = Store(folder / "state"), stream_of(folder, features)
    saved = timed(table, "load", lambda: store.load("s"))
    timed(table, "restore", lambda: again.restore(saved))
    again.tick(at_ms)
    timed(table, "first T2 after a restart", lambda: store.checkpoint({"s": again}, {}, at_ms))
    store.close()
    return table


SPREAD: Final = f"{'times':>6} {'p50':>8} {'p99':>8} {'most':>8}"


def spread(found: Sequence[float]) -> str:
    """How many, and their middle, p99 and most, below SPREAD."""
    p99 = quantiles(found, n=100)[98] if len(found) > 1 else found[0]
    return f"{len(found):>6} {median(found):>8.2f} {p99:>8.2f} {max(found):>8.2f}"


def shown(table: Table) -> str:
    lines = [f"{'ms':<26} {SPREAD} {'CPU mean':>9}"]
    for name, found in table.items():
        walls, cpus = [1000 * wall for wall, _ in found], [1000 * cpu for _, cpu in found]
        lines.append(f"{name:<26} {spread(walls)} {sum(cpus) / len(cpus):>9.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--features", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(shown(measure(Path(folder), options.features, options.rounds)) + "\n")


if __name__ == "__main__":
    main()
