"""Charts of the replay page as SVG text, styled by the page's classes, drawn without a script.

Law: a chart is a function of its numbers; what has no value leaves a gap, and text is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import groupby
from typing import Final

from driftmon.render.openmetrics import clean
from driftmon.render.replay_timeline import Line
from driftmon.render.replay_words import EPOCH, Episode, lasting, minute

WIDTH, HEIGHT = 960, 210
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 10, 24
NICE: Final = (1, 2, 2.5, 5, 10)
TICK_MS: Final = (60_000, 300_000, 900_000, 3_600_000, 10_800_000, 21_600_000, 43_200_000, 86_400_000, 172_800_000)
HEAT_COLUMNS: Final = 160
HEAT_ROW, HEAT_LABEL = 18, 190
LEVELS: Final = (0.25, 0.5, 1.0, 2.0)  # of the threshold; what noise explains has no colour


@dataclass(frozen=True, slots=True)
class Frame:
    """Data to pixels: times along, nats upward."""

    from_ms: int
    to_ms: int
    top_nats: float

    def x(self, time_ms: float) -> float:
        share = (time_ms - self.from_ms) / max(self.to_ms - self.from_ms, 1)
        return LEFT + min(max(share, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def y(self, nats: float) -> float:
        share = min(max(nats / self.top_nats, -0.02), 1.02)
        return TOP + (1 - share) * (HEIGHT - TOP - BOTTOM)


def timeline(
    line: Line, thresholds: Sequence[tuple[str, float]], episodes: Sequence[Episode], marks: Sequence[tuple[str, int]]
) -> str:
    """Debiased KL with its bounds and noise floor; thresholds across, alerts behind, injections as marks."""
    frame = _frame(line, [above for _, above in thresholds])
    inside = [
        *(_span(frame, episode) for episode in episodes),
        *_grid(frame),
        *(f'<path class="floor" d="{area}"/>' for area in _areas(frame, line, line.floor, [0.0] * len(line.floor))),
        *(f'<path class="bounds" d="{area}"/>' for area in _areas(frame, line, line.upper, line.lower)),
        *(f'<path class="line" d="{path}"/>' for path in _paths(frame, line, line.debiased)),
        *(_threshold(frame, names, above) for above, names in _by_value(thresholds).items()),
        *(_mark(frame, text, at_ms) for text, at_ms in marks),
    ]
    title = f"debiased KL of the window {clean(line.window)} over time"
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(inside)}</svg>"
    )


def _frame(line: Line, thresholds: Sequence[float]) -> Frame:
    """Twice a threshold only where the data comes near it, so that a quiet feature is not a flat line."""
    largest = max([*(v for v in line.debiased if math.isfinite(v)), 0.0])
    floors = sorted(v for v in line.floor if math.isfinite(v))
    usual_floor = floors[len(floors) // 2] if floors else 0.0
    near = [above for above in thresholds if above <= 2.5 * largest]
    top = max([1.1 * largest, 1.3 * usual_floor, *(1.25 * above for above in near), 1e-4])
    return Frame(line.times_ms[0], line.times_ms[-1] + line.step_ms, top)


def _grid(frame: Frame) -> Iterator[str]:
    for nats in ticks(frame.top_nats):
        y = frame.y(nats)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text class="axis" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{nats:g}</text>'
    for at_ms, text in moments(frame.from_ms, frame.to_ms):
        x = frame.x(at_ms)
        yield f'<path class="grid" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
        if x < WIDTH - 60:
            yield f'<text class="axis" x="{x + 3:.1f}" y="{HEIGHT - 7}">{text}</text>'


def ticks(top: float) -> list[float]:
    """Three to six round numbers from 0.

    >>> ticks(0.23)
    [0.0, 0.1, 0.2]
    """
    rough = top / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in NICE if nice * power >= rough * 0.999)
    return [float(f"{step * n:.6g}") for n in range(math.floor(top / step + 1e-9) + 1)]


def moments(from_ms: int, to_ms: int) -> list[tuple[int, str]]:
    """Round moments with their labels: months for years of data, minutes for an hour.

    >>> [text for _, text in moments(1_359_676_800_000, 1_372_636_800_000)]
    ['2013-02', '2013-03', '2013-04', '2013-05', '2013-06']
    >>> [text for _, text in moments(1_359_676_800_000, 1_359_680_400_000)][:2]
    ['02-01 00:00', '02-01 00:15']
    """
    wanted = (to_ms - from_ms) / 8
    if wanted > 10 * 86_400_000:
        return [(at_ms, minute(at_ms)[:7]) for at_ms in _months(from_ms, to_ms, max(1, round(wanted / 2_629_800_000)))]
    step_ms = next((step for step in TICK_MS if step >= wanted), 5 * 86_400_000)
    first = -(-from_ms // step_ms) * step_ms
    text = slice(5, 10) if step_ms >= 86_400_000 else slice(5, 16)
    return [(at_ms, minute(at_ms)[text]) for at_ms in range(first, to_ms, step_ms)]


def _months(from_ms: int, to_ms: int, step: int) -> Iterator[int]:
    start = EPOCH + timedelta(milliseconds=from_ms)
    number = start.year * 12 + start.month - 1
    while True:
        at_ms = (datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
        if at_ms >= to_ms:
            return
        if at_ms >= from_ms:
            yield at_ms
        number += step


def _runs(line: Line, there: Callable[[int], bool]) -> Iterator[list[int]]:
    """Indices of points that hang together: with values, and no longer apart than two steps."""
    run: list[int] = []
    for at, time_ms in enumerate(line.times_ms):
        apart = bool(run) and time_ms - line.times_ms[run[-1]] > 3 * line.step_ms
        if (apart or not there(at)) and run:
            yield run
            run = []
        if there(at):
            run.append(at)
    if run:
        yield run


def _paths(frame: Frame, line: Line, values: Sequence[float]) -> Iterator[str]:
    for run in _runs(line, lambda at: math.isfinite(values[at])):
        points = [f"{frame.x(line.times_ms[at]):.1f} {frame.y(values[at]):.1f}" for at in run]
        yield "M" + "L".join(points) + ("h2" if len(points) == 1 else "")


def _areas(frame: Frame, line: Line, upper: Sequence[float], lower: Sequence[float]) -> Iterator[str]:
    for run in _runs(line, lambda at: math.isfinite(upper[at]) and math.isfinite(lower[at])):
        above = [f"{frame.x(line.times_ms[at]):.1f} {frame.y(upper[at]):.1f}" for at in run]
        below = [f"{frame.x(line.times_ms[at]):.1f} {frame.y(max(lower[at], 0.0)):.1f}" for at in reversed(run)]
        yield "M" + "L".join([*above, *below]) + "Z"


def _by_value(thresholds: Sequence[tuple[str, float]]) -> dict[float, str]:
    """Rules of one threshold share a line."""
    found: dict[float, list[str]] = {}
    for name, above in thresholds:
        found.setdefault(above, []).append(clean(name))
    return {above: ", ".join(names) for above, names in found.items()}


def _threshold(frame: Frame, names: str, above: float) -> str:
    if above > frame.top_nats:
        return ""
    y = frame.y(above)
    text = f'<text class="limit" x="{WIDTH - RIGHT - 4}" y="{y - 4:.1f}" text-anchor="end">'
    return f'<path class="limit" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>{text}{escape(names)} {above:g}</text>'


def _span(frame: Frame, episode: Episode) -> str:
    end_ms = frame.to_ms if episode.end_ms is None else episode.end_ms
    left, right = frame.x(episode.start_ms), frame.x(end_ms)
    said = f"{episode.alert.rule.name}: {minute(episode.start_ms)}, {lasting(end_ms - episode.start_ms)}"
    where = f'x="{left:.1f}" y="{TOP}" width="{max(right - left, 1.5):.1f}" height="{HEIGHT - TOP - BOTTOM}"'
    return f'<rect class="alert" {where}><title>{escape(clean(said))}</title></rect>'


def _mark(frame: Frame, text: str, at_ms: int) -> str:
    x = frame.x(at_ms)
    label = f'<text class="mark" x="{x + 4:.1f}" y="{TOP + 12}">{escape(clean(text))}</text>'
    return f'<path class="mark" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>{label}'


def heat(rows: Sequence[tuple[str, str, Line, Sequence[Episode]]], threshold: float) -> str:
    """One row a feature, (anchor, name, line, alerts): the darker, the farther beyond noise; alerts underlined."""
    first = rows[0][2]
    from_ms, to_ms = first.times_ms[0], first.times_ms[-1] + first.step_ms
    height = HEAT_ROW * len(rows) + BOTTOM
    inside = []
    for at, row in enumerate(rows):
        inside.append(_heat_row(row, at * HEAT_ROW, (from_ms, to_ms), threshold))
    for at_ms, text in moments(from_ms, to_ms):
        x = _heat_x(at_ms, from_ms, to_ms)
        if x < WIDTH - 40:
            inside.append(f'<text class="axis" x="{x:.1f}" y="{height - 8}">{text}</text>')
    return (
        f'<svg class="heat" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="drift by feature and time">'
        f"{''.join(inside)}</svg>"
    )


def _heat_x(at_ms: float, from_ms: int, to_ms: int) -> float:
    return HEAT_LABEL + (at_ms - from_ms) / max(to_ms - from_ms, 1) * (WIDTH - HEAT_LABEL)


def _heat_row(row: tuple[str, str, Line, Sequence[Episode]], y: int, span_ms: tuple[int, int], threshold: float) -> str:
    anchor, name, line, episodes = row
    shown = clean(name) if len(clean(name)) <= 26 else clean(name)[:25] + "…"
    label = f'<text class="name" x="{HEAT_LABEL - 8}" y="{y + 13}" text-anchor="end">{escape(shown)}</text>'
    parts = [
        f'<a href="#{anchor}">{label}</a>',
        f'<rect class="cold" x="{HEAT_LABEL}" y="{y + 2}" width="{WIDTH - HEAT_LABEL}" height="{HEAT_ROW - 4}"/>',
    ]
    for left_ms, right_ms, level in _levels(line, span_ms, threshold):
        left, right = _heat_x(left_ms, *span_ms), _heat_x(right_ms, *span_ms)
        size = f'x="{left:.1f}" y="{y + 2}" width="{right - left:.1f}" height="{HEAT_ROW - 4}"'
        parts.append(f'<rect class="h{level}" {size}/>')
    for episode in episodes:
        left = _heat_x(max(episode.start_ms, span_ms[0]), *span_ms)
        right = _heat_x(span_ms[1] if episode.end_ms is None else episode.end_ms, *span_ms)
        size = f'x="{left:.1f}" y="{y + HEAT_ROW - 4}" width="{max(right - left, 1.5):.1f}" height="2.5"'
        parts.append(f'<rect class="fired" {size}/>')
    return "".join(parts)


def _levels(line: Line, span_ms: tuple[int, int], threshold: float) -> Iterator[tuple[float, float, int]]:
    """Stretches of one level, 1 to 5; what noise explains and what has no value are left out."""
    width_ms = max((span_ms[1] - span_ms[0]) / HEAT_COLUMNS, line.step_ms)
    cells: dict[int, int] = {}
    for time_ms, value, floor in zip(line.times_ms, line.debiased, line.floor, strict=True):
        if math.isfinite(value) and value > (floor if math.isfinite(floor) else 0.0):
            level = 1 + sum(value >= share * threshold for share in LEVELS)
            cell = int((time_ms - span_ms[0]) / width_ms)
            cells[cell] = max(level, cells.get(cell, 0))
    ordered = sorted(cells.items())
    for (level, _), run in groupby(enumerate(ordered), key=lambda pair: (pair[1][1], pair[1][0] - pair[0])):
        found = [cell for _, (cell, _) in run]
        right_ms = min(span_ms[0] + (found[-1] + 1) * width_ms, span_ms[1])
        yield span_ms[0] + found[0] * width_ms, right_ms, level
