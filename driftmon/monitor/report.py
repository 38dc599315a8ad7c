"""Report: what one tick found; immutable, so that readers need no lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftmon.monitor.labels import LabelsNow
from driftmon.monitor.panes import Window
from driftmon.monitor.quantities import QUANTITIES, index_of
from driftmon.monitor.report_dict import report_dict
from driftmon.monitor.rules import Alert, Change, Rule
from driftmon.stats.columns import Floats
from driftmon.stats.divergences import Pair
from driftmon.stats.schema import Counts, Schema


class Status(IntEnum):
    """What `driftmon_feature_status_code` says; the JSON has the name in lower case."""

    OK = 0
    SIGNIFICANT = 1
    DRIFT = 2
    INSUFFICIENT_DATA = 3
    WEAK_REFERENCE = 4
    WARMING_UP = 5
    STALE = 6


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Counters since the stream began; they only grow.

    `counts` int64[width] per bin, `surprisal_nats` float64[features] = sum of -ln p(x) under the
    reference of its time, `invalid` by (feature, reason), `last_observation_ms` int64[features]
    (arrival time, 0 = never).
    """

    counts: Counts
    surprisal_nats: Floats
    invalid: Mapping[tuple[str, str], int]
    last_observation_ms: NDArray[np.int64]


@dataclass(frozen=True)
class Report:
    """Shapes: W windows, D = len(QUANTITIES), F features. A warming-up stream has W = F = 0 here.

    `values[w, d, f]` is QUANTITIES[d] of feature f in window w, NaN where it has no meaning;
    `pairs[w]` holds P and Q of that window, bin by bin; `alerts` are the pending and firing ones;
    `changes` are the transitions since the report before. `statuses` names every feature.
    """

    stream: str
    now_ms: int
    schema: Schema
    windows: tuple[Window, ...]
    values: Floats
    pairs: tuple[Pair, ...]
    statuses: Mapping[str, Status]
    alerts: tuple[Alert, ...] = ()
    changes: tuple[Change, ...] = ()
    rules: tuple[Rule, ...] = ()
    lifetime: Lifetime | None = None
    reference: str = ""  # which counts P is made of: Snapshot.identity
    reference_source: str = ""
    reference_built_ms: int | None = None
    warmup: tuple[int, int] | None = None  # observations seen and needed, while the reference is gathered
    restarts: int = 0  # how often the warm-up found its own reference unstable and began again
    unstable: str = ""  # why, the last time
    reference_needed: Floats = field(default_factory=lambda: np.zeros(0))  # n that a calibrated rule's effect wants
    drift_seconds: Floats = field(default_factory=lambda: np.zeros(0))
    evaluated_seconds: Floats = field(default_factory=lambda: np.zeros(0))
    evidence_log10: Floats = field(default_factory=lambda: np.zeros(0))
    overdispersion: Floats = field(default_factory=lambda: np.zeros(0))
    labels: LabelsNow | None = None  # of a stream whose labels come later
    live_overdispersion: Floats = field(default_factory=lambda: np.zeros(0))  # while `notify_after` runs, else NaN

    def value(self, window: int, feature: int, name: str, **labels: str) -> float:
        """One number by its metric name without prefix and unit: value(0, 0, "entropy", distribution="live")."""
        return float(self.values[window, index_of(name, labels), feature])

    def as_dict(self) -> dict[str, Any]:
        """The JSON of `GET /api/v1/report`, for this one stream."""
        return report_dict(self)

    @property
    def shape(self) -> tuple[int, int, int]:
        return (len(self.windows), len(QUANTITIES), len(self.schema.features))
