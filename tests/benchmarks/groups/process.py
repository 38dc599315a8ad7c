"""The process by itself: how soon it is there, and how much memory it has when nothing happens."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

import driftmon
from tests.benchmarks import ready
from tests.benchmarks.installed import environment
from tests.benchmarks.rows import Row
from tests.benchmarks.running import configured, daemon
from tests.benchmarks.sizes import FULL, Size

TIMES: Final = 5
FEATURES: Final = 100
STATE_FEATURES: Final = 1000
SETTLED_S: Final = 3.0


def rows(size: Size) -> Iterator[list[Row]]:
    times, features, settled_s = (TIMES, STATE_FEATURES, SETTLED_S) if size is FULL else (1, 5, 0.1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield [_version(times), *_small(folder / "small", times, settled_s)]
        (folder / "large").mkdir()
        ready.made(folder / "large", features)
        again = [ready.restart(folder / "large") for _ in range(times)]
    work = f"run, until ready, with the state of an hour of {features:,} features x 64 bins"
    yield [Row("process", work, "", "s of CPU").alone([cpu_s for _, cpu_s in again])]


def _version(times: int) -> Row:
    found, environ = [], environment()
    for _ in range(times):
        before = os.times()
        subprocess.run([sys.executable, "-m", "driftmon", "--version"], check=True, capture_output=True, env=environ)
        after = os.times()
        found.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return Row("process", "driftmon --version", "", "s of CPU", goal=0.15, sense="<=").alone(found)


def _small(folder: Path, times: int, settled_s: float) -> list[Row]:
    draw = np.random.default_rng(1)
    reference = driftmon.reference_of({f"f{at}": draw.normal(size=2000) for at in range(FEATURES)})
    config = configured(folder, reference, {"sources": [{"type": "http"}]})
    cpu_s, resident_mb = [], []
    for number in range(times):
        with daemon(config, folder / f"state{number}") as one:
            cpu_s.append(one.cpu_s())
            time.sleep(settled_s)
            resident_mb.append(one.resident_mb())
    started = Row("process", f"run, until ready, {FEATURES} features", "", "s of CPU", goal=1.0, sense="<=")
    idle = Row("process", f"run, idle, {FEATURES} features: resident memory", "", "MB", goal=80.0, sense="<=")
    return [started.alone(cpu_s), idle.alone(resident_mb)]
