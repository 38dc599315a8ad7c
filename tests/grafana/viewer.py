"""What Grafana does between a dashboard and Prometheus: fills in variables, asks, and gives rows or lines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from tests.servers.helpers import get_json

Json = dict[str, Any]

EVERYTHING: Final = {"job": ".+", "instance": ".+", "stream": ".+", "segment": ".*", "feature": ".+", "window": ".+"}


@dataclass(frozen=True)
class Viewer:
    """A choice of variables and of a range of time, in front of one Prometheus."""

    url: str
    from_s: float
    to_s: float
    step_s: float
    rate_interval: str
    chosen: Mapping[str, str] = field(default_factory=dict)

    def filled(self, expression: str) -> str:
        """The expression with its variables replaced; KeyError where one is unknown."""
        values = {
            **EVERYTHING,
            "__rate_interval": self.rate_interval,
            "__range": f"{int(self.to_s - self.from_s)}s",
            "__interval": f"{max(1, int(self.step_s))}s",
            **self.chosen,
        }
        return re.sub(r"\$(\w+)", lambda found: values[found[1]], expression)

    def ask(self, target: Json) -> list[Json]:
        """One query of a panel: series with `metric` and `points` [(seconds, value)]."""
        expression = self.filled(target["expr"])
        if target.get("instant"):
            found = self._get("query", query=expression, time=self.to_s)
            return [{"metric": one["metric"], "points": _points([one["value"]])} for one in found["result"]]
        found = self._get("query_range", query=expression, start=self.from_s, end=self.to_s, step=self.step_s)
        return [{"metric": one["metric"], "points": _points(one["values"])} for one in found["result"]]

    def values(self, query: str) -> list[str]:
        """What a variable's `label_values(selector, label)` offers."""
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
        assert found, query
        asked = urlencode({"match[]": self.filled(found[1]), "start": self.from_s, "end": self.to_s})
        return list(get_json(f"{self.url}/api/v1/label/{found[2]}/values?{asked}")["data"])

    def _get(self, kind: str, **asked: Any) -> Json:
        answer: Json = get_json(f"{self.url}/api/v1/{kind}?{urlencode(asked)}")
        assert answer["status"] == "success"
        data: Json = answer["data"]
        return data


def _points(values: list[list[Any]]) -> list[tuple[float, float]]:
    return [(float(at), float(text)) for at, text in values]


def frame(panel: Json, answers: list[list[Json]]) -> list[dict[str, Any]]:
    """The rows of a table or bar chart: the panel's transformations, as far as they are used here."""
    rows: list[dict[str, Any]] = []
    for target, found in zip(panel["targets"], answers, strict=True):
        name = "Value" if len(answers) == 1 else f"Value #{target['refId']}"
        rows += [{**one["metric"], "Time": one["points"][-1][0], name: one["points"][-1][1]} for one in found]
    for step in panel["transformations"]:
        rows = STEPS[step["id"]](rows, step["options"])
    return rows


def _merge(rows: list[dict[str, Any]], _: Json) -> list[dict[str, Any]]:
    """Rows that agree in everything they share, numbers of queries aside, become one."""
    merged: dict[tuple[tuple[str, Any], ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(sorted((name, value) for name, value in row.items() if not name.startswith(("Value", "Time"))))
        home = next((one for one in merged if set(key) <= set(one) or set(one) <= set(key)), key)
        merged.setdefault(home, {}).update(row)
    return list(merged.values())


def _sort(rows: list[dict[str, Any]], options: Json) -> list[dict[str, Any]]:
    (by,) = options["sort"]
    known = [row for row in rows if by["field"] in row]
    assert known, f"no row has {by['field']}"
    return sorted(known, key=lambda row: row[by["field"]], reverse=by["desc"]) + [
        row for row in rows if row not in known
    ]


def _organize(rows: list[dict[str, Any]], options: Json) -> list[dict[str, Any]]:
    order = options["indexByName"]
    return [
        {
            options["renameByName"].get(name, name): row[name]
            for name in sorted(row, key=lambda name: order.get(name, len(order)))
            if not options["excludeByName"].get(name)
        }
        for row in rows
    ]


STEPS: Final = {"merge": _merge, "sortBy": _sort, "organize": _organize}
