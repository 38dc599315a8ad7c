"""How long a restart takes: from exec to /-/ready with 1,000 features of 64 bins and 60 panes; prints a table.

Law: the real command on a real state; imports alone are shown beside it. CPU is that of the process, so it says
something on a busy machine too.

    python -m tests.benchmarks.ready [--times 5] [--features 1000] [--short]
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from driftmon.daemon.store import Store
from tests.benchmarks.installed import IMPORTS, environment
from tests.benchmarks.storage import MINUTE_MS, block_of, stream_of

LOCAL: Final = ("--web.listen-address", "127.0.0.1:0", "--api.listen-address", "127.0.0.1:0")


def made(folder: Path, features: int) -> None:
    """A configuration, and the state of an hour until now with some seconds of journal."""
    one, store = stream_of(folder, features), Store(folder / "state")
    blocks = [block_of(features, 100, seed) for seed in range(4)]
    now_ms = time.time_ns() // 1_000_000
    for minute in range(60, 0, -1):
        one.observe(blocks[minute % 4], now_ms - minute * MINUTE_MS)
        one.tick(now_ms - minute * MINUTE_MS)
    store.checkpoint({"s": one}, {}, now_ms)
    for block in blocks * 5:
        one.observe(block, now_ms)
        store.commit({"s": one}, {}, now_ms)
    store.close()


def cpu_s(pid: int) -> float:
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def address_of(kind: str, log: Path) -> str:
    """Where a daemon listens, by its log; empty while it does not."""
    found = re.search(rf"{kind} listens on http://([0-9.:]+)", log.read_text())
    return found[1] if found else ""


def restart(folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds until it is ready."""
    command = [sys.executable, "-m", "driftmon", "run", "--config.file", str(folder / "driftmon.yaml"), *LOCAL]
    log, environ = folder / "log", environment()
    began_s = time.perf_counter()
    with log.open("wb") as told:
        daemon = subprocess.Popen([*command, "--storage.path", str(folder / "state")], stderr=told, env=environ)
    try:
        while daemon.poll() is None:
            if address := address_of("web", log):
                try:
                    with urlopen(f"http://{address}/-/ready") as reply:
                        reply.read()
                    return time.perf_counter() - began_s, cpu_s(daemon.pid)
                except URLError:  # not yet
                    pass
            time.sleep(0.002)
        raise SystemExit(log.read_text())
    finally:
        daemon.kill()  # so that the journal stays as long as it is
        daemon.wait()


def imports() -> tuple[float, float]:
    environ = environment()
    before, began_s = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, env=environ)
    took_s, after = time.perf_counter() - began_s, os.times()
    return took_s, sum(after[2:4]) - sum(before[2:4])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--features", type=int, default=1000)
    parser.add_argument("--short", action="store_true", help="few features, once: only that it runs")
    options = parser.parse_args(arguments)
    if options.short:
        options.times, options.features = 1, 5
    with tempfile.TemporaryDirectory() as name:
        made(Path(name), options.features)
        found: dict[str, list[tuple[float, float]]] = {"imports": [], "exec to ready": []}
        for _ in range(options.times):
            found["imports"].append(imports())
            found["exec to ready"].append(restart(Path(name)))
    sys.stdout.write(f"{'ms':<16} {'wall p50':>9} {'least':>7} {'CPU p50':>9} {'least':>7}\n")
    for what, times in found.items():
        walls, cpus = [1000 * wall for wall, _ in times], [1000 * cpu for _, cpu in times]
        line = f"{what:<16} {median(walls):>9.0f} {min(walls):>7.0f} {median(cpus):>9.0f} {min(cpus):>7.0f}\n"
        sys.stdout.write(line)


if __name__ == "__main__":
    main()
