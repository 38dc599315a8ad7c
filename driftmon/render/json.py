"""Reports -> JSON: what GET /api/v1/report, /api/v1/alerts and `check --json` answer.

Law: equal reports give equal bytes, and every byte is ASCII, so no terminal or parser stumbles.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from driftmon.monitor.history import History
from driftmon.monitor.report import Report
from driftmon.monitor.report_dict import alert_dict, feature_dict, stream_dict


def report_json(reports: Mapping[str, Report]) -> dict[str, Any]:
    """All streams in one report; its time is the latest of theirs, absent before the first."""
    times = [report.now_ms for report in reports.values()]
    return {
        **({"time_ms": max(times)} if times else {}),
        "streams": {name: stream_dict(report) for name, report in reports.items()},
        **alerts_json(reports),
    }


def alerts_json(reports: Mapping[str, Report]) -> dict[str, Any]:
    """Pending and firing alerts of all streams."""
    return {"alerts": [alert_dict(alert) for report in reports.values() for alert in report.alerts]}


def feature_json(report: Report, feature: str, history: History | None = None) -> dict[str, Any]:
    """One feature with its bins, alerts and, per window, its course; KeyError where the stream has no such feature."""
    found = feature_dict(report, feature)
    alerts = [alert_dict(alert) for alert in report.alerts if feature in (alert.feature, *alert.features)]
    kept = history is not None and history.fingerprint == report.schema.fingerprint and feature in report.schema.names
    course = {"history": history.as_dict(report.schema.names.index(feature))} if history is not None and kept else {}
    return {
        "time_ms": report.now_ms,
        "stream": report.stream,
        "feature": feature,
        **found,
        "alerts": alerts,
        **course,
    }


def to_bytes(value: Mapping[str, Any]) -> bytes:
    """ASCII, one trailing newline; ValueError for a number JSON cannot hold, which no report has.

    >>> to_bytes({"a": "ü"})
    b'{"a": "\\\\u00fc"}\\n'
    """
    return (json.dumps(value, allow_nan=False) + "\n").encode()
