"""Alerting rules for the fleet: few, each about something one can act upon, one alert for one cause.

Law: an alert is about a job, one of its streams or a feature, never about each pod; its labels hold nothing that
moves. Drift is a warning: it pages nobody unless the site says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from driftmon.render.rule_fleet import (
    DRIFTED,
    DRIFTING,
    EFFECT,
    EVALUATED,
    FAMILY,
    OBSERVATIONS,
    POD_SHARE,
    PODS,
)
from driftmon.render.rule_merges import DEBIASED, FLEET, INSTANCE, STREAM, N
from driftmon.render.rule_plan import MINUTE_MS, WARNING, Budget, Judged, Plan, Threshold, selector
from driftmon.render.rule_text import Alerting, Group, quoted

INFO: Final = {"severity": "info"}
OBJECTIVE: Final = 0.99  # share of the judged time in which a feature is to be like its reference, over 30 days
# Of the SRE workbook: how many times too fast a budget burns, over a long window and a short one; half the long one.
BURNS: Final = (
    (14.4, "1h", "5m", "30m", "fast"),
    (6.0, "6h", "30m", "3h", "medium"),
    (1.0, "3d", "6h", "36h", "slow"),
)
REJECTED: Final = 0.05
FAILED: Final = 0.1
WHERE: Final = "stream {{ $labels.stream }} of job {{ $labels.job }}"


def groups(plan: Plan) -> list[Group]:
    """Drift, and whether driftmon itself can see it."""
    return [Group("driftmon-drift", [*_drift(plan)]), Group("driftmon-health", [*_data(), *_daemon()])]


def names(plan: Plan) -> frozenset[str]:
    """The names of the alerts."""
    return frozenset(rule.alert for group in groups(plan) for rule in group.rules if isinstance(rule, Alerting))


def _drift(plan: Plan) -> Iterator[Alerting]:
    if plan.budgets:
        yield _stream_drift()
        yield _pod_drift(plan.budgets)
    for threshold in plan.thresholds:
        yield _threshold(threshold, plan.bins)
    for judged in plan.judged:
        yield _judged(judged)
    if plan.burn:
        yield from map(_burn, BURNS)


def _stream_drift() -> Alerting:
    strongest = f'printf "topk(5, {DRIFTED}{{job=%q, stream=%q}})" $labels.job $labels.stream | query'
    top = f"{{{{ range {strongest} }}}} {{{{ .Labels.feature }}}}{{{{ end }}}}"
    return Alerting(
        "DriftmonStreamDrift",
        f"count by ({STREAM}) ({DRIFTED})",
        "The data of a stream have left their reference, by evidence.",
        "{{ $value }} features of " + WHERE + " have drifted, over all pods together; the surest are:" + top + ". "
        "Without drift this happens at most once in the budget of false alarms for the whole job.",
        keep_firing_for_ms=10 * MINUTE_MS,
        labels=WARNING,
    )


def _pod_drift(budgets: tuple[Budget, ...]) -> Alerting:
    enough = "\n  or\n".join(
        f"  driftmon_kl_divergence_debiased_nats{one.selector} >= {one.effect:g}" for one in budgets
    )
    return Alerting(
        "DriftmonPodDrift",
        f"count by ({STREAM}, feature) (\n"
        f"  (\n    {POD_SHARE} >= on ({FLEET}) group_left () ({FAMILY} * {PODS})\n  )\n"
        f"  and on ({INSTANCE}, feature) (\n{_indented(enough)}\n  )\n)\n"
        f"unless on ({STREAM}, feature) {DRIFTED}",
        "A feature has drifted in single pods, not in the job as a whole.",
        "{{ $value }} pods see feature {{ $labels.feature }} of " + WHERE + " away from its reference, with evidence "
        "that holds for all pods and features together; the mean over the pods is still like the reference.",
        pending_for_ms=2 * MINUTE_MS,
        keep_firing_for_ms=10 * MINUTE_MS,
        labels=WARNING,
        why="A shift in one pod is diluted in the mean: its effect by its traffic, its evidence by 1 / pods.\n"
        "R / A >= features x pods in one pod is within the very same budget. A drift of the whole job may be here an\n"
        "evaluation earlier than in the mean, which is recorded: so it waits.",
    )


def _threshold(one: Threshold, bins: bool) -> Alerting:
    where = selector(stream=one.streams, feature=one.features, window=one.windows)
    by = f"{STREAM}, feature, window"
    merged = f"{DEBIASED}{where} > {one.above:g} and {N} >= {one.min_observations}"
    mean = f"{EFFECT}{where} > {one.above:g} and {OBSERVATIONS} >= {one.min_observations}"
    expr = f"max by ({by}) ({merged})\nor\n({mean}) unless on ({by}) {DEBIASED}" if bins else mean
    return Alerting(
        one.alert,
        expr,
        f"The KL divergence of a feature is above {one.above:g} nats.",
        "KL(Q||P) less noise of feature {{ $labels.feature }} of " + WHERE + ", window {{ $labels.window }}, is "
        f'{{{{ printf "%.3f" $value }}}} nats over all pods; the threshold is {one.above:g}.',
        one.pending_for_ms,
        one.keep_firing_for_ms,
        one.labels,
        one.annotations,
        runbook="DriftmonFeatureDrift",
        why="Of the merged counts where pods export their bins; else of the pods, weighted." if bins else "",
    )


def _judged(one: Judged) -> Alerting:
    unreadable = "Values of a feature can no longer be read as its type."
    return Alerting(
        one.alert,
        f"count by ({STREAM}, feature, window) (driftmon_alert_state{{rule={quoted(one.alert)}}} == 2)",
        unreadable if one.alert == "DriftmonSchemaBreak" else "A rule of the configuration is broken.",
        f"{{{{ $value }}}} pods report {one.alert} for "
        "{{ with $labels.feature }}feature {{ . }} of {{ end }}" + WHERE + ", window {{ $labels.window }}.",
        labels=one.labels,
        annotations=one.annotations,
        runbook="DriftmonSchemaBreak",
    )


def _burn(burn: tuple[float, str, str, str, str]) -> Alerting:
    factor, long, short, half, speed = burn
    limit = factor * (1 - OBJECTIVE)
    ratio = f"avg_over_time({DRIFTING}[%s]) / (avg_over_time({EVALUATED}[%s]) > 0) > {limit:g}"
    return Alerting(
        "DriftmonDriftBudgetBurn",
        f"{ratio % (long, long)}\nand\n{ratio % (short, short)}\nand\n{EVALUATED} offset {half} > 0",
        "A feature spends too much of its time in drift.",
        "Feature {{ $labels.feature }} of " + WHERE + " was in drift {{ $value | humanizePercentage }} of the last "
        f"{long}; 1 % over 30 days is the objective, this is {factor:g} times as fast.",
        labels={**WARNING, "burn": speed},
        why="Needs `metrics: {set: full}`. A series younger than half of the long window says nothing yet."
        if speed == "fast"
        else "",
    )


def _data() -> Iterator[Alerting]:
    yield Alerting(
        "DriftmonNoData",
        f"sum by ({STREAM}) (increase(driftmon_ingest_records_total[15m])) == 0",
        "A stream receives no records.",
        "No pod has received a record for " + WHERE + " in the last 15 minutes; nothing is watched.",
        pending_for_ms=15 * MINUTE_MS,
        labels=WARNING,
    )
    yield Alerting(
        "DriftmonStale",
        f"count by ({STREAM}, feature) (driftmon_feature_status_code == 6)\n"
        f"/ count by ({STREAM}, feature) (driftmon_feature_status_code) > 0.5\n"
        f"unless on ({STREAM}) (sum by ({STREAM}) (increase(driftmon_ingest_records_total[15m])) == 0)",
        "A feature has not been seen for long, though its stream receives records.",
        "Feature {{ $labels.feature }} of " + WHERE + " is stale in {{ $value | humanizePercentage }} of the pods.",
        pending_for_ms=5 * MINUTE_MS,
        labels=WARNING,
    )
    yield Alerting(
        "DriftmonIngestRejecting",
        f"sum by ({STREAM}) (rate(driftmon_ingest_records_rejected_total[15m]))\n"
        f"/ sum by ({STREAM}) (rate(driftmon_ingest_records_total[15m])) > {REJECTED:g}",
        "Records cannot be used.",
        "{{ $value | humanizePercentage }} of the records of " + WHERE + " are rejected; the reasons are the label "
        "`reason` of driftmon_ingest_records_rejected_total.",
        pending_for_ms=10 * MINUTE_MS,
        labels=WARNING,
    )
    yield Alerting(
        "DriftmonMixedReferences",
        f"count by ({STREAM}) (\n"
        f'  count by ({STREAM}, reference) (driftmon_reference_info{{source!~"warm-up.*|the .+"}})\n) > 1',
        "Pods compare the same stream with different references.",
        "{{ $value }} references are in use for " + WHERE + "; their pods are not added, so each part of the fleet "
        "is judged by itself.",
        pending_for_ms=60 * MINUTE_MS,
        labels=INFO,
        why="An hour is a slow rollout. What pods gather for themselves, or trail, differs on purpose.",
    )


def _daemon() -> Iterator[Alerting]:
    yield Alerting(
        "DriftmonDown",
        f"count by ({FLEET}) (\n"
        f"  up == 0\n  and on ({FLEET}) count by ({FLEET}) (count_over_time(driftmon_build_info[1d]))\n)",
        "driftmon cannot be scraped.",
        "{{ $value }} targets of job {{ $labels.job }} are down; what they watch is not judged.",
        pending_for_ms=5 * MINUTE_MS,
        labels=WARNING,
        why="Of jobs that have shown driftmon within a day: no name of a job needs to be known here.",
    )
    yield Alerting(
        "DriftmonConfigReloadFailed",
        f"count by ({FLEET}) (driftmon_config_last_reload_successful == 0)",
        "A configuration was not loaded; the old one stays.",
        "{{ $value }} pods of job {{ $labels.job }} refused their new configuration and go on with the old one.",
        pending_for_ms=5 * MINUTE_MS,
        labels=WARNING,
    )
    yield Alerting(
        "DriftmonStateRecovered",
        f"count by ({FLEET}) (max without (source) (driftmon_state_recovered) == 1)",
        "The state of a driftmon was damaged; it went on with a copy of it, or empty.",
        "{{ $value }} pods of job {{ $labels.job }} found their state damaged when they started; what was counted "
        "since the copy is lost, except what sources could give again.",
        labels=WARNING,
        why="1 as long as that process lives; it ends with the next orderly restart.",
    )
    yield Alerting(
        "DriftmonNotificationsFailing",
        f"sum by ({FLEET}, sink) (rate(driftmon_alert_notifications_failed_total[15m]))\n"
        f"/ (sum by ({FLEET}, sink) (rate(driftmon_alert_notifications_total[15m])) > 0) > {FAILED:g}",
        "Alerts that driftmon sends itself do not arrive.",
        "{{ $value | humanizePercentage }} of the notifications of job {{ $labels.job }} to sink {{ $labels.sink }} "
        "fail.",
        pending_for_ms=10 * MINUTE_MS,
        labels=WARNING,
    )


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
