"""Placebo: real flights with their days shuffled, so that nothing drifts and each day keeps its own weather.

Law: the two days of the blizzard of February 2013, with 73 % of flights cancelled on the first, are left out:
an alarm on them is right, and every alarm on dep_delay, arr_delay, air_time and cancelled is on the first.
"""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

import driftmon
from driftmon.monitor.batch import Batch
from driftmon.monitor.warmup import joined, part
from driftmon.stats.columns import column_of
from driftmon.stats.dispersion import dispersion
from driftmon.stats.edges import FeatureSpec
from driftmon.stats.schema import Counts, Feature, Schema
from tests.simulate import others
from tests.simulate.engine import monitor_of, watch
from tests.simulate.tables import markdown, percent

SAMPLE: Final = Path(driftmon.__file__).parent / "data" / "flights.csv.gz"
SPECS: Final = (
    *(FeatureSpec(name, "numeric") for name in ("dep_delay", "arr_delay", "air_time", "distance", "hour")),
    *(FeatureSpec(name, "categorical") for name in ("carrier", "origin")),
    FeatureSpec("cancelled", "boolean"),
)
HISTORY: Final = 180  # days of reference
BUDGET: Final = 1000.0  # days
WEEK: Final = 7
BLIZZARD: Final = ("2013-02-08", "2013-02-09")


@cache
def flights() -> tuple[Batch, ...]:
    """The sample, a batch a day (UTC) but the first and the last, which the year in New York cuts, and the blizzard."""
    with gzip.open(SAMPLE, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {spec.name: column_of(spec.kind, [_value(spec, row[spec.name]) for row in rows]) for spec in SPECS}
    days = np.array([row["time"][:10] for row in rows])
    firsts = np.flatnonzero(np.concatenate(([True], days[1:] != days[:-1]))).tolist()
    whole = Batch(len(rows), columns)
    stretches = list(zip(firsts, [*firsts[1:], len(rows)], strict=True))[1:-1]
    return tuple(part(whole, low, high) for low, high in stretches if days[low] not in BLIZZARD)


def _value(spec: FeatureSpec, cell: str) -> object:
    if cell == "" or spec.kind == "categorical":
        return cell or None
    return float(cell) if spec.kind == "numeric" else cell == "true"


@cache
def schema() -> Schema:
    """Bins chosen from the whole year: shuffling days does not change them."""
    whole = joined(flights(), SPECS)
    return Schema(tuple(spec.fit(whole.columns[spec.name]) for spec in SPECS))


@cache
def days() -> Counts:
    """int64[days, width]: the counts of each day."""
    return np.array([schema().count(schema().codes(day.columns, day.rows)) for day in flights()])


@dataclass(frozen=True)
class Placebo:
    """Per feature, over all shuffles: runs that alarmed, that were significant, and share of chi-square's looks."""

    alarmed: Counts
    significant: Counts
    chi_square: list[float]


def placebo(shuffles: int, seed: int = 15) -> Placebo:
    """HISTORY shuffled days are the reference, the others are live, a pane a day."""
    rng, one, many = np.random.default_rng(seed), schema(), range(shuffles)
    counts = np.concatenate([days()[rng.permutation(len(days()))] for _ in many], axis=1)
    all_runs = Schema(tuple(_renamed(feature, run) for run in many for feature in one.features))
    history, live = counts[:HISTORY], counts[HISTORY:]
    monitor = monitor_of(all_runs, history.sum(axis=0), dispersion(all_runs, history), budget=BUDGET)
    seen = watch(monitor, live)
    shape = (shuffles, len(one.features))
    rates = []
    for feature in range(len(one.features)):
        bins = np.concatenate([np.arange(one.width)[one.bins(feature)] + run * one.width for run in many])
        size = int(one.sizes[feature])
        looks = others.windows(live[:, bins], size, WEEK)
        rates.append(
            float(others.chi_square(looks, history[:, bins].sum(axis=0).reshape(-1, size).astype(float)).mean())
        )
    alarmed, significant = seen.alarmed(len(live)), np.isfinite(seen.significant(BUDGET))
    return Placebo(alarmed.reshape(shape).sum(axis=0), significant.reshape(shape).sum(axis=0), rates)


def _renamed(feature: Feature, run: int) -> Feature:
    return replace(feature, name=f"{feature.name}/{run}")


def placebo_table(shuffles: int) -> str:
    """Alarms on flights whose days were shuffled."""
    found = placebo(shuffles)
    rows = [
        [name, f"{found.alarmed[at]} of {shuffles}", f"{found.significant[at]}", percent(found.chi_square[at])]
        for at, name in enumerate(schema().names)
    ]
    live = len(days()) - HISTORY
    head = [
        "feature",
        f"alarms in {live} days",
        f"significant (bound {shuffles * live / BUDGET:.1f})",
        "chi-square: weekly looks",
    ]
    return markdown(head, rows)
