"""What a configuration means for the rules of its fleet."""

from __future__ import annotations

from collections.abc import Iterator

from driftmon.daemon.promises import features
from driftmon.daemon.settings import Config, StreamSettings
from driftmon.monitor.calibration import evidence_pane_ms
from driftmon.monitor.panes import finest_pane_ms
from driftmon.monitor.rules import Rule
from driftmon.render.rule_plan import Budget, Judged, Plan, Threshold, literal, regex_of

MERGED = "kl_divergence_debiased"  # the metric of fixed thresholds that the fleet's counts can be held against


def plan_of(config: Config) -> Plan:
    """The plan of a configuration: each of its rules, for all pods of a job together."""
    fixed = [rule for rule in config.rules if rule.calibrated is None or rule.mean]
    return Plan(
        tuple(_budgets(config)),
        tuple(_threshold(rule) for rule in fixed if rule.metric == MERGED),
        tuple(Judged(rule.name, _labels(rule), rule.annotations) for rule in fixed if rule.metric != MERGED),
        bins=config.metrics.bins == "window",
        burn=config.metrics.set == "full",
    )


def _budgets(config: Config) -> Iterator[Budget]:
    """One per kind of stream: the exported evidence is that of the first calibrated rule on the divergence."""
    found: dict[tuple[float, float, str], list[str]] = {}
    for stream in config.streams.values():
        rule = _first(config.rules, stream)
        if rule is None or rule.calibrated is None:
            continue
        pane_ms = evidence_pane_ms(finest_pane_ms(stream.windows), rule.calibrated.pane_ms)
        key = (rule.calibrated.budget_ms / pane_ms, rule.calibrated.effect, regex_of(rule.features))
        found.setdefault(key, []).append(literal(stream.name))
    for (panes, effect, watched), streams in found.items():
        yield Budget(panes, effect, "|".join(streams), watched)


def _first(rules: tuple[Rule, ...], stream: StreamSettings) -> Rule | None:
    return next(
        (rule for rule in rules if rule.calibrated is not None and not rule.mean and features(rule, stream)), None
    )


def _threshold(rule: Rule) -> Threshold:
    return Threshold(
        rule.name,
        rule.above,
        rule.min_observations,
        rule.pending_for_ms,
        rule.keep_firing_for_ms,
        regex_of(rule.streams),
        regex_of(rule.features),
        regex_of(rule.window),
        _labels(rule),
        rule.annotations,
    )


def _labels(rule: Rule) -> dict[str, str]:
    return {**rule.labels, "severity": rule.severity}
