"""README's table of benchmarks and the pictures of growth, from results.json: `python -m tests.benchmarks.readme`.

Law: README shows what a run has measured, to the digit; a test holds it against results.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.plot import Panel, picture
from tests.benchmarks.rows import Row, from_json, shown, table

ROOT: Final = Path(__file__).parents[2]
RESULTS: Final = Path(__file__).with_name("results.json")
START, END = "<!-- benchmarks -->\n", "<!-- end of benchmarks -->"
GROUPS: Final = {
    "hand": "What you would write by hand",
    "peers": "What others use",
    "limits": "What the machine and compiled code need",
    "render": "Ticks and text",
    "daemon": "The daemon, sent to by other processes",
    "process": "The process",
    "files": "Commands over files",
    "year": "A year of minutes, replayed",
    "shares": "Where the time goes, of what has missed its goal; being watched slows it, so look at the shares alone",
}
TITLES: Final = {
    "event_us": "us of CPU an event",
    "tick_ms": "ms of CPU a tick",
    "resident_mb": "MB of RSS",
    "text_ms": "ms of CPU a new report as text",
    "core_percent": "% of a core",
}
INTRODUCTION: Final = """**As the work grows**

One thing grows, the others stay at 10 numeric features of 16 bins, in one window of one stream. Both axes are
logarithmic: what costs in proportion rises by as many lines as it moves to the right.
"""
ACROSS: Final = {"rate": "events a second, HTTP, 100 a body"}


def filled(text: str, results: Mapping[str, Any]) -> str:
    """README with the tables and pictures of these results between its marks."""
    head, _, rest = text.partition(START)
    _, _, tail = rest.partition(END)
    parts = [f"**{title}**\n\n{table(from_json(results[name]))}" for name, title in GROUPS.items() if name in results]
    if growth := from_json(results.get("growth", ())):
        parts += [
            INTRODUCTION,
            *(f"{sentence(each)}\n\n![{alt(each)}]({path})\n" for path, each in shown_panels(growth)),
        ]
    return head + START + "\n".join(parts) + END + tail


def sentence(curves: Sequence[Panel]) -> str:
    """From the first to the last point of each curve.

    >>> sentence([Panel("MB of RSS", "bins", [(16, 75.0), (1024, 90.0)])])
    'From 16 to 1,024 bins: 75.0 to 90.0 MB of RSS.'
    """
    told: dict[str, list[str]] = {}
    for curve in curves:
        (low, first), *_, (high, last) = sorted(curve.points)
        told.setdefault(f"From {low:,g} to {high:,g} {curve.across}", []).append(
            f"{shown(first)} to {shown(last)} {curve.title}"
        )
    return " ".join(f"{reach}: {', '.join(figures)}." for reach, figures in told.items())


def alt(curves: Sequence[Panel]) -> str:
    return "; ".join(f"{curve.title} by {curve.across}" for curve in curves)


def panels(rows: Sequence[Row]) -> dict[str, list[Panel]]:
    """By picture its curves: rows know their places, as in "features/1000/event_us"."""
    points: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        if row.place and row.ours:
            what, x, key = row.place.split("/")
            points.setdefault(what, {}).setdefault(key, []).append((float(x), row.ours))
    return {
        what: [Panel(TITLES[key], ACROSS.get(what, what), curve) for key, curve in curves.items()]
        for what, curves in points.items()
    }


def shown_panels(rows: Sequence[Row]) -> list[tuple[str, list[Panel]]]:
    """What stands in one picture; curves of a single point are none."""
    found = {what: [each for each in curves if len(each.points) > 1] for what, curves in panels(rows).items()}
    small = [*found.pop("series", ()), *found.pop("rate", ())]
    together = [*found.items(), ("series-rate", small)]
    return [(f"deploy/pictures/cost-{what}.svg", curves) for what, curves in together if curves]


def pictures(results: Mapping[str, Any]) -> dict[Path, str]:
    return {ROOT / path: picture(curves) for path, curves in shown_panels(from_json(results.get("growth", ())))}


def main() -> None:
    results = json.loads(RESULTS.read_text())
    readme = ROOT / "README.md"
    readme.write_text(filled(readme.read_text(), results))
    for path, text in pictures(results).items():
        path.write_text(text)


if __name__ == "__main__":
    main()
