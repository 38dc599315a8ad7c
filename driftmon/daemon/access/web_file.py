"""Web file: --web.config.file as it stands on disk, all that it names included, to a checked Access.

Law: a file that is wrong is refused whole, with line, fault and cure; no message holds a value that may be a secret.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypeAlias

from driftmon.daemon.access.credentials import Credentials
from driftmon.daemon.access.scopes import Scope
from driftmon.daemon.access.shapes import TokensShape, WebShape
from driftmon.daemon.access.tls import context_of
from driftmon.daemon.build import Builder, Wrong
from driftmon.daemon.faults import ConfigError, Fault, KeyFault, KeyPath
from driftmon.daemon.yaml_tree import MAX_BYTES, parse

Stamp: TypeAlias = tuple[int, int, int] | None

SECTIONS: Final = ("basic_auth_users", "bearer_tokens")
SHORTEST_TOKEN: Final = 16
MAKE_TOKEN: Final = "write one a line, as `openssl rand -hex 32` makes them"


@dataclass(frozen=True, slots=True)
class Access:
    """Who gets in and how; `stamps` is what the files it was read from looked like just before."""

    credentials: Credentials = field(repr=False)
    context: ssl.SSLContext | None
    verifies_clients: bool
    stamps: Mapping[Path, Stamp]

    @property
    def authenticates(self) -> bool:
        """Whether nobody reaches the API without showing who they are."""
        return self.credentials.has_any or self.verifies_clients


def stamp(file: Path) -> Stamp:
    """Differs once a file has changed; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def load(path: Path, environ: Mapping[str, str]) -> Access:
    """Read the file and those it names; ConfigError holds all faults."""
    stamps = {path: stamp(path)}
    data = _bytes_of(path)
    try:
        root, faults = parse(data, str(path))
    except ConfigError as error:
        raise ConfigError(list(map(_hushed, error.faults))) from None
    builder = Builder(root, str(path), path.absolute().parent, environ)
    with suppress(Wrong):
        shape = builder.shape(WebShape, root, ())
        if not faults and not builder.faults:
            made = _access(builder, shape, stamps)
            if not builder.faults:
                return made
    raise ConfigError(sorted(map(_hushed, [*faults, *builder.faults]), key=lambda fault: fault.line))


def _access(builder: Builder, shape: WebShape, stamps: Mapping[Path, Stamp]) -> Access:
    """Notes in `builder` what is wrong with the files."""
    tls, context, users = shape.tls_server_config, None, shape.basic_auth_users or {}
    named = dict(_named(shape))
    stamps = {**stamps, **{file: stamp(file) for file in named.values()}}
    texts = {keys: _text(builder, keys, file) for keys, file in named.items()}
    if users and find_spec("bcrypt") is None:
        builder.note(("basic_auth_users",), "needs the package bcrypt", "install driftmon-sidecar[auth]")
    if tls is not None and not builder.faults:
        try:
            context = context_of(tls)
        except KeyFault as error:
            builder.note(("tls_server_config", *error.path), error.fault, error.cure)
    tokens = {scope: _tokens(builder, texts, scope) for scope in Scope}
    required = tls is not None and tls.client_auth_type == "RequireAndVerifyClientCert"
    return Access(Credentials(users, tokens), context, required, stamps)


def _named(shape: WebShape) -> Iterator[tuple[KeyPath, Path]]:
    """The files that the file names, by key path."""
    tls, tokens = shape.tls_server_config, shape.bearer_tokens or TokensShape()
    for key in ("cert_file", "key_file", "client_ca_file"):
        if tls is not None and (file := getattr(tls, key)) is not None:
            yield ("tls_server_config", key), file
    for scope in Scope:
        if (found := getattr(tokens, scope.value)) is not None:
            yield ("bearer_tokens", scope.value, "file"), found.file


def _tokens(builder: Builder, texts: Mapping[KeyPath, str], scope: Scope) -> list[str]:
    keys = ("bearer_tokens", scope.value, "file")
    lines = [line.strip() for line in texts.get(keys, "").splitlines() if line.strip()]
    if keys in texts and not lines:
        builder.note(keys, "has no token", MAKE_TOKEN)
    if any(len(line) < SHORTEST_TOKEN or not line.isascii() or " " in line for line in lines):
        builder.note(keys, f"has a token under {SHORTEST_TOKEN} signs, or with blanks in it", MAKE_TOKEN)
    return lines


def _text(builder: Builder, keys: KeyPath, file: Path) -> str:
    try:
        return _bytes_of(file).decode("utf-8", "replace")
    except ConfigError as error:
        builder.note(keys, f"{file} {error.faults[0].fault}", error.faults[0].cure)
        return ""


def _bytes_of(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        fault = Fault(str(path), f"cannot be read, {reason}", "check the name and the permissions")
        raise ConfigError([fault]) from None


def _hushed(fault: Fault) -> Fault:
    """Without the value, where that may be a password or a token that stands in the wrong place."""
    if fault.fault.startswith(("*", "the tag ")):
        return Fault(fault.place, "a value begins with *, & or !", "put it in quotes", fault.line)
    if not any(section in fault.place for section in SECTIONS):
        return fault
    cure = "put it in quotes" if fault.cure.startswith("quote it") else fault.cure
    return Fault(fault.place, fault.fault.partition(", is the ")[0], cure, fault.line)
