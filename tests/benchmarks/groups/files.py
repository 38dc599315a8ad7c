"""Files: `reference build` and `replay`, as commands, over recorded records; and what a second core brings.

Law: CPU is that of the commands' processes, start included. `--jobs` is judged by wall time, as nothing else can be.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from tests.benchmarks.contenders.common import NUMERIC, TEXTS
from tests.benchmarks.data import columns_of
from tests.benchmarks.installed import environment
from tests.benchmarks.rows import Row
from tests.benchmarks.sizes import FULL, Size

ROUNDS: Final = 3
MINUTE_S: Final = 60
PANES: Final = 10_512  # a fiftieth of a year of minutes
RECORDS: Final = 200_000
GOAL_S: Final = 240 / 50  # of a year's four minutes
COPIES: Final = 16  # of the records, for two processes: a start counts for less
VERDICTS: Final = (0, 1, 3)  # a check may find drift, or too little data
RULES: Final = [
    {"name": "Fixed", "metric": "kl_divergence_debiased", "above": 0.1},
    {"name": "Calibrated", "calibrated": {"effect": "small", "false_alarms": "1/30d"}},
]


def rows(size: Size) -> Iterator[list[Row]]:
    records, panes, rounds = (RECORDS, PANES, ROUNDS) if size is FULL else (200, 10, 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recorded(folder / "events.ndjson", 1, 0, panes, records)
        configured(folder)
        build = ["reference", "build", "events.ndjson", "--config.file", "driftmon.yaml", "-o", "p.json"]
        row = Row("files", "reference build, NDJSON of 10 fields", "", "events a CPU second")
        yield [row.alone([records / _run(folder, build)[0] for _ in range(rounds)])]
        work = f"replay: {records:,} records of 10 fields, {panes:,} panes, a fixed and a calibrated rule"
        row = Row("files", work, "", "s of CPU", goal=GOAL_S, sense="<=")
        replay = ["replay", "events.ndjson", "--config.file", "driftmon.yaml", "--json"]
        yield [row.alone([_run(folder, replay)[0] for _ in range(rounds)])]
        (folder / "all.ndjson").write_bytes((folder / "events.ndjson").read_bytes() * COPIES)
        yield [_two_jobs(folder, ["reference", "build", "all.ndjson", "-o", "q.json"], rounds)]
        yield [_two_jobs(folder, ["check", "p.json", "all.ndjson"], rounds)]


def recorded(path: Path, seed: int, first_pane: int, panes: int, records: int) -> None:
    """So many records, evenly over the panes."""
    columns = columns_of(seed, records, 0.0)
    begin_s = 1.7e9 + first_pane * MINUTE_S
    seconds = np.linspace(begin_s, begin_s + panes * MINUTE_S, records, endpoint=False).round(3)
    names, lists = ["at", *columns], [seconds.tolist(), *(values.tolist() for values in columns.values())]
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        file.writelines(encode(dict(zip(names, row, strict=True))) + b"\n" for row in zip(*lists, strict=True))


def configured(folder: Path) -> None:
    """One stream, its reference p.json, a fixed and a calibrated rule."""
    kinds = {name: {"type": "numeric"} for name in NUMERIC} | {name: {"type": "categorical"} for name in TEXTS}
    stream = {
        "time": {"field": "at", "unit": "s"}, "reference": {"type": "file", "path": "p.json"}, "features": kinds,
        "windows": [{"name": "hour", "length": "1h"}],
    }  # fmt: skip
    tree = {"version": 1, "streams": {"s": stream}, "rules": RULES}
    (folder / "driftmon.yaml").write_text(json.dumps(tree))


def _run(folder: Path, arguments: list[str], codes: tuple[int, ...] = (0,)) -> tuple[float, float]:
    """CPU of the command and its children, and wall seconds; it may end with one of these codes."""
    command, environ = [sys.executable, "-m", "driftmon", *arguments], environment()
    before, began_s = os.times(), time.perf_counter()
    ended = subprocess.run(command, cwd=folder, env=environ, check=False, capture_output=True)
    assert ended.returncode in codes, ended.stderr.decode()
    wall_s, after = time.perf_counter() - began_s, os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system, wall_s


def _two_jobs(folder: Path, verb: list[str], rounds: int) -> Row:
    row = Row("files", f"{verb[0]} --jobs 2 (wall)", "one process", "s", goal=1.8)
    alone, both = ([*verb, "--config.file", "driftmon.yaml", "--jobs", jobs] for jobs in ("1", "2"))
    pairs = [(_run(folder, both, VERDICTS)[1], _run(folder, alone, VERDICTS)[1]) for _ in range(rounds)]
    two, one = zip(*pairs, strict=True)
    return row.measured(float(np.median(two)), float(np.median(one)), [b / a for a, b in pairs])
