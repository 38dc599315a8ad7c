"""The keys of the configuration file; the builder reads it by these classes, and the JSON Schema is made of them.

Law: what can be judged within one mapping is judged in its class; what needs two parts, in crosscheck.py.
"""
# ruff: noqa: RUF009  doc() is dataclasses.field

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

from driftmon import plugins
from driftmon.daemon.faults import KeyFault
from driftmon.daemon.feature_shapes import FEATURES
from driftmon.daemon.fields import OneOf
from driftmon.daemon.label_shape import LabelsShape, check_labels
from driftmon.daemon.reference_shapes import REFERENCES, check_reference
from driftmon.daemon.rule_shapes import RESERVED, RuleShape, check_label, check_text
from driftmon.daemon.settings import (
    Limits,
    MetricsSettings,
    Overload,
    PluginSettings,
    StorageSettings,
    TimeSettings,
    doc,
)
from driftmon.formats.layout import Layout, TimeField
from driftmon.monitor.delayed import delayed_readings
from driftmon.monitor.ledger import EVIDENCE
from driftmon.monitor.panes import PANES, PANES_PER_HALF_LIFE, Window, finest_pane_ms, span
from driftmon.monitor.references import TRAILING
from driftmon.stats.edges import FeatureSpec

VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowShape:
    """A stretch of time the live data is taken from."""

    name: str = doc("Value of the label `window`.", example="name: fast")
    length_ms: int | None = doc("The last so much time, in 60 panes.", None, least=PANES, example="length: 1h")
    half_life_ms: int | None = doc("Older data weighs less: half after so much time.", None, least=PANES_PER_HALF_LIFE)

    def __post_init__(self) -> None:
        check_text("name", self.name)
        if self.name in (EVIDENCE, TRAILING):
            raise KeyFault("name", f"{self.name} is what driftmon calls the panes of its own", "use another name")
        if (self.length_ms is None) == (self.half_life_ms is None):
            fault = "missing" if self.length_ms is None else "half_life is there too"
            raise KeyFault("length", fault, "write length: 1h or half_life: 6h, one of the two")
        for key, length_ms, parts in (
            ("length", self.length_ms, PANES),
            ("half_life", self.half_life_ms, PANES_PER_HALF_LIFE),
        ):
            if length_ms is not None and length_ms % parts:
                cure = f"use {span(-(-length_ms // parts) * parts)}"
                raise KeyFault(key, f"{span(length_ms)} does not split into {parts} panes of whole milliseconds", cure)

    def window(self) -> Window:
        if self.length_ms is not None:
            return Window.sliding(self.name, self.length_ms)
        assert self.half_life_ms is not None
        return Window.decayed(self.name, self.half_life_ms)


def sources() -> Mapping[str, type]:
    return {name: plugins.load("sources", name).Options for name in plugins.names("sources")}


def sinks() -> Mapping[str, type]:
    return {name: plugins.load("sinks", name).Options for name in plugins.names("sinks")}


SOURCE: Final = OneOf("source", sources, ("kafka", "redis", "nats", "delta"))
SINK: Final = OneOf("sink", sinks)
FEATURE: Final = OneOf("feature type", lambda: FEATURES, placed=False)
REFERENCE: Final = OneOf("reference", lambda: REFERENCES)
REFERENCE_EXAMPLE: Final = "reference: {type: file, path: data.reference.json}, or {type: warmup, observations: 20000}"
DEFAULT_SOURCES: Final = (PluginSettings("http", plugins.load("sources", "http").Options()),)
DEFAULT_SINKS: Final = (PluginSettings("log", plugins.load("sinks", "log").Options()),)
DEFAULT_WINDOWS: Final = (WindowShape(name="fast", length_ms=3_600_000),)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamShape:
    """One stream of records and what is watched of it."""

    NOT_YET: ClassVar = ("segments",)

    sources: tuple[Annotated[PluginSettings, SOURCE], ...] = doc("Where records come from.", DEFAULT_SOURCES, least=1)
    time: TimeSettings | None = doc("Event time; without it a record counts when it arrives.", None)
    reference: Annotated[PluginSettings, REFERENCE] = doc("What live data is compared with.", example=REFERENCE_EXAMPLE)
    features: Mapping[str, Annotated[PluginSettings, FEATURE]] = doc(
        "What is watched, by name.", least=1, example="features: {amount: {type: numeric}}"
    )
    windows: tuple[WindowShape, ...] = doc("Over what time live data is taken.", DEFAULT_WINDOWS, least=1)
    pseudocount: float = doc("Additive smoothing, counts per bin.", 0.5, above=0)
    tick_ms: int = doc("How often results are published.", 10_000, least=100)
    stale_after_ms: int = doc("A feature without data for so long is stale.", 900_000, least=1000)
    overload: Overload = doc(
        "When records come faster than they are counted. block: senders wait. sample: of those pushed (http, unix) a "
        "known share is counted, each for the others too.",
        "block",
    )
    labels: LabelsShape | None = doc("Where labels come in records of their own, later than predictions.", None)

    def __post_init__(self) -> None:
        for name in self.features:
            check_text(("features", name), name)
        self._check_windows()
        if self.labels is not None:
            check_labels(self)
        check_reference(self.reference.options, [shape.window() for shape in self.windows], self.time is not None)
        self._check_sources()
        try:
            specs = self.specs() if self.labels is None else delayed_readings(self.specs(), self.labels.waits())
            Layout(specs, None if self.time is None else TimeField(self.time.field, self.time.unit))
        except ValueError as error:
            fault, _, cure = str(error).rpartition(": ")
            raise KeyFault("features", fault, cure) from None

    def _check_windows(self) -> None:
        windows = [shape.window() for shape in self.windows]
        finest = min(windows, key=lambda window: window.pane_ms)
        names: dict[str, int] = {}
        for index, window in enumerate(windows):
            if window.name in names:
                raise KeyFault(
                    ("windows", index, "name"),
                    f"{window.name} is the name of windows[{names[window.name]}] too",
                    "rename one",
                )
            names[window.name] = index
            try:
                finest_pane_ms((finest, window))
            except ValueError as error:
                key = "length" if window.half_life_ms is None else "half_life"
                fault, _, cure = str(error).removeprefix(f"window {window.name}: ").rpartition("; ")
                raise KeyFault(("windows", index, key), fault, cure) from None

    def _check_sources(self) -> None:
        for index, source in enumerate(self.sources):
            if source in self.sources[:index]:
                first = self.sources.index(source)
                raise KeyFault(
                    ("sources", index), f"the same as sources[{first}], so records would count twice", "remove one"
                )

    def specs(self) -> tuple[FeatureSpec, ...]:
        return tuple(feature.options.spec(name) for name, feature in self.features.items())


def check_version(version: int) -> None:
    if version != VERSION:
        raise KeyFault((), f"must be {VERSION}, is {version}", "use the driftmon it was written for, or change it")


def check_external_labels(labels: Mapping[str, str]) -> None:
    for name in labels:
        check_label((name,), name, RESERVED | {"severity"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigShape:
    """driftmon's configuration: which streams are watched, by which rules, and who is told."""

    NOT_YET: ClassVar = ("auth", "labels", "segments")

    version: int = doc("The version of this format.", example=f"version: {VERSION}", check=check_version)
    streams: Mapping[str, StreamShape] = doc("What is watched, by name.", least=1, example="streams: {flights: {...}}")
    rules: tuple[RuleShape, ...] | None = doc(
        "When to alert; without it, the rules of `driftmon config example`.", None
    )
    sinks: tuple[Annotated[PluginSettings, SINK], ...] = doc("Who is told of alerts.", DEFAULT_SINKS)
    external_labels: Mapping[str, str] | None = doc(
        "On every alert that is sent, so that replicas never resolve each other's.", None, check=check_external_labels
    )
    storage: StorageSettings = doc("What an acknowledged record survives.", StorageSettings())
    metrics: MetricsSettings = doc("How much /metrics exports.", MetricsSettings())
    limits: Limits = doc("Every bound that keeps memory and time finite.", Limits())
