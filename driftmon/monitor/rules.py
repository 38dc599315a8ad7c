"""Rules and alerts: three verdict levels and "don't know", three states, one table.

Law: what is not in TRANSITIONS does not happen. UNKNOWN (too little data) appears nowhere, so it
neither fires nor resolves; BETWEEN is the hysteresis band between `resolve_below` and `above`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from msgspec import Struct

Mean: TypeAlias = Literal["", "surprisal", "log_loss"]


class Verdict(IntEnum):
    """What one look says of one value."""

    UNKNOWN = 0
    CLEAR = 1
    BETWEEN = 2
    BREACH = 3


class State(IntEnum):
    """Where an alert stands; "resolved" is a change, not a state."""

    INACTIVE = 0
    PENDING = 1
    FIRING = 2


TRANSITIONS: Mapping[tuple[State, Verdict], tuple[State, str | None]] = {
    (State.INACTIVE, Verdict.BREACH): (State.PENDING, None),
    (State.PENDING, Verdict.BREACH): (State.FIRING, "pending_for_ms"),
    (State.PENDING, Verdict.BETWEEN): (State.INACTIVE, None),
    (State.PENDING, Verdict.CLEAR): (State.INACTIVE, None),
    (State.FIRING, Verdict.CLEAR): (State.INACTIVE, "keep_firing_for_ms"),
}


@dataclass(frozen=True, slots=True)
class Calibrated:
    """An alarm by evidence and effect instead of a threshold.

    `effect`: the least KL(Q||P) worth an alarm, in nats. `budget_ms`: the mean time between false alarms of
    the whole family of features, however often one looks. `pane_ms`: how often evidence is weighed; None:
    the smallest multiple of the shortest window's pane that is at least a minute. With `mean` the effect is by
    how many nats that mean has risen above the reference's.
    """

    effect: float
    budget_ms: int
    pane_ms: int | None = None
    mean: Mean = ""


Series: TypeAlias = Literal["value", "surprisal", "log_loss", "error"]


@dataclass(frozen=True, slots=True)
class Detector:
    """A drift detector of river's that watches a series of each feature; its flag is a breach for `hold_ms`.

    `of`: the values themselves (of log_loss features the losses), each row's -ln p by the reference, or of log_loss
    features whether each prediction was wrong. `kinds`: of which features, None: of all.
    `memory`: as many values since its last flag are kept, to be fed to it again after a restart.
    `hold_ms` None: the length of the window that the alert is about.
    """

    river: str
    params: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    of: Series = "value"
    memory: int = 2000
    hold_ms: int | None = None
    kinds: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A fixed threshold on one quantity of the report, for the features and windows its globs match.

    With `detector` it goes by that one's flags, and `metric` is the name of the series.
    With `calibrated` it goes by evidence: `metric` and `above` only say what is drawn beside it, the effect.
    `per` "stream" makes one alert that names the strongest features; `notify_after_ms` is how long after
    the stream's first record nobody is told.

    `metric` is a metric's name without `driftmon_` and unit; `labels_of_metric` picks among several
    ({"direction": "q_p"}). `missing_ratio`, `invalid_ratio` and `unseen_ratio` mean the live share
    less the reference's share.
    """

    name: str
    metric: str
    above: float
    metric_labels: Mapping[str, str] = field(default_factory=dict)
    streams: str = "*"
    features: str = "*"
    window: str = "*"
    resolve_below: float | None = None
    pending_for_ms: int = 0
    keep_firing_for_ms: int = 0
    min_observations: int = 100
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    calibrated: Calibrated | None = None
    per: Literal["feature", "stream"] = "feature"
    notify_after_ms: int = 0
    detector: Detector | None = None

    @property
    def severity(self) -> str:
        return self.labels.get("severity", "warning")

    @property
    def mean(self) -> Mean:
        """The mean whose rise the rule is about, "" if it is about anything else."""
        return "" if self.calibrated is None else self.calibrated.mean

    def watches(self, stream: str, feature: str, window: str) -> bool:
        globs = ((stream, self.streams), (feature, self.features), (window, self.window))
        return all(fnmatchcase(name, glob) for name, glob in globs)

    def judges(self, kind: str) -> bool:
        """Whether features of this kind have what it goes by."""
        if self.mean == "log_loss" and kind != "log_loss":
            return False
        return self.detector is None or self.detector.kinds is None or kind in self.detector.kinds

    def verdict(self, value: float, observations: float) -> Verdict:
        """
        >>> rule = Rule("R", "kl_divergence", above=0.1, resolve_below=0.05, min_observations=10)
        >>> [rule.verdict(value, 10).name for value in (0.2, 0.1, 0.05, 0.04, math.nan)]
        ['BREACH', 'BETWEEN', 'BETWEEN', 'CLEAR', 'UNKNOWN']
        >>> rule.verdict(0.2, 9).name
        'UNKNOWN'
        """
        if observations < self.min_observations or math.isnan(value):
            return Verdict.UNKNOWN
        if value > self.above:
            return Verdict.BREACH
        return (
            Verdict.CLEAR
            if value < (self.above if self.resolve_below is None else self.resolve_below)
            else Verdict.BETWEEN
        )


@dataclass(frozen=True, slots=True)
class Alert:
    """One (rule, stream, feature, window) and where it stands; stepped, never changed in place.

    `since_ms` is when the present state began, `active_ms` when the breach that led to it did;
    `verdict` is the last known one, UNKNOWN only before the first, and `verdict_ms` when it began.
    """

    rule: Rule
    stream: str
    feature: str
    window: str
    state: State = State.INACTIVE
    since_ms: int = 0
    active_ms: int = 0
    verdict: Verdict = Verdict.UNKNOWN
    verdict_ms: int = 0
    value: float = math.nan
    noise_floor: float = math.nan
    top_bins: tuple[TopBin, ...] = ()
    lower_bound: float = math.nan
    evidence_log10: float = math.nan
    once_in_ms: float = math.nan  # evidence so strong arises without drift at most once in so long
    drift_since_ms: int | None = None  # when the drift began, by the evidence
    features: tuple[str, ...] = ()  # the strongest, where the rule makes one alert per stream
    more_features: int = 0  # besides these
    notify_from_ms: int = 0
    reference_value: float = math.nan  # of a rule about a mean: the reference's, above which it rose by `value`

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.rule.name, self.stream, self.feature, self.window)


class TopBin(Struct, frozen=True):
    """A bin that contributes much: shares of its feature, and its signed term of KL(Q||P) or of a rise, in nats.

    >>> str(TopBin("carrier", "UA", 0.12, 0.04, -0.044))
    'carrier=UA 12 % -> 4 %'
    """

    feature: str
    label: str
    reference: float
    live: float
    contribution_nats: float

    def __str__(self) -> str:
        return f"{self.feature}={self.label} {_percent(self.reference)} -> {_percent(self.live)}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.0995 else f"{100 * share:.0f} %"


@dataclass(frozen=True, slots=True)
class Change:
    """A transition worth telling: event is "pending", "firing" or "resolved" (no state, a change)."""

    event: str
    alert: Alert
    at_ms: int


def step(alert: Alert, verdict: Verdict, now_ms: int) -> Alert:
    """The alert after one verdict; several rows of the table may apply at the same instant."""
    if verdict not in (Verdict.UNKNOWN, alert.verdict):
        alert = replace(alert, verdict=verdict, verdict_ms=now_ms)
    while verdict is not Verdict.UNKNOWN:
        state, wait = TRANSITIONS.get((alert.state, verdict), (alert.state, None))
        if state is alert.state or (wait is not None and now_ms - alert.verdict_ms < getattr(alert.rule, wait)):
            break
        active_ms = now_ms if state is State.PENDING else alert.active_ms
        alert = replace(alert, state=state, since_ms=now_ms, active_ms=active_ms)
    return alert


def deadline_ms(alert: Alert) -> int | None:
    """When this alert would change state if its verdict stayed as it is; None: never."""
    state, wait = TRANSITIONS.get((alert.state, alert.verdict), (alert.state, None))
    return None if wait is None or state is alert.state else alert.verdict_ms + int(getattr(alert.rule, wait))


def change_of(before: Alert, after: Alert) -> Change | None:
    """What happened between two steps of one alert, if it is worth telling."""
    if after.state is before.state:
        return None
    event = {State.PENDING: "pending", State.FIRING: "firing"}.get(after.state)
    if event is None and before.state is State.FIRING:
        event = "resolved"
    return None if event is None else Change(event, after, after.since_ms)
