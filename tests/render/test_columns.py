"""A column is what a family of the same samples is, and what stays from report to report is not made again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families as parse_text

from driftmon.monitor.report import Report
from driftmon.render.catalogue import Metric, Selection
from driftmon.render.columns import Column, Series
from driftmon.render.openmetrics import Family, render_text
from driftmon.render.series import Layout, families

METRIC = Metric("x_observations", "gauge", "", "X.", ("stream", "feature"))
FULL = Selection("full", "counters", 10**6)
numbers = st.lists(st.tuples(st.text(max_size=5), st.floats()), max_size=8, unique_by=lambda pair: pair[0])


def column(pairs: list[tuple[str, float]]) -> Column:
    labels = [("s", name) for name, _ in pairs]
    return Column(METRIC, [(Series(METRIC, labels), np.array([value for _, value in pairs], dtype=float))])


@given(numbers)
@example([("a", 1e22), ("b", -0.0), ("c", 5e-324), ("d", 0.1), ("e", math.nan), ("f", 1.7976931348623157e308)])
def test_a_column_reads_back_as_the_family_of_its_samples(pairs: list[tuple[str, float]]) -> None:
    family = Family(METRIC, [(("s", name), value) for name, value in pairs])
    ours, plain = (list(parse_text(render_text([piece]).decode())) for piece in (column(pairs), family))
    assert ours == plain
    found = [sample.value for metric in ours for sample in metric.samples]
    wanted = [value for _, value in pairs if math.isfinite(value)]
    assert list(map(float.hex, found)) == list(map(float.hex, wanted)), "to the last bit, and -0.0 is not 0.0"
    assert [value for _, value in column(pairs).samples] == wanted


def test_pieces_of_one_metric_have_one_head() -> None:
    text = render_text([column([("a", 1.0)]), column([("b", 2.0)]), column([("c", math.nan)])]).decode()
    assert text.splitlines() == [
        "# HELP x_observations X.",
        "# TYPE x_observations gauge",
        'x_observations{stream="s",feature="a"} 1.0',
        'x_observations{stream="s",feature="b"} 2.0',
    ]


def later(report: Report) -> Report:
    """The next report of the stream: everything that may differ does."""
    values = np.where(np.isnan(report.values), 0.25, np.where(report.values > 0.5, np.nan, report.values * 1.5))
    lifetime = report.lifetime and replace(report.lifetime, counts=report.lifetime.counts + 3, invalid={})
    statuses = dict.fromkeys(report.statuses, next(iter(report.statuses.values())))
    return replace(report, values=values, lifetime=lifetime, statuses=statuses, alerts=(), reference="another")


def test_a_layout_serves_the_next_reports_as_a_new_one_would(reports: Mapping[str, Report]) -> None:
    layout, following = Layout(reports, FULL), {name: later(report) for name, report in reports.items()}
    assert layout.fits(following, FULL)
    assert render_text(layout.filled(following)) == render_text(families(following, FULL))
    assert render_text(layout.filled(following)) != render_text(families(reports, FULL))


def test_a_layout_is_made_again_when_the_series_are_others(reports: Mapping[str, Report]) -> None:
    layout, (name, report) = Layout(reports, FULL), next(iter(reports.items()))
    assert layout.fits(dict(reports), FULL)
    assert not layout.fits(reports, replace(FULL, metrics="core"))
    assert not layout.fits({**reports, "another": replace(report, stream="another")}, FULL)
    assert not layout.fits({**reports, name: replace(report, rules=report.rules[:-1])}, FULL)
    assert not layout.fits({**reports, name: replace(report, windows=report.windows[:1])}, FULL)


def test_a_stream_that_warms_up_changes_its_layout_when_it_has_a_reference(warming: Report, drifted: Report) -> None:
    layout = Layout({"s": warming}, FULL)
    assert layout.fits({"s": warming}, FULL)
    assert not layout.fits({"s": replace(drifted, stream=warming.stream)}, FULL)


@pytest.mark.parametrize("alerts", [0, 1])
def test_alert_states_follow_the_alerts_of_each_report(drifted: Report, alerts: int) -> None:
    layout = Layout({"s": drifted}, FULL)
    kept = replace(drifted, alerts=drifted.alerts[:alerts])
    (states,) = (one for one in layout.filled({"s": kept}) if one.metric.name == "driftmon_alert_state")
    assert sum(value != 0 for _, value in states.samples) == alerts
