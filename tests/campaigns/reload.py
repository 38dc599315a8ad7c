"""Reloads: the real daemon is reloaded 1,000 times under load, half of them with a configuration that is wrong.

Law: counted == sent, bin by bin; what is wrong is refused and changes nothing; alerts keep their state; memory and
open files stay. At the end SIGTERM under load: it drains within 10 s, exits 0, and the next start has it all.
`python -m tests.campaigns.reload [--short] [--reloads N] [--seed N]`
"""

from __future__ import annotations

import argparse
import atexit
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import yaml

from driftmon.monitor.batch import Batch
from driftmon.monitor.references import count_into
from driftmon.monitor.snapshot import Snapshot
from driftmon.stats.columns import column_of
from tests.daemon.kit import IN_CLEAR, ndjson, ready_config, records, stream
from tests.daemon.test_app import DEADLINE_S, Daemon

SHIFT = 2.0  # so that the alert fires all the time
POOL = [records(1 + number % 60, shift=SHIFT, seed=number) for number in range(200)]
WHOLE = [row for rows in POOL for row in rows]
SENDERS = 2
DRAIN_S = 10.0
SETTLING = 0.3  # of the reloads, before memory is looked at
ENOUGH = 100  # reloads: fewer say nothing of memory
LEAK_KIB = 48.0  # a reload; a configuration with its streams is some hundreds


class Load(threading.Thread):
    """Sends parts of POOL, one after the other, and remembers which were counted, by `send`."""

    def __init__(self, send: Callable[[int, int], bool]) -> None:
        super().__init__(daemon=True)
        self.over, self.times, self.fault = threading.Event(), np.zeros(len(POOL), dtype=np.int64), ""
        self._send = send

    def run(self) -> None:
        number = 0
        try:
            while not self.over.wait(0.004):
                while not self._send(number, number % len(POOL)):
                    time.sleep(0.02)
                self.times[number % len(POOL)] += 1
                number += 1
        except Exception as fault:
            self.fault = repr(fault)


class Poster:
    """By HTTP, again after 429, 503 or a broken connection. `keyed` at the end, where an answer may get lost."""

    def __init__(self, name: str) -> None:
        self.api, self.keyed = "", False
        self._name, self._client = name, httpx.Client(trust_env=False, timeout=20, verify=IN_CLEAR)

    def send(self, number: int, part: int) -> bool:
        headers = {"Idempotency-Key": f"{self._name}-{number}"} if self.keyed else {}
        try:
            reply = self._client.post(f"http://{self.api}/api/v1/ingest/s", content=ndjson(POOL[part]), headers=headers)
        except httpx.TransportError:
            if not headers:
                raise
            return False
        if reply.status_code in (429, 503):
            return False
        if reply.status_code != 200 or reply.json()["accepted"] != len(POOL[part]):
            raise AssertionError(f"{reply.status_code} {reply.text}")
        return True


def variants(good: dict[str, Any], folder: Path, chance: random.Random) -> Iterator[tuple[bool, str]]:
    """(whether it is sound, the file): by turns one that is taken and one that is refused."""
    while True:
        tree = yaml.safe_load(yaml.safe_dump(good))
        one = tree["streams"]["s"]
        one["tick"] = chance.choice(["100ms", "200ms", "300ms"])
        one["sources"][1] |= chance.choice([{}, {"format": "ndjson"}])
        one["windows"] += chance.choice([[], [{"name": "slow", "half_life": "6h"}]])
        tree["rules"][1]["above"] = chance.choice([0.5, 1.5])
        one["overload"] = "block"
        yield True, yaml.safe_dump(tree)
        one["reference"] = {"type": "file", "path": str(folder / "nowhere.json")}
        lost = yaml.safe_dump(tree)
        yield False, chance.choice([lost, "", "streams: [", yaml.safe_dump(good) + "nonsense: 1\n", "version: 2\n"])


class Reloads:
    """Reloads one daemon, by signal and by request, and looks at what came of it."""

    def __init__(self, daemon: Daemon, config: Path) -> None:
        self.daemon, self.config = daemon, config
        self.kib: list[float] = []
        self.files: list[int] = []
        self._log = daemon.log.open()
        self._done, self._client = 0, httpx.Client(trust_env=False, timeout=20, verify=IN_CLEAR)

    def reload(self, text: str, sound: bool, by_signal: bool) -> None:
        self.config.write_text(text)
        if by_signal:
            self.daemon.process.send_signal(signal.SIGHUP)
        else:
            status = self._client.post(f"http://{self.daemon.api}/-/reload").status_code
            assert (status == 200) is sound, f"POST /-/reload answered {status} to a configuration that is {sound=}"
        self._done += 1
        self.daemon.wait(lambda: self._answers() >= self._done)
        line = f"\ndriftmon_config_last_reload_successful {float(sound)}\n"
        self.daemon.wait(lambda: line in self._client.get(f"http://{self.daemon.web}/metrics").text)
        proc = Path(f"/proc/{self.daemon.process.pid}")
        self.kib.append(int((proc / "statm").read_text().split()[1]) * 4.0)
        self.files.append(len(list((proc / "fd").iterdir())))

    def _answers(self) -> int:
        self._log.seek(0)
        text = self._log.read()
        return text.count("loaded again") + text.count("the configuration was not loaded")

    def growth(self) -> tuple[float, int]:
        """KiB a reload once it has settled, and how many more files are open in the last tenth than in the first."""
        start, part = int(SETTLING * len(self.kib)), max(len(self.files) // 10, 1)
        at = np.arange(start, len(self.kib))
        slope = float(np.polyfit(at, self.kib[start:], 1)[0])
        return slope, int(np.median(self.files[-part:]) - np.median(self.files[:part]))


def expected(schema: Any, loads: list[Load]) -> Any:
    """The counts of everything that was sent."""
    total = np.zeros(schema.width, dtype=np.int64)
    for times, rows in zip(np.sum([load.times for load in loads], axis=0), POOL, strict=True):
        columns = {one.name: column_of(one.kind, [row[one.name] for row in rows]) for one in schema.features}
        total += times * count_into(schema, Batch(len(rows), columns))[0].counts
    return total


@contextmanager
def under_load(daemon: Daemon, followed: Path) -> Iterator[tuple[list[Load], list[Poster]]]:
    posters = [Poster(f"sender-{number}") for number in range(SENDERS)]
    for poster in posters:
        poster.api = daemon.api
    with followed.open("ab", buffering=0) as file:

        def write(number: int, part: int) -> bool:
            data = ndjson(POOL[part])
            file.write(data[:-7])  # a torn last line, now and then read as such
            file.write(data[-7:])
            return True

        loads = [*(Load(poster.send) for poster in posters), Load(write)]
        for load in loads:
            load.start()
        yield loads, posters


def since_of(daemon: Daemon) -> list[int]:
    return [
        alert["since_ms"]
        for alert in daemon.feature()["alerts"]
        if (alert["rule"], alert["window"]) == ("Drift", "fast")
    ]


def campaign(reloads: int, seed: int, folder: Path) -> list[tuple[str, object]]:
    """What was done, as rows; AssertionError where it does not hold."""
    chance, followed = random.Random(seed), folder / "a.ndjson"
    followed.touch()
    sources = [{"type": "http"}, {"type": "file", "path": str(followed), "follow": True}]
    base = stream(sources=sources, windows=[{"name": "fast", "length": "1h"}])
    config = ready_config(folder, {"s": base})
    good = yaml.safe_load(config.read_text())
    good["rules"].append({**good["rules"][0], "name": "Other"})
    flags = ("--storage.path", str(folder / "state"), "--web.enable-lifecycle")
    daemon = started(config, *flags)
    with under_load(daemon, followed) as (loads, posters):
        (since,) = daemon.wait(lambda: since_of(daemon))
        told, began_s = Reloads(daemon, config), time.monotonic()
        for number, (sound, text) in zip(range(reloads), variants(good, folder, chance), strict=False):
            told.reload(text, sound, by_signal=chance.random() < 0.5)
            assert not (faults := [load.fault for load in loads if load.fault]), f"reload {number}: {faults}"
        took_s = time.monotonic() - began_s
        assert since_of(daemon) == [since], "the alert did not keep its state"
        config.write_text(yaml.safe_dump(good))
        for poster in posters:
            poster.keyed = True
        time.sleep(0.5)
        stopped_s, code = time.monotonic(), daemon.stop()
        drain_s = time.monotonic() - stopped_s
        again = started(config, *flags)
        for poster in posters:
            poster.api = again.api
        for load in loads:
            load.over.set()
        for load in loads:
            load.join(DEADLINE_S)
            assert not load.is_alive(), "a sender gets no answer"
    counted = compare(again, loads)
    assert since_of(again) == [since], "the alert did not outlive the restart"
    assert again.stop() == 0
    slope_kib, more_files = told.growth()
    assert (code, drain_s <= DRAIN_S) == (0, True), f"exit {code} after {drain_s:.1f} s"
    assert more_files <= 2, f"{more_files} more open files"
    assert reloads < ENOUGH or slope_kib < LEAK_KIB, f"{slope_kib:.1f} KiB more memory a reload"
    return [
        ("reloads, half of them refused", f"{reloads} in {took_s:.0f} s"),
        ("records sent == counted", f"{counted:,}"),
        ("memory, first and last reload", f"{told.kib[0] / 1024:.1f} and {told.kib[-1] / 1024:.1f} MiB"),
        ("memory a reload, once settled", f"{slope_kib:+.1f} KiB"),
        ("open files, first and last reload", f"{told.files[0]} and {told.files[-1]}"),
        ("SIGTERM under load", f"exit {code} after {drain_s:.1f} s"),
    ]


def started(config: Path, *flags: str) -> Daemon:
    """Ended with this process, whatever becomes of it: the kernel sees to it where this process is killed."""
    daemon = Daemon(config, *flags)
    atexit.register(daemon.process.kill)
    return daemon


def compare(daemon: Daemon, loads: list[Load]) -> int:
    """How many records were sent; AssertionError unless exactly these were counted."""
    assert not (faults := [load.fault for load in loads if load.fault]), str(faults)
    found = [Snapshot(daemon_schema := snapshot_of(daemon).schema, np.zeros(daemon_schema.width, dtype=np.int64))]
    wanted = expected(found[0].schema, loads)

    def same() -> bool:
        found[0] = snapshot_of(daemon)
        return bool(np.array_equal(found[0].counts, wanted))

    try:
        daemon.wait(same)
    except AssertionError:
        raise AssertionError(f"counted less sent, by bin: {(found[0].counts - wanted).tolist()}") from None
    return int(np.sum([load.times for load in loads], axis=0) @ np.array([len(rows) for rows in POOL]))


def snapshot_of(daemon: Daemon) -> Snapshot:
    return Snapshot.from_bytes(daemon.get(daemon.api, "/api/v1/streams/s/snapshot")[1].encode())


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--short", action="store_true", help="150 reloads")
    asked.add_argument("--reloads", type=int, default=0)
    asked.add_argument("--seed", type=int, default=1)
    found = asked.parse_args()
    reloads = found.reloads or (150 if found.short else 1000)
    with tempfile.TemporaryDirectory() as folder:
        try:
            rows = campaign(reloads, found.seed, Path(folder))
        except AssertionError as fault:
            again = f"python -m tests.campaigns.reload --reloads {reloads} --seed {found.seed}"
            sys.exit(f"reloads: {fault}\nagain with: {again}")
    for name, value in rows:
        sys.stdout.write(f"{name:36} {value}\n")


if __name__ == "__main__":
    main()
