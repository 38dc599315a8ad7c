"""check: 1 drift, 3 too little data, 0 neither, 2 a mistake; the same bytes for the same data."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.cli.payments import Record, Run, payments, write_csv, write_ndjson


def like(count: int, **changed: object) -> list[Record]:
    """Payments as ever, but for some fields."""
    return [{**record, **changed} for record in payments(count, seed=2)]


def dropped(count: int, field: str) -> list[Record]:
    return [{key: value for key, value in record.items() if key != field} for record in payments(count, seed=2)]


CASES: dict[str, tuple[list[Record], int, dict[str, str]]] = {
    "as ever": (payments(2000, seed=2), 0, {"amount": "ok", "country": "ok", "new_customer": "ok"}),
    "amounts grew": (payments(2000, seed=2, shift=0.7), 1, {"amount": "drift", "country": "ok"}),
    "too few": (payments(20, seed=2), 3, {"amount": "insufficient_data"}),
    "a new category": (like(2000, country="XX"), 1, {"country": "drift", "amount": "ok"}),
    "text in a number": (like(2000, amount="12,50"), 1, {"amount": "drift"}),
    "a NaN column": (like(2000, amount=math.nan), 1, {"amount": "drift"}),
    "a vanished column": (dropped(2000, "country"), 1, {"country": "drift", "amount": "ok"}),
    "1e300": (like(2000, amount=1e300), 1, {"amount": "drift", "country": "ok"}),
    "infinity": (like(2000, amount=-math.inf), 1, {"amount": "drift"}),
    "all missing": (like(2000, amount=None, country=None, new_customer=None), 1, {"new_customer": "drift"}),
}


@pytest.mark.parametrize(("records", "code", "statuses"), CASES.values(), ids=CASES)
def test_the_exit_code_is_the_verdict(
    records: list[Record], code: int, statuses: dict[str, str], tmp_path: Path, reference: Path, run: Run
) -> None:
    done = run("check", reference, write_ndjson(tmp_path / "live.ndjson", records), "--json")
    features = json.loads(done.stdout)["streams"]["data"]["features"]
    assert {name: features[name]["status"] for name in statuses} == statuses
    assert done.exit_code == code
    assert all(line.startswith("warning: live.ndjson: no record has a value") for line in done.stderr.splitlines())
    assert "Infinity" not in done.stdout


def test_an_empty_file_is_too_little_data(tmp_path: Path, reference: Path, run: Run) -> None:
    (tmp_path / "live.ndjson").touch()
    done = run("check", reference, tmp_path / "live.ndjson")
    assert (done.exit_code, "insufficient_data" in done.stdout) == (3, True)


def test_a_table_says_what_it_shows_and_json_keeps_its_names(tmp_path: Path, reference: Path, run: Run) -> None:
    live = write_ndjson(tmp_path / "live.ndjson", payments(1000, seed=3))
    shown = run("check", reference, live).stdout
    assert shown.count("KL, debiased") == 2
    windows = json.loads(run("check", reference, live, "--json").stdout)["streams"]["data"]["features"]["amount"][
        "windows"
    ]
    value = windows["all"]["kl_divergence_debiased_nats"]
    assert f"  {value:.4f}  " in next(line for line in shown.splitlines() if "  amount  " in line)


def test_formats_and_repeats_give_the_same_bytes(tmp_path: Path, reference: Path, run: Run) -> None:
    records = payments(1000, seed=3)
    ndjson, table = write_ndjson(tmp_path / "a.ndjson", records), write_csv(tmp_path / "b.csv", records)
    told = {run("check", reference, path, "--json").stdout for path in (ndjson, table, ndjson)}
    told.add(run("check", reference, "-", "--json", input=ndjson.read_bytes()).stdout)
    assert len(told) == 1


def test_a_second_snapshot_is_compared_by_its_counts(tmp_path: Path, config: Path, reference: Path, run: Run) -> None:
    assert run("check", reference, reference).exit_code == 0
    live = write_ndjson(tmp_path / "b.ndjson", payments(2000, seed=2, shift=0.7))
    run("reference", "build", live, "--config.file", config, "-o", tmp_path / "other.json")
    refused = run("check", reference, tmp_path / "other.json")
    assert (refused.exit_code, "amount" in refused.stderr) == (2, True)  # its bins lie elsewhere


def test_rules_and_stream_come_from_the_configuration(tmp_path: Path, config: Path, reference: Path, run: Run) -> None:
    live = write_ndjson(tmp_path / "live.ndjson", payments(2000, seed=2, shift=0.7))
    config.write_text(config.read_text() + "rules:\n  - {name: Never, metric: psi, above: 99}\n")
    done = run("check", reference, live, "--config.file", config, "--json")
    assert (done.exit_code, list(json.loads(done.stdout)["streams"])) == (0, ["pay"])


def test_mistakes_exit_2(tmp_path: Path, reference: Path, run: Run) -> None:
    live = write_ndjson(tmp_path / "live.ndjson", payments(10))
    assert run("check", tmp_path / "none.json", live).exit_code == 2
    assert run("check", live, live).exit_code == 2
    assert run("check", reference, tmp_path / "none.ndjson").exit_code == 2
    assert "give --config.file too" in run("check", reference, live, "--stream", "pay").stderr
    assert run("check").exit_code == 2
