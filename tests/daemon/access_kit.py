"""A web configuration file with all it names, certificates by openssl, and who asks."""

from __future__ import annotations

import base64
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import bcrypt
import httpx
import yaml

from tests.daemon.kit import Running

PASSWORD: Final = "canary-password-7f3a"
TOKENS: Final = {scope: f"canary-{scope}-token-51c0" for scope in ("ingest", "read", "admin")}
HASH: Final = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()


def basic(user: str = "me", password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


WHO: Final[Mapping[str, dict[str, str]]] = {
    "nobody": {},
    "wrong password": basic(password="wrong"),
    "unknown user": basic(user="you"),
    "wrong token": bearer("x" * 24),
    "nonsense": {"Authorization": "Basic %%%"},
    **{scope: bearer(token) for scope, token in TOKENS.items()},
    "user": basic(),
}


def write_web(folder: Path, **sections: Any) -> Path:
    """`web.yaml` of these sections; `users()`, `tokens()` and `tls()` make them."""
    path = folder / "web.yaml"
    path.write_text(yaml.safe_dump(sections, sort_keys=False))
    return path


def users() -> dict[str, Any]:
    return {"basic_auth_users": {"me": HASH}}


def tokens(folder: Path) -> dict[str, Any]:
    for scope, token in TOKENS.items():
        (folder / f"{scope}.token").write_text(token + "\n")
    return {"bearer_tokens": {scope: {"file": f"{scope}.token"} for scope in TOKENS}}


def tls(**more: str) -> dict[str, Any]:
    return {"tls_server_config": {"cert_file": "server.crt", "key_file": "server.key", **more}}


def make_certificate(folder: Path, name: str = "server", common: str = "localhost") -> ssl.SSLContext:
    """`name`.crt and .key, its own authority, for localhost; what a client that trusts it alone uses."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt"), "-days", "2"]
    command += ["-subj", f"/CN={common}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return ssl.create_default_context(cafile=str(folder / f"{name}.crt"))


async def fresh(daemon: Running, context: ssl.SSLContext, path: str = "/-/ready", **headers: str) -> int:
    """The status on a new connection."""
    async with httpx.AsyncClient(base_url=daemon.app.urls["api"][0], verify=context, trust_env=False) as http:
        return (await http.get(path, headers=headers)).status_code
