"""A full disk under sources that read for themselves: they stop, bounded, and go on by themselves, exactly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from driftmon.daemon.database import DiskFull
from driftmon.sources.base import BLOCK_BYTES
from tests.daemon.kit import ndjson, ready_config, records, running, stream

LAG = 'driftmon_source_lag_bytes{stream="s",source="file"}'
MUCH = 11_000  # records of several blocks


async def said(path: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(ndjson(rows))
    writer.write_eof()
    found: dict[str, Any] = json.loads(await reader.read())
    writer.close()
    await writer.wait_closed()
    return found


@contextmanager
def no_room() -> Iterator[None]:
    """What a transaction says on a full disk (tests/daemon/test_store.py), for as long as a test wants it."""
    raise DiskFull("state.db")
    yield


def test_sources_stop_while_the_disk_is_full_and_resume_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed, path = tmp_path / "a.ndjson", tmp_path / "u.sock"
    followed.write_bytes(ndjson(records(10)))
    sources = [{"type": "file", "path": str(followed), "follow": True}, {"type": "unix", "path": str(path)}]

    async def scenario(full: pytest.MonkeyPatch) -> None:
        config = ready_config(tmp_path, {"s": stream(sources=sources)})
        async with running(config, tmp_path / "state") as one, asyncio.timeout(30):
            await one.observed(at_least=10)
            assert one.app._store is not None
            full.setattr(one.app._store._database, "transaction", no_room)
            waiting = [asyncio.ensure_future(said(path, records(20)))]
            while not one.app.present.disk_full:
                await asyncio.sleep(0.002)
            more = ndjson(records(MUCH))
            with followed.open("ab") as writer:
                writer.write(more)
            waiting += [asyncio.ensure_future(said(path, records(20))) for _ in range(20)]
            while one.app.mailbox.bytes:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.6)  # longer than two looks at the file
            assert one.app.mailbox.bytes == 0, "nothing is read"
            assert 0 <= len(more) - await one.metric(LAG) <= BLOCK_BYTES, "but one block"
            assert not all(answer.done() for answer in waiting), "what is not on the disk is not answered"
            full.undo()
            answers = await asyncio.gather(*waiting)
            assert [(told["accepted"], told["durable"]) for told in answers] == [(20, True)] * len(answers)
            total = 10 + MUCH + 20 * len(answers)
            assert (await one.observed(at_least=total))["observations_total"] == total

    with monkeypatch.context() as full:
        asyncio.run(scenario(full))
