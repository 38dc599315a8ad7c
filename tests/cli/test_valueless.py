"""A column that no record has is counted as missing, and said so: a newcomer had misspelt a header and saw "ok"."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftmon.cli.support.inputs import opened
from driftmon.cli.support.valueless import lines
from driftmon.monitor.references import reference_of
from tests.cli.payments import Record, Run, payments, write_csv, write_ndjson

OFTEN = "feature 'amount' (field 'amount')"


def renamed(count: int, field: str, new: str) -> list[Record]:
    return [{new if key == field else key: value for key, value in row.items()} for row in payments(count, seed=2)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_check_names_the_column_and_the_nearest_there_is(tmp_path: Path, reference: Path, run: Run, jobs: int) -> None:
    path = write_csv(tmp_path / "live.csv", renamed(2000, "amount", "amout"))
    done = run("check", reference, path, "--jobs", jobs)
    told = f"warning: live.csv: no record has a value for {OFTEN}; did you mean amout?\n"
    assert (done.exit_code, done.stderr) == (1, told)


def test_a_column_that_is_there_but_empty_is_told_apart(tmp_path: Path, reference: Path, run: Run) -> None:
    records: list[Record] = [{**record, "amount": None} for record in payments(2000, seed=2)]
    done = run("check", reference, write_ndjson(tmp_path / "live.ndjson", records))
    assert done.stderr == f"warning: live.ndjson: no record has a value for {OFTEN}; it is never given\n"


def test_a_reference_without_a_column_is_no_secret(tmp_path: Path, run: Run) -> None:
    config = tmp_path / "driftmon.yaml"
    config.write_text(
        "version: 1\nstreams: {s: {reference: {type: file, path: p.json}, "
        "features: {amount: {type: numeric}, country: {type: categorical}}}}\n"
    )
    path = write_ndjson(tmp_path / "a.ndjson", renamed(500, "amount", "amout"))
    done = run("reference", "build", path, "--config.file", config, "-o", tmp_path / "p.json")
    assert done.exit_code == 0
    assert f"no record has a value for {OFTEN}; did you mean amout?" in done.stderr
    done = run("check", tmp_path / "p.json", write_ndjson(tmp_path / "b.ndjson", payments(500, seed=2)))
    assert done.stderr == ""


def test_nothing_at_all_is_told_too(tmp_path: Path, reference: Path, run: Run) -> None:
    (tmp_path / "live.csv").touch()
    done = run("check", reference, tmp_path / "live.csv")
    told = "warning: live.csv: no usable record has a value for any feature\n"
    assert (done.exit_code, done.stderr) == (3, told)


def test_of_many_the_first_are_told_by_name(tmp_path: Path) -> None:
    snapshot = reference_of({f"f{number}": [1.0, 2.0] for number in range(14)})
    counts = snapshot.counts.copy()
    counts[: snapshot.schema.starts[13]] = 0
    write_ndjson(tmp_path / "a.ndjson", [{"f13": 1.0}])
    with opened([str(tmp_path / "a.ndjson")]) as sources:
        told = list(lines(snapshot.schema, counts, sources))
    assert told[0] == "a.ndjson: no record has a value for feature 'f0' (field 'f0'); there is f13"
    assert told[5:] == ["a.ndjson: so it is with 8 more: f5, f6, f7, f8, f9 ..."]
