"""Who may do what: every kind of sender against every kind of request, on a daemon that listens."""

import asyncio
from pathlib import Path

import httpx

from driftmon.daemon.access.keeper import Keeper
from driftmon.daemon.access.scopes import Scope, needed
from driftmon.daemon.openapi import OPENAPI
from tests.daemon.access_kit import (
    TOKENS,
    WHO,
    basic,
    bearer,
    tokens,
    users,
    write_web,
)
from tests.daemon.kit import Running, ndjson, ready_config, records, running

JSON = {"Content-Type": "application/json"}
ASKED: dict[str, tuple[str, str]] = {
    "probe": ("GET", "/-/ready"),
    "metrics": ("GET", "/metrics"),
    "page": ("GET", "/"),
    "config": ("GET", "/config"),
    "report": ("GET", "/api/v1/report"),
    "snapshot": ("GET", "/api/v1/streams/s/snapshot"),
    "ingest": ("POST", "/api/v1/ingest/s"),
    "reload": ("POST", "/-/reload"),
    "promote": ("POST", "/api/v1/streams/s/reference/promote"),
    "no route": ("POST", "/api/v1/ingestion"),
}
READS = {"metrics", "page", "config", "report", "snapshot"}
MAY = {
    "ingest": {"ingest"},
    "read": READS,
    "admin": {*ASKED},
    "user": {*ASKED},
}  # and everybody may ask the probe; who is not here may nothing else


def expected(who: str, what: str) -> set[int]:
    if what == "probe" or what in MAY.get(who, ()):
        return {200, 202, 404, 409}  # let in, whatever came of it
    return {403} if who in MAY else {401}


async def ask(daemon: Running, what: str, headers: dict[str, str]) -> httpx.Response:
    method, path = ASKED[what]
    body = {"ingest": ndjson(records(1)), "promote": b"{}"}.get(what, b"")
    return await daemon.http.request(method, path, content=body, headers={**JSON, **headers})


def test_everybody_asks_everything(tmp_path: Path) -> None:
    keeper = Keeper(write_web(tmp_path, **users(), **tokens(tmp_path)), {})

    async def scenario() -> None:
        async with running(ready_config(tmp_path), keeper=keeper, reload_over_http=True) as daemon:
            for who, headers in WHO.items():
                for what in ASKED:
                    reply = await ask(daemon, what, headers)
                    assert reply.status_code in expected(who, what), (who, what, reply.text)
                    if reply.status_code in (401, 403):
                        assert reply.headers["content-type"] == "application/problem+json"
                        assert reply.json()["status"] == reply.status_code
                    if reply.status_code == 401:
                        challenges = 'Basic realm="driftmon", charset="UTF-8", Bearer realm="driftmon"'
                        assert reply.headers["www-authenticate"] == challenges
                    if reply.status_code == 403:
                        assert 'error="insufficient_scope"' in reply.headers["www-authenticate"]
            await daemon.http.post("/-/reload", headers=WHO["admin"])  # still runs after all that

    asyncio.run(scenario())


def test_metrics_ask_for_a_password_if_there_are_users_and_tokens_lock_the_api_alone(tmp_path: Path) -> None:
    async def scenario(keeper: Keeper) -> list[int]:
        async with running(ready_config(tmp_path), keeper=keeper) as daemon:
            asked: list[dict[str, str]] = [{}, basic(), bearer(TOKENS["read"]), bearer(TOKENS["ingest"])]
            found = [(await daemon.web.get("/metrics", headers=headers)).status_code for headers in asked]
            assert (await daemon.http.get("/metrics")).status_code == 401
            assert (await daemon.web.get("/-/healthy")).status_code == 200
            return found

    both = Keeper(write_web(tmp_path, **users(), **tokens(tmp_path)), {})
    assert asyncio.run(scenario(both)) == [401, 200, 200, 403]
    alone = Keeper(write_web(tmp_path, **tokens(tmp_path)), {})
    assert asyncio.run(scenario(alone)) == [200, 200, 200, 200]


def test_every_route_needs_the_scope_that_its_method_says() -> None:
    paths = OPENAPI["paths"]
    found = {(method, path): needed(method.upper(), path) for path in paths for method in paths[path]}
    assert {path for (_, path), scope in found.items() if scope is None} == {"/-/healthy", "/-/ready"}
    assert {path for (_, path), scope in found.items() if scope is Scope.INGEST} == {"/api/v1/ingest/{stream}"}
    for (method, path), scope in found.items():  # and the description says so
        described = paths[path][method]
        assert described.get("x-scope") == (scope and scope.value)
        assert {"401", "403", "429"} <= described["responses"].keys() or scope is None
        assert (described.get("security") == []) == (scope is None)
    admin = {"/-/reload", "/api/v1/streams/{stream}/reference/promote"}
    assert {path for (_, path), scope in found.items() if scope is Scope.ADMIN} == admin
