"""Proposal: of all rules tried, the one that catches most, soonest, for as few alerts as a person will bear.

Law: the snippet is the rule that was tried, no other; what a configuration reads from it is what ran.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from driftmon.cli.support.replay_trials import Candidate, Cell
from driftmon.monitor.panes import span
from driftmon.monitor.rules import Rule
from driftmon.render.replay_words import lasting

DAY_MS: Final = 86_400_000


def best(
    tried: Sequence[Candidate],
    per_day: Mapping[str, float],
    columns: Mapping[str, Sequence[Cell]],
    reach_ms: int,
    budget_ms: int,
) -> tuple[int, str]:
    """The number of the candidate to propose, and why, in a sentence."""
    rows = [[column[at] for column in columns.values()] for at in range(len(tried))]
    waits = [float(np.mean([_wait_ms(cell, reach_ms) for cell in row] or [0.0])) for row in rows]
    quiet = [at for at, one in enumerate(tried) if per_day[one.label] * budget_ms <= DAY_MS]
    if quiet:
        at = min(quiet, key=lambda at: (waits[at], tried[at].rule.calibrated is None, at))
        return at, (
            f"Of all rows with at most one alert in {span(budget_ms)} it sees the shifts soonest, a missed one counted "
            f"as {lasting(reach_ms)}."
        )
    at = min(range(len(tried)), key=lambda at: (per_day[tried[at].label], waits[at], at))
    return at, (
        f"No row stays within one alert in {span(budget_ms)}: this data drifts. This one alerts least; if what it "
        "finds is normal by now, build a new reference that holds it."
    )


def _wait_ms(cell: Cell, reach_ms: int) -> float:
    """
    >>> _wait_ms(Cell(10.0, 1, 2), 100)
    55.0
    """
    if cell.delay_ms is None:
        return float(reach_ms)
    return (cell.caught * cell.delay_ms + (cell.tried - cell.caught) * reach_ms) / cell.tried


def snippet(rule: Rule) -> str:
    """The rule as the configuration writes it."""
    return "rules:\n  - " + "\n    ".join(_lines(rule)) + "\n"


def _lines(rule: Rule) -> Iterator[str]:
    if rule.calibrated is not None:
        calibrated = rule.calibrated
        pane = "" if calibrated.pane_ms is None else f", pane: {span(calibrated.pane_ms)}"
        yield "name: DriftmonDrift"
        yield f'calibrated: {{effect: {calibrated.effect:g}, false_alarms: "1/{span(calibrated.budget_ms)}"{pane}}}'
    else:
        yield "name: DriftmonFeatureDrift"
        yield f"metric: {rule.metric}"
        yield f"above: {rule.above:g}"
        if rule.resolve_below is not None:
            yield f"resolve_below: {rule.resolve_below:g}"
        yield f"min_observations: {rule.min_observations}"
    if rule.pending_for_ms:
        yield f"for: {span(rule.pending_for_ms)}"
    if rule.keep_firing_for_ms:
        yield f"keep_firing_for: {span(rule.keep_firing_for_ms)}"
    if rule.window != "*":
        yield f"window: {json.dumps(rule.window)}"
    if rule.labels:
        yield f"labels: {json.dumps(dict(rule.labels))}"
