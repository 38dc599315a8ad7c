"""Which doors are open: loopback for whom, other machines when, a Unix socket to its owner."""

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest

from driftmon.daemon.access.keeper import Keeper
from driftmon.daemon.addresses import bind, parse
from driftmon.daemon.process import Process
from tests.daemon.access_kit import make_certificate, tls, tokens, users, write_web
from tests.daemon.kit import LOCAL, ndjson, ready_config, records, running


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost:1", None, 202),
        ("127.0.0.1", "http://127.0.0.1", 202),
        ("[::1]:99", None, 202),
        ("drift.example", "https://drift.example", 202),  # of --web.external-url
        ("evil.example", None, 403),
        ("localhost.evil.example:10518", None, 403),
        ("127.0.0.1", "http://evil.example", 403),
        ("127.0.0.1", "null", 403),
    ],
)
def test_pages_of_other_sites_do_not_reach_a_daemon_on_loopback(
    tmp_path: Path, host: str, origin: str | None, status: int
) -> None:
    headers = {"Host": host, **({} if origin is None else {"Origin": origin})}

    async def scenario() -> None:
        async with running(ready_config(tmp_path), external_url="https://drift.example/d") as daemon:
            reply = await daemon.http.post("/api/v1/ingest/s", content=ndjson(records(1)), headers=headers)
            assert reply.status_code == status, reply.text
            seen = await daemon.http.get("/api/v1/report", headers={"Host": host})
            assert seen.status_code == (403 if "evil" in host else 200)
            assert (await daemon.http.get("/-/ready", headers={"Host": host})).status_code == 200
            assert (await daemon.web.get("/metrics", headers={"Host": host})).status_code == 200

    asyncio.run(scenario())


def test_a_unix_socket_is_its_owners_alone(tmp_path: Path) -> None:
    with bind(parse(f"unix:{tmp_path / 'd.sock'}")):
        assert stat.S_IMODE((tmp_path / "d.sock").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("sections", "address", "asks", "in_clear"),
    [
        ("", "0.0.0.0:0", False, False),
        ("tls", "0.0.0.0:0", False, False),
        ("users", "0.0.0.0:0", True, True),  # and the log warns
        ("tokens", "0.0.0.0:0", True, True),
        ("users", "127.0.0.1:0", True, False),
        ("users tls", "0.0.0.0:0", True, False),
    ],
)
def test_authentication_lets_the_api_listen_for_others(
    tmp_path: Path, sections: str, address: str, asks: bool, in_clear: bool
) -> None:
    make_certificate(tmp_path)
    known: dict[str, dict[str, Any]] = {"users": users(), "tokens": tokens(tmp_path), "tls": tls()}
    written = {key: value for name in sections.split() for key, value in known[name].items()}
    keeper = Keeper(write_web(tmp_path, **written), {})
    process = Process(tmp_path / "c", (LOCAL,), (parse(address),), keeper=keeper)
    assert (process.authenticates, process.in_clear) == (asks, in_clear)
