"""Where each metric of the catalogue finds its samples in a report: one small function each, and a table of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from driftmon.monitor.quantities import QUANTITIES, index_of
from driftmon.monitor.report import Report
from driftmon.monitor.rules import State
from driftmon.render.catalogue import INVALID_REASONS, OWN_VALUES, PREFIX, Metric, StreamFacts, judged_windows
from driftmon.stats.columns import Floats

Samples: TypeAlias = Iterable[tuple[tuple[str, ...], float]]
QUANTITY_METRICS: Final = frozenset(quantity.metric for quantity in QUANTITIES)
SPECIAL: Final[Mapping[str, Literal["missing", "invalid", "unseen"]]] = {
    "driftmon_missing_values_total": "missing",
    "driftmon_invalid_values_total": "invalid",
    "driftmon_unseen_values_total": "unseen",
}


@dataclass(frozen=True, slots=True)
class Exported:
    """A report and the positions of its features that are exported."""

    report: Report
    features: tuple[int, ...]

    @property
    def stream(self) -> str:
        return self.report.stream

    def named(self) -> Iterator[tuple[int, str]]:
        return ((index, self.report.schema.names[index]) for index in self.features)


def facts_of(report: Report) -> StreamFacts:
    """What decides how many series a report makes."""
    features = report.schema.features
    kinds = {feature.name: feature.kind for feature in features}
    return StreamFacts(report.stream, kinds, {f.name: f.binning.size for f in features}, report.windows)


def quantity(metric: Metric, one: Exported) -> Samples:
    """A row of the report's values; where it comes in twos, both."""
    label = next((label for label in metric.labels if label in OWN_VALUES), None)
    names = [(index, name) for index, name in one.named() if one.report.schema.features[index].kind in metric.only]
    for own in OWN_VALUES[label] if label else (None,):
        row = index_of(metric.quantity, {label: own} if label and own else {})
        for at, window in enumerate(one.report.windows):
            tail = (window.name,) if own is None else (window.name, own)
            values = one.report.values[at, row].tolist()
            for index, name in names:
                if math.isfinite(values[index]):
                    yield (one.stream, name, *tail), values[index]


def _status(_: Metric, one: Exported) -> Samples:
    report = one.report
    names = [name for _, name in one.named()] if report.schema.features else report.statuses
    for name in names:
        if name in report.statuses:
            yield (one.stream, name), float(report.statuses[name])


def _overdispersion(_: Metric, one: Exported) -> Samples:
    return _per_feature(one, one.report.overdispersion)


def _evidence(_: Metric, one: Exported) -> Samples:
    return ((labels, value) for labels, value in _per_feature(one, one.report.evidence_log10) if math.isfinite(value))


def _observations(_: Metric, one: Exported) -> Samples:
    if one.report.lifetime is not None and one.features:
        totals = one.report.schema.totals(one.report.lifetime.counts.astype(float)).tolist()
        for index, name in one.named():
            yield (one.stream, name), totals[index]


def _special(metric: Metric, one: Exported) -> Samples:
    if one.report.lifetime is not None:
        places = one.report.schema.special_bins(SPECIAL[metric.name]).tolist() if one.features else []
        for index, name in one.named():
            if places[index] >= 0:
                yield (one.stream, name), float(one.report.lifetime.counts[places[index]])


def _reasons(_: Metric, one: Exported) -> Samples:
    if one.report.lifetime is not None:
        for index, name in one.named():
            for reason in INVALID_REASONS[one.report.schema.features[index].kind]:
                yield (one.stream, name, reason), float(one.report.lifetime.invalid.get((name, reason), 0))


def _surprisal(_: Metric, one: Exported) -> Samples:
    if one.report.lifetime is not None:
        yield from _per_feature(one, one.report.lifetime.surprisal_nats)


def _last_observation(_: Metric, one: Exported) -> Samples:
    if one.report.lifetime is not None:
        seen = one.report.lifetime.last_observation_ms / 1000
        yield from ((labels, seconds) for labels, seconds in _per_feature(one, seen) if seconds > 0)


def _drift_seconds(_: Metric, one: Exported) -> Samples:
    return _per_feature(one, one.report.drift_seconds)


def _evaluated_seconds(_: Metric, one: Exported) -> Samples:
    return _per_feature(one, one.report.evaluated_seconds)


def _per_feature(one: Exported, values: Floats) -> Samples:
    for index, name in one.named():
        if index < len(values):
            yield (one.stream, name), float(values[index])


def _window_bins(_: Metric, one: Exported) -> Samples:
    for at, window in enumerate(one.report.windows):
        for name, label, count in _per_bin(one, one.report.pairs[at].live):
            yield (one.stream, name, window.name, label), count


def _lifetime_bins(_: Metric, one: Exported) -> Samples:
    if one.report.lifetime is not None:
        for name, label, count in _per_bin(one, one.report.lifetime.counts.astype(float)):
            yield (one.stream, name, label), count


def _reference_bins(_: Metric, one: Exported) -> Samples:
    for pair in one.report.pairs[:1]:
        for name, label, share in _per_bin(one, pair.p):
            yield (one.stream, name, label), share


def _bin_numbers(_: Metric, one: Exported) -> Samples:
    for index, name in one.named():
        for number, label in enumerate(one.report.schema.features[index].binning.labels()):
            yield (one.stream, name, label), float(number)


def _per_bin(one: Exported, flat: Floats) -> Iterator[tuple[str, str, float]]:
    schema = one.report.schema
    for index, name in one.named():
        for label, value in zip(
            schema.features[index].binning.labels(), flat[schema.bins(index)].tolist(), strict=True
        ):
            yield name, label, value


def _reference_observations(_: Metric, one: Exported) -> Samples:
    for pair in one.report.pairs[:1]:
        yield from _per_feature(one, pair.reference_total)


def _pseudocount(_: Metric, one: Exported) -> Samples:
    for pair in one.report.pairs[:1]:
        yield (one.stream,), pair.pseudocount


def _alert_state(_: Metric, one: Exported) -> Samples:
    """Every judged (feature, window) of a rule; those that are neither pending nor firing are inactive."""
    facts = facts_of(one.report)
    states = {alert.key: alert.state for alert in one.report.alerts}
    for rule in one.report.rules:
        names = [(name, name) for _index, name in one.named()] if rule.per == "feature" else [(None, "")]
        for watched, name in names:
            for window in judged_windows(rule, facts, watched):
                state = states.get((rule.name, one.stream, name, window.name), State.INACTIVE)
                yield (one.stream, name, window.name, rule.name, rule.severity), float(state)


def _reference_info(_: Metric, one: Exported) -> Samples:
    if one.report.schema.features:
        yield (one.stream, one.report.reference, one.report.reference_source), 1.0


def _reference_timestamp(_: Metric, one: Exported) -> Samples:
    if one.report.reference_built_ms is not None:
        yield (one.stream,), one.report.reference_built_ms / 1000


def _limit_exceeded(_: Metric, one: Exported) -> Samples:
    yield (one.stream,), float(len(one.report.schema.features) - len(one.features))


SOURCES: Final[Mapping[str, Callable[[Metric, Exported], Samples]]] = {
    PREFIX + name: source
    for name, source in {
        "window_bin_observations": _window_bins,
        "feature_status_code": _status,
        "overdispersion_ratio": _overdispersion,
        "evidence_log10": _evidence,
        "observations_total": _observations,
        "missing_values_total": _special,
        "invalid_values_total": _special,
        "unseen_values_total": _special,
        "invalid_value_reasons_total": _reasons,
        "surprisal_nats_total": _surprisal,
        "last_observation_timestamp_seconds": _last_observation,
        "drift_seconds_total": _drift_seconds,
        "evaluated_seconds_total": _evaluated_seconds,
        "bin_observations_total": _lifetime_bins,
        "reference_bin_ratio": _reference_bins,
        "bin_number": _bin_numbers,
        "reference_observations": _reference_observations,
        "smoothing_pseudocount": _pseudocount,
        "alert_state": _alert_state,
        "reference_info": _reference_info,
        "reference_timestamp_seconds": _reference_timestamp,
        "series_limit_exceeded": _limit_exceeded,
    }.items()
}
