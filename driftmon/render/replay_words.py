"""Episodes: what a replay tells, an alert from its start to its end, in words and as JSON lines.

Law: an episode is told as it stood at the moment it fired, so how often one looked changes no word of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from driftmon.monitor.quantities import QUANTITIES, RATIOS
from driftmon.monitor.report_dict import NUMBERS
from driftmon.monitor.rules import Alert, Change
from driftmon.render.openmetrics import clean

UNIT_OF: Final = {quantity.name: quantity.unit for quantity in QUANTITIES}
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
UNITS: Final = (("y", 31_557_600_000), ("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1))
WORDS: Final = (("years", 31_557_600_000), ("days", 86_400_000), ("hours", 3_600_000), ("minutes", 60_000))
CENTURIES_MS: Final = 100 * 31_557_600_000


@dataclass(frozen=True, slots=True)
class Episode:
    """One alert as it fired at `fired_ms`; `end_ms` None: it still fires where the data ends."""

    alert: Alert
    fired_ms: int
    end_ms: int | None = None

    @property
    def start_ms(self) -> int:
        """When the breach that led to it began."""
        return self.alert.active_ms

    @property
    def features(self) -> tuple[str, ...]:
        return self.alert.features or (self.alert.feature,)


class Episodes:
    """Gathers changes; `all` is in the order of their starts."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str, str, str], Episode] = {}
        self._ended: list[Episode] = []

    def add(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if change.event == "firing":
                self._open[change.alert.key] = Episode(change.alert, change.at_ms)
            elif change.event == "resolved" and change.alert.key in self._open:
                self._ended.append(replace(self._open.pop(change.alert.key), end_ms=change.at_ms))

    @property
    def all(self) -> list[Episode]:
        return sorted([*self._ended, *self._open.values()], key=lambda one: (one.start_ms, *one.alert.key))

    def of(self, rule: str) -> list[Episode]:
        """Those of one rule."""
        return [one for one in [*self._ended, *self._open.values()] if one.alert.rule.name == rule]

    def per_day(self, rules: Iterable[str], days: float) -> dict[str, float]:
        """Alerts a day by rule, of every rule, those that never fired too."""
        names = [episode.alert.rule.name for episode in self.all]
        return {rule: round(names.count(rule) / days, 6) for rule in rules}


def sentence(episode: Episode) -> str:
    """One line: from when to when, which rule, on what, by what evidence, and what did it."""
    alert, end_ms = episode.alert, episode.end_ms
    until = (
        "still firing at the end" if end_ms is None else f"to {minute(end_ms)} ({lasting(end_ms - episode.start_ms)})"
    )
    where = clean(alert.feature) if alert.feature else named(alert, list(map(clean, alert.features)))
    head = f"{minute(episode.start_ms)} {until}  {clean(alert.rule.name)}  {where} ({clean(alert.window)}): "
    return head + "; ".join([*reasons(alert), *([", ".join(bins)] if (bins := causes(alert)) else [])])


def named(alert: Alert, features: Sequence[str]) -> str:
    """Features in words; an alert names the strongest only, and says how many more there are."""
    return ", ".join(features) + (f" and {alert.more_features:,} more" if alert.more_features else "")


def reasons(alert: Alert) -> Iterator[str]:
    """Value, bound, noise floor and evidence of an alert, in words."""
    if alert.rule.mean:
        yield risen(alert)
    else:
        yield from _measured(alert)
    if math.isfinite(alert.once_in_ms):
        yield f"chance alone does this {once_in(alert.once_in_ms)}"
    if alert.drift_since_ms is not None:
        yield f"{'risen' if alert.rule.mean else 'drifting'} since {minute(alert.drift_since_ms)}"


def risen(alert: Alert) -> str:
    """What a rule on a mean has found, "mean surprisal 2.31 nats, reference 2.18: risen by 0.13 (at least 0.09)"."""
    name, before = alert.rule.mean.replace("_", " "), alert.reference_value
    least = f" (at least {alert.lower_bound:.2g})" if alert.lower_bound > 0 else ""
    by = f"risen by {alert.value:.2g}" if alert.value > 0 else f"not risen, {alert.value:+.2g}"
    rounded = ", each loss rounded down to its bin" if alert.rule.mean == "log_loss" else ""
    return f"mean {name} {before + alert.value:.3g} nats, reference {before:.3g}{rounded}: {by}{least}"


def _measured(alert: Alert) -> Iterator[str]:
    metric, unit = alert.rule.metric, UNIT_OF.get(alert.rule.metric, "")
    name = "debiased KL" if metric == "kl_divergence_debiased" else metric.replace("_", " ").replace("kl ", "KL ")
    name = f"{name}, live less reference," if metric in RATIOS else name
    if alert.rule.detector is not None:
        yield f"{alert.rule.detector.river} flagged its {name}, on average {alert.value:.4g} before"
        return
    limit = "effect" if alert.rule.calibrated is not None else "threshold"
    yield f"{name} {alert.value:.4g}{unit and ' '}{unit}, {limit} {alert.rule.above:g}"
    if math.isfinite(alert.lower_bound):
        yield f"at least {max(alert.lower_bound, 0.0):.3g} with 99 % confidence"
    if math.isfinite(alert.noise_floor) and metric.startswith("kl_"):
        yield f"noise stays below {alert.noise_floor:.3g}"


def causes(alert: Alert) -> list[str]:
    """The bins that contribute most, as "carrier=UA 12 % -> 4 %"."""
    return [clean(str(one)) for one in alert.top_bins]


def change_json(change: Change) -> dict[str, Any]:
    """A line of `replay --json`; what has no meaning is absent."""
    alert = change.alert
    since_ms = alert.active_ms if alert.drift_since_ms is None else alert.drift_since_ms
    numbers = {name: getattr(alert, name) for name in NUMBERS}
    return {
        "event": change.event,
        "time_ms": change.at_ms,
        "rule": alert.rule.name,
        "stream": alert.stream,
        **({"features": list(alert.features)} if alert.rule.per == "stream" else {"feature": alert.feature}),
        "window": alert.window,
        **{name: number for name, number in numbers.items() if math.isfinite(number)},
        "since_ms": since_ms,
        **({"top_bins": [str(one) for one in alert.top_bins]} if alert.top_bins else {}),
    }


def minute(time_ms: int) -> str:
    """UTC, to the minute.

    >>> minute(1_360_000_000_123)
    '2013-02-04 17:46'
    """
    return (EPOCH + timedelta(milliseconds=time_ms)).strftime("%Y-%m-%d %H:%M")


def lasting(milliseconds: float) -> str:
    """A duration in its two largest units.

    >>> lasting(1_952_640_000), lasting(90_000), lasting(0)
    ('22d 14h', '1min 30s', '0s')
    """
    left = round(milliseconds)
    said: list[tuple[int, str]] = []
    for unit, size in UNITS:
        if left >= size or said:
            said.append((left // size, unit))
            left %= size
        if len(said) == 2:
            break
    return " ".join(f"{count}{unit}" for count, unit in said if count) or "0s"


def once_in(milliseconds: float) -> str:
    """
    >>> once_in(214 * 86_400_000), once_in(math.inf), once_in(90 * 60_000)
    ('at most once in 214 days', 'at most once in centuries', 'at most once in 90 minutes')
    """
    if milliseconds >= CENTURIES_MS:
        return "at most once in centuries"
    unit, size = next((pair for pair in WORDS if milliseconds >= 2 * pair[1]), WORDS[-1])
    return f"at most once in {milliseconds / size:.0f} {unit}"


def caught(text: str, from_ms: int, feature: str, episodes: Iterable[Episode]) -> Mapping[str, Any]:
    """What became of an injection: the first alert on its feature from then on, and how long it took."""
    told = {"injection": text, "feature": feature, "from_ms": from_ms}
    of_all = sorted(episodes, key=lambda one: one.fired_ms)
    concerned = [one for one in of_all if feature in one.features]
    # An alert per stream that fires already takes further features in without a word.
    before = [one for one in of_all if feature in one.features or one.alert.rule.per == "stream"]
    if any(one.fired_ms < from_ms and (one.end_ms is None or one.end_ms > from_ms) for one in before):
        told |= {"already_firing": True}
    first = next((one for one in concerned if one.fired_ms >= from_ms), None)
    if first is None:
        return told
    return {**told, "rule": first.alert.rule.name, "delay_ms": first.fired_ms - from_ms}


def caught_words(told: Mapping[str, Any]) -> str:
    """
    >>> caught_words({"rule": "R", "delay_ms": 7_200_000})
    'caught after 2h by R'
    """
    found = f"caught after {lasting(told['delay_ms'])} by {clean(told['rule'])}" if "rule" in told else "not caught"
    return f"{found} (an alert was firing already)" if "already_firing" in told else found
