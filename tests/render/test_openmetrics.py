"""Both text formats, held against the parsers and the writer of prometheus_client."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.core import (
    Metric as TheirMetric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from driftmon.monitor.report import Report
from driftmon.render.catalogue import CATALOGUE, METRICS, Metric, Selection
from driftmon.render.openmetrics import (
    LABEL_BYTES,
    Family,
    Histogram,
    Piece,
    choose,
    clean,
    render_openmetrics,
    render_text,
)
from driftmon.render.series import families

DAEMON = [
    Family(METRICS["driftmon_tick_duration_seconds"], [((), Histogram((0.001, 0.1), (3, 2, 1), 5.25))]),
    Family(METRICS["driftmon_ingest_records_total"], [(("flights", "http"), 12.0)]),
    Family(METRICS["driftmon_build_info"], [(("0.1.0", "3.11"), 1.0)]),
]


class Theirs:
    """The same families, as a collector of prometheus_client."""

    def __init__(self, ours: Sequence[Piece]) -> None:
        self._ours = ours

    def collect(self) -> Iterator[TheirMetric]:
        for family in self._ours:
            metric = family.metric
            values = [
                (dict(zip(metric.labels, map(clean, labels), strict=True)), value) for labels, value in family.samples
            ]
            yield _their_family(metric, values)


def _their_family(metric: Metric, values: list[tuple[dict[str, str], float | Histogram]]) -> TheirMetric:
    if metric.kind == "info":
        made = InfoMetricFamily(metric.family, metric.help)
        for labels, _ in values:
            made.add_metric([], labels)
        return made
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels, unit=metric.unit)
        for labels, value in values:
            assert isinstance(value, Histogram)
            bounds = [*map(str, value.bounds), "+Inf"]
            buckets = [(bound, sum(value.counts[: at + 1])) for at, bound in enumerate(bounds)]
            histogram.add_metric(list(labels.values()), buckets, value.total)
        return histogram
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    plain = kind(metric.family, metric.help, labels=metric.labels, unit=metric.unit)
    for labels, value in values:
        assert isinstance(value, float | int)
        plain.add_metric(list(labels.values()), value)
    return plain


def samples_of(parsed: Iterable[TheirMetric]) -> set[tuple[object, ...]]:
    return {
        (metric.name, metric.type, metric.documentation, metric.unit, one.name, *sorted(one.labels.items()), one.value)
        for metric in parsed
        for one in metric.samples
    }


@pytest.fixture
def everything(reports: Mapping[str, Report]) -> list[Piece]:
    return [*families(reports, Selection("full", "counters", 10**6)), *DAEMON]


def test_text_equals_prometheus_client_sample_for_sample(everything: list[Piece]) -> None:
    registry = CollectorRegistry()
    registry.register(Theirs(everything))
    ours = samples_of(parse_text(render_text(everything).decode()))
    assert ours == samples_of(parse_text(generate_latest(registry).decode()))
    assert len(ours) > 200


def test_openmetrics_equals_prometheus_client_sample_for_sample(everything: list[Piece]) -> None:
    registry = CollectorRegistry()
    registry.register(Theirs(everything))
    theirs = generate_openmetrics(registry).decode()  # type: ignore[no-untyped-call]
    ours = samples_of(parse_openmetrics(render_openmetrics(everything).decode()))  # type: ignore[no-untyped-call]
    assert ours == samples_of(parse_openmetrics(theirs))  # type: ignore[no-untyped-call]
    assert len(ours) > 200


@given(st.lists(st.text(), min_size=1, max_size=5, unique=True))
def test_any_label_value_is_one_line_that_reads_back_cleaned(values: list[str]) -> None:
    metric = Metric("x_observations", "gauge", "", "X.", ("feature",))
    text = render_text([Family(metric, [((value,), float(at)) for at, value in enumerate(values)])]).decode()
    assert len(text.splitlines()) == 2 + len(values)
    (parsed,) = parse_text(text)
    assert [one.labels["feature"] for one in parsed.samples] == [clean(value) for value in values]


@given(st.text(), st.text())
def test_different_label_values_stay_different(one: str, other: str) -> None:
    assert (clean(one) == clean(other)) == (one == other)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Größe", "Größe"),
        ("a\nb", "a\\u000ab"),
        ("a\\u000ab", "a\\u005cu000ab"),  # else it would read like the line above
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\ud800", "\\ud800"),
        ("C:\\temp", "C:\\temp"),
    ],
)
def test_controls_bidi_marks_and_surrogates_are_shown_as_escapes(value: str, shown: str) -> None:
    assert clean(value) == shown


def test_long_values_are_cut_and_stay_different() -> None:
    one, other = clean("ü" * 500 + "a"), clean("ü" * 500 + "b")
    assert one != other
    assert max(len(one.encode()), len(other.encode())) <= LABEL_BYTES


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_without_meaning_is_an_absent_sample(value: float) -> None:
    family = Family(METRICS["driftmon_mailbox_bytes"], [((), value)])
    assert (render_text([family]), render_openmetrics([family])) == (b"", b"# EOF\n")


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_openmetrics_units_are_the_suffix_of_the_family(metric: Metric) -> None:
    assert metric.unit == "" or metric.family.endswith("_" + metric.unit)


PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html,application/xml;q=0.9,*/*;q=0.8", "text/plain; version=0.0.4; charset=utf-8"),
        (PROMETHEUS_2, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (PROMETHEUS_3, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("application/openmetrics-text;version=0.0.1", "application/openmetrics-text; version=0.0.1; charset=utf-8"),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("application/openmetrics-text;q=0", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.9", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;q=much", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=9", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_the_format_follows_the_accept_header(accept: str, content_type: str) -> None:
    render, chosen = choose(accept)
    assert chosen == content_type
    assert render(DAEMON).endswith(b"# EOF\n") == chosen.startswith("application/openmetrics-text")
