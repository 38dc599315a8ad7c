"""Engine: the shipped Monitor over counts per pane, as `run` and `replay` drive it, and what it said when.

Law: nothing here judges. Runs are features of one schema, because one close weighs all features at once;
each is a stream of its own and has the budget to itself, unless `shared` says that they are one stream.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, Literal
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.rules import Calibrated, Change, Rule
from driftmon.monitor.snapshot import Snapshot
from driftmon.stats.columns import Floats
from driftmon.stats.dispersion import Dispersion, as_dict
from driftmon.stats.schema import Counts, Schema

PANE_MS: Final = 60_000
BUDGET: Final = 10_000.0  # A: panes between false alarms
EFFECT: Final = 0.02


@dataclass(frozen=True)
class Seen:
    """Per run: the panes at whose close its alert fired and was resolved, and log10 R at every close."""

    fired: list[list[int]]
    resolved: list[list[int]]
    evidence: Floats
    changes: list[Change]

    def delay(self, since: int = 0) -> Floats:
        """float64[runs]: panes from `since` to the first firing after it, inf where there is none."""
        waits = [[pane - since + 1 for pane in panes if pane >= since] for panes in self.fired]
        return np.array([min(wait, default=math.inf) for wait in waits])

    def alarmed(self, before: int) -> NDArray[np.bool_]:
        """bool[runs]: fired in a pane before this one."""
        return np.array([any(pane < before for pane in panes) for panes in self.fired])

    def significant(self, budget: float = BUDGET) -> Floats:
        """float64[runs]: panes to the first R >= A, whatever the effect; inf where there is none."""
        over = self.evidence >= math.log10(budget)
        return np.where(over.any(axis=0), over.argmax(axis=0) + 1.0, math.inf)


def alone(log_r: Floats, log_a: float, family: int) -> NDArray[np.bool_]:
    """bool[F]: R >= A, feature by feature: each is the only one of its stream."""
    return np.asarray(log_r >= log_a)


def monitor_of(
    schema: Schema,
    reference: Counts,
    found: Dispersion | None = None,
    effect: float = EFFECT,
    budget: float = BUDGET,
    per: Literal["feature", "stream"] = "feature",
) -> Monitor:
    """A monitor with one calibrated rule, panes of a minute and a window of an hour."""
    kept = {} if found is None else as_dict(schema, found, "time")
    calibrated = Calibrated(effect, round(budget * PANE_MS), PANE_MS)
    rule = Rule("Drift", "kl_divergence_debiased", above=effect, calibrated=calibrated, per=per)
    return Monitor(Snapshot(schema, reference, dispersion=kept), (Window.sliding("fast", 60 * PANE_MS),), (rule,))


def watch(monitor: Monitor, panes: Iterable[Counts], shared: bool = False) -> Seen:
    """Count pane after pane, close each, and write down what changed."""
    numbers = {name: index for index, name in enumerate(monitor.schema.names)}
    happened: dict[str, list[list[int]]] = {"firing": [[] for _ in numbers], "resolved": [[] for _ in numbers]}
    evidence, changes = [], []
    budgets: AbstractContextManager[Any] = patch("driftmon.monitor.calibration.flagged", alone)
    with nullcontext() if shared else budgets:
        for pane, counts in enumerate(panes):
            monitor.count_snapshot(Snapshot(monitor.schema, counts))
            report = monitor.tick((pane + 1) * PANE_MS)
            evidence.append(report.evidence_log10)
            for change in report.changes:
                changes.append(change)
                if change.event in happened and change.alert.feature:
                    happened[change.event][numbers[change.alert.feature]].append(pane)
    return Seen(happened["firing"], happened["resolved"], np.array(evidence), changes)
