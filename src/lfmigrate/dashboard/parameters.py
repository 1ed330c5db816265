"""Query parameters, paths and bodies: what is accepted, and what is malformed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from lfmigrate.dashboard.problems import Problem

SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_PERIOD_KEY = r"^[a-z][a-z0-9_]{0,49}$"
_WORD = r"^[a-z_]{1,50}$"
# What a person may be called: no control character, NUL among them, which PostgreSQL refuses.
_LINE = r"^[^\x00-\x1f\x7f-\x9f]{1,255}$"
_MAX_ID = 2**31 - 1
_MAX_SLUG = 50

Status = Literal[
    "not_started",
    "acknowledged",
    "accepted",
    "rejected",
    "already_doing",
    "in_progress",
    "completed",
]


def _digits(value: Any) -> Any:  # noqa: ANN401 (before it is validated)
    """Refuse what pydantic takes for a number, too, such as ``1.0`` and ``+1``."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise ValueError("not a number in digits")
    return value


PeriodKey = Annotated[
    str | None,
    Query(
        alias="periodKey", pattern=_PERIOD_KEY, description="The period; without it the active one."
    ),
]
SlugInPath = Annotated[
    str, Path(pattern=SLUG, max_length=_MAX_SLUG, description="The category's slug.")
]
Slug = Annotated[
    str | None,
    Query(
        pattern=SLUG,
        max_length=_MAX_SLUG,
        description="A category; the answer is then that of /api/cost-categories/{slug}.",
    ),
]
CategorySlug = Annotated[
    str | None,
    Query(pattern=SLUG, max_length=_MAX_SLUG, description="Only those that touch this slug."),
]
Word = Annotated[
    str | None, Query(pattern=_WORD, description="Only those; an unknown word finds none.")
]
CategoryName = Annotated[
    str | None,
    Query(alias="categoryName", pattern=_LINE, description="Adds impactAmount, this category's."),
]
_Number = BeforeValidator(_digits)
IdInPath = Annotated[int, _Number, Path(ge=1, le=_MAX_ID, description="The recommendation.")]
Id = Annotated[int | None, _Number, Query(ge=1, le=_MAX_ID, description="A recommendation.")]
NeededId = Annotated[int, _Number, Query(ge=1, le=_MAX_ID, description="The recommendation.")]
Limit = Annotated[int, _Number, Query(ge=1, le=500, description="How many rows at most.")]
Offset = Annotated[int, _Number, Query(ge=0, le=100_000, description="How many rows to skip.")]
Format = Annotated[Literal["json", "csv"], Query(description="csv: the rows of the list.")]
Part = Annotated[
    Literal["hospitals", "drgs", "dischargingHospitals"] | None,
    Query(description="Which list, with format=csv; without it the category itself."),
]
CategorySort = Annotated[
    Literal["displayOrder", "name", "rank", "-varianceAmount", "-variancePercent"],
    Query(description="The order of the list; - is descending."),
]
RecommendationSort = Annotated[
    Literal["priority", "-estimatedSavings", "title", "-statusChangedAt"],
    Query(description="The order of the list; - is descending."),
]


class StatusChange(BaseModel):
    """A new status of a recommendation."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    status: Status = Field(description="The new status.")
    expected_status: Status | None = Field(None, description="The status that the caller has seen.")
    changed_by: str | None = Field(None, pattern=_LINE, description="Who decides.")


class StatusChangeOf(StatusChange):
    """A new status, and of which recommendation."""

    id: int = Field(strict=True, ge=1, le=_MAX_ID, description="The recommendation.")


def refuse_repeated(request: Request) -> None:
    """Refuse a known parameter that is given more than once: which one counts would be a guess."""
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    for name in known:
        if len(request.query_params.getlist(name)) > 1:
            raise Problem("invalid-parameter", "It is given more than once.", {"parameter": name})
