"""The pages when something is missing, slow, old or wrong, and in the page of another site."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Route, expect

from tests.dashboard.browser import (
    Dashboard,
    Open,
    address_of,
    is_focused,
    press_until_focused,
    row_of,
    said,
)
from tests.helpers.databases import execute

pytestmark = [pytest.mark.browser, pytest.mark.any_version]  # pages are the same on all versions


PATHS = ("/", "/deep-dive", "/deep-dive/acute-rehab", "/recommendations", "/recommendations/1")


def test_empty_tables_say_what_is_missing(
    applied: str, dashboard: Dashboard, open_page: Open
) -> None:
    """And which command loads them."""
    site = dashboard(applied)
    page = open_page(site, ready=".notice")
    for path in PATHS[:4]:
        page.goto(site + path)
        expect(page.locator("code")).to_have_text("lfmigrate seed")


def test_a_period_without_rows(seeded: str, dashboard: Dashboard, open_page: Open) -> None:
    """The switch still works."""
    execute(
        seeded,
        "INSERT INTO performance_periods (period_key, period_label, start_date, end_date)"
        " VALUES ('next', 'Next year', '2027-01-01', '2027-12-31')",
    )
    site = dashboard(seeded)
    page = open_page(f"{site}/?period=next")
    expect(page.get_by_text("No figures for Next year yet")).to_be_visible()
    page.get_by_label("Period").select_option("ytd")
    expect(page.locator(".tiles")).to_be_visible()
    page = open_page(f"{site}/deep-dive?period=next")
    expect(page.get_by_text("No cost categories in this period yet")).to_be_visible()


def test_an_unknown_period_leads_to_the_active_one(site: str, open_page: Open) -> None:
    """A link that someone kept may name a period that is gone."""
    page = open_page(f"{site}/?period=gone", ready=".notice")
    page.get_by_role("button", name="Show the active period").click()
    page.locator(".tiles").wait_for()
    assert address_of(page) == "/"


@pytest.mark.parametrize(
    "case",
    [
        ("/?period=BAD!", "There is no such period", "Show the active period", "/"),
        (
            "/deep-dive/acute-rehab?period=gone",
            "There is no such period",
            "Show the active period",
            "/deep-dive/acute-rehab",
        ),
        (
            "/deep-dive?sort=bogus&status=red",
            "There is no such order",
            "Show the page without it",
            "/deep-dive?status=red",
        ),
        (
            "/recommendations?category=A!",
            "There is no such category",
            "Show the page without it",
            "/recommendations",
        ),
        ("/deep-dive/A!", "There is no such category", "All categories", "/deep-dive"),
        ("/deep-dive/%E0", "There is no such category", "All categories", "/deep-dive"),
        ("/deep-dive/no-such", "The period has no such category", "All categories", "/deep-dive"),
        (
            "/recommendations/abc",
            "There is no such recommendation",
            "All recommendations",
            "/recommendations",
        ),
        (
            "/recommendations/%ff",
            "There is no such recommendation",
            "All recommendations",
            "/recommendations",
        ),
        (
            "/recommendations/4711",
            "There is no such recommendation",
            "All recommendations",
            "/recommendations",
        ),
    ],
)
def test_an_address_that_leads_nowhere(
    site: str, open_page: Open, case: tuple[str, str, str, str]
) -> None:
    """A plain sentence, nothing made for callers of the API, and a way out that helps."""
    path, heading, way, leads_to = case
    page = open_page(site + path, ready=".notice")
    notice = page.get_by_role("alert")
    expect(notice.get_by_role("heading")).to_have_text(heading)
    expect(notice).not_to_contain_text(re.compile("periodKey|pattern|Input|error|Try again"))
    notice.locator("a, button", has_text=way).click()
    page.locator("footer.foot").wait_for()
    assert address_of(page) == leads_to


def test_the_focus_is_not_lost_with_its_button(site: str, open_page: Open) -> None:
    """It goes to the heading of what has come instead."""
    page = open_page(f"{site}/?period=gone", ready=".notice")
    press_until_focused(page, page.get_by_role("button", name="Show the active period"))
    page.keyboard.press("Enter")
    page.locator(".tiles").wait_for()
    assert is_focused(page.locator("h1"))


def test_an_error_keeps_what_was_shown(site: str, open_page: Open) -> None:
    """It is marked with its time until another try succeeds."""
    page = open_page(f"{site}/deep-dive")
    page.context.set_offline(True)
    page.get_by_role("button", name="Watch").click()
    notice = page.get_by_role("alert")
    expect(notice).to_contain_text(re.compile(r"Not updated since \d+:\d\d [AP]M E[SD]T"))
    expect(notice).to_contain_text("The server cannot be reached")
    expect(page.locator("table.wide tbody tr")).to_have_count(13)
    page.context.set_offline(False)
    press_until_focused(page, notice.get_by_role("button", name="Try again"))
    page.keyboard.press("Enter")
    expect(notice).to_have_count(0)
    expect(page.locator("table.wide tbody tr")).to_have_count(6)


def test_an_error_at_the_first_request(seeded: str, dashboard: Dashboard, open_page: Open) -> None:
    """A table is missing: what and the command; then it is there."""
    execute(seeded, "ALTER TABLE efficiency_kpis RENAME TO gone")
    page = open_page(f"{dashboard(seeded)}/", ready=".notice")
    expect(page.locator("code")).to_have_text("lfmigrate up")
    execute(seeded, "ALTER TABLE gone RENAME TO efficiency_kpis")
    page.get_by_role("button", name="Try again").click()
    page.locator(".tiles").wait_for()


def test_a_decision_that_fails_is_not_shown(site: str, open_page: Open) -> None:
    """The status stays, and the reason stands next to it until the page is read again."""
    page = open_page(f"{site}/recommendations")
    row = row_of(page, "Pre-surgical clinic")
    page.context.set_offline(True)
    row.get_by_role("button", name="Accept").click()
    expect(row.get_by_role("alert")).to_contain_text("The server cannot be reached")
    expect(row.get_by_role("alert")).to_contain_text("Whether the status was changed is not known")
    expect(row.locator(".audit")).to_have_text(re.compile(r"^\s*Not started\s*$"))
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize("lost", ["all of it", "what it says"])
def test_a_decision_whose_answer_is_lost(
    seeded: str, dashboard: Dashboard, open_page: Open, lost: str
) -> None:
    """It may have been stored: the page reads what the status is now."""
    page = open_page(f"{dashboard(seeded)}/recommendations/4")

    def lose(route: Route) -> None:
        route.fetch()
        if lost == "all of it":
            route.abort()
        else:
            route.fulfill(json={})

    page.route(
        lambda url: "/api/" in url,
        lambda route: lose(route) if route.request.method == "PATCH" else route.continue_(),
    )
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_role("alert")).to_contain_text("The answer was lost")
    expect(page.locator(".audit")).to_contain_text("Accepted by tester")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".audit")).to_contain_text("In progress by tester")


def test_a_slow_answer_is_announced(site: str, open_page: Open) -> None:
    """A place of the final height at first; later, what is shown stays and is marked as busy."""
    held: list[Callable[[], None]] = []
    page = open_page(f"{site}/", ready="h1")
    page.locator(".tiles").wait_for()
    page.route("**/api/**", lambda route: held.append(route.continue_))
    page.get_by_label("Period").select_option("last_quarter")
    expect(page.locator(".page")).to_have_attribute("aria-busy", "true")
    expect(page.locator(".lead")).to_contain_text("$1,037.80")
    held.pop()()
    expect(page.locator(".page")).to_have_attribute("aria-busy", "false")
    expect(said(page)).to_have_text("Showing Last quarter")
    page.reload(wait_until="commit")
    page.locator(".skeleton").wait_for()
    expect(page.locator(".page")).to_have_attribute("aria-busy", "true")
    held.pop()()
    page.locator(".lead").wait_for()
    assert page.locator(".skeleton").count() == 0


def test_an_old_page_asks_once_when_it_is_seen_again(
    seeded: str, dashboard: Dashboard, open_page: Open
) -> None:
    """After five minutes, with its entity tag; 304 changes nothing, a new document is shown."""
    asked: list[dict[str, str]] = []
    page = open_page(f"{dashboard(seeded)}/")
    page.on("request", lambda request: asked.append(request.headers))
    page.clock.install()
    see = "document.dispatchEvent(new Event('visibilitychange'))"
    page.clock.fast_forward("04:00")
    page.evaluate(see)
    assert asked == []
    page.clock.fast_forward("02:00")
    with page.expect_response("**/api/**") as answer:
        page.evaluate(see)
    assert answer.value.status == 304
    assert asked[0]["if-none-match"].startswith('W/"')
    page.evaluate(see)
    execute(seeded, "UPDATE performance_metrics SET current_value = 4711 WHERE id = 1")
    page.clock.fast_forward("06:00")
    page.evaluate(see)
    expect(page.locator(".tile").first).to_contain_text("4,711")
    assert len(asked) == 2


def test_text_stays_text(seeded: str, dashboard: Dashboard, open_page: Open) -> None:
    """Markup in a title, a hospital, an author or a name is shown as it was written."""
    markup = "<img src=x onerror=alert(1)>"
    execute(
        seeded,
        *(
            f"UPDATE {table} SET {column} = '{markup}' || id"
            for table, column in (
                ("cost_categories", "category_name"),
                ("cost_category_hospitals", "hospital_name"),
                ("cost_category_drgs", "drg_description"),
                ("efficiency_kpis", "kpi_label"),
                ("performance_periods", "period_label"),
                ("program_resources", "author"),
                ("program_resources", "content"),
                ("recommendations", "title"),
                ("recommendations", "status_changed_by"),
            )
        ),
    )
    site = dashboard(seeded)
    page = open_page(site)
    for path in PATHS:
        page.goto(site + path)
        expect(page.get_by_text(markup).first).to_be_attached()
        assert page.locator("img").count() == 0


class _OtherSite(BaseHTTPRequestHandler):
    """A page of another server, which uses an element."""

    api = ""

    def do_GET(self) -> None:
        text = f"""<!doctype html><html lang="en"><title>Other</title>
            <link rel="icon" href="data:,">
            <link rel="stylesheet" crossorigin href="{self.api}/static/dashboard.css">
            <script type="module" src="{self.api}/static/Recommendations.js"></script>
            <h2 class="card">Ours</h2>
            <recommendations-list api="{self.api}" href-base="https://aco.example/x"
              changed-by="s.brandt"></recommendations-list>"""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def other_site() -> Iterator[str]:
    """Return the address of another site; `_OtherSite.api` is the API that its page uses."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _OtherSite)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(timeout=60)


def test_an_element_in_another_page(
    seeded: str, dashboard: Dashboard, open_page: Open, other_site: str
) -> None:
    """One script and one stylesheet; links go where the page says; its own text keeps its looks."""
    _OtherSite.api = dashboard(seeded, origins=(other_site,))
    page = open_page(f"{other_site}/?theirs=1", hosts=(urlsplit(_OtherSite.api).netloc,))
    expect(page.locator(".recommendations > li")).to_have_count(7)
    assert page.locator(".recommendations h2 a").first.get_attribute("href") == (
        "https://aco.example/x/recommendations/4"
    )
    looks = "(element) => [getComputedStyle(element).padding, getComputedStyle(element).fontSize]"
    assert page.locator("body > h2").evaluate(looks) == ["0px", "24px"]
    expect(page).to_have_title("Other")
    page.get_by_role("button", name="High 4").click()
    expect(page.locator(".recommendations > li")).to_have_count(4)
    assert page.url == f"{other_site}/?theirs=1&priority=high"
    row = row_of(page, "Suitable procedures")
    row.get_by_role("button", name="Accept").click()
    expect(row.locator(".audit")).to_contain_text("Accepted by s.brandt")
