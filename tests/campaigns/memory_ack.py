"""Memory: `ack: memory` under kills: what was answered 202 a second before the kill is there after it.

Law: nothing is ever counted twice, and only what was answered within the last second (and the commit it
waits for) may be missing.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from driftmon.monitor.snapshot import Snapshot
from tests.campaigns.episode import FIRST_WAIT_S, Found
from tests.campaigns.load import Sender, expected
from tests.campaigns.nursery import Child, Nursery
from tests.daemon.kit import ready_config, stream

KEPT_AFTER_S: Final = 1.0
COMMIT_S: Final = 0.5  # a generous bound for the commit itself on a busy machine
PAUSE_S: Final = 0.004


def run(kills: int, seed: int) -> Found:
    """Each kill ends a sender's life, too: the next begins where the counts are."""
    chance, found, nursery = random.Random(seed), Found(), Nursery()
    try:
        with tempfile.TemporaryDirectory(prefix="driftmon-crash-") as folder:
            config = ready_config(Path(folder), {"s": stream()}, storage={"ack": "memory"})
            flags = ("--storage.path", str(Path(folder) / "state"))
            kept = 0
            for number in range(kills):
                child, sender = Child(nursery, config, *flags), Sender("s", seed + 100_000 * number, pause_s=PAUSE_S)
                child.wait_until_it_listens()
                sender.to(child.api)
                sender.start()
                time.sleep(chance.uniform(1.2, 2.6))
                killed_s = time.monotonic()
                child.kill()
                kept += _judge(nursery, config, flags, sender, killed_s, kept, found)
                found.kills += 1
    finally:
        nursery.close()
    return found


def _judge(
    nursery: Nursery, config: Path, flags: Any, sender: Sender, killed_s: float, before: int, found: Found
) -> int:
    """How many of the sender's records are there; all or nothing of each batch, from the first on."""
    sender.over.set()
    safe = max((count for at_s, count in sender.counted_s if at_s < killed_s - KEPT_AFTER_S - COMMIT_S), default=0)
    child = Child(nursery, config, *flags)
    child.wait_until_it_listens()
    snapshot = Snapshot.from_bytes(child.get("/api/v1/streams/s/snapshot"))
    there = int(snapshot.counts[snapshot.schema.bins(0)].sum()) - before
    sender.to(child.api)
    sender.join(FIRST_WAIT_S)
    ends = {0, *(count for _, count in sender.counted_s)}
    if there < safe:
        found.faults.append(f"kill {found.kills + 1}: {there} records kept, {safe} were older than a second")
    if there not in ends:
        found.faults.append(f"kill {found.kills + 1}: {there} records kept, which is no whole number of batches")
    if any(reply["durable"] or reply["status"] != 202 for reply in sender.replies):
        found.faults.append(f"kill {found.kills + 1}: a reply called itself durable")
    found.records += len(sender.sent)
    found.requests += sender.requests
    last = Snapshot.from_bytes(child.get("/api/v1/streams/s/snapshot"))
    under_way = len(sender.sent) - sender.counted_s[-2][1] if len(sender.counted_s) > 1 else len(sender.sent)
    counted_now = int((last.counts - snapshot.counts)[last.schema.bins(0)].sum())
    if counted_now not in (0, under_way):
        found.faults.append(f"kill {found.kills + 1}: the batch under way was counted as {counted_now} records")
    _check_bins(last, snapshot, sender, counted_now, found)
    child.end()
    return there + counted_now


def _check_bins(last: Snapshot, before: Snapshot, sender: Sender, counted_now: int, found: Found) -> None:
    rows = sender.sent[len(sender.sent) - counted_now :] if counted_now else []
    if not np.array_equal(last.counts - before.counts, expected(last.schema, rows)):
        found.faults.append(f"kill {found.kills + 1}: the batch under way was counted in other bins")
