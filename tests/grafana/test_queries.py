"""Every query of every dashboard, asked of a real Prometheus that scraped two daemons while their data drifted."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest

from driftmon.monitor.labels import OUTCOMES
from grafana.generate import DASHBOARDS
from grafana.panels import Target
from tests.grafana.boards import BOARDS, Json, targets, variables
from tests.grafana.conftest import World
from tests.grafana.viewer import Viewer, frame
from tests.grafana.world import FRAUD, STREAMS
from tests.servers.helpers import get_json

CHOSEN = {"window": "hour", "rule": "DriftmonFeatureDrift"}
NO_SEGMENTS_YET = "segment"  # no stream of this version has any
QUERIES = [
    pytest.param(panel, target, id=f"{name}-{panel['title']}-{target['refId']}") for name, panel, target in targets()
]
CORE = [
    pytest.param(target, id=f"{name}-{panel.title}-{at}")
    for name, board in DASHBOARDS.items()
    for row in board.rows.values()
    for panel in row
    for at, target in enumerate(panel.targets)
    if not set(target.needs) - {"a calibrated rule"}
]


def viewer(world: World, feature: str, instance: str = ".+") -> Viewer:
    """As of the feature's dashboard, or with `.+` of all features."""
    stream = {"amount": "checkout", "country": "checkout", "outcome": FRAUD}.get(feature, ".+")
    return replace(world.viewer, chosen={**CHOSEN, "stream": stream, "feature": feature, "instance": instance})


def answer(world: World, target: Json, instance: str = ".+") -> list[Json]:
    """Of all features, or of a number, or of a category: not every metric is of each."""
    return next(
        (
            found
            for name in (".+", "amount", "country", "outcome")
            if (found := viewer(world, name, instance).ask(target))
        ),
        [],
    )


@pytest.mark.parametrize(("panel", "target"), QUERIES)
def test_every_query_has_an_answer_of_finite_numbers(world: World, panel: Json, target: Json) -> None:
    found = answer(world, target)
    assert found, f"{panel['title']}: no data for {target['expr']}"
    assert all(
        math.isfinite(value) or panel["title"].startswith("Time to") for one in found for _, value in one["points"]
    )


@pytest.mark.parametrize(("panel", "target"), QUERIES)
def test_every_label_of_a_legend_is_in_the_answer(world: World, panel: Json, target: Json) -> None:
    asked = set(re.findall(r"{{(\w+)}}", target["legendFormat"])) - {NO_SEGMENTS_YET}
    assert all(asked <= one["metric"].keys() for one in answer(world, target)), target["legendFormat"]


@pytest.mark.parametrize("target", CORE)
def test_the_default_configuration_fills_every_query_that_does_not_say_it_needs_more(
    world: World, target: Target
) -> None:
    assert answer(world, target.json("A"), world.core.web)


def test_what_needs_more_says_so() -> None:
    feature = {panel.title: panel for row in DASHBOARDS["feature"].rows.values() for panel in row}
    assert "Needs `metrics: {bins: window}`." in feature["P against Q"].description
    assert "More of it with `metrics: {set: full}`." in feature["KL(Q||P), noise floor and bounds"].description
    assert "Needs" not in feature["H(Q,P) = H(Q) + KL(Q||P)"].description


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_every_variable_offers_something(world: World, board: Json) -> None:
    offered = {one["name"]: viewer(world, "amount").values(one["query"]["query"]) for one in variables(board, "query")}
    empty = {name for name, found in offered.items() if not found}
    assert empty == {NO_SEGMENTS_YET} & offered.keys()
    assert set(offered.get("stream", [])) <= {*STREAMS, FRAUD}
    assert set(offered.get("feature", [])) <= {"amount", "items", "country", "returning"}


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_alerts_stand_as_annotations(world: World, board: Json) -> None:
    (firing,) = (one for one in board["annotations"]["list"] if "expr" in one)
    found = viewer(world, "amount").ask(firing)
    assert {one["metric"]["rule"] for one in found} >= {"DriftmonFeatureDrift"}


def numbers(world: World, board: str, title: str, feature: str = "amount", instance: str = ".+") -> list[list[Json]]:
    """The last answers of a panel's queries."""
    (panel,) = (one for one in BOARDS[board]["panels"] if one["title"] == title)
    return [viewer(world, feature, instance).ask(target) for target in panel["targets"]]


def last(found: list[Json]) -> float:
    ((_, value),) = found[0]["points"][-1:]
    return float(value)


def test_the_overview_counts_what_the_daemons_report(world: World) -> None:
    reports = [get_json(f"http://{one.api}/api/v1/report") for one in (world.whole, world.core)]
    features = [item for report in reports for one in report["streams"].values() for item in one["features"].items()]
    drifting = {name for name, one in features if one["status"] == "drift"}
    assert drifting >= {"amount", "country", "latency_ms"}
    assert last(numbers(world, "overview", "Features that drift", ".+")[0]) == len(drifting)
    assert last(numbers(world, "overview", "Daemons")[0]) == 2
    assert last(numbers(world, "overview", "Features watched", ".+")[0]) == 9


def bins(world: World, title: str, instance: str) -> list[dict[str, Any]]:
    """The bars of a panel, as they stand there."""
    (panel,) = (one for one in BOARDS["feature"]["panels"] if one["title"] == title)
    return frame(panel, numbers(world, "feature", title, instance=instance))


def test_the_bars_are_the_daemons_own_bins_in_their_order(world: World) -> None:
    """Prometheus gives them in the order of their text, which puts [10, 20) before [5, 10)."""
    report: Any = get_json(f"http://{world.whole.api}/api/v1/report")["streams"]["checkout"]["features"]["amount"]
    window = report["windows"]["hour"]
    shares = bins(world, "P against Q", world.whole.web)
    assert [one["bin"] for one in shares] == [one["label"] for one in window["bins"]]
    for column, key in (("P (reference)", "p"), ("Q (live)", "q")):
        assert [one[column] for one in shares] == pytest.approx([one[key] for one in window["bins"]], abs=1e-12)
    added = [one["q ln(q/p)"] for one in bins(world, "Contribution of each bin to KL(Q||P)", world.whole.web)]
    assert added == pytest.approx([one["contribution_nats"] for one in window["bins"]], abs=1e-12)
    assert sum(added) == pytest.approx(window["kl_divergence_nats"]["q_p"], abs=1e-12)


def test_the_stack_is_the_cross_entropy(world: World) -> None:
    live, kl, cross, _ = (last(found) for found in numbers(world, "feature", "H(Q,P) = H(Q) + KL(Q||P)"))
    assert live + kl == pytest.approx(cross, abs=1e-12)


def test_the_loss_of_all_daemons_is_the_mean_of_all_their_rows(world: World) -> None:
    reports = [get_json(f"http://{one.api}/api/v1/report")["streams"][FRAUD] for one in (world.whole, world.core)]
    windows = [report["features"]["outcome"]["windows"]["hour"] for report in reports]
    labelled = sum(window["labelled_observations"] for window in windows)
    loss, entropy, lower, upper = (
        last(found) for found in numbers(world, "feature", "Log loss and entropy of the predictions", "outcome")
    )
    expected = sum(window["log_loss_nats"] * window["labelled_observations"] for window in windows) / labelled
    assert loss == pytest.approx(expected, rel=1e-12)
    assert lower < loss < upper
    gap, *_ = (last(found) for found in numbers(world, "feature", "Calibration gap", "outcome"))
    assert gap == pytest.approx(loss - entropy, rel=1e-9)
    by_outcome, waiting, in_window = numbers(world, "feature", "Labels by outcome", "outcome")
    assert {one["metric"]["outcome"] for one in by_outcome} == {*OUTCOMES}
    assert last(waiting) == sum(report["labels"]["predictions_waiting"] for report in reports)
    assert last(in_window) == labelled > 4000


def test_the_table_is_sorted_by_excess_and_has_a_row_per_feature(world: World) -> None:
    (panel,) = (one for one in BOARDS["overview"]["panels"] if one["type"] == "table")
    found = frame(panel, numbers(world, "overview", panel["title"], ".+"))
    assert len({row["feature"] for row in found}) == len(found) == 9
    assert {row["feature"] for row in found[:3]} == {"amount", "country", "latency_ms"}
    assert list(found[0]) == [
        "stream",
        "feature",
        "Excess",
        "Status",
        "KL debiased",
        "Evidence",
        "Drifts since",
        "Observations",
    ]


def test_the_beginning_of_a_drift_lies_in_the_time_shown(world: World) -> None:
    (panel,) = (one for one in BOARDS["overview"]["panels"] if one["type"] == "table")
    column = next(at for at, one in enumerate(panel["targets"]) if "max_over_time" in one["expr"])
    since = {one["metric"]["feature"]: last([one]) / 1000 for one in viewer(world, ".+").ask(panel["targets"][column])}
    assert since.keys() >= {"amount", "country", "latency_ms"}
    assert all(world.viewer.from_s <= at <= world.viewer.to_s for at in since.values())
