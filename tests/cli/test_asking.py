"""Commands that ask a daemon with TLS, users and tokens: `healthcheck` and `reference promote`."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from driftmon.cli.main import command
from driftmon.daemon.access.keeper import Keeper
from driftmon.daemon.addresses import parse
from driftmon.monitor.snapshot import Snapshot
from tests.daemon.access_kit import PASSWORD, TOKENS, make_certificate, tls, tokens, users, write_web
from tests.daemon.kit import LOCAL, ndjson, ready_config, records, running


async def run(*arguments: str, **environ: str) -> Result:
    return await asyncio.to_thread(CliRunner(env=environ).invoke, command, arguments)


def test_commands_show_who_they_are(tmp_path: Path) -> None:
    context = make_certificate(tmp_path)
    keeper = Keeper(write_web(tmp_path, **tls(), **users(), **tokens(tmp_path)), {})
    (tmp_path / "password").write_text(PASSWORD + "\n")
    api = (LOCAL, parse(f"unix:{tmp_path / 'd.sock'}"))
    ca = ["--ca-file", str(tmp_path / "server.crt")]
    admin, read = (["--token-file", str(tmp_path / f"{scope}.token")] for scope in ("admin", "read"))
    user = ["--user", "me", "--password-file", str(tmp_path / "password")]
    said: list[str] = []

    async def check(url: str, *given: str, code: int = 0, told: str = "", **environ: str) -> None:
        found = await run("healthcheck", "--url", url, *given, **environ)
        said.append(found.output)
        assert found.exit_code == code, found.output
        assert told in found.output

    async def scenario() -> None:
        async with running(ready_config(tmp_path), verify=context, keeper=keeper, api=api) as daemon:
            url, unix = daemon.app.urls["api"][0], f"unix:{tmp_path / 'd.sock'}"
            await check(f"{url}/-/healthy", *ca, told="driftmon is healthy")
            await check(f"{url}/-/healthy", code=1, told="certificate verify failed")
            await check(unix, told="driftmon is healthy")
            await check(f"{unix}:/-/ready", told="driftmon is ready")
            report = f"{url}/api/v1/report"
            await check(report, *ca, code=1, told="401 send a user's name and password or a bearer token")
            for good in (admin, read, user):
                await check(report, *ca, *good, told="fingerprint")
            await check(f"{unix}:/api/v1/report", *read, told="fingerprint")
            await check(report, *ca, told="fingerprint", DRIFTMON_TOKEN=TOKENS["read"])
            await check(report, *ca, "--user", "me", told="fingerprint", DRIFTMON_PASSWORD=PASSWORD)
            await check(report, told="fingerprint", DRIFTMON_TOKEN_FILE=read[1], DRIFTMON_CA_FILE=ca[1])
            await check(report, *ca, code=1, told="other than printable", DRIFTMON_TOKEN="canary\nx: y")
            await daemon.http.post("/api/v1/ingest/s", content=ndjson(records(300)), headers=auth())
            async with asyncio.timeout(10):
                while (await daemon.http.get("/api/v1/report", headers=auth())).json()["streams"]["s"]["features"][
                    "x"
                ].get("observations_total", 0) < 300:
                    await asyncio.sleep(0.02)
            out = tmp_path / "new.json"
            for arguments, code in (
                (["--from", url, "-o", str(out), *ca, *read], 0),
                (["--url", url, *ca, *read], 2),  # admin's alone
                (["--url", url, *ca, *admin], 0),
            ):
                found = await run("reference", "promote", *arguments)
                said.append(found.output)
                assert found.exit_code == code, found.output
            assert Snapshot.from_bytes(out.read_bytes()).provenance["records"] == 300

    def auth() -> dict[str, str]:
        return {"Authorization": f"Bearer {TOKENS['admin']}"}

    asyncio.run(scenario())
    assert "403 this token may read; send one of scope admin" in "".join(said)
    assert "canary" not in "".join(said).replace(str(tmp_path), "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--url", "http://me:canary@h:1/"], "has a user in it; use --user and --password-file"),
        (["--url", "unix:relative"], "is no URL of a daemon"),
        (["--user", "me"], "--user needs --password-file, or the variable DRIFTMON_PASSWORD"),
        (["--user", "me", "--token-file", "t"], "use one of the two"),
        (["--password-file", "p"], "--password-file without --user"),
        (["--user", "a:b", "--password-file", "p"], "has a colon"),
    ],
)
def test_mistakes_are_usage_errors(arguments: list[str], told: str) -> None:
    found = CliRunner().invoke(command, ["healthcheck", *arguments])
    assert found.exit_code == 2
    assert told in found.output
    assert "canary" not in found.output


def test_a_missing_secret_is_told_and_nothing_is_sent(tmp_path: Path) -> None:
    given: list[Any] = ["healthcheck", "--url", "http://127.0.0.1:1/", "--token-file", str(tmp_path / "none")]
    found = CliRunner().invoke(command, given)
    assert (found.exit_code, "cannot read bearer_token_file" in found.output) == (1, True)


def test_a_health_check_is_cheap_enough_for_every_ten_seconds() -> None:
    program = "import sys, driftmon.cli.healthcheck; sys.exit(bool({'numpy', 'httpx', 'yaml'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
