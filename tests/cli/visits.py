"""Visits: days of records with their own times, and a stretch of drift in the middle of them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MARCH_MS = 1_362_096_000_000  # 2013-03-01
HOUR_MS = 3_600_000
STEP_MS = 40_000
HOURS = 60
DRIFT_HOURS = (24, 36)

CONFIG = """\
version: 1
streams:
  visits:
    time: {field: t, unit: ms}
    reference: {type: file, path: visits.reference.json}
    features:
      x: {type: numeric}
      c: {type: categorical}
      ok: {type: boolean}
    tick: 100ms
    windows: [{name: w, length: 20h}]
rules:
  - {name: Far, metric: kl_divergence_debiased, above: 0.1, resolve_below: 0.05, for: 40m, min_observations: 200}
  - {name: Sure, calibrated: {effect: medium, false_alarms: "1/30d"}, per: stream, notify_after: 30d}
"""


def visits(hours: int, drift: tuple[int, int] = (0, 0), seed: int = 1) -> Iterator[dict[str, Any]]:
    """One every 40 s; between two hours `x` lies one standard deviation higher."""
    chance = random.Random(seed)
    for number in range(hours * HOUR_MS // STEP_MS):
        time_ms = MARCH_MS + number * STEP_MS
        shift = drift[0] <= (time_ms - MARCH_MS) // HOUR_MS < drift[1]
        yield {
            "t": time_ms,
            "x": round(chance.gauss(float(shift), 1.0), 3),
            "c": chance.choices("abc", (5, 3, 2))[0],
            "ok": chance.random() < 0.7,
        }


def write(path: Path, hours: int, drift: tuple[int, int] = (0, 0), seed: int = 1) -> Path:
    path.write_text("".join(json.dumps(visit) + "\n" for visit in visits(hours, drift, seed)))
    return path
