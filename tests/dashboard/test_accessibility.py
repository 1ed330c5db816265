"""The pages for everyone: axe-core, narrow screens, the keyboard, forced colours and paper."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.dashboard.browser import Dashboard, Open

pytestmark = [pytest.mark.browser, pytest.mark.any_version]  # pages are the same on all versions

PATHS = {
    "insights": "/",
    "deep-dive": "/deep-dive",
    "category": "/deep-dive/acute-rehab",
    "recommendations": "/recommendations",
    "program": "/recommendations/1",
}
WIDTHS = (1280, 320)
TOO_WIDE = "(all) => all.filter((one) => one.scrollWidth > one.clientWidth).length"
# What A4 leaves between margins of 12 mm, in CSS pixels.
PAPER = ViewportSize(width=700, height=1030)
pages = pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())


def assert_accessible(page: Page, axe: str) -> None:
    """Assert that axe-core finds nothing, light and dark, wide and narrow, and nothing is cut."""
    page.evaluate(axe)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found: list[dict[str, Any]] = page.evaluate(
                "axe.run({resultTypes: ['violations']}).then(({violations}) => violations)"
            )
            assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
        # Nor is a table: where it is narrow, its rows are blocks.
        assert page.locator("html, .scroll").evaluate_all(TOO_WIDE) == 0


@pages
def test_axe_finds_nothing(site: str, open_page: Open, axe: str, path: str) -> None:
    """On each page with the shipped rows."""
    assert_accessible(open_page(site + path), axe)


@pytest.mark.parametrize("path", ["/", "/recommendations", "/recommendations/4711"])
def test_axe_finds_nothing_on_empty_pages(
    applied: str, dashboard: Dashboard, open_page: Open, axe: str, path: str
) -> None:
    """On pages without rows, and of what does not exist."""
    assert_accessible(open_page(dashboard(applied) + path, ready=".notice"), axe)


def test_axe_finds_nothing_in_what_opens(site: str, open_page: Open, axe: str) -> None:
    """With a menu open, and an error next to it."""
    page = open_page(f"{site}/recommendations")
    page.context.set_offline(True)
    page.get_by_role("button", name="Accept").first.click()
    # Next to the button, and above what is no longer up to date.
    expect(page.get_by_role("alert")).to_have_count(2)
    page.locator("summary").first.click()
    assert_accessible(page, axe)


@pages
def test_the_keyboard_reaches_everything(site: str, open_page: Open, path: str) -> None:
    """In reading order, beginning with the link to the content, and always visible."""
    page = open_page(site + path)
    # The same elements, from the document: what is closed or not shown is no stop.
    stops = page.evaluate("""() => {
        const all = document.querySelectorAll('a[href], button, select, summary, [tabindex="0"]');
        window.stops = [...all].filter((one) => one.checkVisibility());
        return window.stops.length;
    }""")
    page.evaluate("document.activeElement.blur()")
    for place in range(stops):
        page.keyboard.press("Tab")
        assert page.evaluate("(place) => document.activeElement === window.stops[place]", place)
        assert page.evaluate("""() => {
            const {outlineStyle, outlineWidth} = getComputedStyle(document.activeElement);
            return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1;
        }""")


@pages
def test_a_page_has_landmarks_and_one_heading(site: str, open_page: Open, path: str) -> None:
    """And each table a name, each of its headings a scope."""
    page = open_page(site + path)
    assert page.locator("h1").count() == 1
    assert page.locator("main").count() == page.locator("header").count() == 1
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("th:not([scope])").count() == 0
    page.get_by_role("link", name="Skip to the content").press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    expect(page.locator("footer.foot")).to_contain_text("Data updated")


def test_a_table_that_scrolls_is_a_stop(site: str, open_page: Open) -> None:
    """It has a name, and none while all of it is visible."""
    page = open_page(f"{site}/deep-dive", viewport={"width": 1280, "height": 800})
    box = page.locator(".scroll").first
    assert box.get_attribute("tabindex") is None
    page.set_viewport_size({"width": 780, "height": 800})
    expect(box).to_have_attribute("tabindex", "0")
    expect(box).to_have_attribute("aria-label", "Cost categories against their benchmarks")
    page.set_viewport_size({"width": 320, "height": 800})
    expect(box).not_to_have_attribute("tabindex", "0")


def test_a_status_is_a_shape_and_a_word(site: str, open_page: Open) -> None:
    """Without its colour it says the same: each of the three has a shape of its own."""
    page = open_page(f"{site}/deep-dive")
    shapes = {
        word: page.locator("table.wide .badge", has_text=word).first.locator("svg").inner_html()
        for word in ("Priority", "Watch", "Efficient")
    }
    assert len(set(shapes.values())) == 3


def test_charts_are_images_with_a_sentence(site: str, open_page: Open) -> None:
    """For those who cannot see them; unknown is read aloud as such."""
    page = open_page(f"{site}/deep-dive/acute-rehab")
    assert [chart.get_attribute("aria-label") for chart in page.locator(".chart").all()] == [
        (
            "Acute Rehabilitation, spending against the benchmark: Last 12 months +30.4%,"
            " Year to date +32.5%, Last quarter +35.7%"
        ),
        "Of +$320,382 against the benchmark, +$297,279 is use and +$23,102 is price",
    ]
    page.goto(f"{site}/")
    expect(page.get_by_role("cell", name="unknown").first).to_be_attached()


@pages
def test_in_forced_colors(site: str, open_page: Open, tmp_path: Path, path: str) -> None:
    """Marks and bars keep a colour that differs from the ground. The picture is kept."""
    page = open_page(site + path, forced_colors="active")
    page.screenshot(path=kept(tmp_path, "forced-colors", path), full_page=True)
    fills = page.locator(".plot :is(.over, .under, .use), .shape:is(.red, .yellow, .green)")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground not in fills.evaluate_all("(all) => all.map((one) => getComputedStyle(one).fill)")


@pages
def test_on_paper(site: str, open_page: Open, tmp_path: Path, path: str) -> None:
    """Period, dates, time and address on top; nothing to click; what was closed is open."""
    page = open_page(site + path)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    page.set_viewport_size(PAPER)
    top = page.locator(".print-only")
    expect(top).to_be_visible()
    expect(top).to_contain_text("Data updated")
    expect(top).to_contain_text(page.url)
    if page.locator(".period").count():
        expect(top).to_contain_text("Year to date, Jan 1 \N{EN DASH} Sep 30, 2026")
    visible = "(all) => all.filter((one) => one.checkVisibility()).map((one) => one.textContent)"
    assert page.locator("button, select, summary, nav, .skip").evaluate_all(visible) == []
    assert page.locator("details:not(.menu):not([open])").count() == 0
    assert page.locator("html, .scroll").evaluate_all(TOO_WIDE) == 0
    page.screenshot(path=kept(tmp_path, "print", path), full_page=True)
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


def kept(folder: Path, kind: str, path: str) -> Path:
    """Return where a picture is kept: LFMIGRATE_TEST_PICTURES, or a folder of pytest's."""
    folder = Path(os.environ.get("LFMIGRATE_TEST_PICTURES") or folder)
    folder.mkdir(parents=True, exist_ok=True)
    name = next(name for name, known in PATHS.items() if known == path)
    return folder / f"{kind}-{name}.png"
