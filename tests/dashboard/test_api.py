"""The endpoints: their documents, parameters, caching and CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.testclient import TestClient

from lfmigrate.dashboard import documents, problems
from tests.dashboard.conftest import Api
from tests.helpers.databases import execute, fetch

pytestmark = pytest.mark.any_version

DOCUMENTS: dict[str, type[BaseModel]] = {
    "/api/performance-insights": documents.PerformanceInsights,
    "/api/performance-insights?periodKey=last_quarter": documents.PerformanceInsights,
    "/api/cost-categories": documents.CostCategories,
    "/api/cost-categories/acute-rehab": documents.CostCategory,
    "/api/cost-categories?slug=acute-rehab": documents.CostCategory,
    "/api/recommendations": documents.Recommendations,
    "/api/recommendations/3": documents.RecommendationDetails,
    "/api/recommendations/3?categoryName=Acute%20Rehabilitation": documents.RecommendationDetails,
    "/api/recommendations?id=3": documents.RecommendationDetails,
    "/api/health": documents.Health,
}


@pytest.fixture
def client(api: Api, seeded_to_read: str) -> TestClient:
    """Return the application on a seeded database that is not changed."""
    return api(seeded_to_read)


@pytest.mark.per_version
@pytest.mark.parametrize("path", DOCUMENTS)
def test_each_answer_is_as_its_model_says(client: TestClient, path: str) -> None:
    """Every field is there, and no other."""
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    DOCUMENTS[path].model_validate_json(answer.text)
    whole = DOCUMENTS[path].model_fields
    optional = {"impactAmount"} if "categoryName" not in path else set()
    assert {str(f.alias) for f in whole.values()} - optional == set(answer.json())


@pytest.mark.per_version
def test_an_empty_database_has_empty_lists(api: Api, applied: str) -> None:
    """Without a period there is none to show; with one, every list is empty and nothing is 0."""
    client = api(applied)
    assert client.get("/api/performance-insights").json()["type"].endswith("no-active-period")
    assert client.get("/api/recommendations").json()["recommendations"] == []
    execute(
        applied,
        "INSERT INTO performance_periods"
        " (period_key, period_label, start_date, end_date, is_active)"
        " VALUES ('ytd', 'Year to date', '2026-01-01', '2026-09-30', true)",
    )
    insights = documents.PerformanceInsights.model_validate_json(
        client.get("/api/performance-insights").text
    )
    assert (insights.metrics, insights.cost_opportunities, insights.efficiency_kpis) == ([], [], [])
    assert insights.summary.actual_pmpm is None
    assert insights.summary.net_amount == 0
    categories = documents.CostCategories.model_validate_json(
        client.get("/api/cost-categories").text
    )
    assert (categories.categories, categories.total_count) == ([], 0)


def test_numbers_keep_the_decimals_of_their_columns(client: TestClient) -> None:
    """A risk score of 1.0850 is not 1.085."""
    text = client.get("/api/performance-insights").text
    assert re.search(r'"metricType":"risk_score","currentValue":1\.0850,', text)


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/api/performance-insights?periodKey=", "periodKey"),
        ("/api/performance-insights?periodKey=Ytd", "periodKey"),
        ("/api/performance-insights?periodKey=y%00", "periodKey"),
        ("/api/performance-insights?periodKey=ytd&periodKey=ytd", "periodKey"),
        ("/api/cost-categories?limit=0", "limit"),
        ("/api/cost-categories?limit=501", "limit"),
        ("/api/cost-categories?limit=1.5", "limit"),
        ("/api/cost-categories?limit=%2B1", "limit"),
        ("/api/cost-categories?limit=1_0", "limit"),
        ("/api/cost-categories?offset=100001", "offset"),
        ("/api/cost-categories?sort=id", "sort"),
        ("/api/cost-categories?format=xml", "format"),
        ("/api/cost-categories?status=a%0Ab", "status"),
        ("/api/cost-categories?slug=A", "slug"),
        ("/api/cost-categories/A--b", "slug"),
        ("/api/cost-categories/acute-rehab?part=x", "part"),
        ("/api/recommendations/0", "id"),
        ("/api/recommendations/2147483648", "id"),
        ("/api/recommendations/x", "id"),
        ("/api/recommendations?id=1&id=2", "id"),
        ("/api/recommendations/3?categoryName=%07", "categoryName"),
        ("/api/recommendations/3?categoryName=" + "x" * 256, "categoryName"),
        ("/api/recommendations?category=-", "category"),
        ("/api/recommendations?sort=status", "sort"),
    ],
)
def test_a_malformed_parameter_is_refused(client: TestClient, path: str, parameter: str) -> None:
    """The problem names it."""
    answer = client.get(path)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:lfmigrate:dashboard:invalid-parameter"
    assert problem["parameter"] == parameter
    assert set(problem) == {"type", "title", "status", "detail", "instance", "parameter"}


def test_a_period_may_begin_with_a_digit(api: Api, seeded: str) -> None:
    """As the table allows it."""
    execute(seeded, "UPDATE performance_periods SET period_key = '2026_q3' WHERE id = 3")
    answer = api(seeded).get("/api/performance-insights?periodKey=2026_q3")
    assert answer.json()["period"]["periodKey"] == "2026_q3"


def test_unknown_parameters_are_ignored(client: TestClient) -> None:
    """As servers in front add their own."""
    assert client.get("/api/recommendations?utm=1&utm=2").status_code == 200


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("/api/performance-insights?periodKey=none", "period-not-found"),
        ("/api/cost-categories?periodKey=none", "period-not-found"),
        ("/api/cost-categories/none", "category-not-found"),
        ("/api/cost-categories/acute-rehab?periodKey=none", "period-not-found"),
        ("/api/recommendations/999", "recommendation-not-found"),
        ("/api/none", "not-found"),
        ("/api/", "not-found"),
        ("/none", "not-found"),
    ],
)
def test_what_is_not_there(client: TestClient, path: str, word: str) -> None:
    """404, with a word for each kind."""
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["type"] == problems.PREFIX + word


def test_an_unknown_word_finds_no_rows(client: TestClient) -> None:
    """It is no error: the list of words is open."""
    for path in (
        "recommendations?status=x",
        "recommendations?priority=x",
        "cost-categories?status=x",
    ):
        answer = client.get(f"/api/{path}")
        assert (answer.status_code, answer.json()["totalCount"]) == (200, 0)
    answer = client.get("/api/recommendations?category=none")
    assert answer.json()["recommendations"] == []


def test_a_category_of_another_period_names_the_periods(api: Api, seeded: str) -> None:
    """So that a reader can go on from there."""
    execute(
        seeded,
        "DELETE FROM cost_categories USING performance_periods AS p"
        " WHERE slug = 'acute-rehab' AND p.id = period_id AND p.is_active",
    )
    problem = api(seeded).get("/api/cost-categories/acute-rehab").json()
    assert problem["type"].endswith("category-not-found")
    assert [p["periodKey"] for p in problem["periods"]] == ["last_12_months", "last_quarter"]


@pytest.mark.parametrize("path", [*DOCUMENTS, "/", "/deep-dive/x", "/api/openapi.json"])
def test_head_is_get_without_a_body(client: TestClient, path: str) -> None:
    """With the same headers."""
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert head.headers == get.headers


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/recommendations", "GET, HEAD, PATCH, PUT"),
        ("/api/recommendations/3", "GET, HEAD, PATCH"),
        ("/api/health", "GET, HEAD"),
        ("/", "GET, HEAD"),
        ("/static/dashboard.css", "GET, HEAD"),
    ],
)
def test_other_methods_are_refused(client: TestClient, path: str, allowed: str) -> None:
    """Allow has those of all routes of the address."""
    answer = client.delete(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["type"].endswith("method-not-allowed")


@pytest.mark.parametrize("path", [p for p in DOCUMENTS if "health" not in p])
def test_an_unchanged_document_is_not_sent_again(client: TestClient, path: str) -> None:
    """Whichever way the tag is written."""
    first = client.get(path)
    tag = first.headers["etag"]
    assert re.fullmatch(r'W/"[0-9a-f]{32}"', tag)
    assert first.headers["cache-control"] == "private, no-cache"
    assert first.headers["vary"] == "Accept-Encoding"
    for known in (tag, f'"x", {tag}', tag.removeprefix("W/"), "*"):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get(path, headers={"If-None-Match": '"x"'}).status_code == 200


def test_a_change_changes_the_tag(api: Api, seeded: str) -> None:
    """The data alone decides."""
    client = api(seeded)
    tag = client.get("/api/recommendations").headers["etag"]
    assert client.get("/api/recommendations").headers["etag"] == tag
    execute(seeded, "UPDATE recommendations SET title = title || '!' WHERE id = 1")
    assert client.get("/api/recommendations").headers["etag"] != tag


def test_large_answers_are_compressed(client: TestClient) -> None:
    """Those above 500 bytes, for who accepts it."""
    path = "/api/cost-categories"
    assert client.get(path).headers["content-encoding"] == "gzip"
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json() == client.get(path).json()
    assert "content-encoding" not in client.get("/api/health").headers


def test_pages_of_a_list_are_linked(client: TestClient) -> None:
    """Following the links gives each row once, in the order of the whole."""
    whole = [
        r["id"] for r in client.get("/api/recommendations?sort=title").json()["recommendations"]
    ]
    path: str | None = "/api/recommendations?sort=title&limit=4"
    found: list[int] = []
    while path is not None:
        answer = client.get(path)
        found += [r["id"] for r in answer.json()["recommendations"]]
        assert answer.json()["totalCount"] == len(whole)
        path = answer.links["next"]["url"] if "next" in answer.links else None
    assert found == whole


ORDERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "cost-categories?sort=name": lambda c: c["categoryName"],
    "cost-categories?sort=rank": lambda c: c["acoRank"],
    "cost-categories?sort=-varianceAmount": lambda c: -c["spendingVarianceAmount"],
    "cost-categories?sort=-variancePercent": lambda c: -c["spendingVariancePercent"],
    "cost-categories": lambda c: (c["displayOrder"], c["id"]),
    "recommendations?sort=title": lambda r: r["title"].lower(),
    "recommendations": lambda r: (
        {"high": 1, "medium": 2, "low": 3}.get(r["priority"], 4),
        -(r["estimatedSavings"] or -1),
        r["id"],
    ),
    "recommendations?sort=-estimatedSavings": lambda r: -(r["estimatedSavings"] or -1),
}


@pytest.mark.parametrize("path", ORDERS)
def test_lists_are_sorted_as_asked(client: TestClient, path: str) -> None:
    """And what is not known comes last."""
    answer = client.get(f"/api/{path}").json()
    rows = answer[path.partition("?")[0].removeprefix("cost-")]
    assert len(rows) > 5
    assert rows == sorted(rows, key=ORDERS[path])


def test_all_but_rejected_ones(api: Api, seeded: str) -> None:
    """What a page shows at first, and the same as CSV."""
    execute(seeded, "UPDATE recommendations SET status = 'rejected' WHERE id = 3")
    client = api(seeded)
    every = client.get("/api/recommendations").json()
    open_ones = [r["id"] for r in every["recommendations"] if r["status"] != "rejected"]
    assert len(open_ones) < every["totalCount"]
    found = client.get("/api/recommendations?status=not_rejected").json()
    assert [r["id"] for r in found["recommendations"]] == open_ones
    assert found["totalCount"] == len(open_ones)
    text = client.get("/api/recommendations?status=not_rejected&format=csv").text
    rows = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    assert [int(row["id"]) for row in rows] == open_ones


def test_filters_and_counts_of_recommendations(client: TestClient, seeded_to_read: str) -> None:
    """The counts are of all, whatever the filter."""
    every = client.get("/api/recommendations").json()
    counts = dict(fetch(seeded_to_read, "SELECT status, count(*) FROM recommendations GROUP BY 1"))
    assert {k: v for k, v in every["counts"]["status"].items() if v} == counts
    assert sum(every["counts"]["priority"].values()) == every["totalCount"]
    for status, count in counts.items():
        some = client.get(f"/api/recommendations?status={status}").json()
        assert (some["totalCount"], some["counts"]) == (count, every["counts"])
        assert some["filters"] == {"status": status, "priority": None, "category": None}
        assert {r["status"] for r in some["recommendations"]} == {status}
    touching = client.get("/api/recommendations?category=acute-rehab").json()["recommendations"]
    assert touching
    for each in touching:
        assert "acute-rehab" in [c["categorySlug"] for c in each["affectedCategories"]]


CSV = {
    "/api/cost-categories?format=csv": ("categories", "cost-categories-ytd.csv"),
    "/api/cost-categories?format=csv&status=red&sort=-varianceAmount&limit=2": (
        "categories",
        "cost-categories-ytd.csv",
    ),
    "/api/cost-categories/acute-rehab?format=csv": ("category", "acute-rehab-ytd.csv"),
    **{
        f"/api/cost-categories/acute-rehab?format=csv&part={part}": (
            part,
            f"acute-rehab-{part}-ytd.csv",
        )
        for part in ("hospitals", "drgs", "dischargingHospitals")
    },
    "/api/recommendations?format=csv": ("recommendations", "recommendations.csv"),
}


@pytest.mark.parametrize("path", CSV)
def test_csv_has_the_rows_of_the_list(client: TestClient, path: str) -> None:
    """Every field, in the same order, with the same numbers."""
    key, name = CSV[path]
    answer = client.get(path)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert answer.content.startswith(b"\xef\xbb\xbf")
    text = answer.content.decode("utf-8-sig")
    assert text.count("\r\n") == text.count("\n")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    document = json.loads(client.get(path.replace("format=csv", "")).text, parse_float=Decimal)
    listed = document[key] if isinstance(document[key], list) else [document[key]]
    assert len(rows) == len(listed) > 0
    for row, each in zip(rows, listed, strict=True):
        assert list(row) == list(each)
        for field, value in each.items():
            if isinstance(value, list):
                assert row[field] == "; ".join(c["categoryName"] for c in value)
            elif isinstance(value, bool):
                assert row[field] == str(value).lower()
            else:
                assert row[field] == ("" if value is None else str(value))


def test_a_text_in_csv_is_no_formula(api: Api, seeded: str) -> None:
    """A spreadsheet would run it; a negative number stays a number."""
    for start in ("=", "+", "-", "@", "\t", "\r"):
        execute(seeded, f"UPDATE cost_categories SET category_name = chr({ord(start)}) || 'cmd'")
        text = api(seeded).get("/api/cost-categories?format=csv").content.decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert {row["categoryName"] for row in rows} == {f"'{start}cmd"}
        assert any(row["spendingVarianceAmount"].startswith("-") for row in rows)


def test_the_openapi_document_is_complete(client: TestClient) -> None:
    """Each field has a type and a description, and stray fields are excluded."""
    schema = client.get("/api/openapi.json").json()
    assert schema["openapi"].startswith("3.1")
    schemas = schema["components"]["schemas"]
    models = {name for name in vars(documents) if name in schemas}
    assert len(models) > 20
    for name in models - {"ProblemDocument"}:
        assert schemas[name]["additionalProperties"] is False
        for field, described in schemas[name]["properties"].items():
            assert described.get("description"), f"{name}.{field}"
            assert {"type", "anyOf", "$ref", "allOf", "const"} & set(described), f"{name}.{field}"
    # FastAPI's own, which is never sent.
    assert "HTTPValidationError" not in schemas
    assert not any(
        "422" in operation["responses"]
        for path in schema["paths"].values()
        for operation in path.values()
    )
