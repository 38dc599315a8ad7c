"""Panels and dashboards in Grafana's classic JSON: the few shapes that driftmon's dashboards are made of.

Law: the same description gives the same JSON, byte for byte; what a panel needs of the configuration
it says itself, found from the metrics in its queries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from driftmon.monitor.report import Status
from driftmon.render.catalogue import METRICS, Metric

Json: TypeAlias = dict[str, Any]

SCHEMA_VERSION: Final = 39  # Grafana 11; newer ones migrate upward by themselves
GRID: Final = 24  # columns
SOURCE: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}
COLOURS: Final = {
    Status.OK: "green",
    Status.SIGNIFICANT: "yellow",
    Status.DRIFT: "red",
    Status.INSUFFICIENT_DATA: "#8e8e8e",
    Status.WEAK_REFERENCE: "purple",
    Status.WARMING_UP: "blue",
    Status.STALE: "#5a5a5a",
}
PLAIN: Final = ((None, "blue"),)
QUIET: Final = ((None, "green"), (900, "yellow"), (3600, "red"))  # seconds without data
SURE: Final = ((None, "green"), (3, "yellow"), (6, "red"))  # log10 of evidence
ORDER: Final = "order"
LOOKS_BACK: Final = 100  # points: a thousand of 45,000 series would exceed what Prometheus lets a query load
FULL, WINDOW_BINS, CALIBRATED = "`metrics: {set: full}`", "`metrics: {bins: window}`", "a calibrated rule"


@dataclass(frozen=True)
class Target:
    """One query: `range` over time, `instant` for one number, `table` for rows."""

    expr: str
    legend: str = ""
    kind: Literal["range", "instant", "table"] = "range"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Of the catalogue, in the order they stand there."""
        names = {re.sub("_bucket$", "", name) for name in re.findall(r"driftmon_[a-z0-9_]+", self.expr)}
        return tuple(metric for metric in METRICS.values() if metric.name in names)

    @property
    def needs(self) -> tuple[str, ...]:
        """What of the configuration brings its series, where the default does not."""
        return tuple(dict.fromkeys(need for metric in self.metrics for need in _needs(metric)))

    def json(self, letter: str) -> Json:
        made: Json = {"datasource": SOURCE, "editorMode": "code", "expr": self.expr, "refId": letter}
        if self.kind == "range":
            return {**made, "range": True, "legendFormat": self.legend or "__auto"}
        shape = {"table": {"format": "table"}, "instant": {}}[self.kind]
        return {**made, **shape, "instant": True, "range": False, "legendFormat": self.legend or "__auto"}


def _needs(metric: Metric) -> Iterator[str]:
    if metric.bins:
        yield WINDOW_BINS
    elif metric.calibrated:
        yield CALIBRATED
    elif not metric.core:
        yield FULL


@dataclass(frozen=True)
class Panel:
    """`styles`: field name -> properties that differ from the rest; `options` and `custom` as Grafana has them."""

    kind: str
    title: str
    text: str
    targets: tuple[Target, ...]
    unit: str
    width: int
    height: int
    defaults: Mapping[str, Any]
    options: Mapping[str, Any]
    styles: Mapping[str, Mapping[str, Any]]
    transformations: tuple[Json, ...] = ()
    points: int | None = None  # of a range that a query looks back on; $__interval is made of it

    def json(self, number: int, x: int, y: int) -> Json:
        made: Json = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": SOURCE,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "fieldConfig": {
                "defaults": {**self.defaults, "unit": self.unit},
                "overrides": [_override(name, style) for name, style in self.styles.items()],
            },
            "options": dict(self.options),
            "targets": [target.json(letter(at)) for at, target in enumerate(self.targets)],
        }
        if self.transformations:
            made["transformations"] = list(self.transformations)
        return made if self.points is None else {**made, "maxDataPoints": self.points}

    @property
    def description(self) -> str:
        """The text, what it needs, and each metric's own words from the catalogue."""
        always = [set(target.needs) for target in self.targets]
        every = {need for needs in always for need in needs}
        needed = sorted(set.intersection(*always)) if always else []
        more = sorted(every - set(needed))
        told = [f"Needs {' and '.join(needed)}."] if needed else []
        told += [f"More of it with {' and '.join(more)}."] if more else []
        known = {metric.name: metric for target in self.targets for metric in target.metrics}
        words = [f"- `{metric.name}`: {metric.help}" for metric in METRICS.values() if metric.name in known]
        return "\n\n".join([" ".join([self.text, *told]), "\n".join(words)]).strip()


def _override(name: str, style: Mapping[str, Any]) -> Json:
    properties = [{"id": key, "value": value} for key, value in style.items()]
    return {"matcher": {"id": "byName", "options": name}, "properties": properties}


def stat(title: str, text: str, target: Target, unit: str, steps: Sequence[tuple[float | None, str]], width: int = 4,
         mappings: Sequence[Json] = ()) -> Panel:  # fmt: skip
    """One number, coloured by steps (from this value on)."""
    options = {
        "colorMode": "background" if len(steps) > 1 or mappings else "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "value",
    }
    defaults = {"color": {"mode": "thresholds"}, "mappings": list(mappings), "thresholds": thresholds(steps)}
    return Panel("stat", title, text, (target,), unit, width, 4, defaults, options, {})


def series(title: str, text: str, targets: Iterable[Target], unit: str, width: int = 12, height: int = 9,
           styles: Mapping[str, Mapping[str, Any]] | None = None, custom: Mapping[str, Any] | None = None,
           low: float | None = None, high: float | None = None) -> Panel:  # fmt: skip
    """Lines over time."""
    lines = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "never", "spanNulls": False}
    defaults: Json = {"color": {"mode": "palette-classic"}, "custom": {**lines, **(custom or {})}}
    defaults |= {} if low is None else {"min": low}
    defaults |= {} if high is None else {"max": high}
    options = {
        "legend": {"calcs": ["lastNotNull"], "displayMode": "table", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return Panel("timeseries", title, text, tuple(targets), unit, width, height, defaults, options, styles or {})


def bars(title: str, text: str, columns: Mapping[str, str], order: str, unit: str, width: int = 12, height: int = 10,
         styles: Mapping[str, Mapping[str, Any]] | None = None) -> Panel:  # fmt: skip
    """A bar per bin and column (name -> expression); `order` is an expression that rises from bin to bin."""
    options = {
        "barWidth": 0.9,
        "groupWidth": 0.8,
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "orientation": "auto",
        "showValue": "never",
        "stacking": "none",
        "tooltip": {"mode": "multi", "sort": "none"},
        "xField": "bin",
        "xTickLabelRotation": -45,
        "xTickLabelSpacing": 0,
    }
    defaults = {"color": {"mode": "palette-classic"}, "custom": {"fillOpacity": 80, "lineWidth": 0}}
    targets = tuple(Target(expr, kind="table") for expr in (*columns.values(), order))
    joined = (merged(), organized([*columns, ORDER], ("bin",)), rising(ORDER), without(ORDER))
    return Panel("barchart", title, text, targets, unit, width, height, defaults, options, styles or {}, joined)


def table(title: str, text: str, columns: Mapping[str, str], labels: Sequence[str], unit: str, width: int,
          height: int, sort: str, styles: Mapping[str, Mapping[str, Any]] | None = None) -> Panel:  # fmt: skip
    """A row per set of labels, a column per expression; sorted by one column, largest first."""
    targets = tuple(Target(expr, kind="table") for expr in columns.values())
    options = {"cellHeight": "sm", "footer": {"show": False}, "showHeader": True}
    shaped = (
        merged(),
        organized([*columns], labels),
        falling(sort),
    )
    defaults = {"custom": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True}, "decimals": 3}
    return Panel(
        "table", title, text, targets, unit, width, height, defaults, options, styles or {}, shaped, LOOKS_BACK
    )  # fmt: skip


def merged() -> Json:
    return {"id": "merge", "options": {}}


def organized(columns: Sequence[str], labels: Sequence[str]) -> Json:
    """Labels first, then the columns by their names, without the time."""
    values = [f"Value #{letter(at)}" for at in range(len(columns))] if len(columns) > 1 else ["Value"]
    return {
        "id": "organize",
        "options": {
            "excludeByName": {"Time": True},
            "indexByName": {name: at for at, name in enumerate((*labels, *values))},
            "renameByName": dict(zip(values, columns, strict=True)),
        },
    }


def falling(field: str) -> Json:
    return {"id": "sortBy", "options": {"fields": {}, "sort": [{"desc": True, "field": field}]}}


def rising(field: str) -> Json:
    return {"id": "sortBy", "options": {"fields": {}, "sort": [{"desc": False, "field": field}]}}


def without(field: str) -> Json:
    return {"id": "organize", "options": {"excludeByName": {field: True}, "indexByName": {}, "renameByName": {}}}


def letter(at: int) -> str:
    """Grafana's name of a panel's query."""
    return chr(ord("A") + at)


def thresholds(steps: Sequence[tuple[float | None, str]]) -> Json:
    return {"mode": "absolute", "steps": [{"color": colour, "value": value} for value, colour in steps]}


def mapping(words: Mapping[int, tuple[str, str]]) -> Json:
    """Number -> (text, colour)."""
    shown = {str(at): {"color": c, "index": index, "text": t} for index, (at, (t, c)) in enumerate(words.items())}
    return {"type": "value", "options": shown}


STATUS_WORDS: Final = mapping({int(one): (one.name.lower().replace("_", " "), COLOURS[one]) for one in Status})


@dataclass(frozen=True)
class Dashboard:
    """`variables` and `annotations` in JSON; `rows` are titles with their panels."""

    uid: str
    title: str
    text: str
    variables: tuple[Json, ...]
    annotations: tuple[Json, ...]
    rows: Mapping[str, Sequence[Panel]]
    span: str = "now-6h"
    links: tuple[Json, ...] = ()

    def json(self) -> Json:
        return {
            "annotations": {"list": list(self.annotations)},
            "description": self.text,
            "editable": False,
            "fiscalYearStartMonth": 0,
            "graphTooltip": 1,
            "id": None,
            "links": [by_tag(), *self.links],
            "panels": list(_laid_out(self.rows)),
            "refresh": "30s",
            "schemaVersion": SCHEMA_VERSION,
            "tags": ["driftmon"],
            "templating": {"list": list(self.variables)},
            "time": {"from": self.span, "to": "now"},
            "timepicker": {},
            "timezone": "browser",
            "title": self.title,
            "uid": self.uid,
            "version": 1,
            "weekStart": "",
        }


def by_tag() -> Json:
    """From each of our dashboards to the others, with the choice of variables and time."""
    return {
        "asDropdown": False,
        "icon": "external link",
        "includeVars": True,
        "keepTime": True,
        "tags": ["driftmon"],
        "targetBlank": False,
        "title": "",
        "type": "dashboards",
    }


def to_page(title: str, url: str) -> Json:
    """A link that leaves Grafana."""
    return {
        "icon": "dashboard",
        "includeVars": False,
        "keepTime": False,
        "tags": [],
        "targetBlank": True,
        "title": title,
        "type": "link",
        "url": url,
    }


def _laid_out(rows: Mapping[str, Sequence[Panel]]) -> Iterator[Json]:
    """From left to right, then down; the row's title above."""
    number, y = 1, 0
    for title, panels in rows.items():
        if title:
            yield {"id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
                   "gridPos": {"h": 1, "w": GRID, "x": 0, "y": y}}  # fmt: skip
            number, y = number + 1, y + 1
        x, tallest = 0, 0
        for panel in panels:
            if x + panel.width > GRID:
                x, y, tallest = 0, y + tallest, 0
            yield panel.json(number, x, y)
            number, x, tallest = number + 1, x + panel.width, max(tallest, panel.height)
        y += tallest
