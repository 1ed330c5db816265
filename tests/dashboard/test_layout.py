"""How the pages are laid out: what touches, what is too wide, what stands on one line."""

from __future__ import annotations

import pytest
from playwright.sync_api import ViewportSize

from tests.dashboard.browser import Dashboard, Open
from tests.helpers.databases import execute

pytestmark = [pytest.mark.browser, pytest.mark.any_version]  # pages are the same on all versions

WIDTHS = (1440, 1280, 1100, 1024, 768, 390, 320)
# Of each axis, the least room between neighbouring labels, and how many there are.
AXES = """(all) => all.map((axis) => {
    const boxes = [...axis.querySelectorAll('text')].filter((text) => text.checkVisibility())
        .map((text) => text.getBoundingClientRect());
    return [Math.min(...boxes.slice(1).map(({left}, place) => left - boxes[place].right)),
        boxes.length];
})"""


def sized(width: int) -> ViewportSize:
    """Return a window of a width."""
    return {"width": width, "height": 800}


@pytest.mark.parametrize("path", ["/", "/deep-dive", "/deep-dive/acute-rehab?period=last_quarter"])
def test_labels_of_an_axis_never_touch(
    seeded: str, dashboard: Dashboard, open_page: Open, path: str
) -> None:
    """At any width, also when the window gets wider again; two or more of them remain."""
    # As many steps as an axis can have.
    execute(
        seeded,
        "UPDATE cost_categories SET spending_variance_amount = CASE WHEN slug = 'acute-rehab'"
        " THEN 880000 ELSE spending_variance_amount / 100 END",
    )
    page = open_page(dashboard(seeded) + path, viewport=sized(320))
    labels = page.locator(".axis")
    most = 0
    for width in reversed(WIDTHS):
        page.set_viewport_size(sized(width))
        page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        axes = labels.evaluate_all(AXES)
        assert [(width, *axis) for axis in axes if axis[0] < 4 or axis[1] < 2] == []
        most = max(most, *(number for _, number in axes))
    assert most > 3


def test_long_words_are_broken(seeded: str, dashboard: Dashboard, open_page: Open) -> None:
    """No page scrolls sideways, whatever a text contains."""
    execute(
        seeded,
        "UPDATE recommendations SET title = repeat('title', 40), description = repeat('x', 2000),"
        " patient_cohort = repeat('y', 200), program_overview = repeat('z', 2000),"
        " status = 'accepted', status_changed_by = repeat('n', 200)",
        "UPDATE cost_categories SET category_name = repeat('W', 200),"
        " description = repeat('d', 500) WHERE slug = 'acute-rehab'",
        "UPDATE performance_periods SET period_label = repeat('p', 90) || id",
        "UPDATE program_resources SET title = repeat('s', 200), content = repeat('c', 500),"
        " author = repeat('a', 200)",
        "UPDATE efficiency_kpis SET kpi_label = repeat('k', 200)",
    )
    site = dashboard(seeded)
    page = open_page(site, viewport=sized(320))
    for path in ("/", "/deep-dive", "/deep-dive/acute-rehab", "/recommendations"):
        page.goto(site + path)
        page.locator("footer.foot").wait_for()
        for width in (320, 1280):
            page.set_viewport_size(sized(width))
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
    page.goto(f"{site}/recommendations/3")
    page.locator("footer.foot").wait_for()
    for width in (320, 1280):
        page.set_viewport_size(sized(width))
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_figures_of_a_block_are_on_one_line(site: str, open_page: Open) -> None:
    """On a narrow screen, a label of two lines does not push its figure down; four are 2 by 2."""
    page = open_page(f"{site}/deep-dive", viewport=sized(390))
    places = page.locator("table.wide tbody tr").first.evaluate("""(row) =>
        [...row.querySelectorAll('td')].slice(0, 3).map((cell) => {
            const range = document.createRange();
            range.selectNodeContents(cell);
            return Math.round(range.getClientRects()[0].top);
        })""")
    assert len(set(places)) == 1
    page.goto(f"{site}/")
    page.locator("footer.foot").wait_for()
    cells = page.get_by_role("table", name="Largest overspending").locator("tbody tr").first
    lefts = cells.locator("td").evaluate_all("(all) => all.map((one) => one.offsetLeft)")
    assert lefts == [lefts[0], lefts[1]] * 2
