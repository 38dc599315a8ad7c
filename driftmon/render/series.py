"""Reports -> the samples of data and rules: which series there are, and what is left out where they would be too many.

Law: an exported feature has all its series, bins and alert states at zero included, so that
`increase()` sees the first event; an excess feature has none and is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

import numpy as np

from driftmon.monitor.panes import Window
from driftmon.monitor.report import Report
from driftmon.monitor.rules import Rule
from driftmon.render.catalogue import CATALOGUE, METRICS, Selection, feature_series, series_count, stream_series
from driftmon.render.columns import Column, Series
from driftmon.render.openmetrics import Family, Piece
from driftmon.render.samples import SOURCES, Exported, facts_of
from driftmon.stats.schema import Schema

Fixed: TypeAlias = "tuple[str, Schema, tuple[Window, ...], tuple[Rule, ...], tuple[str, ...]]"


class Layout:
    """The series of some reports, worked out once and good for all that `fit`."""

    def __init__(self, reports: Mapping[str, Report], selection: Selection) -> None:
        self._of = (selection, *map(_fixed, reports.values()))
        selection, exported = within_limit(reports, selection)
        self._features = [one.features for one in exported]
        self._series = {
            metric.name: [Series(metric, list(source.labels(metric, one))) for one in exported]
            for metric in CATALOGUE
            if selection.takes(metric) and (source := SOURCES.get(metric.name)) is not None
        }

    def fits(self, reports: Mapping[str, Report], selection: Selection) -> bool:
        """Whether these reports have the same series, though other values."""
        return self._of == (selection, *map(_fixed, reports.values()))

    def filled(self, reports: Mapping[str, Report]) -> Iterator[Piece]:
        """Every metric of data and rules, in the order of the catalogue."""
        exported = [Exported(*pair) for pair in zip(reports.values(), self._features, strict=True)]
        once = {family.metric.name: family for family in _once(reports.values())}
        for name, metric in METRICS.items():
            if name in once:
                yield once[name]
            elif name in self._series:
                values = SOURCES[name].values
                pairs = zip(self._series[name], exported, strict=True)
                yield Column(metric, [(series, values(series, one)) for series, one in pairs])


def families(reports: Mapping[str, Report], selection: Selection) -> list[Piece]:
    """All of it for one time."""
    return list(Layout(reports, selection).filled(reports))


def within_limit(reports: Mapping[str, Report], selection: Selection) -> tuple[Selection, list[Exported]]:
    """All that was selected if it fits the limit; else core only, with the features that fit, in their order."""
    facts = [facts_of(report) for report in reports.values()]
    rules = {rule.name: rule for report in reports.values() for rule in report.rules}
    if series_count(facts, tuple(rules.values()), selection) <= selection.limit:
        everything = [Exported(report, np.arange(len(report.schema.features))) for report in reports.values()]
        return selection, everything
    core = Selection(limit=selection.limit)
    room = core.limit - sum(stream_series(one, tuple(rules.values()), core) for one in facts) - len(rules)
    exported = []
    for fact, report in zip(facts, reports.values(), strict=True):
        kept = []
        for index, series in enumerate(feature_series(fact, report.rules, core).values()):
            if series <= room:
                kept.append(index)
                room -= series
        exported.append(Exported(report, np.array(kept, dtype=np.int64)))
    return core, exported


def _fixed(report: Report) -> Fixed:
    """What decides the series of a stream: its configuration, and what there is to tell of while it warms up."""
    gathered = () if report.schema.features else tuple(report.statuses)
    return report.stream, report.schema, report.windows, report.rules, gathered


def _once(reports: Iterable[Report]) -> Iterator[Family]:
    found = list(reports)
    thresholds = {(rule.name,): rule.above for one in found for rule in one.rules if not rule.detector}
    yield Family(METRICS["driftmon_rule_threshold"], list(thresholds.items()))
    references = [((one.stream, one.reference, one.reference_source), 1.0) for one in found if one.schema.features]
    yield Family(METRICS["driftmon_reference_info"], references)
