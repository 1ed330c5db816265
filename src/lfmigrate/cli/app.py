"""The command line's root: which commands there are, in the order of the help."""

from __future__ import annotations

from typing import Annotated

import typer

from lfmigrate._version import __version__
from lfmigrate.cli import completion
from lfmigrate.cli.parsing import APPEARANCE, Entry, Group
from lfmigrate.errors import UsageError

# In the order of the help. The command is a function of that name in `cli.commands`, in a module of
# that name, which is imported when the command is used.
_ENTRIES = (
    Entry(
        "up",
        "Run all pending migrations and changed views.",
        "up --dry-run --database-url postgresql://me@host/name",
    ),
    Entry("verify", "Compare the live schema with the migrations.", "verify --json"),
    Entry("status", "List applied and pending migrations.", "status --exit-code"),
    Entry("wait", "Wait until the database is up to date.", "wait --timeout 30s"),
    Entry("sql", "Print what up would run, as a script for psql.", "sql --to 003 > release.sql"),
    Entry("accept", "Record a reviewed edit of an applied migration.", "accept 002 --dry-run"),
    Entry("adopt", "Record what another tool has applied.", "adopt --dry-run"),
    Entry(
        "export",
        "Write the table of another migration tool.",
        "export --to golang-migrate --dry-run",
    ),
    Entry("rollback", "Roll back the newest migration, after a backup.", "rollback --dry-run"),
    Entry("seed", "Load initial data from CSV files.", "seed --from our-data --dry-run"),
    Entry(
        "backup",
        "Back up the rows of the migrations' tables.",
        "backup --out /srv/backups/before-the-import",
    ),
    Entry(
        "restore",
        "Restore the rows of a backup.",
        "restore lfmigrate-backups/app-2026-11-24T081500Z",
    ),
    Entry("check", "Test the migrations on a disposable database.", "check --sql-dir migrations"),
    Entry(
        "new",
        "Create the next pair of migration files.",
        'new "add risk scores" --sql-dir migrations',
    ),
    Entry("embedded", "Run the private PostgreSQL until Ctrl-C.", "embedded"),
    Entry("serve", "Show the tables of migration 002 in a browser.", "serve --embedded --open"),
)


COMMANDS = {entry.name: entry for entry in _ENTRIES}


class _Commands(Group):
    entries = COMMANDS


app = typer.Typer(
    name="lfmigrate",
    cls=_Commands,
    help="Run raw SQL migrations on PostgreSQL in a single transaction and report what actually"
    " changed.",
    **APPEARANCE,
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 (how Typer calls it)
    if wanted:
        typer.echo(f"lfmigrate {__version__}")
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
