"""Who may call: names of the host, tokens, origins; and the headers that every answer gets."""

from __future__ import annotations

import asyncio
import base64
import hmac
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from secrets import token_hex
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lfmigrate.dashboard.parameters import is_name
from lfmigrate.dashboard.problems import Problem
from lfmigrate.redaction import redact
from lfmigrate.settings import Serving

_LOCAL = ("127.0.0.1", "localhost", "::1")
# Guessing is slow, and as slow for every guess.
_REFUSAL_S = 0.3

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_READS = ("GET", "HEAD", "OPTIONS")


def answer(problem: Problem, scope: Scope) -> Response:
    """Return a problem as a response."""
    scope["state"]["problem"] = f" {problem.word}"
    document = problem.document(scope["state"]["request_id"])
    return Response(document, problem.status, problem.all_headers())


class Outermost:
    """Gives each request an id, each answer its headers, and each a line in the log."""

    def __init__(
        self,
        app: ASGIApp,
        serving: Serving,
        log: Callable[[str], None],
        hidden: tuple[str, ...],
    ) -> None:
        """Wrap an application.

        Args:
            app: What answers.
            serving: The names to which it answers.
            log: Takes a line for each request.
            hidden: Passwords, which no log gets.
        """
        self._app = app
        self._log = log
        self._hidden = hidden
        self._hosts = {*_LOCAL, *(_host_name(name) for name in serving.hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        method = scope["method"]
        request_id = token_hex(6)
        # HEAD is GET without a body.
        state = {**scope.get("state", {}), "request_id": request_id, "problem": ""}
        inner = {**scope, "method": "GET" if method == "HEAD" else method, "state": state}
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                # Each of the inner ones may have added its part.
                varies = {"Accept-Encoding", *headers.get("vary", "Accept-Encoding").split(", ")}
                headers["Vary"] = ", ".join(sorted(varies))
            elif method == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        try:
            name = _host_name(Headers(scope=scope).get("host", ""))
            app = self._app if name in self._hosts else answer(Problem("host-refused"), inner)
            await app(inner, receive, send_on)
        except ClientDisconnect:
            status = 499  # no one hears an answer; nginx's number for that
        except Exception:  # noqa: BLE001 (it would reach the server's log with whatever it quotes)
            sys.stderr.write(f"{request_id} {redact(traceback.format_exc(), self._hidden)}")
            if not status:
                await answer(Problem("unexpected"), inner)(inner, receive, send_on)
        finally:
            elapsed_ms = (time.perf_counter() - started) * 1000
            # Encoded again: a line of its own, or a terminal's control characters, may be in it.
            line = f"{method} {quote(scope['path'])} {status} {elapsed_ms:.1f} ms {request_id}"
            self._log(line + state["problem"])


class Guard:
    """Refuses who is not signed in, and writes that another site may have caused."""

    def __init__(self, app: ASGIApp, serving: Serving) -> None:
        """Wrap an application."""
        self._app = app
        self._serving = serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it pass."""
        if scope["type"] == "http":
            try:
                await self._check(scope)
            except Problem as problem:
                await answer(problem, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if self._serving.token and path != "/api/health":
            scope["state"]["user"] = await self._signed_in(headers)
        origin = headers.get("origin")
        if (
            scope["method"] not in _READS
            and origin is not None
            and origin not in self._serving.origins
            and _address(origin) != headers.get("host")
        ):
            raise Problem("origin-refused")

    async def _signed_in(self, headers: Headers) -> str | None:
        """Return the name with which someone has signed in; None for a Bearer token."""
        scheme, _, value = headers.get("authorization", "").partition(" ")
        name, token = "", value if scheme.lower() == "bearer" else ""
        if scheme.lower() == "basic":
            with suppress(ValueError):
                name, _, token = base64.b64decode(value, validate=True).decode().partition(":")
        is_right = hmac.compare_digest(token.encode(), (self._serving.token or "").encode())
        if is_right and (not name or is_name(name)):
            return name or None
        await asyncio.sleep(_REFUSAL_S)
        challenge = 'Basic realm="lfmigrate", charset="UTF-8"'
        raise Problem("sign-in-needed", headers={"WWW-Authenticate": challenge})


def _host_name(host: str) -> str:
    """Return the name or address in a Host header, without its port; empty if it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _address(origin: str) -> str:
    """Return the host and port of an Origin header; empty if it is malformed."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""
