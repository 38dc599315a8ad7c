"""Where each metric of the catalogue finds its samples in a report: which series there are, and their values.

Law: series depend on what a configuration fixes, values on the report; a series without a value now is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Literal, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from driftmon.monitor.quantities import QUANTITIES, index_of
from driftmon.monitor.report import Report
from driftmon.render.catalogue import INVALID_REASONS, OWN_VALUES, PREFIX, Metric, StreamFacts, judged_windows
from driftmon.render.columns import Series
from driftmon.stats.columns import Floats

Labels: TypeAlias = tuple[str, ...]
QUANTITY_METRICS: Final = frozenset(quantity.metric for quantity in QUANTITIES)
SPECIAL: Final[Mapping[str, Literal["missing", "invalid", "unseen"]]] = {
    "driftmon_missing_values_total": "missing",
    "driftmon_invalid_values_total": "invalid",
    "driftmon_unseen_values_total": "unseen",
}


class Exported(Struct, frozen=True, eq=False):
    """A report and the positions of its features that are exported."""

    report: Report
    features: NDArray[np.int64]

    @property
    def stream(self) -> str:
        return self.report.stream

    @property
    def names(self) -> list[str]:
        return [self.report.schema.names[index] for index in self.features.tolist()]

    def having(self, metric: Metric) -> NDArray[np.int64]:
        """The features whose kind has the metric."""
        features = self.report.schema.features
        return np.array([at for at in self.features.tolist() if features[at].kind in metric.only], dtype=np.int64)


class Source(Struct, frozen=True):
    """`labels` of the series of one stream, in order; `values`, one for each of them."""

    labels: Callable[[Metric, Exported], Iterable[Labels]]
    values: Callable[[Series, Exported], Floats]


def facts_of(report: Report) -> StreamFacts:
    """What decides how many series a report makes."""
    features = report.schema.features
    kinds = {feature.name: feature.kind for feature in features}
    return StreamFacts(report.stream, kinds, {f.name: f.binning.size for f in features}, report.windows)


def _own_values(metric: Metric) -> tuple[dict[str, str], ...]:
    """The labels of each row of the report's values that the metric is made of."""
    label = next((label for label in metric.labels if label in OWN_VALUES), None)
    return ({},) if label is None else tuple({label: own} for own in OWN_VALUES[label])


def _per_window(metric: Metric, one: Exported) -> Iterator[Labels]:
    names = [one.report.schema.names[index] for index in one.having(metric).tolist()]
    for own in _own_values(metric):
        for window in one.report.windows:
            yield from ((one.stream, name, window.name, *own.values()) for name in names)


def _quantity(series: Series, one: Exported) -> Floats:
    rows = [index_of(series.metric.quantity, own) for own in _own_values(series.metric)]
    having = one.having(series.metric)
    return np.concatenate([one.report.values[:, row][:, having].ravel() for row in rows])


def _per_feature(_: Metric, one: Exported) -> Iterator[Labels]:
    return ((one.stream, name) for name in one.names)


def _absent(series: Series) -> Floats:
    return np.full(len(series.labels), np.nan)


def _of_features(find: Callable[[Report], Floats]) -> Source:
    """One number of each feature; none where the report has an empty vector."""

    def values(series: Series, one: Exported) -> Floats:
        found = find(one.report)
        return found[one.features].astype(float) if len(found) else _absent(series)

    return Source(_per_feature, values)


def _observations(report: Report) -> Floats:
    return np.zeros(0) if report.lifetime is None else report.schema.totals(report.lifetime.counts.astype(float))


def _surprisal(report: Report) -> Floats:
    return np.zeros(0) if report.lifetime is None else report.lifetime.surprisal_nats


def _last_observation(report: Report) -> Floats:
    if report.lifetime is None:
        return np.zeros(0)
    seen = report.lifetime.last_observation_ms / 1000
    return np.where(seen > 0, seen, np.nan)


def _reference_observations(report: Report) -> Floats:
    return report.pairs[0].reference_total if report.pairs else np.zeros(0)


def _watched(_: Metric, one: Exported) -> Iterator[Labels]:
    """The exported features, or those a reference is gathered of."""
    names = one.names if one.report.schema.features else one.report.statuses
    return ((one.stream, name) for name in names)


def _status(series: Series, one: Exported) -> Floats:
    return np.array([one.report.statuses.get(labels[1], math.nan) for labels in series.labels], dtype=float)


def _special(metric: Metric, one: Exported) -> Iterator[Labels]:
    places = one.report.schema.special_bins(SPECIAL[metric.name])
    return ((one.stream, one.report.schema.names[at]) for at in one.features.tolist() if places[at] >= 0)


def _special_counts(series: Series, one: Exported) -> Floats:
    if one.report.lifetime is None:
        return _absent(series)
    places = one.report.schema.special_bins(SPECIAL[series.metric.name])[one.features]
    return one.report.lifetime.counts[places[places >= 0]].astype(float)


def _reasons(_: Metric, one: Exported) -> Iterator[Labels]:
    for at, name in zip(one.features.tolist(), one.names, strict=True):
        yield from ((one.stream, name, reason) for reason in INVALID_REASONS[one.report.schema.features[at].kind])


def _reason_counts(series: Series, one: Exported) -> Floats:
    if one.report.lifetime is None:
        return _absent(series)
    return _placed(series, (((one.stream, *key), times) for key, times in one.report.lifetime.invalid.items()))


def _placed(series: Series, found: Iterable[tuple[Labels, float]]) -> Floats:
    """The few that are not 0, each in its place."""
    values = np.zeros(len(series.labels))
    for labels, value in found:
        if (at := series.places.get(labels)) is not None:
            values[at] = value
    return values


def _bins(metric: Metric, one: Exported) -> Iterator[Labels]:
    windows = [(window.name,) for window in one.report.windows] if metric.window else [()]
    for window in windows:
        for at, name in zip(one.features.tolist(), one.names, strict=True):
            labels = one.report.schema.features[at].binning.labels()
            yield from ((one.stream, name, *window, label) for label in labels)


def _flat(one: Exported, vectors: Iterable[Floats]) -> Floats:
    """Of vectors float64[width] the bins of the exported features."""
    schema = one.report.schema
    kept = np.zeros(len(schema.features), dtype=np.bool_)
    kept[one.features] = True
    bins = np.repeat(kept, schema.sizes)
    return np.concatenate([vector[bins] for vector in vectors] or [np.zeros(0)])


def _window_bins(_: Series, one: Exported) -> Floats:
    return _flat(one, [pair.live for pair in one.report.pairs])


def _lifetime_bins(series: Series, one: Exported) -> Floats:
    lifetime = one.report.lifetime
    return _absent(series) if lifetime is None else _flat(one, [lifetime.counts.astype(float)])


def _reference_bins(series: Series, one: Exported) -> Floats:
    return _flat(one, [one.report.pairs[0].p]) if one.report.pairs else _absent(series)


def _bin_numbers(_: Series, one: Exported) -> Floats:
    schema = one.report.schema
    return _flat(one, [np.arange(schema.width) - np.repeat(schema.starts, schema.sizes).astype(float)])


def _states(metric: Metric, one: Exported) -> Iterator[Labels]:
    """Every judged (feature, window) of a rule."""
    facts = facts_of(one.report)
    for rule in one.report.rules:
        names = [(name, name) for name in one.names] if rule.per == "feature" else [(None, "")]
        for watched, name in names:
            for window in judged_windows(rule, facts, watched):
                yield (one.stream, name, window.name, rule.name, rule.severity)


def _alert_states(series: Series, one: Exported) -> Floats:
    """Those that are neither pending nor firing are inactive."""
    found = (
        ((alert.stream, alert.feature, alert.window, alert.rule.name, alert.rule.severity), float(alert.state))
        for alert in one.report.alerts
    )
    return _placed(series, found)


def _of_stream(find: Callable[[Exported], float | None]) -> Source:
    """One number of the stream; none is no sample."""

    def values(_: Series, one: Exported) -> Floats:
        return np.array([find(one)], dtype=float)

    return Source(lambda _, one: [(one.stream,)], values)


def _pseudocount(one: Exported) -> float | None:
    return one.report.pairs[0].pseudocount if one.report.pairs else None


def _reference_built(one: Exported) -> float | None:
    built_ms = one.report.reference_built_ms
    return None if built_ms is None else built_ms / 1000


def _limit_exceeded(one: Exported) -> float:
    return len(one.report.schema.features) - len(one.features)


SOURCES: Final[Mapping[str, Source]] = {
    **dict.fromkeys(sorted(QUANTITY_METRICS), Source(_per_window, _quantity)),
    **dict.fromkeys(SPECIAL, Source(_special, _special_counts)),
    **{
        PREFIX + name: source
        for name, source in {
            "window_bin_observations": Source(_bins, _window_bins),
            "feature_status_code": Source(_watched, _status),
            "overdispersion_ratio": _of_features(lambda report: report.overdispersion),
            "evidence_log10": _of_features(lambda report: report.evidence_log10),
            "observations_total": _of_features(_observations),
            "invalid_value_reasons_total": Source(_reasons, _reason_counts),
            "surprisal_nats_total": _of_features(_surprisal),
            "last_observation_timestamp_seconds": _of_features(_last_observation),
            "drift_seconds_total": _of_features(lambda report: report.drift_seconds),
            "evaluated_seconds_total": _of_features(lambda report: report.evaluated_seconds),
            "bin_observations_total": Source(_bins, _lifetime_bins),
            "reference_bin_ratio": Source(_bins, _reference_bins),
            "bin_number": Source(_bins, _bin_numbers),
            "reference_observations": _of_features(_reference_observations),
            "smoothing_pseudocount": _of_stream(_pseudocount),
            "alert_state": Source(_states, _alert_states),
            "reference_timestamp_seconds": _of_stream(_reference_built),
            "series_limit_exceeded": _of_stream(_limit_exceeded),
        }.items()
    },
}
