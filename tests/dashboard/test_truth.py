"""Every figure of a document is that of its column, or follows from columns exactly."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from starlette.testclient import TestClient

from tests.dashboard.conftest import Api
from tests.helpers.databases import execute, fetch

pytestmark = pytest.mark.any_version

Row = dict[str, Any]

PERIODS = ("ytd", "last_12_months", "last_quarter")

# What a document adds to the columns of its row.
ADDED = {
    "categories": {"statusLabel", "useEffectAmount", "priceEffectAmount"},
    "hospitals": {"spendPerDischarge"},
    "costOpportunities": {
        "categorySlug",
        "categoryName",
        "performanceStatus",
        "spendingPmpmActual",
        "spendingPmpmBenchmark",
    },
    "recommendations": {"affectedCategories", "impactAmount", "impactSharePercent"},
    "topRecommendations": {"affectedCategories"},
}
TABLES = {
    "periods": "performance_periods",
    "metrics": "performance_metrics",
    "costOpportunities": "cost_opportunities",
    "efficiencyKpis": "efficiency_kpis",
    "categories": "cost_categories",
    "hospitals": "cost_category_hospitals",
    "drgs": "cost_category_drgs",
    "dischargingHospitals": "cost_category_discharging_hospitals",
    "recommendations": "recommendations",
    "topRecommendations": "recommendations",
}


@pytest.fixture
def client(api: Api, seeded_to_read: str) -> TestClient:
    """Return the application on a seeded database that is not changed."""
    return api(seeded_to_read)


def get(client: TestClient, path: str) -> Row:
    """Return a document, with its numbers as they are written."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    document: Row = json.loads(answer.text, parse_float=Decimal)
    return document


def rows(url: str, query: str) -> list[Row]:
    """Return the rows of a query."""
    with psycopg.connect(url, row_factory=dict_row) as conn:
        return conn.execute(query.encode()).fetchall()


def column(field: str) -> str:
    """Return the column of a field."""
    return re.sub(r"([A-Z])", lambda m: "_" + m[1].lower(), field)


def same(field: Any, value: Any) -> bool:
    """Return whether a field says what a column says, to the last decimal."""
    if isinstance(value, datetime):
        return bool(field == value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    if isinstance(value, date):
        return bool(field == value.isoformat())
    if isinstance(value, Decimal):
        return str(field) == str(value)
    return bool(field == value)


def assert_listed(url: str, name: str, listed: list[Row]) -> None:
    """Compare each object of a list with its row."""
    stored = {row["id"]: row for row in rows(url, f"SELECT * FROM {TABLES[name]}")}
    for each in listed:
        row = stored[each["id"]]
        for field, value in each.items():
            if field in ADDED.get(name, set()):
                continue
            assert same(value, row[column(field)]), f"{name} {each['id']}: {field}"


@pytest.mark.two_versions
@pytest.mark.parametrize("key", PERIODS)
def test_every_field_is_its_column(client: TestClient, seeded_to_read: str, key: str) -> None:
    """Of all documents, in each period."""
    insights = get(client, f"/api/performance-insights?periodKey={key}")
    for name in ("periods", "metrics", "costOpportunities", "efficiencyKpis", "topRecommendations"):
        assert_listed(seeded_to_read, name, insights[name])
    categories = get(client, f"/api/cost-categories?periodKey={key}")["categories"]
    assert len(categories) == len(
        fetch(
            seeded_to_read,
            "SELECT c.id FROM cost_categories AS c JOIN performance_periods AS p"
            f" ON p.id = period_id WHERE period_key = '{key}'",
        )
    )
    assert_listed(seeded_to_read, "categories", categories)
    for each in categories:
        one = get(client, f"/api/cost-categories/{each['slug']}?periodKey={key}")
        assert one["category"] == each
        assert one["truncated"] == []
        for name in ("hospitals", "drgs", "dischargingHospitals"):
            assert_listed(seeded_to_read, name, one[name])
            count = f"SELECT id FROM {TABLES[name]} WHERE cost_category_id = {each['id']}"
            assert {r["id"] for r in one[name]} == set(fetch(seeded_to_read, count))
        assert_listed(seeded_to_read, "recommendations", one["recommendations"])


def rounded(value: Decimal, places: str = "0.01") -> Decimal:
    """Round as PostgreSQL does."""
    return value.quantize(Decimal(places), rounding=ROUND_HALF_UP)


@pytest.mark.parametrize("key", PERIODS)
def test_totals_use_and_price(client: TestClient, seeded_to_read: str, key: str) -> None:
    """Computed again from the columns, in decimals."""
    stored = rows(
        seeded_to_read,
        "SELECT c.*, p.member_months FROM cost_categories AS c"
        f" JOIN performance_periods AS p ON p.id = period_id WHERE period_key = '{key}'",
    )
    document = get(client, f"/api/cost-categories?periodKey={key}")
    actual = sum(r["spending_pmpm_actual"] for r in stored)
    benchmark = sum(r["spending_pmpm_benchmark"] for r in stored)
    amounts = [r["spending_variance_amount"] for r in stored]
    zero = Decimal("0.00")
    assert document["summary"] == {
        "actualPmpm": actual,
        "benchmarkPmpm": benchmark,
        "variancePercent": rounded(100 * (actual - benchmark) / benchmark),
        "overspendAmount": sum((a for a in amounts if a > 0), zero),
        "underspendAmount": sum((a for a in amounts if a < 0), zero),
        "netAmount": sum(amounts, zero),
        **{
            light: sum(r["performance_status"] == light for r in stored)
            for light in ("red", "yellow", "green")
        },
    }
    assert (
        document["summary"] == get(client, f"/api/performance-insights?periodKey={key}")["summary"]
    )
    split = 0
    for row, each in zip(
        sorted(stored, key=lambda r: r["id"]),
        sorted(document["categories"], key=lambda c: c["id"]),
        strict=True,
    ):
        if re.search("_per_(k|member)$", row["utilization_unit"] or ""):
            pmpm, used = row["spending_pmpm_benchmark"], row["utilization_benchmark"]
            use = rounded((pmpm * row["utilization_actual"] / used - pmpm) * row["member_months"])
            price = row["spending_variance_amount"] - use
            assert (each["useEffectAmount"], each["priceEffectAmount"]) == (use, price)
            split += 1
        else:
            assert (each["useEffectAmount"], each["priceEffectAmount"]) == (None, None)
    assert 0 < split < len(stored)


def test_use_and_price_of_a_known_category(client: TestClient) -> None:
    """The check value of the contract."""
    category = get(client, "/api/cost-categories/acute-rehab")["category"]
    assert str(category["spendingVarianceAmount"]) == "320381.64"
    assert str(category["useEffectAmount"]) == "297279.45"
    assert str(category["priceEffectAmount"]) == "23102.19"
    drugs = get(client, "/api/cost-categories/generic-drugs")["category"]
    assert drugs["useEffectAmount"] is None


def test_labels_are_those_of_the_view(client: TestClient, seeded_to_read: str) -> None:
    """The view has them for the active period only."""
    labels = dict(fetch(seeded_to_read, "SELECT slug, status_label FROM v_current_cost_categories"))
    categories = get(client, "/api/cost-categories")["categories"]
    assert {c["slug"]: c["statusLabel"] for c in categories} == labels


def test_shares_and_spend_per_discharge(client: TestClient) -> None:
    """Of the category's overspend, and of the hospital's discharges."""
    document = get(client, "/api/cost-categories/acute-rehab")
    overspend = document["category"]["spendingVarianceAmount"]
    assert document["recommendations"]
    for each in document["recommendations"]:
        share = rounded(100 * each["impactAmount"] / overspend, "0.1")
        assert each["impactSharePercent"] == share
    assert document["hospitals"]
    for each in document["hospitals"]:
        assert each["spendPerDischarge"] == rounded(each["spend"] / each["discharges"])


def test_the_links_of_another_period_are_found_by_slug(client: TestClient) -> None:
    """They belong to rows of the active period."""
    active = get(client, "/api/cost-categories/acute-rehab")["recommendations"]
    other = get(client, "/api/cost-categories/acute-rehab?periodKey=last_quarter")[
        "recommendations"
    ]
    assert [r["id"] for r in other] == [r["id"] for r in active] != []
    assert [r["impactAmount"] for r in other] == [r["impactAmount"] for r in active]


def test_an_own_link_comes_before_that_of_the_active_period(api: Api, seeded: str) -> None:
    """The amount is that of the requested period, if it has one."""
    execute(
        seeded,
        "INSERT INTO recommendation_cost_categories (recommendation_id, cost_category_id,"
        " impact_amount) SELECT 3, c.id, 7 FROM cost_categories AS c JOIN performance_periods AS p"
        " ON p.id = period_id WHERE slug = 'acute-rehab' AND period_key = 'last_quarter'",
    )
    client = api(seeded)

    def impact(key: str) -> int:
        found = get(client, f"/api/cost-categories/acute-rehab?periodKey={key}")["recommendations"]
        return next(int(r["impactAmount"]) for r in found if r["id"] == 3)

    assert (impact("last_quarter"), impact("ytd"), impact("last_12_months")) == (7, 150000, 150000)


def test_a_category_of_several_periods_is_touched_once(api: Api, seeded: str) -> None:
    """With the amount of the active period."""
    client = api(seeded)
    before = get(client, "/api/recommendations/3")["affectedCategories"]
    execute(
        seeded,
        "INSERT INTO recommendation_cost_categories (recommendation_id, cost_category_id,"
        " impact_amount) SELECT 3, c.id, 7 FROM cost_categories AS c JOIN performance_periods AS p"
        " ON p.id = period_id WHERE slug = 'acute-rehab' AND NOT is_active",
    )
    assert get(client, "/api/recommendations/3")["affectedCategories"] == before


def test_the_sum_of_unknown_amounts_is_unknown(api: Api, seeded: str) -> None:
    """Without member months there are none; the share of each status is known."""
    execute(seeded, "UPDATE cost_categories SET spending_variance_amount = NULL")
    summary = get(api(seeded), "/api/cost-categories")["summary"]
    assert {summary[n] for n in ("overspendAmount", "underspendAmount", "netAmount")} == {None}
    assert (str(summary["variancePercent"]), summary["red"]) == ("1.94", 4)


def test_rejected_ones_are_not_recommended(api: Api, seeded: str) -> None:
    """Neither on the first page nor for a category."""
    client = api(seeded)
    top = get(client, "/api/performance-insights")["topRecommendations"]
    assert len(top) == 2
    execute(seeded, f"UPDATE recommendations SET status = 'rejected' WHERE id = {top[0]['id']}")
    for path, name in (
        ("/api/performance-insights", "topRecommendations"),
        (
            f"/api/cost-categories/{top[0]['affectedCategories'][0]['categorySlug']}",
            "recommendations",
        ),
    ):
        assert top[0]["id"] not in [r["id"] for r in get(client, path)[name]]
    assert get(client, "/api/recommendations?status=rejected")["totalCount"] >= 1


def test_long_lists_are_cut_and_named(api: Api, seeded: str) -> None:
    """500 rows are as many as a page can show."""
    execute(
        seeded,
        "INSERT INTO cost_category_hospitals (cost_category_id, hospital_name, discharges)"
        " SELECT c.id, 'Hospital ' || n, 0 FROM v_current_cost_categories AS c,"
        " generate_series(1, 500) AS n WHERE slug = 'acute-rehab'",
    )
    document = get(api(seeded), "/api/cost-categories/acute-rehab")
    assert len(document["hospitals"]) == 500
    assert document["truncated"] == ["hospitals"]
    assert {h["spendPerDischarge"] for h in document["hospitals"] if not h["discharges"]} == {None}


def test_many_recommendations_of_a_category_are_cut(api: Api, seeded: str) -> None:
    """As the other lists."""
    execute(
        seeded,
        "WITH added AS (INSERT INTO recommendations (title)"
        " SELECT 'More ' || n FROM generate_series(1, 500) AS n RETURNING id)"
        " INSERT INTO recommendation_cost_categories (recommendation_id, cost_category_id)"
        " SELECT added.id, c.id FROM added, v_current_cost_categories AS c"
        " WHERE slug = 'acute-rehab'",
    )
    document = get(api(seeded), "/api/cost-categories/acute-rehab")
    assert (len(document["recommendations"]), document["truncated"]) == (500, ["recommendations"])


def test_several_active_periods_of_an_older_table(api: Api, seeded: str) -> None:
    """The newest one is shown."""
    execute(
        seeded,
        "DROP INDEX performance_periods_is_active_idx",
        "UPDATE performance_periods SET is_active = true",
    )
    client = api(seeded)
    for path in ("performance-insights", "cost-categories", "cost-categories/acute-rehab"):
        assert get(client, f"/api/{path}")["period"]["periodKey"] == "last_quarter"


def test_when_the_data_were_last_changed(api: Api, seeded: str) -> None:
    """The newest of the rows behind the document."""
    client = api(seeded)
    changes = {
        "/api/performance-insights": "UPDATE efficiency_kpis SET aco_rank = 9 WHERE period_id = 1",
        "/api/cost-categories": "UPDATE cost_categories SET aco_rank = 9 WHERE period_id = 1",
        "/api/recommendations": "UPDATE recommendations SET cohort_size = 9 WHERE id = 1",
    }
    for path, statement in changes.items():
        before = get(client, path)["dataUpdatedAt"]
        execute(seeded, statement)
        assert get(client, path)["dataUpdatedAt"] > before


def test_times_are_in_utc(api: Api, seeded: str) -> None:
    """Whatever the database's time zone is."""
    execute(
        seeded,
        "UPDATE recommendations SET status = 'accepted',"
        " status_changed_at = '2026-08-03 18:20:00.5+02' WHERE id = 1",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = %L', current_database(),"
        " 'Asia/Tokyo'); END $$",
    )
    assert get(api(seeded), "/api/recommendations/1")["statusChangedAt"] == (
        "2026-08-03T16:20:00.500000Z"
    )
