"""One feature: by how much it differs, in which bins, since when, and whether there is data enough to say so.

Law: every number is one of the report; the page only draws.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Final
from urllib.parse import quote

from driftmon.monitor.history import History
from driftmon.monitor.quantities import QUANTITIES, RATIOS, special_share
from driftmon.monitor.report import Report
from driftmon.monitor.risen import raising, rise_of
from driftmon.monitor.rules import TopBin
from driftmon.monitor.tallies import LABELLED
from driftmon.render.catalogue import METRICS
from driftmon.render.openmetrics import clean
from driftmon.render.pages.alerts import card, of_feature
from driftmon.render.pages.bins import bins_of, table
from driftmon.render.pages.enough import sentences
from driftmon.render.pages.marks import badge
from driftmon.render.pages.ranking import threshold_of, worst_window
from driftmon.render.pages.words import ago, count, moment, nats, percent, text
from driftmon.render.replay_chart import timeline
from driftmon.render.replay_timeline import Line
from driftmon.stats.dispersion import independent

STACK_WIDTH, STACK_HEIGHT = 560, 22
LEAST_POINTS: Final = 2


@dataclass(frozen=True, slots=True)
class FeatureView:
    """`window` is the one asked for by name, "" for the one that strays most; `now_ms` is the wall clock."""

    report: Report
    name: str
    history: History
    window: str
    now_ms: int
    root: str


def feature(view: FeatureView) -> str:
    """The body of the page."""
    report = view.report
    if view.name not in report.schema.names or not report.windows:
        return f'<div data-live="feature">{_head(view)}<p class="card empty">{_gathering(report)}</p></div>'
    index = report.schema.names.index(view.name)
    names = [window.name for window in report.windows]
    at = names.index(view.window) if view.window in names else worst_window(report, index)
    cards = "".join(card(alert, report, view.root) for alert in of_feature(report, view.name))
    sections = (
        _head(view),
        _windows(names, at),
        _lead(report, at, index),
        _losses(report, at, index),
        _labels(report, index),
        _tiles(view, at, index),
        cards,
        f'<h2>What changed</h2><div class="card">{table(bins_of(report, at, index))}</div>',
        _course(view, at, index),
        _entropy(report, at, index),
        _enough(report, at, index),
        _numbers(report, at, index),
    )
    return f'<div data-live="feature">{"".join(sections)}</div>'


def _gathering(report: Report) -> str:
    if report.warmup is None:
        return "This feature has no reference yet."
    seen, needed = report.warmup
    return f"The reference is being gathered: {count(seen)} of {count(needed)} records."


def _head(view: FeatureView) -> str:
    report = view.report
    status = report.statuses[view.name]
    twin = f"{view.root}api/v1/streams/{quote(report.stream, safe='')}/features/{quote(view.name, safe='')}"
    kind = ""
    if view.name in report.schema.names:
        kind = f" · {report.schema.features[report.schema.names.index(view.name)].kind}"
    return (
        f'<nav class="trail" aria-label="Where this is"><a href="{text(view.root)}">Overview</a> / '
        f'<a href="{text(view.root)}?stream={quote(report.stream, safe="")}">{text(report.stream)}</a></nav>'
        f"<h1>{text(view.name)} {badge(status)}</h1>"
        f'<p class="soft">{text(report.stream)}{kind} · looked at {moment(report.now_ms)} · '
        f'<a href="{text(twin)}">as JSON</a></p>'
    )


def _windows(names: Sequence[str], at: int) -> str:
    if len(names) == 1:
        return ""
    links = "".join(
        f'<li><a class="chip" href="?window={quote(name, safe="")}"{" aria-current=true" if place == at else ""}>'
        f"{text(name)}</a></li>"
        for place, name in enumerate(names)
    )
    return f'<ul class="chips" aria-label="Window">{links}</ul>'


def _lead(report: Report, at: int, index: int) -> str:
    """The page in a sentence."""
    value, floor = report.value(at, index, "kl_divergence_debiased"), report.value(at, index, "kl_noise_floor")
    window = text(report.windows[at].name)
    if not math.isfinite(value):
        return f'<p class="lead">Window {window} holds no data.</p>'
    threshold = threshold_of(report, report.schema.names[index], report.windows[at].name)
    limit = "" if threshold is None else f" The threshold is <b>{threshold:g}</b>."
    if value <= floor:
        said = f"What differs between live data and reference in window {window} is no more than noise"
    else:
        said = f"Live data differs from the reference by <b>{nats(value)} nats</b>"
    recent = "" if value > floor else _since(report, report.schema.names[index])
    noise = f"noise alone stays below <b>{nats(floor)}</b> in at least 99 of 100 looks"
    return f'<p class="lead">{said}: {noise}.{limit}{recent}</p>'


def _since(report: Report, name: str) -> str:
    """A window also holds what came before the drift; an alert by evidence is about what came after."""
    began = [alert.drift_since_ms for alert in of_feature(report, name) if alert.drift_since_ms is not None]
    return f" The alert below is about the records since {moment(min(began))} alone." if began else ""


def _tiles(view: FeatureView, at: int, index: int) -> str:
    report, value = view.report, view.report.value
    lower, upper = value(at, index, "kl_divergence_lower_bound"), value(at, index, "kl_divergence_upper_bound")
    evidence = float(report.evidence_log10[index]) if index < len(report.evidence_log10) else math.nan
    seen_ms = 0 if report.lifetime is None else int(report.lifetime.last_observation_ms[index])
    tiles = [
        ("KL(Q||P), debiased", nats(value(at, index, "kl_divergence_debiased"))),
        ("99 % bounds", f"{nats(lower)} … {nats(upper)}"),
        ("noise floor", nats(value(at, index, "kl_noise_floor"))),
        ("observations", count(value(at, index, "window_observations"))),
        *([("evidence, log10", f"{evidence:.1f}")] if math.isfinite(evidence) else []),
        *_special(report, at, index),
        ("last seen", ago(seen_ms, view.now_ms) if seen_ms else "never"),
    ]
    inside = "".join(f"<div><dt>{text(name)}</dt><dd>{said}</dd></div>" for name, said in tiles)
    return f'<dl class="tiles">{inside}</dl>'


def _losses(report: Report, at: int, index: int) -> str:
    """How well predictions met their labels, of a log_loss feature."""
    loss, entropy = (report.value(at, index, name) for name in ("log_loss", "prediction_entropy"))
    if not math.isfinite(loss):
        return ""
    bounds = [report.value(at, index, f"log_loss_{side}_bound") for side in ("lower", "upper")]
    within = f" (99 % bounds {nats(bounds[0])} … {nats(bounds[1])})" if all(map(math.isfinite, bounds)) else ""
    gap, least, most = (
        report.value(at, index, f"calibration_gap{side}") for side in ("", "_lower_bound", "_upper_bound")
    )
    doubt = "less sure than it should be" if gap < 0 else "surer than it should be"
    verdict = f"; with a gap of {nats(gap)} it is {doubt}" if least > 0 or most < 0 else ""
    return (
        f'<p class="lead">Log loss <b>{nats(loss)} nats</b>{within}; a calibrated model would have '
        f"<b>{nats(entropy)}</b>{verdict}. {percent(report.value(at, index, 'accuracy_ratio'))} of the "
        f"{count(report.value(at, index, LABELLED))} labels were the likeliest class.</p>"
    )


def _labels(report: Report, index: int) -> str:
    """How the labels fare that come later, of a log_loss feature."""
    now = report.labels
    if now is None or report.schema.features[index].kind != "log_loss":
        return ""
    told = ", ".join(f"{count(times)} {outcome}" for outcome, times in now.outcomes)
    return f"<p>{count(now.predictions_waiting)} predictions wait for their label; so far {told}.</p>"


def _special(report: Report, at: int, index: int) -> Iterator[tuple[str, str]]:
    """Shares that point at a broken pipeline, where there are any."""
    pair = report.pairs[at]
    for name in RATIOS:
        live, reference = report.value(at, index, name), float(special_share(pair.p_raw, pair, name)[index])
        if math.isfinite(live) and (live or reference):
            yield name.removesuffix("_ratio"), f"{percent(live)} <small>reference {percent(reference)}</small>"


def _course(view: FeatureView, at: int, index: int) -> str:
    history, report = view.history, view.report
    if history.fingerprint != report.schema.fingerprint or at >= len(history.tracks):
        return ""
    track = history.tracks[at]
    times = track.times_ms.tolist()
    if len(times) < LEAST_POINTS:
        return '<h2>Course</h2><p class="card empty">It is drawn from the second pane on.</p>'
    step_ms = int(median(later - earlier for earlier, later in pairwise(times)))
    lines = [
        track.of(name, index)
        for name in (
            "kl_divergence_debiased",
            "kl_noise_floor",
            "kl_divergence_lower_bound",
            "kl_divergence_upper_bound",
        )
    ]
    name, window = report.schema.names[index], report.windows[at].name
    rules = [
        (rule.name, rule.above)
        for rule in report.rules
        if rule.metric == "kl_divergence_debiased" and rule.watches(report.stream, name, window)
    ]
    drawn = timeline(Line(window, max(step_ms, 1), times, *lines), rules, (), ())
    key = (
        '<ul class="key"><li class="k-line">debiased KL</li><li class="k-bounds">99 % bounds</li>'
        '<li class="k-floor">what noise alone reaches</li></ul>'
    )
    return f'<h2>Course</h2><figure class="card scroll">{key}{drawn}</figure>'


def _entropy(report: Report, at: int, index: int) -> str:
    """H(Q,P) = H(Q) + KL(Q||P) as a stack, and the same the other way round in words."""
    cross = report.value(at, index, "cross_entropy", direction="q_p")
    live = report.value(at, index, "entropy", distribution="live")
    kl = report.value(at, index, "kl_divergence", direction="q_p")
    if not all(map(math.isfinite, (cross, live, kl))) or cross <= 0:
        return ""
    split = STACK_WIDTH * live / cross
    label = f"cross-entropy {nats(cross)} nats = entropy {nats(live)} + KL {nats(kl)}"
    drawn = (
        f'<svg class="stack" viewBox="0 0 {STACK_WIDTH} {STACK_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}">'
        f'<rect class="entropy" width="{split:.1f}" height="{STACK_HEIGHT}"/>'
        f'<rect class="surplus" x="{split:.1f}" width="{STACK_WIDTH - split:.1f}" height="{STACK_HEIGHT}"/></svg>'
        f'<ul class="key"><li class="k-entropy">H(Q), entropy of the live data: {nats(live)}</li>'
        f'<li class="k-surplus">KL(Q||P), surplus: {nats(kl)}</li></ul>'
    )
    surprisal = report.value(at, index, "mean_surprisal")
    raised = raising(report.pairs[at], rise_of("surprisal", report.pairs[at], independent(report.schema)), index)
    p_cross = report.value(at, index, "cross_entropy", direction="p_q")
    reference = report.value(at, index, "entropy", distribution="reference")
    back = report.value(at, index, "kl_divergence", direction="p_q")
    return (
        f'<h2>Entropy and surprise</h2><div class="card"><p>A live record costs {nats(cross)} nats in the code of the '
        f"reference; {nats(kl)} of them because the data has changed.</p>{drawn}"
        f'<p class="soft">The other way round, H(P,Q) = H(P) + KL(P||Q): {nats(p_cross)} = {nats(reference)} + '
        f"{nats(back)}.</p>{_surprising(surprisal, raised)}</div>"
    )


def _surprising(surprisal: float, raised: Sequence[TopBin]) -> str:
    """The mean negative log-likelihood, and the bins that raise it most above the reference's."""
    told = "; ".join(f"{text(clean(str(one)))} <b>{one.contribution_nats:+.3f}</b>" for one in raised)
    most = f" The most surprising bins, by what they add to the reference's mean: {told}." if told else ""
    return (
        f"<p>Unsmoothed, the mean surprisal of the window's records is H(q̂,P) = <b>{nats(surprisal)}</b> nats, "
        f"their mean negative log-likelihood.{most}</p>"
    )


def _enough(report: Report, at: int, index: int) -> str:
    said = "".join(f"<li>{text(sentence)}.</li>" for sentence in sentences(report, at, index))
    return f'<h2>Is there data enough?</h2><ul class="card enough">{said}</ul>'


def _numbers(report: Report, at: int, index: int) -> str:
    rows = []
    for quantity, number in zip(QUANTITIES, report.values[at, :, index].tolist(), strict=True):
        if math.isfinite(number):
            labels = ", ".join(f"{name}={value}" for name, value in quantity.labels.items())
            shown = f"{quantity.metric}{{{labels}}}" if labels else quantity.metric
            about = METRICS[quantity.metric].help
            rows.append(
                f'<tr><th scope="row"><code>{shown}</code><span class="soft">{text(about)}</span></th>'
                f'<td class="n">{number:.6g}</td></tr>'
            )
    return (
        '<details class="card" id="numbers"><summary>All numbers of this window</summary>'
        '<table class="plain"><caption class="hidden">Metrics</caption>'
        f"<tbody>{''.join(rows)}</tbody></table></details>"
    )
