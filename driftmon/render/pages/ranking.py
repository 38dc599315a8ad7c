"""Ranking: which features a page of the overview shows, and in what order. Arrays, so that thousands cost nothing.

Law: by default that feature comes first whose debiased KL exceeds its noise floor most, in the window where
it does so most; what has no value comes last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from driftmon.monitor.quantities import index_of
from driftmon.monitor.report import Report, Status
from driftmon.render.pages.words import URGENCY

PAGE: Final = 50
SORTS: Final = {
    "excess": "excess over noise",
    "status": "status",
    "evidence": "evidence",
    "seen": "longest unseen",
    "name": "name",
}


@dataclass(frozen=True, slots=True)
class Query:
    """What the reader asked for, from the URL; anything unknown is as if it were not there."""

    search: str = ""
    stream: str = ""
    status: str = ""
    sort: str = "excess"
    page: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """One feature; `window` is that of the largest excess, -1 while the reference is gathered."""

    report: Report
    feature: int
    name: str
    status: Status
    window: int = -1
    value: float = math.nan
    floor: float = math.nan
    evidence: float = math.nan
    seen_ms: int = 0

    @property
    def excess(self) -> float:
        return self.value - self.floor


def rows_of(report: Report) -> list[Row]:
    """One row a feature, in the order of the schema."""
    if not report.schema.features or not report.windows:
        return [Row(report, at, name, status) for at, (name, status) in enumerate(report.statuses.items())]
    values = report.values[:, index_of("kl_divergence_debiased")]
    floors = report.values[:, index_of("kl_noise_floor")]
    excess = np.where(np.isnan(values - floors), -np.inf, values - floors)
    window = excess.argmax(axis=0)
    features = np.arange(len(report.schema.features))
    evidence = report.evidence_log10 if len(report.evidence_log10) else np.full(len(features), np.nan)
    seen = np.zeros(len(features)) if report.lifetime is None else report.lifetime.last_observation_ms
    columns = (window, values[window, features], floors[window, features], evidence, seen)
    return [
        Row(report, at, name, report.statuses[name], *row)
        for at, (name, *row) in enumerate(
            zip(report.schema.names, *(column.tolist() for column in columns), strict=True)
        )
    ]


def worst_window(report: Report, feature: int) -> int:
    """Where one feature exceeds its noise floor most."""
    excess = (
        report.values[:, index_of("kl_divergence_debiased"), feature]
        - report.values[:, index_of("kl_noise_floor"), feature]
    )
    return int(np.where(np.isnan(excess), -np.inf, excess).argmax())


def chosen(rows: Sequence[Row], query: Query) -> list[Row]:
    """Those asked for, in the order asked for."""
    needle = query.search.casefold()
    kept = [
        row
        for row in rows
        if (not needle or needle in row.name.casefold())
        and (not query.stream or row.report.stream == query.stream)
        and (not query.status or row.status.name.lower() == query.status)
    ]
    return sorted(kept, key=lambda row: (_rank(row, query.sort), row.report.stream, row.feature))


def _rank(row: Row, sort: str) -> tuple[float | str, ...]:
    if sort == "name":
        return (row.name.casefold(),)
    if sort == "seen":
        return (row.seen_ms,)
    excess = -row.excess if math.isfinite(row.excess) else math.inf
    if sort == "evidence":
        return (-row.evidence if math.isfinite(row.evidence) else math.inf, excess)
    return (URGENCY.index(row.status), excess) if sort == "status" else (excess,)


def tally(rows: Sequence[Row]) -> Mapping[Status, int]:
    """How many features are in each state, the urgent ones first; states nobody is in are left out."""
    counts = dict.fromkeys(URGENCY, 0)
    for row in rows:
        counts[row.status] += 1
    return {status: number for status, number in counts.items() if number}


def threshold_of(report: Report, feature: str, window: str) -> float | None:
    """The lowest threshold on the debiased KL that watches a feature in a window, an effect included."""
    watching = (
        rule.above
        for rule in report.rules
        if rule.metric == "kl_divergence_debiased" and rule.watches(report.stream, feature, window)
    )
    return min(watching, default=None)
