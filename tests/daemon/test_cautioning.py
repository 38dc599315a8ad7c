"""A daemon that starts with a doubtful configuration says so in its log, as `check-config` does, and once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from driftmon.daemon import cautioning
from driftmon.daemon.cautioning import Cautioning
from driftmon.daemon.cautions import cautions
from driftmon.daemon.config import load
from driftmon.daemon.on_disk import load_references
from tests.daemon.kit import RULE, ready_config, running, stream, write_config, write_reference

DEAF = {**RULE, "name": "Deaf", "features": "nobody*"}
TOLD = "driftmon.config"


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == TOLD]


async def until(caplog: pytest.LogCaptureFixture, count: int) -> list[str]:
    async with asyncio.timeout(20):
        while len(told(caplog)) < count:
            await asyncio.sleep(0.01)
    return told(caplog)


def test_a_start_tells_what_check_config_does_and_a_reload_what_is_new(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = ready_config(tmp_path, rules=[DEAF])
    config = load(path, {})
    first = [str(one) for one in cautions(config, load_references(config))]
    assert "Deaf watches nothing" in first[0]

    async def scenario() -> None:
        async with running(path) as daemon:
            assert await until(caplog, len(first)) == first
            write_config(tmp_path, {"s": stream(tick="2m", stale_after="1m")}, rules=[DEAF])
            write_reference(path)
            assert await daemon.app.reload() == ""
            more = (await until(caplog, len(first) + 2))[len(first) :]
            assert [line.split()[1] for line in more] == ["streams.s.stale_after:", "streams.s.tick:"]

    asyncio.run(scenario())


def test_nothing_to_warn_of_is_nothing_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = load(ready_config(tmp_path), {})
    asyncio.run(Cautioning().tell(config, load_references(config)))
    assert told(caplog) == []


def test_a_bug_in_looking_costs_the_warnings_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[str]:
        raise ZeroDivisionError

    monkeypatch.setattr(cautioning, "_found", broken)
    asyncio.run(Cautioning().tell(load(ready_config(tmp_path), {}), {}))
    assert told(caplog) == ["what the configuration cannot promise was not found out"]
