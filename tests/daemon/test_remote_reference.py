"""A reference from an https URL, against a real TLS server with a certificate of its own."""
# ruff: noqa: E501  a message stands on one line, as users see it

from __future__ import annotations

import hashlib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from driftmon.cli.check_config import summary
from driftmon.daemon import remote
from driftmon.daemon.config import ConfigError, load
from driftmon.daemon.on_disk import load_references
from driftmon.daemon.redaction import redacted
from driftmon.monitor.references import reference_of
from tests.servers.helpers import require

REFERENCE = reference_of({"x": [float(value) for value in range(100)]}).to_bytes()
DIGEST = hashlib.sha256(REFERENCE).hexdigest()


@dataclass
class Host:
    """Answers what is put in `bodies`; a path that is not there is a redirect to one that is."""

    url: str
    logins: list[str] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=lambda: {"/r.json": REFERENCE})


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = [require("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    found = Host("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = found.bodies.get(self.path.partition("?")[0])
            found.logins.append(self.headers.get("Authorization", ""))
            self.send_response(302 if body is None else 200)
            self.send_header("Location", "/r.json")
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    found.url = f"https://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def config(folder: Path, reference: str) -> Path:
    path = folder / "d.yaml"
    path.write_text(
        f"version: 1\nstreams:\n  s:\n    reference: {{type: file, {reference}}}\n    features: {{x: {{type: numeric}}}}\n"
    )
    return path


def refused(folder: Path, reference: str) -> str:
    with pytest.raises(ConfigError) as raised:
        load_references(load(config(folder, reference), {}))
    return str(raised.value)


def test_it_is_loaded_as_a_file_would_be(host: Host, tmp_path: Path) -> None:
    found = load(config(tmp_path, f"url: '{host.url}/r.json?token=hush', sha256: {DIGEST}"), {})
    references = load_references(found)
    assert references["s"].to_bytes() == REFERENCE
    told = "\n".join(summary(found, references))
    assert "100 records" in told
    assert "hush" not in told


def test_it_logs_in_and_knows_the_host_by_its_own_authority(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    (tmp_path / "t").write_text("canary-token\n")
    login = "ca_file: cert.pem, bearer_token_file: t"
    found = load(config(tmp_path, f"url: '{host.url}/r.json', sha256: {DIGEST}, {login}"), {})
    assert load_references(found)["s"].to_bytes() == REFERENCE
    assert host.logins == ["Bearer canary-token"]
    shown = redacted(found)
    assert "ca_file" in shown
    assert "canary" not in shown
    (tmp_path / "t").write_text("two\nlines")
    assert "write the secret alone into it" in refused(tmp_path, f"url: '{host.url}/r.json', sha256: {DIGEST}, {login}")


@pytest.mark.parametrize(
    ("login", "text", "told"),
    [
        ("ca_file: f", "no certificate", "holds no certificate; name a PEM file of authorities"),
        ("bearer_token_file: f", "canary one\ncanary two", "has several lines or control characters; write the secret alone"),
        ("username: me, password_file: f", "", "is empty or too long; write the secret alone into it"),
        ("ca_file: none", "", "sinks[0].ca_file: "),
    ],
)  # fmt: skip
def test_a_sink_whose_login_cannot_work_is_told_before_the_first_alert(
    tmp_path: Path, login: str, text: str, told: str
) -> None:
    (tmp_path / "f").write_text(text)
    path = config(tmp_path, "path: p.json")
    (tmp_path / "p.json").write_bytes(REFERENCE)
    path.write_text(path.read_text() + f"sinks: [{{type: webhook, endpoint: 'http://h/', {login}}}]\n")
    with pytest.raises(ConfigError) as raised:
        load_references(load(path, {}))
    (fault,) = raised.value.faults
    assert told in str(fault)
    assert "sinks[0]" in str(fault)
    assert "canary" not in str(fault)


def test_other_bytes_than_were_reviewed_are_refused(host: Host, tmp_path: Path) -> None:
    host.bodies["/r.json"] = REFERENCE + b"\n"
    told = refused(tmp_path, f"url: '{host.url}/r.json?token=hush', sha256: {DIGEST}")
    assert f"not {DIGEST[:12]}...; review what is there, then name its digest" in told
    assert "hush" not in told


def test_a_redirect_is_not_followed(host: Host, tmp_path: Path) -> None:
    assert "it answered 302" in refused(tmp_path, f"url: '{host.url}/moved', sha256: {DIGEST}")


def test_no_more_is_read_than_the_limit(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "LIMIT_BYTES", 100)
    assert "it is larger than" in refused(tmp_path, f"url: '{host.url}/r.json', sha256: {DIGEST}")


def test_a_certificate_that_nobody_vouches_for_is_refused(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    told = refused(tmp_path, f"url: '{host.url}/r.json', sha256: {DIGEST}")
    assert "is it reachable, and its certificate trusted?" in told


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("url: 'http://h/r.json', sha256: x", "url: is no https URL; write url: https://host/path"),
        ("url: 'https://h/r.json'", "sha256: missing or no digest; write the 64 hex digits that sha256sum prints"),
        ("url: 'https://h/r.json', sha256: 12ab", "sha256: missing or no digest; write the 64 hex digits that sha256sum prints"),
        ("url: 'https://169.254.169.254/x', sha256: 12ab", "url: the address is link-local, where clouds hand out credentials; name the host's own address"),
        ("path: r.json, ca_file: c.pem", "ca_file: does nothing for a file; remove it, or use url and sha256"),
        ("path: r.json, username: me", "password_file: missing, and username needs it; name a file with the password"),
        ("path: r.json, url: 'https://h/r.json'", "path: beside url or sha256; use path, or url and sha256"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(tmp_path: Path, reference: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(config(tmp_path, reference), {})
    assert [str(fault) for fault in raised.value.faults] == [f"{tmp_path}/d.yaml:4  streams.s.reference.{message}"]
