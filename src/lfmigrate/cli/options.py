"""Options that several commands share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from lfmigrate.settings import Flags

_OPTIONS: dict[str, Any] = {
    "database_url": Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where: postgresql://... or libpq keywords. [env: DATABASE_URL, or .env]",
        ),
    ],
    "embedded": Annotated[
        bool | None,
        typer.Option(
            "--embedded",
            help="Use a private PostgreSQL under .lfmigrate/. [env: LFMIGRATE_EMBEDDED=1]",
            show_default=False,
        ),
    ],
    "sql_dir": Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder of SQL files; default: those shipped. [env: LFMIGRATE_SQL_DIR]",
        ),
    ],
    "schema": Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The schema that unqualified names go to; default: the connection's own."
            " [env: LFMIGRATE_SCHEMA]",
        ),
    ],
    "history_schema": Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The schema of lfmigrate's own table; default: lfmigrate."
            " [env: LFMIGRATE_HISTORY_SCHEMA]",
        ),
    ],
    "lock_timeout": Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="How long to queue behind other sessions; default: 5s, 0 for ever."
            " [env: LFMIGRATE_LOCK_TIMEOUT]",
        ),
    ],
    "statement_timeout": Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="How long one statement may run, such as 10min; default: no limit."
            " [env: LFMIGRATE_STATEMENT_TIMEOUT]",
        ),
    ],
    # Text, so that `config` reports it together with whatever else is wrong.
    "wait": Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS",
            help="How long to try to connect while the server wakes up; default: 15."
            " [env: LFMIGRATE_WAIT]",
        ),
    ],
    "json": Annotated[bool, typer.Option("--json", help="Print one JSON document.")],
    "quiet": Annotated[bool, typer.Option("-q", "--quiet", help="Print only what is wrong.")],
    "verbose": Annotated[
        bool, typer.Option("-v", "--verbose", help="Print every statement with its time.")
    ],
}

EVERYWHERE = ("json", "quiet", "verbose")


def takes(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command common options; it gets them as one `Flags`, its parameter ``flags``."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        own = [p for name, p in signature.parameters.items() if name != "flags"]
        defaults = {f.name: f.default for f in fields(Flags)}
        common = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=defaults[name],
                annotation=_OPTIONS[name],
            )
            for name in names
        ]

        @functools.wraps(function)
        def command(**options: Any) -> None:  # noqa: ANN401 (each option has its own type)
            flags = Flags(**{name: options.pop(name) for name in names})
            function(flags, **options)

        # Typer reads both.
        command.__signature__ = signature.replace(parameters=[*own, *common])  # type: ignore[attr-defined]  # functions take it
        command.__annotations__ = {p.name: p.annotation for p in (*own, *common)}
        return command

    return decorate


on_a_database = takes(*_OPTIONS)

Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
