"""The pages of costs in a browser: what they show, and what they keep in their address."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.dashboard.browser import (
    Dashboard,
    Open,
    address_of,
    is_focused,
    press_until_focused,
    said,
)
from tests.helpers.databases import execute

pytestmark = [pytest.mark.browser, pytest.mark.any_version]  # pages are the same on all versions


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
    expect(page).to_have_title("Cost performance \N{EN DASH} Cost dashboard")


def test_only_costs_are_coloured(site: str, open_page: Open) -> None:
    """More or sicker patients are neither good nor bad, and an unknown change is left out."""
    page = open_page(f"{site}/")
    patients, risk, pmpm = (page.locator(".tile").nth(place) for place in range(3))
    assert patients.locator(".badge").count() == 0
    assert risk.locator(".badge.none").count() == 1
    assert pmpm.locator(".badge.red").count() == 1
    assert "year earlier" not in page.locator(".tile").last.inner_text()


def test_figures_are_explained(seeded: str, dashboard: Dashboard, open_page: Open) -> None:
    """Only as far as the document bears it out: other data has other figures."""
    site = dashboard(seeded)
    page = open_page(f"{site}/")
    opportunity = page.locator(".tile").last
    expect(opportunity).to_contain_text("all overspending of the period")
    expect(page.get_by_text("Rank: 1 is best")).to_have_count(2)
    expect(page.get_by_text("Milliman: illustrative in the data that ships")).to_be_visible()
    execute(
        seeded,
        "UPDATE performance_metrics SET current_value = 1 WHERE metric_type LIKE 'cost_savings%'",
        "UPDATE efficiency_kpis SET milliman_benchmark = NULL",
        "UPDATE cost_opportunities SET show_on_dashboard = false",
    )
    page.reload()
    expect(opportunity).to_contain_text("$1")
    expect(opportunity).not_to_contain_text("overspending")
    expect(page.get_by_text("illustrative")).to_have_count(0)
    for side in ("above", "below"):
        expect(
            page.get_by_text(f"No category {side} its benchmark is marked to be shown.")
        ).to_be_visible()


def test_a_period_of_which_only_categories_are_known(
    seeded: str, dashboard: Dashboard, open_page: Open
) -> None:
    """It is not called empty."""
    execute(
        seeded,
        *(
            f"DELETE FROM {table}"
            for table in ("performance_metrics", "cost_opportunities", "efficiency_kpis")
        ),
    )
    page = open_page(f"{dashboard(seeded)}/")
    expect(page.locator(".lead")).to_contain_text("$1,037.80")
    expect(page.get_by_text("No headline numbers in this period.")).to_be_visible()


def test_measures_are_listed_by_their_status(
    seeded: str, dashboard: Dashboard, open_page: Open
) -> None:
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


def test_figures_are_those_of_the_database(
    seeded: str, dashboard: Dashboard, open_page: Open
) -> None:
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
    expect(page.locator(".period")).to_contain_text("Jan 1 \N{EN DASH} Aug 31, 2026")
    expect(page.locator(".period")).to_contain_text("40,000 member months")
    expect(page.locator(".tile").first).to_contain_text("4,711")
    overspent = page.get_by_role("table", name="Largest overspending")
    assert set(overspent.locator("td:last-child").all_inner_texts()) == {"99"}


def test_the_period_is_in_the_address(site: str, open_page: Open) -> None:
    """By keyboard: the focus stays, the change is announced; back and a new tab show the same."""
    page = open_page(f"{site}/")
    period = page.get_by_label("Period")
    press_until_focused(page, period)
    page.keyboard.press("ArrowDown")
    expect(said(page)).to_have_text("Showing Last 12 months")
    assert address_of(page) == "/?period=last_12_months"
    assert is_focused(period)
    changed = page.locator(".lead").inner_text()
    for link in page.locator(".frame a").all():
        assert str(link.get_attribute("href")).endswith("?period=last_12_months")
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


def test_unknown_dollars_are_not_zero(seeded: str, dashboard: Dashboard, open_page: Open) -> None:
    """Without member months, both pages say what is known per member."""
    execute(
        seeded,
        "UPDATE performance_periods SET member_months = NULL",
        "UPDATE cost_categories SET spending_variance_amount = NULL",
    )
    site = dashboard(seeded)
    for path in ("/", "/deep-dive"):
        page = open_page(site + path)
        expect(page.locator(".lead")).to_contain_text("$1,037.80 per member per month, 1.9% above")
        assert "$0" not in page.locator(".page").inner_text()


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
        "\N{MINUS SIGN}6.0%",
        "235.35",
        "visits per 1,000",
        "250.00",
        "\N{MINUS SIGN}5.9%",
        "\N{MINUS SIGN}$45,501",
        "\N{MINUS SIGN}4.6%",
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
    assert (
        page.locator("svg path, svg polyline", has_text="").evaluate_all(
            "(all) => all.filter((one) => one.closest('.plot') && !one.closest('.mark')).length"
        )
        == 0
    )
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
    expect(page.get_by_text("in percent of the overspend of the period")).to_contain_text(
        "$320,382 in Year to date"
    )


def test_every_category_has_its_page(seeded: str, dashboard: Dashboard, open_page: Open) -> None:
    """Also one that was added later, without drill-downs and with a use that cannot be split."""
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
    expect(page.get_by_text("No period has it.")).to_be_visible()
