"""Marks: the small drawings of a table row, as SVG that needs no style but the page's classes.

Law: a mark says in words (its label) what it shows in colour, and states differ in shape too; positions are
attributes, never `style`, which the page's policy forbids.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from driftmon.monitor.report import Status
from driftmon.render.openmetrics import clean
from driftmon.render.pages.words import STATUS_WORDS, nats, percent, text

SPARK_WIDTH, SPARK_HEIGHT = 168, 36
GAUGE_WIDTH, GAUGE_HEIGHT = 150, 18
MINI_WIDTH, MINI_HEIGHT = 132, 36
MOST_BARS: Final = 66
DEFAULT_THRESHOLD: Final = 0.1  # the scale of a gauge where no rule has a threshold

# 16 x 16; each state is a shape of its own, so nothing hangs on telling red from green.
_SHAPES: Final = {
    Status.OK: '<circle cx="8" cy="8" r="5"/>',
    Status.SIGNIFICANT: '<path d="M8 1.5 14.5 8 8 14.5 1.5 8Z"/>',
    Status.DRIFT: '<path d="M8 1.5 15 14H1Z"/>',
    Status.INSUFFICIENT_DATA: '<circle class="hollow" cx="8" cy="8" r="5"/>',
    Status.WEAK_REFERENCE: '<path class="hollow" d="M8 2.5 13.5 8 8 13.5 2.5 8Z"/>',
    Status.WARMING_UP: '<circle class="hollow" cx="8" cy="8" r="5"/><path d="M8 3v5h5a5 5 0 0 0-5-5Z"/>',
    Status.STALE: '<path class="hollow" d="M3.5 3.5l9 9m0-9-9 9"/>',
}


def css_of(status: Status) -> str:
    """The class of a state: is-drift, is-ok, ..."""
    return "is-" + STATUS_WORDS[status][0].replace(" ", "-")


def glyph(status: Status) -> str:
    """The shape alone; the word stands beside it."""
    return f'<svg class="glyph {css_of(status)}" viewBox="0 0 16 16" aria-hidden="true">{_SHAPES[status]}</svg>'


def badge(status: Status) -> str:
    """Shape and word."""
    word, meaning = STATUS_WORDS[status]
    return (
        f'<span class="badge {css_of(status)}" title="{meaning}">{glyph(status)}<span class="word">{word}</span></span>'
    )


def gauge(value: float, floor: float, threshold: float | None, status: Status) -> str:
    """KL on a scale v / (v + threshold): the threshold is the middle of every gauge, so rows compare at a glance."""
    unit = threshold if threshold is not None and threshold > 0 else DEFAULT_THRESHOLD
    limit = "no threshold" if threshold is None else f"threshold {threshold:g}"
    label = f"KL {nats(value)} nats, noise stays below {nats(floor)}, {limit}"
    parts = [f'<rect class="track" y="5" width="{GAUGE_WIDTH}" height="8" rx="4"/>']
    if math.isfinite(floor):
        parts.append(f'<rect class="noise" y="5" width="{_along(floor, unit):.1f}" height="8" rx="4"/>')
    if math.isfinite(value):
        tone = _tone(value, floor, threshold, status)
        parts.append(f'<rect class="level {tone}" y="5" width="{max(_along(value, unit), 2):.1f}" height="8" rx="4"/>')
    if threshold is not None:
        parts.append(f'<path class="limit" d="M{GAUGE_WIDTH / 2:.1f} 1v16"/>')
    return _svg("gauge", GAUGE_WIDTH, GAUGE_HEIGHT, label, parts)


def _tone(value: float, floor: float, threshold: float | None, status: Status) -> str:
    """What cannot be judged has no alarming colour however long its bar is."""
    if status in (Status.INSUFFICIENT_DATA, Status.WEAK_REFERENCE, Status.STALE):
        return "mute"
    if status is Status.DRIFT or (threshold is not None and value > threshold):
        return "hot"
    return "warm" if value > floor else "cool"


def _along(value: float, unit: float) -> float:
    return GAUGE_WIDTH * max(value, 0.0) / (max(value, 0.0) + unit)


def spark(times_ms: Sequence[int], values: Sequence[float], floors: Sequence[float], threshold: float | None) -> str:
    """The course of KL above the noise floor; the line breaks where there was no value."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return _svg("spark", SPARK_WIDTH, SPARK_HEIGHT, "no history yet", [])
    noise = [value for value in floors if math.isfinite(value)]
    near = threshold if threshold is not None and threshold <= 2.5 * max(known) else 0.0
    top = max(1.12 * max(known), 1.12 * near, 1.5 * max(noise, default=0.0), 1e-4)
    span_ms = max(times_ms[-1] - times_ms[0], 1)
    xs = [1 + (SPARK_WIDTH - 5) * (at - times_ms[0]) / span_ms for at in times_ms]
    if len(times_ms) == 1:
        xs = [float(SPARK_WIDTH - 4)]
    ys = [_spark_y(value, top) for value in values]
    parts = [f'<path class="noise" d="{path}"/>' for path in _floor_areas(xs, floors, top)]
    if near:
        parts.append(f'<path class="limit" d="M0 {_spark_y(near, top):.1f}H{SPARK_WIDTH}"/>')
    parts += [f'<path class="line" d="{path}"/>' for path in _lines(xs, ys)]
    last = max(at for at, value in enumerate(values) if math.isfinite(value))
    parts.append(f'<circle class="now" cx="{xs[last]:.1f}" cy="{ys[last]:.1f}" r="2.4"/>')
    label = f"KL from {nats(known[0])} to {nats(known[-1])} nats, at most {nats(max(known))}"
    return _svg("spark", SPARK_WIDTH, SPARK_HEIGHT, label, parts)


def _spark_y(value: float, top: float) -> float:
    return math.nan if not math.isfinite(value) else 3 + (SPARK_HEIGHT - 5) * (1 - max(value, 0.0) / top)


def _runs(known: Sequence[bool]) -> Iterator[range]:
    """Stretches of points that have a value."""
    start = None
    for at, there in enumerate([*known, False]):
        if there and start is None:
            start = at
        elif not there and start is not None:
            yield range(start, at)
            start = None


def _lines(xs: Sequence[float], ys: Sequence[float]) -> Iterator[str]:
    for run in _runs([math.isfinite(y) for y in ys]):
        yield "M" + "L".join(f"{xs[at]:.1f} {ys[at]:.1f}" for at in run)


def _floor_areas(xs: Sequence[float], floors: Sequence[float], top: float) -> Iterator[str]:
    bottom = _spark_y(0.0, top)
    for run in _runs([math.isfinite(value) for value in floors]):
        above = "L".join(f"{xs[at]:.1f} {_spark_y(floors[at], top):.1f}" for at in run)
        yield f"M{xs[run[0]]:.1f} {bottom:.1f}L{above}V{bottom:.1f}Z"


def mini(labels: Sequence[str], p: Sequence[float], q: Sequence[float], terms: Sequence[float]) -> str:
    """P as the ground, Q as bars before it, one a bin; the special bins stand apart."""
    shown = min(len(p), MOST_BARS)
    largest = max([*p[:shown], *q[:shown]], default=0.0) or 1.0
    step = MINI_WIDTH / max(shown, 1)
    ground = "".join(f"V{_mini_y(p[at], largest):.1f}h{step:.2f}" for at in range(shown))
    parts = [f'<path class="ground" d="M0 {MINI_HEIGHT}{ground}V{MINI_HEIGHT}Z"/>']
    inset = step * 0.22
    bars = "".join(
        f"M{at * step + inset:.1f} {MINI_HEIGHT}V{_mini_y(q[at], largest):.1f}h{step - 2 * inset:.1f}V{MINI_HEIGHT}Z"
        for at in range(shown)
        if q[at] > 0
    )
    if bars:
        parts.append(f'<path class="bars" d="{bars}"/>')
    return _svg("mini", MINI_WIDTH, MINI_HEIGHT, _largest_change(labels, p, q, terms), parts)


def _mini_y(share: float, largest: float) -> float:
    return MINI_HEIGHT - (MINI_HEIGHT - 2) * share / largest


def _largest_change(labels: Sequence[str], p: Sequence[float], q: Sequence[float], terms: Sequence[float]) -> str:
    known = [at for at, term in enumerate(terms) if math.isfinite(term)]
    if not known or not any(share > 0 for share in q):
        return "no live data"
    at = max(known, key=lambda one: abs(terms[one]))
    return f"largest contribution: {clean(labels[at])}, {percent(p[at])} in the reference, {percent(q[at])} live"


def _svg(name: str, width: float, height: float, label: str, parts: Sequence[str]) -> str:
    said = text(label)
    return (
        f'<svg class="{name}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{said}"><title>{said}</title>{"".join(parts)}</svg>'
    )
