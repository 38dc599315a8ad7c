"""The overview: every feature in a line, what strays farthest first.

Law: a page has at most PAGE rows whatever the number of features; the rest is a link away, and search, filter
and order are in the URL, so a view can be kept as a bookmark.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, urlencode

from driftmon.monitor.history import History
from driftmon.monitor.report import Report, Status
from driftmon.render.pages.alerts import firing
from driftmon.render.pages.marks import badge, css_of, gauge, glyph, mini, spark
from driftmon.render.pages.ranking import PAGE, SORTS, Query, Row, chosen, rows_of, tally, threshold_of
from driftmon.render.pages.words import STATUS_WORDS, ago, count, feature_path, moment, name, nats, plural, text
from driftmon.stats.divergences import kl_qp

LEGEND: Final = (
    "Divergence: the debiased KL(Q||P) in nats; the line in the middle of every bar is its threshold. Course: the same "
    "over time, what noise alone reaches in grey. P and Q: the reference in grey, live data in blue."
)
SILENT: Final = "This stream has not received a record yet."


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a stream without a report: its name and whether records come over HTTP."""

    name: str
    over_http: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """All that the page is made of; `now_ms` is the wall clock."""

    streams: Sequence[Facts]
    reports: Mapping[str, Report]
    histories: Mapping[str, History]
    query: Query
    now_ms: int
    root: str


def overview(view: Overview) -> str:
    """The body of the page."""
    rows = [row for report in view.reports.values() for row in rows_of(report)]
    shown = chosen(rows, view.query)
    pages = max(1, -(-len(shown) // PAGE))
    page = min(max(view.query.page, 1), pages)
    here = shown[(page - 1) * PAGE : page * PAGE]
    return "\n".join(
        (
            f'<div data-live="headline" role="status">{_headline(rows, firing(view.reports))}</div>',
            f'<div data-live="states">{_states(view, rows)}</div>',
            _form(view),
            f'<div data-live="features">{_table(view, here, len(shown))}{_pager(view, page, pages)}</div>',
            f'<div data-live="streams">{_streams(view)}</div>',
        )
    )


def _headline(rows: Sequence[Row], alerts: int) -> str:
    """Never calm while an alert fires: a feature whose reference is weak may be what it is about."""
    counts = tally(rows)
    drifting = counts.get(Status.DRIFT, 0)
    if drifting:
        headline = f"{drifting:,} of {plural(len(rows), 'feature')} {'drifts' if drifting == 1 else 'drift'}"
    elif alerts:
        headline = f"{plural(alerts, 'alert')} {'fires' if alerts == 1 else 'fire'}{_unjudged(counts, len(rows))}"
    else:
        headline = _calm(counts, len(rows))
    return f'<h1 class="{"hot" if drifting or alerts else "calm"}">{headline}</h1>'


def _states(view: Overview, rows: Sequence[Row]) -> str:
    everything = _chip(view, "", f"all {len(rows):,}", "")
    chips = "".join(
        _chip(view, status.name.lower(), f"{glyph(status)}<b>{number:,}</b> {STATUS_WORDS[status][0]}", css_of(status))
        for status, number in tally(rows).items()
    )
    return f'<ul class="chips" aria-label="Filter by state">{chips}{everything}</ul>'


def _calm(counts: Mapping[Status, int], features: int) -> str:
    if not features:
        return "No feature has been seen yet"
    unjudged = _unjudged(counts, features)
    return f"Nothing drifts{unjudged}" if unjudged else f"None of {plural(features, 'feature')} drifts"


def _unjudged(counts: Mapping[Status, int], features: int) -> str:
    unknown = features - sum(counts.get(status, 0) for status in (Status.DRIFT, Status.OK, Status.SIGNIFICANT))
    return f"; {unknown:,} of {plural(features, 'feature')} cannot be judged" if unknown else ""


def _chip(view: Overview, status: str, label: str, style: str) -> str:
    current = ' aria-current="true"' if view.query.status == status else ""
    where = text(_address(replace(view.query, status=status, page=1)))
    return f'<li><a class="chip {style}" href="{where}"{current}>{label}</a></li>'


def _address(query: Query) -> str:
    usual = Query()
    fields = {"q": query.search, "stream": query.stream, "status": query.status}
    chosen_fields = {key: value for key, value in fields.items() if value}
    if query.sort != usual.sort:
        chosen_fields["sort"] = query.sort
    if query.page > 1:
        chosen_fields["page"] = str(query.page)
    return "?" + urlencode(chosen_fields)


def _form(view: Overview) -> str:
    query = view.query
    streams = ""
    if len(view.streams) > 1:
        names = [("", "all streams"), *((one.name, one.name) for one in view.streams)]
        streams = f"<label>Stream {_select('stream', names, query.stream)}</label>"
    hidden = f'<input type="hidden" name="status" value="{text(query.status)}">' if query.status else ""
    return (
        '<form class="controls" role="search" aria-label="Features">'
        f'<label>Find <input type="search" name="q" value="{text(query.search)}" placeholder="part of a name"></label>'
        f"{streams}<label>Order {_select('sort', list(SORTS.items()), query.sort)}</label>{hidden}"
        "<button>Show</button></form>"
    )


def _select(name: str, options: Sequence[tuple[str, str]], chosen_value: str) -> str:
    inside = "".join(
        f'<option value="{text(value)}"{" selected" if value == chosen_value else ""}>{text(label)}</option>'
        for value, label in options
    )
    return f'<select name="{name}">{inside}</select>'


def _table(view: Overview, rows: Sequence[Row], matching: int) -> str:
    if not rows:
        return '<p class="card empty">No feature matches.</p>'
    terms: dict[tuple[str, int], list[float]] = {}
    body = "".join(_row(view, row, terms) for row in rows)
    caption = f"{plural(matching, 'feature')} by {SORTS[view.query.sort]}"
    return (
        f'<p class="legend" id="legend">{LEGEND}</p><table class="features" aria-describedby="legend">'
        f'<caption class="hidden">{caption}</caption><thead><tr><th scope="col">Feature</th>'
        '<th scope="col">State</th><th scope="col">Divergence</th><th scope="col" class="w-course">Course</th>'
        '<th scope="col" class="w-mini">P and Q</th><th scope="col" class="n w-n">N</th>'
        f'<th scope="col" class="w-seen">Last seen</th></tr></thead><tbody>{body}</tbody></table>'
    )


def _row(view: Overview, row: Row, terms: dict[tuple[str, int], list[float]]) -> str:
    stream = row.report.stream
    where = text(view.root + feature_path(stream, row.name))
    about = f"{text(stream)}{_kind(row)}"
    heading = f'<th scope="row"><a href="{where}">{name(row.name)}</a><span class="soft">{about}</span></th>'
    head = f'<tr class="{css_of(row.status)}">{heading}<td>{badge(row.status)}{_evidence(row)}</td>'
    if row.window < 0:
        return f'{head}<td colspan="5" class="soft">{_gathering(row.report)}</td></tr>'
    threshold = threshold_of(row.report, row.name, row.report.windows[row.window].name)
    observed = row.report.value(row.window, row.feature, "window_observations")
    seen = ago(row.seen_ms, view.now_ms) if row.seen_ms else "never"
    return (
        f'{head}<td class="divergence"><span class="value">{nats(row.value)}</span>'
        f"{gauge(row.value, row.floor, threshold, row.status)}</td>"
        f'<td class="w-course">{_course(view, row, threshold)}</td>'
        f'<td class="w-mini">{_mini(row, terms)}</td><td class="n w-n">{count(observed)}</td>'
        f'<td class="w-seen">{seen}</td></tr>'
    )


def _kind(row: Row) -> str:
    if row.window < 0:
        return ""
    kind = row.report.schema.features[row.feature].kind
    several = f" · {text(row.report.windows[row.window].name)}" if len(row.report.windows) > 1 else ""
    return f" · {kind}{several}"


def _evidence(row: Row) -> str:
    """One word on how sure: R is 10 to the power of this."""
    if not math.isfinite(row.evidence) or row.evidence < 1:
        return ""
    return f'<span class="soft" title="log10 of the evidence for drift">evidence 10<sup>{row.evidence:.0f}</sup></span>'


def _gathering(report: Report) -> str:
    if report.warmup is None:
        return "no reference yet"
    seen, needed = report.warmup
    return f"gathering its reference: {count(seen)} of {count(needed)} records"


def _course(view: Overview, row: Row, threshold: float | None) -> str:
    history = view.histories.get(row.report.stream)
    if history is None or history.fingerprint != row.report.schema.fingerprint or row.window >= len(history.tracks):
        return spark((), (), (), None)
    track = history.tracks[row.window]
    values, floors = track.of("kl_divergence_debiased", row.feature), track.of("kl_noise_floor", row.feature)
    return spark(track.times_ms.tolist(), values, floors, threshold)


def _mini(row: Row, terms: dict[tuple[str, int], list[float]]) -> str:
    pair = row.report.pairs[row.window]
    key = (row.report.stream, row.window)
    if key not in terms:
        terms[key] = kl_qp(pair).tolist()
    bins = row.report.schema.bins(row.feature)
    labels = row.report.schema.features[row.feature].binning.labels()
    live = pair.q_raw[bins].tolist() if pair.live_total[row.feature] > 0 else [0.0] * len(labels)
    return mini(labels, pair.p_raw[bins].tolist(), live, terms[key][bins])


def _pager(view: Overview, page: int, pages: int) -> str:
    if pages == 1:
        return ""
    links = []
    for label, wanted, there in (("Previous", page - 1, page > 1), ("Next", page + 1, page < pages)):
        if there:
            links.append(f'<a href="{text(_address(replace(view.query, page=wanted)))}">{label}</a>')
    return f'<nav class="pager" aria-label="More features">page {page} of {pages} {" ".join(links)}</nav>'


def _streams(view: Overview) -> str:
    return f'<h2>Streams</h2><ul class="streams">{"".join(_stream(view, facts) for facts in view.streams)}</ul>'


def _stream(view: Overview, facts: Facts) -> str:
    said = ". ".join(_about(view.reports.get(facts.name)))
    inside = f"<h3>{text(facts.name)}</h3><p>{said}.</p>"
    if facts.over_http:
        path = f"api/v1/ingest/{quote(facts.name, safe='')}"
        inside += f'<p class="soft">Records: <code>POST {text("/" + path)}</code></p>'
    counts = text(f"{view.root}api/v1/streams/{quote(facts.name, safe='')}/snapshot")
    return f'<li class="card">{inside}<p class="soft"><a href="{counts}">snapshot of the counts</a></p></li>'


def _about(report: Report | None) -> Iterator[str]:
    if report is None:
        yield "It has no report yet"
        return
    yield plural(len(report.statuses), "feature")
    if report.warmup is not None:
        yield _gathering(report).capitalize()
        return
    yield f"Looked at {moment(report.now_ms)}"
    windows = ", ".join(text(window.name) for window in report.windows)
    yield f"{'Window' if len(report.windows) == 1 else 'Windows'} {windows}"
    if report.reference_source:
        yield f"Reference: {text(report.reference_source)}"
    if report.lifetime is not None and not report.lifetime.counts.any():
        yield SILENT.rstrip(".")
