"""Alerts: what is pending and firing, how sure it is and what did it, what ended lately, and who is told.

Law: an alert is told in the words of its notification, so a page and a pager never disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from driftmon.monitor.report import Report
from driftmon.monitor.rules import Alert, Change, State
from driftmon.render.alert_words import annotations_of, since_ms
from driftmon.render.openmetrics import clean
from driftmon.render.own import Receiver
from driftmon.render.pages.words import feature_path, moment, nats, plural, text
from driftmon.render.replay_words import lasting, named


@dataclass(frozen=True, slots=True)
class Alerts:
    """All of the page. `ended` are the latest resolved ones, newest first."""

    reports: Mapping[str, Report]
    ended: Sequence[Change]
    receivers: Sequence[Receiver]
    root: str


def firing(reports: Mapping[str, Report]) -> int:
    """How many alerts fire."""
    return sum(alert.state is State.FIRING for report in reports.values() for alert in report.alerts)


def alerts(view: Alerts) -> str:
    """The body of the page."""
    present = [(alert, report) for report in view.reports.values() for alert in report.alerts]
    present.sort(key=lambda one: (-one[0].state, -one[0].active_ms))
    number = firing(view.reports)
    pending = len(present) - number
    waiting = f', <span class="soft">{pending} pending</span>' if pending else ""
    heading = f"{plural(number, 'alert')} firing" if number else "No alert fires"
    cards = "".join(card(alert, report, view.root) for alert, report in present)
    quiet = "" if present else '<p class="card empty">Nothing is pending or firing.</p>'
    return (
        f'<div data-live="alerts"><h1 class="{"hot" if number else "calm"}">{heading}{waiting}</h1>{cards}{quiet}'
        f"{_ended(view)}{_receivers(view.receivers)}</div>"
    )


def card(alert: Alert, report: Report, root: str) -> str:
    """One alert: what, since when, how much, by which bins."""
    said = annotations_of(alert)
    firing_now = alert.state is State.FIRING
    lasted = lasting(max(report.now_ms - since_ms(alert), 0) // 1000 * 1000)
    facts = [
        ("since", f"{moment(since_ms(alert))} ({lasted})"),
        ("value", _value(alert)),
        *([("evidence", text(said["evidence"]))] if "evidence" in said else []),
        *([("window", text(alert.window))] if alert.window else []),
        ("severity", text(alert.rule.severity)),
        *((key.removesuffix("_url"), _link(said[key])) for key in ("runbook_url", "dashboard_url") if key in said),
    ]
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    bins = "".join(f"<li>{text(clean(str(one)))} <b>{one.contribution_nats:+.3f}</b></li>" for one in alert.top_bins)
    state = "firing" if firing_now else "pending"
    return (
        f'<article class="card alert {state}"><h2><span class="badge {"is-drift" if firing_now else "is-significant"}">'
        f'{state}</span> {_subject(alert, root)} <span class="soft">{text(alert.rule.name)}</span></h2>'
        f'<p>{text(_told(said))}</p><dl class="facts">{listed}</dl>'
        + (f'<ul class="bins">{bins}</ul>' if bins else "")
        + "</article>"
    )


def _value(alert: Alert) -> str:
    if alert.rule.detector is not None:
        return f"{alert.value:.4g} on average before the flag"
    return f"{nats(alert.value)}, {'effect' if alert.rule.mean else 'threshold'} {alert.rule.above:g}"


def _told(said: Mapping[str, str]) -> str:
    """The notification's description less the bins, which stand below."""
    return said.get("description", "").replace(f" Largest contributions: {said.get('top_bins', '')}.", "")


def _link(url: str) -> str:
    """Only what a browser fetches is a link; anything else is text."""
    is_web = url.startswith(("https://", "http://"))
    return f'<a href="{text(url)}" rel="noreferrer">{text(url)}</a>' if is_web else text(url)


def _subject(alert: Alert, root: str) -> str:
    """Links to the features an alert is about."""
    names = alert.features or (alert.feature,)
    links = (f'<a href="{text(root + feature_path(alert.stream, name))}">{text(name)}</a>' for name in names if name)
    return f"{named(alert, list(links))} of {text(alert.stream)}"


def _ended(view: Alerts) -> str:
    if not view.ended:
        return ""
    rows = "".join(_ended_row(change, view.root) for change in view.ended)
    return (
        '<h2>Resolved lately</h2><div class="scroll"><table class="plain">'
        '<caption class="hidden">Resolved alerts, newest first</caption>'
        '<thead><tr><th scope="col">Ended</th><th scope="col">Lasted</th><th scope="col">About</th>'
        f'<th scope="col">Rule</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _ended_row(change: Change, root: str) -> str:
    alert = change.alert
    return (
        f"<tr><td>{moment(change.at_ms)}</td><td>{lasting(max(change.at_ms - alert.active_ms, 0) // 1000 * 1000)}</td>"
        f"<td>{_subject(alert, root)}</td><td>{text(alert.rule.name)}</td></tr>"
    )


def _receivers(receivers: Sequence[Receiver]) -> str:
    return f"<h2>Who is told</h2>{receivers_table(receivers)}"


def receivers_table(receivers: Sequence[Receiver]) -> str:
    """The sinks and how they do."""
    if not receivers:
        return '<p class="card empty">Nobody: the configuration has no sinks.</p>'
    rows = "".join(map(_receiver, receivers))
    return (
        '<div class="scroll"><table class="plain">'
        '<caption class="hidden">Receivers of notifications</caption><thead><tr>'
        '<th scope="col">Sink</th><th scope="col" class="n">Tried</th><th scope="col" class="n">Failed</th>'
        '<th scope="col" class="n">Kept to repeat</th><th scope="col">The last time</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _receiver(one: Receiver) -> str:
    bad = ' class="n bad"' if one.failed else ' class="n"'
    return (
        f'<tr><th scope="row">{text(one.name)}</th><td class="n">{one.sent:,}</td><td{bad}>{one.failed:,}</td>'
        f'<td class="n">{one.owed:,}</td><td>{_last(one)}</td></tr>'
    )


def _last(one: Receiver) -> str:
    if not one.tried_ms:
        return "not tried yet"
    return f"{moment(one.tried_ms)}, " + (f"failed: {text(clean(one.trouble))}" if one.trouble else "taken")


def of_feature(report: Report, feature: str) -> Iterator[Alert]:
    """The alerts that concern one feature."""
    return (alert for alert in report.alerts if feature in (alert.feature, *alert.features))
