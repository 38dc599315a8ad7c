"""Alert -> Notice -> the JSON of Alertmanager's v2 API and of its webhook.

Law: an alert's start is when its breach began, by the stream's own clock, and does not move while it
lasts; `endsAt` of a firing alert lies so far ahead that three lost resends do not resolve it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from driftmon.monitor.quantities import RATIOS
from driftmon.monitor.rules import Alert, Change, State
from driftmon.render.notice import Notice

RESEND_MS: Final = 60_000
LASTS_RESENDS: Final = 4
NEVER: Final = "0001-01-01T00:00:00Z"  # Alertmanager's endsAt of an alert that still fires
LABEL_NAME: Final = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")  # newer servers take any UTF-8, 0.25 refuses the batch
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def notice_of(change: Change, external_labels: Mapping[str, str], external_url: str = "") -> Notice | None:
    """What a transition tells the world; None for "pending", which is nobody's business yet."""
    if change.event == "resolved":
        return _notice(change.alert, external_labels, external_url, change.at_ms)
    return firing(change.alert, external_labels, external_url)


def firing(alert: Alert, external_labels: Mapping[str, str], external_url: str = "") -> Notice | None:
    """The notice of an alert that fires, with its newest value; None in any other state."""
    return _notice(alert, external_labels, external_url, None) if alert.state is State.FIRING else None


def _notice(alert: Alert, external_labels: Mapping[str, str], external_url: str, ends_ms: int | None) -> Notice:
    path = f"/api/v1/streams/{quote(alert.stream, safe='')}/features/{quote(alert.feature, safe='')}"
    return Notice(
        status="firing" if ends_ms is None else "resolved",
        labels=labels_of(alert, external_labels),
        annotations=annotations_of(alert),
        starts_ms=alert.active_ms,
        ends_ms=ends_ms,
        generator_url=external_url.rstrip("/") + path if external_url else "",
    )


def labels_of(alert: Alert, external_labels: Mapping[str, str]) -> dict[str, str]:
    """The identity: what names the alert wins over the rule's own labels, those over `external_labels`."""
    return {
        **external_labels,
        **alert.rule.labels,
        "alertname": alert.rule.name,
        "stream": alert.stream,
        "feature": alert.feature,
        "window": alert.window,
        "severity": alert.rule.severity,
    }


def annotations_of(alert: Alert) -> dict[str, str]:
    """Sentences and numbers for people; the rule's own annotations win."""
    rule, since = alert.rule, iso(alert.active_ms)
    measured = {"value": alert.value}
    if rule.metric.startswith("kl_"):  # the floor is one of KL; beside a ratio it would mislead
        measured["noise_floor"] = alert.noise_floor
    numbers = {name: f"{number:.4g}" for name, number in measured.items() if math.isfinite(number)}
    top = "; ".join(f"{one} ({one.contribution_nats:+.3g} nats)" for one in alert.top_bins)
    floor = f"; noise alone stays below {numbers['noise_floor']}" if "noise_floor" in numbers else ""
    metric = f"{rule.metric}, live less reference," if rule.metric in RATIOS else rule.metric
    described = (
        f"{metric} of {alert.feature} (stream {alert.stream}, window {alert.window}) is "
        f"{numbers.get('value', 'unknown')}, the rule's threshold {rule.above:g}{floor}. Since {since}."
    )
    return {
        "summary": f"{alert.feature} of {alert.stream}: {rule.metric} is above {rule.above:g}.",
        "description": f"{described} Largest contributions: {top}." if top else described,
        **numbers,
        "since": since,
        **({"top_bins": top} if top else {}),
        **rule.annotations,
    }


def iso(time_ms: int) -> str:
    """RFC 3339 in UTC.

    >>> iso(1_360_000_000_123)
    '2013-02-04T17:46:40.123Z'
    """
    return (EPOCH + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def bad_label_name(notice: Notice) -> str | None:
    """The first label name that Alertmanager would refuse the whole batch for."""
    return next((name for name in notice.labels if not LABEL_NAME.fullmatch(name)), None)


def v2_alert(notice: Notice, now_ms: int) -> dict[str, Any]:
    """One element of POST /api/v2/alerts. A resolved alert never ends in the future or before it began.

    >>> v2_alert(Notice("firing", {"alertname": "A"}, {}, starts_ms=0), now_ms=60_000)["endsAt"]
    '1970-01-01T00:05:00.000Z'
    """
    ends_ms = now_ms + LASTS_RESENDS * RESEND_MS if notice.ends_ms is None else min(notice.ends_ms, now_ms)
    url = {"generatorURL": notice.generator_url} if notice.generator_url else {}
    return {
        "labels": dict(notice.labels),
        "annotations": dict(notice.annotations),
        "startsAt": iso(notice.starts_ms),
        "endsAt": iso(max(ends_ms, notice.starts_ms)),
        **url,
    }


def webhook_body(notices: Sequence[Notice], external_url: str = "") -> dict[str, Any]:
    """Version 4 of Alertmanager's webhook JSON, as one group that has no group labels."""
    return {
        "version": "4",
        "groupKey": "driftmon",
        "truncatedAlerts": 0,
        "status": "firing" if any(notice.status == "firing" for notice in notices) else "resolved",
        "receiver": "driftmon",
        "groupLabels": {},
        "commonLabels": _common([notice.labels for notice in notices]),
        "commonAnnotations": _common([notice.annotations for notice in notices]),
        "externalURL": external_url,
        "alerts": [_webhook_alert(notice) for notice in notices],
    }


def _webhook_alert(notice: Notice) -> dict[str, Any]:
    return {
        "status": notice.status,
        "labels": dict(notice.labels),
        "annotations": dict(notice.annotations),
        "startsAt": iso(notice.starts_ms),
        "endsAt": NEVER if notice.ends_ms is None else iso(notice.ends_ms),
        "generatorURL": notice.generator_url,
        "fingerprint": notice.fingerprint,
    }


def _common(maps: Sequence[Mapping[str, str]]) -> dict[str, str]:
    if not maps:
        return {}
    return dict(set(maps[0].items()).intersection(*(one.items() for one in maps[1:])))
