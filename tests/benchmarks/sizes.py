"""Size: how much a run does. FULL measures; SHORT only proves that everything runs and computes the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Size:
    live_rows: int
    reference_rows: int
    rounds: int
    warm_ups: int
    events: int  # one at a time
    batches: int  # of 1,000 rows
    seconds: float  # under load


FULL: Final = Size(1_000_000, 100_000, 5, 1, 50_000, 100, 4.0)
SHORT: Final = Size(3_000, 2_000, 1, 0, 200, 2, 0.2)
