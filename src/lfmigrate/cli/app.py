"""The commands and their options. No SQL."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lfmigrate import settings
from lfmigrate._version import __version__
from lfmigrate.cli.call import ask, calling, dotenv_variables, run
from lfmigrate.cli.options import EVERYWHERE, Yes, on_a_database, takes
from lfmigrate.errors import DifferenceFound, UsageError
from lfmigrate.settings import Flags, Scope

if TYPE_CHECKING:
    from lfmigrate.commands.restore import RestoreReport
    from lfmigrate.commands.rollback import RollbackReport
    from lfmigrate.commands.seed import SeedReport
    from lfmigrate.postgres.connection import Connection
    from lfmigrate.source.folder import Folder

app = typer.Typer(
    name="lfmigrate",
    help="Run raw SQL migrations on PostgreSQL, and tell the truth about it.",
    # Typer's own frames would read "[env: DATABASE_URL]" as markup and drop it; plain help also
    # needs no rich, fits a narrow terminal and can be copied.
    rich_markup_mode=None,
    # A traceback is a bug; `main` prints it, without passwords.
    pretty_exceptions_enable=False,
)


@app.command(
    short_help="Run every pending migration and changed view.",
    epilog="Example: lfmigrate up --dry-run --database-url postgresql://me@host/name",
)
@on_a_database
def up(
    flags: Flags,
    *,
    to: Annotated[
        str | None, typer.Option(metavar="VERSION", help="The last version to run.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do it all, show it, and roll back.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Roll back and exit 3 if anything has drifted.")
    ] = False,
    per_migration: Annotated[
        bool, typer.Option("--per-migration", help="Commit after each file, not once.")
    ] = False,
    allow_out_of_order: Annotated[
        bool,
        typer.Option("--allow-out-of-order", help="Run versions below an applied one, too."),
    ] = False,
) -> None:
    """Run every pending migration and changed view, in one transaction.

    A file with "-- lfmigrate: no-transaction" in its header runs statement by statement.
    """
    from lfmigrate.commands import up as verb  # noqa: PLC0415

    with calling("up", flags) as call:
        with call.screen.progress() as working:
            report = run(
                call,
                lambda conn, folder, scope: verb.up(
                    conn,
                    folder,
                    scope=scope,
                    to=to,
                    dry_run=dry_run,
                    strict=strict,
                    per_migration=per_migration,
                    allow_out_of_order=allow_out_of_order,
                    progress=working.statement,
                    on_wait=call.screen.say,
                ),
            )
        call.show(report)


@app.command(
    short_help="Compare the live schema with the files.",
    epilog="Example: lfmigrate verify --json",
)
@on_a_database
def verify(
    flags: Flags,
    *,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Run the files in a scratch schema to know what to expect."),
    ] = False,
) -> None:
    """Compare the live schema with the files, down to each column. Changes nothing."""
    from lfmigrate.commands import verify as verb  # noqa: PLC0415

    with calling("verify", flags) as call:
        report = run(
            call,
            lambda conn, folder, scope: verb.verify(
                conn, folder, scope=scope, replay_files=replay, on_wait=call.screen.say
            ),
        )
        call.show(report)
        if not report.ok:
            wrong = sum(1 for v in report.relations if v.status != "ok")
            are = "is" if wrong == 1 else "are"
            raise DifferenceFound(
                f"{wrong} of {len(report.relations)} relations {are} not as the files say",
                hint='"lfmigrate up" makes what is missing; it never alters what is there.',
            )


@app.command(
    short_help="List the migrations, applied and pending.",
    epilog="Example: lfmigrate status --exit-code",
)
@on_a_database
def status(
    flags: Flags,
    *,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 3 if anything is pending.")
    ] = False,
) -> None:
    """List the migrations: applied when, by whom; pending, edited, missing."""
    from lfmigrate.commands import status as verb  # noqa: PLC0415

    with calling("status", flags) as call:
        report = run(call, lambda conn, folder, scope: verb.status(conn, folder, scope=scope))
        call.show(report)
        if exit_code and report.pending:
            raise DifferenceFound(
                "1 migration or view is pending"
                if report.pending == 1
                else f"{report.pending} migrations or views are pending",
                hint='Run "lfmigrate up".',
            )


@app.command(
    short_help="Undo the newest migration, after a backup.",
    epilog="Example: lfmigrate rollback --dry-run",
)
@on_a_database
def rollback(
    flags: Flags,
    *,
    yes: Yes = False,
    to: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="Undo all above this version; 0 undoes all."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be lost, and stop.")
    ] = False,
    cascade: Annotated[
        bool, typer.Option("--cascade", help="Drop what depends on it, too; the backup keeps it.")
    ] = False,
    recorded: Annotated[
        bool,
        typer.Option("--recorded", help="Run the down text of when the migration was applied."),
    ] = False,
    backup_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where the backup's folder is made; default: lfmigrate-backups."
        ),
    ] = None,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Make no backup.")] = False,
) -> None:
    """Undo the newest applied migration: show what is lost, ask, save it, and drop it."""
    from lfmigrate.commands import rollback as verb  # noqa: PLC0415
    from lfmigrate.rows.archive import DEFAULT_PARENT  # noqa: PLC0415

    with calling("rollback", flags) as call:
        if no_backup and backup_dir is not None:
            raise UsageError("--no-backup and --backup-dir contradict one another")

        with call.screen.progress() as working:

            def work(conn: Connection, folder: Folder, scope: Scope) -> RollbackReport:
                def undo(*, dry_run: bool) -> RollbackReport:
                    return verb.rollback(
                        conn,
                        folder,
                        scope=scope,
                        to=to,
                        dry_run=dry_run,
                        cascade=cascade,
                        recorded=recorded,
                        backup_dir=None if no_backup else backup_dir or DEFAULT_PARENT,
                        progress=working.statement,
                        watch=working.rows,
                        on_wait=call.screen.say,
                    )

                if not (yes or dry_run):
                    preview = undo(dry_run=True)
                    if not preview.migrations:
                        return replace(preview, dry_run=False)
                    ask(call, working, preview, "Undo this?")
                return undo(dry_run=dry_run)

            report = run(call, work)
        call.show(report)


@app.command(
    short_help="Load initial data from CSV files.",
    epilog="Example: lfmigrate seed --from our-data --dry-run",
)
@on_a_database
def seed(
    flags: Flags,
    *,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR",
            help="The folder of CSV files; default: seed/ of the SQL files.",
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Empty the tables first, after a backup of them.")
    ] = False,
    yes: Yes = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Load it all, show it, and roll back.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Load nothing; exit 3 unless seed/checks/*.sql all hold."),
    ] = False,
) -> None:
    """Load initial data from CSV files, in one transaction; rows that are there are kept."""
    from lfmigrate.commands import seed as verb  # noqa: PLC0415

    with calling("seed", flags) as call:
        if check:
            if source is not None or replace or dry_run:
                raise UsageError(
                    "--check loads nothing, so it takes no --from, --replace or --dry-run",
                )
            checked = run(
                call, lambda conn, folder, scope: verb.check_seed(conn, folder, scope=scope)
            )
            call.show(checked)
            if not checked.ok:
                failed = sum(1 for each in checked.checks if each.count)
                do = "does" if failed == 1 else "do"
                raise DifferenceFound(
                    f"{failed} of {len(checked.checks)} checks {do} not hold",
                    hint="The rows that offend are listed above; each check's file says more.",
                )
            return
        with call.screen.progress() as working:

            def work(conn: Connection, folder: Folder, scope: Scope) -> SeedReport:
                if replace and not (yes or dry_run):
                    preview = verb.preview_replace(
                        conn, folder, scope=scope, on_wait=call.screen.say
                    )
                    ask(call, working, preview, "Empty these and load?")
                return verb.seed(
                    conn,
                    folder,
                    scope=scope,
                    source=source,
                    replace=replace,
                    dry_run=dry_run,
                    progress=working.statement,
                    watch=working.rows,
                    on_wait=call.screen.say,
                )

            report = run(call, work)
        call.show(report)


@app.command(
    short_help="Save the rows of the migrations' tables.",
    epilog="Example: lfmigrate backup --out /srv/backups/before-the-import",
)
@on_a_database
def backup(
    flags: Flags,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The folder to make; default: lfmigrate-backups/<database>-<time in UTC>.",
        ),
    ] = None,
) -> None:
    """Save every row of the migrations' tables, as CSV files with a manifest. Only reads."""
    from lfmigrate.commands import backup as verb  # noqa: PLC0415

    with calling("backup", flags) as call:
        with call.screen.progress() as working:
            report = run(
                call,
                lambda conn, folder, scope: verb.backup(
                    conn,
                    folder,
                    scope=scope,
                    out=out,
                    watch=working.rows,
                    on_wait=call.screen.say,
                ),
            )
        call.show(report)


@app.command(
    short_help="Bring back the rows of a backup.",
    epilog="Example: lfmigrate restore lfmigrate-backups/app-2026-11-24T081500Z",
)
@on_a_database
def restore(
    flags: Flags,
    path: Annotated[Path, typer.Argument(metavar="DIR", help="The backup's folder.")],
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Empty the tables first, after a backup of them.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Bring back the rows of a backup, all or none, into tables that are empty."""
    from lfmigrate.commands import restore as verb  # noqa: PLC0415

    with calling("restore", flags) as call:
        with call.screen.progress() as working:

            def work(conn: Connection, folder: Folder, scope: Scope) -> RestoreReport:
                if replace and not yes:
                    preview = verb.preview_replace(
                        conn, folder, path, scope=scope, on_wait=call.screen.say
                    )
                    ask(call, working, preview, "Replace the rows that are there?")
                return verb.restore(
                    conn,
                    folder,
                    path,
                    scope=scope,
                    replace=replace,
                    watch=working.rows,
                    on_wait=call.screen.say,
                )

            report = run(call, work)
        call.show(report)


@app.command(
    short_help="Prove the files on a throw-away database.",
    epilog="Example: lfmigrate check --sql-dir migrations",
)
@takes("database_url", "sql_dir", "wait", *EVERYWHERE)
def check(flags: Flags) -> None:
    """Prove on a throw-away database that the files go up, down, and up again."""
    from lfmigrate.commands import check as verb  # noqa: PLC0415

    if flags.database_url is None:
        # Not the DATABASE_URL of the environment: that is no server to make databases on.
        flags = replace(flags, embedded=True)
    with calling("check", flags) as call:
        report = run(
            call, lambda conn, folder, _: verb.check(conn, folder, progress=call.screen.say)
        )
        call.show(report)
        if not report.ok:
            raise DifferenceFound(
                "the files do not hold what they promise",
                hint="What was tried is listed above, up to what broke.",
            )


@app.command(
    short_help="Make the next numbered pair of files.",
    epilog='Example: lfmigrate new "add risk scores" --sql-dir migrations',
)
@takes("sql_dir", *EVERYWHERE)
def new(
    flags: Flags,
    name: Annotated[str, typer.Argument(help="What the migration is about.")],
) -> None:
    """Make the next numbered pair of files, with headers to fill in."""
    from lfmigrate.commands import new as verb  # noqa: PLC0415
    from lfmigrate.source.folder import shipped_folder  # noqa: PLC0415

    with calling("new", flags) as call:
        folder = settings.sql_dir(flags, os.environ, dotenv_variables())
        call.show(verb.new(folder or shipped_folder(), name))


@app.command(
    short_help="Run the private PostgreSQL until Ctrl-C.",
    epilog="Example: lfmigrate embedded",
)
def embedded() -> None:
    """Run the private PostgreSQL in the foreground, until Ctrl-C."""
    from lfmigrate.postgres import embedded as private  # noqa: PLC0415

    with calling("embedded", Flags()) as call:
        url = private.start(say=call.screen.say)
        call.screen.print(f"DATABASE_URL={url}")
        call.screen.say("Ctrl-C stops it")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            call.screen.say("stopping")


def _print_version(wanted: bool) -> None:  # noqa: FBT001 (how Typer calls it)
    if wanted:
        typer.echo(f"lfmigrate {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
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
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(UsageError.exit_code)
