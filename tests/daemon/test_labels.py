"""Delayed labels in the daemon: by configuration, live as replayed, over reload, restart and kill -9."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from driftmon.cli.support.replay_engine import Replay, stream_for
from driftmon.daemon.config import ConfigError, load
from driftmon.daemon.on_disk import load_reference, load_references
from driftmon.daemon.store import Store
from driftmon.daemon.streams import Stream, build_streams, live_layout_of
from driftmon.formats.ndjson import Decoder
from driftmon.monitor.references import reference_of
from driftmon.sources.base import Block
from tests.daemon.kit import ndjson, running, stream, write_config
from tests.daemon.test_app import started

LABELS: dict[str, Any] = {"id": "rid", "wait": "10m", "entries": 500}
FEATURES: dict[str, Any] = {
    "x": {"type": "numeric", "edges": [0.5]},
    "loss": {"type": "log_loss", "probability": "p", "label": "y", "edges": [0.3, 0.7, 1.5]},
}
START_MS = 1_700_000_000_000
NOW_MS = START_MS + 3_600_000


def configured(folder: Path, **changes: Any) -> Path:
    base = {"labels": LABELS, "features": FEATURES, "time": {"field": "t", "unit": "ms"}}
    path = write_config(folder, {"s": stream(**{**base, **changes})})
    specs = load(path, {}).streams["s"].features
    columns = {"x": [0.1, 0.9] * 200, "p": [0.5, 0.3] * 200, "y": [1, 0, 0, 1] * 100}
    (folder / "p.json").write_bytes(reference_of(columns, specs).to_bytes())
    return path


def records(count: int, seed: int = 0, every_ms: int = 500) -> list[dict[str, Any]]:
    """Predictions, a tenth of which cannot be scored, most with a label up to a minute later, some of those twice, and
    labels of nobody."""
    chance, found = random.Random(seed), []
    for at in range(count):
        time_ms = START_MS + at * every_ms
        p = chance.choice((7.0, "much")) if chance.random() < 0.1 else chance.random()
        found.append({"t": time_ms, "rid": f"r{at}", "x": chance.random(), "p": p})
        for _ in range(chance.choice((0, 1, 1, 1, 1, 2))):
            labelled_ms = time_ms + chance.randrange(60_000)
            found.append({"t": labelled_ms, "rid": f"r{at}", "y": chance.randrange(2)})
        if at % 40 == 0:
            found.append({"t": time_ms, "rid": f"nobody{at}", "y": 1})
    return sorted(found, key=lambda record: int(record["t"]))


def counted(one: Stream) -> dict[str, Any]:
    assert one.monitor is not None
    assert one.delayed is not None
    now = one.monitor.snapshot()
    rings = {(window.name, pane): held.tolist() for window, panes in now.rings.items() for pane, held in panes.items()}
    return {
        "counts": now.counts.tolist(),
        "sums": now.sums,
        "invalid": now.invalid,
        "rings": rings,
        "labels": replace(one.delayed.join.now(), most_bytes=0),
    }


def built(path: Path) -> Stream:
    config = load(path, {})
    return build_streams(config, load_references(config))["s"]


def test_what_waits_survives_crashes_and_each_label_joins_once(tmp_path: Path) -> None:
    path, chance = configured(tmp_path), random.Random(3)
    steady, kept, store = built(path), built(path), Store(tmp_path / "state")
    rows, low = records(600), 0
    while low < len(rows):
        high = low + chance.randrange(1, 80)
        block = Block("s", "http", "ndjson", ndjson(rows[low:high]))
        if chance.random() < 0.2:
            kept.observe(block, NOW_MS)  # not acknowledged: sent again to the next process
            store, kept = again(store, tmp_path, path)
        for one in (steady, kept):
            one.observe(block, NOW_MS)
        store.commit({"s": kept}, {}, high)
        if chance.random() < 0.4:
            store.ticking({"s": kept})
            for one in (steady, kept):
                one.tick(NOW_MS)
            store.closed_panes({"s": kept})
            store.checkpoint({"s": kept}, {}, high, fold=chance.random() < 0.3)
        if chance.random() < 0.2:
            store, kept = again(store, tmp_path, path)
        low = high
    for one in (steady, kept):
        one.finish(NOW_MS)
    assert counted(kept) == counted(steady)
    assert dict(counted(kept)["labels"].outcomes)["matched"] > 300
    assert counted(kept)["invalid"].keys() == {("loss", "probabilities_not_one"), ("loss", "text")}
    store.close()


def again(store: Store, folder: Path, path: Path) -> tuple[Store, Stream]:
    """The next process."""
    store.close()
    store, fresh = Store(folder / "state"), built(path)
    if (saved := store.load("s")) is not None:
        fresh.restore(saved)
    fresh.restore_labels(store.labels("s"))
    return store, fresh


def test_live_and_replay_join_alike(tmp_path: Path) -> None:
    path, rows = configured(tmp_path), records(300)
    config = load(path, {})
    settings = config.streams["s"]
    replay = Replay(stream_for(config, "s", config.rules, load_reference(settings, path)))
    decoder = Decoder(live_layout_of(settings))
    for low in range(0, len(rows), 37):
        replay.observe(decoder.decode(ndjson(rows[low : low + 37])))
    asyncio.run(_live(path, rows, counted(replay.stream)["labels"].as_dict(), replay))


async def _live(path: Path, rows: list[dict[str, Any]], labels: dict[str, int], replay: Replay) -> None:
    async with running(path) as daemon:
        for low in range(0, len(rows), 111):
            reply = await daemon.post(ndjson(rows[low : low + 111]))
            assert reply.json()["accepted"] == len(rows[low : low + 111])
        told = await daemon.observed("loss", at_least=labels["matched"])
        (found,) = (await daemon.http.get("/api/v1/report")).json()["streams"].values()
        text = (await daemon.http.get("/metrics")).text
    expected = replay.stream.tick(NOW_MS).as_dict()["streams"]["s"]
    assert found["labels"] == expected["labels"] == labels
    assert told["windows"] == expected["features"]["loss"]["windows"]
    assert f'driftmon_labels_total{{stream="s",outcome="matched"}} {labels["matched"]}' in text
    assert f'driftmon_label_age_seconds_count{{stream="s"}} {labels["matched"]}' in text


@pytest.mark.parametrize("labels", [LABELS, {**LABELS, "wait": "20m"}, {**LABELS, "entries": 5000}])
def test_a_reload_lets_wait_on_what_waits(tmp_path: Path, labels: dict[str, Any]) -> None:
    rows = records(100, every_ms=10)
    predictions, answers = [row for row in rows if "p" in row], [row for row in rows if "p" not in row]
    old = built(configured(tmp_path))
    old.observe(Block("s", "http", "ndjson", ndjson(predictions)), NOW_MS)
    new = built(configured(tmp_path, labels=labels, tick="200ms"))
    new.succeed(old)
    old.observe(Block("s", "http", "ndjson", ndjson(answers)), NOW_MS) if labels is not LABELS else None
    new.observe(Block("s", "http", "ndjson", ndjson(answers)), NOW_MS)
    if labels is not LABELS:
        assert counted(new) == counted(old)
    assert dict(counted(new)["labels"].outcomes)["matched"] > 70


def test_kill_minus_nine_an_acknowledged_prediction_joins_its_label_once(tmp_path: Path) -> None:
    path, state = configured(tmp_path), ("--storage.path", str(tmp_path / "state"))
    predictions = [{"t": START_MS + at, "rid": at, "x": 0.2, "p": 0.5} for at in range(60)]
    labels = [{"t": START_MS + 1000 + at, "rid": at, "y": True} for at in range(60)]
    with started(path, *state) as daemon:
        assert daemon.post(predictions)["durable"] is True
        assert daemon.post(labels[:40])["durable"] is True
    with started(path, *state) as daemon:
        assert daemon.post(labels)["durable"] is True
        daemon.wait_for_metric('driftmon_labels_total{stream="s",outcome="matched"}', 60.0)
        daemon.wait_for_metric('driftmon_labels_total{stream="s",outcome="duplicate"}', 40.0)
        daemon.wait_for_metric('driftmon_labels_waiting{stream="s"}', 0.0)
        daemon.wait_for_metric('driftmon_observations_total{stream="s",feature="loss"}', 60.0)
        daemon.wait_for_metric('driftmon_observations_total{stream="s",feature="x"}', 60.0)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"features": {"x": {"type": "numeric"}}}, "no log_loss feature"),
        ({"overload": "sample"}, "a thinned stream loses one of the two"),
        ({"reference": {"type": "warmup", "observations": 500}}, "is not gathered from records that wait"),
        ({"time": None, "labels": {**LABELS, "time": "prediction"}}, "records have no time of their own"),
    ],
)
def test_a_stream_that_cannot_join_is_refused(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    base = {"labels": LABELS, "features": FEATURES, "time": {"field": "t", "unit": "ms"}, **changes}
    whole = stream(**{key: value for key, value in base.items() if value is not None})
    with pytest.raises(ConfigError, match=fault):
        load(write_config(tmp_path, {"s": whole}), {})
