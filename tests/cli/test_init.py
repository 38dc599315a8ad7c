"""From data to a configuration and a reference that work together, whatever the data looks like."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest

from driftmon.cli.init import stream_name
from driftmon.daemon.config import load as load_config
from driftmon.library import load
from tests.cli.payments import Record, Run, payments, write_csv, write_ndjson

KINDS = {"amount": "numeric", "country": "categorical", "new_customer": "boolean"}


def written(tmp_path: Path, form: str, records: list[Record]) -> Path:
    """The records as a file of one of the formats."""
    path = tmp_path / f"train.{form}"
    if form == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.Table.from_pylist(records), path)
        return path
    plain = tmp_path / path.name.removesuffix(".gz")
    (write_csv if "csv" in form else write_ndjson)(plain, records)
    if form.endswith(".gz"):
        path.write_bytes(gzip.compress(plain.read_bytes()))
    return path


@pytest.mark.parametrize("form", ["csv", "csv.gz", "ndjson", "jsonl", "ndjson.gz", "parquet"])
def test_every_format_gives_the_same_features_and_a_reference_that_fits(form: str, tmp_path: Path, run: Run) -> None:
    data = written(tmp_path, form, payments(3000))
    done = run("init", data, "-o", tmp_path / "out")
    assert (done.exit_code, done.stdout) == (0, ""), done.stderr
    stream = load_config(tmp_path / "out" / "driftmon.yaml").streams["train"]
    reference = load(tmp_path / "out" / "train.reference.json")
    assert {spec.name: spec.kind for spec in stream.features} == KINDS
    assert {feature.name: feature.kind for feature in reference.schema.features} == KINDS
    assert reference.schema.totals(reference.counts.astype(float)).tolist() == [3000.0] * 3
    assert stream.reference.path == (tmp_path / "out" / "train.reference.json").absolute()


def test_all_formats_count_alike(tmp_path: Path, run: Run) -> None:
    counted = []
    for form in ("csv", "ndjson.gz", "parquet"):
        data = written(tmp_path, form, payments(3000))
        run("init", data, "-o", tmp_path / form)
        counted.append(load(tmp_path / form / "train.reference.json"))
    assert {reference.schema.fingerprint for reference in counted} == {counted[0].schema.fingerprint}
    assert [reference.counts.tolist() for reference in counted] == [counted[0].counts.tolist()] * 3


def test_a_spreadsheets_csv(tmp_path: Path, run: Run) -> None:
    """A byte order mark, semicolons, CRLF, an index without a name, line ends and semicolons within quotes."""
    rows = (f'{n};{n % 37}.5;"Bonn; am Rhein";"Zeile 1\r\nZeile ""{n}"""\r\n' for n in range(200))
    (tmp_path / "a.csv").write_bytes(("\ufeff;Preis;Stadt;Notiz\r\n" + "".join(rows)).encode())
    done = run("init", tmp_path / "a.csv", "-o", tmp_path)
    assert (done.exit_code, "rejected" in done.stderr) == (0, False), done.stderr
    reference = load(tmp_path / "a.reference.json")
    assert {feature.name: feature.kind for feature in reference.schema.features} == {
        "Preis": "numeric",
        "Stadt": "categorical",
    }
    assert reference.provenance["records"] == 200
    assert reference.counts[reference.schema.special_bins("missing")].tolist() == [0, 0]


def test_what_is_left_out_stands_there_with_its_reason(tmp_path: Path, run: Run) -> None:
    done = run("init", write_csv(tmp_path / "train.csv", payments(300)), "-o", tmp_path)
    text = (tmp_path / "driftmon.yaml").read_text()
    assert "# payment_id: an id: whole numbers that only rise" in text
    assert "# time: {field: paid_at, unit: iso8601, lateness: 1m}" in text
    assert "payment_id" in done.stderr
    assert "driftmon run --config.file" in done.stderr


def test_the_event_to_try_with_is_one_of_the_data(tmp_path: Path, run: Run) -> None:
    records = payments(300)
    done = run("init", write_csv(tmp_path / "train.csv", records), "-o", tmp_path)
    line = next(line for line in done.stderr.splitlines() if "curl --json" in line)
    assert json.loads(line.split("'")[1]) == {name: records[0][name] for name in KINDS}


def test_the_same_data_gives_the_same_bytes(tmp_path: Path, run: Run) -> None:
    data = write_csv(tmp_path / "train.csv", payments(500))
    for folder in ("one", "two"):
        run("init", data, "-o", tmp_path / folder)
    for name in ("driftmon.yaml", "train.reference.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_configuration_that_is_there_is_not_lost(tmp_path: Path, run: Run) -> None:
    data = write_csv(tmp_path / "train.csv", payments(300))
    (tmp_path / "driftmon.yaml").write_text("mine")
    refused = run("init", data, "-o", tmp_path)
    assert (refused.exit_code, (tmp_path / "driftmon.yaml").read_text()) == (2, "mine")
    assert "--force" in refused.stderr
    assert run("init", data, "-o", tmp_path, "--force").exit_code == 0
    assert (tmp_path / "driftmon.yaml").read_text() != "mine"


def test_sinks_asked_for_are_on(tmp_path: Path, run: Run) -> None:
    data = write_csv(tmp_path / "train.csv", payments(300))
    run("init", data, "-o", tmp_path, "--webhook", "http://127.0.0.1:1/a?b=$c", "--alertmanager", "http://127.0.0.1:2")
    sinks = load_config(tmp_path / "driftmon.yaml").sinks
    assert [(sink.type, getattr(sink.options, "endpoint", "")) for sink in sinks] == [
        ("log", ""),
        ("alertmanager", "http://127.0.0.1:2"),
        ("webhook", "http://127.0.0.1:1/a?b=$c"),
    ]


UGLY: list[Record] = [
    {
        "no": number % 3 + 0.5,
        "a: b": "x" if number % 2 else "y",
        'quote"d': number / 3,
        "$price": number / 7,
        "ümläut 😀": number % 5 + 0.5,
        "user.age": number / 9,
        "meta": {"coupon": "AB"[number % 2], "deep": {"er": number / 2}},
        "meta_coupon": number / 11,
        "new\nline": 1.5,
        "x" * 200: 1.5,
        "": 1.5,
    }
    for number in range(100)
]


def test_ugly_names_are_quoted_or_left_out(tmp_path: Path, run: Run) -> None:
    done = run("init", write_ndjson(tmp_path / "ugly.ndjson", UGLY), "-o", tmp_path)
    assert done.exit_code == 0, done.stderr
    reference = load(tmp_path / "ugly.reference.json")
    missing = reference.counts[reference.schema.special_bins("missing")]
    names = ["no", "a: b", "$price", "ümläut 😀", "user.age", "meta_coupon", "meta_deep_er"]
    assert list(reference.schema.names) == names
    assert missing.tolist() == [0] * len(names)  # every feature found its field


def test_a_path_that_cannot_be_written_is_left_out(tmp_path: Path, run: Run) -> None:
    """`field: nest.p.q` means nest, p, q: nothing leads to the key "p.q" in "nest", nor through a key "u.v"."""
    rows = [{"x": n / 7, "nest": {"p.q": n / 3, "r": n / 3}, "u.v": {"w": n / 3}} for n in range(50)]
    done = run("init", write_ndjson(tmp_path / "d.ndjson", rows), "-o", tmp_path)
    assert done.exit_code == 0, done.stderr
    assert load(tmp_path / "d.reference.json").schema.names == ("x", "nest_r")
    assert len(re.findall(r"left out +a key on the way to it has a dot", done.stderr)) == 2
    assert run("check-config", "--strict", tmp_path / "driftmon.yaml").exit_code == 2  # so few records
    assert "says nothing of it" not in run("check-config", tmp_path / "driftmon.yaml").stderr


def test_a_key_that_is_a_value_here_and_a_map_there_is_a_value(tmp_path: Path, run: Run) -> None:
    rows: list[dict[str, object]] = [{"x": n / 7, "a": n / 3 if n % 2 else {"b": {"c": n / 3}}} for n in range(50)]
    done = run("init", write_ndjson(tmp_path / "d.ndjson", rows), "-o", tmp_path)
    assert done.exit_code == 0, done.stderr
    assert load(tmp_path / "d.reference.json").schema.names == ("x", "a")
    assert re.search(r"a\.b\.c +left out +a is not a map in all records", done.stderr)


def test_a_time_that_no_path_reaches_is_not_proposed(tmp_path: Path, run: Run) -> None:
    day = "2024-01-01T00:00:00Z"
    rows = [{"x": n / 7, "event.time": day, "meta": {"time": day}} for n in range(50)]
    done = run("init", write_ndjson(tmp_path / "d.ndjson", rows), "-o", tmp_path)
    assert done.exit_code == 0, done.stderr
    assert "# time: {field: meta.time," in (tmp_path / "driftmon.yaml").read_text()


LINES = "".join(f"{n % 7},{n / 3:.2f}\n" for n in range(50))
HEADERS = {
    "spaces": (" a , b \n" + LINES, ("a", "b")),
    "an empty line before it": ("\n\r\na,b\n" + LINES, ("a", "b")),
    "a comma in quotes": ('"a,b";c;d\n' + LINES.replace(",", ";1;"), ("a,b", "c", "d")),
    "not UTF-8": ("pr\xe9is,b\n" + LINES, ("b",)),
    "a row that is not UTF-8": ("a,b\n" + LINES + "\xe9,1\n", ("a", "b")),
    "one name twice": ("a,a\n" + LINES.replace(",", ",x"), ("a",)),
}


@pytest.mark.parametrize(("text", "names"), HEADERS.values(), ids=HEADERS)
def test_a_header_is_read_as_it_is_where_csv_is_counted(
    text: str, names: tuple[str, ...], tmp_path: Path, run: Run
) -> None:
    (tmp_path / "d.csv").write_bytes(text.encode("latin-1"))
    done = run("init", tmp_path / "d.csv", "-o", tmp_path)
    assert done.exit_code == 0, done.stderr
    reference = load(tmp_path / "d.reference.json")
    assert reference.schema.names == names
    assert {feature.kind for feature in reference.schema.features} <= {"numeric", "boolean", "categorical"}
    regular = reference.schema.totals(np.where(reference.schema.regular, reference.counts, 0).astype(float))
    assert regular.tolist() == [50.0] * len(names)  # all its values lie in bins of their own
    assert "\ufffd" not in done.stderr.partition("next:")[2]


NOTHING = {
    "an empty file": ("data.csv", "", "holds no records that can be read"),
    "a header alone": ("data.csv", "a,b\n", "holds no records that can be read"),
    "not JSON": ("data.ndjson", "{{{\n" * 30, "holds no records that can be read"),
    "only ids": ("data.csv", "id\n" + "".join(f"{n}\n" for n in range(99)), "holds nothing to watch (id: an id"),
    "another format": ("data.xlsx", "x", "the name must tell the format"),
    "no gzip": ("data.csv.gz", "a,b\n1,2\n", "is no whole gzip file"),
    "no Parquet": ("data.parquet", "a,b\n1,2\n", "Parquet"),
}


@pytest.mark.parametrize(("name", "text", "fault"), NOTHING.values(), ids=NOTHING)
def test_data_that_cannot_be_used_exits_2_and_writes_nothing(
    name: str, text: str, fault: str, tmp_path: Path, run: Run
) -> None:
    (tmp_path / name).write_text(text)
    done = run("init", tmp_path / name, "-o", tmp_path / "out")
    assert (done.exit_code, done.stdout) == (2, "")
    assert fault in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_there(tmp_path: Path, run: Run) -> None:
    done = run("init", tmp_path / "nope.csv")
    assert (done.exit_code, done.stderr) == (2, f"driftmon: {tmp_path}/nope.csv: there is no such file\n")


@pytest.mark.parametrize(
    ("file", "stream"), [("a b.csv", "a_b"), ("日本.ndjson", "data"), ("x" * 99 + ".csv", "x" * 64), ("_.csv", "data")]
)
def test_a_stream_name_can_stand_in_a_url(file: str, stream: str) -> None:
    assert stream_name(file) == stream


def predictions(chance: np.random.Generator, name: str, label: str) -> list[Record]:
    found: list[Record] = []
    for at, p in enumerate(chance.random(400).round(3).tolist()):
        found.append({"amount": at % 7 + p, name: p, label: int(chance.random() < p)})
    return found


@pytest.mark.parametrize(("name", "label"), [("p", "y"), ("churn_probability", "is_target"), ("modelScore", "Outcome")])
def test_a_probability_and_its_label_are_watched_by_their_log_loss(
    name: str, label: str, tmp_path: Path, run: Run
) -> None:
    data = write_csv(tmp_path / "train.csv", predictions(np.random.default_rng(0), name, label))
    done = run("init", data, "-o", tmp_path)
    assert done.exit_code == 0, done.stderr
    assert f"{name} predicts {label}: log loss 0." in done.stderr
    assert f"probability: {name}, label: " in (tmp_path / "driftmon.yaml").read_text()
    kinds = {spec.name: spec.kind for spec in load_config(tmp_path / "driftmon.yaml").streams["train"].features}
    assert kinds == {"amount": "numeric", name: "numeric", label: "boolean", "log_loss": "log_loss"}
    reference = load(tmp_path / "train.reference.json")
    counts = reference.counts[reference.schema.bins(reference.schema.names.index("log_loss"))]
    assert (counts.sum(), counts[-2:].tolist()) == (400, [0, 0])


def test_what_is_no_probability_of_a_label_is_not_taken_for_one(tmp_path: Path, run: Run) -> None:
    rows = predictions(np.random.default_rng(1), "p", "y")
    other = {
        "no better than the rate": [{**row, "p": round(1 - float(str(row["p"])), 3)} for row in rows],
        "above one": [*rows, {**rows[0], "p": 7.0}],
        "two of them": [{**row, "score": row["p"]} for row in rows],
        "no label": [{**row, "y": index % 5} for index, row in enumerate(rows)],
        "another name": [{"amount": row["amount"], "share": row["p"], "y": row["y"]} for row in rows],
        "too few": rows[:50],
    }
    for why, records in other.items():
        done = run("init", write_csv(tmp_path / "train.csv", records), "-o", tmp_path, "--force")
        assert done.exit_code == 0, done.stderr
        assert "log_loss" not in (tmp_path / "driftmon.yaml").read_text(), why
