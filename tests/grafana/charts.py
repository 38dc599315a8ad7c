"""SVG of lines, stacks, bars and states, and numbers in Grafana's units."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

Points = Sequence[tuple[float, float]]

NAMED: Final = {
    "green": "#73bf69", "yellow": "#f2cc0c", "red": "#f2495c", "blue": "#5794f2", "orange": "#ff9830",
    "purple": "#b877d9", "light-blue": "#8ab8ff", "white": "#e8e8ee",
}  # fmt: skip
PALETTE: Final = ("#73bf69", "#f2cc0c", "#8ab8ff", "#ff9830", "#f2495c", "#5794f2", "#b877d9", "#56a64b", "#e0b400",
                  "#ff780a", "#e02f44", "#3274d9", "#a352cc", "#96d98d", "#ffee52", "#c0d8ff")  # fmt: skip
INK, SOFT, RULE = "#ccccdc", "#9a9aa8", "#2c2f36"


def colour(name: str) -> str:
    return NAMED.get(name, name)


def shown(value: float, unit: str, now_s: float = 0.0) -> str:
    """
    >>> shown(0.12345, "short"), shown(0.5, "percentunit"), shown(95, "s"), shown(2**21, "bytes"), shown(7000, "short")
    ('0.123', '50 %', '1.58 min', '2 MiB', '7 K')
    """
    if unit == "dateTimeFromNow":
        return f"{shown(now_s - value / 1000, 's')} ago"
    if unit == "percentunit":
        return f"{_short(100 * value)} %"
    steps = {
        "bytes": ((2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"), (1, " B")),
        "s": ((86400, " d"), (3600, " h"), (60, " min"), (1, " s"), (1e-3, " ms"), (1e-6, " µs")),
    }.get(unit, ((1e6, " M"), (1e3, " K"), (0, "")))
    size, word = next(((size, word) for size, word in steps if abs(value) >= size), (1.0, ""))
    return f"{_short(value / (size or 1))}{word}"


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


@dataclass(frozen=True)
class Line:
    """One series with the properties that a panel gives it."""

    name: str
    points: Points
    colour: str
    style: Mapping[str, Any] = field(default_factory=dict)

    def of(self, key: str, otherwise: Any) -> Any:
        return self.style.get(key, otherwise)


@dataclass(frozen=True)
class Frame:
    """Where a chart lies in its picture, and what of the world it shows."""

    width: float
    height: float
    from_s: float
    to_s: float
    low: float = 0.0
    high: float = 1.0
    left: float = 58.0
    bottom: float = 22.0

    def x(self, at_s: float) -> float:
        return self.left + (self.width - self.left - 8) * (at_s - self.from_s) / (self.to_s - self.from_s)

    def y(self, value: float) -> float:
        return 8 + (self.height - self.bottom - 8) * (self.high - value) / (self.high - self.low)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that cover a range.

    >>> ticks(0, 0.93)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    raw = (high - low) / count or 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * part for part in (1, 2, 2.5, 5, 10) if power * part >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(at * step, 12) for at in range(first, last + 1)]


def stacked(lines: Sequence[Line]) -> tuple[list[Line], dict[str, Points]]:
    """Lines that stand on each other, and under each the line it stands on."""
    made: list[Line] = []
    under: dict[str, Points] = {}
    ground: dict[float, float] = {}
    for line in lines:
        if line.of("stacking", {}).get("mode") == "normal":
            under[line.name] = [(at, ground.get(at, 0.0)) for at, _ in line.points]
            ground.update({at: ground.get(at, 0.0) + value for at, value in line.points})
            made.append(Line(line.name, [(at, ground[at]) for at, _ in line.points], line.colour, line.style))
        else:
            made.append(line)
    return made, under


def lines_svg(
    lines: Sequence[Line], frame: Frame, unit: str, low: float | None, high: float | None, alerts: Sequence[float]
) -> str:
    """Lines and stacks, with a mark where an alert began to fire."""
    drawn, under = stacked(lines)
    values = [value for line in drawn for _, value in line.points if math.isfinite(value)] or [0.0]
    least, most = min(values) if low is None else low, max(values) if high is None else high
    scale = 2.0**20 if unit == "bytes" else 1.0
    marks = [mark * scale for mark in ticks(least / scale, (most if most > least else least + 1) / scale)]
    frame = Frame(frame.width, frame.height, frame.from_s, frame.to_s, marks[0], marks[-1])
    by_name = {line.name: line for line in drawn}
    parts = [*_grid(frame, marks, unit)]
    for line in drawn:
        parts += _drawn(line, under.get(line.name), by_name, frame)
    parts += [_rect(frame.x(at), 8, 1, frame.height - frame.bottom - 8, NAMED["red"], 0.6) for at in alerts]
    return _svg(frame, parts)


def _grid(frame: Frame, marks: Sequence[float], unit: str) -> Iterator[str]:
    for mark in marks:
        y = frame.y(mark)
        yield f'<path d="M{frame.left} {y:.1f}H{frame.width - 8}" stroke="{RULE}"/>'
        yield _text(frame.left - 6, y + 4, shown(mark, unit), "end")
    hours = [frame.from_s + (frame.to_s - frame.from_s) * part / 6 for part in range(1, 6)]
    for at in hours:
        at_minute = round(at / 60) * 60
        yield _text(frame.x(at_minute), frame.height - 6, time.strftime("%H:%M", time.gmtime(at_minute)), "middle")


def _drawn(line: Line, ground: Points | None, others: Mapping[str, Line], frame: Frame) -> Iterator[str]:
    if not line.points:
        return
    path = " ".join(f"{frame.x(at):.1f},{frame.y(value):.1f}" for at, value in line.points if math.isfinite(value))
    beneath = others.get(line.of("fillBelowTo", ""))
    floor = beneath.points if beneath else ground or [(at, max(frame.low, 0.0)) for at, _ in line.points]
    opacity = line.of("fillOpacity", 0) / 100
    if opacity and path:
        back = " ".join(f"{frame.x(at):.1f},{frame.y(value):.1f}" for at, value in reversed(floor))
        yield f'<polygon points="{path} {back}" fill="{line.colour}" fill-opacity="{opacity}"/>'
    if width := line.of("lineWidth", 1):
        dash = ' stroke-dasharray="8 6"' if line.of("lineStyle", {}).get("fill") == "dash" else ""
        yield f'<polyline points="{path}" fill="none" stroke="{line.colour}" stroke-width="{width + 0.6}"{dash}/>'


def bars_svg(labels: Sequence[str], columns: Mapping[str, tuple[str, Sequence[float]]], frame: Frame, unit: str) -> str:
    """Groups of bars; labels below, slanted."""
    values = [value for _, column in columns.values() for value in column] or [0.0]
    marks = ticks(min(0.0, *values), max(0.0, *values))
    frame = Frame(frame.width, frame.height, 0, len(labels), marks[0], marks[-1], bottom=92)
    parts = [f'<path d="M{frame.left} {frame.y(mark):.1f}H{frame.width - 8}" stroke="{RULE}"/>'
             + _text(frame.left - 6, frame.y(mark) + 4, shown(mark, unit), "end") for mark in marks]  # fmt: skip
    wide = (frame.x(1) - frame.x(0)) * 0.8 / len(columns)
    for group, (ink, column) in enumerate(columns.values()):
        for at, value in enumerate(column):
            top, foot = sorted((frame.y(value), frame.y(0)))
            x, tall = frame.x(at + 0.1) + group * wide, max(foot - top, 0.5)
            fill = (NAMED["red"] if value > 0 else NAMED["blue"]) if ink == "continuous" else ink
            parts.append(
                f'<rect x="{x:.1f}" y="{top:.1f}" width="{wide * 0.94:.1f}" height="{tall:.1f}" fill="{fill}"/>'
            )
    for at, label in enumerate(labels):
        x, y = frame.x(at + 0.6), frame.height - 80
        parts.append(f'<text x="{x:.1f}" y="{y:.1f}" transform="rotate(-45 {x:.1f} {y:.1f})" text-anchor="end">'
                     f"{escape(label)}</text>")  # fmt: skip
    return _svg(frame, parts)


def states_svg(lines: Sequence[Line], frame: Frame, colours: Mapping[float, str]) -> str:
    """A band per series, coloured by its value."""
    frame = Frame(frame.width, frame.height, frame.from_s, frame.to_s, left=200)
    tall = (frame.height - frame.bottom - 8) / max(len(lines), 1)
    parts = []
    for row, line in enumerate(lines):
        top = 8 + row * tall
        parts.append(_text(frame.left - 8, top + tall / 2 + 4, line.name, "end"))
        for at, end, value in spans(line.points, frame.to_s):
            x, wide = frame.x(at), frame.x(end) - frame.x(at) + 0.4
            parts.append(_rect(x, top + 2, wide, tall - 4, colours.get(value, SOFT), 0.8))
    return _svg(frame, [*parts, *_grid(frame, (), "short")])


def spans(points: Points, end_s: float) -> Iterator[tuple[float, float, float]]:
    """(from, until, value) of each stretch of one value.

    >>> list(spans([(0, 1.0), (1, 1.0), (2, 3.0)], 4))
    [(0, 2, 1.0), (2, 4, 3.0)]
    """
    starts = [point for at, point in enumerate(points) if at == 0 or points[at - 1][1] != point[1]]
    for (at, value), end in zip(starts, [*(at for at, _ in starts[1:]), end_s], strict=True):
        yield at, end, value


def _rect(x: float, y: float, width: float, height: float, fill: str, opacity: float = 1.0) -> str:
    size = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {size} fill="{fill}" fill-opacity="{opacity}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(frame: Frame, parts: Sequence[str]) -> str:
    return f'<svg width="{frame.width:.0f}" height="{frame.height:.0f}">{"".join(parts)}</svg>'
