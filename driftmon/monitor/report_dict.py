"""Report -> the JSON of the report: plain dicts whose keys are the metrics' names without `driftmon_`.

Law: a value without meaning is absent, never null, so every number in the JSON is finite.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from driftmon.monitor.quantities import QUANTITIES
from driftmon.monitor.rules import Alert
from driftmon.stats.columns import Floats
from driftmon.stats.divergences import Pair, kl_qp

if TYPE_CHECKING:
    from driftmon.monitor.report import Report

SPECIAL_TOTALS: Final[Mapping[str, Literal["missing", "invalid", "unseen"]]] = {
    "missing_values_total": "missing",
    "invalid_values_total": "invalid",
    "unseen_values_total": "unseen",
}


NUMBERS: Final = ("value", "reference_value", "noise_floor", "lower_bound", "evidence_log10")


def report_dict(report: Report) -> dict[str, Any]:
    """The whole report of one stream, in the shape of several: {"time_ms", "streams", "alerts"}."""
    return {
        "time_ms": report.now_ms,
        "streams": {report.stream: stream_dict(report)},
        "alerts": [alert_dict(alert) for alert in report.alerts],
    }


def stream_dict(report: Report) -> dict[str, Any]:
    """One stream: its reference and its features; only their status while the reference is gathered."""
    warmup: dict[str, Any] = dict(zip(("observations", "needed"), report.warmup or (), strict=False))
    if report.restarts:
        warmup |= {"restarts": report.restarts, "unstable": report.unstable}
    built = report.reference_built_ms
    return {
        "fingerprint": report.schema.fingerprint,
        **({"reference_source": report.reference_source} if report.reference_source else {}),
        **({} if built is None else {"reference_timestamp_seconds": built / 1000}),
        **({"smoothing_pseudocount": report.pairs[0].pseudocount} if report.pairs else {}),
        **({"warmup": warmup} if warmup else {}),
        **({} if report.labels is None else {"labels": report.labels.as_dict()}),
        "features": dict(_features(report, range(len(report.schema.features)))),
    }


def feature_dict(report: Report, feature: str) -> dict[str, Any]:
    """One feature: status, counters since the stream began, every window with its bins; KeyError: unknown."""
    if feature in report.schema.names:
        return dict(_features(report, [report.schema.names.index(feature)]))[feature]
    return {"status": report.statuses[feature].name.lower()}


def alert_dict(alert: Alert) -> dict[str, Any]:
    """One pending or firing alert."""
    numbers = {name: getattr(alert, name) for name in NUMBERS}
    about = {"features": list(alert.features)} if alert.rule.per == "stream" else {"feature": alert.feature}
    return {
        "rule": alert.rule.name,
        "state": alert.state.name.lower(),
        "severity": alert.rule.severity,
        "stream": alert.stream,
        **about,
        **({"more_features": alert.more_features} if alert.more_features else {}),
        "window": alert.window,
        "since_ms": alert.since_ms,
        **({} if alert.rule.detector is not None else {"threshold": alert.rule.above}),
        **{name: number for name, number in numbers.items() if math.isfinite(number)},
        **({} if alert.drift_since_ms is None else {"drift_since_ms": alert.drift_since_ms}),
        **({"notify_from_ms": alert.notify_from_ms} if alert.rule.notify_after_ms else {}),
        **({"top_bins": [str(one) for one in alert.top_bins]} if alert.top_bins else {}),
    }


def _features(report: Report, indexes: Iterable[int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, dict) of the features wanted; what all of them share is computed once."""
    schema = report.schema
    if not schema.features:
        yield from ((name, {"status": status.name.lower()}) for name, status in report.statuses.items())
    terms = [kl_qp(pair) for pair in report.pairs]
    specials = {key: schema.special_bins(name).tolist() for key, name in SPECIAL_TOTALS.items()}
    invalid: dict[str, dict[str, int]] = {}
    for (name, reason), count in (report.lifetime.invalid if report.lifetime else {}).items():
        invalid.setdefault(name, {})[reason] = count
    for index in indexes:
        name = schema.names[index]
        windows = {window.name: _window(report, at, index, terms[at]) for at, window in enumerate(report.windows)}
        yield (
            name,
            {
                "status": report.statuses[name].name.lower(),
                **_judged(report, index),
                **dict(_lifetime(report, index, {key: places[index] for key, places in specials.items()})),
                **({"invalid_value_reasons_total": invalid[name]} if name in invalid else {}),
                **dict(_seconds(report, index)),
                "windows": windows,
            },
        )


def _judged(report: Report, index: int) -> dict[str, float]:
    """How much the reference's counts vary beyond chance; the evidence against it, where it is weighed, and the
    size that the effect of that rule wants of it."""
    arrays = {
        "overdispersion_ratio": report.overdispersion,
        "live_overdispersion_ratio": report.live_overdispersion,
        "evidence_log10": report.evidence_log10,
        "reference_observations_needed": report.reference_needed,
    }
    numbers = {key: float(array[index]) for key, array in arrays.items() if index < len(array)}
    return {key: number for key, number in numbers.items() if math.isfinite(number)}


def _lifetime(report: Report, index: int, specials: Mapping[str, int]) -> Iterator[tuple[str, float]]:
    lifetime = report.lifetime
    if lifetime is None:
        return
    yield "observations_total", int(lifetime.counts[report.schema.bins(index)].sum())
    yield from ((key, int(lifetime.counts[place])) for key, place in specials.items() if place >= 0)
    yield "surprisal_nats_total", float(lifetime.surprisal_nats[index])
    if lifetime.last_observation_ms[index] > 0:
        yield "last_observation_timestamp_seconds", int(lifetime.last_observation_ms[index]) / 1000


def _seconds(report: Report, index: int) -> Iterator[tuple[str, float]]:
    if index < len(report.evaluated_seconds):
        yield "drift_seconds_total", float(report.drift_seconds[index])
        yield "evaluated_seconds_total", float(report.evaluated_seconds[index])


def _window(report: Report, at: int, index: int, terms: Floats) -> dict[str, Any]:
    """The quantities of one feature in one window; those that come in twos are nested: {"q_p": ..., "p_q": ...}."""
    decayed = report.windows[at].half_life_ms is not None
    found: dict[str, Any] = {}
    for quantity, number in zip(QUANTITIES, report.values[at, :, index].tolist(), strict=True):
        if not math.isfinite(number):
            continue
        key = quantity.metric.removeprefix("driftmon_")
        if quantity.labels:
            found.setdefault(key, {}).update(dict.fromkeys(quantity.labels.values(), number))
        else:
            found[key] = number
    count = found.pop("window_observations", 0.0)
    first = {"observations": count if decayed else int(count)}
    return {**first, **found, "bins": list(_bins(report.pairs[at], index, terms, decayed))}


def _bins(pair: Pair, index: int, terms: Floats, decayed: bool) -> Iterator[Mapping[str, Any]]:
    """Counts, smoothed shares and each bin's term of KL(Q||P); with nothing live there is no q."""
    bins = pair.schema.bins(index)
    flat = (pair.reference, pair.live, pair.p, pair.q, terms)
    columns = zip(pair.schema.features[index].binning.labels(), *(array[bins].tolist() for array in flat), strict=True)
    live = pair.live_total[index] > 0
    for label, reference_count, live_count, p, q, term in columns:
        counts = {"label": label, "reference": int(reference_count), "live": live_count if decayed else int(live_count)}
        yield {**counts, "p": p, **({"q": q, "contribution_nats": term} if live else {})}
