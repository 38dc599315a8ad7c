"""The catalogue is the contract: names, labels, budgets; and what it says is what the reports hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest

from driftmon.monitor.check import DEFAULT_RULES
from driftmon.monitor.panes import Window
from driftmon.monitor.quantities import QUANTITIES, Quantity
from driftmon.monitor.report import Report
from driftmon.render.catalogue import (
    CATALOGUE,
    METRICS,
    OWN_VALUES,
    Metric,
    Selection,
    StreamFacts,
    metric_table,
    series_count,
)
from driftmon.render.json import report_json
from driftmon.render.samples import QUANTITY_METRICS, SOURCES
from driftmon.render.series import families

LABEL_ORDER = ("stream", "feature", "window")


def test_names_are_there_once() -> None:
    assert len(METRICS) == len(CATALOGUE)


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_names_and_labels_follow_the_convention(metric: Metric) -> None:
    assert re.fullmatch(r"driftmon_[a-z0-9_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.endswith("_info") == (metric.kind == "info")
    assert not {"le", "quantile", "type", "region", "service", "env", "job", "instance"} & set(metric.labels)
    leading = [label for label in metric.labels if label in LABEL_ORDER]
    assert tuple(leading) == tuple(label for label in LABEL_ORDER if label in leading)
    assert metric.labels[: len(leading)] == tuple(leading), "stream, feature, window come first"
    assert metric.help.endswith(".")


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda quantity: f"{quantity.metric}{dict(quantity.labels)}")
def test_every_quantity_of_the_report_is_a_metric(quantity: Quantity) -> None:
    metric = METRICS[quantity.metric]
    assert metric.quantity == quantity.name
    assert tuple(quantity.labels) == tuple(label for label in metric.labels if label in OWN_VALUES)
    assert all(value in OWN_VALUES[label] for label, value in quantity.labels.items())


def test_every_metric_of_data_has_a_source_and_every_source_a_metric() -> None:
    of_data = {metric.name for metric in CATALOGUE if "feature" in metric.labels}
    assert of_data <= SOURCES.keys()
    assert SOURCES.keys() <= METRICS.keys()


def test_core_is_at_most_sixteen_series_a_feature_with_one_window_and_the_default_rules() -> None:
    facts = StreamFacts("s", {"x": "numeric"}, {"x": 18}, (Window.sliding("fast", 3_600_000),))
    two = StreamFacts("s", {"x": "numeric", "y": "numeric"}, {"x": 18, "y": 18}, facts.windows)
    of_one, of_two = (series_count([one], DEFAULT_RULES, Selection()) for one in (facts, two))
    assert of_two - of_one <= 16


@pytest.mark.parametrize("chosen", ["core", "full"])
@pytest.mark.parametrize("bins", ["none", "window", "counters"])
def test_the_series_counted_are_the_series_exported(chosen: str, bins: str, drifted: Report, empty: Report) -> None:
    """Exact but for values that have no meaning yet: an upper bound, met when every feature has data."""
    selection = Selection(chosen, bins)  # type: ignore[arg-type]
    reports = {"flights": drifted}
    exported = sum(len(family.samples) for family in families(reports, selection))
    facts = [StreamFacts("flights", *_facts(drifted), drifted.windows)]
    counted = series_count(facts, drifted.rules, selection)
    unborn = _without_meaning(drifted, selection)
    assert exported + unborn == counted


@pytest.mark.parametrize("chosen", ["core", "full"])
def test_rules_by_evidence_and_per_stream_make_the_series_that_are_counted(chosen: str, judged: Report) -> None:
    selection = Selection(chosen)  # type: ignore[arg-type]
    exported = families({"flights": judged}, selection)
    facts = StreamFacts("flights", *_facts(judged), judged.windows)
    counted = series_count([facts], judged.rules, selection)
    assert sum(len(family.samples) for family in exported) + 1 == counted, "but for the time of the reference"


def test_evidence_is_a_series_of_what_calibrated_rules_watch(drifted: Report, judged: Report) -> None:
    def evidence(report: Report) -> set[str]:
        found = [one for one in families({"s": report}, Selection()) if one.metric.name == "driftmon_evidence_log10"]
        return {labels[1] for family in found for labels, _ in family.samples}

    assert evidence(drifted) == set()
    assert evidence(judged) == {"delay", "carrier", "cancelled"}
    by_one = [replace(rule, features="delay") for rule in judged.rules if rule.calibrated]
    facts = StreamFacts("s", *_facts(judged), judged.windows)
    one, none = (
        series_count([facts], rules, Selection()) for rules in (by_one[:1], [replace(by_one[0], features="x")])
    )
    assert one - none == 2, "evidence, and the state of the alert"


def _facts(report: Report) -> tuple[Mapping[str, str], Mapping[str, int]]:
    features = report.schema.features
    return {f.name: f.kind for f in features}, {f.name: f.binning.size for f in features}


def _without_meaning(report: Report, selection: Selection) -> int:
    """coupon was never seen: no live-dependent value in either window, no time; and no time of the reference."""
    live = [m for m in CATALOGUE if m.name in QUANTITY_METRICS and selection.takes(m) and "categorical" in m.only]
    counts = ("driftmon_window_observations", "driftmon_effective_observations")
    series = sum(len(OWN_VALUES["direction"]) if "direction" in m.labels else 1 for m in live if m.name not in counts)
    return series * len(report.windows) + 2


def test_the_table_has_a_line_per_metric() -> None:
    lines = metric_table().splitlines()
    assert len(lines) == 2 + len(CATALOGUE)
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 6 for line in lines)


def test_json_names_are_metric_names(reports: Mapping[str, Report]) -> None:
    allowed = {metric.name.removeprefix("driftmon_") for metric in CATALOGUE} | {
        "status",
        "windows",
        "observations",
        "bins",
    }
    for stream in report_json(reports)["streams"].values():
        for feature in stream["features"].values():
            assert set(feature) <= allowed
            for window in feature.get("windows", {}).values():
                assert set(window) <= allowed
