"""Shapes of the file of --web.config.file: the keys of exporter-toolkit's, and beside them `bearer_tokens`.

Law: a key of the toolkit's that driftmon does not honour is refused, never ignored: it may be what keeps someone out.
"""
# ruff: noqa: RUF009  doc() is dataclasses.field

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal, TypeAlias

from driftmon.daemon.faults import KeyFault
from driftmon.daemon.settings import doc

ClientAuth: TypeAlias = Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"]

BCRYPT: Final = re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{53}")
COSTS: Final = range(4, 17)  # 4 is bcrypt's least; 16 takes seconds a login
MAKE_HASH: Final = "write what `htpasswd -nBC 10 USER` prints after the colon"


def check_users(users: Mapping[str, str]) -> None:
    """Every value a bcrypt hash; a message never repeats one: it may be the password itself."""
    for name, value in users.items():
        found = BCRYPT.fullmatch(value)
        if not name or ":" in name:
            raise KeyFault((name,), "is empty or has a colon, which ends the name in a login", "choose another name")
        if found is None:
            raise KeyFault((name,), "is no bcrypt hash", MAKE_HASH)
        if int(found["cost"]) not in COSTS:
            raise KeyFault((name,), f"its cost is not within {COSTS[0]} to {COSTS[-1]}", MAKE_HASH)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsShape:
    """The certificate of both listeners, and which clients' certificates are asked for."""

    NOT_YET: ClassVar = (
        "cert", "key", "client_ca", "client_allowed_sans", "max_version", "cipher_suites", "curve_preferences",
        "prefer_server_cipher_suites",
    )  # fmt: skip

    cert_file: Path = doc("Certificate, then its chain, as PEM.", example="cert_file: server.crt")
    key_file: Path = doc("Its private key as PEM, without a passphrase.", example="key_file: server.key")
    client_ca_file: Path | None = doc("Authorities whose clients are let in, as PEM.", None)
    client_auth_type: ClientAuth = doc(
        "Whether clients must show a certificate.",
        "NoClientCert",
        not_yet=("RequestClientCert", "RequireAnyClientCert"),
    )
    min_version: Literal["TLS12", "TLS13"] = doc("The oldest TLS.", "TLS12", not_yet=("TLS10", "TLS11"))

    def __post_init__(self) -> None:
        verifies = self.client_auth_type != "NoClientCert"
        if verifies and self.client_ca_file is None:
            raise KeyFault("client_ca_file", f"missing, and {self.client_auth_type} needs it", "name the authorities")
        if self.client_ca_file is not None and not verifies:
            cure = "add client_auth_type: RequireAndVerifyClientCert, or remove client_ca_file"
            raise KeyFault("client_ca_file", "does nothing without client_auth_type", cure)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenShape:
    """Where the tokens of one scope lie."""

    file: Path = doc("File of tokens, one a line.", example="file: driftmon.token")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensShape:
    """Who may do what on the API: `ingest` sends records, `read` looks, `admin` does everything."""

    ingest: TokenShape | None = doc("May send records and nothing else.", None)
    read: TokenShape | None = doc("May see pages, reports, metrics and snapshots.", None)
    admin: TokenShape | None = doc("May do everything: also reload and promote.", None)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebShape:
    """The whole file."""

    NOT_YET: ClassVar = ("http_server_config", "rate_limit")

    tls_server_config: TlsShape | None = doc("TLS on both listeners.", None)
    basic_auth_users: Mapping[str, str] | None = doc(
        "Names and bcrypt hashes; a user may do everything.", None, check=check_users
    )
    bearer_tokens: TokensShape | None = doc("Tokens of programs, by what they may do.", None)
