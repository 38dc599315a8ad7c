"""Labels: how delayed labels fared, as families of the catalogue.

Law: every outcome is there from the start, at zero, so that `increase()` sees the first.
"""

from __future__ import annotations

from collections.abc import Mapping

from driftmon.monitor.labels import AGES_S
from driftmon.monitor.report import Report
from driftmon.render.catalogue import METRICS
from driftmon.render.openmetrics import Family, Histogram


def label_families(reports: Mapping[str, Report]) -> list[Family]:
    """Of the streams that join labels; none where there are none."""
    found = [(report.stream, report.labels) for report in reports.values() if report.labels is not None]
    if not found:
        return []
    outcomes = [((stream, outcome), float(times)) for stream, now in found for outcome, times in now.outcomes]
    ages = [((stream,), Histogram(AGES_S, now.ages, now.ages_ms / 1000)) for stream, now in found]
    return [
        Family(METRICS["driftmon_labels_total"], outcomes),
        Family(
            METRICS["driftmon_labels_waiting"], [((stream,), float(now.predictions_waiting)) for stream, now in found]
        ),
        Family(METRICS["driftmon_label_age_seconds"], ages),
    ]
