"""Pages of every kind of report: with drift, with nothing, with a reference to come; no value is a dash."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from driftmon.monitor.history import History
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.quantities import index_of
from driftmon.monitor.references import reference_of
from driftmon.monitor.report import Report, Status
from driftmon.monitor.rules import Calibrated, Rule
from driftmon.render.pages.alerts import Alerts, alerts
from driftmon.render.pages.bins import bins_of
from driftmon.render.pages.enough import sentences
from driftmon.render.pages.feature import FeatureView, feature
from driftmon.render.pages.marks import gauge, spark
from driftmon.render.pages.overview import Facts, Overview, overview
from driftmon.render.pages.ranking import SORTS, Query, chosen, rows_of, tally
from driftmon.render.pages.words import nats
from driftmon.stats.divergences import kl_qp
from driftmon.stats.edges import FeatureSpec

HOUR_MS = 3_600_000
KL = index_of("kl_divergence_debiased")
VOID = {"meta", "link", "input", "wbr", "br", "img"}


class Balanced(HTMLParser):
    """Fails where an element is not closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Closed as it was opened."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def view(reports: Mapping[str, Report], query: Query = Query()) -> str:  # noqa: B008  frozen
    histories = {name: History().after(report) for name, report in reports.items()}
    facts = [Facts(name, True) for name in (*reports, "silent")]
    return overview(Overview(facts, reports, histories, query, HOUR_MS + 5_000, "./"))


def page_of(report: Report, name: str, window: str = "") -> str:
    return feature(FeatureView(report, name, History().after(report), window, HOUR_MS + 5_000, "../../"))


@pytest.mark.parametrize("sort", SORTS)
def test_the_overview_shows_every_feature_of_every_stream(reports: Mapping[str, Report], sort: str) -> None:
    page = view(reports, Query(sort=sort))
    Balanced(page)
    assert page.count('<th scope="row">') == sum(len(report.statuses) for report in reports.values()) == 12
    assert "gathering its reference: 0 of 1,000 records" in page
    assert "It has no report yet" in page
    assert "nan" not in re.sub(r"<[^>]*>", "", page).lower()


def test_an_overview_of_nothing_says_so() -> None:
    page = view({})
    Balanced(page)
    assert "No feature has been seen yet" in page


def test_every_feature_has_a_page_in_every_window(reports: Mapping[str, Report]) -> None:
    for report in reports.values():
        for name in report.statuses:
            for window in ("", "fast", "slow", "none of these"):
                page = page_of(report, name, window)
                Balanced(page)
                assert f"<h1>{name} " in page
                assert "nan" not in re.sub(r"<[^>]*>", "", page).lower()


def test_the_parts_of_the_bins_add_up_to_the_divergence(drifted: Report) -> None:
    for window, pair in enumerate(drifted.pairs):
        for index in range(len(drifted.schema.features)):
            parts = sum(one.term for one in bins_of(drifted, window, index))
            assert parts == pytest.approx(
                float(kl_qp(pair)[drifted.schema.bins(index)].sum()) * bool(pair.live_total[index])
            )


def test_what_is_missing_shows_beside_the_share_of_the_reference(drifted: Report) -> None:
    page = page_of(drifted, "carrier", "fast")
    assert "20.0 % <small>reference 0 %</small>" in page  # 60 of 300 are missing
    assert "<li>" in page


def test_the_mean_surprisal_stands_beside_the_cross_entropy_and_names_the_bins_that_raise_it(drifted: Report) -> None:
    page = page_of(drifted, "delay", "fast")
    index = drifted.schema.names.index("delay")
    assert f"H(q̂,P) = <b>{nats(drifted.value(0, index, 'mean_surprisal'))}</b> nats" in page
    pair = drifted.pairs[0]
    bins = pair.schema.bins(index)
    terms = (pair.q_raw - pair.p_raw)[bins] * -pair.log_p[bins]
    label = drifted.schema.features[index].binning.labels()[int(terms.argmax())]
    said = re.search(r"most surprising bins, by what they add to the reference's mean: ([^<]+) <b>", page)
    assert said is not None
    assert said[1].startswith(html.escape(f"delay={label} "))
    window = drifted.as_dict()["streams"]["flights"]["features"]["delay"]["windows"]["fast"]
    assert window["mean_surprisal_nats"] == drifted.value(0, index, "mean_surprisal")


def test_the_most_surprising_bins_are_those_of_the_window_by_hand() -> None:
    """An hour ago `b` was rare and nothing missing; of what came before the window nothing is told."""
    reference = reference_of({"kind": ["a"] * 900 + ["b"] * 95 + ["c"] * 5}, [FeatureSpec("kind", "categorical")])
    one = Monitor(reference, (Window.sliding("fast", HOUR_MS),), stream="flights")
    one.observe_columns({"kind": ["c"] * 500}, 0)
    one.observe_columns({"kind": ["a"] * 50 + ["b"] * 40 + [None] * 10}, 3 * HOUR_MS)
    page = page_of(one.tick(3 * HOUR_MS + 1000), "kind", "fast")
    said = re.search(r"most surprising bins, by what they add to the reference's mean: (.+?)\.</p>", page)
    assert said is not None
    smoothed = 1000 + 0.5 * 6  # a, b, c, unseen, invalid, missing
    missing, b = -0.1 * math.log(0.5 / smoothed), -(0.4 - 0.095) * math.log(95.5 / smoothed)
    told = re.findall(r"kind=(\w+) .+? <b>([+-][0-9.]+)</b>", said[1])
    assert told == [("missing", f"{missing:+.3f}"), ("b", f"{b:+.3f}")]


def test_rows_are_sorted_and_what_has_no_value_comes_last(reports: Mapping[str, Report]) -> None:
    rows = [row for report in reports.values() for row in rows_of(report)]
    excess = [row.excess for row in chosen(rows, Query())]
    known = [value for value in excess if math.isfinite(value)]
    assert known == sorted(known, reverse=True)
    assert all(math.isnan(value) for value in excess[len(known) :])
    assert len(known) < len(excess)
    assert sum(tally(rows).values()) == len(rows)
    drift = chosen(rows, Query(status="drift"))
    assert drift
    assert {row.status for row in drift} == {Status.DRIFT}
    assert [row.name for row in chosen(rows, Query(search="CARR", stream="flights"))] == ["carrier"]


def a_watched_feature(rows: int, reference_rows: int = 4000) -> Report:
    draw = np.random.default_rng(1)
    reference = reference_of({"x": draw.normal(size=reference_rows)}, [FeatureSpec("x", "numeric", bins=8)])
    rule = Rule("R", "kl_divergence_debiased", above=0.02, min_observations=500)
    monitor = Monitor(reference, (Window.sliding("fast", HOUR_MS),), (rule,))
    monitor.observe_columns({"x": draw.normal(size=rows)}, HOUR_MS)
    return monitor.tick(HOUR_MS)


def test_it_says_how_many_observations_more_are_needed() -> None:
    few, enough = list(sentences(a_watched_feature(100), 0, 0)), list(sentences(a_watched_feature(3000), 0, 0))
    assert re.match(r"About (\d+) more observations are needed before noise stays below 0.02 nats", few[0])
    assert few[-1] == "R judges from 500 on: 400 more"
    assert [one for one in enough if "needed" in one or "judges" in one] == []
    assert enough[0].startswith("Enough: 3,000 observations")


def test_so_many_more_are_indeed_enough() -> None:
    (said,) = re.findall(r"of ([\d,]+)$", next(sentences(a_watched_feature(100), 0, 0)))
    needed = int(said.replace(",", ""))
    floor = a_watched_feature(needed).value(0, 0, "kl_noise_floor")
    assert 0.015 < floor < 0.022  # an approximation: the floor itself knows the shape of P


def test_a_reference_that_is_too_small_is_said_to_be() -> None:
    (first, *_) = sentences(a_watched_feature(3000, reference_rows=150), 0, 0)
    assert first.startswith("The reference has 150 observations, too few to tell 0.02 nats from its own error")


def test_a_weak_reference_is_said_to_be_the_reason() -> None:
    report = a_watched_feature(3000)
    weak = list(sentences(replace(report, statuses={"x": Status.WEAK_REFERENCE}), 0, 0))
    assert "too few for a verdict by evidence" in weak[0]
    assert weak[1:] == list(sentences(report, 0, 0))


def judged_by_evidence(shifts: Iterable[float], rows: int) -> Report:
    """After that many minutes of a normal x, each shifted by so much."""
    draw = np.random.default_rng(2)
    reference = reference_of({"x": draw.normal(size=20_000)}, [FeatureSpec("x", "numeric", bins=8)])
    rule = Rule("Sure", "kl_divergence_debiased", 0.02, calibrated=Calibrated(0.02, 30 * 24 * HOUR_MS), per="stream")
    monitor = Monitor(reference, (Window.sliding("fast", HOUR_MS),), (rule,), stream="s")
    for minute, shift in enumerate(shifts):
        monitor.observe_columns({"x": draw.normal(size=rows) + shift}, HOUR_MS + minute * 60_000)
        report = monitor.tick(HOUR_MS + minute * 60_000 + 59_000)
    return report


def test_evidence_is_shown_where_it_is_weighed() -> None:
    report = judged_by_evidence([0.8] * 30, rows=200)
    assert report.alerts
    assert "evidence 10<sup>" in view({"s": report})
    assert "evidence, log10" in page_of(report, "x")
    page = alerts(Alerts({"s": report}, (), (), "./"))
    Balanced(page)
    assert "a false alarm this strong happens at most once in" in page
    assert '<a href="./features/s/x">x</a> of s' in page
    assert "Nobody: the configuration has no sinks." in page


def test_a_drift_younger_than_its_window_is_not_called_noise() -> None:
    """The alert fires, and the hour as a whole still looks like the reference; a weak reference cannot judge."""
    report = judged_by_evidence([0.0] * 23 + [0.8] * 2, rows=300)
    assert len(report.alerts) == 1
    quiet = replace(report, values=np.where(np.arange(report.values.shape[1])[:, None] == KL, 0.0, report.values))
    page = page_of(quiet, "x")
    assert "in window fast is no more than noise" in page
    assert "The alert below is about the records since" in page
    weak = view({"s": replace(report, statuses={"x": Status.WEAK_REFERENCE})})
    assert '<h1 class="hot">1 alert fires; 1 of 1 feature cannot be judged</h1>' in weak


def test_an_alert_s_runbook_is_a_link_only_to_the_web(drifted: Report) -> None:
    def shown(url: str) -> str:
        (alert, *_) = drifted.alerts
        rule = replace(alert.rule, annotations={"runbook_url": url})
        told = replace(drifted, alerts=(replace(alert, rule=rule),))
        return alerts(Alerts({"flights": told}, (), (), "./"))

    assert '<a href="https://wiki/r#x" rel="noreferrer">' in shown("https://wiki/r#x")
    assert 'href="javascript' not in shown("javascript:alert(1)")


def test_a_threshold_stands_in_the_middle_and_no_bar_leaves_its_gauge() -> None:
    for value in (0.0, 1e-9, 0.1, 5.0, 1e9):
        widths = [
            float(found)
            for found in re.findall(r'<rect class="level[^>]* width="([\d.]+)"', gauge(value, 0.01, 0.1, Status.OK))
        ]
        assert all(0 <= width <= 150 for width in widths)
    (width,) = re.findall(r'class="level[^>]* width="([\d.]+)"', gauge(0.1, 0.01, 0.1, Status.OK))
    assert float(width) == 75
    assert "level mute" in gauge(9.0, 0.01, 0.1, Status.INSUFFICIENT_DATA)


def test_a_course_breaks_where_there_was_nothing() -> None:
    nan = float("nan")
    drawn = spark((0, 1, 2, 3, 4), (0.1, 0.2, nan, 0.3, 0.1), (0.01,) * 5, 0.1)
    assert drawn.count('class="line"') == 2
    assert "KL from 0.100 to 0.100 nats, at most 0.300" in drawn
    assert "no history yet" in spark((0,), (nan,), (nan,), None)
