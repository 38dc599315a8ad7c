"""Login: how we show who we are to a server, and by which authorities we know it.

Law: a secret is read from its file for each request and held by no object, so a rotated one holds at once and none
can be printed. One Login serves sinks, references by URL and the commands that ask a daemon.
"""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

LONGEST_SECRET: Final = 16 * 1024  # bytes; a token of Kubernetes has about 1 KiB


class LoginError(Exception):
    """A file of the login cannot be used; the message is "fault; cure" and holds no secret."""


@dataclass(frozen=True, kw_only=True)
class Login:
    """Options of everything that asks another server."""

    bearer_token_file: Path | None = field(
        default=None, metadata={"doc": "File with a token sent as Authorization: Bearer; read anew for each request."}
    )
    username: str | None = field(default=None, metadata={"doc": "Name for basic authentication, with password_file."})
    password_file: Path | None = field(
        default=None, metadata={"doc": "File with the password of username; read anew for each request."}
    )
    ca_file: Path | None = field(
        default=None,
        metadata={"doc": "Authorities that may vouch for an https server, as PEM, in place of the system's."},
    )

    def __post_init__(self) -> None:
        check_login(self)

    def headers(self) -> dict[str, str]:
        """Authorization, or nothing; LoginError."""
        if self.bearer_token_file is not None:
            return bearer(_secret("bearer_token_file", self.bearer_token_file))
        if self.username is not None and self.password_file is not None:
            return basic(self.username, _secret("password_file", self.password_file))
        return {}

    def context(self) -> ssl.SSLContext:
        """TLS that trusts `ca_file` alone, or without it whom OpenSSL does; LoginError."""
        if self.ca_file is None:
            return ssl.create_default_context()
        try:
            return ssl.create_default_context(cafile=str(self.ca_file))
        except ssl.SSLError:
            raise LoginError(f"ca_file {self.ca_file} holds no certificate; name a PEM file of authorities") from None
        except OSError as error:
            raise LoginError(f"cannot read ca_file {self.ca_file}: {error.strerror}; correct the path") from None


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def basic(user: str, password: str) -> dict[str, str]:
    """
    >>> basic("me", "pass")
    {'Authorization': 'Basic bWU6cGFzcw=='}
    """
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def check_login(login: Login) -> None:
    """ValueError "key: fault; cure" where the parts do not go together.

    >>> Login(username="me")
    Traceback (most recent call last):
    ValueError: password_file: missing, and username needs it; name a file with the password
    """
    if login.username is not None and login.password_file is None:
        raise ValueError("password_file: missing, and username needs it; name a file with the password")
    if login.password_file is not None and login.username is None:
        raise ValueError("username: missing, and password_file needs it; write username: NAME")
    if login.username is not None and (":" in login.username or not login.username):
        raise ValueError("username: is empty or has a colon, which ends a name; correct it")
    if login.username is not None and login.bearer_token_file is not None:
        raise ValueError("bearer_token_file: beside username; use one of the two")


def _secret(key: str, path: Path) -> str:
    """The text of the file without blanks around it; nothing that could end a header."""
    try:
        with open(path, "rb") as file:
            found = file.read(LONGEST_SECRET + 1).strip()
    except OSError as error:
        raise LoginError(f"cannot read {key} {path}: {error.strerror}; correct the path") from None
    if not found or len(found) > LONGEST_SECRET:
        raise LoginError(f"{key} {path} is empty or too long; write the secret alone into it")
    try:
        text = found.decode("ascii" if key == "bearer_token_file" else "utf-8")
    except UnicodeDecodeError:
        raise LoginError(f"{key} {path} holds no text; write the secret alone into it") from None
    if not text.isprintable():
        raise LoginError(f"{key} {path} has several lines or control characters; write the secret alone into it")
    return text
