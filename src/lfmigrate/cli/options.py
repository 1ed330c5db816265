"""Options that several commands share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from lfmigrate.cli import completion
from lfmigrate.redaction import has_password
from lfmigrate.settings import Flags, utf8

# The blocks of a command's help; see `parsing.Command`.
_CONNECTION = "Connection"
_FILES = "SQL files"
_OUTPUT = "Output"

_OPTIONS: dict[str, Any] = {
    "database_url": Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Connection URL (postgresql://...) or libpq connection string."
            " [env: DATABASE_URL, or .env]",
            rich_help_panel=_CONNECTION,
        ),
    ],
    "password_command": Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="Program that prints the password, such as a token; run without a shell."
            " [env: LFMIGRATE_PASSWORD_COMMAND]",
            rich_help_panel=_CONNECTION,
        ),
    ],
    "env": Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Environment of the configuration file, such as test. [env: LFMIGRATE_ENV]",
            rich_help_panel=_CONNECTION,
        ),
    ],
    "env_file": Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File to read instead of a .env here or above.",
            rich_help_panel=_CONNECTION,
        ),
    ],
    "embedded": Annotated[
        bool | None,
        typer.Option(
            "--embedded",
            help="Use a private PostgreSQL server in .lfmigrate/. [env: LFMIGRATE_EMBEDDED=1]",
            show_default=False,
            rich_help_panel=_CONNECTION,
        ),
    ],
    "sql_dir": Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Directory of the SQL files (default: one found here, or the bundled ones)."
            " [env: LFMIGRATE_SQL_DIR]",
            rich_help_panel=_FILES,
        ),
    ],
    "format": Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Format of the SQL directory, such as goose (default: detected)."
            " [env: LFMIGRATE_FORMAT]",
            rich_help_panel=_FILES,
            autocompletion=completion.formats,
        ),
    ],
    "define": Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Value of a placeholder in the SQL files; may be repeated.",
            rich_help_panel=_FILES,
        ),
    ],
    "schema": Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Schema for unqualified names (default: the connection's search_path)."
            " [env: LFMIGRATE_SCHEMA]",
            rich_help_panel=_CONNECTION,
        ),
    ],
    "history_schema": Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Schema for the history table (default: lfmigrate)."
            " [env: LFMIGRATE_HISTORY_SCHEMA]",
            rich_help_panel=_CONNECTION,
        ),
    ],
    "lock_timeout": Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="How long to wait for locks (default 5s; 0 waits forever)."
            " [env: LFMIGRATE_LOCK_TIMEOUT]",
            rich_help_panel=_CONNECTION,
        ),
    ],
    "statement_timeout": Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="How long each statement may run, such as 10min (default: no limit)."
            " [env: LFMIGRATE_STATEMENT_TIMEOUT]",
            rich_help_panel=_CONNECTION,
        ),
    ],
    # Text, so that `settings` reports it together with whatever else is wrong.
    "wait": Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS",
            help="How long to retry the connection while the server starts (default 15)."
            " [env: LFMIGRATE_WAIT]",
            rich_help_panel=_CONNECTION,
        ),
    ],
    "shadow_url": Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Database that may be emptied, to replay files in (default: one that is created"
            " and dropped). [env: LFMIGRATE_SHADOW_URL]",
            rich_help_panel=_FILES,
        ),
    ],
    "shadow_setup": Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="SQL to run before a replay: what the files need and do not create."
            " [env: LFMIGRATE_SHADOW_SETUP]",
            rich_help_panel=_FILES,
        ),
    ],
    "json": Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON document.",
            rich_help_panel=_OUTPUT,
        ),
    ],
    "quiet": Annotated[
        bool,
        typer.Option(
            "-q",
            "--quiet",
            help="Print only problems.",
            rich_help_panel=_OUTPUT,
        ),
    ],
    "verbose": Annotated[
        bool,
        typer.Option(
            "-v",
            "--verbose",
            help="Print every statement with its time, and unchanged objects.",
            rich_help_panel=_OUTPUT,
        ),
    ],
    "summary": Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Append the report to this file, in Markdown (default: the summary of the job in"
            " GitHub Actions).",
            rich_help_panel=_OUTPUT,
        ),
    ],
}

EVERYWHERE = ("json", "quiet", "verbose", "summary")


def takes(*names: str, **help_texts: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add common options to a command, which gets them as one `Flags`, its parameter ``flags``.

    Args:
        names: The options.
        help_texts: What to say of one of them, where it is not what it is elsewhere.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        own = [p for name, p in signature.parameters.items() if name != "flags"]
        defaults = {f.name: f.default for f in fields(Flags)}
        common = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=defaults[name],
                annotation=_with_help(name, help_texts.get(name)),
            )
            for name in names
        ]

        @functools.wraps(function)
        def command(**options: Any) -> None:  # noqa: ANN401 (each option has its own type)
            flags = Flags(**{name: options.pop(name) for name in names})
            for name, value in options.items():
                _check_value(name, value)
            try:
                function(flags, **options)
            except KeyboardInterrupt:
                # Before the command began: Typer would exit without a word, and without JSON.
                raise typer.Abort from None

        # Typer reads both of these.
        command.__signature__ = signature.replace(parameters=[*own, *common])  # type: ignore[attr-defined]  # mypy knows no attributes of functions
        command.__annotations__ = {p.name: p.annotation for p in (*own, *common)}
        return command

    return decorate


def _with_help(name: str, text: str | None) -> Any:  # noqa: ANN401 (a type as Typer reads it)
    annotated = _OPTIONS[name]
    if text is None:
        return annotated
    option = copy(annotated.__metadata__[0])
    option.help = text
    return Annotated[annotated.__origin__, option]


def _check_value(name: str, value: object) -> None:
    """Refuse an option that is not UTF-8, or is a database URL and would become a file's name.

    The options of `Flags` are checked with the settings.
    """
    if isinstance(value, list):
        for each in value:
            _check_value(name, each)
    if isinstance(value, str):
        try:
            utf8(value)
        except ValueError as error:
            raise typer.BadParameter(f"{name.replace('_', '-')} is {error}") from None
    if isinstance(value, str | Path) and has_password(str(value)):
        raise typer.BadParameter(f"{name.replace('_', '-')} contains a password")


on_a_database = takes(*_OPTIONS)

Replay = Annotated[
    bool, typer.Option("--replay", help="Compare with a replay of the files, not with the history.")
]
AllowPending = Annotated[
    bool, typer.Option("--allow-pending", help="Exit 0 even if files have not run yet.")
]
Grants = Annotated[bool, typer.Option("--grants", help="Compare owners and privileges, too.")]

Version = Annotated[
    str,
    typer.Argument(
        metavar="VERSION", help="Version of the migration.", autocompletion=completion.versions
    ),
]

Yes = Annotated[bool, typer.Option("--yes", help="Skip the confirmation prompt.")]

Replace = Annotated[
    bool, typer.Option("--replace", help="Truncate the tables first, after a backup of their rows.")
]

Strict = Annotated[
    bool, typer.Option("--strict", help="Roll back and exit 3 on drift or an edited file.")
]

PerMigration = Annotated[
    bool, typer.Option("--per-migration", help="Commit after each file instead of once.")
]

AllowOutOfOrder = Annotated[
    bool,
    typer.Option(
        "--allow-out-of-order",
        help="Also run pending migrations older than the newest applied one.",
    ),
]

AcceptDataLoss = Annotated[
    bool, typer.Option("--accept-data-loss", help="Run even if existing rows are lost.")
]

Backup = Annotated[
    bool, typer.Option("--backup", help="Save the tables of which rows would be lost, then run.")
]

BackupDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Parent directory for the backup (default: lfmigrate-backups)."
    ),
]

Cascade = Annotated[
    bool,
    typer.Option(
        "--cascade", help="Also drop dependent objects; the backup keeps their definitions."
    ),
]

Recorded = Annotated[
    bool, typer.Option("--recorded", help="Run the down script recorded at apply time.")
]

Into = Annotated[
    str | None,
    typer.Option(
        metavar="SCHEMA", help="Load the backup into new tables in this schema, to look at it."
    ),
]
