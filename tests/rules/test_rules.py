"""The rules pack: what is committed is what is made, promtool agrees with it, and a mistake in it is found."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from driftmon.cli.main import command
from driftmon.cli.support.fleet_plan import plan_of
from driftmon.daemon.config import load
from driftmon.render.catalogue import METRICS
from driftmon.render.rule_alerts import names
from driftmon.render.rule_plan import Plan
from driftmon.render.rule_text import anchor
from driftmon.render.rules import RUNBOOKS, pack
from tests.servers.helpers import require

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "rules"
TESTS = sorted(Path(__file__).parent.glob("*.test.yml"))
SUITES = [yaml.safe_load(path.read_text()) for path in TESTS]


def rules() -> Iterator[dict[str, Any]]:
    for name in pack(Plan()):
        for group in yaml.safe_load((FOLDER / name).read_text())["groups"]:
            yield from group["rules"]


ALERTS = [rule for rule in rules() if "alert" in rule]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def test_what_is_committed_is_what_is_made() -> None:
    made = pack(Plan())
    assert {path.name: path.read_text() for path in FOLDER.glob("*.yml")} == made


def test_promtool_finds_nothing_wrong() -> None:
    checked = run(require("promtool"), "check", "rules", *sorted(FOLDER.glob("*.yml")))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_the_unit_tests_pass(path: Path) -> None:
    tested = run(require("promtool"), "test", "rules", path)
    assert tested.returncode == 0, tested.stdout + tested.stderr


MISTAKES = {
    "no mean": (
        "evidence in the mean over pods, and effect",
        "recording.yml",
        "avg by (cluster, namespace, job, stream, feature)",
        "max by (job, feature)",
    ),
    "no multiplicity": (
        "evidence that is enough for one daemon is not enough for two features of a fleet",
        "recording.yml",
        "features:count / 1)",
        "features:count / 2)",
    ),
    "no effect": (
        "evidence without effect is not worth an alarm",
        "recording.yml",
        "debiased_nats:mean >= 0.02",
        "debiased_nats:mean >= -1",
    ),
    "bins missing": (
        "merged values",
        "recording.yml",
        "reference_bin_ratio:max) == on",
        "reference_bin_ratio:max) <= on",
    ),
    "mixed": ("merged values", "recording.yml", "group_left (reference) driftmon_ref", "group_left () driftmon_ref"),
    "threshold": (
        "a threshold, without bins, by the weighted mean of the pods",
        "alerts.yml",
        "> 0.1 and",
        "> 0.01 and",
    ),
    "young series": (
        "a blip of four minutes burns no budget, nor does a series that is ten minutes old",
        "alerts.yml",
        "offset 30m",
        "offset 1m",
    ),
    "any job": (
        "a job of driftmons is down, another job is not ours",
        "alerts.yml",
        "and on (cluster, namespace, job) count by",
        "or on (job) count by",
    ),
}
CASES = {case["name"]: {**suite, "tests": [case]} for suite in SUITES for case in suite["tests"]}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_seeded_mistake_is_found_by_the_case_that_is_about_it(mistake: str, tmp_path: Path) -> None:
    name, file, right, wrong = MISTAKES[mistake]
    (tmp_path / "tests" / "rules").mkdir(parents=True)
    case = tmp_path / "tests" / "rules" / "case.yml"
    case.write_text(yaml.safe_dump(CASES[name]))
    seeded = Path(shutil.copytree(FOLDER, tmp_path / "deploy" / "rules")) / file
    text = seeded.read_text()
    assert right in text
    seeded.write_text(text.replace(right, wrong))
    assert run(require("promtool"), "check", "rules", seeded).returncode == 0, "a mistake of grammar shows nothing"
    tested = run(require("promtool"), "test", "rules", case)
    assert tested.returncode != 0
    assert re.search(r"exp(ected)?:", tested.stdout + tested.stderr), "it is the rules that fail, not the file"


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_it_is_and_where_to_read_on(rule: dict[str, Any]) -> None:
    told = rule["annotations"]
    assert re.fullmatch(r"[^{}]+\.", told["summary"]), "a static sentence"
    assert told["description"].endswith(".")
    assert told["runbook_url"] == f"{RUNBOOKS}#{anchor(rule['alert'])}"
    assert rule["labels"]["severity"] in {"warning", "info"}, "drift pages nobody by default"


def test_every_alert_has_a_test_in_which_it_fires() -> None:
    cases = [case for suite in SUITES for test in suite["tests"] for case in test.get("alert_rule_test", ())]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names(Plan())
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} >= names(Plan()) - {
        "DriftmonDown",  # beside each that fires stands a series for which it must not
        "DriftmonStale",
        "DriftmonSchemaBreak",
    }


def test_every_alert_has_a_runbook() -> None:
    headings = re.findall(r"^## (\S+)$", (ROOT / "deploy" / "runbooks.md").read_text(), re.MULTILINE)
    assert set(headings) >= names(Plan())
    assert all(anchor(heading) == heading.lower() for heading in headings)


def test_runbooks_name_metrics_verbs_and_flags_that_exist() -> None:
    text = (ROOT / "deploy" / "runbooks.md").read_text()
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for name in set(re.findall(r"(?<![\w:])(?:\w+:)?driftmon_\w+(?::\w+)?", text)) - {"feature:driftmon_"}:
        assert name in recorded or name in METRICS, name
    commands = re.findall(
        r"(?:^    |`)driftmon ([a-z-]+(?: (?:promote|diff|show|build))?)([^\n`]*)", text, re.MULTILINE
    )
    assert len(commands) > 5
    for verb, rest in commands:
        told = CliRunner().invoke(command, [*verb.split(), "--help"])
        assert told.exit_code == 0, verb
        for flag in re.findall(r"(?<!\S)--?[a-z][a-z.]*", rest):
            assert re.search(rf"(?<!\S){re.escape(flag)}\b", told.output), (verb, flag)


def test_rules_use_metrics_and_labels_that_exist() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        expr = re.sub(r'"[^"]*"', '""', rule["expr"])
        used = set(re.findall(r"(?<![:\w])(?:\w+:)?driftmon_\w+(?::\w+)?", expr))
        assert used, expr
        for name in used:
            assert name in recorded or name in METRICS, name
        for name in set(re.findall(r"(driftmon_\w+){", expr)) & set(METRICS):
            for label in re.findall(rf"{name}{{(\w+)", expr):
                assert label in METRICS[name].labels, (name, label)


CONFIG = """
version: 1
streams:
  a.b:
    reference: {type: warmup, observations: 20000}
    features: {x: {type: numeric}}
  c: {reference: {type: warmup, observations: 20000}, features: {x: {type: numeric}}, windows: [{name: w, length: 2h}]}
"""
OWN = """
rules:
  - {name: Near, metric: kl_divergence_debiased, streams: "a*", window: fast, above: 0.3, for: 90s, min_observations: 7,
     labels: {severity: info, team: x}, annotations: {runbook_url: "https://wiki.example/near"}}
  - {name: Shape, metric: ks_distance, above: 0.2}
"""


def written(folder: Path, more: str = "") -> Path:
    path = folder / "driftmon.yaml"
    path.write_text(CONFIG + more)
    return path


def test_the_default_rules_make_the_static_pack(tmp_path: Path) -> None:
    plan = plan_of(load(written(tmp_path, "metrics: {set: full, bins: window}\n"), {}))
    first, second = plan.budgets
    assert (first.streams, first.panes, second.streams, second.panes) == (r"a\.b", 43_200, "c", 21_600)
    assert replace(plan, budgets=Plan().budgets) == Plan()


def test_rules_follow_the_configuration(tmp_path: Path) -> None:
    printed = CliRunner().invoke(command, ["rules", "--config.file", str(written(tmp_path, OWN))])
    assert printed.exit_code == 0, printed.output
    groups = {group["name"]: group["rules"] for group in yaml.safe_load(printed.stdout)["groups"]}
    assert set(groups) == {"driftmon-fleet", "driftmon-drift", "driftmon-health"}, "no bins, so nothing to merge"
    near, shape = groups["driftmon-drift"]
    assert (near["alert"], near["for"], near["labels"]) == ("Near", "1m30s", {"severity": "info", "team": "x"})
    assert '{stream=~"a.*", window=~"fast"} > 0.3' in near["expr"]
    assert near["annotations"]["runbook_url"] == "https://wiki.example/near"
    assert 'driftmon_alert_state{rule="Shape"} == 2' in shape["expr"]
    (tmp_path / "rules.yml").write_text(printed.stdout)
    assert run(require("promtool"), "check", "rules", tmp_path / "rules.yml").returncode == 0


def test_budgets_of_streams_with_other_panes_are_their_own(tmp_path: Path) -> None:
    printed = CliRunner().invoke(command, ["rules", "--config.file", str(written(tmp_path))])
    assert '10 ^ driftmon_evidence_log10{stream=~"a\\\\.b"} / 43200\n' in printed.stdout
    assert '10 ^ driftmon_evidence_log10{stream=~"c"} / 21600\n' in printed.stdout
    (tmp_path / "rules.yml").write_text(printed.stdout)
    assert run(require("promtool"), "check", "rules", tmp_path / "rules.yml").returncode == 0


def test_without_a_configuration_it_says_where_the_static_pack_is() -> None:
    refused = CliRunner().invoke(command, ["rules"])
    assert refused.exit_code == 2
    assert "deploy/rules/" in refused.output


def test_the_alertmanager_example_is_valid_and_a_mistake_is_found(tmp_path: Path) -> None:
    example = ROOT / "deploy" / "alertmanager.yml"
    assert run(require("amtool"), "check-config", example).returncode == 0
    seeded = tmp_path / "alertmanager.yml"
    seeded.write_text(example.read_text().replace("receiver: team", "receiver: teem"))
    assert run(require("amtool"), "check-config", seeded).returncode != 0


@pytest.mark.parametrize(("severity", "receiver"), [("warning", "team"), ("info", "nobody")])
def test_alerts_go_to_their_receiver(severity: str, receiver: str) -> None:
    config = f"--config.file={ROOT / 'deploy' / 'alertmanager.yml'}"
    labels = ["alertname=DriftmonStreamDrift", f"severity={severity}"]
    routed = run(require("amtool"), "config", "routes", "test", config, *labels)
    assert routed.stdout.strip() == receiver
