"""The script: what is new appears by itself, where one reads and what one opened stays, and one can stop it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.daemon.kit import Running, ndjson, ready_config, records
from tests.pages.conftest import Site, site, taken, watched


async def a_little(daemon: Running) -> None:
    await daemon.post(ndjson(records(200)))
    await taken(daemon, "s", 200)


@pytest.fixture
def plain() -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as folder, site(ready_config(Path(folder)), a_little) as found:
        yield found


def test_new_records_show_without_a_reload_and_the_reader_is_not_disturbed(browser: Browser, plain: Site) -> None:
    with watched(browser, plain.url, base_url=plain.url) as page:
        page.goto("/features/s/x")
        page.evaluate("window.mine = 'still here'")
        page.get_by_text("All numbers").click()
        page.get_by_role("link", name="as JSON", exact=True).focus()
        expect(page.locator(".tiles")).to_contain_text("200")
        plain.post(ndjson(records(800, shift=2.0)), "s")
        expect(page.locator(".tiles")).to_contain_text("1,000")
        expect(page.locator(".lead")).to_contain_text("differs from the reference by")
        expect(page).to_have_title("(1) x · driftmon")
        assert page.evaluate("window.mine") == "still here"
        assert page.evaluate("document.getElementById('numbers').open")
        expect(page.get_by_role("link", name="as JSON", exact=True)).to_be_focused()


def test_a_paused_page_stays_as_it_is(browser: Browser, plain: Site) -> None:
    with watched(browser, plain.url, base_url=plain.url) as page:
        page.goto("/")
        expect(page.get_by_role("status")).to_contain_text("None of 3 features drifts")
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Go on")).to_be_focused()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        plain.post(ndjson(records(800, shift=2.0)), "s")
        page.clock.install()
        page.clock.run_for(60_000)
        assert asked == []
        expect(page.get_by_role("status")).to_contain_text("None of 3 features drifts")
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("status")).to_contain_text("1 of 3 features drifts")


def test_a_daemon_that_has_gone_is_marked_and_the_last_state_stays(browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    with tempfile.TemporaryDirectory() as folder, site(ready_config(Path(folder)), a_little) as found:
        page.goto(found.url + "/")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("body.lost")).to_be_attached()
    expect(page.get_by_role("heading", level=1)).to_have_text("None of 3 features drifts")
    context.close()
