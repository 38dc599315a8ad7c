"""README's table of benchmarks and the pictures of growth, from results.json: `python -m tests.benchmarks.readme`.

Law: README shows what a run has measured, to the digit; a test holds it against results.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.plot import Panel, picture
from tests.benchmarks.rows import Row, from_json, table

ROOT: Final = Path(__file__).parents[2]
RESULTS: Final = Path(__file__).with_name("results.json")
PICTURES: Final = ROOT / "deploy" / "pictures"
START, END = "<!-- benchmarks -->\n", "<!-- end of benchmarks -->"
GROUPS: Final = {
    "hand": "What you would write by hand",
    "peers": "What others use",
    "limits": "What the machine and compiled code need",
    "render": "Ticks and text",
    "daemon": "The daemon, sent to by other processes",
    "process": "The process",
    "files": "Commands over files",
}
TITLES: Final = {
    "event_us": "us of CPU an event",
    "tick_ms": "ms of CPU a tick",
    "resident_mb": "MB of RSS",
    "text_ms": "ms of CPU a new report as text",
    "core_percent": "% of a core",
}
ACROSS: Final = {"rate": "events a second, HTTP, 100 a body"}


def filled(text: str, results: Mapping[str, Any]) -> str:
    """README with the tables of these results between its marks."""
    head, _, rest = text.partition(START)
    _, _, tail = rest.partition(END)
    parts = [f"**{title}**\n\n{table(from_json(results[name]))}" for name, title in GROUPS.items() if name in results]
    return head + START + "\n".join(parts) + END + tail


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


def pictures(results: Mapping[str, Any]) -> dict[Path, str]:
    found = panels(from_json(results.get("growth", ())))
    small = [*found.pop("series", ()), *found.pop("rate", ())]
    named = {what: picture(each) for what, each in found.items()} | ({"series-rate": picture(small)} if small else {})
    return {PICTURES / f"cost-{what}.svg": text for what, text in named.items()}


def main() -> None:
    results = json.loads(RESULTS.read_text())
    readme = ROOT / "README.md"
    readme.write_text(filled(readme.read_text(), results))
    for path, text in pictures(results).items():
        path.write_text(text)


if __name__ == "__main__":
    main()
