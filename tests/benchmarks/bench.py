"""Figures that a reader may want to check: counting through `reference build`, and one tick of 1,000 features.

Best of several runs on one core; a shared machine makes ratios of it, no promises.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from driftmon.cli.support.counting import reference
from driftmon.cli.support.inputs import input_of
from driftmon.cli.support.records import Refusals
from driftmon.daemon.config import loads
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.references import reference_of

EVENTS = 300_000
CONFIG = b"""\
version: 1
streams:
  bench:
    reference: {type: file, path: bench.json}
    features:
      n0: {type: numeric}
      n1: {type: numeric}
      n2: {type: numeric}
      n3: {type: numeric}
      n4: {type: numeric}
      n5: {type: numeric}
      c0: {type: categorical}
      c1: {type: categorical}
      c2: {type: categorical}
      b0: {type: boolean}
"""


def best_s(runs: int, action: Callable[[], object]) -> float:
    """Seconds of the fastest run."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return min(times)


def events(chance: random.Random) -> bytes:
    """NDJSON of ten fields."""
    lines = []
    for _ in range(EVENTS // 100):
        numbers = {f"n{at}": round(chance.gauss(0, 1), 4) for at in range(6)}
        words = {f"c{at}": chance.choice("abcdefgh") for at in range(3)}
        lines.append(json.dumps({**numbers, **words, "b0": chance.random() < 0.5}) + "\n")
    return "".join(lines).encode() * 100


def counting(folder: Path) -> float:
    """Events a second through both passes of `reference build`."""
    path = folder / "events.ndjson"
    path.write_bytes(events(random.Random(1)))
    stream = loads(CONFIG, folder / "driftmon.yaml", {}).streams["bench"]
    return EVENTS / best_s(3, lambda: reference([input_of(str(path))], stream, Refusals()))


def ticking() -> float:
    """Milliseconds to evaluate all quantities of 1,000 features of 16 bins in one window."""
    chance = np.random.default_rng(1)
    columns = {f"f{at}": chance.normal(size=2000) for at in range(1000)}
    monitor = Monitor(reference_of(columns), (Window.sliding("w", 3_600_000),))
    monitor.observe_columns(columns, time_ms=0)
    return 1000 * best_s(20, lambda: monitor.tick(1000))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(f"reference build, NDJSON of 10 fields: {counting(Path(folder)):,.0f} events/s\n")
    sys.stdout.write(f"tick, 1,000 features x 16 bins: {ticking():.1f} ms\n")


if __name__ == "__main__":
    main()
