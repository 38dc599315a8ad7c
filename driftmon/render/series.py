"""Reports -> families of samples: which series there are, and what is left out where they would be too many.

Law: an exported feature has all its series, bins and alert states at zero included, so that
`increase()` sees the first event; an excess feature has none and is counted.
"""

from __future__ import annotations

from collections.abc import Mapping

from driftmon.monitor.report import Report
from driftmon.render.catalogue import (
    CATALOGUE,
    Metric,
    Selection,
    feature_series,
    series_count,
    stream_series,
)
from driftmon.render.openmetrics import Family
from driftmon.render.samples import QUANTITY_METRICS, SOURCES, Exported, Samples, facts_of, quantity


def families(reports: Mapping[str, Report], selection: Selection) -> list[Family]:
    """Every family of data and rules that has a sample; the daemon adds its own."""
    selection, exported = within_limit(reports, selection)
    taken = [metric for metric in CATALOGUE if selection.takes(metric)]
    found = [Family(metric, list(_samples(metric, exported))) for metric in taken]
    return [family for family in found if family.samples]


def within_limit(reports: Mapping[str, Report], selection: Selection) -> tuple[Selection, list[Exported]]:
    """All that was selected if it fits the limit; else core only, with the features that fit, in their order."""
    facts = [facts_of(report) for report in reports.values()]
    rules = {rule.name: rule for report in reports.values() for rule in report.rules}
    if series_count(facts, tuple(rules.values()), selection) <= selection.limit:
        everything = [Exported(report, tuple(range(len(report.schema.features)))) for report in reports.values()]
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
        exported.append(Exported(report, tuple(kept)))
    return core, exported


def _samples(metric: Metric, exported: list[Exported]) -> Samples:
    if metric.name == "driftmon_rule_threshold":
        yield from {
            (rule.name,): rule.above for one in exported for rule in one.report.rules if not rule.detector
        }.items()
    source = quantity if metric.name in QUANTITY_METRICS else SOURCES.get(metric.name)
    if source is not None:
        for one in exported:
            yield from source(metric, one)
