"""What a viewer chooses: data source, job, instance, stream, segment, feature, window; and alerts as annotations."""

from __future__ import annotations

from typing import Final

from grafana.panels import SOURCE, Json
from grafana.queries import Scope

DATA_SOURCE: Final[Json] = {
    "current": {},
    "hide": 0,
    "includeAll": False,
    "label": "Data source",
    "multi": False,
    "name": "datasource",
    "options": [],
    "query": "prometheus",
    "refresh": 1,
    "regex": "",
    "type": "datasource",
}

ALL_OF_JOB: Final = 'driftmon_build_info{job=~"$job"}'


def several(name: str, query: str, every: str = ".+") -> Json:
    """Any number of values, all by default."""
    return {**_variable(name, query), "allValue": every, "includeAll": True, "multi": True, "current": _all()}


def one(name: str, query: str, at_first: str = "") -> Json:
    """Exactly one value; the first there is, unless one is named."""
    chosen = {"current": {"selected": True, "text": at_first, "value": at_first}} if at_first else {"current": {}}
    return {**_variable(name, query), "includeAll": False, "multi": False, **chosen}


def values(metric: str, label: str) -> str:
    return f"label_values({metric}, {label})"


def _all() -> Json:
    return {"selected": True, "text": ["All"], "value": ["$__all"]}


def _variable(name: str, query: str) -> Json:
    return {
        "datasource": SOURCE,
        "definition": query,
        "hide": 0,
        "label": name.title(),
        "name": name,
        "options": [],
        "query": {"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"},
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "type": "query",
    }


COMMON: Final = (
    DATA_SOURCE,
    several("job", values("driftmon_build_info", "job")),
    several("instance", values(ALL_OF_JOB, "instance")),
)


def segment(scope: Scope) -> Json:
    """Most streams have no segments; then the label is absent and everything matches."""
    return several("segment", values(scope.of("feature_status_code"), "segment"), every=".*")


PAGE: Final[Json] = {
    "current": {"selected": True, "text": "http://localhost:10518", "value": "http://localhost:10518"},
    "description": "Where the daemon's own pages are, for the links to them.",
    "hide": 0,
    "label": "Daemon page",
    "name": "page",
    "options": [{"selected": True, "text": "http://localhost:10518", "value": "http://localhost:10518"}],
    "query": "http://localhost:10518",
    "type": "textbox",
}


def alerts(scope: Scope) -> tuple[Json, ...]:
    """Grafana's own annotations, and one region per alert while it fires."""
    own = {
        "builtIn": 1,
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "hide": True,
        "iconColor": "rgba(0, 211, 255, 1)",
        "name": "Annotations & Alerts",
        "type": "dashboard",
    }
    firing = {
        "datasource": SOURCE,
        "enable": True,
        "expr": f"max by (rule, stream, segment, feature, window) ({scope.of('alert_state')}) == 2",
        "iconColor": "red",
        "name": "driftmon alerts",
        "step": "60s",
        "tagKeys": "stream,feature,window",
        "textFormat": "{{stream}} {{feature}} {{window}}",
        "titleFormat": "{{rule}}",
    }
    return own, firing
