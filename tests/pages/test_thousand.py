"""A thousand features: a page stays a page."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from playwright.sync_api import Browser, expect

from driftmon.daemon.config import load
from driftmon.monitor.references import reference_of
from driftmon.render.pages.ranking import PAGE
from tests.daemon.kit import Running
from tests.pages.conftest import Site, site, taken, watched

FEATURES = 1000
ROWS = 200
MOST_PAGE_BYTES = 400_000
MOST_ELEMENTS = 3_000


@pytest.fixture(scope="module")
def thousand() -> Iterator[Site]:
    names = [f"feature_{at:04}" for at in range(FEATURES)]
    rng = np.random.default_rng(3)

    async def prepare(daemon: Running) -> None:
        values = rng.normal(size=(ROWS, FEATURES)).round(3)
        values[:, 700] += 3.0
        lines = (json.dumps(dict(zip(names, row, strict=True))) for row in values.tolist())
        assert (await daemon.post("\n".join(lines).encode())).status_code == 202
        await taken(daemon, "s", ROWS)

    with tempfile.TemporaryDirectory() as folder:
        stream = {
            "reference": {"type": "file", "path": "p.json"},
            "features": {name: {"type": "numeric", "edges": [-1, 0, 1]} for name in names},
            "tick": "100ms",
        }
        rule = {"name": "R", "metric": "kl_divergence_debiased", "above": 0.2, "min_observations": 100}
        path = Path(folder) / "driftmon.yaml"
        path.write_text(yaml.safe_dump({"version": 1, "streams": {"s": stream}, "rules": [rule]}))
        sample = rng.normal(size=(2000, FEATURES))
        specs = load(path, {}).streams["s"].features
        reference = reference_of({name: sample[:, at] for at, name in enumerate(names)}, specs)
        (Path(folder) / "p.json").write_bytes(reference.to_bytes())
        with site(path, prepare) as found:
            yield found


def test_the_one_that_drifts_among_a_thousand_stands_first(browser: Browser, thousand: Site) -> None:
    with watched(browser, thousand.url, base_url=thousand.url) as page:
        page.goto("/")
        expect(page.get_by_role("heading", level=1)).to_have_text("1 of 1,000 features drifts")
        rows = page.locator(".features tbody tr")
        expect(rows).to_have_count(PAGE)
        expect(rows.first).to_contain_text("feature_0700")
        assert page.evaluate("document.querySelectorAll('*').length") < MOST_ELEMENTS
        assert len(thousand.get("/").text) < MOST_PAGE_BYTES


def test_every_feature_is_on_one_page(browser: Browser, thousand: Site) -> None:
    with watched(browser, thousand.url, base_url=thousand.url) as page:
        page.goto("/?sort=name")
        page.get_by_role("link", name="Next").click()
        expect(page.locator(".features tbody th a").first).to_have_text("feature_0050")
        page.goto("/?sort=name&page=20")
        expect(page.locator(".features tbody th a").last).to_have_text("feature_0999")
        assert page.get_by_role("link", name="Next").count() == 0
        page.goto("/?page=999")
        expect(page.locator(".pager")).to_contain_text("page 20 of 20")
        page.goto("/?q=0123")
        expect(page.locator(".features tbody tr")).to_have_count(1)
