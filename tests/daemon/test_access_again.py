"""What changes on disk holds without a restart, unless it is wrong or would open a door."""

import asyncio
from pathlib import Path

import httpx
import pytest

from driftmon.daemon.access.keeper import AGAIN_S, Keeper
from tests.daemon.access_kit import TOKENS, basic, bearer, fresh, make_certificate, tls, tokens, users, write_web
from tests.daemon.kit import ndjson, ready_config, records, running


def test_certificates_users_and_tokens_are_read_again_when_they_change(tmp_path: Path) -> None:
    first = make_certificate(tmp_path)
    path = write_web(tmp_path, **tls(), **users(), **tokens(tmp_path))

    async def scenario() -> None:
        async with running(ready_config(tmp_path), verify=first, keeper=Keeper(path, {})) as daemon:
            assert await fresh(daemon, first, "/alerts", **bearer(TOKENS["read"])) == 200
            assert (await daemon.http.get("/alerts", headers=basic())).status_code == 200
            second = make_certificate(tmp_path)
            assert await fresh(daemon, second) == 200
            with pytest.raises(httpx.ConnectError, match="certificate"):
                await fresh(daemon, first)
            (tmp_path / "read.token").write_text("canary-another-read-token\n")
            assert await fresh(daemon, second, "/alerts", **bearer(TOKENS["read"])) == 401
            assert await fresh(daemon, second, "/alerts", **bearer("canary-another-read-token")) == 200
            assert await fresh(daemon, second, "/alerts", **basic()) == 200
            write_web(tmp_path, **tls(), basic_auth_users={"you": users()["basic_auth_users"]["me"]})
            assert await fresh(daemon, second, "/alerts", **basic()) == 401
            assert await fresh(daemon, second, "/alerts", **basic("you")) == 200
            # A connection that stays open keeps its certificate, not its rights.
            assert (await daemon.http.get("/alerts", headers=basic())).status_code == 401

    asyncio.run(scenario())


def test_a_change_that_is_wrong_or_would_open_a_door_leaves_the_old_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_certificate(tmp_path)
    keeper = Keeper(write_web(tmp_path, **tls(), **users(), **tokens(tmp_path)), {})
    good, now_s = keeper.current(), 1000.0
    monkeypatch.setattr("driftmon.daemon.access.keeper.time.monotonic", lambda: now_s)
    for sections, said in (
        (tls(), "asks for no password, token or client certificate any more"),
        ({**tls(), **tokens(tmp_path)}, "has no basic_auth_users any more"),
        (users(), "switches TLS on or off"),
        ({**users(), **tls(key_file="none.key")}, "none.key cannot be read, no such file or directory"),
        ({**users(), "basic_auth_user": {}}, "did you mean basic_auth_users?"),
    ):
        caplog.clear()
        write_web(tmp_path, **sections)
        for _ in range(3):
            now_s += AGAIN_S
            assert keeper.current() is good
        assert [said in line for line in caplog.messages] == [True]  # once, however often it is asked
    make_certificate(tmp_path, "none")  # what was missing comes: no need to touch the file again
    write_web(tmp_path, **users(), **tls(key_file="late.key", cert_file="none.crt"))
    now_s += AGAIN_S
    assert keeper.current() is good
    (tmp_path / "none.key").rename(tmp_path / "late.key")
    now_s += AGAIN_S
    assert keeper.current() is not good


def test_no_request_is_lost_while_certificates_and_users_change_under_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the changes are wrong; the old ones hold then, and a metric says so."""
    monkeypatch.setattr("driftmon.daemon.access.keeper.AGAIN_S", 0.0)
    context, posted = make_certificate(tmp_path), 0
    path = write_web(tmp_path, **tls(), **users(), **tokens(tmp_path))

    async def scenario() -> None:
        async with running(ready_config(tmp_path), verify=context, keeper=Keeper(path, {})) as daemon:
            changing = True

            async def send(fresh_each_time: bool) -> None:
                nonlocal posted
                while changing:
                    headers = bearer(TOKENS["ingest"])
                    if fresh_each_time:
                        assert await fresh(daemon, context, "/alerts", **bearer(TOKENS["read"])) == 200
                    else:
                        reply = await daemon.http.post("/api/v1/ingest/s", content=ndjson(records(1)), headers=headers)
                        assert reply.status_code == 202, reply.text
                        posted += 1

            async def current() -> float:
                text = (await daemon.web.get("/metrics", headers=basic())).text
                name = "driftmon_web_config_last_reload_successful "
                return float(next(row for row in text.splitlines() if row.startswith(name)).rpartition(" ")[2])

            senders = [asyncio.create_task(send(kind)) for kind in (False, False, True)]
            for number in range(6):
                write_web(tmp_path, **tls(), **users(), **tokens(tmp_path), **({"nonsense": {}} if number % 2 else {}))
                (tmp_path / "server.crt").touch()
                await asyncio.sleep(0.05)
                assert await current() == (0.0 if number % 2 else 1.0)
            changing = False
            await asyncio.gather(*senders)
            assert posted > 10
            daemon.http.headers.update(bearer(TOKENS["read"]))
            assert (await daemon.observed(at_least=posted))["observations_total"] == posted

    asyncio.run(scenario())
