"""What an alert tells a person: sentences, and the numbers in them, as annotations.

Law: whatever moves from look to look stands here and never in a label; an alert that is over says so, and
says nothing of evidence that is gone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from driftmon.monitor.quantities import RATIOS
from driftmon.monitor.rules import Alert, Detector, State
from driftmon.render.replay_words import named, once_in, risen

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def annotations_of(alert: Alert) -> dict[str, str]:
    """Sentences and numbers for people; the rule's own annotations win."""
    top = "; ".join(f"{one} ({one.contribution_nats:+.3g} nats)" for one in alert.top_bins)
    found = {
        "summary": _summary(alert),
        "description": " ".join([*_sentences(alert), *([f"Largest contributions: {top}."] if top else [])]),
        **_numbers(alert),
        "evidence": _evidence(alert),
        "since": iso(since_ms(alert)),
        "features": named(alert, alert.features),
        "top_bins": top,
    }
    return {**{name: text for name, text in found.items() if text}, **alert.rule.annotations}


def since_ms(alert: Alert) -> int:
    """When the drift began by the evidence, else when the breach did."""
    return alert.active_ms if alert.drift_since_ms is None else alert.drift_since_ms


def iso(time_ms: int) -> str:
    """RFC 3339 in UTC.

    >>> iso(1_360_000_000_123)
    '2013-02-04T17:46:40.123Z'
    """
    return (EPOCH + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _over(alert: Alert) -> bool:
    return alert.state is State.INACTIVE


def _numbers(alert: Alert) -> dict[str, str]:
    measured = {"value": alert.value}
    if alert.rule.metric.startswith("kl_"):  # the floor is one of KL; beside a ratio it would mislead
        measured["noise_floor"] = alert.noise_floor
    measured["reference_value"] = alert.reference_value
    measured["lower_bound"] = math.nan if _over(alert) else alert.lower_bound
    return {name: f"{number:.4g}" for name, number in measured.items() if math.isfinite(number)}


def _evidence(alert: Alert) -> str:
    """How rarely chance alone shows as much; empty for a threshold, which cannot say."""
    if _over(alert) or math.isnan(alert.once_in_ms):
        return ""
    return f"a false alarm this strong happens {once_in(alert.once_in_ms)}"


def _summary(alert: Alert) -> str:
    rule, features = alert.rule, named(alert, alert.features)
    if rule.mean:
        return _summary_of_mean(alert, features)
    if rule.calibrated is not None:
        drifted = "drifts no longer" if _over(alert) else "has drifted"
        return f"{alert.stream} {drifted}: {features}." if features else f"{alert.feature} of {alert.stream} {drifted}."
    if rule.detector is not None:
        flagged = f"{rule.detector.river} {'no longer flags' if _over(alert) else 'flagged'} a change of {rule.metric}"
        return (
            f"{alert.stream}: {flagged} in {features}."
            if features
            else f"{alert.feature} of {alert.stream}: {flagged}."
        )
    above = f"{rule.metric} is {'no longer ' if _over(alert) else ''}above {rule.above:g}"
    return f"{alert.stream}: {above} in {features}." if features else f"{alert.feature} of {alert.stream}: {above}."


def _summary_of_mean(alert: Alert, features: str) -> str:
    mean = f"mean {alert.rule.mean.replace('_', ' ')}"
    if _over(alert):
        said = f"{mean} is no longer {alert.rule.above:g} nats or more above the reference"
    else:
        said = f"{risen(alert)}" if not features else f"{mean} has risen"
    return f"{alert.stream}: {said} in {features}." if features else f"{alert.feature} of {alert.stream}: {said}."


def _sentences(alert: Alert) -> Iterator[str]:
    if alert.rule.detector is not None:
        yield from _about_flag(alert, alert.rule.detector)
    elif alert.rule.calibrated is None:
        yield from _about_threshold(alert)
    else:
        yield from _about_evidence(alert)


def _about_threshold(alert: Alert) -> Iterator[str]:
    rule, numbers = alert.rule, _numbers(alert)
    floor = f"; noise alone stays below {numbers['noise_floor']}" if "noise_floor" in numbers else ""
    metric = f"{rule.metric}, live less reference," if rule.metric in RATIOS else rule.metric
    feature, others = _strongest(alert)
    yield (
        f"{metric} of {feature} (stream {alert.stream}, window {alert.window}) is "
        f"{numbers.get('value', 'unknown')}, the rule's threshold {rule.above:g}{floor}."
    )
    if others:
        yield f"The next: {others}."
    yield f"Since {iso(since_ms(alert))}."


def _about_flag(alert: Alert, detector: Detector) -> Iterator[str]:
    feature, others = _strongest(alert)
    if _over(alert):
        yield f"{detector.river} has flagged no further change of {feature} (stream {alert.stream})."
        return
    yield (
        f"{detector.river} flagged a change of the {detector.of} of {feature} (stream {alert.stream}) at "
        f"{iso(since_ms(alert))}; before the flag it was {_numbers(alert).get('value', 'unknown')} on average."
    )
    if others:
        yield f"Also: {others}."


def _about_evidence(alert: Alert) -> Iterator[str]:
    numbers, evidence = _numbers(alert), _evidence(alert)
    feature, others = _strongest(alert)
    since = iso(since_ms(alert))
    if alert.rule.mean:
        yield from _about_mean(alert, feature, since, others)
        return
    if _over(alert):
        yield f"The drift of {feature} (stream {alert.stream}) is over or smaller than {alert.rule.above:g} nats."
        return
    least = f", at least {numbers['lower_bound']} with 99 % confidence" if alert.lower_bound > 0 else ""
    floor = (
        f"; noise alone stays below {numbers['noise_floor']} in window {alert.window}"
        if "noise_floor" in numbers
        else ""
    )
    yield (
        f"Since {since} the KL divergence of {feature} (stream {alert.stream}) from its reference is "
        f"{numbers.get('value', 'unknown')} nats{least}{floor}."
    )
    if evidence:
        yield f"{evidence[0].upper()}{evidence[1:]}."
    if others:
        yield f"The next: {others}."


def _about_mean(alert: Alert, feature: str, since: str, others: str) -> Iterator[str]:
    where, evidence = f"{feature} (stream {alert.stream})", _evidence(alert)
    if _over(alert):
        yield f"The mean of {where} is back, or less than {alert.rule.above:g} nats above the reference."
        return
    sure = ", with 99 % confidence" if alert.lower_bound > 0 else ""
    yield f"Since {since}, of {where}: {risen(alert)}{sure}."
    if evidence:
        yield f"{evidence[0].upper()}{evidence[1:]}."
    if others:
        yield f"The next: {others}."


def _strongest(alert: Alert) -> tuple[str, str]:
    """The feature the numbers are about, and those after it."""
    return (alert.features[0], named(alert, alert.features[1:])) if alert.features else (alert.feature, "")
