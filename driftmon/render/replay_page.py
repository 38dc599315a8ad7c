"""The page of `replay --report`: one file with everything in it, no script, no request.

Law: the same replay gives the same bytes; names out of the data are text, whatever they hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from driftmon.render.openmetrics import clean
from driftmon.render.replay_chart import heat, timeline
from driftmon.render.replay_style import CSS
from driftmon.render.replay_timeline import Bars, Line
from driftmon.render.replay_words import Episode, caught_words, causes, lasting, minute, reasons

MOST_ALERTS: Final = 200  # listed; all of them are drawn
MOST_BINS: Final = 24
OPEN_CARDS: Final = 6
# Nothing may be fetched, nothing run: even a name that slipped through could not.
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
GUARANTEE: Final = (
    "What a calibrated rule promises, at most so many false alarms over all features, is a theorem for independent "
    "records, holds by simulation for dependent ones through the overdispersion the reference showed, and does not "
    "cover a drift that leaves every single feature as it was."
)


@dataclass(frozen=True, slots=True)
class FeatureView:
    """What is shown of one feature."""

    name: str
    kind: str
    lines: Sequence[Line]
    bars: Bars | None


@dataclass(frozen=True, slots=True)
class Row:
    """One rule that was tried: its alerts a day, and one cell a shift, (delay in ms or None, caught, tried)."""

    label: str
    per_day: float
    cells: Sequence[tuple[float | None, int, int]]
    configured: bool
    proposed: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """The table of rules, what it was measured over, and the rule to take."""

    shifts: Sequence[str]
    rows: Sequence[Row]
    method: str
    reason: str
    snippet: str


@dataclass(frozen=True, slots=True)
class Page:
    """All of a replay. `thresholds` are (rule, value) of the rules on the debiased KL."""

    stream: str
    inputs: Sequence[str]
    facts: Mapping[str, str]
    thresholds: Sequence[tuple[str, float]]
    features: Sequence[FeatureView]
    episodes: Sequence[Episode]
    outcomes: Sequence[Mapping[str, Any]]
    trial: Trial | None


def html(page: Page) -> str:
    """The file."""
    sections = (_head(page), _glance(page), _alerts(page), _outcomes(page), _trial(page), _features(page))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(page.stream)}: driftmon replay</title>\n<style>{CSS}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(section for section in sections if section)
        + f"\n<footer>All divergences in nats; times in UTC. {GUARANTEE}</footer>\n</main>\n</body>\n</html>\n"
    )


def _text(text: str) -> str:
    return escape(clean(text))


def _ordered(page: Page) -> list[tuple[int, FeatureView, list[Episode]]]:
    """Features with most alerts first, then those that strayed farthest; their number is their anchor."""
    found = []
    for at, view in enumerate(page.features):
        mine = [episode for episode in page.episodes if view.name in episode.features]
        farthest = max((v for line in view.lines for v in line.debiased if math.isfinite(v)), default=0.0)
        found.append((-len(mine), -farthest, at, view, mine))
    return [(at, view, mine) for _, _, at, view, mine in sorted(found, key=lambda one: one[:3])]


def _head(page: Page) -> str:
    tiles = "".join(f'<div class="tile"><b>{_text(v)}</b><span>{_text(k)}</span></div>' for k, v in page.facts.items())
    inputs = ", ".join(map(_text, page.inputs))
    return (
        f'<h1>{_text(page.stream)}, replayed</h1>\n<p class="soft">What <code>driftmon run</code> would have said of '
        f'{inputs}, by the data\'s own clock.</p>\n<div class="tiles">{tiles}</div>'
    )


def _glance(page: Page) -> str:
    ordered = [(at, view, mine) for at, view, mine in _ordered(page) if view.lines and view.lines[0].times_ms]
    if not ordered:
        return '<p class="card">No window was ever complete enough to evaluate: there are too few records.</p>'
    threshold = min((above for _, above in page.thresholds), default=0.1)
    rows = [(f"f{at}", view.name, view.lines[0], mine) for at, view, mine in ordered]
    window = _text(rows[0][2].window)
    return (
        f"<h2>At a glance</h2>\n<p>Window {window}: the darker, the farther beyond noise; the darkest two shades "
        f"are above {threshold:g} and {2 * threshold:g} nats.</p>\n"
        '<div class="key"><span><i class="k-fired"></i>alert</span></div>'
        f'<div class="card">{heat(rows, threshold)}</div>'
    )


def _alerts(page: Page) -> str:
    if not page.episodes:
        return '<h2>Alerts</h2>\n<p class="card">None. Nothing in this data would have raised an alert.</p>'
    rows = "".join(map(_alert, page.episodes[:MOST_ALERTS]))
    left = len(page.episodes) - MOST_ALERTS
    more = f'<p class="soft">The first {MOST_ALERTS}; {left} more are drawn below.</p>' if left > 0 else ""
    return (
        '<h2>Alerts</h2>\n<div class="card"><table><thead><tr><th>began</th><th>lasted</th><th>feature</th>'
        f"<th>rule</th><th>why, when it fired</th></tr></thead><tbody>{rows}</tbody></table>{more}</div>"
    )


def _alert(episode: Episode) -> str:
    alert = episode.alert
    lasted = "to the end" if episode.end_ms is None else lasting(episode.end_ms - episode.start_ms)
    badge = '<span class="badge bad">firing</span>' if episode.end_ms is None else ""
    return (
        f'<tr><td class="w">{minute(episode.start_ms)}</td><td class="w">{lasted}{badge}</td>'
        f'<td class="t">{", ".join(map(_text, episode.features))}<br>'
        f'<span class="soft">{_text(alert.window)}</span></td>'
        f'<td class="t">{_text(alert.rule.name)}</td><td class="t why">{escape("; ".join(reasons(alert)))}'
        f"<ul>{''.join(f'<li>{escape(cause)}</li>' for cause in causes(alert))}</ul></td></tr>"
    )


def _outcomes(page: Page) -> str:
    if not page.outcomes:
        return ""
    rows = "".join(
        f'<tr><td class="t"><code>{_text(one["injection"])}</code></td><td>{escape(caught_words(one))}</td></tr>'
        for one in page.outcomes
    )
    return (
        "<h2>Shifts you put in</h2>\n<p>This whole page shows the data with these shifts in it.</p>\n"
        '<div class="card"><table><thead><tr><th>shift</th><th>outcome</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _trial(page: Page) -> str:
    trial = page.trial
    if trial is None:
        return ""
    head = "".join(f'<th class="n">{_text(shift)}</th>' for shift in trial.shifts)
    rows = "".join(map(_row, trial.rows))
    return (
        "<h2>What would other thresholds cost, and catch?</h2>\n"
        f"<p>{escape(trial.method)}</p>\n"
        f'<div class="card"><table><thead><tr><th>rule</th><th class="n">alerts a day</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>\n"
        f'<div class="card"><b>Proposed configuration.</b> {escape(trial.reason)}'
        f"<pre>{escape(trial.snippet)}</pre></div>"
    )


def _row(row: Row) -> str:
    badges = '<span class="badge">configured</span>' if row.configured else ""
    badges += '<span class="badge good">proposed</span>' if row.proposed else ""
    cells = "".join(f'<td class="n">{_cell(*cell)}</td>' for cell in row.cells)
    best = ' class="best"' if row.proposed else ""
    return f'<tr{best}><td class="w">{_text(row.label)} {badges}</td><td class="n">{row.per_day:.3g}</td>{cells}</tr>'


def _cell(delay_ms: float | None, caught: int, tried: int) -> str:
    if not tried:
        return '<span class="soft">fires already</span>'
    share = f'<span class="soft">{caught}/{tried}</span>'
    return f"missed {share}" if delay_ms is None else f"{lasting(delay_ms)} {share}"


def _features(page: Page) -> str:
    ordered = _ordered(page)
    cards = "\n".join(_card(page, *one, place < OPEN_CARDS) for place, one in enumerate(ordered))
    key = (
        '<div class="key"><span><i class="k-line"></i>debiased KL</span>'
        '<span><i class="k-bounds"></i>99 % bounds</span>'
        '<span><i class="k-floor"></i>below the noise floor</span><span><i class="k-alert"></i>alert</span>'
        '<span><i class="k-ref"></i>P, reference</span><span><i class="k-live"></i>Q, live</span></div>'
    )
    return f"<h2>Features</h2>\n<p>Those with most alerts first.</p>\n{key}\n{cards}"


def _card(page: Page, at: int, view: FeatureView, mine: Sequence[Episode], is_open: bool) -> str:
    badge = f'<span class="badge bad">{len(mine)} alerts</span>' if len(mine) > 1 else ""
    badge = '<span class="badge bad">1 alert</span>' if len(mine) == 1 else badge
    marks = [(str(one["injection"]), int(one["from_ms"])) for one in page.outcomes if one["feature"] == view.name]
    charts = "".join(_chart(page, line, mine, marks) for line in view.lines if line.times_ms)
    return (
        f'<details class="card" id="f{at}"{" open" if is_open else ""}><summary>{_text(view.name)} '
        f'<span class="badge">{_text(view.kind)}</span>{badge}</summary>{charts}'
        f"{'' if view.bars is None else _bars(view.bars)}</details>"
    )


def _chart(page: Page, line: Line, mine: Sequence[Episode], marks: Sequence[tuple[str, int]]) -> str:
    here = [episode for episode in mine if episode.alert.window == line.window]
    drawn = timeline(line, page.thresholds, here, marks)
    return f"<figure><figcaption>window {_text(line.window)}</figcaption>{drawn}</figure>"


def _bars(bars: Bars) -> str:
    when = "at the worst moment of an alert" if bars.firing else "at the end of the data"
    said = (
        f"P and Q {when}, {minute(bars.at_ms)}, window {_text(bars.window)}, {bars.observations:.0f} observations, "
        f"debiased KL {bars.debiased:.3g}. On the right each bin's term of KL(Q||P)."
    )
    used = [k for k in range(len(bars.labels)) if bars.reference[k] or bars.live[k]]
    shown = _most(bars, used)
    largest = max((max(bars.reference[k], bars.live[k]) for k in shown), default=0.0) or 1.0
    rows = "".join(_bar(bars, k, largest) for k in shown)
    left = len(used) - len(shown)
    more = f'<p class="soft">{left} more bins contribute less.</p>' if left else ""
    return f'<figure><figcaption>{said}</figcaption><div class="bars">{rows}</div>{more}</figure>'


def _most(bars: Bars, used: Sequence[int]) -> list[int]:
    """Of the bins that hold anything those that contribute most, in the order of the schema."""
    most = sorted(used, key=lambda k: (-abs(bars.contributions_nats[k]), -bars.reference[k], k))[:MOST_BINS]
    return sorted(most)


def _bar(bars: Bars, k: int, largest: float) -> str:
    p, q, term = bars.reference[k], bars.live[k], bars.contributions_nats[k]
    strong = ' class="r up"' if abs(term) >= 0.01 else ' class="r soft"'
    return (
        f'<span class="label">{_text(bars.labels[k])}</span>'
        f'<span><i class="bar p" style="width:{100 * p / largest:.1f}%"></i>'
        f'<i class="bar q" style="width:{100 * q / largest:.1f}%"></i></span>'
        f'<span class="r">{_percent(p)} → {_percent(q)}</span><span{strong}>{term:+.3f}</span>'
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.0995 else f"{100 * share:.0f} %"
