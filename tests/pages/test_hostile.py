"""Names out of configuration and data are text, whatever they hold; every one of them has a page."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, expect

from driftmon.daemon.config import load
from driftmon.monitor.references import reference_of
from tests.daemon.kit import Running
from tests.pages.conftest import Site, site, taken, watched

NAMES = (
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)" x="',
    "</title></svg><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "a/b",
    "%2e%2e%2f",
    "../../status",
    "{{7*7}}${7*7}",
    "Größe in 平方米 & co.",
    "'; DROP TABLE features; --",
    "?q=1#frag",
    "x" * 128,
)
VALUES = ("</td><script>alert(2)</script>", "\u202egnp.exe", "\x00\x1b[31m", "y" * 500, "--><!--")
STREAM = "s.1-x"


@pytest.fixture(scope="module")
def hostile() -> Iterator[Site]:
    async def prepare(daemon: Running) -> None:
        rows = [dict.fromkeys(NAMES, VALUES[at % len(VALUES)]) for at in range(400)]
        body = "".join(json.dumps(row) + "\n" for row in rows).encode()
        assert (await daemon.post(body, to="s.1-x")).status_code == 202
        await daemon.post(b'{"<script>alert(3)</script>": \n', to="s.1-x")
        await taken(daemon, STREAM, 400)

    with tempfile.TemporaryDirectory() as folder:
        stream = {
            "reference": {"type": "file", "path": "p.json"},
            "features": {name: {"type": "categorical"} for name in NAMES},
            "windows": [{"name": "<i>1h</i>", "length": "1h"}, {"name": "day", "length": "24h"}],
            "tick": "100ms",
        }
        young = {
            "reference": {"type": "warmup", "observations": 1000},
            "features": {"a": {"type": "numeric"}},
            "tick": "100ms",
        }
        rule = {"name": "<u>R</u>", "metric": "kl_divergence_debiased", "above": 0.1, "min_observations": 100}
        path = Path(folder) / "driftmon.yaml"
        path.write_text(yaml.safe_dump({"version": 1, "streams": {STREAM: stream, "young": young}, "rules": [rule]}))
        specs = load(path, {}).streams[STREAM].features
        columns = {name: ["fine", VALUES[0]] * 500 for name in NAMES}
        (Path(folder) / "p.json").write_bytes(reference_of(columns, specs).to_bytes())
        with site(path, prepare) as found:
            yield found


def test_hostile_names_are_shown_and_do_nothing(browser: Browser, hostile: Site) -> None:
    with watched(browser, hostile.url, base_url=hostile.url) as page:
        page.goto("/")
        links = page.locator(".features tbody th a")
        assert set(links.all_text_contents()) == {*NAMES, "a"}
        assert page.evaluate("document.scripts.length") == 1
        addresses = [link.get_attribute("href") for link in links.all()]
        for name, address in zip(links.all_text_contents(), addresses, strict=True):
            page.goto("/" + str(address))
            expect(page.get_by_role("heading", level=1)).to_contain_text(name)
            assert page.evaluate("document.scripts.length") == 1
            assert page.locator("main img, main script, main b:not(.count) script").count() == 0


def test_hostile_values_alerts_and_refusals_do_nothing(browser: Browser, hostile: Site) -> None:
    with watched(browser, hostile.url, base_url=hostile.url) as page:
        page.goto("/features/s.1-x/a%2Fb?window=%3Ci%3E1h%3C%2Fi%3E")
        expect(page.locator(".bins-table")).to_contain_text(VALUES[0])
        assert "\u202e" not in page.content()
        for path in ("/alerts", "/status", "/config", "/?q=%3Cscript%3Ealert(4)%3C/script%3E&sort=%22%3E&page=-1"):
            page.goto(path)
            assert page.evaluate("document.scripts.length") == 1
        page.goto("/alerts")
        expect(page.get_by_role("article").first).to_contain_text("<u>R</u>")


def test_a_stream_that_gathers_its_reference_says_how_far_it_is(browser: Browser, hostile: Site) -> None:
    with watched(browser, hostile.url, base_url=hostile.url) as page:
        page.goto("/?stream=young")
        expect(page.locator(".features tbody tr")).to_contain_text("gathering its reference: 0 of 1,000 records")
        page.goto("/features/young/a")
        expect(page.get_by_role("main")).to_contain_text("0 of 1,000 records")
