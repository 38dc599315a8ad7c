"""`driftmon check-config` and `driftmon config`, as a user sees them."""
# ruff: noqa: E501  a message stands on one line, as users see it

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from driftmon.cli.main import command
from driftmon.daemon.config import DEFAULT_RULES, example
from driftmon.daemon.json_schema import config_schema
from driftmon.monitor.panes import Window
from driftmon.monitor.snapshot import Snapshot
from driftmon.render.catalogue import Selection, StreamFacts, series_count
from driftmon.stats import dispersion
from driftmon.stats.binnings import categorical, numeric
from driftmon.stats.schema import Feature, Schema

TEXT = """\
version: 1
streams:
  payments:
    time: {field: at, unit: ms, lateness: 30s}
    reference: {type: file, path: payments.reference.json}
    features:
      amount: {type: numeric, bins: 4}
      country: {type: categorical}
    windows: [{name: fast, length: 1h}, {name: slow, half_life: 1d}]
"""
RIGHT = """\
d.yaml: ok
  stream payments
    from       http, by at (ms), up to 30s late
    reference  payments.reference.json, 5000 records, dispersion by time
    windows    fast (1h), slow (half-life 1d)
    feature    amount: numeric, 3 bins
    feature    country: categorical, 2 bins
  rule DriftmonFeatureDrift: kl_divergence_debiased > 0.1 for 5m, watches 4 pairs of feature and window
  rule DriftmonSchemaBreak: invalid_ratio > 0.05, watches 4 pairs of feature and window
  rule DriftmonDrift: drift of at least 0.02 nats, by evidence, an alert per stream; at most one false alarm in 30d over 2 features of 1 stream, 43200 panes of 1m
  sinks log
  series {series} of at most 10000
"""


KINDS, SIZES = {"amount": "numeric", "country": "categorical"}, {"amount": 5, "country": 5}
WINDOWS = (Window.sliding("fast", 3_600_000), Window.decayed("slow", 86_400_000))
COUNT = series_count([StreamFacts("payments", KINDS, SIZES, WINDOWS)], DEFAULT_RULES, Selection())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("d.yaml").write_text(TEXT)
    schema = Schema(
        (Feature("amount", numeric.Binning((1.0, 2.0))), Feature("country", categorical.Binning(("a", "b"))))
    )
    counts = np.array([2000, 1000, 2000, 0, 0, 4000, 1000, 0, 0, 0])
    measured = dispersion.dispersion(schema, np.tile(counts, (20, 1)))
    assert measured is not None
    kept = dispersion.as_dict(schema, measured, "time")
    Path("payments.reference.json").write_bytes(Snapshot(schema, counts, dispersion=kept).to_bytes())
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_a_right_one_says_what_will_be_watched() -> None:
    result = run("check-config", "d.yaml")
    assert (result.stdout, result.stderr, result.exit_code) == (RIGHT.format(series=COUNT), "", 0)


def test_a_warm_up_says_at_most() -> None:
    Path("d.yaml").write_text(TEXT.replace("{type: file, path: payments.reference.json}", "{type: warmup}"))
    lines = run("check-config", "d.yaml").stdout.splitlines()
    assert "    reference  the first 20000 records" in lines
    assert "    feature    amount: numeric, at most 4 bins" in lines
    assert "    feature    country: categorical, at most 64 bins" in lines


def test_mistakes_exit_2_and_go_to_stderr() -> None:
    Path("d.yaml").write_text(TEXT.replace("bins: 4", "bin: 4").replace("length: 1h", "length: 1"))
    result = run("check-config", "d.yaml")
    assert result.stderr.splitlines() == [
        "d.yaml:7  streams.payments.features.amount.bin: unknown key; did you mean bins?",
        "d.yaml:9  streams.payments.windows[0].length: must be a duration, is the number 1; write it like 30s, 5m, 1h30m or 7d",
    ]
    assert (result.stdout, result.exit_code) == ("", 2)


def test_a_missing_reference_names_the_command_that_makes_it() -> None:
    Path("payments.reference.json").unlink()
    result = run("check-config", "d.yaml")
    assert result.stderr == (
        "d.yaml:5  streams.payments.reference: payments.reference.json cannot be read, no such file or directory; "
        "make it: driftmon reference build DATA --config.file d.yaml --stream payments -o payments.reference.json\n"
    )
    assert result.exit_code == 2


def test_every_file_is_checked_though_one_is_wrong() -> None:
    Path("bad.yaml").write_text("version: 1\n")
    result = run("check-config", "bad.yaml", "d.yaml")
    assert result.stdout == RIGHT.format(series=COUNT)
    assert result.stderr == "bad.yaml:1  streams: missing; write streams: {flights: {...}}\n"
    assert result.exit_code == 2


def test_strict_turns_warnings_into_errors() -> None:
    Path("d.yaml").write_text(TEXT + "rules: []\n")
    warning = (
        "warning: d.yaml:10  rules: there is none, so nothing will ever alert; leave `rules` out for the default ones\n"
    )
    lax, strict = run("check-config", "d.yaml"), run("check-config", "--strict", "d.yaml")
    assert (lax.stderr, lax.exit_code) == (warning, 0)
    assert (strict.stderr, strict.exit_code) == (warning, 2)


def test_a_promise_that_cannot_be_kept_is_a_warning_and_strictly_an_error() -> None:
    rules = (
        'rules: [{name: R, calibrated: {effect: 0.001, false_alarms: "2/30d"}, notify_after: 7d, features: amount}]\n'
    )
    Path("d.yaml").write_text(TEXT + rules)
    lax, strict = run("check-config", "d.yaml"), run("check-config", "--strict", "d.yaml")
    said = (
        "  rule R: drift of at least 0.001 nats, by evidence, an alert per feature; at most one false alarm in 15d "
        "over 1 feature of 1 stream, 21600 panes of 1m; nobody is told in the first 7d"
    )
    assert said in lax.stdout.splitlines()
    assert lax.stderr == (
        "warning: d.yaml:10  rules[0].calibrated.effect: payments.amount has 5000 observations in the reference, not "
        "enough to tell 0.001 nats from its own error; build it from 36934 records, or use effect: 0.004\n"
    )
    assert (lax.exit_code, strict.exit_code) == (0, 2)


def test_blocks_of_rows_say_what_they_cannot_see() -> None:
    path = Path("payments.reference.json")
    snapshot = Snapshot.from_bytes(path.read_bytes())
    path.write_bytes(replace(snapshot, dispersion={**snapshot.dispersion, "by": "rows"}).to_bytes())
    how = "dispersion by rows in their order (shuffled ones hide dependence)"
    assert (
        f"    reference  payments.reference.json, 5000 records, {how}"
        in run("check-config", "d.yaml").stdout.splitlines()
    )


def test_variables_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("d.yaml").write_text(TEXT + 'external_labels: {pod: "${DRIFTMON_TEST_POD}"}\n')
    assert run("check-config", "d.yaml").exit_code == 2
    monkeypatch.setenv("DRIFTMON_TEST_POD", "a")
    assert run("check-config", "d.yaml").exit_code == 0


def test_config_example_and_schema_go_to_stdout() -> None:
    assert run("config", "example").stdout == example()
    assert json.loads(run("config", "schema").stdout) == config_schema()


def test_no_file_is_a_usage_error() -> None:
    assert run("check-config").exit_code == 2
