"""Alert -> Notice -> the JSON of Alertmanager's v2 API and of its webhook.

Law: an alert's start is when its breach began, by the stream's own clock, and does not move while it
lasts; `endsAt` of a firing alert lies so far ahead that three lost resends do not resolve it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from driftmon.monitor.rules import Alert, Change, State
from driftmon.render.alert_words import annotations_of, iso
from driftmon.render.notice import Notice
from driftmon.render.pages.words import feature_path

RESEND_MS: Final = 60_000
LASTS_RESENDS: Final = 4
NEVER: Final = "0001-01-01T00:00:00Z"  # Alertmanager's endsAt of an alert that still fires
LABEL_NAME: Final = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")  # newer servers take any UTF-8, 0.25 refuses the batch


def notice_of(change: Change, external_labels: Mapping[str, str], external_url: str = "") -> Notice | None:
    """What a transition tells the world; None for "pending", which is nobody's business yet."""
    if change.event == "resolved":
        return _notice(change.alert, external_labels, external_url, change.at_ms)
    return firing(change.alert, external_labels, external_url)


def firing(alert: Alert, external_labels: Mapping[str, str], external_url: str = "") -> Notice | None:
    """The notice of an alert that fires, with its newest value; None in any other state."""
    return _notice(alert, external_labels, external_url, None) if alert.state is State.FIRING else None


def _notice(alert: Alert, external_labels: Mapping[str, str], external_url: str, ends_ms: int | None) -> Notice:
    path = feature_path(alert.stream, alert.feature) if alert.feature else "alerts"
    return Notice(
        status="firing" if ends_ms is None else "resolved",
        labels=labels_of(alert, external_labels),
        annotations=annotations_of(alert),
        starts_ms=alert.active_ms,
        ends_ms=ends_ms,
        generator_url=f"{external_url.rstrip('/')}/{path}" if external_url else "",
    )


def labels_of(alert: Alert, external_labels: Mapping[str, str]) -> dict[str, str]:
    """The identity: what names the alert wins over the rule's own labels, those over `external_labels`.

    An alert per stream has no `feature`; which features it is about may change while it lasts.
    """
    return {
        **{name: text for name, text in {**external_labels, **alert.rule.labels}.items() if name != "feature"},
        "alertname": alert.rule.name,
        "stream": alert.stream,
        **({"feature": alert.feature} if alert.feature else {}),
        "window": alert.window,
        "severity": alert.rule.severity,
    }


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
