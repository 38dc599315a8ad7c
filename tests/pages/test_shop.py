"""The pages on a shop's afternoon: silent, at home, readable in every light and width, true to the report."""

from __future__ import annotations

from itertools import pairwise

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pages.conftest import Site, watched

PATHS = ("/", "/features/shop/payment_method", "/features/shop/latency_ms", "/alerts", "/status", "/config")


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 390), ("dark", 390), ("dark", 820), ("light", 1360), ("dark", 1360)]
)
def test_every_page_is_silent_at_home_and_fits(browser: Browser, shop: Site, scheme: str, width: int) -> None:
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 800}}
    with watched(browser, shop.url, base_url=shop.url, **options) as page:
        for path in PATHS:
            page.goto(path)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        bright = sum(int(part) for part in background.removeprefix("rgb(").rstrip(")").split(",")) / 3
        assert (bright > 200) if scheme == "light" else (bright < 50)


@pytest.mark.parametrize("path", PATHS)
def test_a_screen_reader_finds_its_way(page: Page, path: str) -> None:
    page.goto(path)
    for role in ("banner", "navigation", "main", "contentinfo"):
        expect(page.get_by_role(role).first).to_be_attached()
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    nameless = page.evaluate(
        "[...document.querySelectorAll('svg:not([aria-hidden])')]"
        ".filter(s => s.getAttribute('role') !== 'img' || !s.getAttribute('aria-label')).length"
    )
    assert nameless == 0
    assert page.evaluate("[...document.querySelectorAll('table')].every(t => t.caption && t.caption.textContent)")
    assert page.evaluate(
        "[...document.querySelectorAll('input:not([type=hidden]),select')].every(i => i.labels.length)"
    )
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(h => Number(h.tagName[1]))")
    assert all(after - before <= 1 for before, after in pairwise(levels)), levels


def test_the_overview_is_sorted_by_excess_and_says_what_the_report_says(page: Page, shop: Site) -> None:
    features = shop.get("/api/v1/report").json()["streams"]["shop"]["features"]
    window = {name: one["windows"]["fast"] for name, one in features.items()}
    excess = {name: w["kl_divergence_debiased_nats"] - w["kl_noise_floor_nats"] for name, w in window.items()}
    page.goto("/")
    names = page.locator(".features tbody th a").all_text_contents()
    assert names == sorted(excess, key=lambda name: -excess[name])
    first = page.locator(".features tbody tr").first
    expect(first).to_contain_text(f"{window[names[0]]['kl_divergence_debiased_nats']:.3f}")
    expect(first).to_contain_text(f"{window[names[0]]['observations']:,}")
    drifting = sum(one["status"] == "drift" for one in features.values())
    assert drifting == 2
    expect(page.get_by_role("heading", level=1)).to_have_text("2 of 13 features drift")
    expect(page).to_have_title("(3) Overview · driftmon")
    label = page.get_by_role("img", name="largest contribution: wallet").get_attribute("aria-label")
    assert label is not None
    assert "20.1 % in the reference" in label


def test_states_differ_in_shape_and_word_and_not_in_colour_alone(page: Page) -> None:
    page.goto("/")
    shapes = {}
    for row in page.locator(".features tbody tr").all():
        shapes[row.locator(".badge").inner_text()] = row.locator(".badge svg").inner_html()
    assert set(shapes) == {"drift", "ok"}
    assert len(set(shapes.values())) == 2


def test_the_page_of_a_feature_accounts_for_every_nat(page: Page, shop: Site) -> None:
    told = shop.get("/api/v1/streams/shop/features/payment_method").json()["windows"]["fast"]
    page.goto("/features/shop/payment_method")
    cells = page.locator(".bins-table tbody tr td:nth-of-type(4)").all_inner_texts()
    added = sum(float(cell.replace("−", "-")) for cell in cells)
    assert added == pytest.approx(told["kl_divergence_nats"]["q_p"], abs=1e-4 * len(cells))
    assert len(cells) == len(told["bins"])
    stack = page.get_by_role("img", name="cross-entropy").get_attribute("aria-label")
    assert stack is not None
    cross, live, kl = (float(part.split()[-1]) for part in stack.replace(" nats", "").replace("=", "+").split("+"))
    assert cross == pytest.approx(live + kl, abs=2e-3)
    expect(page.locator(".enough")).to_contain_text("Enough: 3,600 observations")
    page.get_by_text("All numbers").click()
    expect(page.locator("#numbers")).to_contain_text("driftmon_psi_nats")


def test_the_course_of_a_feature_is_drawn_and_is_in_its_json(page: Page, shop: Site) -> None:
    twin = shop.get("/api/v1/streams/shop/features/latency_ms").json()
    points = twin["history"]["fast"]
    assert len(points) >= 10
    assert [one["time_ms"] for one in points] == sorted({one["time_ms"] for one in points})
    assert points[-1]["time_ms"] == twin["time_ms"]
    now = twin["windows"]["fast"]["kl_divergence_debiased_nats"]
    assert points[-1]["kl_divergence_debiased_nats"] == pytest.approx(now, rel=1e-6)
    assert max(one["kl_divergence_debiased_nats"] for one in points) > 0.1 > now
    page.goto("/features/shop/latency_ms")
    expect(page.get_by_role("img", name="debiased KL of the window fast over time")).to_be_visible()


def test_the_course_can_be_read_on_a_telephone(page: Page) -> None:
    """The newest is in sight, and axes are of 9 pixels at least though the drawing is made smaller."""
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/features/shop/latency_ms")
    sizes = page.eval_on_selector_all(
        "svg.chart text.axis", "all => all.map(one => one.getBoundingClientRect().height)"
    )
    assert min(sizes) >= 9
    assert page.locator("figure.scroll").evaluate("one => one.scrollLeft + one.clientWidth - one.scrollWidth") >= -1


def test_alerts_are_told_with_cause_and_what_ended_is_kept(page: Page, shop: Site) -> None:
    firing = shop.get("/api/v1/alerts").json()["alerts"]
    page.goto("/alerts")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{len(firing)} alerts firing")
    expect(page.get_by_role("article")).to_have_count(len(firing))
    expect(page.get_by_role("article").last).to_contain_text("payment_method=wallet 20 % -> 79 %")
    resolved = page.get_by_role("table", name="Resolved alerts")
    expect(resolved).to_contain_text("latency_ms of shop")
    expect(page.get_by_role("table", name="Receivers")).to_contain_text("log")


def test_status_says_why_records_were_refused(page: Page) -> None:
    page.goto("/status")
    expect(page.get_by_role("table", name="Records by stream")).to_contain_text("1 bad_time, 1 malformed")
    refused = page.get_by_role("table", name="Refused records").locator("tbody tr")
    expect(refused).to_have_count(2)
    expect(refused.first).to_contain_text("malformed")


def test_search_filter_and_order_work_without_a_script(browser: Browser, shop: Site) -> None:
    with watched(browser, shop.url, base_url=shop.url, java_script_enabled=False) as page:
        page.goto("/")
        page.get_by_label("Find").fill("COUNT")
        page.get_by_label("Find").press("Enter")
        assert page.locator(".features tbody th a").all_text_contents() == ["discount_ratio", "country"]
        page.goto("/?sort=name")
        names = page.locator(".features tbody th a").all_text_contents()
        assert names == sorted(names)
        page.get_by_role("link", name="2 drift").click()
        assert page.locator(".features tbody th a").all_text_contents() == ["distance_km", "payment_method"]
        assert "sort=name" in page.url
        page.get_by_role("link", name="payment_method").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("payment_method")
        page.get_by_role("link", name="shop", exact=True).click()
        assert page.url.endswith("/?stream=shop")


def test_the_keyboard_reaches_everything(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim()"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    assert "payment_method" in reached
    page.get_by_role("link", name="payment_method").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("payment_method")
