"""The live daemon, fed the same records over HTTP, has the counts, values and alerts of replay, bit for bit."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from driftmon.cli.support.replay_engine import Replay, stream_for
from driftmon.daemon.config import load
from driftmon.daemon.on_disk import load_reference
from driftmon.daemon.streams import layout_of
from driftmon.formats.ndjson import Decoder
from driftmon.monitor.report import Report
from tests.cli import visits
from tests.daemon.kit import ndjson, running

CUTS = (0, 1, 700, 2200, 2600, 3100, 3111, 4500, 5400)  # before, at the start of, in, and after the drift
BY_THE_WALL = {"status", "last_observation_timestamp_seconds"}  # when a record arrived, and staleness, are no replay's


def by_the_data(told: Mapping[str, Any]) -> dict[str, Any]:
    """Everything of a report's JSON but what goes by the wall clock; through JSON text, which keeps every bit."""
    (stream,) = told["streams"].values()
    features = {
        name: {key: value for key, value in feature.items() if key not in BY_THE_WALL}
        for name, feature in stream["features"].items()
    }
    found: dict[str, Any] = json.loads(json.dumps({"features": features, "alerts": told["alerts"]}))
    return found


@pytest.fixture
def config(tmp_path: Path, recorded: Path) -> Path:
    return shutil.copytree(recorded, tmp_path, dirs_exist_ok=True) / "driftmon.yaml"


def replayed(config: Path, pieces: list[bytes]) -> list[Report]:
    """The report after each piece."""
    read = load(config, {})
    settings = read.streams["visits"]
    replay = Replay(stream_for(read, "visits", read.rules, load_reference(settings, config)))
    decoder = Decoder(layout_of(settings))
    return [replay.observe(decoder.decode(piece)) for piece in pieces]


async def live(config: Path, pieces: list[bytes]) -> list[dict[str, Any]]:
    """The daemon's report once it has counted each piece."""
    told, sent = [], 0
    async with running(config) as daemon:
        for piece in pieces:
            reply = await daemon.post(piece, to="visits")
            assert reply.status_code == 202, reply.text
            sent += reply.json()["accepted"]
            await daemon.observed("x", at_least=sent, name="visits")
            told.append((await daemon.http.get("/api/v1/report")).json())
    return told


async def _same(config: Path) -> None:
    records = list(visits.visits(visits.HOURS, visits.DRIFT_HOURS))
    pieces = [ndjson(records[low:high]) for low, high in pairwise(CUTS)]
    expected = replayed(config, pieces)
    for at, (report, told) in enumerate(zip(expected, await live(config, pieces), strict=True)):
        assert by_the_data(told) == by_the_data(report.as_dict()), f"after record {CUTS[at + 1]}"
    fired = {alert.rule.name for report in expected for alert in report.alerts}
    assert fired == {"Far", "Sure"}
    assert not expected[-1].alerts


def test_the_live_daemon_says_what_replay_says_bit_for_bit(config: Path) -> None:
    asyncio.run(_same(config))
