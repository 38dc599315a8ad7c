"""Load: senders that repeat a request until somebody says it was counted, a writer of a followed file, an oracle.

Law: what they call sent was sent for good: each batch until its reply, each line to its end.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from driftmon.monitor.batch import Batch
from driftmon.monitor.references import count_into
from driftmon.monitor.snapshot import Snapshot
from driftmon.stats.columns import column_of
from tests.daemon.kit import ndjson, records

LARGE: Final = 6000  # records of two blocks: one request, one commit
HTTP_S: Final = 20.0
COUNTED: Final = (200, 202)


class Sender(threading.Thread):
    """Posts batches over one kept-alive connection; each with its key until a reply says it was counted."""

    def __init__(
        self,
        stream: str,
        seed: int,
        shift: float = 0.0,
        size: int = 40,
        pause_s: float = 0.0,
        large: bool = False,
        keyed: bool = True,
    ) -> None:
        super().__init__(daemon=True)
        self.stream, self.seed = stream, seed
        self.up, self.over = threading.Event(), threading.Event()
        self.sent: list[dict[str, Any]] = []
        self.requests = self.duplicates = 0
        self.replies: list[dict[str, Any]] = []
        self.counted_s: list[tuple[float, int]] = []  # when each reply came, and how many records had one by then
        self.faults: list[str] = []
        self._api = ""
        self._connection: http.client.HTTPConnection | None = None
        self._shift, self._size, self._pause_s, self._large, self._keyed = shift, size, pause_s, large, keyed

    def to(self, api: str) -> None:
        """Where the daemon is now."""
        self._api = api
        self.up.set()

    def run(self) -> None:
        number = 0
        while not self.over.is_set():
            large = self._large and number % 97 == 7
            rows = records(LARGE if large else 1 + number % self._size, self._shift, self.seed + number)
            reply = self._until_counted(f"{self.seed}-{number}", ndjson(rows))
            self.sent += rows
            self.replies.append(reply)
            self.counted_s.append((time.monotonic(), len(self.sent)))
            if reply["accepted"] != len(rows):
                self.faults.append(f"batch {self.seed}-{number} of {len(rows)} was answered {reply}")
            number += 1
            if self._pause_s:
                time.sleep(self._pause_s)
        self._hang_up()

    def _until_counted(self, key: str, body: bytes) -> dict[str, Any]:
        while True:
            self.up.wait()
            self.requests += 1
            try:
                status, reply = self._post(key, body)
            except (OSError, http.client.HTTPException):
                self._hang_up()
                continue
            if status in COUNTED:
                found: dict[str, Any] = json.loads(reply)
                self.duplicates += bool(found["duplicate"])
                return {**found, "status": status}
            if status not in (429, 503):
                self.faults.append(f"batch {key} was answered {status} {reply!r}")
            time.sleep(0.01)

    def _post(self, key: str, body: bytes) -> tuple[int, bytes]:
        if self._connection is None or f"{self._connection.host}:{self._connection.port}" != self._api:
            self._hang_up()
            self._connection = http.client.HTTPConnection(self._api, timeout=HTTP_S)
        headers = {"Host": "localhost", **({"Idempotency-Key": key} if self._keyed else {})}
        self._connection.request("POST", f"/api/v1/ingest/{self.stream}", body, headers)
        reply = self._connection.getresponse()
        return reply.status, reply.read()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


class Writer(threading.Thread):
    """Appends to the followed file or a pipe, now and then only a part of a line."""

    def __init__(self, path: Path, seed: int, pause_s: float = 0.002) -> None:
        super().__init__(daemon=True)
        self.path, self.over = path, threading.Event()
        self.sent: list[dict[str, Any]] = []
        self._seed, self._pause_s = seed, pause_s
        if not path.exists():
            path.touch()

    def run(self) -> None:
        chance = random.Random(self._seed)
        with self.path.open("ab", buffering=0) as file:
            while not self.over.wait(self._pause_s):
                rows = records(1 + len(self.sent) % 30, seed=10_000_000 + self._seed + len(self.sent))
                data = ndjson(rows)
                cut = chance.randrange(len(data))
                file.write(data[:cut])
                self.over.wait(0.001)
                file.write(data[cut:])
                self.sent += rows


def expected(schema: Any, rows: Sequence[dict[str, Any]]) -> Any:
    """int64[width]: these rows, counted at once."""
    columns = {one.name: column_of(one.kind, [row[one.name] for row in rows]) for one in schema.features}
    return count_into(schema, Batch(len(rows), columns))[0].counts


def difference(found: Snapshot, rows: Sequence[dict[str, Any]]) -> str:
    """What the lifetime counts have too many or too few of, bin by bin; empty when they are exact."""
    wrong = found.counts - expected(found.schema, rows)
    bins = [(int(at), int(wrong[at])) for at in np.flatnonzero(wrong)]
    return f"{len(rows)} records sent; too many (+) or too few (-) by bin: {bins}" if bins else ""
