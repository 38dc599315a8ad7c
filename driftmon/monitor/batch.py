"""Batch: rows on their way in. Receipt: what became of them.

Law: rows of a batch == counted + late + rejected, on every path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from driftmon.stats.columns import Column

Times: TypeAlias = NDArray[np.int64]

MAX_ERRORS: Final = 10  # the reply to an ingest request names at most so many


@dataclass(frozen=True, slots=True)
class LineError:
    """One record that could not be used: its 1-based line (or array position), a reason, a sentence."""

    line: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows in arrival order, as typed columns; one block may span many panes.

    `times_ms` is int64[rows], None where the stream goes by arrival time. `rejected` counts the
    records the format refused, by reason; they are not among the rows. `errors` names the first ten.
    Each row stands for `weight` records: more than 1 where the others were left out by chance.
    Rows of `extra` are no records of their own: joined pairs, each after the record that completed it.
    """

    rows: int
    columns: Mapping[str, Column]
    times_ms: Times | None = None
    rejected: Mapping[str, int] = field(default_factory=dict)
    errors: tuple[LineError, ...] = ()
    weight: int = 1
    extra: NDArray[np.bool_] | None = None

    def own_times_ms(self, stream: str) -> Times:
        """Where a stream goes by them; ValueError where there are none."""
        if self.times_ms is None:
            raise ValueError(f"stream {stream} goes by event time, the batch has none: give it times_ms")
        return self.times_ms


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch: rows counted, rows late, rows and records rejected by reason; pairs that were late."""

    counted: int
    late: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    late_pairs: int = field(default=0, repr=False)
