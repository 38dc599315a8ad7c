"""Nursery: daemons forked from a process that has imported them, so that a start costs 50 ms and not 600.

Law: a child runs `driftmon run` as the command line does; only imports and tables of constants lie before its birth.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.campaigns.children import end_with

DEADLINE_S: Final = 120.0  # of a start, on a machine that does much else
LOCAL: Final = ("--web.listen-address", "127.0.0.1:0", "--api.listen-address", "127.0.0.1:0")


class Nursery:
    """One process that forks daemons on demand; `close` ends it and what is left of them."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.campaigns.nursery"]
        self._mother = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._alive: set[int] = set()

    def start(self, log: Path, arguments: list[str]) -> int:
        """The process id of a daemon under way."""
        pid = self._ask({"start": arguments, "log": str(log)})
        self._alive.add(pid)
        return pid

    def wait(self, pid: int) -> int:
        """Its exit code, negative for the signal that ended it."""
        self._alive.discard(pid)
        return self._ask({"wait": pid})

    def close(self) -> None:
        for pid in list(self._alive):
            os.kill(pid, signal.SIGKILL)
            self.wait(pid)
        self._mother.communicate()

    def _ask(self, request: dict[str, Any]) -> int:
        assert self._mother.stdin is not None
        assert self._mother.stdout is not None
        self._mother.stdin.write(json.dumps(request) + "\n")
        self._mother.stdin.flush()
        return int(self._mother.stdout.readline())


class Child:
    """A daemon of a nursery, or of the command line where there is none."""

    def __init__(self, nursery: Nursery | None, config: Path, *flags: str, stdin: int = subprocess.DEVNULL) -> None:
        self.log = config.parent / f"log-{time.monotonic_ns()}"
        self._nursery = nursery
        arguments = ["run", "--config.file", str(config), *LOCAL, *flags]
        if nursery is not None:
            self.pid = nursery.start(self.log, arguments)
            return
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "driftmon", *arguments]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=stdin)
        self.pid = self._process.pid

    def listens(self) -> bool:
        """Once it does; `api` and `web` are then its addresses."""
        text = self.log.read_text() if self.log.exists() else ""
        found = dict(re.findall(r"(web|api) listens on http://([0-9.]+:\d+)", text))
        if len(found) < 2:
            return False
        self.web, self.api = found["web"], found["api"]
        return True

    def wait_until_it_listens(self) -> None:
        limit_s = time.monotonic() + DEADLINE_S
        while not self.listens():
            if time.monotonic() > limit_s or not _runs(self.pid):
                raise AssertionError(f"the daemon did not start; its log:\n{self.log.read_text()}")
            time.sleep(0.004)

    def get(self, path: str, web: bool = False) -> bytes:
        with urllib.request.urlopen(f"http://{self.web if web else self.api}{path}", timeout=DEADLINE_S) as reply:
            body: bytes = reply.read()
            return body

    def kill(self) -> None:
        if (code := self.end(signal.SIGKILL)) != -signal.SIGKILL:
            raise AssertionError(f"the daemon had ended by itself, exit {code}; its log:\n{self.log.read_text()}")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code."""
        os.kill(self.pid, number)
        return self._process.wait(DEADLINE_S) if self._nursery is None else self._nursery.wait(self.pid)


def _runs(pid: int) -> bool:
    """A zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _serve() -> None:
    """The mother: a request a line, a number a line."""
    from driftmon import Monitor, reference_of  # noqa: PLC0415
    from driftmon.cli.main import main  # noqa: PLC0415  what a child would import
    from driftmon.daemon import app, logs  # noqa: F401, PLC0415
    from driftmon.sinks import alertmanager, webhook  # noqa: F401, PLC0415
    from driftmon.sources import file  # noqa: F401, PLC0415

    Monitor(reference_of({"x": [0.0, 1.0]})).tick(0)  # fills the tables of noise, which depend on nothing
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            number = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
        elif not (number := os.fork()):
            end_with(partial(_become, main, Path(request["log"]), request["start"]))
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


def _become(main: Any, log: Path, arguments: list[str]) -> None:
    """The child, its output in the log."""
    output, nothing = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), os.open(os.devnull, os.O_RDONLY)
    for target, source in enumerate((nothing, output, output)):
        os.dup2(source, target)
    main(arguments)


if __name__ == "__main__":
    _serve()
