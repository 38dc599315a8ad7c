"""Parquet counts as the same records in NDJSON do: types, nested fields, times, missing columns."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from driftmon.library import load
from tests.cli.payments import Record, Run, payments, write_ndjson

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def moments(records: list[Record]) -> list[datetime]:
    return [datetime.fromisoformat(str(record["paid_at"])) for record in records]


TIMES: dict[str, Any] = {
    "text": lambda records: pyarrow.array([record["paid_at"] for record in records]),
    "timestamps in UTC": lambda records: pyarrow.array(moments(records), pyarrow.timestamp("us", tz="UTC")),
    "timestamps elsewhere": lambda records: pyarrow.array(moments(records), pyarrow.timestamp("ms", tz="Asia/Tokyo")),
    "timestamps without a zone": lambda records: pyarrow.array(
        [moment.astimezone(UTC).replace(tzinfo=None) for moment in moments(records)], pyarrow.timestamp("ns")
    ),
}


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
def test_a_table_counts_as_its_records(times: Any, tmp_path: Path, config: Path, reference: Path, run: Run) -> None:
    records = payments(4000)
    columns = {name: [record[name] for record in records] for name in ("amount", "country", "new_customer")}
    parquet.write_table(
        pyarrow.table({**columns, "paid_at": times(records)}), tmp_path / "a.parquet", row_group_size=700
    )
    done = run("reference", "build", tmp_path / "a.parquet", "--config.file", config, "-o", tmp_path / "r.json")
    assert done.exit_code == 0, done.stderr
    built, known = load(tmp_path / "r.json"), load(reference)
    assert (built.schema, built.counts.tolist()) == (known.schema, known.counts.tolist())
    assert {**built.provenance, "sources": []} == {**known.provenance, "sources": []}


def test_rows_without_a_time_are_rejected_and_the_others_counted(tmp_path: Path, config: Path, run: Run) -> None:
    table = pyarrow.table(
        {"amount": [1.0, 2.0, 3.0], "country": ["DE", None, "FR"], "paid_at": [None, "2024-03-01", None]}
    )
    parquet.write_table(table, tmp_path / "a.parquet")
    done = run("reference", "build", tmp_path / "a.parquet", "--config.file", config, "-o", tmp_path / "r.json")
    assert "rejected 2 records: 2 bad_time" in done.stderr
    built = load(tmp_path / "r.json")
    assert built.provenance["records"] == 1
    assert built.counts[built.schema.special_bins("missing")].tolist() == [0, 1, 1]


def test_nested_fields_and_values_of_another_type(tmp_path: Path, config: Path, run: Run) -> None:
    records: list[Record] = [{"meta": {"coupon": "A", "n": n}, "text": "x", "flag": n % 3} for n in range(9)]
    config.write_text(
        "version: 1\nstreams:\n  s:\n    reference: {type: warmup}\n    features:\n"
        "      coupon: {type: categorical, field: meta.coupon}\n      n: {type: numeric, field: meta.n}\n"
        "      text: {type: numeric}\n      flag: {type: boolean}\n      none: {type: numeric, field: meta.none}\n"
    )
    parquet.write_table(pyarrow.Table.from_pylist(records), tmp_path / "a.parquet")
    write_ndjson(tmp_path / "a.ndjson", records)
    built = []
    for form in ("parquet", "ndjson"):
        run("reference", "build", tmp_path / f"a.{form}", "--config.file", config, "-o", tmp_path / f"{form}.json")
        built.append(load(tmp_path / f"{form}.json"))
    assert built[0].schema == built[1].schema
    assert built[0].counts.tolist() == built[1].counts.tolist()
    assert built[0].invalid == built[1].invalid
