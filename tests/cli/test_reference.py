"""reference build, show, diff: the same records give the same bytes, however they come."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from driftmon.library import load
from tests.cli.payments import Run, payments, write_csv, write_ndjson


def test_files_stdin_gzip_and_processes_count_alike(tmp_path: Path, config: Path, run: Run) -> None:
    data = write_ndjson(tmp_path / "a.ndjson", payments(6000))
    packed = tmp_path / "b.ndjson.gz"
    packed.write_bytes(gzip.compress(data.read_bytes()))
    table = write_csv(tmp_path / "c.csv", payments(6000))
    ways: dict[str, list[object]] = {
        "plain": [data],
        "gzip": [packed],
        "csv": [table],
        "jobs": [data, "--jobs", "2"],
        "stdin": ["-"],
    }
    built = {}
    for way, arguments in ways.items():
        target = tmp_path / f"{way}.json"
        done = run("reference", "build", *arguments, "--config.file", config, "-o", target, input=data.read_bytes())
        assert (done.exit_code, done.stdout) == (0, ""), done.stderr
        built[way] = load(target)
    assert built["plain"].counts.sum() == 3 * 6000
    for way, snapshot in built.items():
        assert (way, snapshot.schema, snapshot.counts.tolist()) == (
            way,
            built["plain"].schema,
            built["plain"].counts.tolist(),
        )


def test_the_same_inputs_give_the_same_bytes_and_times_from_the_data(tmp_path: Path, config: Path, run: Run) -> None:
    data = write_ndjson(tmp_path / "a.ndjson", payments(2000))
    for name in ("one", "two"):
        run("reference", "build", data, "--config.file", config, "-o", tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert dict(load(tmp_path / "one").provenance) == {
        "stream": "pay",
        "sources": ["a.ndjson"],
        "records": 2000,
        "from_ms": 1_709_294_400_000,  # 2024-03-01T12:00Z
        "to_ms": 1_711_627_200_000,
    }


def test_a_byte_order_mark_costs_no_record(tmp_path: Path, config: Path, run: Run) -> None:
    data = write_ndjson(tmp_path / "a.ndjson", payments(100))
    data.write_bytes(b"\xef\xbb\xbf" + data.read_bytes())
    done = run("reference", "build", data, "--config.file", config, "-o", tmp_path / "r.json")
    assert "rejected" not in done.stderr
    assert load(tmp_path / "r.json").provenance["records"] == 100


def test_two_files_are_one_reference(tmp_path: Path, config: Path, run: Run) -> None:
    records = payments(2000)
    parts = [write_ndjson(tmp_path / "a.ndjson", records[:700]), write_ndjson(tmp_path / "b.ndjson", records[700:])]
    whole = write_ndjson(tmp_path / "c.ndjson", records)
    run("reference", "build", *parts, "--config.file", config, "-o", tmp_path / "parts")
    run("reference", "build", whole, "--config.file", config, "-o", tmp_path / "whole")
    one, other = load(tmp_path / "parts"), load(tmp_path / "whole")
    assert (one.schema, one.counts.tolist()) == (other.schema, other.counts.tolist())


def test_bad_records_are_counted_and_named(tmp_path: Path, config: Path, run: Run) -> None:
    data = write_ndjson(tmp_path / "a.ndjson", payments(4000))
    data.write_text(data.read_text() + "oops\n" + '{"amount": 1, "paid_at": "yesterday"}\n')
    done = run("reference", "build", data, "--config.file", config, "-o", tmp_path / "r.json")
    assert done.exit_code == 0
    assert "rejected 2 records: 1 bad_time, 1 malformed" in done.stderr
    assert "a.ndjson:4001  malformed" in done.stderr
    assert load(tmp_path / "r.json").provenance["records"] == 4000


FAULTS = {
    "no configuration": (["a.ndjson"], "--config.file is missing"),
    "unknown stream": (
        ["a.ndjson", "--config.file", "driftmon.yaml", "--stream", "x"],
        "has no stream x; there are pay",
    ),
    "no such file": (["b.ndjson", "--config.file", "driftmon.yaml"], "b.ndjson: there is no such file"),
    "stdin twice": (["-", "-", "--config.file", "driftmon.yaml"], "stdin can be read once only"),
    "nothing usable": (["empty.ndjson", "--config.file", "driftmon.yaml"], "no usable record"),
}


@pytest.mark.parametrize(("arguments", "fault"), FAULTS.values(), ids=FAULTS)
def test_what_the_caller_can_mend_exits_2(
    arguments: list[str], fault: str, tmp_path: Path, config: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_ndjson(tmp_path / "a.ndjson", payments(10))
    (tmp_path / "empty.ndjson").touch()
    done = run("reference", "build", *arguments, "-o", "r.json")
    assert (done.exit_code, done.stdout) == (2, "")
    assert fault in done.stderr
    assert not (tmp_path / "r.json").exists()


def test_several_streams_must_be_told_apart(tmp_path: Path, config: Path, run: Run) -> None:
    more = "\n  other:\n    reference: {type: warmup}\n    features: {x: {type: numeric}}\n"
    config.write_text(config.read_text().rstrip() + more)
    data = write_ndjson(tmp_path / "a.ndjson", payments(10))
    done = run("reference", "build", data, "--config.file", config, "-o", tmp_path / "r.json")
    assert (done.exit_code, "say which with --stream" in done.stderr) == (2, True)


def test_show_tells_bins_counts_and_entropy(reference: Path, run: Run) -> None:
    described = json.loads(run("reference", "show", reference, "--json").stdout)
    country = described["features"]["country"]
    assert [entry["label"] for entry in country["bins"]][-3:] == ["unseen", "invalid", "missing"]
    assert sum(entry["count"] for entry in country["bins"]) == country["observations"] == 4000
    assert 0 < country["entropy_nats"] < 1.95  # ln 7 bins
    text = run("reference", "show", reference).stdout
    assert "country: categorical, 4000 observations, entropy" in text


def test_show_advises_more_data(tmp_path: Path, config: Path, run: Run) -> None:
    data = write_ndjson(tmp_path / "a.ndjson", payments(50))
    run("reference", "build", data, "--config.file", config, "-o", tmp_path / "few.json")
    assert "few: " in run("reference", "show", tmp_path / "few.json").stdout


def test_diff_tells_what_moved(tmp_path: Path, config: Path, reference: Path, run: Run) -> None:
    assert run("reference", "diff", reference, reference).stdout == "equal: the same bins and the same counts\n"
    config.write_text(
        config.read_text().replace("country: {type: categorical}", "country: {type: categorical, categories: [DE, CH]}")
    )
    data = write_ndjson(tmp_path / "b.ndjson", payments(4000, seed=2))
    run("reference", "build", data, "--config.file", config, "-o", tmp_path / "b.json")
    told = run("reference", "diff", reference, tmp_path / "b.json").stdout
    assert "country: categories: 3 gone (FR, US, JP), 1 new (CH)" in told
    assert "new_customer: 4000 -> 4000 observations, KL(B||A) 0.0" in told


def test_a_file_that_is_no_snapshot(tmp_path: Path, run: Run) -> None:
    (tmp_path / "x.json").write_text("[]")
    done = run("reference", "show", tmp_path / "x.json")
    assert (done.exit_code, "not a snapshot" in done.stderr, "x.json" in done.stderr) == (2, True, True)
