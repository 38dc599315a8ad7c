"""A real daemon as a child: where it listens, and what the kernel says it costs.

Law: CPU and memory are those of the daemon's process alone, from /proc; what sends to it is another process.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final
from urllib.error import URLError
from urllib.request import urlopen

from driftmon.monitor.snapshot import Snapshot
from tests.benchmarks.installed import environment
from tests.daemon.kit import end_with_parent

LOCAL: Final = ("--web.listen-address", "127.0.0.1:0", "--api.listen-address", "127.0.0.1:0")
READY_S: Final = 120.0


class Daemon:
    """Started; `ready` when it answers so."""

    def __init__(self, config: Path, storage: Path | None, log: Path) -> None:
        command = [sys.executable, "-m", "driftmon", "run", "--config.file", str(config), *LOCAL]
        environ = environment()
        self._log, self.began_s = log, time.perf_counter()
        with log.open("wb") as told:
            self._child = subprocess.Popen(
                [*command, *(["--storage.path", str(storage)] if storage else [])], stdin=subprocess.PIPE, stderr=told,
                cwd=config.parent, env=environ, preexec_fn=end_with_parent,  # noqa: PLW1509
            )  # fmt: skip

    @property
    def stdin(self) -> IO[bytes]:
        assert self._child.stdin is not None
        return self._child.stdin

    def wait_until_ready(self) -> float:
        """Wall seconds since its start."""
        while self._child.poll() is None and time.perf_counter() < self.began_s + READY_S:
            if web := self.address("web"):
                try:
                    with urlopen(f"http://{web}/-/ready") as reply:
                        reply.read()
                    return time.perf_counter() - self.began_s
                except URLError:  # not yet
                    pass
            time.sleep(0.005)
        raise AssertionError(self._log.read_text()[-2000:])

    def address(self, listener: str) -> str:
        found = re.search(rf"{listener} listens on http://([0-9.:]+)", self._log.read_text())
        return found[1] if found else ""

    def cpu_s(self) -> float:
        ticks = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        return int(Path(f"/proc/{self._child.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def records(self) -> float:
        """Those counted so far."""
        with urlopen(f"http://{self.address('web')}/metrics") as reply:
            text = reply.read().decode()
        return sum(map(float, re.findall(r"^driftmon_ingest_records_total\{.*\} (\S+)$", text, re.MULTILINE)))

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()
        self.stdin.close()


@contextmanager
def daemon(config: Path, storage: Path | None = None) -> Iterator[Daemon]:
    """Ready; killed at the end, for what comes after its work is not measured."""
    one = Daemon(config, storage, config.with_suffix(".log"))
    try:
        one.wait_until_ready()
        yield one
    finally:
        one.kill()


def configured(folder: Path, reference: Snapshot, stream: Mapping[str, Any], **more: Any) -> Path:
    """A configuration of one stream `s` with the features of a reference."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "p.json").write_bytes(reference.to_bytes())
    kinds = {feature.name: {"type": feature.kind} for feature in reference.schema.features}
    own = {"reference": {"type": "file", "path": "p.json"}, "features": kinds, **stream}
    path = folder / "driftmon.yaml"
    path.write_text(json.dumps({"version": 1, "streams": {"s": own}, **more}))
    return path
