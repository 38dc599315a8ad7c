"""The daemon as a process: signals, exit codes, restarts. What is asserted is exact: sent == counted."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from driftmon.daemon.pump import Pump
from tests.daemon.kit import IN_CLEAR, end_with_parent, ndjson, ready_config, records, running, stream, write_config

T = TypeVar("T")
DEADLINE_S = 60.0


class Daemon:
    """`python -m driftmon run` on ports the system chose, read from its log."""

    def __init__(self, config: Path, *flags: str) -> None:
        local = ("--web.listen-address", "127.0.0.1:0", "--api.listen-address", "127.0.0.1:0")
        command = [sys.executable, "-m", "driftmon", "run", "--config.file", str(config), *local, *flags]
        self.log = config.parent / f"log-{time.monotonic_ns()}"
        with self.log.open("wb") as log:
            # The kernel means the thread by the parent: one that a passing thread started would end with it.
            before = end_with_parent if threading.current_thread() is threading.main_thread() else None
            self.process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL, preexec_fn=before)  # noqa: PLW1509
        self.web = self.wait(lambda: self._address("web"))
        self.api = self.wait(lambda: self._address("api"))
        self.wait(lambda: self.get(self.web, "/-/ready")[0] == 200)

    def _address(self, kind: str) -> str | None:
        found = re.search(rf"{kind} listens on http://([0-9.]+:\d+)", self.log.read_text())
        return found.group(1) if found else None

    def wait(self, condition: Callable[[], T | None]) -> T:
        limit_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < limit_s:
            if found := condition():
                return found
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError(f"waited in vain; the log:\n{self.log.read_text()}")

    def get(self, address: str, path: str) -> tuple[int, str]:
        reply = httpx.get(f"http://{address}{path}", trust_env=False, verify=IN_CLEAR, timeout=DEADLINE_S)
        return reply.status_code, reply.text

    def post(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        url = f"http://{self.api}/api/v1/ingest/s"
        reply = httpx.post(url, content=ndjson(rows), trust_env=False, verify=IN_CLEAR, timeout=DEADLINE_S)
        found: dict[str, Any] = reply.json()
        return found

    def feature(self, name: str = "x") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get(self.api, f"/api/v1/streams/s/features/{name}")[1])
        return found

    def wait_for_metric(self, line: str, value: float) -> None:
        self.wait(lambda: f"\n{line} {value!r}\n" in self.get(self.web, "/metrics")[1])

    def wait_for_observations(self, count: int) -> None:
        self.wait_for_metric('driftmon_observations_total{stream="s",feature="x"}', float(count))

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)


@contextmanager
def started(config: Path, *flags: str) -> Iterator[Daemon]:
    daemon = Daemon(config, *flags)
    try:
        yield daemon
    finally:
        daemon.process.kill()
        daemon.process.wait()


def test_sigterm_drains_answers_and_exits_0(tmp_path: Path) -> None:
    with started(ready_config(tmp_path), "--storage.path", str(tmp_path / "state")) as daemon:
        host, port = daemon.api.split(":")
        body = ndjson(records(100))
        with socket.create_connection((host, int(port)), timeout=DEADLINE_S) as slow, slow.makefile("rb") as replies:
            head = f"POST /api/v1/ingest/s HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            slow.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
            assert replies.readline() == b"HTTP/1.1 100 Continue\r\n"  # so it is being read now
            slow.sendall(body[:-1])
            daemon.process.send_signal(signal.SIGTERM)
            daemon.wait(lambda: "draining" in daemon.log.read_text())
            slow.sendall(body[-1:])
            answer = replies.read()
            assert b"HTTP/1.1 200 OK" in answer
            assert b'"accepted": 100' in answer
        assert daemon.process.wait(DEADLINE_S) == 0
    with started(tmp_path / "driftmon.yaml", "--storage.path", str(tmp_path / "state")) as daemon:
        daemon.wait_for_observations(100)


def test_a_stop_told_twice_at_once_keeps_what_was_counted(tmp_path: Path) -> None:
    """timeout(1) signals its child and then their group: the second SIGTERM ended the drain, and nothing was saved."""
    with started(ready_config(tmp_path), "--storage.path", str(tmp_path / "state")) as daemon:
        assert daemon.post(records(50))["accepted"] == 50
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait(lambda: "draining" in daemon.log.read_text())
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(DEADLINE_S) == 0
    with started(tmp_path / "driftmon.yaml", "--storage.path", str(tmp_path / "state")) as daemon:
        daemon.wait_for_observations(50)


def test_a_later_signal_ends_a_drain_that_hangs(tmp_path: Path) -> None:
    with started(ready_config(tmp_path)) as daemon:
        host, port = daemon.api.split(":")
        with socket.create_connection((host, int(port)), timeout=DEADLINE_S) as slow:
            slow.sendall(b"POST /api/v1/ingest/s HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            daemon.process.send_signal(signal.SIGTERM)
            daemon.wait(lambda: "draining" in daemon.log.read_text())
            limit_s = time.monotonic() + DEADLINE_S
            while daemon.process.poll() is None and time.monotonic() < limit_s:
                daemon.process.send_signal(signal.SIGTERM)  # those of the first second are one wish, told again
                time.sleep(0.02)
            assert daemon.process.returncode == -signal.SIGTERM


def test_a_restart_finds_counts_alerts_and_how_far_files_were_read(tmp_path: Path) -> None:
    followed = tmp_path / "a.ndjson"
    followed.write_bytes(ndjson(records(1000, shift=2.0)))
    sources = [{"type": "http"}, {"type": "file", "path": str(followed), "follow": True}]
    config = ready_config(tmp_path, {"s": stream(sources=sources)})
    firing = 'driftmon_alert_state{stream="s",feature="x",window="fast",rule="Drift",severity="warning"}'
    with started(config, "--storage.path", str(tmp_path / "state")) as daemon:
        assert daemon.post(records(500, shift=2.0))["accepted"] == 500
        daemon.wait_for_observations(1500)
        daemon.wait_for_metric(firing, 2.0)
        (since,) = (alert["since_ms"] for alert in daemon.feature()["alerts"])
        assert daemon.stop() == 0
    with followed.open("ab") as more:
        more.write(ndjson(records(7)))
    with started(config, "--storage.path", str(tmp_path / "state")) as daemon:
        daemon.wait_for_observations(1507)
        assert [alert["since_ms"] for alert in daemon.feature()["alerts"]] == [since]
        assert "alert firing" not in daemon.log.read_text()  # no news


def test_without_storage_a_restart_starts_empty_and_says_so(tmp_path: Path) -> None:
    config = ready_config(tmp_path)
    for _ in range(2):
        with started(config) as daemon:
            daemon.wait_for_observations(0)
            daemon.wait_for_metric("driftmon_storage_ephemeral", 1.0)
            assert "nothing is kept over a restart; start with --storage.path DIR" in daemon.log.read_text()
            daemon.post(records(5))
            daemon.wait_for_observations(5)
            assert daemon.stop() == 0


def test_sighup_reloads_all_or_nothing(tmp_path: Path) -> None:
    config = ready_config(tmp_path)
    with started(config) as daemon:
        daemon.post(records(200))
        good = config.read_text()
        config.write_text(good.replace("x:", "x: {type: numric}\n      y:"))
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for_metric("driftmon_config_last_reload_successful", 0.0)
        assert "did you mean numeric?" in daemon.log.read_text()
        daemon.post(records(50))
        config.write_text(good)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for_metric("driftmon_config_last_reload_successful", 1.0)
        daemon.wait_for_observations(250)


def test_reloads_under_load_lose_no_record(tmp_path: Path) -> None:
    """fault matrix 15, in small: half of the reloads are invalid."""
    config = ready_config(tmp_path)
    good = config.read_text()
    with started(config) as daemon:
        for round_ in range(20):
            config.write_text(good if round_ % 2 else good + "nonsense: 1\n")
            daemon.process.send_signal(signal.SIGHUP)
            assert daemon.post(records(100))["accepted"] == 100
        daemon.wait_for_observations(2000)
        assert daemon.stop() == 0


def test_a_followed_file_is_rotated_and_truncated_under_the_daemon(tmp_path: Path) -> None:
    followed = tmp_path / "a.ndjson"
    followed.write_bytes(ndjson(records(10)))
    sources = [{"type": "file", "path": str(followed), "follow": True}]
    with started(ready_config(tmp_path, {"s": stream(sources=sources)})) as daemon:
        daemon.wait_for_observations(10)
        followed.rename(tmp_path / "a.ndjson.1")
        followed.write_bytes(ndjson(records(20)))
        daemon.wait_for_observations(30)
        followed.write_bytes(ndjson(records(5)))
        daemon.wait_for_observations(35)


def test_records_come_by_unix_socket_and_by_pipe(tmp_path: Path) -> None:
    sources = [{"type": "unix", "path": "s.sock"}, {"type": "stdin"}]
    with started(ready_config(tmp_path, {"s": stream(sources=sources)})) as daemon:
        daemon.wait((tmp_path / "s.sock").exists)
        with socket.socket(socket.AF_UNIX) as writer:
            writer.connect(str(tmp_path / "s.sock"))
            writer.sendall(ndjson(records(30)))
        daemon.wait_for_observations(30)
        assert daemon.stop() == 0
        assert not (tmp_path / "s.sock").exists()


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--api.listen-address", "0.0.0.0:0"], 2, "is reachable from other machines"),
        (["--api.listen-address", "nonsense"], 2, "'nonsense' is no address"),
        (["--web.config.file", "x"], 2, "x: cannot be read, no such file or directory; check the name"),
        (["--storage.path", "driftmon.yaml"], 73, "choose a folder on a disk with room that this user may write"),
    ],
)
def test_what_keeps_it_from_starting_is_one_message_and_an_exit_code(
    tmp_path: Path, flags: list[str], code: int, said: str
) -> None:
    config = ready_config(tmp_path)
    local = ("--web.listen-address", "127.0.0.1:0")
    command = [sys.executable, "-m", "driftmon", "run", "--config.file", str(config), *local, *flags]
    environ = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, env=environ, check=False)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_reference_that_is_not_there_exits_2_with_the_command_that_makes_it(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    command = [sys.executable, "-m", "driftmon", "run", "--config.file", str(config)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "driftmon reference build DATA" in ended.stderr


def test_two_daemons_do_not_share_a_state(tmp_path: Path) -> None:
    config = ready_config(tmp_path)
    with started(config, "--storage.path", str(tmp_path / "state")):
        flags = ["--storage.path", str(tmp_path / "state"), "--web.listen-address", "127.0.0.1:0"]
        command = [sys.executable, "-m", "driftmon", "run", "--config.file", str(config), *flags]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 75
        assert "another driftmon uses it" in ended.stderr


def test_a_pump_that_dies_ends_the_daemon_instead_of_leaving_it_deaf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PumpError(Exception):
        pass

    def die(self: Pump) -> None:
        raise PumpError

    monkeypatch.setattr(Pump, "run", die)

    async def scenario() -> None:
        async with running(ready_config(tmp_path)):
            pass

    with pytest.raises((PumpError, httpx.ConnectError, httpx.ReadError)):
        asyncio.run(scenario())
