"""reference show says what the bins need, in words and numbers; reference build keeps the hours of a seasonal one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from driftmon.library import load
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.rules import Calibrated, Rule
from tests.cli.payments import Run, payments, write_ndjson


def amount(run: Run, reference: Path, *more: object) -> Any:
    return json.loads(run("reference", "show", reference, "--json", *more).stdout)["features"]["amount"]


def test_what_the_present_bins_and_fewer_need(reference: Path, run: Run) -> None:
    found = amount(run, reference)
    assert (found["regular_bins"], found["effect_nats"]) == (16, 0.02)
    assert found["reference_observations_needed"] == 4080  # 2 chi2_.999(17) / 0.02
    fewer = found["with_fewer_bins"]
    assert [option["regular_bins"] for option in fewer] == [10, 5]
    needs = [option["window_observations_needed"] for option in (found, *fewer)]
    assert needs == sorted(needs, reverse=True)
    assert "few: 0.02 nats want a reference of 4080 observations" in found["advice"]
    assert f"a window wants {needs[0]} with its 16 bins, {needs[1]} with 10 bins, {needs[2]} with 5" in found["advice"]
    boolean = json.loads(run("reference", "show", reference, "--json").stdout)["features"]["new_customer"]
    assert "with_fewer_bins" not in boolean


@pytest.mark.parametrize(("word", "nats"), [("small", 0.02), ("medium", 0.1), ("large", 0.3), ("0.05", 0.05)])
def test_an_effect_is_a_word_or_a_number(reference: Path, run: Run, word: str, nats: float) -> None:
    assert amount(run, reference, "--effect", word)["effect_nats"] == nats


@pytest.mark.parametrize("word", ["tiny", "0", "-1", "nan", "inf"])
def test_what_is_no_effect_is_refused(reference: Path, run: Run, word: str) -> None:
    done = run("reference", "show", reference, f"--effect={word}")
    assert (done.exit_code, "use small, medium, large, or a number of nats above 0" in done.stderr) == (2, True)


def test_thin_traffic_gets_fewer_bins(reference: Path, run: Run) -> None:
    def told(observations: int) -> str:
        return str(amount(run, reference, "--effect", "medium", "--window-observations", observations)["advice"])

    assert "500 in a window are enough" in told(500)
    assert "130 in a window are too few for 16 bins, which want 175: use bins: 10, then 128 will do" in told(130)
    assert "90 in a window are too few for 16 bins, which want 175: use bins: 5, then 86 will do" in told(90)
    assert told(20).endswith("20 in a window are too few for 16 bins, which want 175: use a longer window")
    country = json.loads(
        run("reference", "show", reference, "--json", "--effect", "medium", "--window-observations", 1).stdout
    )["features"]["country"]
    assert country["advice"].endswith("use a longer window")


def test_a_reference_that_is_too_small_for_any_window(tmp_path: Path, config: Path, run: Run) -> None:
    data = write_ndjson(tmp_path / "a.ndjson", payments(300))
    run("reference", "build", data, "--config.file", config, "-o", tmp_path / "few.json")
    told = amount(run, tmp_path / "few.json")
    assert "window_observations_needed" not in told
    assert "a window wants more than this reference can ever give with its 16 bins" in told["advice"]
    assert (
        "use a longer window and a larger reference"
        in amount(run, tmp_path / "few.json", "--window-observations", 100)["advice"]
    )


def test_what_the_overdispersion_was_measured_on(tmp_path: Path, config: Path, run: Run) -> None:
    def told(count: int, name: str) -> str:
        data = write_ndjson(tmp_path / f"{name}.ndjson", payments(count))
        run("reference", "build", data, "--config.file", config, "-o", tmp_path / name)
        return next(
            line
            for line in run("reference", "show", tmp_path / name).stdout.splitlines()
            if line[:14] == "overdispersion"
        )

    assert told(4000, "time") == "overdispersion measured on stretches of time"
    config.write_text(config.read_text().replace("    time: {field: paid_at}\n", ""))
    assert told(4000, "rows") == "overdispersion measured on rows in the order they came; shuffled rows hide dependence"
    assert told(100, "few").startswith("overdispersion unknown, there are too few blocks")


def test_the_report_says_the_same_size(reference: Path, run: Run) -> None:
    snapshot = load(reference)
    rule = Rule("R", "kl_divergence_debiased", 0.02, calibrated=Calibrated(0.02, 10**9))
    shown = json.loads(run("reference", "show", reference, "--json").stdout)["features"]
    for rules, there in (((rule,), True), ((), False)):
        features = Monitor(snapshot, rules=rules).tick(0).as_dict()["streams"]["data"]["features"]
        for name, feature in features.items():
            told = feature.get("reference_observations_needed")
            assert told == (shown[name]["reference_observations_needed"] if there else None)


def test_a_seasonal_reference_is_built_with_its_hours(tmp_path: Path, config: Path, run: Run) -> None:
    seasonal = "{type: seasonal, slots: hour_of_week, path: pay.reference.json}"
    config.write_text(config.read_text().replace("{type: file, path: pay.reference.json}", seasonal))
    rows = payments(6000)
    for number, row in enumerate(rows):
        row["paid_at"] = f"2024-03-{1 + number * 28 // len(rows):02d}T{number % 24:02d}:30:00Z"
    data = write_ndjson(tmp_path / "a.ndjson", rows)
    target = tmp_path / "pay.reference.json"
    for jobs in (1, 2):
        assert run("reference", "build", data, "--config.file", config, "-o", target, "--jobs", jobs).exit_code == 0
        built = load(target)
        assert (built.slots_by, len(built.slots), bool(built.dispersion)) == ("hour_of_week", 168, True)
        assert np.array_equal(sum(built.slots.values()), built.counts)
    assert "slots 168 of hour_of_week" in run("reference", "show", target).stdout
    checked = run("check-config", config)
    assert "reference  pay.reference.json, 6000 records by hour_of_week, dispersion by time" in checked.stdout
    assert (
        "observations a bin, fewer than 50; use hour_of_day, fewer bins, or build it from more data" in checked.stderr
    )


def test_replay_runs_no_stream_whose_reference_is_another(tmp_path: Path, config: Path, run: Run) -> None:
    text = config.read_text()
    twin = text[text.index("  pay:") :].replace("  pay:", "  canary:")
    config.write_text(text + twin.replace("{type: file, path: pay.reference.json}", "{type: stream, stream: pay}"))
    data = write_ndjson(tmp_path / "a.ndjson", payments(10))
    done = run("replay", data, "--config.file", config, "--stream", "canary")
    assert (done.exit_code, "its reference is stream pay, and replay runs one stream by itself" in done.stderr) == (
        2,
        True,
    )
