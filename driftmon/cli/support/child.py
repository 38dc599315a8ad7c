"""Child: a real `driftmon run` in a process of its own, and a webhook that takes its alerts.

Law: whatever happens here, the child ends with us.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, TypeAlias

import httpx

from driftmon.cli.support.faults import Fault

START_S: Final = 30.0
STOP_S: Final = 15.0
Notification: TypeAlias = Mapping[str, Any]  # one alert of Alertmanager's webhook JSON


@dataclass(frozen=True, slots=True)
class Child:
    """Where the daemon listens, and where it logs."""

    web: str
    api: str
    log: Path
    process: subprocess.Popen[bytes]

    def post(self, client: httpx.Client, stream: str, body: bytes) -> None:
        """Send events; wait as long as the daemon asks to when it is busy."""
        while True:
            reply = client.post(f"{self.api}/api/v1/ingest/{stream}", content=body)
            if reply.status_code not in (429, 503):
                reply.raise_for_status()
                return
            time.sleep(float(reply.headers.get("Retry-After", "1")))

    def report(self, client: httpx.Client) -> dict[str, Any]:
        found: dict[str, Any] = client.get(f"{self.api}/api/v1/report").raise_for_status().json()
        return found


@contextmanager
def running(config_file: Path, environ: Mapping[str, str]) -> Iterator[Child]:
    """The daemon, ready; on the usual ports if they are free."""
    web, api = f"127.0.0.1:{free_port(10517)}", f"127.0.0.1:{free_port(10518)}"
    log = config_file.with_name("driftmon.log")
    verb = [sys.executable, "-m", "driftmon", "run", "--config.file", str(config_file)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*verb, "--web.listen-address", web, "--api.listen-address", api],
            stdout=subprocess.DEVNULL,
            stderr=file,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environ},
            start_new_session=True,  # Ctrl-C is ours to handle: the child gets its SIGTERM once we have said goodbye
        )
    child = Child(f"http://{web}", f"http://{api}", log, process)
    try:
        _wait(child)
        yield child
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port(wanted: int) -> int:
    """The port wanted, or any free one."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(("127.0.0.1", port))
            return int(tried.getsockname()[1])
    raise Fault("no free port on 127.0.0.1")


def _wait(child: Child) -> None:
    deadline = time.monotonic() + START_S
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() < deadline and child.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if client.get(f"{child.web}/-/ready").is_success:
                    return
            time.sleep(0.05)
    said = child.log.read_text(errors="replace").strip()
    raise Fault(f"the daemon did not start; it said:\n{said}")


@contextmanager
def webhook() -> Iterator[tuple[str, queue.SimpleQueue[Notification]]]:
    """(URL, queue): alerts posted to the URL arrive in the queue, in order."""
    arrived: queue.SimpleQueue[Notification] = queue.SimpleQueue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
            for alert in body["alerts"]:
                arrived.put(alert)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's name
            """Silent: what arrives is shown as an alert."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, name="webhook", daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", arrived
    finally:
        server.shutdown()
        server.server_close()
