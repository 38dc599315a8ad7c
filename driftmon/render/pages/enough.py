"""Enough: whether there is data enough to see the effect one cares about, and how much more it takes.

Law: noise must stay below the effect; what the reference cannot show no amount of live data will.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from driftmon.monitor.report import Report, Status
from driftmon.render.pages.marks import DEFAULT_THRESHOLD
from driftmon.render.pages.ranking import threshold_of
from driftmon.render.pages.words import count
from driftmon.stats.sizing import live_needed, reference_needed


def sentences(report: Report, window: int, feature: int) -> Iterator[str]:
    """How the observations there are compare with those that are needed."""
    name, where = report.schema.names[feature], report.windows[window].name
    effect = threshold_of(report, name, where) or DEFAULT_THRESHOLD
    have, phi = _observed(report, window, feature)
    bins = np.array([float(report.schema.sizes[feature])])
    reference = float(report.pairs[window].reference_total[feature])
    needed = float(live_needed(bins, effect, np.array([phi]), np.array([reference]))[0])
    if report.statuses[name] is Status.WEAK_REFERENCE and math.isfinite(needed):
        yield (
            f"The reference has {count(reference)} observations, too few for a verdict by evidence; "
            "driftmon check-config says how many it takes"
        )
    worth = f"{phi:.3g} dependent observations count as one" if phi >= 1.2 else ""
    if math.isinf(needed):
        wanted = float(reference_needed(bins, effect, np.array([phi]))[0])
        yield (
            f"The reference has {count(reference)} observations, too few to tell {effect:g} nats from its own error; "
            f"build it from about {count(wanted)}"
        )
    elif have >= needed:
        yield f"Enough: {count(have)} observations, and {count(needed)} keep noise below {effect:g} nats"
    else:
        yield (
            f"About {count(math.ceil(needed - have))} more observations are needed before noise stays below "
            f"{effect:g} nats: there are {count(have)} of {count(needed)}"
        )
    if worth:
        yield worth
    yield from _by_rule(report, name, where, report.value(window, feature, "window_observations"))


def _observed(report: Report, window: int, feature: int) -> tuple[float, float]:
    """How many observations the window stands for, and how many dependent ones count as one."""
    observed = report.value(window, feature, "window_observations")
    effective = report.value(window, feature, "effective_observations")
    if not effective > 0:
        return 0.0, 1.0
    if report.windows[window].half_life_ms is None:
        return observed, observed / effective
    phi = float(report.overdispersion[feature]) if feature < len(report.overdispersion) else 1.0
    return effective * phi, phi


def _by_rule(report: Report, feature: str, window: str, observed: float) -> Iterator[str]:
    for rule in report.rules:
        if rule.calibrated is not None or rule.detector is not None or not rule.watches(report.stream, feature, window):
            continue
        if observed < rule.min_observations:
            lacking = count(math.ceil(rule.min_observations - observed))
            yield f"{rule.name} judges from {count(rule.min_observations)} on: {lacking} more"
