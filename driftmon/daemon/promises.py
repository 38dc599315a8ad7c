"""Promises: what a calibrated rule holds to, in words, and what keeps it from doing so.

Law: one budget covers every feature of every stream, for each calibrated rule that watches it; `family` counts
them, so the mean of R that an alarm must raise is over all of what may raise one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from driftmon.daemon.settings import StreamSettings
from driftmon.monitor.blocks import ROWS
from driftmon.monitor.calibration import Calibration, evidence_pane_ms
from driftmon.monitor.panes import finest_pane_ms, span
from driftmon.monitor.rules import Calibrated, Detector, Rule
from driftmon.monitor.snapshot import Snapshot
from driftmon.stats.dispersion import MIN_BLOCKS
from driftmon.stats.divergences import Pair
from driftmon.stats.sizing import reference_needed

# Of one value, measured with river 0.26 on one core of 2.4 GHz; KSWIN makes a test of each.
COST_US: Final[Mapping[str, float]] = {
    "ADWIN": 0.5, "KSWIN": 700, "PageHinkley": 1.5, "DDM": 1.5, "EDDM": 1, "FHDDM": 1, "HDDM_A": 7, "HDDM_W": 7
}  # fmt: skip


def family(rules: Iterable[Rule], streams: Iterable[StreamSettings]) -> int:
    """How many share the budget of false alarms: features, once for each calibrated rule on them, at least 1."""
    calibrated = [rule for rule in rules if rule.calibrated is not None]
    return max(sum(len(features(rule, stream)) for stream in streams for rule in calibrated), 1)


def features(rule: Rule, stream: StreamSettings) -> list[str]:
    """The features of a stream that a rule watches in some window."""
    names = (spec.name for spec in stream.features if rule.judges(spec.kind))
    return [name for name in names if any(rule.watches(stream.name, name, window.name) for window in stream.windows)]


def promise(rule: Rule, calibrated: Calibrated, streams: Iterable[StreamSettings], members: int) -> str:
    """One line for people; `members` is the size of the family."""
    watching = [stream for stream in streams if features(rule, stream)]
    panes_ms = sorted({evidence_pane_ms(finest_pane_ms(stream.windows), calibrated.pane_ms) for stream in watching})
    panes = " or ".join(f"{calibrated.budget_ms // pane_ms} panes of {span(pane_ms)}" for pane_ms in panes_ms)
    own = sum(len(features(rule, stream)) for stream in watching)
    over = f"{own} feature{'s' if own > 1 else ''} of {len(watching)} stream{'s' if len(watching) > 1 else ''}"
    shared = f", all calibrated rules together ({members} pairs of rule and feature)" if members > own else ""
    what = f"mean {words_of(rule)} risen by" if rule.mean else "drift of"
    later = f"; nobody is told in the first {span(rule.notify_after_ms)}" if rule.notify_after_ms else ""
    return (
        f"{what} at least {calibrated.effect:g} nats, by evidence, an alert per {rule.per}; "
        f"at most one false alarm in {span(calibrated.budget_ms)} over {over}{shared}, {panes}{later}"
    )


def detecting(rule: Rule, detector: Detector, watched: int) -> str:
    """The same of a rule that goes by river: what it costs, and that no budget covers it."""
    params = "".join(f", {name} {value}" for name, value in detector.params.items())
    held = "a window" if detector.hold_ms is None else span(detector.hold_ms)
    over = f"{watched} feature{'s' if watched != 1 else ''}" if watched else "nothing"
    return (
        f"{detector.river} of river{params}, on the {detector.of} of {over}; a flag holds for {held}; its false alarms "
        f"are its own, in no budget; about {COST_US[detector.river]:g} us a value, of one core"
    )


def unmeasured(reference: Snapshot) -> tuple[str, str] | None:
    """(fault, cure) where nothing is known of how the reference's rows hang together."""
    if reference.dispersion:
        return None
    fault = "it holds too few blocks of records to measure dispersion, so calibrated rules assume independent rows"
    return fault, f"build it from {MIN_BLOCKS} panes of time or more, or {MIN_BLOCKS * ROWS} records in their order"


def too_weak(calibrated: Calibrated, rule: Rule, stream: StreamSettings, reference: Snapshot) -> tuple[str, str] | None:
    """(fault, cure) where the reference may be off by more than half the effect by itself."""
    schema, counts = reference.schema, reference.counts.astype(np.float64)
    watched = np.isin(schema.names, features(rule, stream))
    nothing = Pair(schema, counts, np.zeros(schema.width), stream.pseudocount)
    weighing = Calibration(calibrated, schema, nothing, reference.measured_dispersion(), 1, 1, watched)
    weak = weighing.weak & (nothing.reference_total > 0)
    if not weak.any():
        return None
    radius = weighing.weigher.radius
    worst = int(np.argmax(np.where(weak, radius, 0.0)))
    n = nothing.reference_total[worst]
    if not np.isfinite(radius[worst]):
        return (
            f"{stream.name}.{schema.names[worst]} has no rows to take a mean of in the reference",
            "build a larger one",
        )
    if rule.mean:  # what a mean is off by falls with the root of n at worst
        needed = _upwards(n * (2 * float(radius[worst]) / calibrated.effect) ** 2)
    else:
        needed = _needed(int(schema.sizes[worst]), calibrated, n / weighing.weigher.worth[worst])
    others = f", {int(weak.sum()) - 1} more like it" if weak.sum() > 1 else ""
    fault = (
        f"{stream.name}.{schema.names[worst]} has {n:.0f} observations in the reference, "
        f"not enough to tell {calibrated.effect:g} nats from its own error{others}"
    )
    larger = _upwards(2 * float(radius[worst]))
    return fault, f"build it from {needed:.0f} records, or use effect: {larger:g}"


def short_warm_up(calibrated: Calibrated, observations: int, bins: Mapping[str, int]) -> tuple[str, str] | None:
    """The same of a reference still to be gathered, with at most so many bins per feature; half of what is wise."""
    if not bins or calibrated.mean:  # how much a mean scatters is not known before
        return None
    worst = max(bins, key=lambda name: bins[name])
    needed = _needed(bins[worst], calibrated, 1.0)
    if observations >= needed / 2:
        return None
    fault = f"{observations} records may be too few to tell {calibrated.effect:g} nats from the reference's own error"
    return f"{fault}, {worst} has up to {bins[worst]} bins", f"use {needed}, or a larger effect"


def words_of(rule: Rule) -> str:
    return rule.mean.replace("_", " ")


def _needed(bins: int, calibrated: Calibrated, phi: float) -> int:
    return int(reference_needed(np.array([float(bins)]), calibrated.effect, np.array([phi]))[0])


def _upwards(value: float) -> float:
    """Two digits, rounded up.

    >>> _upwards(0.04213), _upwards(0.3)
    (0.043, 0.3)
    """
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return round(math.ceil(round(value / unit, 6)) * unit, 12)
