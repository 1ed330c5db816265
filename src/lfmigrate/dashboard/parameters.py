"""Query parameters, paths and bodies: what is accepted, and what is malformed."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from lfmigrate.dashboard.problems import Problem

SLUG = r"^[a-z0-9]+(-[a-z0-9]+)*$"
# As the table has them; the first may be a digit.
_PERIOD_KEY = r"^[a-z0-9][a-z0-9_]{0,49}$"
_WORD = r"^[a-z_]{1,50}$"
# What a person may be called: no control character, NUL among them, which PostgreSQL refuses.
_LINE = r"^[^\x00-\x1f\x7f-\x9f]{1,255}$"
_MAX_ID = 2**31 - 1
_MAX_SLUG = 50
_MAX_BODY_BYTES = 4096

Status = Literal[
    "not_started",
    "acknowledged",
    "accepted",
    "rejected",
    "already_doing",
    "in_progress",
    "completed",
]


def is_name(text: str) -> bool:
    """Return whether a text can be stored as the name of who has changed a status."""
    return re.fullmatch(_LINE, text) is not None


def _digits(value: Any) -> Any:  # noqa: ANN401 (before it is validated)
    """Refuse what pydantic takes for a number, too, such as ``+1`` and ``1_000``.

    ``2.0`` is an integer for JSON Schema.
    """
    if isinstance(value, str) and not re.fullmatch(r"[0-9]+(\.0)?", value):
        raise ValueError("it is not a number in digits")
    return value


def _number(value: Any) -> Any:  # noqa: ANN401 (before it is validated)
    """Refuse what pydantic takes for a number in JSON, too."""
    if isinstance(value, bool | str):
        raise ValueError("it is not a number")  # noqa: TRY004 (what pydantic expects)
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
Decision = Annotated[
    str | None,
    Query(
        pattern=_WORD,
        description="Only those; not_rejected: all but rejected; an unknown word finds none.",
    ),
]
CategoryName = Annotated[
    str | None,
    Query(alias="categoryName", pattern=_LINE, description="Adds impactAmount, this category's."),
]
_Identifier = Annotated[int, Field(ge=1, le=_MAX_ID), BeforeValidator(_digits)]
IdInPath = Annotated[_Identifier, Path(description="The recommendation.")]
Id = Annotated[_Identifier | None, Query(description="A recommendation.")]
NeededId = Annotated[_Identifier, Query(description="The recommendation.")]
Limit = Annotated[
    Annotated[int, Field(ge=1, le=500), BeforeValidator(_digits)],
    Query(description="How many rows at most."),
]
Offset = Annotated[
    Annotated[int, Field(ge=0, le=100_000), BeforeValidator(_digits)],
    Query(description="How many rows to skip."),
]
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

    id: Annotated[int, Field(ge=1, le=_MAX_ID), BeforeValidator(_number)] = Field(
        description="The recommendation."
    )


class JsonRoute(APIRoute):
    """A route that reads a small body of JSON; others would be parsed, or read to their end."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, which looks at the body before FastAPI does."""
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            media_type = request.headers.get("content-type", "").partition(";")[0].strip()
            if media_type.lower() != "application/json":
                raise Problem("json-needed")
            body = b""
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MAX_BODY_BYTES:
                    raise Problem("body-too-large")
            # What `request.body` returns from now on.
            request._body = body  # noqa: SLF001 (Starlette has no other way to limit a body)
            return await handle(request)

        return checked


def refuse_repeated(request: Request) -> None:
    """Refuse a known parameter that is given more than once: which one counts would be a guess."""
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    for name in known:
        if len(request.query_params.getlist(name)) > 1:
            raise Problem("invalid-parameter", "It is given more than once.", {"parameter": name})
