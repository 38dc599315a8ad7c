"""Sources that read for themselves: tried again when they break, resumed where they were, left alone by a reload."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from driftmon.daemon import intake as module
from driftmon.daemon.config import load
from driftmon.daemon.deliveries import Deliveries
from driftmon.daemon.intake import Intake
from driftmon.daemon.mailbox import Mailbox
from driftmon.daemon.settings import Config
from driftmon.daemon.telemetry import Telemetry
from driftmon.sources.base import Block, Positions, Progress
from tests.daemon.kit import ndjson, ready_config, records, running, stream, write_config


class FakeSource:
    """Yields one block a call of `blocks`, then breaks the way it was told to; `resumed` is what it was asked for."""

    def __init__(self, name: str, faults: list[Exception]) -> None:
        self.origin = f"fake:{name}"
        self.progress = Progress()
        self.resumed: list[Positions] = []
        self._faults = faults
        self.asked = asyncio.Event()
        self.stopped = False

    async def blocks(self, resume: Positions) -> AsyncGenerator[Block, None]:
        self.resumed.append(resume)
        yield Block("s", "fake", "ndjson", b"{}", {"offset": len(self.resumed)}, origin=self.origin)
        if self._faults:
            raise self._faults.pop(0)
        self.asked.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.stopped = True


def configured(folder: Path, *paths: str) -> Config:
    sources = [{"type": "file", "path": path} for path in paths]
    return load(write_config(folder, {"s": stream(sources=sources)}), {})


def run(
    monkeypatch: pytest.MonkeyPatch, faults: list[Exception], scenario: Callable[[Intake, list[FakeSource]], Any]
) -> None:
    made: list[FakeSource] = []

    def opened(name: str, settings: Any, limits: Any) -> FakeSource:
        made.append(FakeSource(settings.options.path.name, faults))
        return made[-1]

    monkeypatch.setattr(module, "_open", opened)
    monkeypatch.setattr(module, "RETRY_FIRST_S", 0.001)

    async def go() -> None:
        intake = Intake(Mailbox(1024 * 1024), Telemetry())
        async with asyncio.timeout(10):
            await scenario(intake, made)
            await intake.stop()
        assert all(source.stopped for source in made)

    asyncio.run(go())


@pytest.mark.parametrize("fault", [OSError("gone"), RuntimeError("a bug")], ids=["gone", "bug"])
def test_a_source_that_breaks_is_tried_again_where_its_last_block_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    async def scenario(intake: Intake, made: list[FakeSource]) -> None:
        await intake.follow(configured(tmp_path, "a"), {"s": {"fake:a": {"offset": 77}, "fake:other": {"offset": 0}}})
        await made[0].asked.wait()
        assert [resume["fake:a"] for resume in made[0].resumed] == [{"offset": 77}, {"offset": 1}]
        assert all(resume["fake:other"] == {"offset": 0} for resume in made[0].resumed)

    run(monkeypatch, [fault], scenario)
    assert "stream s: source fake:a" in caplog.text
    assert "trying again in 0.001 s" in caplog.text


def test_where_nothing_more_is_counted_a_source_ends_and_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The pump has failed: the daemon is about to end with its fault, and a source has nothing to add to that."""

    async def scenario() -> None:
        mailbox, source = Mailbox(1024 * 1024), FakeSource("a", [])
        intake = Intake(mailbox, Telemetry())
        monkeypatch.setattr(module, "_open", lambda *_: source)
        mailbox.close()
        async with asyncio.timeout(10):
            await intake.follow(configured(tmp_path, "a"), {})
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0)
            await intake.stop()
        assert len(source.resumed) == 1

    asyncio.run(scenario())
    assert not caplog.records


def test_a_reload_stops_what_is_gone_starts_what_is_new_and_leaves_the_rest_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(intake: Intake, made: list[FakeSource]) -> None:
        await intake.follow(configured(tmp_path, "a", "b"), {})
        for source in made:
            await source.asked.wait()
        await intake.follow(configured(tmp_path, "b", "c"), {})
        kept = {source.origin: source for source in made}
        await kept["fake:c"].asked.wait()
        assert {origin: source.stopped for origin, source in kept.items()} == {
            "fake:a": True,
            "fake:b": False,
            "fake:c": False,
        }
        assert len(made) == 3

    run(monkeypatch, [], scenario)


def test_a_file_whose_options_change_in_a_busy_reload_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the swap of the streams and the end of the old source it gives a block that is counted after both."""
    followed = tmp_path / "a.ndjson"
    followed.write_bytes(ndjson(records(10)))
    one = {"type": "file", "path": str(followed), "follow": True}
    busy, closed, waiting = threading.Event(), Deliveries.close, list[asyncio.Task[bool]]()

    async def scenario() -> None:
        async with running(ready_config(tmp_path, {"s": stream(sources=[one])})) as daemon:
            await daemon.observed(at_least=10)
            mailbox, loop = daemon.app.mailbox, asyncio.get_running_loop()

            async def meanwhile(deliveries: Deliveries) -> None:
                waiting.append(asyncio.create_task(mailbox.ask(lambda: busy.wait(10))))
                with followed.open("ab") as file:
                    file.write(ndjson(records(20)))
                while not mailbox.bytes:
                    await asyncio.sleep(0.01)
                loop.call_later(0.1, busy.set)
                await closed(deliveries)
                monkeypatch.undo()

            monkeypatch.setattr(Deliveries, "close", meanwhile)
            ready_config(tmp_path, {"s": stream(sources=[one | {"format": "ndjson"}])})
            assert await daemon.app.reload() == ""
            with followed.open("ab") as file:
                file.write(ndjson(records(1)))
            assert (await daemon.observed(at_least=31))["observations_total"] == 31

    asyncio.run(scenario())
