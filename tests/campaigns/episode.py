"""Episode: one daemon's life of many kills, under load on every source, and what must be true at its end.

Law: counted == sent, bin by bin, for a request repeated with its key and for a followed file; an alert that
somebody saw keeps its clock through every kill; a receiver hears of it at least once, and at most once more per kill.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from driftmon.monitor.snapshot import Snapshot
from tests.campaigns.load import Sender, Writer, difference
from tests.campaigns.nursery import Child, Nursery
from tests.daemon.kit import RULE, ready_config, stream

FIRST_WAIT_S: Final = 20.0
AT_THE_START: Final = 0.2  # share of kills that hit a daemon still recovering
SETTLE_S: Final = 20.0
ENOUGH: Final = 200  # records, twice what the rules ask for
SLOW: Final = {**RULE, "name": "Patient", "for": "1h"}  # stays pending


@dataclass
class Found:
    """What an episode did and what was wrong."""

    kills: int = 0
    records: int = 0
    requests: int = 0
    duplicates: int = 0
    told: int = 0
    faults: list[str] = field(default_factory=list)
    skipped: str = ""  # why, if it was


@contextmanager
def receiver() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """A webhook's URL, and (rule, feature, status) of what it was told, in order."""
    told: list[tuple[str, str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            if len(raw := self.rfile.read(length)) < length:
                return  # the daemon was killed while it told
            body = json.loads(raw)
            labels = [(alert["labels"], alert["status"]) for alert in body["alerts"]]
            told.extend((one["alertname"], one["feature"], status) for one, status in labels)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", told
    server.shutdown()
    server.server_close()
    thread.join()


def run(folder: Path, seed: int, kills: int, nursery: Nursery | None, sinks: Sequence[Any] = ()) -> Found:
    """Streams `s` (two senders and a followed file) and `t` (shifted: its alerts fire), each kill at a random point."""
    chance, found = random.Random(seed), Found()
    followed = folder / "a.ndjson"
    sources = [{"type": "http"}, {"type": "file", "path": str(followed), "follow": True}]
    senders = [
        Sender("s", seed, large=True),
        Sender("s", seed + 50_000, size=9),
        Sender("t", seed + 100_000, shift=2.0),
    ]
    writer = Writer(followed, seed)
    with receiver() as (url, told):
        streams = {"s": stream(sources=sources), "t": stream()}
        kept = [{"type": "webhook", "endpoint": url}, *sinks]
        config = ready_config(folder, streams, rules=[RULE, SLOW], sinks=kept)
        clocks: dict[Any, Any] = {}
        for thread in (*senders, writer):
            thread.start()
        start = partial(Child, nursery, config, "--storage.path", str(folder / "state"))
        for _ in range(kills):
            child = start()
            found.kills += 1
            if chance.random() < AT_THE_START:
                time.sleep(chance.uniform(0, 0.08))
            else:
                _serve_until_killed(child, senders, chance, clocks, found)
            child.kill()
        child = start()
        _finish(child, senders, writer, found, clocks)
        judge_told(told, found)
    everything: list[Sender | Writer] = [*senders, writer]
    found.records = sum(len(one.sent) for one in everything)
    found.requests, found.duplicates = sum(one.requests for one in senders), sum(one.duplicates for one in senders)
    found.faults += [fault for sender in senders for fault in sender.faults]
    found.faults += [f"{one['status']}: not durable" for s in senders for one in s.replies if not one["durable"]]
    return found


def _serve_until_killed(
    child: Child, senders: Sequence[Sender], chance: random.Random, clocks: dict[Any, Any], found: Found
) -> None:
    child.wait_until_it_listens()
    answered = [len(sender.replies) for sender in senders]
    for sender in senders:
        sender.to(child.api)
    limit_s = time.monotonic() + FIRST_WAIT_S
    while any(len(sender.replies) == before for sender, before in zip(senders, answered, strict=True)):
        if time.monotonic() > limit_s:
            raise AssertionError(f"no answer; the log:\n{child.log.read_text()}")
        time.sleep(0.002)
    _look_at_clocks(child, clocks, found)
    time.sleep(chance.uniform(0, 0.12))  # the random point
    for sender in senders:
        sender.up.clear()


def _look_at_clocks(child: Child, clocks: dict[Any, Any], found: Found) -> None:
    """An alert that was seen is never seen with another beginning."""
    for alert in json.loads(child.get("/api/v1/alerts"))["alerts"]:
        place = (alert["stream"], alert["rule"], alert["feature"], alert["state"])
        if clocks.setdefault(place, alert["since_ms"]) != alert["since_ms"]:
            found.faults.append(f"alert {place} began at {clocks[place]}, after a kill at {alert['since_ms']}")


def _finish(child: Child, senders: Sequence[Sender], writer: Writer, found: Found, clocks: dict[Any, Any]) -> None:
    """Let all that is under way arrive, then compare, and stop as an operator would."""
    child.wait_until_it_listens()
    everything: list[Sender | Writer] = [*senders, writer]
    for sender in senders:
        sender.to(child.api)
    limit_s = time.monotonic() + SETTLE_S
    while len(senders[-1].sent) < ENOUGH and time.monotonic() < limit_s:  # lives may have been short
        time.sleep(0.01)
    for thread in everything:
        thread.over.set()
    for thread in everything:
        thread.join(FIRST_WAIT_S)
    sent = {"s": [*senders[0].sent, *senders[1].sent, *writer.sent], "t": senders[2].sent}
    for name, rows in sent.items():
        _compare(child, name, rows, found)
    limit_s = time.monotonic() + SETTLE_S
    while not any(state == "firing" for *_, state in clocks) and time.monotonic() < limit_s:
        time.sleep(0.05)
        _look_at_clocks(child, clocks, found)
    _look_at_clocks(child, clocks, found)
    states = {state for *_, state in clocks}
    if states != {"firing", "pending"}:
        found.faults.append(f"alerts were seen {sorted(states)}; firing and pending ones were expected")
    if (code := child.end()) != 0:
        found.faults.append(f"SIGTERM: exit {code}; the log:\n{child.log.read_text()}")


def _compare(child: Child, name: str, rows: Sequence[dict[str, Any]], found: Found) -> None:
    limit_s = time.monotonic() + SETTLE_S
    while True:
        snapshot = Snapshot.from_bytes(child.get(f"/api/v1/streams/{name}/snapshot"))
        fault = difference(snapshot, rows)
        if not fault:
            return
        if time.monotonic() > limit_s:
            found.faults.append(f"stream {name}: {fault}")
            return
        time.sleep(0.05)  # the end of the file is still being read


def judge_told(told: Sequence[tuple[str, str, str]], found: Found) -> None:
    """`Drift` of t.x fires once; a kill between the receiver's answer and ours may repeat it once."""
    times = Counter(told)
    found.told = sum(times.values())
    if not times[("Drift", "x", "firing")]:
        found.faults.append("the receiver was never told that Drift fires for x")
    too_many = {what: count for what, count in times.items() if count > 1 + found.kills}
    if too_many or sum(count - 1 for count in times.values()) > found.kills:
        found.faults.append(f"told more often than once and once per kill: {dict(times)}")
