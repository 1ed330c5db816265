"""Recommendations and programs in a browser: what they show, and what they change."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.browser import (
    Dashboard,
    Open,
    address_of,
    is_focused,
    press_until_focused,
    row_of,
    said,
)
from tests.helpers.databases import execute, value

pytestmark = [pytest.mark.browser, pytest.mark.any_version]  # pages are the same on all versions


def titles(page: Page) -> list[str]:
    """Return the titles of the recommendations that are shown, from the top."""
    return page.locator(".recommendations h2").all_inner_texts()


def test_recommendations_are_filtered_by_keyboard(site: str, open_page: Open) -> None:
    """Filters are in the address and kept on the way back; the total is of what is shown."""
    page = open_page(f"{site}/recommendations")
    expect(page.locator(".lead")).to_contain_text("7 recommendations, worth up to $995,000")
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


def test_a_filtered_link_offers_all_categories(site: str, open_page: Open) -> None:
    """Also those that no recommendation of the filter touches."""
    everything = open_page(f"{site}/recommendations").get_by_label("Category").inner_text()
    page = open_page(f"{site}/recommendations?priority=low")
    assert page.locator(".recommendations > li").count() == 1
    assert page.get_by_label("Category").inner_text() == everything


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
    assert (
        value(seeded, "SELECT status_changed_by FROM recommendations WHERE id = 4") == "m.alvarez"
    )
    expect(page.get_by_role("combobox", name="Status")).to_contain_text("Accepted (2)")


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


@pytest.mark.parametrize("answer", ["Keep “Accepted”", "Change to “Rejected”"])
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
    expect(page.locator(".audit")).to_contain_text("Accepted by m.alvarez")
    press_until_focused(page, notice.get_by_role("button", name=answer))
    page.keyboard.press("Enter")
    expect(notice).to_have_count(0)
    is_kept = answer.startswith("Keep")
    status = "Accepted by m.alvarez" if is_kept else "Rejected by tester"
    expect(page.locator(".audit")).to_contain_text(status)
    assert value(seeded, "SELECT status FROM recommendations WHERE id = 4") == (
        "accepted" if is_kept else "rejected"
    )


def test_rejected_ones_are_shown_when_asked_for(
    seeded: str, dashboard: Dashboard, open_page: Open
) -> None:
    """They are left out at first, and are found by their status and under All."""
    execute(seeded, "UPDATE recommendations SET status = 'rejected' WHERE id = 5")
    page = open_page(f"{dashboard(seeded)}/recommendations")
    assert len(titles(page)) == 6
    # What a link gives is what it says.
    link = page.get_by_role("link", name="Download CSV")
    expect(link).to_have_attribute("href", re.compile("status=not_rejected"))
    # One that is rejected here stays until the filters change.
    row_of(page, "Suitable procedures").get_by_role("button", name="Reject").click()
    expect(page.get_by_role("combobox", name="Status")).to_contain_text("Rejected (2)")
    expect(row_of(page, "Suitable procedures").locator(".audit")).to_contain_text("Rejected")
    assert len(titles(page)) == 6
    status = page.get_by_role("combobox", name="Status")
    status.select_option(label="All")
    expect(page.locator(".recommendations > li")).to_have_count(7)
    expect(said(page)).to_have_text("7 recommendations")
    assert address_of(page) == "/recommendations?status=all"
    status.select_option(label="Rejected (2)")
    expect(page.locator(".recommendations > li")).to_have_count(2)
    page.go_back()
    expect(page.locator(".recommendations > li")).to_have_count(7)
    expect(status).to_have_value("all")
    expect(page.get_by_role("link", name="Download CSV", exact=True)).to_be_visible()
    # Where nothing is found, nothing is worth anything.
    status.select_option(label="Completed (0)")
    expect(page.locator(".none")).to_be_visible()
    assert page.locator(".lead").count() == 0


def test_back_shows_what_was_decided_meanwhile(
    seeded: str, dashboard: Dashboard, open_page: Open
) -> None:
    """A browser may keep a page as it was left, such as the list while a program is open."""
    page = open_page(f"{dashboard(seeded)}/recommendations")
    execute(seeded, "UPDATE recommendations SET status = 'completed' WHERE id = 4")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(row_of(page, "Suitable procedures").locator(".audit")).to_contain_text("Completed")


def test_without_the_privilege_there_are_no_buttons(
    seeded: str, dashboard: Dashboard, open_page: Open
) -> None:
    """The pages say so instead."""
    site = dashboard(seeded, read_only=True)
    for path in ("/recommendations", "/recommendations/4"):
        page = open_page(site + path)
        expect(page.get_by_text("may only read")).to_be_visible()
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


def test_a_video_without_a_usable_address(
    seeded: str, dashboard: Dashboard, open_page: Open
) -> None:
    """The table accepts what is no address: the page has no link then, and all the rest."""
    execute(seeded, "UPDATE recommendations SET video_url = 'https://host:99999/x'")
    page = open_page(f"{dashboard(seeded)}/recommendations/3")
    expect(page.get_by_role("heading", name="Steps")).to_be_visible()
    assert page.get_by_role("link", name="Watch the video").count() == 0


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
