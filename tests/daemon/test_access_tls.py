"""TLS on both listeners, client certificates, and changes that take hold without a restart."""

import asyncio
import socket
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from driftmon.daemon.access.keeper import Keeper
from driftmon.daemon.addresses import parse
from driftmon.daemon.faults import ConfigError
from tests.daemon.access_kit import WHO, basic, fresh, make_certificate, tls, tokens, users, write_web
from tests.daemon.kit import LOCAL, ndjson, ready_config, records, running


def test_both_listeners_speak_tls_and_nothing_else(tmp_path: Path) -> None:
    context = make_certificate(tmp_path)
    keeper = Keeper(write_web(tmp_path, **tls(), **users()), {})

    async def scenario() -> None:
        async with running(ready_config(tmp_path), verify=context, keeper=keeper) as daemon:
            assert all(url.startswith("https://") for urls in daemon.app.urls.values() for url in urls)
            sent = await daemon.http.post("/api/v1/ingest/s", content=ndjson(records(5)), headers=basic())
            assert sent.status_code == 202
            assert (await daemon.web.get("/metrics")).status_code == 401
            assert (await daemon.web.get("/metrics", headers=basic())).status_code == 200
            for secure in (daemon.http, daemon.web):
                plain = secure.base_url.copy_with(scheme="http")
                with pytest.raises(httpx.RemoteProtocolError):
                    await secure.get(plain)

    asyncio.run(scenario())


def test_min_version_is_kept(tmp_path: Path) -> None:
    old = make_certificate(tmp_path)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    new = ssl.create_default_context(cafile=str(tmp_path / "server.crt"))
    keeper = Keeper(write_web(tmp_path, **tls(min_version="TLS13")), {})

    async def scenario() -> None:
        async with running(ready_config(tmp_path), verify=new, keeper=keeper) as daemon:
            assert await fresh(daemon, new) == 200
            with pytest.raises(httpx.ConnectError):
                await fresh(daemon, old)

    asyncio.run(scenario())


def test_who_has_no_certificate_of_the_authority_gets_nothing(tmp_path: Path) -> None:
    context, stranger = make_certificate(tmp_path), ssl.create_default_context(cafile=str(tmp_path / "server.crt"))
    make_certificate(tmp_path, "client", "a client")
    make_certificate(tmp_path, "other", "another")
    context.load_cert_chain(tmp_path / "client.crt", tmp_path / "client.key")
    stranger.load_cert_chain(tmp_path / "other.crt", tmp_path / "other.key")
    wanted = tls(client_ca_file="client.crt", client_auth_type="RequireAndVerifyClientCert")
    keeper = Keeper(write_web(tmp_path, **wanted), {})
    assert keeper.current().authenticates

    async def scenario() -> None:
        async with running(ready_config(tmp_path), verify=context, keeper=keeper) as daemon:
            assert await fresh(daemon, context, "/api/v1/report") == 200
            for one in (stranger, ssl.create_default_context(cafile=str(tmp_path / "server.crt"))):
                with pytest.raises(httpx.TransportError):
                    await fresh(daemon, one)

    asyncio.run(scenario())


def test_a_unix_socket_beside_tls_is_plain_and_asks_for_the_token(tmp_path: Path) -> None:
    context = make_certificate(tmp_path)
    keeper = Keeper(write_web(tmp_path, **tls(), **tokens(tmp_path)), {})
    api = (LOCAL, parse(f"unix:{tmp_path / 'd.sock'}"))

    async def scenario() -> None:
        async with running(ready_config(tmp_path), verify=context, keeper=keeper, api=api):
            transport = httpx.AsyncHTTPTransport(uds=str(tmp_path / "d.sock"))
            async with httpx.AsyncClient(base_url="http://d", transport=transport) as http:
                found = [(await http.get("/", headers=WHO[who])).status_code for who in ("nobody", "ingest", "read")]
                assert found == [401, 403, 200]

    asyncio.run(scenario())


def test_a_key_with_a_passphrase_is_refused_and_the_terminal_is_not_asked(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    lock = ["openssl", "pkcs8", "-topk8", "-passout", "pass:x", "-in", "server.key", "-out", "locked.key"]
    subprocess.run(lock, check=True, capture_output=True, cwd=tmp_path)
    with pytest.raises(ConfigError, match="its PEM key without a passphrase"):
        Keeper(write_web(tmp_path, **tls(key_file="locked.key")), {})


def test_clients_that_are_silent_keep_neither_others_out_nor_the_drain_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    context = make_certificate(tmp_path)
    keeper = Keeper(write_web(tmp_path, **tls()), {})

    async def scenario() -> None:
        async with running(ready_config(tmp_path), verify=context, keeper=keeper) as daemon:
            port = int(daemon.app.urls["api"][0].rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)):
                assert await fresh(daemon, context) == 200
                assert (await daemon.http.get("/alerts")).status_code == 200  # and stays connected

    asyncio.run(scenario())
    assert not [line for line in caplog.messages if "graceful shutdown exceeded" in line]
