"""Starts the dashboard's server for the command `serve`."""

from __future__ import annotations

import os
import re
import webbrowser
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from lfmigrate.cli.call import Call, opened, read_settings
from lfmigrate.cli.which import read_variable
from lfmigrate.errors import UsageError
from lfmigrate.settings import Flags, Serving

_EXTRA = {"fastapi", "starlette", "pydantic", "anyio", "uvicorn", "psycopg_pool"}


def serve_dashboard(
    call: Call,
    *,
    host: str,
    port: int,
    open_browser: bool,
    read_only: bool,
    changed_by: str | None,
    hosts: tuple[str, ...],
    origins: tuple[str, ...],
    token_file: Path | None,
) -> None:
    """Serve the dashboard until a signal stops it.

    Args:
        call: The call.
        host: The name or address to listen on.
        port: The port; 0 for a free one.
        open_browser: Whether to open the first page.
        read_only: Whether statuses cannot be changed.
        changed_by: Who decides, unless a request says so.
        hosts: Further names that it answers to.
        origins: Sites whose pages may use it.
        token_file: A file with a token.

    Raises:
        UsageError: The extra is not installed, or an option is not valid.
        DifferenceFound: A table or a view is missing.
        ConnectionFailed: The database cannot be reached.
    """
    try:
        from lfmigrate.dashboard.server import serve  # noqa: PLC0415 (optional, and slow)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise UsageError(
            "the dashboard is not installed", hint="pip install 'lfmigrate[dashboard]'"
        ) from None

    from lfmigrate.postgres.password import printed_password  # noqa: PLC0415 (the driver)

    for origin in origins:
        _check_origin(origin)
    for name in hosts:
        _check_host(name)
    if changed_by is not None and not (changed_by.isprintable() and 0 < len(changed_by) < 256):  # noqa: PLR2004 (the column's length)
        raise UsageError("--as needs a name of 1 to 255 printable characters")
    token = _token(call.flags, token_file)
    settings = read_settings(call)
    command = settings.password_command
    # Not the address of this connection: after a failover, the same name may lead elsewhere.
    with opened(call, settings) as (_, url):
        pass
    usual = Serving()
    serving = Serving(
        schema=settings.scope.schema,
        statement_timeout_ms=settings.scope.statement_timeout_ms or usual.statement_timeout_ms,
        read_only=read_only,
        changed_by=changed_by,
        hosts=(host, *hosts),
        origins=origins,
        token=token,
        quiet=call.flags.quiet,
        password=None if command is None else partial(printed_password, command),
    )

    def on_start(address: str) -> None:
        call.screen.print(address)
        call.screen.say("Ctrl-C stops it")
        if open_browser:
            webbrowser.open(address)

    try:
        serve(url, serving, host=host, port=port, on_start=on_start)
    except KeyboardInterrupt:
        call.screen.say("stopping")


def _check_origin(origin: str) -> None:
    try:
        parts = urlsplit(origin)
        usual = {"http": 80, "https": 443}[parts.scheme]
        port = "" if parts.port in {None, usual} else f":{parts.port}"
        host = parts.hostname or ""
        written = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"
    except (ValueError, KeyError):
        host = written = ""
    # As a browser writes it, or no request would ever match.
    if not host or written != origin:
        raise UsageError(
            f'--allow-origin "{origin}" is not an origin',
            hint="It has a scheme, a host in small letters and no path: https://dashboard.example.com",
        )


def _check_host(name: str) -> None:
    if not re.fullmatch(r"[\w.-]+|\[?[0-9A-Fa-f:.]+\]?", name) or re.fullmatch(r"[^:]*:\d*", name):
        raise UsageError(
            f'--allow-host "{name}" is not a name or an address',
            hint="It has neither a scheme nor a port: dashboard.example.com",
        )


def _token(flags: Flags, path: Path | None) -> str | None:
    """Return the token of the file, the environment or a ``.env``; None if there is none.

    Raises:
        UsageError: The file cannot be read or others can read it, or the token is too short.
    """
    name = "LFMIGRATE_SERVE_TOKEN"
    token = (read_variable(flags, name) or "").strip() or None
    if path is not None:
        try:
            mode = path.stat().st_mode & 0o077
            token = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise UsageError(f"cannot read the token file: {reason}") from None
        if mode and os.name != "nt":  # Windows has no such bits
            raise UsageError(
                f"other users can read the token in {path}", hint=f"Run: chmod 600 {path}"
            )
    return token
