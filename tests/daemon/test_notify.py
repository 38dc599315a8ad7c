"""systemd's notify protocol, spoken to a real socket."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftmon.daemon.addresses import parse
from driftmon.daemon.app import App
from driftmon.daemon.mailbox import Closed
from driftmon.daemon.notify import STATUS_CHARACTERS, Notifier
from driftmon.daemon.process import Process
from tests.daemon.kit import ready_config

DEADLINE_S = 20.0


class Manager:
    """systemd's end."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(DEADLINE_S)

    def next(self) -> dict[str, str]:
        """The next message."""
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().split("\n"))

    def next_with(self, key: str) -> dict[str, str]:
        """The next message that has this key; others are passed over."""
        while key not in (message := self.next()):
            pass
        return message

    def waiting(self) -> int:
        """How many messages lie here, taken away."""
        self.socket.setblocking(False)
        try:
            count = 0
            while True:
                self.socket.recv(4096)
                count += 1
        except BlockingIOError:
            return count
        finally:
            self.socket.settimeout(DEADLINE_S)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.socket.close()


def environ(manager: Manager, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(manager.socket.getsockname()), **more}


def test_a_service_tells_its_whole_life(tmp_path: Path, manager: Manager) -> None:
    """As a process, by the signals that the unit sends: start, reload, a refused reload, stop."""
    config = ready_config(tmp_path)
    command = [sys.executable, "-m", "driftmon", "run", "--config.file", str(config)]
    local = ["--web.listen-address", "127.0.0.1:0", "--api.listen-address", "127.0.0.1:0"]
    environment = {**os.environ, **environ(manager, WATCHDOG_USEC="200000")}
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen([*command, *local], stderr=log, env=environment) as child,
    ):
        try:
            assert manager.next() == {"READY": "1", "STATUS": "watching s"}
            assert manager.next() == {"WATCHDOG": "1"}

            before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            child.send_signal(signal.SIGHUP)
            reloading = manager.next_with("RELOADING")
            assert before_us <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            assert manager.next_with("READY")["STATUS"] == "watching s"

            config.write_text("version: 1\nstreamz: {}\n")
            child.send_signal(signal.SIGHUP)
            assert manager.next_with("RELOADING")["RELOADING"] == "1"
            refused = manager.next_with("READY")["STATUS"]
            assert refused.startswith("configuration refused:")
            assert "driftmon.yaml:1 streams: missing" in refused

            child.send_signal(signal.SIGTERM)
            assert manager.next_with("STOPPING")["STATUS"] == "draining"
            assert child.wait(DEADLINE_S) == 0
        finally:
            child.kill()


def test_the_watchdog_is_not_fed_while_the_pump_is_stuck(manager: Manager) -> None:
    async def scenario() -> None:
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def answers() -> None:
            if answered.done():
                raise Closed
            await answered

        beating = asyncio.create_task(Notifier(environ(manager, WATCHDOG_USEC="1000")).keep_alive(answers))
        for _ in range(100):
            await asyncio.sleep(0)
        assert manager.waiting() == 0
        answered.set_result(None)
        await beating  # ended by Closed, as at a drain
        assert manager.waiting() == 1

    asyncio.run(scenario())


def test_the_pump_of_a_real_daemon_feeds_the_watchdog(tmp_path: Path, manager: Manager) -> None:
    async def scenario() -> None:
        local = (parse("127.0.0.1:0"),)
        app = App(Process(ready_config(tmp_path), local, local), environ(manager, WATCHDOG_USEC="20000"))
        task = asyncio.create_task(app.run())
        for _ in range(3):
            await asyncio.to_thread(manager.next_with, "WATCHDOG")
        app.stop()
        await task

    asyncio.run(scenario())
    assert manager.next_with("STOPPING")


@pytest.mark.parametrize(
    "watchdog",
    [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}],
    ids=["none", "off", "unreadable", "another process"],
)
def test_no_watchdog_is_fed_that_did_not_ask(manager: Manager, watchdog: dict[str, str]) -> None:
    async def unasked() -> None:
        raise AssertionError("nobody waits for it")

    asyncio.run(Notifier(environ(manager, **watchdog)).keep_alive(unasked))
    assert manager.waiting() == 0


def test_a_name_without_a_file_is_reached() -> None:
    """systemd in a container uses Linux's abstract names, written with @."""
    name = f"driftmon-test-{os.getpid()}-{time.monotonic_ns()}"
    manager = Manager("\0" + name)
    Notifier({"NOTIFY_SOCKET": "@" + name}).ready("x" * 1000 + "\nREADY=0")
    assert manager.next() == {"READY": "1", "STATUS": "x" * STATUS_CHARACTERS}
    manager.socket.close()


@pytest.mark.parametrize("path", ["", "/nowhere/notify"], ids=["no manager", "a manager that has gone"])
def test_a_daemon_without_a_manager_goes_on(path: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": path})
    notifier.ready("watching s")
    notifier.reloading()
    notifier.stopping("draining")
