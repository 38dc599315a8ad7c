"""A dashboard drawn from real answers: enough of Grafana to see what a viewer will see. It is not Grafana.

Law: a panel without data says so in words, and nothing else does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from tests.grafana.boards import Json
from tests.grafana.charts import PALETTE, Frame, Line, bars_svg, colour, lines_svg, shown, states_svg
from tests.grafana.viewer import Viewer, frame

NO_DATA: Final = "No data"
WIDTH: Final = 1600
CELL, GAP = 30, 8

CSS: Final = """
body { margin: 0; background: #111217; color: #ccccdc; font: 12px Inter, "DejaVu Sans", sans-serif; }
header { padding: 14px 16px 2px; font-size: 17px; } header small { color: #9a9aa8; font-size: 12px; margin-left: 12px; }
nav { padding: 6px 16px 10px; } nav span { background: #1f2128; border: 1px solid #2c2f36; padding: 4px 9px;
  margin-right: 6px; border-radius: 2px; } nav b { color: #6e9fff; font-weight: 500; margin-right: 6px; }
main { position: relative; margin: 0 8px; }
section { position: absolute; box-sizing: border-box; background: #181b1f; border: 1px solid #2c2f36; overflow: hidden;
  border-radius: 2px; } section > h2 { font-size: 13px; font-weight: 500; margin: 8px 10px 4px; white-space: nowrap; }
h3 { position: absolute; margin: 0; font-size: 14px; font-weight: 500; padding-top: 8px; }
svg text { fill: #9a9aa8; font-size: 11px; } .none { color: #9a9aa8; text-align: center; padding-top: 30px; }
.stat { position: absolute; inset: 0; display: flex; align-items: center; justify-content: center; font-size: 34px;
  font-weight: 500; } .stat.back { color: #fff; } section.stat-panel > h2 { position: relative; z-index: 1; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; color: #6e9fff; font-weight: 500; }
th, td { padding: 6px 10px; border-bottom: 1px solid #24272d; white-space: nowrap; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
ul { list-style: none; margin: 0; padding: 0 10px; columns: 2; }
li { white-space: nowrap; overflow: hidden; padding: 1px 0; }
li i { display: inline-block; width: 14px; height: 4px; margin-right: 6px; vertical-align: middle; border-radius: 2px; }
.bar { display: grid; grid-template-columns: 150px 1fr 60px; gap: 8px; align-items: center; padding: 4px 10px; }
.bar u { display: block; height: 16px; background: #24272d; } .bar u b { display: block; height: 16px; }
"""


def drawn(board: Json, viewer: Viewer, words: str) -> str:
    """The whole dashboard as one HTML page without scripts."""
    tall = max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in board["panels"]) * (CELL + GAP) + 20
    chosen = "".join(
        f"<span><b>{escape(one['label'])}</b>{escape(viewer.chosen.get(one['name'], 'All'))}</span>"
        for one in board["templating"]["list"]
        if one["type"] == "query"
    )
    alerts = _alerts(board, viewer)
    panels = "".join(_placed(panel, viewer, alerts) for panel in board["panels"])
    return (
        f"<!doctype html><meta charset=utf-8><style>{CSS}</style><header>{escape(board['title'])}"
        f"<small>{escape(words)}</small></header><nav>{chosen}</nav><main style='height:{tall}px'>{panels}</main>"
    )


def height(board: Json) -> int:
    """Pixels that the page takes."""
    return int(max(one["gridPos"]["y"] + one["gridPos"]["h"] for one in board["panels"]) * (CELL + GAP) + 100)


def _placed(panel: Json, viewer: Viewer, alerts: Sequence[float]) -> str:
    at, column = panel["gridPos"], (WIDTH - 16 + GAP) / 24
    wide, tall = at["w"] * column - GAP, at["h"] * (CELL + GAP) - GAP
    place = f"left:{at['x'] * column:.0f}px;top:{at['y'] * (CELL + GAP)}px;width:{wide:.0f}px;height:{tall}px"
    if panel["type"] == "row":
        return f'<h3 style="{place}">{escape(panel["title"])}</h3>'
    answers = [viewer.ask(target) for target in panel["targets"]]
    inner = KINDS[panel["type"]](panel, answers, viewer, Place(wide, tall - 32, alerts)) if any(answers) else ""
    body = inner or f'<div class="none">{NO_DATA}</div>'
    return f'<section class="{panel["type"]}-panel" style="{place}"><h2>{escape(panel["title"])}</h2>{body}</section>'


Answers = Sequence[Sequence[Json]]


@dataclass(frozen=True)
class Place:
    """The room a panel has below its title, and when alerts began."""

    width: float
    height: float
    alerts: Sequence[float]


def _alerts(board: Json, viewer: Viewer) -> list[float]:
    """When each alert of the annotations began to fire."""
    asked = [viewer.ask(one) for one in board["annotations"]["list"] if "expr" in one]
    return sorted({one["points"][0][0] for found in asked for one in found})


def _stat(panel: Json, answers: Answers, viewer: Viewer, place: Place) -> str:
    value = answers[0][0]["points"][-1][1]
    text, ink = _worded(panel["fieldConfig"]["defaults"], value, viewer)
    filled = panel["options"]["colorMode"] == "background"
    style = f"background:{ink}b0" if filled else f"color:{ink}"
    return f'<div class="stat {"back" if filled else ""}" style="{style}">{escape(text)}</div>'


def _worded(defaults: Mapping[str, Any], value: float, viewer: Viewer) -> tuple[str, str]:
    """Text and colour of a number: by mapping, else by thresholds."""
    for one in defaults.get("mappings", ()):
        if found := one["options"].get(str(int(value))):
            return found["text"], colour(found["color"])
    steps = defaults.get("thresholds", {"steps": [{"color": "white", "value": None}]})["steps"]
    ink = [step["color"] for step in steps if step["value"] is None or value >= step["value"]][-1]
    return shown(value, defaults.get("unit", "short"), viewer.to_s), colour(ink)


def _series(panel: Json, answers: Answers, viewer: Viewer, place: Place) -> str:
    lines, defaults = _lines(panel, answers), panel["fieldConfig"]["defaults"]
    unit = defaults["unit"]
    legend = "".join(
        f'<li><i style="background:{line.colour}"></i>{escape(line.name)} <b>{_last(line, unit, viewer)}</b></li>'
        for line in lines
    )
    rows = min((len(lines) + 1) // 2, 6)
    box = Frame(place.width - 4, place.height - rows * 17 - 8, viewer.from_s, viewer.to_s)
    chart = lines_svg(lines, box, defaults["unit"], defaults.get("min"), defaults.get("max"), place.alerts)
    return f"{chart}<ul style='max-height:{rows * 17}px'>{legend}</ul>"


def _last(line: Line, unit: str, viewer: Viewer) -> str:
    return shown(line.points[-1][1], unit, viewer.to_s) if line.points else ""


def _lines(panel: Json, answers: Answers) -> list[Line]:
    defaults = panel["fieldConfig"]["defaults"]
    made: list[Line] = []
    for target, found in zip(panel["targets"], answers, strict=True):
        for one in found:
            name = _name(target["legendFormat"], one["metric"])
            style = {**defaults.get("custom", {}), **_style(panel, name, "custom.")}
            fixed = _style(panel, name, "").get("color", {}).get("fixedColor")
            made.append(Line(name, one["points"], colour(fixed) if fixed else PALETTE[len(made) % len(PALETTE)], style))
    return made


def _style(panel: Json, name: str, prefix: str) -> dict[str, Any]:
    overrides = [one for one in panel["fieldConfig"]["overrides"] if one["matcher"]["options"] == name]
    return {
        own["id"].removeprefix(prefix): own["value"]
        for one in overrides
        for own in one["properties"]
        if own["id"].startswith(prefix)
    }


def _name(legend: str, labels: Mapping[str, str]) -> str:
    return " ".join(re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), legend).split())


def _table(panel: Json, answers: Answers, viewer: Viewer, place: Place) -> str:
    rows = frame(panel, [list(one) for one in answers])
    hidden = {name for row in rows for name in row if _style(panel, name, "custom.").get("hidden")}
    names = list(dict.fromkeys(name for row in rows for name in row if name not in hidden))
    head = "".join(f'<th class="{_kind(rows, name)}">{escape(name)}</th>' for name in names)
    body = "".join(f"<tr>{''.join(_cell(panel, row, name, viewer) for name in names)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _kind(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    return "n" if any(isinstance(row.get(name), float) for row in rows) else ""


def _cell(panel: Json, row: Mapping[str, Any], name: str, viewer: Viewer) -> str:
    value, style = row.get(name, ""), _style(panel, name, "")
    if not isinstance(value, float):
        return f"<td>{escape(value)}</td>"
    text, ink = _worded({**panel["fieldConfig"]["defaults"], **style}, value, viewer)
    painted = f' style="color:{ink}"' if "custom.cellOptions" in style else ""
    return f'<td class="n"{painted}>{escape(text)}</td>'


def _gauge(panel: Json, answers: Answers, viewer: Viewer, place: Place) -> str:
    defaults = panel["fieldConfig"]["defaults"]
    values = [(_name(panel["targets"][0]["legendFormat"], one["metric"]), one["points"][-1][1]) for one in answers[0]]
    most = max(value for _, value in values) or 1.0
    made = []
    for name, value in values:
        text, ink = _worded(defaults, value, viewer)
        made.append(f'<div class="bar"><span>{escape(name)}</span><u><b style="width:{100 * value / most:.1f}%;'
                    f'background:{ink}"></b></u><b style="color:{ink}">{text}</b></div>')  # fmt: skip
    return "".join(made)


def _bars(panel: Json, answers: Answers, viewer: Viewer, place: Place) -> str:
    rows = frame(panel, [list(one) for one in answers])
    names = [name for name in rows[0] if name != "bin"]
    columns = {}
    for at, name in enumerate(names):
        ink = _style(panel, name, "").get("color", {})
        by_value = ink.get("mode", "").startswith("continuous")
        fill = "continuous" if by_value else colour(ink.get("fixedColor", PALETTE[at]))
        columns[name] = (fill, [row.get(name, 0.0) for row in rows])
    legend = "".join(
        f'<li><i style="background:{"#f2495c" if fill == "continuous" else fill}"></i>{escape(name)}</li>'
        for name, (fill, _) in columns.items()
    )
    box = Frame(place.width - 4, place.height - 24, 0, 1)
    chart = bars_svg([row["bin"] for row in rows], columns, box, panel["fieldConfig"]["defaults"]["unit"])
    return f"{chart}<ul>{legend}</ul>"


def _states(panel: Json, answers: Answers, viewer: Viewer, place: Place) -> str:
    (words,) = panel["fieldConfig"]["defaults"]["mappings"]
    colours = {float(number): colour(one["color"]) for number, one in words["options"].items()}
    return states_svg(_lines(panel, answers), Frame(place.width - 4, place.height, viewer.from_s, viewer.to_s), colours)


KINDS: Final[Mapping[str, Callable[[Json, Answers, Viewer, Place], str]]] = {
    "stat": _stat,
    "timeseries": _series,
    "table": _table,
    "bargauge": _gauge,
    "barchart": _bars,
    "state-timeline": _states,
}
