"""A daemon beside the tests and the system's Chromium; a page that complains or asks elsewhere fails its test."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.daemon.kit import IN_CLEAR, Running, running
from tests.pages import world
from tests.servers.helpers import require

# Colours as they are, no GPU, no calls home.
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking")
Prepare = Callable[[Running], Any]
PATIENCE_MS = 60_000  # then it hangs; a busy machine needs several seconds
expect.set_options(timeout=PATIENCE_MS)


class Site:
    """A daemon in a thread of its own; `url` is its API listener."""

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop, daemon: Running) -> None:
        self.url, self._loop, self._daemon = url, loop, daemon

    def get(self, path: str, **headers: str) -> httpx.Response:
        return httpx.get(self.url + path, headers=headers, trust_env=False, timeout=60, verify=IN_CLEAR)

    def post(self, body: bytes, to: str) -> None:
        url = f"{self.url}/api/v1/ingest/{to}"
        httpx.post(url, content=body, trust_env=False, verify=IN_CLEAR).raise_for_status()

    def call(self, doing: Any) -> Any:
        """Run a coroutine where the daemon runs."""
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(30)


@contextmanager
def site(config: Path, prepare: Prepare, **flags: Any) -> Iterator[Site]:
    """Started, prepared, and drained at the end."""
    ready, done = threading.Event(), threading.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        try:
            async with running(config, **flags) as daemon:
                await prepare(daemon)
                found["site"] = Site(daemon.app.urls["api"][0], asyncio.get_running_loop(), daemon)
                ready.set()
                await asyncio.to_thread(done.wait)
        except BaseException as fault:
            found["fault"] = fault
            raise
        finally:
            ready.set()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        assert ready.wait(60)
        assert "fault" not in found, found
        yield found["site"]
    finally:
        done.set()
        thread.join(30)


async def taken(daemon: Running, stream: str, records: int) -> None:
    """Until a tick has published so many records of a stream."""
    async with asyncio.timeout(60):
        while True:
            report = daemon.app.present.reports.get(stream)
            lifetime = None if report is None else report.lifetime
            if (
                lifetime is not None
                and report is not None
                and report.schema.totals(lifetime.counts.astype(float))[0] >= records
            ):
                return
            await asyncio.sleep(0.02)


async def pass_the_afternoon(daemon: Running) -> None:
    """Ten minutes at a time, each seen by a tick, so that there is a course to draw."""
    sent, block = 0, b""
    for minute, body in enumerate(world.afternoon()):
        block += body
        if minute % 10 == 9:
            sent += block.count(b"\n")
            assert (await daemon.post(block, to="shop")).status_code == 202
            await taken(daemon, "shop", sent)
            block = b""
    await daemon.post(b'{"at": "noon"}\n{bad\n', to="shop")


SINKS = [{"type": "log"}, {"type": "webhook", "endpoint": "https://me:hunter2@hooks.invalid/T0/s3cr3t?token=t0k3n"}]


@pytest.fixture(scope="session")
def shop() -> Iterator[Site]:
    """An afternoon of a shop, with drift, an alert that ended and two refused records."""
    with tempfile.TemporaryDirectory() as folder:
        config = world.write(Path(folder), sinks=SINKS[:1])
        with site(config, pass_the_afternoon) as found:
            yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Module by module: while it is open its event loop is this thread's, and tests elsewhere run their own."""
    binary = require("chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=binary, args=list(FLAGS))
        yield opened
        opened.close()


@contextmanager
def watched(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """A page that must stay silent and at home."""
    said: list[str] = []
    context: BrowserContext = browser.new_context(**options)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.on("console", lambda message: said.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("dialog", lambda dialog: said.append(f"dialog: {dialog.message}"))
    home = urlsplit(url).netloc
    page.on("request", lambda asked: said.append(asked.url) if urlsplit(asked.url).netloc != home else None)
    try:
        yield page
    finally:
        context.close()
    assert said == []


@pytest.fixture
def page(browser: Browser, shop: Site) -> Iterator[Page]:
    """On the shop's site, light and wide."""
    with watched(browser, shop.url, base_url=shop.url, viewport={"width": 1360, "height": 900}) as opened:
        yield opened
