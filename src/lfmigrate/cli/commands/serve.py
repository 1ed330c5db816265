"""The command `serve`: its options; `cli.serving` does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lfmigrate.cli.call import calling
from lfmigrate.cli.options import takes
from lfmigrate.settings import Flags


@takes(
    "database_url",
    "password_command",
    "env",
    "env_file",
    "embedded",
    "schema",
    "statement_timeout",
    "wait",
    "quiet",
    statement_timeout="How long each query may run, such as 30s (default: 10s)."
    " [env: LFMIGRATE_STATEMENT_TIMEOUT]",
)
def serve(
    flags: Flags,
    *,
    host: Annotated[
        str, typer.Option(metavar="HOST", help="Name or address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Port; 0 takes a free one.")
    ] = 8002,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the first page.")] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Refuse to change the status of recommendations.")
    ] = False,
    changed_by: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="NAME",
            help="Who changes a status, unless a request says so (default: the system's user).",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Also answer to this name, such as that of a reverse proxy. Repeatable.",
        ),
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="Let the pages of this site use the API. Repeatable."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File with the token that callers have to send; or the token itself in"
            " LFMIGRATE_SERVE_TOKEN (environment, or .env).",
        ),
    ] = None,
) -> None:
    """Show the tables of migration 002 in a browser, until Ctrl-C.

    Needs pip install 'lfmigrate[dashboard]'.
    """
    with calling("serve", flags) as call:
        from lfmigrate.cli.serving import serve_dashboard  # noqa: PLC0415 (imports the driver)

        serve_dashboard(
            call,
            host=host,
            port=port,
            open_browser=open_browser,
            read_only=read_only,
            changed_by=changed_by,
            hosts=tuple(allow_host or ()),
            origins=tuple(allow_origin or ()),
            token_file=token_file,
        )
