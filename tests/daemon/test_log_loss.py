"""A daemon that scores predictions: told in the report, on /metrics and on the page, and the same after a restart."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftmon.daemon.carry import carried
from driftmon.daemon.config import load
from driftmon.daemon.faults import ConfigError
from driftmon.daemon.on_disk import load_references
from driftmon.daemon.redaction import redacted
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.references import reference_of
from tests.daemon.kit import ndjson, running, write_config

OUTCOME = {"type": "log_loss", "probability": "model.p", "label": "y"}
HIGH = {"name": "Loss", "metric": "log_loss", "above": 0.5, "min_observations": 100}


def predictions(count: int, wrong: float, seed: int) -> list[dict[str, Any]]:
    """Calibrated but for a share of labels that are the other way round."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        p = chance.random()
        rows.append({"model": {"p": p}, "y": (chance.random() < p) != (chance.random() < wrong)})
    return rows


def config_of(folder: Path, **features: Any) -> Path:
    streams = {
        "s": {
            "reference": {"type": "file", "path": "p.json"},
            "features": {"outcome": OUTCOME, **features},
            "tick": "100ms",
        }
    }
    return write_config(folder, streams, rules=[HIGH])


def with_reference(folder: Path) -> Path:
    path = config_of(folder)
    rows = predictions(2000, 0.0, 0)
    columns = {"model.p": [row["model"]["p"] for row in rows], "y": [row["y"] for row in rows]}
    (folder / "p.json").write_bytes(reference_of(columns, load(path, {}).streams["s"].features).to_bytes())
    return path


def test_a_daemon_tells_the_log_loss_and_keeps_it_over_a_restart(tmp_path: Path) -> None:
    async def life() -> None:
        path, state = with_reference(tmp_path), tmp_path / "state"
        async with running(path, state) as daemon:
            await daemon.post(ndjson(predictions(600, 0.4, 1)) + b'{"model": {"p": 2}, "y": true}\n')
            first = await daemon.observed("outcome", at_least=601)
            window = first["windows"]["fast"]
            assert window["log_loss_nats"] > 0.7 > window["prediction_entropy_nats"]
            assert first["invalid_value_reasons_total"] == {"probabilities_not_one": 1}
            labels = '{stream="s",feature="outcome",window="fast"}'
            assert await daemon.metric(f"driftmon_log_loss_nats{labels}") == window["log_loss_nats"]
            assert await daemon.metric(f"driftmon_accuracy_ratio{labels}") == window["accuracy_ratio"]
            page = (await daemon.http.get("/features/s/outcome")).text
            assert "a calibrated model would have" in page
            assert "surer than it should be" in page
            alerts = (await daemon.http.get("/api/v1/alerts")).json()
            assert "Loss" in str(alerts)
        async with running(path, state) as daemon:
            again = await daemon.observed("outcome", at_least=601)
            assert again["windows"]["fast"] == window
            snapshot = (await daemon.http.get("/api/v1/streams/s/snapshot")).json()
            assert snapshot["sums"]["loss outcome"] / 2**40 / 600 == pytest.approx(window["log_loss_nats"], rel=1e-14)

    asyncio.run(life())


def test_a_reload_keeps_the_sums_of_what_is_scored_alike(tmp_path: Path) -> None:
    path = with_reference(tmp_path)
    specs = load(path, {}).streams["s"].features
    columns = {"model.p": [0.5, 0.9], "y": [1, 0], "x": [1.0, 2.0]}
    old = Monitor(reference_of(columns, specs))
    old.observe_columns(columns)
    more = config_of(tmp_path, x={"type": "numeric"})
    wider = Monitor(reference_of(columns, load(more, {}).streams["s"].features[::-1]))
    wider.merge(carried(old.snapshot(), wider.snapshot()))
    report = wider.tick(0)
    assert report.value(0, 1, "log_loss") == old.tick(0).value(0, 0, "log_loss") > 0
    assert wider.snapshot().sums == old.snapshot().sums


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"probability": "p"}, "label: missing"),
        ({"label": "y"}, "either probability or probabilities"),
        ({"label": "y", "probability": "p", "probabilities": {"a": "p", "b": "q"}}, "either probability"),
        ({"label": "y", "probabilities": {"a": "p"}}, "has one class"),
        ({"label": "y", "probabilities": {"a": "p", "b": "q"}, "classes": ["a", "b"]}, "are the classes already"),
        ({"label": "y", "probability": "p", "classes": ["a", "b", "a"]}, "stands there twice"),
        ({"label": "y", "probability": "p", "classes": ["a", "b"], "positive": "c"}, "none of the classes"),
        ({"label": "y", "probability": "p", "classes": ["a", "b", "c"], "positive": "c"}, "nothing of the other"),
        ({"label": "y", "probability": "p", "edges": [1, 2], "bins": 4}, "edges say where the bins lie"),
    ],
)
def test_a_mistake_is_named_with_its_cure(tmp_path: Path, keys: dict[str, Any], told: str) -> None:
    path = config_of(tmp_path, wrong={"type": "log_loss", **keys})
    with pytest.raises(ConfigError, match=told):
        load(path, {})


def test_the_configuration_is_shown_as_it_is_written(tmp_path: Path) -> None:
    by_class = {"type": "log_loss", "label": "y", "probabilities": {"a": "pa", "b": "pb"}}
    shown = yaml.safe_load(redacted(load(config_of(tmp_path, other=by_class), {})))
    features = shown["streams"]["s"]["features"]
    assert features["outcome"].items() >= OUTCOME.items()
    assert features["other"].items() >= by_class.items()


@pytest.mark.parametrize("other", [{"probability": "q"}, {"label": "z"}, {"positive": "1"}], ids=str)
def test_losses_that_were_scored_otherwise_are_no_reference(tmp_path: Path, other: dict[str, str]) -> None:
    with_reference(tmp_path)
    fault = "p.json was counted with another schema: outcome has other probabilities, classes or another label"
    with pytest.raises(ConfigError, match=fault):
        load_references(load(config_of(tmp_path, outcome=OUTCOME | other), {}))
