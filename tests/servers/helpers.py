"""Starting real servers for one test: free ports, waiting for readiness, a webhook receiver's memory."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import pytest

READY_SECONDS = 120.0  # says that it hangs; a machine that does much else needs many of them
FIRST_PORT, PORTS = 20_000, 12_000
_offered = count(os.getpid())  # two runs on one machine begin at different ones


def require(binary: str, cure: str = "apt-get install prometheus prometheus-alertmanager") -> str:
    """The path of a program; a test without it is skipped, or fails when DRIFTMON_REQUIRE_SERVERS=1."""
    beside = Path(sys.executable).parent  # tools of the dev group, whether or not their environment is active
    found = shutil.which(binary, path=f"{beside}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    if found is None:
        reason = f"{binary} is not installed: {cure}"
        if os.environ.get("DRIFTMON_REQUIRE_SERVERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def free_port() -> int:
    """A port to listen on later: of this worker's share, and below those the kernel gives to whoever connects."""
    workers, mine = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")), os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    while True:
        port = FIRST_PORT + (next(_offered) * workers + int(mine.removeprefix("gw"))) % PORTS
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def until(what: str, found: Callable[[], Any], seconds: float = READY_SECONDS) -> Any:
    """Ask a foreign process until it has an answer; it offers nothing to wait on."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            answer = found()
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise  # a mistake of ours, which waiting does not mend
            answer = None
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            answer = None
        if answer:
            return answer
        time.sleep(0.05)
    pytest.fail(f"{what}: nothing within {seconds:.0f} s")


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as reply:
        data: bytes = reply.read()
    return data or b"ok"


def get_json(url: str) -> Any:
    return json.loads(get(url))


@contextmanager
def running(arguments: list[str], ready_url: str, log: Path) -> Iterator[None]:
    """Run a server until the block ends."""
    with log.open("wb") as output, subprocess.Popen(arguments, stdout=output, stderr=output) as process:
        try:
            until(f"{arguments[0]} (see {log})", lambda: process.poll() is None and get(ready_url))
            yield
        finally:
            process.terminate()


@contextmanager
def prometheus(target: str, folder: Path) -> Iterator[str]:
    """A real Prometheus that scrapes host:port each second; gives its URL. The first scrape takes some 5 s."""
    binary, address = require("prometheus"), f"127.0.0.1:{free_port()}"
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        f"scrape_configs: [{{job_name: driftmon, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    arguments = [
        binary,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={address}",
    ]
    with running(arguments, f"http://{address}/-/ready", folder / "prometheus.log"):
        yield f"http://{address}"


@contextmanager
def alertmanager(webhook_url: str, folder: Path) -> Iterator[str]:
    """A real Alertmanager that passes everything on to a webhook, at once; gives its URL."""
    binary, address = require("prometheus-alertmanager"), f"127.0.0.1:{free_port()}"
    (folder / "alertmanager.yml").write_text(
        "route: {receiver: inbox, group_by: ['...'], group_wait: 0s, group_interval: 1s}\n"
        f"receivers: [{{name: inbox, webhook_configs: [{{url: '{webhook_url}', send_resolved: true}}]}}]\n"
    )
    arguments = [
        binary,
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    with running(arguments, f"http://{address}/-/ready", folder / "alertmanager.log"):
        yield f"http://{address}"


def query(url: str, expression: str) -> list[dict[str, Any]]:
    """An instant query: [{"metric": {...}, "value": [time, text]}]."""
    found = get_json(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
    return list(found["data"]["result"])


@dataclass
class Inbox:
    """A webhook receiver; `next` waits for the next body."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def next(self, status: str, seconds: float = READY_SECONDS) -> dict[str, Any]:
        """The first body of this status, waited for."""

        def found() -> dict[str, Any] | None:
            return next((body for body in self.bodies if body["status"] == status), None)

        with self.arrived:
            assert self.arrived.wait_for(lambda: found() is not None, seconds), f"no {status} within {seconds} s"
            body = found()
        assert body is not None
        return body


@contextmanager
def webhook_receiver() -> Iterator[Inbox]:
    """Where a webhook may post to."""
    state = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with state.arrived:
                state.bodies.append(body)
                state.arrived.notify_all()
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with serving(Handler) as address:
        state.url = f"http://{address}/"
        yield state


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The smallest HTTP server there is; gives host:port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
