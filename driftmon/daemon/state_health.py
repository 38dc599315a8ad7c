"""State health: what a start had to do to its state, and what was found damaged in it, as metrics.

Law: `recovered` holds for the life of the process, so that a scrape cannot miss it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from driftmon.daemon.telemetry import gauge
from driftmon.render.catalogue import METRICS
from driftmon.render.openmetrics import Family

Source = Literal["generation", "empty"]

SOURCES: Final[tuple[Source, ...]] = ("generation", "empty")
TABLES: Final = (
    "alert", "change", "clock", "counter", "gathered", "journal", "label", "owed", "pane", "seen", "stream", "watched",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recovery:
    """What a start did about a damaged state.db; `generation` is empty where it began with nothing."""

    aside: str
    reason: str
    last_ms: int  # the last commit before the damage
    generation: str = ""
    taken_ms: int = 0

    @property
    def source(self) -> Source:
        return "generation" if self.generation else "empty"

    @property
    def lost_s(self) -> float | None:
        """Of the window between the generation and the last commit; None where all of it is lost."""
        return max(0, self.last_ms - self.taken_ms) / 1000 if self.generation else None


class StateHealth:
    """Written by whoever owns the store, read by whoever serves /metrics."""

    def __init__(self) -> None:
        self.recovery: Recovery | None = None
        self.generation_ms: int | None = None
        self._damaged: Counter[str] = Counter(dict.fromkeys(TABLES, 0))

    def damaged(self, table: str) -> None:
        """A row that cannot be used was left out."""
        self._damaged[table] += 1

    def families(self) -> Iterator[Family]:
        found = None if self.recovery is None else self.recovery.source
        yield Family(METRICS["driftmon_state_recovered"], [((one,), float(one == found)) for one in SOURCES])
        lost_s = 0.0 if self.recovery is None else self.recovery.lost_s
        if lost_s is not None:
            yield gauge("state_lost_seconds", lost_s)
        if self.generation_ms is not None:
            yield gauge("state_generation_timestamp_seconds", self.generation_ms / 1000)
        damaged = [((table,), float(rows)) for table, rows in sorted(self._damaged.items())]
        yield Family(METRICS["driftmon_state_damaged_rows_total"], damaged)
