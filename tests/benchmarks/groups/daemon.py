"""The daemon end to end: a real process that is sent records by others, over HTTP, from a file, on standard input.

Law: events a CPU second are by the CPU of the daemon, all of its threads, decoding to answering; a second of a core is
what a pod pays for. How long an answer took is wall time, and says little on a busy machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import pyarrow.parquet as pq

import driftmon
from tests.benchmarks.data import data_of
from tests.benchmarks.engine import ROOT
from tests.benchmarks.rows import Row
from tests.benchmarks.running import Daemon, configured, daemon
from tests.benchmarks.sizes import FULL, Size

UNIT: Final = "events a CPU second"
ACKS: Final = ("memory", "durable")
BODIES: Final = {1: 16, 100: 16, 5000: 4}  # events, and connections
GOALS: Final = {(100, "memory"): 500_000.0, (100, "durable"): 250_000.0}
ROUNDS: Final = 3
FILE_TIMES: Final = 3  # the records, one after the other


def rows(size: Size) -> Iterator[list[Row]]:
    data, short = data_of(size.live_rows, size.reference_rows), size is not FULL
    reference = driftmon.reference_of(pq.read_table(data / "reference.parquet"))
    with tempfile.TemporaryDirectory() as name:
        folder, records = Path(name), data / "live.ndjson"
        yield list(_http(folder, records, reference, 1 if short else ROUNDS, size.seconds))
        yield [_file(folder / "file", records, reference, short)]
        yield [_stdin(folder / "stdin", records, reference, short)]


def _http(folder: Path, records: Path, reference: driftmon.Snapshot, rounds: int, seconds: float) -> Iterator[Row]:
    """Both daemons live, and take turns."""
    told: dict[tuple[int, str], list[tuple[float, float, list[float]]]] = {}
    with ExitStack() as stack:
        daemons = {}
        for ack in ACKS:
            config = configured(folder / ack, reference, {"sources": [{"type": "http"}]}, storage={"ack": ack})
            daemons[ack] = stack.enter_context(daemon(config, folder / ack / "state"))
        for _ in range(rounds):
            for events in BODIES:
                for ack, one in daemons.items():
                    told.setdefault((events, ack), []).append(_sent(one, records, events, seconds))
        resident = {ack: one.resident_mb() for ack, one in daemons.items()}
    for (events, ack), found in told.items():
        waits = [wait for _, _, each in found for wait in each]
        p99 = quantiles(waits, n=100)[98] if len(waits) > 1 else waits[0]
        note = f"p50 {median(waits):.2f} ms, p99 {p99:.1f} ms, {BODIES[events]} connections; RSS {resident[ack]:.0f} MB"
        work = f"HTTP, {events:,} events a body, ack: {ack}"
        row = Row("daemon", work, "", UNIT, goal=GOALS.get((events, ack)), note=note)
        yield row.alone([counted / cpu_s for counted, cpu_s, _ in found])


def _sent(one: Daemon, records: Path, events: int, seconds: float) -> tuple[float, float, list[float]]:
    """Events accepted, CPU of the daemon meanwhile, and the waits in ms."""
    before_s = one.cpu_s()
    arguments = [one.address("api"), str(records), str(events), str(BODIES[events]), str(seconds)]
    sender = [sys.executable, "-P", str(ROOT / "tests/benchmarks/sender.py"), *arguments]
    told = json.loads(subprocess.run(sender, check=True, capture_output=True).stdout)
    return events * len(told["waits_ms"]), max(one.cpu_s() - before_s, 0.01), told["waits_ms"]


def _file(folder: Path, records: Path, reference: driftmon.Snapshot, short: bool) -> Row:
    """Written while it is followed; the positions are committed with the counts."""
    source = {"type": "file", "path": str(folder / "events.ndjson"), "follow": True, "format": "ndjson"}
    config = configured(folder, reference, {"sources": [source]})
    (folder / "events.ndjson").touch()
    with daemon(config, folder / "state") as one:
        before_s, data = one.cpu_s(), records.read_bytes()
        with (folder / "events.ndjson").open("ab") as file:
            for _ in range(1 if short else FILE_TIMES):
                file.write(data)
        return _all_counted(one, "a followed file, durable", data.count(b"\n") * (1 if short else FILE_TIMES), before_s)


def _stdin(folder: Path, records: Path, reference: driftmon.Snapshot, short: bool) -> Row:
    config = configured(folder, reference, {"sources": [{"type": "stdin", "format": "ndjson"}]})
    with daemon(config) as one:
        before_s, data = one.cpu_s(), records.read_bytes()
        for _ in range(1 if short else FILE_TIMES):
            one.stdin.write(data)
        one.stdin.flush()
        return _all_counted(one, "standard input", data.count(b"\n") * (1 if short else FILE_TIMES), before_s)


def _all_counted(one: Daemon, work: str, events: int, before_s: float) -> Row:
    deadline_s = time.monotonic() + 300
    while (counted := one.records()) < events:
        assert time.monotonic() < deadline_s, f"{work}: {counted:,.0f} of {events:,} counted in five minutes"
        time.sleep(0.1)
    assert counted == events, f"{work}: {counted} of {events}"
    note = f"RSS {one.resident_mb():.0f} MB"
    return Row("daemon", work, "", UNIT, note=note).alone([events / max(one.cpu_s() - before_s, 0.01)])
