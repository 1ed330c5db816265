"""The endpoints under /api/: each runs one query, which builds its document."""

from __future__ import annotations

import getpass
import hashlib
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import BaseModel

from lfmigrate.dashboard import documents as d
from lfmigrate.dashboard import parameters as p
from lfmigrate.dashboard.exports import to_csv
from lfmigrate.dashboard.problems import MEDIA_TYPE, Problem
from lfmigrate.dashboard.reads import Database
from lfmigrate.dashboard.status import change_status
from lfmigrate.settings import Serving

_PARTS: dict[str, type[BaseModel]] = {
    "hospitals": d.Hospital,
    "drgs": d.Drg,
    "dischargingHospitals": d.DischargingHospital,
}

# Any problem, from any of them. It also keeps FastAPI's own 422 out, which is never sent.
_PROBLEM = {
    "description": "A problem.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
}

router = APIRouter(
    prefix="/api",
    dependencies=[Depends(p.refuse_repeated)],
    responses={"default": _PROBLEM},
)

# Those that change something.
writes = APIRouter(
    prefix="/api",
    route_class=p.JsonRoute,
    dependencies=[Depends(p.refuse_repeated)],
    responses={"default": _PROBLEM},
)


def _answers(model: Any, *, csv: bool = False, cached: bool = True) -> dict[int | str, Any]:  # noqa: ANN401 (a model, or a union of them)
    """Return what an endpoint answers, for the OpenAPI document."""
    text = {"text/csv": {"schema": {"type": "string"}}} if csv else {}
    unchanged: dict[int | str, Any] = {}
    if cached:
        unchanged = {304: {"description": "It is still what If-None-Match names."}}
    return {200: {"model": model, "description": "The document.", "content": text}} | unchanged


@router.get("/performance-insights", responses=_answers(d.PerformanceInsights))
def performance_insights(request: Request, period_key: p.PeriodKey = None) -> Response:
    """How the period went: totals, headline numbers, measures, and the best recommendations."""
    row = _read(request, "insights", period_key=period_key)
    return _document(request, _of_period(row, period_key)[0])


@router.get("/cost-categories", responses=_answers(d.CostCategories | d.CostCategory, csv=True))
def cost_categories(
    request: Request,
    *,
    period_key: p.PeriodKey = None,
    slug: p.Slug = None,
    part: p.Part = None,
    status: p.Word = None,
    sort: p.CategorySort = "displayOrder",
    limit: p.Limit = 200,
    offset: p.Offset = 0,
    format: p.Format = "json",  # noqa: A002 (the parameter's name)
) -> Response:
    """List the categories of a period, or show one of them."""
    if slug is not None:
        return cost_category(request, slug, period_key=period_key, part=part, format=format)
    page = {"status": status, "sort": sort, "limit": limit, "offset": offset}
    row = _read(request, "cost_categories", period_key=period_key, **page)
    document, total, key = _of_period(row, period_key)
    if format == "csv":
        return _csv(request, document, "categories", d.Category, f"cost-categories-{key}")
    return _document(request, document, next_page=_next(request, limit, offset, total))


@router.get("/cost-categories/{slug}", responses=_answers(d.CostCategory, csv=True))
def cost_category(
    request: Request,
    slug: p.SlugInPath,
    *,
    period_key: p.PeriodKey = None,
    part: p.Part = None,
    format: p.Format = "json",  # noqa: A002 (the parameter's name)
) -> Response:
    """Show a category: its periods, what can be done about it, its hospitals and DRGs."""
    row = _read(request, "cost_category", period_key=period_key, slug=slug)
    document, key, elsewhere = _of_period(row, period_key)
    if document is None:
        raise Problem("category-not-found", members={"periods": elsewhere})
    if format == "csv":
        if part is None:
            return _csv(request, document, "category", d.Category, f"{slug}-{key}")
        return _csv(request, document, part, _PARTS[part], f"{slug}-{part}-{key}")
    return _document(request, document)


@router.get(
    "/recommendations", responses=_answers(d.Recommendations | d.RecommendationDetails, csv=True)
)
def recommendations(
    request: Request,
    *,
    id: p.Id = None,  # noqa: A002 (the parameter's name)
    category_name: p.CategoryName = None,
    status: p.Decision = None,
    priority: p.Word = None,
    category: p.CategorySlug = None,
    sort: p.RecommendationSort = "priority",
    limit: p.Limit = 200,
    offset: p.Offset = 0,
    format: p.Format = "json",  # noqa: A002 (the parameter's name)
) -> Response:
    """List the recommendations, or show one of them."""
    if id is not None:
        return recommendation(request, id, category_name=category_name)
    page = {"sort": sort, "limit": limit, "offset": offset}
    filters = {"status": status, "priority": priority, "category": category}
    row = _read(request, "recommendations", **page, **filters)
    if row is None:
        raise Problem("unexpected")
    document, total = row
    if format == "csv":
        return _csv(request, document, "recommendations", d.Recommendation, "recommendations")
    return _document(request, document, next_page=_next(request, limit, offset, total))


@router.get("/recommendations/{id}", responses=_answers(d.RecommendationDetails))
def recommendation(
    request: Request,
    id: p.IdInPath,  # noqa: A002 (the parameter's name)
    *,
    category_name: p.CategoryName = None,
) -> Response:
    """Show a recommendation and its program."""
    row = _read(request, "recommendation", id=id, category_name=category_name)
    if row is None:
        raise Problem("recommendation-not-found")
    return _document(request, row[0])


@writes.patch("/recommendations/{id}", responses=_answers(d.StatusChanged, cached=False))
def change_recommendation(
    request: Request,
    id: p.IdInPath,  # noqa: A002 (the parameter's name)
    change: p.StatusChange,
) -> Response:
    """Change the status of a recommendation."""
    return _change(request, id, change)


@writes.patch("/recommendations", responses=_answers(d.StatusChanged, cached=False))
def change_recommendation_in_body(request: Request, change: p.StatusChangeOf) -> Response:
    """Change the status of the recommendation that the body names."""
    return _change(request, change.id, change)


@writes.put("/recommendations", responses=_answers(d.StatusChanged, cached=False))
def change_recommendation_in_query(
    request: Request,
    id: p.NeededId,  # noqa: A002 (the parameter's name)
    change: Annotated[p.StatusChange, Body()],
) -> Response:
    """Change the status of a recommendation."""
    return _change(request, id, change)


@router.get("/health", responses=_answers(d.Health, cached=False))
def health(request: Request) -> Response:
    """Say whether the database answers."""
    _database(request).read("health", {})
    return Response('{"status":"ok"}', media_type="application/json")


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def _serving(request: Request) -> Serving:
    serving: Serving = request.app.state.serving
    return serving


def _read(request: Request, name: str, **parameters: object) -> Any:  # noqa: ANN401 (a row)
    """Run a query, which may ask whether a status can be changed."""
    read_only = _serving(request).read_only
    return _database(request).read(name, {"read_only": read_only, **parameters})


def _of_period(row: Any, period_key: str | None) -> Any:  # noqa: ANN401 (a row)
    """Return the row of a document with a period.

    Raises:
        Problem: There is none: the period is not known, or none is active.
    """
    if row is None:
        raise Problem("no-active-period" if period_key is None else "period-not-found")
    return row


def _change(request: Request, number: int, change: p.StatusChange) -> Response:
    serving = _serving(request)
    if serving.read_only:
        raise Problem("read-only")
    user = getattr(request.state, "user", None)
    name = change.changed_by or user or serving.changed_by or _system_user()
    return Response(
        change_status(_database(request), number, change, name), media_type="application/json"
    )


def _system_user() -> str:
    """Return the name of the process's user; a container's may have none."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return "lfmigrate serve"


def _document(request: Request, document: str, *, next_page: str | None = None) -> Response:
    """Answer with a document, or with 304 if the caller has it already."""
    links = {} if next_page is None else {"Link": f'<{next_page}>; rel="next"'}
    return _tagged(request, document.encode(), "application/json", links)


def _csv(request: Request, document: str, key: str, model: type[BaseModel], name: str) -> Response:
    columns = [str(each.alias) for each in model.model_fields.values()]
    return _tagged(
        request,
        to_csv(document, key, columns),
        "text/csv; charset=utf-8",
        {"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _tagged(request: Request, body: bytes, media_type: str, headers: dict[str, str]) -> Response:
    # Weak, because gzip is another representation of the same.
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers |= {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = [each.strip() for each in ",".join(request.headers.getlist("if-none-match")).split(",")]
    if "*" in known or tag in known or tag.removeprefix("W/") in known:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media_type, headers=headers)


def _next(request: Request, limit: int, offset: int, total: int) -> str | None:
    """Return the address of the next page; None if there is none."""
    if offset + limit >= total:
        return None
    others = [(k, v) for k, v in request.query_params.multi_items() if k != "offset"]
    return f"{request.scope['path']}?{urlencode([*others, ('offset', offset + limit)])}"
