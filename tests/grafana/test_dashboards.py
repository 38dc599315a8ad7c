"""The dashboards as they are committed: generated, by the rules of Grafana's own linter, and of the catalogue."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
import yaml

from driftmon.render.catalogue import METRICS
from grafana.generate import rendered
from tests.grafana.boards import BOARDS, FOLDER, Json, metric_names, panels, targets, variables

UNITS: Final = {"short", "percentunit", "bytes", "s", "dateTimeFromNow"}  # of the linter's list, those used here
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
SEVERAL: Final = ("job", "instance")

Faults = Iterator[str]


def template_datasource(board: Json) -> Faults:
    (source,) = variables(board, "datasource")
    if (source["name"], source["label"], source["query"]) != ("datasource", "Data source", "prometheus"):
        yield "the data source variable is misnamed"


def template_job_and_instance(board: Json) -> Faults:
    known = {one["name"]: one for one in variables(board, "query")}
    for name in SEVERAL:
        one = known.get(name, {})
        if (one.get("label"), one.get("multi"), one.get("allValue")) != (name.title(), True, ".+"):
            yield f"variable {name}: label, multi or allValue"


def template_queries(board: Json) -> Faults:
    for one in variables(board, "query"):
        if one["datasource"] != SOURCE:
            yield f"variable {one['name']}: data source"
        if not re.fullmatch(r"label_values\(\w+\{.+\}, \w+\)|label_values\(\w+, \w+\)", one["query"]["query"]):
            yield f"variable {one['name']}: not label_values(selector, label)"


def template_on_time_change(board: Json) -> Faults:
    yield from (f"variable {one['name']}: refresh" for one in variables(board, "query") if one["refresh"] != 2)


def template_unused(board: Json) -> Faults:
    text = str(board["panels"]) + str(board["links"]) + str([one.get("query") for one in board["templating"]["list"]])
    for one in board["templating"]["list"]:
        if not re.search(rf"\${one['name']}\b|\${{{one['name']}\b", text):
            yield f"variable {one['name']}: unused"


def panel_datasource(board: Json) -> Faults:
    for panel in panels(board):
        if any(one["datasource"] != SOURCE for one in (panel, *panel["targets"])):
            yield f"{panel['title']}: data source"


def panel_title_description(board: Json) -> Faults:
    yield from (f"panel {one['id']}" for one in panels(board) if not (one["title"] and one["description"]))


def panel_units(board: Json) -> Faults:
    for panel in panels(board):
        found = [panel["fieldConfig"]["defaults"]["unit"]]
        found += [
            own["value"]
            for over in panel["fieldConfig"]["overrides"]
            for own in over["properties"]
            if own["id"] == "unit"
        ]
        yield from (f"{panel['title']}: unit {unit}" for unit in found if unit not in UNITS)


def panel_no_targets(board: Json) -> Faults:
    yield from (panel["title"] for panel in panels(board) if not panel["targets"])


def target_matchers(board: Json) -> Faults:
    for panel in panels(board):
        for selector in _selectors(panel):
            if 'job=~"$job"' not in selector or 'instance=~"$instance"' not in selector:
                yield f"{panel['title']}: {selector}"


def target_rate_interval(board: Json) -> Faults:
    for panel in panels(board):
        for target in panel["targets"]:
            for function, over in re.findall(r"(\w+)\([^()\[\]]*\[([^\]]+)\]", target["expr"]):
                if function in {"rate", "irate", "increase"} and over != "$__rate_interval":
                    yield f"{panel['title']}: {function} over {over}"


def target_counter_aggregation(board: Json) -> Faults:
    for panel in panels(board):
        for target in panel["targets"]:
            counters = re.findall(r"\w+(?:_total|_bucket)\{", target["expr"])
            if len(counters) != len(re.findall(r"(?:rate|increase)\(\w+(?:_total|_bucket)\{", target["expr"])):
                yield f"{panel['title']}: a counter without rate"


def target_bare_selector(board: Json) -> Faults:
    """A metric without braces has no matchers at all."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield from (f"{panel['title']}: {name}" for name in re.findall(r"\bdriftmon_\w+\b(?!\{)", target["expr"]))


def uneditable(board: Json) -> Faults:
    if board["editable"] or board["id"] is not None or board["schemaVersion"] != 39 or board["tags"] != ["driftmon"]:
        yield "editable, id, schemaVersion or tags"


def layout(board: Json) -> Faults:
    """No panel on top of another, none beyond the grid, no number twice."""
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        if cells & taken or at["x"] + at["w"] > 24:
            yield f"{panel['title']}: {at}"
        taken |= cells
    if len({panel["id"] for panel in board["panels"]}) != len(board["panels"]):
        yield "a panel's number twice"


def _selectors(panel: Json) -> list[str]:
    return [found for target in panel["targets"] for found in re.findall(r"\w+(\{[^}]*\})", target["expr"])]


RULES: Final[list[Callable[[Json], Faults]]] = [
    template_datasource,
    template_job_and_instance,
    template_queries,
    template_on_time_change,
    template_unused,
    panel_datasource,
    panel_title_description,
    panel_units,
    panel_no_targets,
    target_matchers,
    target_rate_interval,
    target_counter_aggregation,
    target_bare_selector,
    uneditable,
    layout,
]


def broken(rule: str, board: Json) -> Json:
    """The board with one mistake that this rule is there to find."""
    made: Any = copy.deepcopy(board)
    panel: Any = next(panels(made))
    listed = made["templating"]["list"]
    mistakes: dict[str, Callable[[], Any]] = {
        "template_datasource": lambda: listed[0].update(label="Source"),
        "template_job_and_instance": lambda: listed[1].update(allValue=".*"),
        "template_queries": lambda: listed[1]["query"].update(query="up"),
        "template_on_time_change": lambda: listed[1].update(refresh=1),
        "template_unused": lambda: listed.append({**listed[1], "name": "idle"}),
        "panel_datasource": lambda: panel.update(datasource={"type": "prometheus", "uid": "mine"}),
        "panel_title_description": lambda: panel.update(description=""),
        "panel_units": lambda: panel["fieldConfig"]["defaults"].update(unit="suffix: nats"),
        "panel_no_targets": lambda: panel.update(targets=[]),
        "target_matchers": lambda: panel["targets"][0].update(expr='sum(up{job=~"$job"})'),
        "target_rate_interval": lambda: panel["targets"][0].update(expr="rate(a_total{}[5m])"),
        "target_counter_aggregation": lambda: panel["targets"][0].update(expr="sum(a_total{})"),
        "target_bare_selector": lambda: panel["targets"][0].update(expr="driftmon_build_info"),
        "uneditable": lambda: made.update(editable=True),
        "layout": lambda: panel["gridPos"].update(w=24),
    }
    mistakes[rule]()
    return dict(made)


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_linter_has_nothing_to_say(rule: Callable[[Json], Faults], board: Json) -> None:
    assert list(rule(board)) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_linter_would_find_a_mistake(rule: Callable[[Json], Faults]) -> None:
    assert list(rule(broken(rule.__name__, BOARDS["overview"]))) != []


def test_there_are_three() -> None:
    assert {name: board["uid"] for name, board in BOARDS.items()} == {
        "overview": "driftmon-overview",
        "feature": "driftmon-feature",
        "pipeline": "driftmon-pipeline",
    }


@pytest.mark.parametrize("name", BOARDS)
def test_what_is_committed_is_what_is_generated(name: str) -> None:
    assert (FOLDER / "dashboards" / f"{name}.json").read_text() == rendered()[f"{name}.json"], "run `make dashboards`"


def test_every_metric_asked_for_is_in_the_catalogue() -> None:
    asked = {name for _, _, target in targets() for name in metric_names(target["expr"])}
    asked |= {
        name
        for board in BOARDS.values()
        for one in variables(board, "query")
        for name in metric_names(one["query"]["query"])
    }
    assert asked - METRICS.keys() == set()


def test_every_scalar_metric_of_the_catalogue_is_on_a_dashboard_or_left_out_on_purpose() -> None:
    asked = {name for _, _, target in targets() for name in metric_names(target["expr"])}
    asked |= {
        name
        for board in BOARDS.values()
        for one in board["annotations"]["list"]
        for name in metric_names(one.get("expr", ""))
    }
    assert METRICS.keys() - asked == LEFT_OUT


LEFT_OUT: Final = {
    "driftmon_http_requests_refused_total",  # who was kept out: for audits and incidents, not for a daily look
    "driftmon_tls_handshakes_refused_total",
    "driftmon_web_config_last_reload_successful",
    "driftmon_mean_surprisal_nats",  # its rate over any range is shown, from the counters
    "driftmon_bin_observations_total",  # the window's bins are shown, which give KL exactly
    "driftmon_reference_observations",
    "driftmon_reference_timestamp_seconds",
    "driftmon_overdispersion_ratio",
    "driftmon_missing_values_total",  # the window's ratios are shown
    "driftmon_invalid_values_total",
    "driftmon_invalid_value_reasons_total",
    "driftmon_unseen_values_total",
    "driftmon_drift_seconds_total",  # for the burn-rate alerts
    "driftmon_evaluated_seconds_total",
    "driftmon_state_recovered",  # for an alert; its runbook names the others
    "driftmon_state_lost_seconds",
    "driftmon_state_generation_timestamp_seconds",
    "driftmon_state_damaged_rows_total",
    "driftmon_source_gap_events_total",  # shown with the brokers, when there are some
    "driftmon_source_lag_records",
    "driftmon_source_lag_bytes",
    "driftmon_ingest_sampled_out_records_total",  # with `overload: sample` only, which is opt-in
    "driftmon_sampling_ratio",
    "driftmon_clock_steps_total",  # for incidents
    "driftmon_clock_offset_seconds",
}


def test_links_lead_to_a_dashboard_that_is_there() -> None:
    text = "".join(rendered().values())
    known = {board["uid"] for board in BOARDS.values()}
    assert set(re.findall(r"/d/([\w-]+)/", text)) == {"driftmon-feature"} <= known


def test_provisioning_names_what_is_there() -> None:
    source = yaml.safe_load((FOLDER / "provisioning" / "datasources" / "driftmon.yaml").read_text())
    provider = yaml.safe_load((FOLDER / "provisioning" / "dashboards" / "driftmon.yaml").read_text())
    assert source["apiVersion"] == provider["apiVersion"] == 1
    (one,) = source["datasources"]
    assert (one["type"], one["uid"], one["access"]) == ("prometheus", "driftmon-prometheus", "proxy")
    (folder,) = provider["providers"]
    assert (folder["type"], folder["allowUiUpdates"]) == ("file", False)
    assert folder["options"]["path"].startswith("/etc/grafana/")
