"""What the pages answer to programs: status, policy, caching, a prefix, and nothing for the world's listener."""

from __future__ import annotations

import asyncio
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import pytest

from driftmon.render.pages.shell import POLICY
from tests.daemon.kit import ndjson, ready_config, records, running, stream, write_config

PAGES = ("/", "/features/s/x", "/alerts", "/status", "/config")


class Links(HTMLParser):
    """Every address a page names."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src", "action") and value]


def links(page: str) -> list[str]:
    parser = Links()
    parser.feed(page)
    return parser.found


def test_every_page_is_guarded_and_has_no_inline_style_or_script(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            await daemon.post(ndjson(records(500, shift=2.0)))
            await daemon.observed(at_least=500)
            for path in (*PAGES, "/features/s/none", "/assets/page.css"):
                reply = await daemon.http.get(path)
                assert reply.headers["content-security-policy"] == POLICY
                assert reply.headers["x-content-type-options"] == "nosniff"
                assert (reply.headers["x-frame-options"], reply.headers["referrer-policy"]) == ("DENY", "no-referrer")
                own = reply.headers["cross-origin-opener-policy"], reply.headers["cross-origin-resource-policy"]
                assert own == ("same-origin", "same-origin")
                assert "access-control-allow-origin" not in reply.headers
                assert path.startswith("/assets/") or reply.headers["cache-control"] == "no-store"
                assert not re.search(r"\sstyle=|\son[a-z]+=|<style|javascript:", reply.text)
                assert (await daemon.http.head(path)).status_code == reply.status_code

    asyncio.run(scenario())


def test_every_link_leads_somewhere_below_any_prefix(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            await daemon.post(ndjson(records(500, shift=2.0)))
            await daemon.observed(at_least=500)
            seen = set()
            for path in PAGES:
                for link in links((await daemon.http.get(path)).text):
                    assert not link.startswith("/"), f"{path}: {link} would leave the prefix"
                    assert urljoin(f"http://proxy/drift/mon{path}", link).startswith("http://proxy/drift/mon/")
                    seen.add(urljoin(f"{daemon.http.base_url}{path}", link).partition("#")[0])
            for address in seen:
                assert (await daemon.http.get(address)).status_code == 200, address

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/features/none/x", 404, "The configuration has no none."),
        ("/features/s/y", 404, "Stream s has no y."),
        ("/features/s/%3Cb%3E", 404, "Stream s has no &lt;b&gt;."),
        ("/assets/secret.txt", 404, "There is no secret.txt."),
        ("/assets/..%2Fshell.py", 404, "Not Found"),
    ],
)
def test_what_is_not_there_is_said_with_the_status_of_its_kind(
    tmp_path: Path, path: str, status: int, said: str
) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            reply = await daemon.http.get(path)
            assert reply.status_code == status
            assert said in reply.text

    asyncio.run(scenario())


def test_assets_are_kept_only_under_the_name_of_their_content(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            page = (await daemon.http.get("/")).text
            (style,) = re.findall(r'href="([^"]*page\.css[^"]*)"', page)
            assert "immutable" in (await daemon.http.get("/" + style)).headers["cache-control"]
            for stale in ("/assets/page.css", "/assets/page.css?v=0123456789ab"):
                assert (await daemon.http.get(stale)).headers["cache-control"] == "no-store"

    asyncio.run(scenario())


def test_the_world_sees_no_page(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(ready_config(tmp_path)) as daemon:
            for path in (*PAGES, "/assets/page.css"):
                assert (await daemon.web.get(path)).status_code == 404

    asyncio.run(scenario())


def test_a_stream_that_a_reload_removes_leaves_no_history(tmp_path: Path) -> None:
    config = ready_config(tmp_path)

    async def scenario() -> None:
        async with running(config, reload_over_http=True) as daemon:
            await daemon.post(ndjson(records(500, shift=2.0)))
            await daemon.observed(at_least=500)
            assert "1 of 3 features drifts" in (await daemon.http.get("/")).text
            assert set(daemon.app.present.histories) == {"s"}
            write_config(tmp_path, {"t": stream()})
            assert (await daemon.http.post("/-/reload")).status_code == 200
            await daemon.observed(at_least=0, name="t")
            assert set(daemon.app.present.histories) == {"t"}
            assert "/features/s/" not in (await daemon.http.get("/")).text

    asyncio.run(scenario())
