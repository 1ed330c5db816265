"""The application: what it consists of, and how it starts and stops."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse
from starlette.routing import Match, Mount, Route
from starlette.staticfiles import StaticFiles

from lfmigrate._version import __version__
from lfmigrate.dashboard.access import Guard, Outermost, answer
from lfmigrate.dashboard.api import router, writes
from lfmigrate.dashboard.documents import ProblemDocument
from lfmigrate.dashboard.parameters import is_name
from lfmigrate.dashboard.problems import Problem
from lfmigrate.dashboard.reads import Database
from lfmigrate.errors import UsageError
from lfmigrate.redaction import secrets
from lfmigrate.settings import Serving

_HERE = Path(__file__).parent

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_PAGES = {
    "/": "insights",
    "/deep-dive": "deep-dive",
    "/deep-dive/": "deep-dive",
    "/deep-dive/{slug}": "deep-dive",
    "/recommendations": "recommendations",
    "/recommendations/": "recommendations",
    "/recommendations/{id}": "program",
}
_SHORTEST_TOKEN = 16

_DESCRIPTION = "Cost, use and quality of an ACO, and what can be done about them."


def create_app(database_url: str | None = None, serving: Serving | None = None) -> FastAPI:
    """Make the application. It connects when a request needs the database.

    Args:
        database_url: As libpq takes it; without it, DATABASE_URL of the environment.
        serving: What it may do, and for whom; without it, the usual, with the token in
            LFMIGRATE_SERVE_TOKEN of the environment.

    Raises:
        UsageError: No database is named, or the token or the name is not valid.
    """
    url = database_url or os.environ.get("DATABASE_URL")
    if not url:
        raise UsageError("no database URL is configured", hint="Set DATABASE_URL.")
    token = os.environ.get("LFMIGRATE_SERVE_TOKEN", "").strip() or None
    serving = serving or Serving(token=token)
    if serving.token is not None and len(serving.token) < _SHORTEST_TOKEN:
        raise UsageError(f"the token is shorter than {_SHORTEST_TOKEN} characters")
    if serving.changed_by is not None and not is_name(serving.changed_by):
        raise UsageError("the name of who changes a status has 1 to 255 printable characters")
    # Otherwise its warnings, which may quote an address, would go to standard error.
    logging.getLogger("psycopg.pool").addHandler(logging.NullHandler())
    database = Database(url, serving)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        database.close()

    app = FastAPI(
        title="lfmigrate dashboard",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url="/api/openapi.json",
        # Their pages load from another host.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.database, app.state.serving = database, serving
    app.include_router(router)
    app.include_router(writes)
    _add_pages(app)
    _add_problems(app)
    app.openapi = functools.partial(_openapi, app)  # type: ignore[method-assign]  # as FastAPI documents it
    # The last one is the outermost.
    app.add_middleware(GZipMiddleware, minimum_size=500)
    app.add_middleware(Guard, serving=serving)
    if serving.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=serving.origins,
            allow_methods=["GET", "HEAD", "PATCH", "PUT"],
            allow_headers=["Authorization", "Content-Type", "If-None-Match"],
            expose_headers=["ETag", "Link"],
        )
    app.add_middleware(
        Outermost,
        serving=serving,
        log=(lambda _: None) if serving.quiet else functools.partial(print, file=sys.stderr),
        hidden=(*secrets(url, environment=os.environ), *filter(None, [serving.token])),
    )
    return app


def _add_pages(app: FastAPI) -> None:
    """Serve the pages, and their files under a name that changes with them."""
    static = _HERE / "static"
    digest = hashlib.sha256()
    for path in sorted(static.rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    base = f"/static/{__version__}-{digest.hexdigest()[:8]}"
    app.mount(base, _Static(directory=static))

    async def newest(request: Request, name: str) -> Response:
        """Lead the page of another site, which cannot know the digest, to the file of today."""
        address = f"{request.scope.get('root_path', '')}{base}/{name}"
        return RedirectResponse(address, headers={"Cache-Control": "no-cache"})

    app.add_api_route("/static/{name}", newest, include_in_schema=False)
    for route, name in _PAGES.items():
        html = (_HERE / "pages" / f"{name}.html").read_text(encoding="utf-8")
        app.add_api_route(route, _page(html, base), include_in_schema=False)


def _page(html: str, base: str) -> Callable[[Request], Awaitable[Response]]:
    # Without a thread, of which requests that wait for the database may hold all.
    async def page(request: Request) -> Response:
        root = request.scope.get("root_path", "")
        return Response(
            html.replace("__STATIC__", root + base).replace("__ROOT__", root),
            media_type="text/html",
            headers={"Cache-Control": "no-cache", "Content-Security-Policy": _CSP},
        )

    return page


class _Static(StaticFiles):
    """Files that a browser may keep: their address has a digest of them."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:  # noqa: ANN401 (as there)
        response = super().file_response(*arguments, **options)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def _add_problems(app: FastAPI) -> None:
    """Answer with problem documents, wherever the problem was found."""

    def problem(request: Request, error: Any) -> Response:  # noqa: ANN401 (as Starlette calls it)
        return answer(error, request.scope)

    def invalid(request: Request, error: Any) -> Response:  # noqa: ANN401 (as Starlette calls it)
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        where = [str(each) for each in first["loc"][1:]]
        if first["loc"][0] == "body":
            detail = ": ".join([".".join(where), message] if where else [message])
            return answer(Problem("invalid-body", detail), request.scope)
        members: dict[str, object] = {"parameter": where[0]}
        # A regular expression says little to people.
        is_pattern = first["type"] == "string_pattern_mismatch"
        detail = "It is too long, or has characters that it cannot have."
        return answer(
            Problem("invalid-parameter", detail if is_pattern else message, members),
            request.scope,
        )

    def refused(request: Request, error: Any) -> Response:  # noqa: ANN401 (as Starlette calls it)
        if error.status_code == 405:  # noqa: PLR2004 (HTTP)
            headers = {"Allow": ", ".join(_methods(app, request))}
            return answer(Problem("method-not-allowed", headers=headers), request.scope)
        word = {400: "invalid-body", 404: "not-found"}.get(error.status_code, "unexpected")
        detail = "It is not JSON." if word == "invalid-body" else ""
        return answer(Problem(word, detail), request.scope)

    app.add_exception_handler(Problem, problem)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, refused)


def _methods(app: FastAPI, request: Request) -> list[str]:
    """Return the methods of all routes of an address."""
    matching = [
        route
        for route in [*router.routes, *writes.routes, *app.routes]
        if isinstance(route, Route | Mount) and route.matches(request.scope)[0] is not Match.NONE
    ]
    # What is mounted are the static files.
    methods = {m for route in matching for m in getattr(route, "methods", None) or ("GET",)}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with an example of each document."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schemas = schema["components"]["schemas"]
        schemas["ProblemDocument"] = ProblemDocument.model_json_schema()
        for described in schemas.values():
            # A field that may be null has its description inside, where few readers look.
            for field in described.get("properties", {}).values():
                for branch in field.get("anyOf", ()):
                    if text := branch.pop("description", None):
                        field.setdefault("description", text)
        examples = json.loads((_HERE / "examples.json").read_text(encoding="utf-8"))
        for name, example in examples.items():
            schemas[name]["examples"] = [example]
        app.openapi_schema = schema
    return app.openapi_schema
