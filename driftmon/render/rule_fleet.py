"""Recording rules that need no bins: the fleet's cross-entropy from two counters, and one budget for all pods.

Law: the mean of e-detectors is an e-detector. R of a feature, averaged over the pods of a job, and flagged where k
features reach A F / k, raises the first false alarm of the whole job on average no sooner than after A panes,
whatever the number of pods, of features, and their dependence; one daemon's own budget would hold for each pod.

The price: a shift in one pod of P is diluted, and needs P times the evidence (ln P / KL more observations).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from driftmon.render.rule_merges import FLEET, STREAM
from driftmon.render.rule_plan import Budget, Plan
from driftmon.render.rule_text import Group, Recording

LONGER: Final = ("1h", "1d")
MANY: Final = (1024, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1)  # k at powers of two: at most a factor 2 above the best k

SURPRISED: Final = "feature:driftmon_surprisal_nats:rate5m"
OBSERVED: Final = "feature:driftmon_observations:rate5m"
DRIFTING: Final = "feature:driftmon_drift_seconds:rate5m"
EVALUATED: Final = "feature:driftmon_evaluated_seconds:rate5m"
SHARE: Final = "feature:driftmon_evidence_budget_ratio:mean"
FAMILY: Final = "job:driftmon_evidence_features:count"
NEEDED: Final = "job:driftmon_evidence_budget_ratio:needed"
PODS: Final = "job:driftmon_evidence_instances:count"
POD_SHARE: Final = "instance:driftmon_evidence_budget_ratio:current"
EFFECT: Final = "feature:driftmon_kl_divergence_debiased_nats:mean"
OBSERVATIONS: Final = "feature:driftmon_window_observations:sum"
DRIFTED: Final = "feature:driftmon_drifted:evidence"


def group(plan: Plan) -> Group:
    """In the order in which one rule needs another."""
    budget = _budget(plan.budgets) if plan.budgets else ()
    return Group("driftmon-fleet", [*_cross_entropy(), *_effect(), *budget, *(_burn() if plan.burn else ())])


def _cross_entropy() -> Iterator[Recording]:
    yield _summed("driftmon_surprisal_nats_total", SURPRISED)
    yield _summed("driftmon_observations_total", OBSERVED)
    yield Recording(
        "feature:driftmon_cross_entropy_nats:rate5m",
        f"{SURPRISED} / ({OBSERVED} > 0)",
        why="H(Q,P), the mean of -ln p(x), over any range and any pods, from two counters per feature. Less H(P)\n"
        "it is a signed sign of drift, not KL: it cannot see a shift between equally likely bins.",
    )
    for over in LONGER:
        yield Recording(
            f"feature:driftmon_cross_entropy_nats:rate{over}",
            f"avg_over_time({SURPRISED}[{over}])\n/ (avg_over_time({OBSERVED}[{over}]) > 0)",
        )


def _summed(counter: str, record: str) -> Recording:
    """The rate over all pods: longer ranges are taken of this one series, not of those of all pods again."""
    return Recording(record, f"sum by ({STREAM}, feature) (rate({counter}[5m]))")


def _burn() -> Iterator[Recording]:
    yield _summed("driftmon_drift_seconds_total", DRIFTING)
    yield _summed("driftmon_evaluated_seconds_total", EVALUATED)


def _effect() -> Iterator[Recording]:
    by = f"{STREAM}, feature, window"
    yield Recording(OBSERVATIONS, f"sum by ({by}) (driftmon_window_observations)")
    yield Recording(
        EFFECT,
        f"sum by ({by}) (driftmon_window_observations * driftmon_kl_divergence_debiased_nats)\n/ ({OBSERVATIONS} > 0)",
        why="How far the pods are from P, weighted by their observations: the merged KL, and how pods differ among\n"
        "themselves on top. A pod's weight is its traffic.",
    )


def _budget(budgets: tuple[Budget, ...]) -> Iterator[Recording]:
    own = "\nor\n".join(f"10 ^ driftmon_evidence_log10{one.selector} / {one.panes:g}" for one in budgets)
    yield Recording(
        POD_SHARE, own, why="R / A: evidence in budgets; without drift it is t / A on average after t panes."
    )
    yield Recording(
        SHARE,
        f"avg by ({STREAM}, feature) ({POD_SHARE})",
        why="The mean over pods is an e-detector too: one budget for the job, however many pods it has.",
    )
    yield Recording(FAMILY, f"count by ({FLEET}) ({SHARE})")
    yield Recording(PODS, f"count by ({FLEET}) (count by ({FLEET}, instance) ({POD_SHARE}))")
    yield Recording(
        NEEDED,
        "\nor\n".join(_enough(k) for k in MANY),
        why="e-d-BH over the features of the job: F / k for the largest k that so many features reach.",
    )
    flagged = f"({SHARE} >= on ({FLEET}) group_left () {NEEDED})"
    enough = "\n  or\n".join(f"  {EFFECT}{one.selector} >= {one.effect:g}" for one in budgets)
    yield Recording(
        DRIFTED,
        f"{flagged}\nand on ({STREAM}, feature) (\n{enough}\n)",
        why="Evidence within the budget, and an effect that matters in some window.",
    )


def _enough(k: int) -> str:
    needed = f"({FAMILY} / {k})"
    reached = f"count by ({FLEET}) ({SHARE} >= on ({FLEET}) group_left () {needed})"
    return f"{needed} and on ({FLEET}) ({reached} >= {k})"
