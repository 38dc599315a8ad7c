"""What a sidecar takes from its pod: memory of `run`, time of `--version`, size of the wheel; prints a table.

Law: the real command on a real configuration of 100 features; RSS and PSS as the kernel tells them, idle, and after
events and scrapes as a day brings them. CPU is that of the process, so it says something on a busy machine too.

    python -m tests.benchmarks.footprint [--features 100] [--idle 30] [--short]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from tests.benchmarks.installed import environment
from tests.benchmarks.ready import LOCAL, address_of, made
from tests.benchmarks.storage import block_of

ROOT: Final = Path(__file__).parents[2]
KIB: Final = 1024
BODIES, ROWS = 200, 100
SCRAPES: Final = 50
SCRAPER: Final = {"accept-encoding": "gzip", "accept": "application/openmetrics-text"}
NONE: Final[Mapping[str, str]] = {}
TIMES: Final = 5


def memory_mb(pid: int) -> tuple[float, float]:
    """RSS and PSS."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return found["Rss"] * KIB / 1e6, found["Pss"] * KIB / 1e6


@contextmanager
def daemon(folder: Path) -> Iterator[tuple[int, str, str]]:
    """Its pid, and the addresses of both listeners, once it is ready."""
    log = folder / "log"
    command = [sys.executable, "-m", "driftmon", "run", "--config.file", str(folder / "driftmon.yaml"), *LOCAL]
    with log.open("wb") as told:
        child = subprocess.Popen([*command, "--storage.path", str(folder / "state")], stderr=told)
    try:
        while child.poll() is None and not (address_of("web", log) and address_of("api", log)):
            time.sleep(0.01)
        web, api = address_of("web", log), address_of("api", log)
        while got(web, "/-/ready")[0] != 200:
            time.sleep(0.01)
        yield child.pid, web, api
    finally:
        child.terminate()
        child.wait()


def got(address: str, path: str, headers: Mapping[str, str] = NONE, body: bytes | None = None) -> tuple[int, bytes]:
    connection = HTTPConnection(address, timeout=60)
    connection.request("GET" if body is None else "POST", path, body, headers)
    answer = connection.getresponse()
    told = answer.read()
    connection.close()
    return answer.status, told


def work(web: str, api: str, features: int, bodies: int) -> None:
    """Events as a client sends them, and scrapes as Prometheus does."""
    blocks = [block_of(features, ROWS, seed).data for seed in range(4)]
    for at in range(bodies):
        status, told = got(api, "/api/v1/ingest/s", {"content-type": "application/x-ndjson"}, blocks[at % 4])
        assert status == 200, told
    for _ in range(SCRAPES):
        status, told = got(web, "/metrics", SCRAPER)
        assert status == 200, told


def version_s() -> tuple[float, float]:
    """Wall and CPU of `--version`, the least of some."""
    found, environ = [], environment()
    for _ in range(TIMES):
        before, began_s = os.times(), time.perf_counter()
        command = [sys.executable, "-m", "driftmon", "--version"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environ)
        took_s, after = time.perf_counter() - began_s, os.times()
        found.append((took_s, sum(after[2:4]) - sum(before[2:4])))
    walls, cpus = zip(*found, strict=True)
    return min(walls), min(cpus)


def wheel_kb(folder: Path) -> float:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(folder), str(ROOT)], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built.stat().st_size / 1e3


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=int, default=100)
    parser.add_argument("--idle", type=float, default=30.0, help="seconds")
    parser.add_argument("--short", action="store_true", help="few features, no waiting: only that it runs")
    options = parser.parse_args(arguments)
    features, idle_s, bodies = (5, 0.0, 2) if options.short else (options.features, options.idle, BODIES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made(folder, features)
        rows = []
        with daemon(folder) as (pid, web, api):
            time.sleep(idle_s)
            rows.append((f"idle for {idle_s:g} s", memory_mb(pid)))
            work(web, api, features, bodies)
            rows.append((f"after {bodies * ROWS} events, {SCRAPES} scrapes", memory_mb(pid)))
            got(api, "/")
            rows.append(("after a page", memory_mb(pid)))
        sys.stdout.write(f"{f'run, {features} features':<34} {'RSS MB':>7} {'PSS MB':>7}\n")
        for what, (rss, pss) in rows:
            sys.stdout.write(f"{what:<34} {rss:>7.1f} {pss:>7.1f}\n")
        wall_s, cpu_s = version_s()
        sys.stdout.write(f"driftmon --version: wall {1000 * wall_s:.0f} ms, CPU {1000 * cpu_s:.0f} ms at the least\n")
        sys.stdout.write(f"the wheel: {wheel_kb(folder / 'wheel'):.0f} kB\n")


if __name__ == "__main__":
    main()
