"""Draw deploy/pictures/page.png anew: the overview of a shop's afternoon, as the system's Chromium shows it.

Needs Chromium; run it as `python tests/tools/make_page_picture.py` from the repository.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "deploy" / "pictures" / "page.png"
SIZE = {"width": 1280, "height": 1120}
MOST_BYTES = 200_000

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from tests.pages import world
    from tests.pages.conftest import FLAGS, SINKS, pass_the_afternoon, site
    from tests.servers.helpers import require

    TARGET.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=require("chromium"), args=list(FLAGS))
        page = browser.new_page(viewport=SIZE, color_scheme="dark")  # type: ignore[arg-type]
        with site(world.write(Path(folder), sinks=SINKS[:1]), pass_the_afternoon) as shop:
            page.goto(shop.url)
            page.screenshot(path=TARGET)
        browser.close()
    assert TARGET.stat().st_size < MOST_BYTES, "a picture in a README must be small"
    print(f"{TARGET.relative_to(ROOT)}: {TARGET.stat().st_size} bytes")  # noqa: T201
