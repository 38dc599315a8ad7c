"""/metrics: rendered once per report, fresh where the daemon counts itself, and whole for every kind of client."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from driftmon.daemon.config import load
from driftmon.daemon.exposition import Exposition
from driftmon.daemon.present import Present
from driftmon.monitor.monitor import Monitor
from driftmon.monitor.panes import Window
from driftmon.monitor.references import reference_of
from driftmon.render.catalogue import METRICS
from driftmon.render.columns import Column
from driftmon.render.openmetrics import Family
from driftmon.render.series import Layout
from driftmon.stats.edges import FeatureSpec
from tests.daemon.kit import ready_config

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
SCRAPED = METRICS["driftmon_clock_steps_total"]


class Daemon:
    """An exposition of one stream, whose own counter counts the scrapes."""

    def __init__(self, folder: Path) -> None:
        self.present = Present(load(ready_config(folder), {}), ephemeral=True, loaded_ms=0)
        self.monitor = Monitor(
            reference_of({"x": list(range(100))}, (FeatureSpec("x", "numeric"),)),
            (Window.sliding("fast", 60_000),),
            stream="s",
        )
        self.scrapes = 0
        self.exposition = Exposition(self.present, self._own)

    def _own(self) -> Iterator[Family]:
        self.scrapes += 1
        yield Family(SCRAPED, [((), float(self.scrapes))])

    def tick(self, now_ms: int) -> None:
        self.present.take({"s": self.monitor.tick(now_ms)})

    async def scrape(self, **headers: str) -> bytes:
        found = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        response = await self.exposition.answer(Request({"type": "http", "method": "GET", "headers": found}))
        body = bytes(response.body)
        if response.headers.get("content-encoding") == "gzip":
            member = zlib.decompressobj(16 + zlib.MAX_WBITS)  # reads one member, as many clients do
            body = member.decompress(body)
            assert (member.eof, member.unused_data) == (True, b"")
        else:
            assert "content-encoding" not in response.headers
        assert response.headers["vary"] == "Accept-Encoding"
        return body


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often series were laid out, and columns written."""
    times: Counter[str] = Counter()

    def counting(name: str, plain: Any) -> Any:
        def counted(*arguments: Any) -> Any:
            times[name] += 1
            return plain(*arguments)

        return counted

    monkeypatch.setattr(Layout, "__init__", counting("laid out", Layout.__init__))
    monkeypatch.setattr(Layout, "filled", counting("filled", Layout.filled))
    monkeypatch.setattr(Column, "lines", counting("written", Column.lines))
    return times


def own_of(text: bytes) -> bytes:
    return text.partition(b"\ndriftmon_clock_steps_total ")[2].split()[0]


def test_a_report_is_rendered_once_per_format_and_coding_and_own_counters_are_fresh(
    tmp_path: Path, rendered: Counter[str]
) -> None:
    async def scenario() -> None:
        daemon = Daemon(tmp_path)
        daemon.tick(1000)
        ways: list[Mapping[str, str]] = [{}, {"accept": OPENMETRICS}, {"accept_encoding": "gzip"}]
        for _ in range(3):
            for way in ways:
                text = await daemon.scrape(**way)
                assert own_of(text) == f"{float(daemon.scrapes)!r}".encode()
                assert b'driftmon_window_observations{stream="s",feature="x",window="fast"} 0.0\n' in text
        assert rendered["filled"] == len(ways)
        assert rendered["laid out"] == 2, "none of no report, and one"

    asyncio.run(scenario())


def test_the_next_report_is_served_from_its_first_scrape_on_and_keeps_the_layout(
    tmp_path: Path, rendered: Counter[str]
) -> None:
    async def scenario() -> None:
        daemon = Daemon(tmp_path)
        daemon.tick(1000)
        await daemon.scrape(accept_encoding="gzip")
        daemon.monitor.observe_columns({"x": [1.0, 2.0, 3.0]}, 2000)
        daemon.tick(3000)
        for way in ({}, {"accept_encoding": "gzip"}):
            assert b'window_observations{stream="s",feature="x",window="fast"} 3.0\n' in await daemon.scrape(**way)
        assert rendered["laid out"] == 2
        daemon.present.config = replace(
            daemon.present.config, metrics=replace(daemon.present.config.metrics, set="full")
        )
        assert b"driftmon_psi_nats" in await daemon.scrape()
        daemon.present.forget({})
        assert b"feature=" not in await daemon.scrape()

    asyncio.run(scenario())


def test_scrapes_at_the_same_time_render_once(tmp_path: Path, rendered: Counter[str]) -> None:
    async def scenario() -> None:
        daemon = Daemon(tmp_path)
        daemon.tick(1000)
        await asyncio.gather(*(daemon.scrape() for _ in range(5)))
        assert rendered["filled"] == 1

    asyncio.run(scenario())


def test_a_render_whose_request_was_cancelled_changes_nothing(
    tmp_path: Path, rendered: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, plain = threading.Event(), threading.Event(), Layout.__init__

    def waiting(*arguments: Any) -> None:
        plain(*arguments)
        if not begun.is_set():
            begun.set()
            go_on.wait(30)

    async def scenario() -> None:
        daemon = Daemon(tmp_path)
        monkeypatch.setattr(Layout, "__init__", waiting)
        daemon.tick(1000)
        scrape = asyncio.create_task(daemon.scrape())
        await asyncio.to_thread(begun.wait, 30)
        scrape.cancel()
        await asyncio.wait([scrape])
        daemon.monitor = Monitor(
            reference_of({"x": [1.0, 2.0]}, (FeatureSpec("x", "numeric"),)),
            (Window.sliding("slow", 3_600_000),),
            stream="s",
        )
        daemon.tick(2000)
        assert b'window="slow"' in await daemon.scrape()
        go_on.set()
        while rendered["filled"] < 2:
            await asyncio.sleep(0.001)
        daemon.tick(3000)
        assert b'window="slow"' in await daemon.scrape()
        assert rendered["laid out"] == 3, "none of no report, the cancelled one, and one"

    asyncio.run(scenario())


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
def test_squeezed_and_plain_are_one_text(tmp_path: Path, accept: str) -> None:
    async def scenario() -> None:
        daemon = Daemon(tmp_path)
        daemon.tick(1000)
        plain = await daemon.scrape(accept=accept)
        squeezed = await daemon.scrape(accept=accept, accept_encoding="gzip")
        assert squeezed.replace(b" 2.0\n", b" 1.0\n") == plain.replace(b" 2.0\n", b" 1.0\n")
        assert plain.count(b"# EOF") == plain.endswith(b"# EOF\n") == (accept == OPENMETRICS)

    asyncio.run(scenario())
