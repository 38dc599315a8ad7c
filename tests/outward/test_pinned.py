"""Resolve, check, connect to that very address: rebinding, several answers, TLS by the name, and slow answers."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from driftmon.outward.login import Login, LoginError
from driftmon.outward.pinned import AsyncPinned, Pinned, Refused
from driftmon.sinks import base
from tests.daemon.access_kit import basic, make_certificate

METADATA = "169.254.169.254"
Resolver = Callable[[str, int], Sequence[str]]


def answers(*rounds: list[str]) -> Resolver:
    """A resolver that says something else each time, the last one for ever."""
    left = list(rounds)
    return lambda host, port: left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def server(asked: list[tuple[str, str]], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Notes the Host of each request and, over TLS, the SNI."""
    names: list[str] = [""]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.headers["Host"], names[-1]))
            self.send_response(200)
            self.end_headers()

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        tls.sni_callback = lambda _, name, __: names.append(name or "")
        made.socket = tls.wrap_socket(made.socket, server_side=True)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made.server_port
    made.shutdown()
    made.server_close()
    thread.join()


def test_a_name_that_is_rebound_between_two_requests_is_refused_the_second_time() -> None:
    asked: list[tuple[str, str]] = []

    async def scenario(port: int) -> None:
        resolve = answers(["127.0.0.1"], [METADATA])
        async with base.client(Login(), resolve) as http:
            url = f"http://hook.example:{port}/"
            await base.post(http, url, b"{}", {}, Login())
            with pytest.raises(base.Retry, match=r"Refused hook\.example: 169.254.169.254 is link-local"):
                await base.post(http, url, b"{}", {}, Login())

    with server(asked) as port:
        asyncio.run(scenario(port))
        assert asked == [(f"hook.example:{port}", "")]


def test_who_is_asked_is_who_was_checked() -> None:
    """The resolver is asked once per request: a second question could be answered otherwise."""
    times = 0

    def resolve(host: str, port: int) -> list[str]:
        nonlocal times
        times += 1
        return ["127.0.0.1"] if times == 1 else [METADATA]

    asked: list[tuple[str, str]] = []
    with server(asked) as port, httpx.Client(transport=Pinned(Login(), resolve)) as http:
        assert http.get(f"http://name.example:{port}/").status_code == 200
        assert times == 1
        with pytest.raises(Refused):
            http.get(f"http://name.example:{port}/")
    assert len(asked) == 1


def test_of_several_addresses_the_allowed_ones_are_tried_in_turn() -> None:
    asked: list[tuple[str, str]] = []
    with server(asked) as port:
        resolve = answers([METADATA, "127.0.0.2", "127.0.0.1"])  # nobody listens on the second

        async def scenario() -> int:
            async with httpx.AsyncClient(transport=AsyncPinned(Login(), resolve)) as http:
                return (await http.get(f"http://several.example:{port}/")).status_code

        assert asyncio.run(scenario()) == 200
        with httpx.Client(transport=Pinned(Login(), resolve)) as http:
            assert http.get(f"http://several.example:{port}/").status_code == 200


def test_certificate_sni_and_host_are_those_of_the_name(tmp_path: Path) -> None:
    make_certificate(tmp_path)  # for localhost
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    asked: list[tuple[str, str]] = []
    login, resolve = Login(ca_file=tmp_path / "server.crt"), answers(["127.0.0.1"])
    with server(asked, tls) as port, httpx.Client(transport=Pinned(login, resolve)) as http:
        assert http.get(f"https://localhost:{port}/").status_code == 200
        assert asked == [(f"localhost:{port}", "localhost")]
        with pytest.raises(httpx.ConnectError, match="ostname mismatch"):
            http.get(f"https://other.example:{port}/")  # the address fits, the name does not
        with (
            pytest.raises(httpx.ConnectError, match="verify failed"),
            httpx.Client(transport=Pinned(Login(), resolve)) as stranger,
        ):
            stranger.get(f"https://localhost:{port}/")


@pytest.mark.parametrize("answer", [[METADATA], ["::ffff:169.254.169.254", "0.0.0.0"], ["fe80::1"]])
def test_nothing_is_opened_where_no_address_is_allowed(answer: list[str]) -> None:
    with pytest.raises(Refused), httpx.Client(transport=Pinned(Login(), answers(answer))) as http:
        http.get("http://hook.example/")


def test_a_name_nobody_knows_is_a_connection_that_failed() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    for resolve, told in ((unknown, "is unknown: Name or service"), (answers([]), "has no address")):
        with pytest.raises(httpx.ConnectError, match=told), httpx.Client(transport=Pinned(Login(), resolve)) as http:
            http.get("http://hook.example/")


def test_a_login_reads_its_files_each_time_and_shows_no_secret(tmp_path: Path) -> None:
    secret = tmp_path / "s"
    token, user = Login(bearer_token_file=secret), Login(username="me", password_file=secret)
    for word in ("one-canary", "two-canary"):
        secret.write_text(word + "\n")
        assert token.headers() == {"Authorization": f"Bearer {word}"}
        assert user.headers() == basic("me", word)
    assert "canary" not in repr((token, user))
    assert Login().headers() == {}


@pytest.mark.parametrize("text", [b"", b"two\nlines", b"ret\rurn", b"\xff\xfe", b"x" * 20_000])
def test_a_file_that_is_no_secret_is_told_without_its_text(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "s").write_bytes(text)
    with pytest.raises(LoginError, match="write the secret alone into it") as raised:
        Login(bearer_token_file=tmp_path / "s").headers()
    assert "two" not in str(raised.value)


def test_a_login_whose_files_cannot_be_used_is_a_reason_to_wait(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    logins = [Login(ca_file=tmp_path / "ca.pem"), Login(ca_file=tmp_path / "none"), Login(bearer_token_file=tmp_path)]

    async def scenario(login: Login) -> None:
        async with base.client(login, answers(["127.0.0.1"])) as http:
            await base.post(http, "https://hook.example/", b"{}", {}, login)

    for login, told in zip(logins, ("holds no certificate", "cannot read ca_file", "cannot read bearer"), strict=True):
        with pytest.raises(base.Retry, match=told):
            asyncio.run(scenario(login))


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"username": "me"}, "password_file: missing"),
        ({"password_file": Path("p")}, "username: missing"),
        ({"username": "a:b", "password_file": Path("p")}, "username: is empty or has a colon"),
        ({"username": "a", "password_file": Path("p"), "bearer_token_file": Path("t")}, "beside username"),
    ],
)
def test_parts_of_a_login_must_go_together(parts: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Login(**parts)
