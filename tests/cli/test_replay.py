"""replay: every alert of recorded data with its start, end, evidence and cause; the same bytes however it is read."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftmon.cli.support.replay_proposal import best, snippet
from driftmon.cli.support.replay_trials import Candidate, Cell, candidates
from driftmon.daemon.config import load
from driftmon.monitor.rules import Calibrated, Rule
from tests.cli import visits
from tests.cli.payments import Run

DRIFT_MS = visits.MARCH_MS + visits.DRIFT_HOURS[0] * visits.HOUR_MS
SHIFT = "c:a>b@2013-03-02T06:00..2013-03-02T18:00"
RECORDS = visits.HOURS * 90


@pytest.fixture
def place(tmp_path: Path, recorded: Path) -> Path:
    """A copy of `recorded`."""
    return shutil.copytree(recorded, tmp_path, dirs_exist_ok=True)


def replay(run: Run, place: Path, *flags: object, data: str = "live.ndjson") -> Any:
    return run("replay", place / data, "--config.file", place / "driftmon.yaml", *flags)


def test_every_alert_is_a_line_with_start_end_evidence_and_cause(place: Path, run: Run) -> None:
    done = replay(run, place)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert all(re.match(r"2013-03-02 \d\d:\d\d to 2013-03-0[23] \d\d:\d\d \(", line) for line in lines), lines
    far, sure = (next(line for line in lines if f"  {rule}  x (w)" in line) for rule in ("Far", "Sure"))
    assert "threshold 0.1; noise stays below" in far
    assert re.search(r"effect 0.1; at least 0\.\d+ with 99 % confidence; .* at most once in ", sure)
    assert "drifting since 2013-03-02 0" in sure
    assert all(len(re.findall(r"x=\[\S+ \S+\) \d\S* % -> \d\S* %|x=\S+ \d\S* % -> \d\S* %", line)) for line in lines)


def test_json_has_one_object_a_line_and_a_summary_last(place: Path, run: Run) -> None:
    *changes, summary = map(json.loads, replay(run, place, "--json").stdout.splitlines())
    assert {change["event"] for change in changes} == {"pending", "firing", "resolved"}
    fired = next(one for one in changes if (one["rule"], one["event"]) == ("Sure", "firing"))
    assert (fired["features"], "feature" in fired, fired["window"]) == (["x"], False, "w")
    assert 0 <= fired["since_ms"] - DRIFT_MS < visits.HOUR_MS  # by the evidence, not when it was noticed
    assert fired["since_ms"] < fired["time_ms"]
    assert fired["evidence_log10"] > 3
    far = [one for one in changes if one["rule"] == "Far"]
    assert {one["feature"] for one in far} == {"x"}
    assert (summary["event"], summary["records"], summary["rejected"]) == ("summary", RECORDS, 0)
    assert (summary["from_ms"], summary["to_ms"]) == (
        visits.MARCH_MS,
        visits.MARCH_MS + visits.HOURS * 3_600_000 - 40_000,
    )
    assert summary["alerts_per_day"] == {"Far": pytest.approx(0.4, 0.01), "Sure": pytest.approx(0.4, 0.01)}


def test_a_late_stray_does_not_stretch_the_days(place: Path, run: Run) -> None:
    """One record of 1970 among them: alerts a day, and the time in which a shift can be put, stay what they were."""
    lines = (place / "live.ndjson").read_text().splitlines()
    (place / "stray.ndjson").write_text("\n".join([*lines[:500], '{"t": 5, "x": 1, "c": "a"}', *lines[500:]]) + "\n")
    clean, stray = (
        json.loads(replay(run, place, "--json", data=data).stdout.splitlines()[-1])
        for data in ("live.ndjson", "stray.ndjson")
    )
    assert stray == {**clean, "records": clean["records"] + 1, "late": 1}
    done = replay(run, place, "--inject", "x:+1sd@2012-01-01..2012-01-02", data="stray.ndjson")
    assert done.exit_code == 2
    assert "there are no records then: the input goes from 2013-03-01" in done.stderr.replace(";", ":")


def test_however_it_is_read_the_bytes_are_the_same(place: Path, run: Run) -> None:
    visits.write(place / "short.ndjson", 12, (3, 9))
    flags = ("--json", "--inject", "c:a>b@2013-03-01T04:00")
    told = {
        replay(run, place, *flags, data="short.ndjson").stdout,
        replay(run, place, *flags, "--jobs", "2", data="short.ndjson").stdout,
        replay(run, place, *flags, "--report", place / "a.html", data="short.ndjson").stdout,
        replay(run, place, *flags, "--report", place / "b.html", data="short.ndjson").stdout,
    }
    assert len(told) == 1
    assert told.pop().count("firing") > 1
    assert (place / "a.html").read_bytes() == (place / "b.html").read_bytes()


def test_stdin_and_several_files_are_one_history(place: Path, run: Run) -> None:
    lines = (place / "live.ndjson").read_text().splitlines(keepends=True)
    (place / "one.ndjson").write_text("".join(lines[:3000]))
    (place / "two.ndjson").write_text("".join(lines[3000:]))
    whole = replay(run, place, "--json").stdout
    flags = ("--config.file", place / "driftmon.yaml", "--json")
    assert run("replay", place / "one.ndjson", place / "two.ndjson", *flags).stdout == whole
    assert run("replay", "-", *flags, input="".join(lines).encode()).stdout == whole


def test_an_injected_shift_is_caught_and_told(place: Path, run: Run) -> None:
    flags = ("--inject", SHIFT, "--inject", "ok:missing 1%@2013-03-03")
    told = replay(run, place, *flags).stdout.splitlines()
    assert re.match(r"injected c:a>b@\S+: caught after \d+h?.* by (Far|Sure)", told[-2])
    assert told[-1] == "injected ok:missing 1%@2013-03-03: not caught"
    *_, summary = map(json.loads, replay(run, place, *flags, "--json").stdout.splitlines())
    assert [one["feature"] for one in summary["injections"]] == ["c", "ok"]
    assert 0 < summary["injections"][0]["delay_ms"] < 12 * visits.HOUR_MS


def test_records_out_of_order_are_counted_as_late_and_told(place: Path, run: Run) -> None:
    lines = (place / "live.ndjson").read_text().splitlines(keepends=True)
    random.Random(5).shuffle(lines)
    (place / "shuffled.ndjson").write_text("".join(lines))
    done = replay(run, place, "--json", data="shuffled.ndjson")
    assert "came after their pane had closed and were left out" in done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert 0 < summary["late"] < summary["records"] == RECORDS


def test_a_reference_that_is_warmed_up_needs_no_file(place: Path, run: Run) -> None:
    text = visits.CONFIG.replace("{type: file, path: visits.reference.json}", "{type: warmup, observations: 2000}")
    (place / "driftmon.yaml").write_text(text)
    plain = replay(run, place, "--json")
    assert plain.exit_code == 0, plain.stderr
    drawn = replay(run, place, "--json", "--report", place / "page.html")
    assert drawn.stdout == plain.stdout
    assert any(json.loads(line).get("feature") == "x" for line in plain.stdout.splitlines())


MISTAKES: Mapping[str, tuple[Callable[[str], str], str]] = {
    "no time": (lambda text: text.replace("    time: {field: t, unit: ms}\n", ""), "add for example `time: {field:"),
    "wrong unit": (lambda text: text.replace("unit: ms", "unit: iso8601"), "no record was counted"),
    "no reference": (lambda text: text.replace("visits.reference", "none"), "driftmon reference build"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_in_the_configuration_exit_2_with_their_cure(name: str, place: Path, run: Run) -> None:
    change, said = MISTAKES[name]
    (place / "driftmon.yaml").write_text(change(visits.CONFIG))
    done = replay(run, place)
    assert (done.exit_code, said in done.stderr, done.stdout) == (2, True, "")


def test_mistakes_on_the_command_line_exit_2(place: Path, run: Run) -> None:
    assert "--config.file is missing" in run("replay", place / "live.ndjson").stderr
    assert "no stream other" in replay(run, place, "--stream", "other").stderr
    wrong = replay(run, place, "--inject", "y:+1@2013-03-01")
    assert (wrong.exit_code, "no feature 'y'" in wrong.stderr) == (2, True)
    useless = replay(run, place, "--inject", "x:+1@2014-03-01")
    assert (useless.exit_code, "there are no records then" in useless.stderr) == (2, True)


def test_the_page_needs_nothing_else_and_proposes_a_rule_that_loads(place: Path, run: Run) -> None:
    visits.write(place / "short.ndjson", 30, (12, 18))
    assert replay(run, place, "--report", place / "page.html", data="short.ndjson").exit_code == 0
    page = (place / "page.html").read_text()
    assert not re.search(r"<script|src=|https?://|url\(|@import", page)
    for said in ("At a glance", "mean + 0.5 sd", "5 % missing", "alerts a day", "Sure", "P and Q at the worst moment"):
        assert said in page
    found = re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)
    assert found is not None
    tree = yaml.safe_load(visits.CONFIG) | yaml.safe_load(found[1].replace("&quot;", '"'))
    (place / "proposed.yaml").write_text(yaml.safe_dump(tree))
    assert len(load(place / "proposed.yaml", {}).rules) == 1


RULES = [
    Rule("Mine", "kl_divergence_debiased", above=0.07, resolve_below=0.035, pending_for_ms=90_000, min_observations=7),
    Rule("Theirs", "kl_divergence_debiased", above=0.03, calibrated=Calibrated(0.03, 7 * 86_400_000, 2_400_000)),
]


@pytest.mark.parametrize("candidate", candidates(RULES), ids=lambda one: str(one.label))
def test_what_the_snippet_says_is_the_rule_that_was_tried(candidate: Candidate, place: Path) -> None:
    tree = yaml.safe_load(visits.CONFIG) | yaml.safe_load(snippet(candidate.rule))
    (place / "tried.yaml").write_text(yaml.safe_dump(tree))
    (rule,) = load(place / "tried.yaml", {}).rules
    shown = ("metric", "above", "resolve_below", "pending_for_ms", "calibrated", "window", "per")
    assert [getattr(rule, name) for name in shown] == [getattr(candidate.rule, name) for name in shown]
    if candidate.rule.calibrated is None:
        assert rule.min_observations == candidate.rule.min_observations


def test_configured_thresholds_and_effects_are_among_those_tried() -> None:
    assert [one.label for one in candidates(RULES) if one.configured] == ["above 0.07", "effect 0.03"]
    assert {one.rule.calibrated.budget_ms for one in candidates(RULES) if one.rule.calibrated} == {7 * 86_400_000}


def test_the_proposal_is_the_fastest_that_stays_within_the_budget() -> None:
    tried = candidates([])[:3]
    cells = {"shift": [Cell(10.0, 9, 9), Cell(20.0, 9, 9), Cell(15.0, 1, 9)]}
    noisy_first = {one.label: per_day for one, per_day in zip(tried, (1.0, 0.01, 0.01), strict=True)}
    assert best(tried, noisy_first, cells, 1000, 30 * 86_400_000)[0] == 1  # a miss counts as a long wait
    assert best(tried, dict.fromkeys(noisy_first, 0.01), cells, 1000, 30 * 86_400_000)[0] == 0
    at, why = best(tried, {**dict.fromkeys(noisy_first, 1.0), tried[2].label: 0.5}, cells, 1000, 30 * 86_400_000)
    assert (at, "this data drifts" in why) == (2, True)
