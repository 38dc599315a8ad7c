"""kill -9 of the real daemon at random points under load: what was sent is counted, exactly, bin by bin."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from driftmon.monitor.batch import Batch
from driftmon.monitor.references import count_into
from driftmon.monitor.snapshot import Snapshot
from driftmon.stats.columns import column_of
from tests.daemon.kit import ndjson, ready_config, records, stream
from tests.daemon.test_app import Daemon

KILLS = 30
LARGE = 6000  # records of two blocks: one request, one commit
SEED = 5


class Sender(threading.Thread):
    """Posts batches one after the other; each is sent with its key until somebody says it was counted."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.api = ""
        self.up, self.over = threading.Event(), threading.Event()
        self.sent: list[dict[str, Any]] = []
        self.requests = self.repeats = 0
        self.replies: list[dict[str, Any]] = []

    def run(self) -> None:
        with httpx.Client(trust_env=False, timeout=10) as client:
            while not self.over.is_set():
                number = len(self.replies)
                rows = records(LARGE if number % 50 == 7 else 1 + number % 40, seed=number)
                self.replies.append(self._until_counted(client, f"batch-{number}", ndjson(rows)))
                self.sent += rows

    def _until_counted(self, client: httpx.Client, key: str, body: bytes) -> dict[str, Any]:
        while True:
            self.up.wait()
            self.requests += 1
            try:
                url = f"http://{self.api}/api/v1/ingest/s"
                reply = client.post(url, content=body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                continue
            if reply.status_code == 200:
                found: dict[str, Any] = reply.json()
                return found


class Writer(threading.Thread):
    """Appends to the followed file, now and then only a part of a line."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.path, self.over = path, threading.Event()
        self.written: list[dict[str, Any]] = []

    def run(self) -> None:
        chance = random.Random(SEED)
        with self.path.open("ab", buffering=0) as file:
            while not self.over.wait(0.002):
                rows = records(1 + len(self.written) % 30, seed=10_000_000 + len(self.written))
                data = ndjson(rows)
                cut = chance.randrange(len(data))
                file.write(data[:cut])
                self.over.wait(0.001)
                file.write(data[cut:])
                self.written += rows


def counts_of(schema: Any, rows: Sequence[dict[str, Any]]) -> Any:
    columns = {one.name: column_of(one.kind, [row[one.name] for row in rows]) for one in schema.features}
    return count_into(schema, Batch(len(rows), columns))[0].counts


def test_kill_minus_nine_loses_nothing_and_counts_nothing_twice(tmp_path: Path) -> None:
    """Also the incident of Fluent Bit #10952: records that were acknowledged, then SIGKILL."""
    followed, state = tmp_path / "a.ndjson", tmp_path / "state"
    followed.touch()
    sources = [{"type": "http"}, {"type": "file", "path": str(followed), "follow": True}]
    config = ready_config(tmp_path, {"s": stream(sources=sources)})
    chance, sender, writer = random.Random(SEED), Sender(), Writer(followed)
    sender.start()
    writer.start()
    for _ in range(KILLS):
        daemon = Daemon(config, "--storage.path", str(state))
        answered = len(sender.replies)
        sender.api = daemon.api
        sender.up.set()
        daemon.wait(partial(_answered, sender, answered))
        time.sleep(chance.uniform(0, 0.1))  # the random point
        sender.up.clear()
        daemon.process.kill()
        daemon.process.wait()
    daemon = Daemon(config, "--storage.path", str(state))
    sender.api = daemon.api
    sender.over.set()
    writer.over.set()
    sender.up.set()
    sender.join()
    writer.join()
    everything = sender.sent + writer.written
    daemon.wait_for_observations(len(everything))
    found = Snapshot.from_bytes(daemon.get(daemon.api, "/api/v1/streams/s/snapshot")[1].encode())
    np.testing.assert_array_equal(found.counts, counts_of(found.schema, everything))
    assert daemon.stop() == 0
    assert all(reply["durable"] and reply["rejected"] == 0 for reply in sender.replies)
    assert sum(reply["accepted"] for reply in sender.replies) == len(sender.sent)
    assert sender.requests > len(sender.replies), "no kill hit a request under way"


def _answered(sender: Sender, before: int) -> bool:
    return len(sender.replies) > before
