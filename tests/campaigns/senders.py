"""Senders: clients of the simulated daemon: they retry with the key, lose replies, grow impatient, and send garbage.

Law: a batch is sent until a reply about it was read; what that reply says is what the model counted.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any, Final

from tests.campaigns.simulated_world import World, body_of

PAUSE_S: Final = 12.0
FINAL: Final = (200, 202, 400)


async def sender(world: World, stream: str, number: int, until_s: float) -> None:
    """One client, one stream."""
    count = 0
    while world.loop.time() < until_s:
        await asyncio.sleep(world.chance.expovariate(1 / PAUSE_S) * (2 if stream == "e" else 1))
        count += 1
        rows = _rows(world, stream)
        await _until_counted(world, stream, f"{number}-{count}", body_of(rows), len(rows))


async def writer(world: World, until_s: float) -> None:
    """Appends to the followed file; a line may come in two parts."""
    with world.followed.open("ab", buffering=0) as file:
        while world.loop.time() < until_s:
            await asyncio.sleep(world.chance.expovariate(1 / PAUSE_S))
            data = body_of(_rows(world, "f"))
            cut = world.chance.randrange(len(data))
            file.write(data[:cut])
            await asyncio.sleep(world.chance.choice((0.0, 0.3, 5.0)))
            file.write(data[cut:])


def _rows(world: World, stream: str) -> list[Any]:
    chance, now_ms = world.chance, world.clock.now_ms()
    drifting = int(world.loop.time()) // 240 % 3 == 1
    rows: list[Any] = []
    for _ in range(1 + chance.randrange(24)):
        row: dict[str, Any] = {"x": chance.gauss(0.0, 1.0), "c": chance.choice("abc")}
        if chance.random() < (0.6 if drifting else 0.01):
            row["x"] = None
        if chance.random() < 0.02:
            row["x"], row["c"] = "text", "never seen"
        if stream == "e":
            row["at"] = now_ms - chance.randrange(40_000) + chance.choice((0,) * 40 + (3_600_000, -600_000))
        rows.append(row)
    if chance.random() < 0.05:
        rows.append("{no json")
    return rows


async def _until_counted(world: World, stream: str, key: str, body: bytes, rows: int) -> None:
    while True:
        await world.up.wait()
        asked = [_posting(world, stream, key, body)]
        if world.chance.random() < 0.03:
            asked.append(_posting(world, stream, key, body))  # impatient: the same again beside it
        await asyncio.wait(asked)
        replies = [task.result() for task in asked if not task.cancelled() and task.exception() is None]
        if not replies:
            continue
        status, reply = replies[0]
        if status in FINAL and world.chance.random() < 0.05:
            world.note("reply lost")
            continue
        if status in FINAL and "accepted" in reply:
            _judge(world, (stream, key), status, reply, rows)
            return
        world.note(f"answer {status}")
        if status not in (429, 503):
            world.fault(f"batch {key} of {stream} was answered {status} {reply}")
            return
        await asyncio.sleep(world.chance.uniform(0.5, 2.0))


def _judge(world: World, key: tuple[str, str], status: int, reply: dict[str, Any], rows: int) -> None:
    world.note("batch counted", f"{key} {reply['accepted']} {reply['late']} {reply['rejected']}")
    world.happened["records"] += rows
    world.happened["repeats known"] += bool(reply["duplicate"])
    if status == 202 or not reply["durable"]:
        world.fault(f"{key} was answered {status} {reply}")
    world.acknowledged[key] = world.loop.time()
    places = [(*key, line) for line in range(1, rows + 1)]
    found = Counter(world.model.rows[place].verdict for place in places if place in world.model.rows)
    told = (reply["accepted"], reply["late"], reply["rejected"])
    if told != (found["counted"], found["late"], found["malformed"] + found["future"]):
        world.fault(f"{key}: told {told}, the model has {dict(found)}")


def _posting(world: World, stream: str, key: str, body: bytes) -> asyncio.Task[tuple[int, dict[str, Any]]]:
    return asyncio.create_task(_post(world.api, stream, key, body))


async def _post(api: Any, stream: str, key: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """One request to the daemon's own ASGI application."""
    path, size = f"/api/v1/ingest/{stream}", str(len(body))
    headers = {"host": "localhost", "content-length": size, "idempotency-key": key}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80), "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
    }  # fmt: skip
    parts = [{"type": "http.request", "body": body, "more_body": False}]
    status, said = [0], [b""]

    async def receive() -> dict[str, Any]:
        if parts:
            return parts.pop()
        await asyncio.get_running_loop().create_future()  # the client stays, and says nothing more
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            status[0] = message["status"]
        said[0] += message.get("body", b"")

    await api(scope, receive, send)
    found: dict[str, Any] = json.loads(said[0])
    return status[0], found
