"""Mistakes in the web configuration: file, line, fault, cure, and never the value that may be a secret."""

from pathlib import Path

import pytest

from driftmon.daemon.access.web_file import load
from driftmon.daemon.faults import ConfigError
from tests.daemon.access_kit import HASH, make_certificate

SECRET = "canary-hunter2-in-plain"
PAIR = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
MISTAKES = [
    (f"basic_auth_users:\n  me: {SECRET}", "2  basic_auth_users.me: is no bcrypt hash; write what `htpasswd"),
    (f"basic_auth_users: {SECRET}", "1  basic_auth_users: must be names and values; write name: value"),
    ("basic_auth_users: {me: 1234567890}", "1  basic_auth_users.me: must be text; put it in quotes"),
    (f"basic_auth_users: {{me: *{SECRET}}}", "1  basic_auth_users.me: a value begins with *, & or !; put it in quotes"),
    (f"basic_auth_users: {{me: !{SECRET} x}}", "1  basic_auth_users.me: a value begins with *, & or !"),
    (f"basic_auth_users: {{me: {HASH[:4]}31{HASH[6:]}}}", "its cost is not within 4 to 16"),
    (f"basic_auth_users: {{'a:b': {HASH}}}", "has a colon, which ends the name in a login"),
    (f"bearer_tokens: {SECRET}", "1  bearer_tokens: must be keys and values; write key: value"),
    (f"bearer_tokens: {{read: {SECRET}}}", "1  bearer_tokens.read: must be keys and values; write key: value"),
    ("bearer_tokens: {reed: {file: t}}", "1  bearer_tokens.reed: unknown key; did you mean read?"),
    ("bearer_tokens: {read: {file: none}}", "none cannot be read, no such file or directory; check the name"),
    ("bearer_tokens: {read: {file: empty}}", "bearer_tokens.read.file: has no token; write one a line"),
    ("bearer_tokens: {read: {file: short}}", "has a token under 16 signs, or with blanks in it; write one a line"),
    ("tls_server_config: {cert_file: server.crt}", "tls_server_config.key_file: missing; write key_file: server.key"),
    ("tls_server_config: {cert_file: server.crt, key_file: other.key}", "key_file: is not the key of cert_file; name"),
    ("tls_server_config: {cert_file: short, key_file: other.key}", "cert_file: and key_file are no certificate and"),
    ("tls_server_config: {client_allowed_sans: [a]}", "tls_server_config.client_allowed_sans: not available yet"),
    ("http_server_config: {http2: true}", "1  http_server_config: not available yet; remove it"),
    ("tls_server_config: {cert_file: c, key_file: k, min_version: TLS11}", "TLS11 is not available yet; use TLS12 or"),
    (
        "tls_server_config: {cert_file: c, key_file: k, client_auth_type: RequireAnyClientCert}",
        "RequireAnyClientCert is not available yet; use NoClientCert or VerifyClientCertIfGiven or",
    ),
    (
        "tls_server_config: {cert_file: c, key_file: k, client_auth_type: RequireAndVerifyClientCert}",
        "tls_server_config.client_ca_file: missing, and RequireAndVerifyClientCert needs it",
    ),
    (
        "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: server.crt}",
        "client_ca_file: does nothing without client_auth_type; add client_auth_type: RequireAndVerifyClientCert",
    ),
    (
        f"{PAIR}  client_ca_file: short\n  client_auth_type: VerifyClientCertIfGiven",
        "client_ca_file: holds no certificate; name a PEM file of authorities",
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("web")
    make_certificate(made)
    make_certificate(made, "other")
    (made / "empty").write_text("\n \n")
    (made / "short").write_text(SECRET[:15])
    return made


@pytest.mark.parametrize(
    ("text", "said"), MISTAKES, ids=[said for _, said in MISTAKES]
)  # the hash is another each time
def test_a_mistake_is_told_with_line_and_cure_but_without_the_secret(folder: Path, text: str, said: str) -> None:
    path = folder / "web.yaml"
    path.write_text(text + "\n")
    with pytest.raises(ConfigError) as told:
        load(path, {})
    assert said in str(told.value)
    assert str(path) in str(told.value)
    assert not [word for word in (SECRET, SECRET[:15], "1234567890", HASH[7:]) if word in str(told.value)]


def test_without_bcrypt_users_are_refused_and_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftmon.daemon.access.web_file.find_spec", lambda name: None)
    path = folder / "web.yaml"
    path.write_text(f"basic_auth_users: {{me: {HASH}}}\n")
    with pytest.raises(ConfigError, match=r"needs the package bcrypt; install driftmon-sidecar\[auth\]"):
        load(path, {})


def test_what_the_toolkit_writes_is_read_and_paths_may_hold_variables(folder: Path) -> None:
    path = folder / "web.yaml"
    path.write_text(
        "tls_server_config:\n  cert_file: server.crt\n  key_file: ${KEYS}/server.key\n  min_version: TLS13\n"
        f"basic_auth_users:\n  me: {HASH.replace('$2b$', '$2y$')}\n"
    )
    found = load(path, {"KEYS": str(folder)})
    assert found.authenticates
    assert found.context is not None
    assert HASH[7:] not in repr(found)
