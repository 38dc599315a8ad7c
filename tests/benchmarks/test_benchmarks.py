"""The benchmarks still run, and everybody still computes the same: tiny data, one round, no clock is judged.

Law: contenders of this environment work in this process, those of `make bench-peers` are skipped where they are not
installed. The tools that need seconds to import are left to `make bench`, which makes the same comparison.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from driftmon.formats.lines import records_by_line
from tests.benchmarks import checks, readme
from tests.benchmarks.engine import SCRIPTS, Contender, Contest, SkippedError, Worker, compare
from tests.benchmarks.groups import hand, limits, render
from tests.benchmarks.rows import Row, kept
from tests.benchmarks.sampled import Sampler
from tests.benchmarks.sizes import SHORT
from tests.benchmarks.worker import round_of, task_of

GROUPS = {"limits": limits, "hand": hand, "render": render}


@cache
def contests() -> list[Contest]:
    return [contest for group in GROUPS.values() for contest in group.contests(SHORT)]


@cache
def here(number: int) -> Any:
    """Ours, in this process."""
    return answer_of(contests()[number].ours, contests()[number].data)


def answer_of(contender: Contender, data: Path) -> Any:
    load, work, answer = task_of(str(SCRIPTS / f"{contender.script}.py"), contender.task)
    return round_of(work, answer, load(data, **contender.arguments))["answer"]


@pytest.mark.parametrize("number", range(len(contests())), ids=lambda number: contests()[number].work)
def test_everybody_here_computes_the_same(number: int) -> None:
    contest = contests()[number]
    others = [other for other, _ in contest.others if not other.environment]
    contest.check({"ours": here(number), **{each.name: answer_of(each, contest.data) for each in others}})


def elsewhere() -> Iterator[Any]:
    for number, contest in enumerate(contests()):
        for other, _ in contest.others:
            if other.environment:
                yield pytest.param(number, other, id=f"{contest.work}, {other.name}")


@pytest.mark.parametrize(("number", "other"), list(elsewhere()))
def test_those_of_an_environment_of_their_own_do_too(number: int, other: Contender, tmp_path: Path) -> None:
    contest = contests()[number]
    try:
        worker = Worker(other, contest.data, tmp_path / "log")
    except SkippedError as why:
        pytest.skip(str(why))
    try:
        worker.told()
        contest.check({"ours": here(number), other.name: worker.ask()["answer"]})
    finally:
        worker.close()


def small(*others: Contender) -> Contest:
    lines = Contender("lines", "contenders/msgspec_alone", "lines", arguments={"block_bytes": 50_000})
    return Contest(
        "work", lines, [(other, 5.0) for other in others], contests()[0].data, "ns an event", checks.same, 2, 0
    )


def test_a_ratio_is_the_median_of_the_rounds_of_two_processes() -> None:
    (row,) = compare(small(replace(small().ours, name="the same")), "g")
    assert row.rounds == 2
    assert row.ours
    assert row.least
    assert row.ratio
    assert row.least <= row.ratio <= (row.most or 0)


def test_who_does_not_take_part_is_in_the_table_with_the_reason() -> None:
    absent = replace(small().ours, name="absent", environment="no such environment")
    broken = replace(small().ours, name="broken", arguments={"block_bytes": "many"})
    first, second = compare(small(absent, broken), "g")
    assert first.markdown() == "| work | absent | | | not installed: make bench-peers | 5 |"
    assert second.note.startswith("failed: TypeError")


WRONG: Mapping[str, tuple[Any, Any]] = {
    "same": (checks.same, {"a": {"counts": [1, 2]}, "b": {"counts": [2, 1]}}),
    "inside": (checks.same_inside, {"a": {"counts": [5, 9, 1, 5]}, "b": {"counts": [6, 7]}}),
    "agreeing": (
        checks.Agreeing({"b": (checks.kl_pq, 1e-3)}),
        {"a": {"c0": {"reference": [500, 500], "live": [750, 250], "kl_qp": 0.13}}, "b": {"c0": 0.144}},
    ),
    "reported": (checks.everything_reported, {"a": {"x": 0.1}, "b": {"x": float("nan")}}),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_contender_that_computes_something_else_is_found(name: str) -> None:
    check, answers = WRONG[name]
    with pytest.raises(AssertionError):
        check(answers)


def test_counts_and_divergences_are_held_against_the_raw_data() -> None:
    number, contest = next(pair for pair in enumerate(contests()) if isinstance(pair[1].check, checks.Recounted))
    answer = here(number)
    contest.check({"ours": answer})
    for key in ("live", "kl_qp"):
        told = answer["n0"][key]
        wrong = [told[0] + 1, *told[1:]] if isinstance(told, list) else told + 1e-6
        with pytest.raises(AssertionError):
            contest.check({"ours": {**answer, "n0": {**answer["n0"], key: wrong}}})


def test_a_group_that_runs_again_replaces_its_own_rows_only(tmp_path: Path) -> None:
    kept(tmp_path / "r.json", {"hand": [1], "peers": [2]})
    assert kept(tmp_path / "r.json", {"hand": [3]}) == {"hand": [3], "peers": [2]}


def test_readme_and_pictures_are_those_of_the_results() -> None:
    results = json.loads(readme.RESULTS.read_text())
    text = (readme.ROOT / "README.md").read_text()
    assert readme.filled(text, results) == text
    for path, picture in readme.pictures(results).items():
        assert path.read_text() == picture
        assert f"deploy/pictures/{path.name}" in text


def test_a_curve_without_a_figure_leaves_the_point_out() -> None:
    rows = [
        Row("growth", "w", "", "us", ours=ours, place=f"features/{x}/event_us") for x, ours in ((1, 2.0), (2, None))
    ]
    assert readme.panels(rows)["features"][0].points == [(1.0, 2.0)]


def test_time_is_laid_to_the_function_that_takes_it() -> None:
    sampler = Sampler()
    sampler.start()
    piece, until_s = b'{"a":1}\n' * 10_000, time.process_time() + 0.3
    while time.process_time() < until_s:
        records_by_line(piece)
    shares = sampler.shares.copy()
    assert max(shares, key=lambda name: shares[name]) == "formats/lines.records_by_line"
    sampler.over.set()
    sampler.join()
