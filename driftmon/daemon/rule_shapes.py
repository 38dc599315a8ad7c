"""The keys of a rule; they become a Rule of the monitor."""
# ruff: noqa: RUF009  doc() is dataclasses.field

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from driftmon.daemon.calibrated_shape import CalibratedShape
from driftmon.daemon.faults import KeyFault, nearest
from driftmon.daemon.settings import doc
from driftmon.monitor.quantities import QUANTITIES, RATIOS
from driftmon.monitor.rules import Rule

RESERVED: Final = frozenset({"alertname", "stream", "segment", "feature", "window"})
BY_THRESHOLD: Final = ("metric", "direction", "distribution", "above", "resolve_below", "min_observations")
LEAST_OBSERVATIONS: Final = 100
LABEL_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "direction": ("q_p", "p_q"),
    "distribution": ("reference", "live"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleShape:
    """Alerts when one metric of one feature in one window is above a threshold, or by evidence: `calibrated`."""

    NOT_YET: ClassVar = ("detector",)
    EITHER: ClassVar = (("metric", "above"), ("calibrated",))

    name: str = doc("The alert's name.", most=128, example="name: DriftmonFeatureDrift")
    streams: str = doc("Which streams; * and ? stand for any signs.", "*")
    features: str = doc("Which features; * and ? stand for any signs.", "*")
    calibrated: CalibratedShape | None = doc("By evidence and effect, without a threshold to guess.", None)
    metric: str | None = doc("A metric's name without driftmon_ and its unit.", None)
    direction: Literal["q_p", "p_q"] | None = doc("Of a metric that has two: q_p is live against reference.", None)
    distribution: Literal["reference", "live"] | None = doc("Of entropy: whose.", None)
    window: str = doc("Which windows; without it every one.", "*")
    above: float | None = doc("Breached while the value is above this, in the metric's unit.", None)
    resolve_below: float | None = doc(
        "Clear only below this; between the two nothing changes. By default as `above`.", None
    )
    for_ms: int = doc("How long a breach lasts before the alert fires.", 0)
    keep_firing_for_ms: int = doc("How long the value stays clear before the alert resolves.", 0)
    min_observations: int | None = doc(
        f"With fewer in the window the rule neither fires nor resolves; {LEAST_OBSERVATIONS} by default.", None, least=0
    )
    per: Literal["feature", "stream"] = doc(
        "feature: an alert for each; stream: one alert that names the five strongest features.", "feature"
    )
    notify_after_ms: int = doc(
        "Nobody is told before so much time after the stream's first record; reports show what would have fired.", 0
    )
    labels: Mapping[str, str] | None = doc("Labels of the alert; severity is warning unless given.", None)
    annotations: Mapping[str, str] | None = doc("Annotations of the alert, beside driftmon's own.", None)

    def __post_init__(self) -> None:
        check_text("name", self.name)
        if self.calibrated is None:
            self._check_metric(self.metric)
            self._check_threshold(self.above)
        else:
            self._check_calibrated()
        for name in self.labels or ():
            check_label(("labels", name), name, RESERVED)
        for name in self.annotations or ():
            check_label(("annotations", name), name, frozenset())

    def _check_calibrated(self) -> None:
        for key in BY_THRESHOLD:
            if getattr(self, key) is not None:
                raise KeyFault(key, "calibrated goes by evidence, not by a threshold", f"remove {key}, or calibrated")

    def _check_threshold(self, above: float | None) -> None:
        if above is None:
            raise KeyFault("above", "missing", "write above: 0.1")
        if self.resolve_below is not None and self.resolve_below > above:
            raise KeyFault(
                "resolve_below",
                f"must not exceed above, {self.resolve_below:g} is more than {above:g}",
                f"use at most {above:g}",
            )
        if self.metric in RATIOS and above >= 1:
            raise KeyFault("above", f"a ratio never exceeds 1, so {above:g} never fires", "use a share such as 0.05")

    def _check_metric(self, metric: str | None) -> None:
        if metric is None:
            raise KeyFault("metric", "missing", "write metric: kl_divergence_debiased, or calibrated: {...}")
        names = {quantity.name for quantity in QUANTITIES}
        full = {quantity.metric: quantity.name for quantity in QUANTITIES}
        if metric == "evidence_log10":
            raise KeyFault(
                "metric", "evidence has no threshold of its own", 'write calibrated: {false_alarms: "1/30d"}'
            )
        if metric in full and metric not in names:
            raise KeyFault("metric", f"{metric} is the exported name", f"write {full[metric]}")
        if metric not in names:
            raise KeyFault("metric", f"{metric} is no metric", nearest(metric, names))
        wanted = {label for quantity in QUANTITIES if quantity.name == metric for label in quantity.labels}
        for label, choices in LABEL_CHOICES.items():
            given = getattr(self, label)
            if label in wanted and given is None:
                raise KeyFault(label, f"missing, {metric} has two", f"write {label}: {' or '.join(choices)}")
            if label not in wanted and given is not None:
                raise KeyFault(label, f"{metric} has none", "remove it")

    def rule(self) -> Rule:
        labels = {label: getattr(self, label) for label in LABEL_CHOICES if getattr(self, label) is not None}
        calibrated = None if self.calibrated is None else self.calibrated.calibrated()
        return Rule(
            name=self.name,
            metric=self.metric or "kl_divergence_debiased",
            above=calibrated.effect if calibrated is not None else self.above or 0.0,
            metric_labels=labels,
            streams=self.streams,
            features=self.features,
            window=self.window,
            resolve_below=self.resolve_below,
            pending_for_ms=self.for_ms,
            keep_firing_for_ms=self.keep_firing_for_ms,
            min_observations=LEAST_OBSERVATIONS if self.min_observations is None else self.min_observations,
            labels=dict(self.labels or {}),
            annotations=dict(self.annotations or {}),
            calibrated=calibrated,
            per=self.per,
            notify_after_ms=self.notify_after_ms,
        )


def check_label(path: tuple[str, ...], name: str, reserved: frozenset[str]) -> None:
    """A name that Prometheus and Alertmanager take, and that driftmon does not set itself."""
    if name in reserved:
        raise KeyFault(path, "driftmon sets this label itself", "use another name")
    if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) or name.startswith("__"):
        raise KeyFault(path, "no label name", "use letters, digits and _, not starting with a digit or __")


def check_text(key: str | tuple[str | int, ...], text: str, most_bytes: int = 128) -> None:
    """A name that is shown to people and put into labels."""
    if len(text.encode()) > most_bytes:
        raise KeyFault(key, f"longer than {most_bytes} bytes", "shorten it")
    if not text.isprintable():
        raise KeyFault(key, "holds a control character", "remove it")
