"""What strangers can cost: guesses an address, logins at once, TLS handshakes under way; and that each is counted."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import bcrypt
import httpx
import pytest

from driftmon.daemon.access.attempts import MOST_ADDRESSES, Attempts
from driftmon.daemon.access.credentials import MOST_WAITING, Credentials, TooMany
from driftmon.daemon.access.handshakes import MOST_OF_ONE, Handshakes
from driftmon.daemon.access.keeper import Keeper
from driftmon.daemon.access.refusals import Refusals
from driftmon.daemon.access.scopes import ALL, NONE
from tests.daemon.access_kit import (
    HASH,
    PASSWORD,
    WHO,
    basic,
    bearer,
    fresh,
    make_certificate,
    tls,
    tokens,
    users,
    write_web,
)
from tests.daemon.kit import Running, ready_config, running

GOOD, BAD = basic()["Authorization"], basic(password="wrong")["Authorization"]
Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
CHECKED = "driftmon.daemon.access.credentials._checked"


def test_who_guesses_must_wait_and_who_was_known_there_need_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, checks = 100.0, 0

    def check(password: bytes, value: bytes) -> bool:
        nonlocal checks
        checks += 1
        return password == PASSWORD.encode()

    monkeypatch.setattr(CHECKED, check)
    monkeypatch.setattr("driftmon.daemon.access.credentials.time.monotonic", lambda: now_s)
    credentials = Credentials({"me": HASH}, {}, Attempts(burst=3, refill_s=2.0))

    async def scenario() -> None:
        nonlocal now_s
        assert await credentials.scopes(GOOD, "10.0.0.1") == ALL  # costs no attempt
        assert [await credentials.scopes(BAD, "10.0.0.1") for _ in range(3)] == [NONE] * 3
        before = checks
        for one in (BAD, basic("you")["Authorization"]):
            with pytest.raises(TooMany) as refused:
                await credentials.scopes(one, "10.0.0.1")
            assert (refused.value.reason, refused.value.wait_s) == ("throttled", 2.0)
        assert checks == before
        assert await credentials.scopes(GOOD, "10.0.0.1") == ALL  # remembered
        assert await credentials.scopes(GOOD, "10.0.0.2") == ALL
        now_s += 2.0
        assert await credentials.scopes(BAD, "10.0.0.1") == NONE

    asyncio.run(scenario())


def test_a_password_remembered_for_one_address_cannot_be_guessed_fast_from_another() -> None:
    credentials = Credentials({"me": HASH}, {}, Attempts(burst=3, refill_s=1000.0))

    async def scenario() -> None:
        assert await credentials.scopes(GOOD, "10.0.0.1") == ALL
        assert [await credentials.scopes(BAD, "10.6.6.6") for _ in range(3)] == [NONE] * 3
        with pytest.raises(TooMany):
            await credentials.scopes(GOOD, "10.6.6.6")  # right, and not told so

    asyncio.run(scenario())


def test_memory_of_attempts_is_bounded() -> None:
    attempts = Attempts()
    for number in range(3 * MOST_ADDRESSES):
        attempts.take(f"2001:db8:{number:x}::1", 0.0)
    assert len(attempts) == MOST_ADDRESSES


def test_of_logins_at_once_one_is_checked_some_wait_and_the_rest_are_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    go, at_once, most = threading.Event(), 0, 0

    def check(password: bytes, value: bytes) -> bool:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        assert go.wait(10)
        at_once -= 1
        return False

    monkeypatch.setattr(CHECKED, check)
    credentials = Credentials({"me": HASH}, {})

    async def scenario() -> list[object]:
        tasks = [asyncio.create_task(credentials.scopes(BAD, f"10.0.0.{number}")) for number in range(20)]
        for _ in range(5):
            await asyncio.sleep(0)  # the loop turns while bcrypt runs
        assert [task.done() for task in tasks].count(True) == 20 - MOST_WAITING
        go.set()
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    found = asyncio.run(scenario())
    assert found.count(NONE) == MOST_WAITING
    assert [one.reason for one in found if isinstance(one, TooMany)] == ["busy"] * (20 - MOST_WAITING)
    assert most == 1


def test_an_unknown_name_costs_what_some_known_one_does_and_always_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = {f"u{cost}": bcrypt.hashpw(b"x", bcrypt.gensalt(cost)).decode() for cost in (4, 5, 6)}
    spent: list[bytes] = []

    def check(password: bytes, value: bytes) -> bool:
        spent.append(value)
        return False

    monkeypatch.setattr(CHECKED, check)
    credentials = Credentials(hashes, {}, Attempts(burst=1000))

    async def ask(name: str) -> None:
        await credentials.scopes(basic(name)["Authorization"])

    for number in range(40):
        for _ in range(2):
            asyncio.run(ask(f"nobody{number}"))
    assert {one.decode() for one in spent} == set(hashes.values())
    assert spent[::2] == spent[1::2]


def refused(text: str, family: str) -> dict[str, float]:
    rows = (line for line in text.splitlines() if line.startswith(f"driftmon_{family}_refused_total"))
    return {line.partition("{")[2].partition("}")[0]: float(line.rpartition(" ")[2]) for line in rows}


async def counts(daemon: Running, family: str = "http_requests") -> dict[str, float]:
    found = refused((await daemon.web.get("/metrics", headers=WHO["user"])).text, family)
    return {labels.replace('listener="', "").replace('",reason="', " ").rstrip('"'): n for labels, n in found.items()}


def test_what_did_not_get_in_is_counted_by_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftmon.daemon.access.credentials.Attempts", lambda: Attempts(burst=2, refill_s=1000.0))
    keeper = Keeper(write_web(tmp_path, **users(), **tokens(tmp_path)), {})

    async def scenario() -> None:
        async with running(ready_config(tmp_path), keeper=keeper) as daemon:
            before = await counts(daemon)
            assert set(before.values()) == {0.0}
            assert len(before) == 10
            http = daemon.http
            assert (await http.get("/", headers=WHO["nobody"])).status_code == 401
            assert (await http.get("/", headers=WHO["ingest"])).status_code == 403
            assert (await http.get("/", headers={**WHO["read"], "Host": "evil.example"})).status_code == 403
            assert (await http.post("/-/reload", headers={**WHO["admin"], "Origin": "http://evil"})).status_code == 403
            assert (await daemon.web.get("/metrics")).status_code == 401
            replies = [await http.get("/", headers=WHO["wrong password"]) for _ in range(4)]
            assert [reply.status_code for reply in replies] == [401, 401, 429, 429]
            assert 900 < int(replies[-1].headers["Retry-After"]) <= 1000
            assert "correct the password, then wait" in replies[-1].json()["detail"]
            assert (await http.get("/", headers=bearer("x" * 24))).status_code == 401  # a token costs nothing to check
            found = {reason: count for reason, count in (await counts(daemon)).items() if count}
            assert found == {
                "api unauthenticated": 4, "api forbidden": 1, "api host": 1, "api origin": 1, "api throttled": 2,
                "web unauthenticated": 1,
            }  # fmt: skip

    asyncio.run(scenario())


async def closed(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(10):
            return await reader.read(1) == b""
    except ConnectionError:
        return True


@asynccontextmanager
async def silent_ones(folder: Path, context: ssl.SSLContext) -> AsyncIterator[tuple[Running, int, Sequence[Streams]]]:
    """A daemon, the port of its API, and three connections to it that begin no handshake."""
    keeper = Keeper(write_web(folder, **tls(), **users()), {})
    async with running(ready_config(folder), verify=context, keeper=keeper) as daemon:
        port = int(daemon.app.urls["api"][0].rpartition(":")[2])
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        yield daemon, port, silent
        for _, writer in silent:
            writer.close()


def test_handshakes_under_way_are_bounded_in_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftmon.daemon.access.handshakes.MOST", 3)
    monkeypatch.setattr("driftmon.daemon.server.HANDSHAKE_S", 60.0)  # none of them ends by itself
    context = make_certificate(tmp_path)

    async def scenario() -> None:
        async with silent_ones(tmp_path, context) as (daemon, port, silent):
            with pytest.raises(httpx.TransportError):
                await fresh(daemon, context)
            assert (await counts(daemon, "tls_handshakes"))["api limit"] == 1  # the other listener lets in
            silent[0][1].close()  # who leaves makes room at once
            await silent[0][1].wait_closed()
            await failed(daemon, 1)
            assert await fresh(daemon, context) == 200
            _, plain = await asyncio.open_connection("127.0.0.1", port)
            plain.write(b"GET / HTTP/1.1\r\n\r\n")
            await plain.drain()
            await failed(daemon, 2)
            assert [await fresh(daemon, context) for _ in range(5)] == [200] * 5  # finished ones take no room
            found = await counts(daemon, "tls_handshakes")
            assert {key: count for key, count in found.items() if count} == {
                "api limit": 1, "api failed": 2,
            }  # fmt: skip
            plain.close()

    asyncio.run(scenario())


async def failed(daemon: Running, handshakes: int) -> None:
    async with asyncio.timeout(10):
        while (await counts(daemon, "tls_handshakes"))["api failed"] < handshakes:
            await asyncio.sleep(0.01)


def test_a_handshake_that_does_not_go_on_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftmon.daemon.server.HANDSHAKE_S", 0.5)

    async def scenario() -> None:
        async with silent_ones(tmp_path, make_certificate(tmp_path)) as (_, _, silent):
            assert [await closed(reader) for reader, _ in silent] == [True] * 3

    asyncio.run(scenario())


def test_one_address_takes_no_more_than_its_share_of_handshakes() -> None:
    refusals = Refusals()
    handshakes = Handshakes("web", refusals)
    assert [handshakes.begun(number, "10.0.0.1") for number in range(MOST_OF_ONE + 1)] == [True] * MOST_OF_ONE + [False]
    assert handshakes.begun(99, "10.0.0.2")
    handshakes.done(0)
    handshakes.closed(0)  # a connection that ends later is no failed handshake
    assert handshakes.begun(100, "10.0.0.1")
    handshakes.closed(100)
    assert refusals.handshakes == {**refusals.handshakes, ("web", "limit"): 1, ("web", "failed"): 1}
