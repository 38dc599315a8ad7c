"""Row: one line of the table: what was compared, with what, and how it came out; kept as JSON, shown as Markdown.

Law: a number in a table was measured by the run that wrote it. What could not be measured is there with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

HEADER: Final = "| work | against | driftmon | the other | times as fast (rounds: least to most) | goal |"
RULE: Final = "| --- | --- | ---: | ---: | ---: | ---: |"


@dataclass(frozen=True, slots=True)
class Row:
    """`unit` is of `ours` and `theirs`. `goal` is a ratio where there is another, else a figure with its `sense`."""

    group: str
    work: str
    against: str
    unit: str
    goal: float | None = None
    sense: str = ">="
    ours: float | None = None
    theirs: float | None = None
    ratio: float | None = None
    least: float | None = None
    most: float | None = None
    rounds: int = 0
    note: str = ""
    place: str = ""  # on a curve: "features/1000/event_us"

    def skipped(self, why: str) -> Row:
        return replace(self, note=why)

    def measured(self, ours: float, theirs: float, ratios: Sequence[float]) -> Row:
        return replace(
            self,
            ours=ours,
            theirs=theirs,
            ratio=median(ratios),
            least=min(ratios),
            most=max(ratios),
            rounds=len(ratios),
        )

    def alone(self, values: Sequence[float]) -> Row:
        """Nothing to compare with: a figure of ours."""
        return replace(self, ours=median(values), least=min(values), most=max(values), rounds=len(values))

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without goal or figure."""
        found = self.ours if self.ratio is None else self.ratio
        if self.goal is None or found is None:
            return None
        return found >= self.goal if self.sense == ">=" else found <= self.goal

    def markdown(self) -> str:
        """
        >>> Row("g", "w", "numpy", "ns a value", goal=5.0).measured(2.0, 12.0, [5.5, 6.0, 6.5]).markdown()
        '| w | numpy | 2.00 ns a value | 12.0 | **6.00** (3: 5.50 to 6.50) | 5, met |'
        >>> Row("g", "w", "", "ms", goal=2.0, sense="<=").alone([3.0, 2.5]).markdown()
        '| w | | 2.75 ms (2: 2.50 to 3.00) | | | at most 2, missed |'
        """
        against = self.against and f" {self.against}"
        if self.ours is None:
            return f"| {self.work} |{against} | | | {self.note} | {self._goal()} |".replace("|  |", "| |")
        spread = f" ({self.rounds}: {shown(self.least)} to {shown(self.most)})" if self.rounds > 1 else ""
        if self.ratio is None:
            cells = [f"{shown(self.ours)} {self.unit}{spread}", shown(self.theirs), self.note]
        else:
            cells = [f"{shown(self.ours)} {self.unit}", shown(self.theirs), f"**{shown(self.ratio)}**{spread}"]
        text = " | ".join([f"| {self.work} |{against}", *cells, self._goal()]) + " |"
        while "|  |" in text:
            text = text.replace("|  |", "| |")
        return text

    def _goal(self) -> str:
        if self.goal is None:
            return ""
        least = (
            "at most " if self.sense == "<=" else "at least " if self.ratio is None and self.ours is not None else ""
        )
        word = {True: ", met", False: ", missed", None: ""}[self.met]
        return f"{least}{self.goal:,g}{word}" if self.goal >= 1 else f"{least}{self.goal:.2g}{word}"


def shown(number: float | None) -> str:
    """Three figures that count.

    >>> shown(0.0123456), shown(12.345), shown(123456.0), shown(None)
    ('0.0123', '12.3', '123,456', '')
    """
    if number is None:
        return ""
    if number >= 100:
        return f"{number:,.0f}"
    digits = max(0, 2 - len(str(int(number))) + 1)
    return f"{number:.{digits}f}" if number >= 0.1 else f"{number:.3g}"


def table(rows: Iterable[Row]) -> str:
    return "\n".join([HEADER, RULE, *(row.markdown() for row in rows)]) + "\n"


def kept(path: Path, results: Mapping[str, Any]) -> dict[str, Any]:
    """The results of earlier runs with those of this one in their places, written."""
    before = json.loads(path.read_text()) if path.exists() else {}
    both: dict[str, Any] = {**before, **results}
    path.write_text(json.dumps(both, indent=1) + "\n")
    return both


def as_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]


def from_json(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    return [Row(**row) for row in rows]
