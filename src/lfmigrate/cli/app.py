"""The command line's root: which commands there are, in the order of the help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

import lfmigrate
from lfmigrate.cli import completion
from lfmigrate.cli.commands.accept import accept
from lfmigrate.cli.commands.adopt import adopt
from lfmigrate.cli.commands.backup import backup
from lfmigrate.cli.commands.check import check
from lfmigrate.cli.commands.embedded import embedded
from lfmigrate.cli.commands.export import export
from lfmigrate.cli.commands.new import new
from lfmigrate.cli.commands.restore import restore
from lfmigrate.cli.commands.rollback import rollback
from lfmigrate.cli.commands.seed import seed
from lfmigrate.cli.commands.serve import serve
from lfmigrate.cli.commands.sql import sql
from lfmigrate.cli.commands.status import status
from lfmigrate.cli.commands.up import up
from lfmigrate.cli.commands.verify import verify
from lfmigrate.cli.commands.wait import wait
from lfmigrate.cli.parsing import Command, Group
from lfmigrate.errors import UsageError

app = typer.Typer(
    name="lfmigrate",
    cls=Group,
    help="Run raw SQL migrations on PostgreSQL in a single transaction and report what actually"
    " changed.",
    # Typer's own frames would read "[env: DATABASE_URL]" as markup and drop it; plain help also
    # needs no rich, fits a narrow terminal and can be copied.
    rich_markup_mode=None,
    # A traceback is a bug; `main` prints it, without passwords.
    pretty_exceptions_enable=False,
    # Typer's own options for it ignore which shell is named.
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _add(command: Callable[..., None], summary: str, example: str) -> None:
    """Add a command, with its line in the list of commands and the example under its help."""
    add = app.command(cls=Command, short_help=summary, epilog=f"Example: lfmigrate {example}")
    add(command)


_add(
    up,
    "Run all pending migrations and changed views.",
    "up --dry-run --database-url postgresql://me@host/name",
)
_add(verify, "Compare the live schema with the migrations.", "verify --json")
_add(status, "List applied and pending migrations.", "status --exit-code")
_add(wait, "Wait until the database is up to date.", "wait --timeout 30s")
_add(sql, "Print what up would run, as a script for psql.", "sql --to 003 > release.sql")
_add(accept, "Record a reviewed edit of an applied migration.", "accept 002 --dry-run")
_add(adopt, "Record what another tool has applied.", "adopt --dry-run")
_add(export, "Write the table of another migration tool.", "export --to golang-migrate --dry-run")
_add(rollback, "Roll back the newest migration, after a backup.", "rollback --dry-run")
_add(seed, "Load initial data from CSV files.", "seed --from our-data --dry-run")
_add(
    backup,
    "Back up the rows of the migrations' tables.",
    "backup --out /srv/backups/before-the-import",
)
_add(
    restore,
    "Restore the rows of a backup.",
    "restore lfmigrate-backups/app-2026-11-24T081500Z",
)
_add(check, "Test the migrations on a disposable database.", "check --sql-dir migrations")
_add(
    new,
    "Create the next pair of migration files.",
    'new "add risk scores" --sql-dir migrations',
)
_add(embedded, "Run the private PostgreSQL until Ctrl-C.", "embedded")
_add(serve, "Show the tables of migration 002 in a browser.", "serve --embedded --open")


def _print_version(wanted: bool) -> None:  # noqa: FBT001 (how Typer calls it)
    if wanted:
        typer.echo(f"lfmigrate {lfmigrate.__version__}")
        raise typer.Exit


@app.callback(
    invoke_without_command=True,
    epilog='"lfmigrate COMMAND -h" shows the options of a command, which may also precede it.',
)
def _root(
    context: typer.Context,
    *,
    version: Annotated[  # noqa: ARG001 (its callback has done it)
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
    show_completion: Annotated[  # noqa: ARG001 (as above)
        str | None,
        typer.Option(
            metavar="[SHELL]",
            help="Print the script that completes commands, options and versions in bash, fish,"
            " powershell, pwsh or zsh (default: the current shell).",
            is_eager=True,
            callback=completion.show,
        ),
    ] = None,
    install_completion: Annotated[  # noqa: ARG001 (as above)
        str | None,
        typer.Option(
            metavar="[SHELL]",
            help="Install that script.",
            is_eager=True,
            callback=completion.install,
        ),
    ] = None,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(UsageError.exit_code)
