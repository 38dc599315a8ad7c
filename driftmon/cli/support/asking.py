"""Asking: a command asks a running daemon, over http, https or its Unix socket, and says who it is.

Law: a secret comes from a file or the environment, never from an argument, which every process of the machine can
read; no message holds one, and no redirect or proxy gets one.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import click

from driftmon.outward.login import Login, LoginError, basic, bearer
from driftmon.sinks.base import shown_url

MOST_BYTES: Final = 256 * 1024 * 1024
MOST_TOLD: Final = 200
NOBODY: Final = "is a daemon running there? Start it, or name the address it listens at"
HOW: Final = "write it as http://host:port, https://host:port or unix:/path"

Command = TypeVar("Command", bound=Callable[..., Any])


class Unanswered(Exception):  # noqa: N818  it may be a healthy daemon's refusal
    """Nobody answered, or something that is no success; or one cannot even ask."""


@dataclass(frozen=True)
class Who:
    """Who we say we are: by files, or by the environment."""

    login: Login
    user: str | None = None  # whose password is in the environment

    def headers(self, environ: Mapping[str, str]) -> dict[str, str]:
        if found := self.login.headers():
            return found
        if self.user:
            return basic(self.user, environ.get("DRIFTMON_PASSWORD", ""))
        if token := environ.get("DRIFTMON_TOKEN", "").strip():
            if not token.isascii() or not token.isprintable():
                raise LoginError("DRIFTMON_TOKEN has other than printable ASCII; write the token alone into it")
            return bearer(token)
        return {}


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Asked:
    """One daemon by its base URL."""

    def __init__(self, url: str, who: Who, environ: Mapping[str, str] = os.environ) -> None:
        self._url, self._who, self._environ = url, who, environ
        self._parts = urlsplit(url)
        if self._parts.username is not None:
            raise Unanswered(f"{shown_url(url)} has a user in it; use --user and --password-file")
        known = self._parts.scheme in ("http", "https") and self._parts.hostname
        if not known and not (url.startswith("unix:/") and len(url) > len("unix:/")):
            raise Unanswered(f"{shown_url(url) if '://' in url else url} is no URL of a daemon; {HOW}")

    def __str__(self) -> str:
        return self._url if self._parts.scheme == "unix" else shown_url(self._url)

    def ask(self, path: str, timeout_s: float, body: bytes | None = None) -> bytes:
        """GET, or POST where there is a body; Unanswered says what the daemon said."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        base = "" if self._parts.scheme == "unix" else self._parts.path.rstrip("/")
        try:
            with closing(self._connection(timeout_s)) as connection:
                sent = {**headers, **self._who.headers(self._environ)}
                connection.request("GET" if body is None else "POST", base + path, body, sent)
                reply = connection.getresponse()
                found = reply.read(MOST_BYTES + 1)
        except LoginError as fault:
            raise Unanswered(str(fault)) from None
        except (OSError, http.client.HTTPException) as fault:
            raise Unanswered(f"{self}: {_reason(fault)}; {NOBODY}") from fault
        if len(found) > MOST_BYTES:
            raise Unanswered(f"{self}: the answer is longer than {MOST_BYTES >> 20} MiB; is that a driftmon?")
        if not 200 <= reply.status < 300:
            raise Unanswered(f"{self}: {reply.status} {_detail(found) or reply.reason}")
        return found

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        match self._parts.scheme:
            case "unix":
                return _Unix(self._parts.path, timeout_s)
            case "https":
                context = self._who.login.context()
                return http.client.HTTPSConnection(self._parts.netloc, timeout=timeout_s, context=context)
        return http.client.HTTPConnection(self._parts.netloc, timeout=timeout_s)


def login_options(function: Command) -> Command:
    """--ca-file, --token-file, --user and --password-file, for a command that takes **login."""
    file = click.Path(path_type=Path, dir_okay=False)
    for option in (
        click.option("--password-file", type=file, envvar="DRIFTMON_PASSWORD_FILE",
                     help="Its password; or the variable DRIFTMON_PASSWORD."),
        click.option("--user", metavar="NAME", envvar="DRIFTMON_USER", help="A user of the daemon's."),
        click.option("--token-file", type=file, envvar="DRIFTMON_TOKEN_FILE",
                     help="A bearer token; or the variable DRIFTMON_TOKEN."),
        click.option("--ca-file", type=file, envvar="DRIFTMON_CA_FILE",
                     help="Authorities that may vouch for the daemon, as PEM."),
    ):  # fmt: skip
        function = option(function)
    return function


def who_of(given: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Who:
    """Of what `login_options` found; UsageError where the parts do not go together."""
    user, password_file, token_file = given["user"], given["password_file"], given["token_file"]
    if user and token_file:
        raise click.UsageError("--token-file beside --user; use one of the two")
    if password_file and not user:
        raise click.UsageError("--password-file without --user")
    if user and not password_file and not environ.get("DRIFTMON_PASSWORD"):
        raise click.UsageError("--user needs --password-file, or the variable DRIFTMON_PASSWORD")
    if user and not password_file:
        return Who(Login(ca_file=given["ca_file"]), user)
    try:
        files = {"bearer_token_file": token_file, "password_file": password_file, "ca_file": given["ca_file"]}
        return Who(Login(username=user, **files))
    except ValueError as fault:
        raise click.UsageError(str(fault)) from None


def _reason(fault: Exception) -> str:
    return str(getattr(fault, "strerror", None) or fault or type(fault).__name__)


def _detail(body: bytes) -> str:
    try:
        problem: Any = json.loads(body)
        return str(problem["detail"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[:MOST_TOLD].strip()
