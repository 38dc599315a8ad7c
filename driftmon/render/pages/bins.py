"""Bins of one feature: shares in reference and live data side by side, and each bin's signed part of KL(Q||P).

Law: the parts add up to KL(Q||P), the very number of the report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from driftmon.monitor.report import Report
from driftmon.render.openmetrics import clean
from driftmon.render.pages.words import count, percent, text
from driftmon.stats.divergences import kl_qp

OPEN_BINS: Final = 40
SHARE_WIDTH, TERM_WIDTH, HEIGHT = 260, 130, 18
STRONGEST: Final = 3


@dataclass(frozen=True, slots=True)
class Bin:
    """Label, observations, raw shares, and the term of KL(Q||P) in nats."""

    label: str
    reference: float
    live: float
    p: float
    q: float
    term: float


def bins_of(report: Report, window: int, feature: int) -> list[Bin]:
    """All bins of a feature, in their order."""
    pair, at = report.pairs[window], report.schema.bins(feature)
    live = pair.live_total[feature] > 0
    flat = (pair.reference, pair.live, pair.p_raw, pair.q_raw, kl_qp(pair))
    labels = report.schema.features[feature].binning.labels()
    columns = [array[at].tolist() for array in flat]
    found = [Bin(label, *numbers) for label, *numbers in zip(labels, *columns, strict=True)]
    return found if live else [Bin(one.label, one.reference, 0.0, one.p, 0.0, 0.0) for one in found]


def table(bins: Sequence[Bin]) -> str:
    """The strongest OPEN_BINS in sight, in their order; the others folded."""
    order = sorted(range(len(bins)), key=lambda at: (-abs(bins[at].term), -bins[at].p, at))
    top, open_places = set(order[:STRONGEST]), sorted(order[:OPEN_BINS])
    scale = max((max(one.p, one.q) for one in bins), default=0.0) or 1.0
    reach = max((abs(one.term) for one in bins), default=0.0) or 1.0
    shown = "".join(_row(bins[at], scale, reach, at in top and bins[at].term != 0) for at in open_places)
    rest = [at for at in range(len(bins)) if at not in set(open_places)]
    found = _table(shown, "Shares in reference P and live data Q, and what each bin adds to KL(Q||P)")
    if not rest:
        return found
    folded = "".join(_row(bins[at], scale, reach, False) for at in rest)
    return (
        f'{found}<details id="other-bins"><summary>{len(rest)} bins that add less</summary>'
        f"{_table(folded, 'The other bins')}</details>"
    )


def _table(rows: str, caption: str) -> str:
    return (
        f'<div class="scroll"><table class="bins-table"><caption class="hidden">{caption}</caption><thead><tr>'
        '<th scope="col">Bin</th><th scope="col" class="n">P</th><th scope="col" class="n">Q</th>'
        '<th scope="col"><span class="key-p">P reference</span> <span class="key-q">Q live</span></th>'
        '<th scope="col" class="n">adds, nats</th><th scope="col"><span class="hidden">contribution drawn</span></th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(one: Bin, scale: float, reach: float, strong: bool) -> str:
    wide_p, wide_q = SHARE_WIDTH * one.p / scale, SHARE_WIDTH * one.q / scale
    shares = (
        f'<svg class="shares" viewBox="0 0 {SHARE_WIDTH} {HEIGHT}" width="{SHARE_WIDTH}" height="{HEIGHT}" '
        f'preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="ground" y="1" width="{wide_p:.1f}" height="7" rx="1.5"/>'
        f'<rect class="bars" y="10" width="{wide_q:.1f}" height="7" rx="1.5"/></svg>'
    )
    counted = f'title="{count(one.reference)} in the reference, {count(one.live)} live"'
    term = f"{one.term:+.4f}".replace("-", "−")
    return (
        f'<tr{" class=strong" if strong else ""}><th scope="row">{text(clean(one.label))}</th>'
        f'<td class="n" {counted}>{percent(one.p)}</td><td class="n" {counted}>{percent(one.q)}</td><td>{shares}</td>'
        f'<td class="n">{term if one.term else "0"}</td><td>{_term(one.term, reach)}</td></tr>'
    )


def _term(term: float, reach: float) -> str:
    """To the right what adds, to the left what takes away."""
    middle = TERM_WIDTH / 2
    wide = (middle - 2) * abs(term) / reach
    left, style = (middle, "plus") if term >= 0 else (middle - wide, "minus")
    return (
        f'<svg class="terms" viewBox="0 0 {TERM_WIDTH} {HEIGHT}" width="{TERM_WIDTH}" height="{HEIGHT}" '
        f'preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{style}" x="{left:.1f}" y="4" width="{wide:.1f}" height="10" rx="1.5"/>'
        f'<path class="axis-line" d="M{middle} 0v{HEIGHT}"/></svg>'
    )
