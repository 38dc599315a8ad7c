"""Cautions: what a valid configuration cannot promise. `check-config` prints them, `--strict` makes them faults.

Law: each is about something that would be silent at run time: a rule that never looks, noise taken for drift.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from driftmon.daemon.faults import Fault, KeyPath
from driftmon.daemon.fields import fields_of
from driftmon.daemon.on_disk import shortest
from driftmon.daemon.promises import features, short_warm_up, too_weak, unmeasured
from driftmon.daemon.reference_cautions import doubts
from driftmon.daemon.settings import Config, StreamSettings
from driftmon.daemon.yaml_nodes import line_of, place
from driftmon.monitor.panes import Window, finest_pane_ms, span
from driftmon.monitor.quantities import QUANTITIES
from driftmon.monitor.rules import Calibrated, Rule
from driftmon.monitor.snapshot import Snapshot
from driftmon.render import rule_alerts
from driftmon.render.catalogue import METRICS, Selection, StreamFacts, series_count
from driftmon.render.rule_plan import Plan
from driftmon.stats.columns import Floats
from driftmon.stats.divergences import Pair
from driftmon.stats.edges import FeatureSpec
from driftmon.stats.noise import noise
from driftmon.stats.schema import Schema

SPECIAL_BINS: Final[Mapping[str, int]] = {"numeric": 2, "categorical": 3, "boolean": 2, "log_loss": 2}
NOISY: Final = ("kl_divergence", "kl_divergence_debiased")


def cautions(config: Config, references: Mapping[str, Snapshot]) -> list[Fault]:
    """In the order of the file, as far as they have a place in it."""
    return [*_streams(config, references), *_rules(config, references), *_whole(config, references)]


def series(config: Config, references: Mapping[str, Snapshot]) -> int:
    """How many series /metrics will have, before the limit."""
    facts = [_facts(stream, references.get(name)) for name, stream in config.streams.items()]
    return series_count(facts, config.rules, Selection(config.metrics.set, config.metrics.bins, config.limits.series))


def _facts(stream: StreamSettings, reference: Snapshot | None) -> StreamFacts:
    kinds = {spec.name: spec.kind for spec in stream.features}
    bins = {}
    for spec in stream.features:
        chosen = {"categorical": spec.top, "boolean": 2}.get(spec.kind, spec.bins)
        given = len(spec.edges) + 1 if spec.edges is not None else len(spec.categories or ()) or chosen
        bins[spec.name] = given + SPECIAL_BINS[spec.kind]
    if reference is not None:
        bins |= {feature.name: feature.binning.size for feature in reference.schema.features}
    return StreamFacts(stream.name, kinds, bins, stream.windows)


def _caution(config: Config, path: KeyPath, fault: str, cure: str) -> Fault:
    return Fault(place(str(config.path), config.tree, path), fault, cure, line_of(config.tree, path))


def _streams(config: Config, references: Mapping[str, Snapshot]) -> Iterator[Fault]:
    for name, stream in config.streams.items():
        at: KeyPath = ("streams", name)
        if stream.stale_after_ms <= stream.tick_ms:
            fault = f"{span(stream.stale_after_ms)} is no longer than tick"
            yield _caution(config, (*at, "stale_after"), fault, "raise it, or features turn stale between two ticks")
        finest_ms = finest_pane_ms(stream.windows)
        if finest_ms and stream.tick_ms > finest_ms:
            fault = f"{span(stream.tick_ms)} is longer than the shortest pane, {span(finest_ms)}"
            yield _caution(config, (*at, "tick"), fault, f"use {span(finest_ms)} or less, or alerts come late")
        yield from _missing_inputs(stream)
        calibrated = any(rule.calibrated and watched(rule, stream) for rule in config.rules)
        for key, fault, cure in doubts(stream, references.get(name), calibrated):
            yield _caution(config, (*at, "reference", key), fault, cure)
        if name in references:
            yield from _other_bins(config, stream, references[name])
            yield from _hollow_features(config, stream, references[name])
            unknown = unmeasured(references[name])
            if unknown is not None and calibrated:
                yield _caution(config, (*at, "reference"), *unknown)


def _missing_inputs(stream: StreamSettings) -> Iterator[Fault]:
    for source in stream.sources:
        path = getattr(source.options, "path", None)
        if source.type == "file" and isinstance(path, Path) and not path.exists():
            yield Fault(f"{source.place}.path", f"{shortest(path)} is not there yet", "make it, or correct the path")


def _hollow_features(config: Config, stream: StreamSettings, reference: Snapshot) -> Iterator[Fault]:
    """Features the reference knows nothing of: no value, or no observation at all."""
    schema = reference.schema
    regular = schema.totals(np.where(schema.regular, reference.counts, 0).astype(np.float64))
    totals = schema.totals(reference.counts.astype(np.float64))
    for feature, values, total in zip(schema.features, regular.tolist(), totals.tolist(), strict=True):
        if values == 0:
            path: KeyPath = ("streams", stream.name, "features", feature.name)
            what = f"none of its {total:.0f} records held a value" if total else "nothing was counted"
            cure = f"is {feature.field or feature.name} its field? Correct it, or leave the feature out"
            yield _caution(config, path, f"the reference says nothing of it, {what}", cure)


def _other_bins(config: Config, stream: StreamSettings, reference: Snapshot) -> Iterator[Fault]:
    """Features of which fewer bins are asked than the reference has: its bins hold, the number here changes nothing.

    Fewer than asked for is no fault: few values make few bins.
    """
    chosen = {feature.name: feature.binning.regular for feature in reference.schema.features}
    for spec in stream.features:
        given = spec.edges is not None or spec.categories is not None or spec.kind == "boolean"
        key, asked = ("top", spec.top) if spec.kind == "categorical" else ("bins", spec.bins)
        if given or chosen.get(spec.name, 0) <= asked:
            continue
        path: KeyPath = ("streams", stream.name, "features", spec.name, key)
        fault = f"{asked} bins are asked for, but the reference was counted with {chosen[spec.name]}, and these hold"
        yield _caution(config, path, fault, "build the reference again")


def _rules(config: Config, references: Mapping[str, Snapshot]) -> Iterator[Fault]:
    if not config.rules:
        yield _caution(
            config, ("rules",), "there is none, so nothing will ever alert", "leave `rules` out for the default ones"
        )
    for index, rule in enumerate(config.rules):
        watching = [stream for stream in config.streams.values() if watched(rule, stream)]
        if not watching:
            yield _caution(
                config, ("rules", index), f"{rule.name} watches nothing", "widen streams, features or window"
            )
        for stream in watching:
            if rule.calibrated is not None:
                yield from _calibrated(config, index, rule.calibrated, stream, references.get(stream.name))
            elif rule.metric in NOISY and stream.name in references:
                yield from _noise(config, index, stream, references[stream.name])


def _calibrated(
    config: Config, index: int, calibrated: Calibrated, stream: StreamSettings, reference: Snapshot | None
) -> Iterator[Fault]:
    """A budget of false alarms, or an effect, that the reference cannot carry."""
    rule = config.rules[index]
    if reference is not None:
        weak = too_weak(calibrated, rule, stream, reference)
        if weak is not None:
            yield _caution(config, ("rules", index, "calibrated", "effect"), *weak)
    elif stream.reference.observations is not None and stream.reference.type != "trailing":
        bins = {name: count for name, count in _facts(stream, None).bins.items() if name in features(rule, stream)}
        short = short_warm_up(calibrated, stream.reference.observations, bins)
        if short is not None:
            yield _caution(config, ("streams", stream.name, "reference", "observations"), *short)


def watched(rule: Rule, stream: StreamSettings) -> int:
    """How many pairs of feature and window a rule judges; a metric that a kind of feature lacks is none."""
    if rule.detector is not None:
        return sum(bool(windows_of(rule, stream, spec)) for spec in stream.features)
    names = {quantity.metric for quantity in QUANTITIES if quantity.name == rule.metric}
    kinds = {kind for name in names for kind in METRICS[name].only}
    pairs = ((spec, window) for spec in stream.features for window in stream.windows if spec.kind in kinds)
    return sum(rule.watches(stream.name, spec.name, window.name) for spec, window in pairs)


def windows_of(rule: Rule, stream: StreamSettings, spec: FeatureSpec) -> list[Window]:
    """Where a rule looks at a feature."""
    if not rule.judges(spec.kind):
        return []
    return [window for window in stream.windows if rule.watches(stream.name, spec.name, window.name)]


def _noise(config: Config, index: int, stream: StreamSettings, reference: Snapshot) -> Iterator[Fault]:
    """Thresholds that noise alone crosses in more than one of a hundred windows of `min_observations`."""
    rule, schema = config.rules[index], reference.schema
    counts = reference.counts.astype(np.float64)
    totals = np.repeat(schema.totals(counts), schema.sizes)
    live = np.divide(counts * max(rule.min_observations, 1), totals, out=np.zeros_like(counts), where=totals > 0)
    found = noise(Pair(schema, counts, live, stream.pseudocount))
    level = found.floor_nats - (found.mean_nats if rule.metric == "kl_divergence_debiased" else 0.0)
    worst = _worst(level, schema, rule, stream)
    if worst is not None and level[worst] > rule.above:
        name = schema.names[worst]
        fault = (
            f"{rule.above:g} nats is within noise: with {rule.min_observations} observations "
            f"{stream.name}.{name} reaches {level[worst]:.2g} in one window of 100 without any drift"
        )
        yield _caution(config, ("rules", index, "above"), fault, "raise min_observations or above")


def _worst(level: Floats, schema: Schema, rule: Rule, stream: StreamSettings) -> int | None:
    judged = [any(rule.watches(stream.name, name, window.name) for window in stream.windows) for name in schema.names]
    masked = np.where(judged, np.nan_to_num(level, nan=-np.inf), -np.inf)
    return int(np.argmax(masked)) if len(masked) else None


def _whole(config: Config, references: Mapping[str, Snapshot]) -> Iterator[Fault]:
    count, limit = series(config, references), config.limits.series
    if count > limit:
        cure = f"raise it to {count}, or use metrics: {{set: core}}, fewer features or windows"
        yield _caution(
            config, ("limits", "series"), f"{count} series are more than {limit}, features will be left out", cure
        )
    for index, sink in enumerate(config.sinks):
        if "endpoint" in fields_of(sink.options.__class__) and not config.external_labels:
            cure = 'set external_labels: {pod: "${HOSTNAME:-local}"}'
            yield _caution(
                config, ("sinks", index), "replicas will resolve each other's alerts without external_labels", cure
            )
            break
    yield from _told_twice(config)


def _told_twice(config: Config) -> Iterator[Fault]:
    """Rules that pods push one by one, while Prometheus alerts on the same for all pods together.

    The pack has evidence under a name of its own, whatever the rule's.
    """
    of_fleet = rule_alerts.names(Plan())
    both = sorted({rule.name for rule in config.rules if rule.name in of_fleet or rule.calibrated is not None})
    renamed = "" if any(rule.calibrated is not None for rule in config.rules) else ", or name the rules otherwise"
    pushing = next((at for at, sink in enumerate(config.sinks) if sink.type == "alertmanager"), None)
    if both and pushing is not None:
        fault = f"each pod pushes {' and '.join(both)}; Prometheus with deploy/rules alerts on the same for all pods"
        yield _caution(config, ("sinks", pushing), fault, f"leave one of the two out{renamed}")
