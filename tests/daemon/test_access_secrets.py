"""Canaries: secrets are given to a daemon that logs all it can, and looked for in everything it says."""

import re
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.daemon.access_kit import HASH, PASSWORD, TOKENS, WHO, make_certificate, tls, tokens, users, write_web
from tests.daemon.kit import ready_config

DEADLINE_S = 30.0
SEEN = [
    "/",
    "/status",
    "/config",
    "/alerts",
    "/features/s/x",
    "/metrics",
    "/openapi.json",
    "/api/v1/report",
    "/api/v1/streams/s/snapshot",
]
ASTRAY = ["/nothing", "/api/v1/streams/s/features/none", "/features/s/none"]


def address_of(log: Path, process: "subprocess.Popen[bytes]") -> str:
    limit_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < limit_s and process.poll() is None:
        if found := re.search(r"api listens on https://[0-9.]+:(\d+)", log.read_text()):
            return f"https://localhost:{found[1]}"
        time.sleep(0.02)
    raise AssertionError(log.read_text())


def test_no_secret_is_in_logs_pages_answers_or_errors(tmp_path: Path) -> None:
    context = make_certificate(tmp_path)
    web = write_web(tmp_path, **tls(), **users(), **tokens(tmp_path))
    command = [sys.executable, "-m", "driftmon", "run", "--config.file", str(ready_config(tmp_path))]
    command += ["--web.config.file", str(web), "--web.enable-lifecycle", "--log.level", "debug"]
    command += ["--web.listen-address", "127.0.0.1:0", "--api.listen-address", "0.0.0.0:0"]  # for others: it asks
    log = tmp_path / "log"
    said = ""
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=address_of(log, process), verify=context, trust_env=False) as http:
            for headers in WHO.values():
                for path in (*SEEN, *ASTRAY):
                    reply = http.get(path, headers=headers)
                    said += f"{reply.text}{reply.headers}"
            assert http.get("/config", headers=WHO["user"]).status_code == 200
            web.write_text(f"basic_auth_users:\n  me: {PASSWORD}\nbearer_tokens: {TOKENS['admin']}\n")
            said += http.post("/-/reload", headers=WHO["admin"]).text
            assert "was not read again" in log.read_text()
    finally:
        process.terminate()
        assert process.wait(DEADLINE_S) == 0
    said += log.read_text()
    private = (tmp_path / "server.key").read_text().splitlines()[1]
    basic = WHO["user"]["Authorization"].split()[1]
    secrets = (PASSWORD, HASH[7:], basic, private, *TOKENS.values())
    assert not [secret for secret in secrets if secret in said]
    assert "canary" not in said.replace(str(tmp_path), "")
