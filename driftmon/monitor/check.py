"""Check: one comparison of everything there is with the reference, in one window named `all`.

Law: the same counts give the same report, byte for byte; time plays no part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.report import Report
from driftmon.monitor.rules import Calibrated, Rule
from driftmon.monitor.snapshot import Snapshot

EVERYTHING: Final = Window.everything("all")

# What applies without `rules:`; the same three stand in the example configuration.
DEFAULT_RULES: Final = (
    Rule(
        "DriftmonFeatureDrift",
        "kl_divergence_debiased",
        above=0.1,
        resolve_below=0.05,
        pending_for_ms=300_000,
        keep_firing_for_ms=600_000,
        min_observations=500,
        labels={"severity": "warning"},
    ),
    Rule("DriftmonSchemaBreak", "invalid_ratio", above=0.05),
    Rule(
        "DriftmonDrift",
        "kl_divergence_debiased",
        above=0.02,
        calibrated=Calibrated(effect=0.02, budget_ms=30 * 86_400_000),
        per="stream",
    ),
)


def one_shot(
    reference: Snapshot, rules: Sequence[Rule] = DEFAULT_RULES, *, stream: str = "data", pseudocount: float = 0.5
) -> Monitor:
    """A monitor that counts whatever comes, by no clock: rules of any window apply to `all`, and they do not wait."""
    at_once = [replace(rule, window="*", pending_for_ms=0, keep_firing_for_ms=0) for rule in rules]
    return Monitor(reference, (EVERYTHING,), at_once, stream=stream, pseudocount=pseudocount)


def check(reference: Snapshot, live: Any, rules: Sequence[Rule] = DEFAULT_RULES) -> Report:
    """Compare a DataFrame, an Arrow table, a mapping of columns or another snapshot with a reference.

    >>> from driftmon.monitor.references import reference_of
    >>> reference = reference_of({"x": [0.0, 1.0] * 500})
    >>> check(reference, {"x": [1.0] * 1000}).statuses["x"].name
    'DRIFT'
    """
    monitor = one_shot(reference, rules)
    if isinstance(live, Snapshot):
        monitor.count_snapshot(live)
    else:
        monitor.observe_columns(live)
    return monitor.tick(0)
