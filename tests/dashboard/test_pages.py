"""The pages in a browser: what they show, what they keep in their address, and what they change."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.browser import Dashboard, Open
from tests.helpers.databases import execute, value

pytestmark = [pytest.mark.browser, pytest.mark.any_version]  # pages are the same on all versions

PATHS = ("/", "/deep-dive", "/deep-dive/acute-rehab", "/recommendations", "/recommendations/1")


def address_of(page: Page) -> str:
    """Return the path and the query of a page."""
    return re.sub(r"^\w+://[^/]+", "", page.url)


def press_until_focused(page: Page, wanted: Locator, key: str = "Tab") -> None:
    """Move the focus with the keyboard alone until it is where it is wanted."""
    for _ in range(150):
        if wanted.evaluate("(element) => element === document.activeElement"):
            return
        page.keyboard.press(key)
    pytest.fail(f"{key} does not lead to {wanted}")


def is_focused(wanted: Locator) -> bool:
    """Return whether an element has the focus."""
    return bool(wanted.evaluate("(element) => element === document.activeElement"))


def titles(page: Page) -> list[str]:
    """Return the titles of the recommendations that are shown, from the top."""
    return page.locator(".recommendations h2").all_inner_texts()


def row_of(page: Page, title: str) -> Locator:
    """Return one recommendation of the list."""
    return page.locator(".recommendations > li", has_text=title)


def said(page: Page) -> Locator:
    """Return what is read aloud when it changes."""
    return page.locator(".page > [role=status]")


# Cost performance


def test_the_first_page_answers_how_we_are_doing(site: str, open_page: Open) -> None:
    """The sentence, the headline numbers in their order, and the bars of all categories."""
    page = open_page(f"{site}/")
    expect(page.locator(".lead")).to_have_text(
        "Spending is $1,037.80 per member per month, 1.9% above the benchmark of $1,018.09."
    )
    assert page.locator(".tile h2").all_inner_texts() == [
        "Patients",
        "Risk score",
        "Cost per member per month",
        "Total cost",
        "Savings opportunity",
    ]
    assert page.locator(".chart .row:not(.axis) .value").all_inner_texts()[:2] == [
        "+$390,275",
        "+$326,011",
    ]
    assert page.locator(".chart .row:not(.axis)").count() == 13
    expect(page.get_by_text("+$924,557 net")).to_be_visible()
    expect(page).to_have_title("Cost performance – Leadership feedback")


def test_only_costs_are_coloured(site: str, open_page: Open) -> None:
    """More patients, or sicker ones, are neither good nor bad; and an unknown change is left out."""
    page = open_page(f"{site}/")
    patients, risk, pmpm = (page.locator(".tile").nth(place) for place in range(3))
    assert patients.locator(".badge").count() == 0
    assert risk.locator(".badge.none").count() == 1
    assert pmpm.locator(".badge.red").count() == 1
    assert "year earlier" not in page.locator(".tile").last.inner_text()


def test_measures_are_listed_by_their_status(seeded: str, dashboard: Dashboard, open_page: Open) -> None:
    """More wellness visits are good; the worst comes first; each measure is in one list only."""
    execute(
        seeded,
        "UPDATE efficiency_kpis SET performance_status = NULL WHERE kpi_type LIKE 'snf%'",
    )
    page = open_page(f"{dashboard(seeded)}/")
    listed = {
        name: page.get_by_role("table", name=name).locator("tbody th").all_inner_texts()
        for name in ("Needs attention", "Doing well", "Not rated")
    }
    assert listed["Needs attention"] == [
        "IRF Admissions per 1,000",
        "Follow-up within 7 Days of Discharge",
        "Avoidable Admissions per 1,000",
        "Average Acute Length of Stay (days)",
    ]
    assert "Annual Wellness Visits" in listed["Doing well"]
    assert listed["Not rated"] == ["SNF Days per 1,000"]
    assert sum(len(names) for names in listed.values()) == 10


def test_figures_are_those_of_the_database(seeded: str, dashboard: Dashboard, open_page: Open) -> None:
    """No figure, rank, date or name is a page's own."""
    execute(
        seeded,
        "UPDATE performance_periods SET period_label = 'Year so far', end_date = '2026-08-31',"
        " member_months = 40000 WHERE is_active",
        "UPDATE cost_opportunities SET aco_rank = 99 WHERE opportunity_type = 'overspending'",
        "UPDATE performance_metrics SET current_value = 4711 WHERE metric_type = 'patient_count'",
    )
    page = open_page(f"{dashboard(seeded)}/")
    expect(page.get_by_label("Period")).to_contain_text("Year so far")
    expect(page.locator(".period")).to_contain_text("Jan 1 – Aug 31, 2026")
    expect(page.locator(".period")).to_contain_text("40,000 member months")
    expect(page.locator(".tile").first).to_contain_text("4,711")
    overspent = page.get_by_role("table", name="Largest overspending")
    assert set(overspent.locator("td:last-child").all_inner_texts()) == {"99"}


def test_the_period_is_in_the_address(site: str, open_page: Open) -> None:
    """By keyboard; the focus stays, the change is announced, and back and a new tab show the same."""
    page = open_page(f"{site}/")
    period = page.get_by_label("Period")
    press_until_focused(page, period)
    page.keyboard.press("ArrowDown")
    expect(said(page)).to_have_text("Showing Last 12 months")
    assert address_of(page) == "/?period=last_12_months"
    assert is_focused(period)
    changed = page.locator(".lead").inner_text()
    assert page.get_by_role("link", name="Deep dive").get_attribute("href") is not None
    page.go_back()
    expect(page.locator(".lead")).not_to_have_text(changed)
    expect(period).to_have_value("ytd")
    page.go_forward()
    expect(page.locator(".lead")).to_have_text(changed)
    expect(period).to_have_value("last_12_months")
    other = open_page(page.url)
    expect(other.locator(".lead")).to_have_text(changed)
    other.get_by_role("link", name="Deep dive").click()
    other.locator("table.wide").wait_for()
    assert address_of(other) == "/deep-dive?period=last_12_months"


def test_a_table_has_the_figures_of_the_chart(site: str, open_page: Open) -> None:
    """It opens with the keyboard."""
    page = open_page(f"{site}/")
    press_until_focused(page, page.locator("summary"))
    page.keyboard.press("Enter")
    rows = page.get_by_role("table", name="Categories").locator("tbody tr")
    expect(rows).to_have_count(13)
    expect(rows.first).to_contain_text("+$390,275")


# Deep dive


def test_categories_are_filtered_and_sorted_by_keyboard(site: str, open_page: Open) -> None:
    """Status and sort are in the address, the focus stays, and the summary covers all of them."""
    page = open_page(f"{site}/deep-dive")
    rows = page.locator("table.wide tbody tr")
    sentence = page.locator(".lead").inner_text()
    efficient = page.get_by_role("button", name="Efficient 3")
    press_until_focused(page, efficient)
    page.keyboard.press("Enter")
    expect(rows).to_have_count(3)
    expect(said(page)).to_have_text("3 categories, Year to date")
    assert is_focused(efficient)
    expect(efficient).to_have_attribute("aria-pressed", "true")
    press_until_focused(page, page.get_by_label("Sort by"))
    page.keyboard.type("Rank")
    expect(rows.first).to_contain_text("3 of 24")
    assert address_of(page) == "/deep-dive?status=green&sort=rank"
    assert page.locator(".lead").inner_text() == sentence
    assert page.get_by_role("link", name="Download CSV").get_attribute("href") == (
        "/api/cost-categories?status=green&sort=rank&format=csv"
    )
    press_until_focused(page, rows.last.get_by_role("link"))
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="More use, or a higher price?").wait_for()
    press_until_focused(page, page.get_by_role("link", name="All categories"))
    page.keyboard.press("Enter")
    expect(page.locator("table.wide tbody tr")).to_have_count(3)
    assert address_of(page) == "/deep-dive?status=green&sort=rank"


def test_a_row_has_everything(site: str, open_page: Open) -> None:
    """Signs, units in words, the rank with what it is of; and use has no colour."""
    page = open_page(f"{site}/deep-dive")
    row = page.locator("table.wide tbody tr", has_text="Avoidable ED Visits")
    assert re.split(r"\s*[\n\t]\s*", row.inner_text().strip()) == [
        "Avoidable ED Visits",
        "Efficient",
        "$15.28",
        "$16.25",
        "−6.0%",
        "235.35",
        "visits per 1,000",
        "250.00",
        "−5.9%",
        "−$45,501",
        "−4.6%",
        "4 of 24",
    ]
    assert row.locator("td :is(.red, .yellow, .green)").count() == 0


def test_a_category_shows_use_and_price_and_where(site: str, open_page: Open) -> None:
    """The split adds up, the windows have no line, headings say what the columns contain."""
    page = open_page(f"{site}/deep-dive/acute-rehab")
    split = page.get_by_role("table", name="Effects of use and price")
    assert split.locator("td").all_inner_texts() == ["+$297,279", "+$23,102", "+$320,382"]
    windows = page.get_by_role("table", name="The periods")
    assert windows.locator("th a").all_inner_texts() == [
        "Last 12 months",
        "Year to date",
        "Last quarter",
    ]
    assert page.locator("svg path, svg polyline", has_text="").evaluate_all(
        "(all) => all.filter((one) => one.closest('.plot') && !one.closest('.mark')).length"
    ) == 0
    for name, headings in {
        "Hospitals": ["Spend in the period", "Spend per discharge", "Readmissions"],
        "DRGs": ["Average per patient", "Benchmark average", "% above"],
        "Discharging hospitals": ["Discharges to an IRF", "Benchmark share"],
    }.items():
        table = page.get_by_role("table", name=name, exact=True)
        assert set(headings) <= set(table.locator("thead th").all_inner_texts())
    touched = page.get_by_role("table", name="Recommendations for this category")
    assert touched.locator("tbody tr").first.locator("td").all_inner_texts() == [
        "Accepted",
        "$150,000",
        "46.8%",
        "$210,000",
    ]


def test_every_category_has_its_page(seeded: str, dashboard: Dashboard, open_page: Open) -> None:
    """Also one that was added later, with nothing to drill down to and a use that cannot be split."""
    execute(
        seeded,
        "INSERT INTO cost_categories (slug, category_name, period_id, spending_pmpm_actual,"
        " spending_pmpm_benchmark, utilization_actual, utilization_benchmark, performance_status)"
        " SELECT 'gene-therapy', 'Gene Therapy', id, 1, 0, 0, 0, 'yellow' FROM performance_periods"
        " WHERE is_active",
    )
    site = dashboard(seeded)
    page = open_page(f"{site}/deep-dive")
    page.get_by_role("link", name="Gene Therapy").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Gene Therapy")
    expect(page.locator(".none")).to_have_count(5)
    expect(page.locator(".tile").first).to_contain_text("unknown")
    for slug in ("generic-drugs", "other-services", "skilled-nursing"):
        page.goto(f"{site}/deep-dive/{slug}")
        page.locator("footer.foot").wait_for()


def test_a_category_that_a_period_lacks(seeded: str, dashboard: Dashboard, open_page: Open) -> None:
    """The page offers the periods that have it."""
    execute(
        seeded,
        "DELETE FROM cost_categories WHERE slug = 'radiology' AND period_id <>"
        " (SELECT id FROM performance_periods WHERE period_key = 'last_12_months')",
    )
    site = dashboard(seeded)
    page = open_page(f"{site}/deep-dive/radiology?period=last_quarter", ready=".notice li")
    assert page.locator(".notice li").all_inner_texts() == ["Last 12 months"]
    page.get_by_role("link", name="Last 12 months").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Radiology")
    page.goto(f"{site}/deep-dive/no-such-thing")
    page.get_by_role("link", name="All categories").last.wait_for()
    assert page.locator(".notice li").count() == 0


# Recommendations


def test_recommendations_are_filtered_by_keyboard(site: str, open_page: Open) -> None:
    """Filters are in the address and kept on the way back; the total is of what is shown."""
    page = open_page(f"{site}/recommendations")
    expect(page.locator(".lead")).to_contain_text("7 recommendations, together worth up to $995,000")
    expect(page.get_by_text("Programs overlap")).to_contain_text("1 is not quantified")
    high = page.get_by_role("button", name="High 4")
    press_until_focused(page, high)
    page.keyboard.press("Enter")
    expect(said(page)).to_have_text("4 recommendations")
    assert is_focused(high)
    expect(page.locator(".lead")).to_contain_text("$780,000")
    press_until_focused(page, page.get_by_label("Category"))
    page.keyboard.type("Acute")
    expect(said(page)).to_have_text("2 recommendations")
    press_until_focused(page, page.get_by_label("Sort by"))
    page.keyboard.type("Title")
    filters = "priority=high&category=acute-rehab&sort=title"
    expect(page).to_have_url(f"{site}/recommendations?{filters}")
    link = page.get_by_role("link", name="Dementia care navigation")
    press_until_focused(page, link)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Steps").wait_for()
    press_until_focused(page, page.locator(".breadcrumb a"))
    page.keyboard.press("Enter")
    page.locator(".recommendations").wait_for()
    assert address_of(page) == f"/recommendations?{filters}"
    assert titles(page) == [
        "Dementia care navigation (GUIDE model)",
        "Discharge planning from the day of admission",
    ]


def test_a_row_says_what_it_is_worth(site: str, open_page: Open) -> None:
    """Savings or that they are unknown, patients, whether it is measurable, and the workflow."""
    page = open_page(f"{site}/recommendations")
    row = row_of(page, "Suitable procedures")
    for text in (
        "High priority",
        "Medium complexity",
        "Measurable",
        "$255,000 a year",
        "240 of 610 patients",
        "Outpatient Surgical, Inpatient Surgical",
        "Can become a workflow: site of service review",
    ):
        expect(row).to_contain_text(text)
    expect(row_of(page, "Wellness visits")).to_contain_text("Not quantified")
    expect(row_of(page, "Wellness visits")).to_contain_text("Not measurable")


def test_a_decision_by_keyboard(seeded: str, dashboard: Dashboard, open_page: Open) -> None:
    """It is shown when the server has confirmed it, with who and when; the focus is not lost."""
    page = open_page(f"{dashboard(seeded, changed_by='m.alvarez')}/recommendations")
    row = row_of(page, "Suitable procedures")
    assert row.locator(".actions > button").all_inner_texts() == [
        "Accept",
        "Reject",
        "Already doing",
    ]
    press_until_focused(page, row.get_by_role("button", name="Accept"))
    page.keyboard.press("Enter")
    expect(row.locator(".audit")).to_contain_text("Accepted")
    expect(row.locator(".audit")).to_contain_text("by m.alvarez")
    expect(said(page)).to_have_text(
        "Suitable procedures in ambulatory surgery centers: Accepted, by m.alvarez"
    )
    assert row.locator(".actions > button").all_inner_texts() == ["Start", "Reject"]
    assert is_focused(row.locator("summary"))
    assert value(seeded, "SELECT status_changed_by FROM recommendations WHERE id = 4") == "m.alvarez"
    expect(page.get_by_label("Status")).to_contain_text("Accepted (2)")


def test_any_status_from_the_menu(seeded: str, dashboard: Dashboard, open_page: Open) -> None:
    """All seven; Escape closes it, and a row stays where it is until the filters change."""
    page = open_page(f"{dashboard(seeded)}/recommendations?status=not_started")
    row = row_of(page, "Pre-surgical clinic")
    menu = row.locator("summary")
    press_until_focused(page, menu)
    page.keyboard.press("Enter")
    expect(row.locator(".menu li")).to_have_count(7)
    page.keyboard.press("Escape")
    expect(row.locator(".menu ul")).to_be_hidden()
    assert is_focused(menu)
    page.keyboard.press("Enter")
    press_until_focused(page, row.locator(".menu").get_by_role("button", name="Completed"))
    page.keyboard.press("Enter")
    expect(row.locator(".audit")).to_contain_text("Completed by tester")
    assert len(titles(page)) == 2
    page.reload()
    page.locator(".recommendations").wait_for()
    assert titles(page) == ["Suitable procedures in ambulatory surgery centers"]


@pytest.mark.parametrize("answer", ["Keep", "Change anyway"])
def test_another_person_was_faster(
    seeded: str, dashboard: Dashboard, open_page: Open, answer: str
) -> None:
    """Who, what and when is shown, and nothing is overwritten without asking."""
    page = open_page(f"{dashboard(seeded)}/recommendations/4")
    execute(
        seeded,
        "UPDATE recommendations SET status = 'accepted', status_changed_by = 'm.alvarez'"
        " WHERE id = 4",
    )
    page.get_by_role("button", name="Reject").click()
    notice = page.get_by_role("alert")
    expect(notice).to_contain_text(re.compile(r"m\.alvarez accepted this at \d+:\d\d [AP]M E[SD]T"))
    expect(page.locator(".audit")).to_contain_text("Not started")
    press_until_focused(page, notice.get_by_role("button", name=answer))
    page.keyboard.press("Enter")
    expect(notice).to_have_count(0)
    status = "Accepted by m.alvarez" if answer == "Keep" else "Rejected by tester"
    expect(page.locator(".audit")).to_contain_text(status)
    assert value(seeded, "SELECT status FROM recommendations WHERE id = 4") == (
        "accepted" if answer == "Keep" else "rejected"
    )


def test_rejected_ones_are_shown_when_asked_for(
    seeded: str, dashboard: Dashboard, open_page: Open
) -> None:
    """They are left out at first, and are found by their status and under All."""
    execute(seeded, "UPDATE recommendations SET status = 'rejected' WHERE id = 5")
    page = open_page(f"{dashboard(seeded)}/recommendations")
    assert len(titles(page)) == 6
    status = page.get_by_label("Status")
    status.select_option(label="All")
    expect(page.locator(".recommendations > li")).to_have_count(7)
    assert address_of(page) == "/recommendations?status=all"
    status.select_option(label="Rejected (1)")
    expect(page.locator(".recommendations > li")).to_have_count(1)
    page.go_back()
    expect(page.locator(".recommendations > li")).to_have_count(7)
    expect(status).to_have_value("all")


def test_without_the_privilege_there_are_no_buttons(
    seeded: str, dashboard: Dashboard, open_page: Open
) -> None:
    """The pages say so instead."""
    site = dashboard(seeded, read_only=True)
    for path in ("/recommendations", "/recommendations/4"):
        page = open_page(site + path)
        expect(page.get_by_text("read-only")).to_be_visible()
        assert page.locator(".decision button, .decision summary").count() == 0


# One program


def test_a_program_shows_how_it_is_carried_out(site: str, open_page: Open) -> None:
    """Steps, practices, the words of those who did it, a link to the video, and the way back."""
    page = open_page(f"{site}/")
    page.get_by_role("link", name="Discharge planning").click()
    page.get_by_role("heading", name="Steps").wait_for()
    assert page.locator(".steps h3").all_inner_texts() == [
        "Place a discharge nurse in the two largest hospitals",
        "Call the practice before a facility is booked",
    ]
    expect(page.locator("blockquote")).to_contain_text("We used to hear about a discharge")
    expect(page.locator("figcaption")).to_have_text("Dr. Ines Calloway, Family physician")
    video = page.get_by_role("link", name="Watch the video")
    assert video.get_attribute("rel") == "noreferrer"
    expect(page.get_by_text("Total: $210,000 a year")).to_be_visible()
    expect(page.locator(".audit")).to_have_text(
        re.compile(r"Accepted\s+by r\.lindqvist@practice\.example\.org, Aug 3, 2026, 12:20 PM EDT")
    )
    page.locator(".breadcrumb a").click()
    page.locator(".tiles").wait_for()
    assert address_of(page) == "/"


def test_a_program_without_details(site: str, open_page: Open) -> None:
    """It says so, and shows the rest; back leads to the category it was opened from."""
    page = open_page(f"{site}/deep-dive/preventive-care?period=last_quarter")
    page.get_by_role("link", name="Wellness visits that end with a plan").click()
    expect(page.get_by_text("No program details yet.")).to_be_visible()
    expect(page.get_by_role("table", name="Categories it affects")).to_contain_text("unknown")
    back = page.locator(".breadcrumb a")
    expect(back).to_have_text("Preventive Care")
    back.click()
    page.get_by_role("heading", name="What can be done").wait_for()
    assert address_of(page) == "/deep-dive/preventive-care?period=last_quarter"


# States


def test_empty_tables_say_what_is_missing(
    applied: str, dashboard: Dashboard, open_page: Open
) -> None:
    """And which command loads them."""
    site = dashboard(applied)
    for path in ("/", "/deep-dive", "/deep-dive/acute-rehab", "/recommendations"):
        page = open_page(site + path, ready=".notice")
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


def test_an_unknown_recommendation(site: str, open_page: Open) -> None:
    """The title and the detail of the problem are shown, and the way back."""
    page = open_page(f"{site}/recommendations/4711", ready=".notice")
    expect(page.get_by_role("alert")).to_contain_text(re.compile("recommendation", re.IGNORECASE))
    expect(page.locator(".breadcrumb a")).to_have_text("Recommendations")


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


def test_an_error_at_the_first_request(
    seeded: str, dashboard: Dashboard, open_page: Open
) -> None:
    """A table is missing: what and the command; then it is there."""
    execute(seeded, "ALTER TABLE efficiency_kpis RENAME TO gone")
    page = open_page(f"{dashboard(seeded)}/", ready=".notice")
    expect(page.locator("code")).to_have_text("lfmigrate up")
    execute(seeded, "ALTER TABLE gone RENAME TO efficiency_kpis")
    page.get_by_role("button", name="Try again").click()
    page.locator(".tiles").wait_for()


def test_a_decision_that_fails_is_not_shown(site: str, open_page: Open) -> None:
    """The status stays, and the reason stands next to it."""
    page = open_page(f"{site}/recommendations")
    row = row_of(page, "Pre-surgical clinic")
    page.context.set_offline(True)
    row.get_by_role("button", name="Accept").click()
    expect(row.get_by_role("alert")).to_contain_text("The server cannot be reached")
    expect(row.locator(".audit")).to_have_text(re.compile(r"^\s*Not started\s*$"))


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


# Elsewhere


class _OtherSite(BaseHTTPRequestHandler):
    """A page of another server, which uses an element."""

    api = ""

    def do_GET(self) -> None:  # noqa: N802 (named by the library)
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
