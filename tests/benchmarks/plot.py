"""Curves as SVG text: panels side by side, both axes logarithmic.

Law: a picture is a function of its numbers; each first and last point is labelled with its value, to be read off.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from tests.benchmarks.rows import shown

PANEL, HEIGHT = 300, 200
LEFT, RIGHT, TOP, BOTTOM = 50, 34, 30, 36
STYLE: Final = (
    "text{font:11px sans-serif;fill:#333}.title{font-weight:bold}.grid{stroke:#ddd;fill:none}"
    ".line{stroke:#0b6bcb;stroke-width:2;fill:none}.dot{fill:#0b6bcb}"
)


@dataclass(frozen=True, slots=True)
class Panel:
    """One curve: `title` says what goes up, with its unit; `across` what grows."""

    title: str
    across: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """Values to pixels by their logarithm.

    >>> axis = Axis(1.0, 100.0, 0.0, 10.0)
    >>> axis.at(10.0), axis.decades()
    (5.0, [1.0, 10.0, 100.0])
    """

    low: float
    high: float
    from_px: float
    to_px: float

    def at(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.from_px + share * (self.to_px - self.from_px)

    def decades(self) -> list[float]:
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        return [10.0**power for power in range(first, last + 1)]


def picture(panels: Sequence[Panel]) -> str:
    """One SVG of panels in a row."""
    inside = "".join(text for at, panel in enumerate(panels) for text in _panel(panel, at * PANEL))
    width = PANEL * len(panels)
    name = escape("; ".join(f"{panel.title} by {panel.across}" for panel in panels))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" '
        f'role="img" aria-label="{name}"><style>{STYLE}</style><rect width="{width}" height="{HEIGHT}" fill="#fff"/>'
        f"{inside}</svg>\n"
    )


def _panel(panel: Panel, left: int) -> Iterator[str]:
    xs, ys = (sorted(values) for values in zip(*panel.points, strict=True))
    across = Axis(xs[0], max(xs[-1], 1.01 * xs[0]), left + LEFT, left + PANEL - RIGHT)
    # Whole decades, and at least one: what hardly moves must look as if it hardly moved.
    low = 10.0 ** math.floor(math.log10(ys[0]))
    up = Axis(low, max(10.0 ** math.ceil(math.log10(ys[-1])), 10 * low), HEIGHT - BOTTOM, TOP)
    yield f'<text class="title" x="{left + LEFT}" y="16">{escape(panel.title)}</text>'
    for value in up.decades():
        y = up.at(value)
        yield f'<path class="grid" d="M{left + LEFT} {y:.1f}H{left + PANEL - RIGHT}"/>'
        yield f'<text x="{left + LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{value:,g}</text>'
    for value in across.decades() if len(across.decades()) > 1 else (xs[0], xs[-1]):
        x = across.at(value)
        yield f'<path class="grid" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
        yield f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{value:,g}</text>'
    middle = left + (PANEL + LEFT - RIGHT) / 2
    yield f'<text x="{middle:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(panel.across)}</text>'
    curve = sorted(panel.points)
    places = [(across.at(x), up.at(y)) for x, y in curve]
    yield f'<path class="line" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in places)}"/>'
    yield from (f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in places)
    first, last = (shown(value) for _, value in (curve[0], curve[-1]))
    yield f'<text x="{places[0][0] + 5:.1f}" y="{places[0][1] - 7:.1f}">{first}</text>'
    if len(curve) > 1:
        yield f'<text x="{places[-1][0]:.1f}" y="{places[-1][1] - 7:.1f}" text-anchor="middle">{last}</text>'
