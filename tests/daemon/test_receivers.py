"""Receivers that are down, hang, come and go or refuse: none of them delays ingest, or another receiver."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from driftmon.daemon.store import Store
from driftmon.sources.base import Block
from tests.daemon.kit import RULE, ndjson, ready_config, records, running, stream
from tests.daemon.test_streams import made

MINUTE = 60_000


class Hanging:
    """Takes connections and never answers, until it is `released`."""

    def __init__(self) -> None:
        self.reached, self.released = asyncio.Event(), asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        self.reached.set()
        await self.released.wait()
        writer.close()


class Answering:
    """Answers with these, again and again; 0: hangs up."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.times = itertools.cycle(statuses), 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.times += 1
        if status := next(self.statuses):
            writer.write(f"HTTP/1.1 {status} So\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        writer.close()


def test_no_receiver_delays_ingest(tmp_path: Path) -> None:
    async def scenario() -> None:
        hanging, flapping, refusing = Hanging(), Answering(0, 503, 200), Answering(400)
        servers = [await asyncio.start_server(one.serve, "127.0.0.1", 0) for one in (hanging, flapping, refusing)]
        closed = await asyncio.start_server(flapping.serve, "127.0.0.1", 0)
        ports = [one.sockets[0].getsockname()[1] for one in (*servers, closed)]
        closed.close()
        await closed.wait_closed()
        kinds = ("webhook", "alertmanager", "webhook", "webhook")
        sinks = [
            {"type": kind, "endpoint": f"http://127.0.0.1:{port}"} for kind, port in zip(kinds, ports, strict=True)
        ]
        config = ready_config(tmp_path, {"s": stream()}, sinks=[*sinks, {"type": "log"}])
        async with running(config, tmp_path / "state") as one, asyncio.timeout(30):
            assert (await one.post(ndjson(records(500, shift=2.0)))).status_code == 200
            await hanging.reached.wait()
            told = one.app._outbox.deliveries.told
            while not (told.sent["log"] and flapping.times and told.failed["webhook-2"] and told.failed["webhook-3"]):
                assert (await one.post(ndjson(records(10)))).json()["durable"] is True
            for _ in range(20):
                assert (await one.post(ndjson(records(10)))).json()["durable"] is True
            assert not hanging.released.is_set(), "it still hangs"
            assert (told.sent["webhook"], told.failed["webhook"], told.failed["log"]) == (1, 0, 0)
            hanging.released.set()
        for server in servers:
            server.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("down_ms", [1000, 20 * MINUTE])
def test_pending_keeps_its_clock_through_a_restart_and_fires_once(tmp_path: Path, down_ms: int) -> None:
    rules = [{**RULE, "for": "10m"}]
    one, store = made(tmp_path, rules=rules), Store(tmp_path / "state")
    one.observe(Block("s", "http", "ndjson", ndjson(records(500, shift=2.0))), 0)
    before = {change.alert.key: change.event for change in one.tick(0).changes}
    assert set(before.values()) == {"pending"}
    store.checkpoint({"s": one}, {}, 0)
    store.close()
    store, one = Store(tmp_path / "state"), made(tmp_path, rules=rules)
    saved = store.load("s")
    assert saved is not None
    one.restore(saved)
    times = [at_ms for at_ms in (1000, 10 * MINUTE - 1, 10 * MINUTE, 20 * MINUTE, 25 * MINUTE) if at_ms >= down_ms]
    changes = [change for at_ms in times for change in one.tick(at_ms).changes]
    assert {change.alert.key for change in changes} == before.keys()
    assert len(changes) == len(before), "each is told once"
    told = {(change.event, change.at_ms, change.alert.active_ms) for change in changes}
    assert told == {("firing", max(10 * MINUTE, down_ms), 0)}
    store.close()
