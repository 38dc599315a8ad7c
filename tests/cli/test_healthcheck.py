"""`driftmon healthcheck`: 0 if the probe answers, 1 if not, 2 for what is no URL."""

import asyncio
from pathlib import Path

from click.testing import CliRunner

from driftmon.cli.healthcheck import command
from tests.daemon.kit import ready_config, running


def test_a_running_daemon_is_healthy(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            url = f"{daemon.app.urls['web'][0]}/-/healthy"
            result = await asyncio.to_thread(CliRunner().invoke, command, ["--url", url])
            assert (result.exit_code, result.stdout) == (0, "driftmon is healthy.\n")
            gone = url.replace("healthy", "nothing")
            assert (await asyncio.to_thread(CliRunner().invoke, command, ["--url", gone])).exit_code == 1

    asyncio.run(scenario())


def test_nobody_there_is_unhealthy() -> None:
    result = CliRunner().invoke(command, ["--url", "http://127.0.0.1:1/-/healthy"])
    assert result.exit_code == 1
    cure = "is a daemon running there? Start it, or name the address it listens at"
    assert result.stderr == f"http://127.0.0.1:1: Connection refused; {cure}\n"


def test_what_is_no_url_is_a_usage_error() -> None:
    result = CliRunner().invoke(command, ["--url", "file:///etc/passwd"])
    assert result.exit_code == 2
