"""What two parts of a configuration must agree on: rules and what they watch, names, shared input.

Law: names are taken from the tree, not from what was built, so a mistake in a stream hides none in a rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct

from driftmon.daemon.build import Builder
from driftmon.daemon.faults import KeyPath, nearest
from driftmon.daemon.reference_shapes import StreamReference
from driftmon.daemon.rule_shapes import RuleShape
from driftmon.daemon.shapes import StreamShape
from driftmon.daemon.yaml_nodes import Items, Keys, Node, Scalar
from driftmon.monitor.calibration import evidence_pane_ms
from driftmon.monitor.panes import finest_pane_ms, span
from driftmon.monitor.rules import Rule
from driftmon.monitor.scoring import LOG_LOSS
from driftmon.monitor.tallies import NAMES as SCORES
from driftmon.stats.edges import FeatureSpec

ALONE: Final = ("stdin",)  # there is one of it in a process
STAYS: Final = ("file", "warmup")  # references that do not move
GLOB: Final = frozenset("*?[")


class Names(Struct, frozen=True):
    """What a rule can name of one stream."""

    features: tuple[str, ...]
    windows: tuple[str, ...]


def crosscheck(builder: Builder, root: Node, default_windows: Iterable[str]) -> None:
    """Note every disagreement in `builder`."""
    streams = _streams(root, tuple(default_windows))
    rules = {path: shape for path, shape in builder.built.items() if isinstance(shape, RuleShape)}
    seen: dict[str, KeyPath] = {}
    for path, shape in rules.items():
        if shape.name in seen:
            builder.note(
                (*path, "name"), f"{shape.name} is the name of rules[{seen[shape.name][-1]}] too", "rename one"
            )
        seen.setdefault(shape.name, path)
        _check_rule(builder, path, shape.rule(), streams)
        _check_detector(builder, path, shape.rule())
        _check_losses(builder, path, shape.rule())
    _check_panes(builder, {path: shape.rule() for path, shape in rules.items()})
    _check_other_streams(builder, tuple(streams))
    _check_shared_input(builder, root)


def _check_rule(builder: Builder, path: KeyPath, rule: Rule, streams: Mapping[str, Names]) -> None:
    """Names without * and ? must exist; a pattern may match nothing, `check-config` warns of that."""
    if _unknown(rule.streams, streams):
        builder.note((*path, "streams"), f"there is no stream {rule.streams}", nearest(rule.streams, streams))
        return
    watched = {name: names for name, names in streams.items() if fnmatchcase(name, rule.streams)}
    features = {feature for names in watched.values() for feature in names.features}
    windows = {window for names in watched.values() for window in names.windows}
    if features and _unknown(rule.features, features):
        builder.note((*path, "features"), f"there is no feature {rule.features}", nearest(rule.features, features))
    if windows and _unknown(rule.window, windows):
        builder.note((*path, "window"), f"there is no window {rule.window}", nearest(rule.window, windows))


def _check_detector(builder: Builder, path: KeyPath, rule: Rule) -> None:
    """What a detector is to watch must be there in some feature; surprisal also needs a P that stays."""
    detector, watched = rule.detector, _watched(builder, rule)
    if detector is None:
        return
    specs = _specs(watched, rule)
    if specs and not any(rule.judges(spec.kind) for spec in specs):
        kinds = " or ".join(detector.kinds or ())
        fault = f"{detector.river} of the {detector.of} watches {kinds} features, and rules[{path[-1]}] names none"
        builder.note((*path, "detector", "of"), fault, "use another series, such as surprisal, or widen features")
    moving = [name for name, shape in watched.items() if shape.reference.type not in STAYS]
    if detector.of == "surprisal" and moving:
        fault = f"the reference of stream {moving[0]} moves, so its surprisal is no series to watch"
        builder.note((*path, "detector", "of"), fault, f"use of: value, or a reference of type {' or '.join(STAYS)}")


def _check_losses(builder: Builder, path: KeyPath, rule: Rule) -> None:
    """A rule on losses must have some to look at: features of another type have none."""
    if rule.mean == LOG_LOSS:
        place, what, instead = (*path, "calibrated", "mean"), f"mean: {LOG_LOSS}", "use mean: surprisal, or "
    elif rule.detector is None and rule.metric in SCORES:
        place, what, instead = (*path, "metric"), rule.metric, ""
    else:
        return
    watched = _watched(builder, rule)
    specs = _specs(watched, rule)
    if not specs or any(spec.kind == LOG_LOSS for spec in specs):
        return
    scored = [spec.name for shape in watched.values() for spec in shape.specs() if spec.kind == LOG_LOSS]
    add = "add a feature such as outcome: {type: log_loss, probability: p, label: y}"
    names = ", ".join(spec.name for spec in specs[:3])
    fault = f"{what} goes by {LOG_LOSS} features, and rules[{path[-1]}] watches none, only {names}"
    builder.note(place, fault, f"write features: {scored[0]}" if scored else instead + add)


def _watched(builder: Builder, rule: Rule) -> dict[str, StreamShape]:
    return {name: shape for name, shape in streams_of(builder).items() if fnmatchcase(name, rule.streams)}


def _specs(watched: Mapping[str, StreamShape], rule: Rule) -> list[FeatureSpec]:
    return [one for shape in watched.values() for one in shape.specs() if fnmatchcase(one.name, rule.features)]


def streams_of(builder: Builder) -> dict[str, StreamShape]:
    """Those that are sound by themselves."""
    return {str(path[-1]): shape for path, shape in builder.built.items() if isinstance(shape, StreamShape)}


def _check_panes(builder: Builder, rules: Mapping[KeyPath, Rule]) -> None:
    """The panes of calibrated rules, on every stream that is sound: whole ones, all of one length, within budget."""
    streams = {path[-1]: shape for path, shape in builder.built.items() if isinstance(shape, StreamShape)}
    for name, shape in streams.items():
        finest_ms = finest_pane_ms(tuple(window.window() for window in shape.windows))
        first: tuple[KeyPath, int] | None = None
        for path, rule in rules.items():
            if rule.calibrated is None or not fnmatchcase(str(name), rule.streams):
                continue
            place = (*path, "calibrated", "pane")
            wanted_ms = rule.calibrated.pane_ms
            if wanted_ms is not None and wanted_ms % finest_ms:
                fault = f"{span(wanted_ms)} is no multiple of {span(finest_ms)}, the shortest pane of stream {name}"
                builder.note(place, fault, f"use {span(-(-wanted_ms // finest_ms) * finest_ms)}")
                continue
            pane_ms = evidence_pane_ms(finest_ms, wanted_ms)
            if rule.calibrated.budget_ms < pane_ms:
                fault = f"more than one false alarm in a pane, {span(pane_ms)} on stream {name}"
                builder.note((*path, "calibrated", "false_alarms"), fault, "allow fewer, such as 1/30d")
            if first is not None and first[1] != pane_ms:
                fault = f"{span(pane_ms)} on stream {name}, where rules[{first[0][-1]}] has {span(first[1])}"
                builder.note(place, fault, f"write pane: {span(max(pane_ms, first[1]))} in both")
            first = first or (path, pane_ms)


def _check_other_streams(builder: Builder, names: tuple[str, ...]) -> None:
    """A stream that is another's reference: there, with a reference of its own, with the same bins and windows."""
    shapes = {path[-1]: shape for path, shape in builder.built.items() if isinstance(shape, StreamShape)}
    for name, shape in shapes.items():
        if not isinstance(shape.reference.options, StreamReference):
            continue
        wanted, path = shape.reference.options.stream, ("streams", str(name), "reference", "stream")
        other = shapes.get(wanted)
        if wanted not in names:
            builder.note(path, f"there is no stream {wanted}", nearest(wanted, names))
        elif wanted == name:
            builder.note(path, "a stream cannot be its own reference", "name another, or use type: trailing")
        elif other is not None and isinstance(other.reference.options, StreamReference):
            builder.note(
                path, f"the reference of {wanted} is a stream itself", f"name {other.reference.options.stream}"
            )
        elif other is not None and shape.windows != other.windows:
            builder.note(
                ("streams", str(name), "windows"), f"are not those of {wanted}, its reference", "make them equal"
            )
        elif other is not None and _bins(shape) != _bins(other):
            fault = f"are not those of {wanted}, its reference, by name, type and bins"
            builder.note(("streams", str(name), "features"), fault, "make them equal; field and absent may differ")
        elif other is not None and (shape.time is None) != (other.time is None):
            builder.note(
                ("streams", str(name), "time"), f"one of it and {wanted} has event time", "give it to both or none"
            )


def _bins(shape: StreamShape) -> list[FeatureSpec]:
    return [replace(spec, field=None, absent="missing", outcome=None) for spec in shape.specs()]


def _unknown(pattern: str, names: Iterable[str]) -> bool:
    return not GLOB & set(pattern) and pattern not in names


def _streams(root: Node, default_windows: tuple[str, ...]) -> dict[str, Names]:
    found = {}
    for name, stream in _keys(_child(root, "streams")).items():
        windows = _child(stream, "windows")
        names = (
            tuple(_text(_child(window, "name")) for window in windows.nodes)
            if isinstance(windows, Items)
            else default_windows
        )
        found[name] = Names(tuple(_keys(_child(stream, "features"))), names)
    return found


def _check_shared_input(builder: Builder, root: Node) -> None:
    taken: dict[str, str] = {}
    for name, stream in _keys(_child(root, "streams")).items():
        listed = _child(stream, "sources")
        for index, source in enumerate(listed.nodes if isinstance(listed, Items) else ()):
            kind = _text(_child(source, "type"))
            if kind in ALONE and kind in taken:
                path = ("streams", name, "sources", index)
                builder.note(path, f"{kind} is read by {taken[kind]} already", "leave it to one stream")
            taken.setdefault(kind, name)


def _child(node: Node | None, key: str) -> Node | None:
    return node.nodes.get(key) if isinstance(node, Keys) else None


def _keys(node: Node | None) -> Mapping[str, Node]:
    return node.nodes if isinstance(node, Keys) else {}


def _text(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) else ""
