"""The commands and their options. No SQL."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import lfmigrate
from lfmigrate import settings
from lfmigrate.cli import options
from lfmigrate.cli.call import ask, calling, confirmed, dotenv_variables, previewed, run
from lfmigrate.cli.options import EVERYWHERE, Replace, Yes, on_a_database, takes
from lfmigrate.cli.serve import serve
from lfmigrate.errors import DifferenceFound, UsageError, join
from lfmigrate.settings import Flags, Scope

if TYPE_CHECKING:
    from lfmigrate.postgres.connection import Connection

app = typer.Typer(
    name="lfmigrate",
    help="Run raw SQL migrations on PostgreSQL in a single transaction and report what actually"
    " changed.",
    # Typer's own frames would read "[env: DATABASE_URL]" as markup and drop it; plain help also
    # needs no rich, fits a narrow terminal and can be copied.
    rich_markup_mode=None,
    # A traceback is a bug; `main` prints it, without passwords.
    pretty_exceptions_enable=False,
)


@app.command(
    short_help="Run all pending migrations and changed views.",
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
        bool, typer.Option("--dry-run", help="Run everything, show the result, then roll back.")
    ] = False,
    strict: options.Strict = False,
    per_migration: options.PerMigration = False,
    allow_out_of_order: options.AllowOutOfOrder = False,
    accept_data_loss: options.AcceptDataLoss = False,
    backup: options.Backup = False,
    backup_dir: options.BackupDir = None,
) -> None:
    """Run all pending migrations and changed views in a single transaction.

    A file with "-- lfmigrate: no-transaction" in its header runs statement by statement.
    """
    with calling("up", flags) as call:
        from lfmigrate.rows.archive import DEFAULT_PARENT  # noqa: PLC0415 (imports the driver)

        with call.screen.progress() as working:
            report = run(
                call,
                lambda conn, folder, scope: lfmigrate.up(
                    conn,
                    folder,
                    scope=scope,
                    to=to,
                    dry_run=dry_run,
                    strict=strict,
                    per_migration=per_migration,
                    allow_out_of_order=allow_out_of_order,
                    accept_data_loss=accept_data_loss,
                    backup_dir=backup_dir or (DEFAULT_PARENT if backup else None),
                    progress=working.statement,
                    watch=working.rows,
                    on_wait=call.screen.say,
                ),
            )
        call.show(report)


@app.command(
    short_help="Compare the live schema with the migrations.",
    epilog="Example: lfmigrate verify --json",
)
@on_a_database
def verify(
    flags: Flags,
    *,
    replay: options.Replay = False,
    allow_pending: options.AllowPending = False,
    grants: options.Grants = False,
) -> None:
    """Compare the live schema with the migrations, down to each column. Changes nothing.

    Exits 3 on any difference, including files that are pending, edited or missing.
    """
    with calling("verify", flags) as call:
        report = run(
            call,
            lambda conn, folder, scope: lfmigrate.verify(
                conn,
                folder,
                scope=scope,
                replay_files=replay,
                allow_pending=allow_pending,
                grants=grants,
                on_wait=call.screen.say,
            ),
        )
        call.show(report)
        if report.problems:
            raise join(report.problems)


@app.command(
    short_help="List applied and pending migrations.",
    epilog="Example: lfmigrate status --exit-code",
)
@on_a_database
def status(
    flags: Flags,
    *,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit 3 if a file is pending, edited or missing.")
    ] = False,
) -> None:
    """List applied and pending migrations, with when and by whom they were applied."""
    with calling("status", flags) as call:
        report = run(call, lambda conn, folder, scope: lfmigrate.status(conn, folder, scope=scope))
        call.show(report)
        if exit_code and report.problems:
            raise join(report.problems)


@app.command(
    short_help="Record a reviewed edit of an applied migration.",
    epilog="Example: lfmigrate accept 002 --dry-run",
)
@on_a_database
def accept(
    flags: Flags,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Version of the migration.")],
    *,
    yes: Yes = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show and compare the edit, then stop.")
    ] = False,
) -> None:
    """Record the present text, name and down script of an applied migration.

    Nothing is run. The live schema has to be what the present text creates.
    """
    with calling("accept", flags) as call:

        def work(
            conn: Connection, folder: lfmigrate.Folder, scope: Scope
        ) -> lfmigrate.AcceptReport:
            record = partial(
                lfmigrate.accept, conn, folder, version, scope=scope, on_wait=call.screen.say
            )
            if dry_run or yes:
                return record(dry_run=dry_run)
            return confirmed(call, working, record, needless=lambda r: r.status == "unchanged")

        with call.screen.progress() as working:
            report = run(call, work)
        call.show(report)


@app.command(
    short_help="Roll back the newest migration, after a backup.",
    epilog="Example: lfmigrate rollback --dry-run",
)
@on_a_database
def rollback(
    flags: Flags,
    *,
    yes: Yes = False,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="Roll back every migration newer than VERSION; 0 rolls back all.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be lost, then stop.")
    ] = False,
    cascade: options.Cascade = False,
    recorded: options.Recorded = False,
    backup_dir: options.BackupDir = None,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Make no backup.")] = False,
) -> None:
    """Roll back the newest migration: show what is lost, ask, back it up, and drop it."""
    with calling("rollback", flags) as call:
        from lfmigrate.rows.archive import DEFAULT_PARENT  # noqa: PLC0415 (imports the driver)

        if no_backup and backup_dir is not None:
            raise UsageError("--no-backup and --backup-dir exclude each other")

        def work(
            conn: Connection, folder: lfmigrate.Folder, scope: Scope
        ) -> lfmigrate.RollbackReport:
            def roll_back(
                *, dry_run: bool, shown: lfmigrate.RollbackReport | None = None
            ) -> lfmigrate.RollbackReport:
                return lfmigrate.rollback(
                    conn,
                    folder,
                    scope=scope,
                    to=to,
                    dry_run=dry_run,
                    cascade=cascade,
                    recorded=recorded,
                    backup_dir=None if no_backup else backup_dir or DEFAULT_PARENT,
                    progress=working.statement,
                    shown=shown,
                    watch=working.rows,
                    on_wait=call.screen.say,
                )

            if yes or dry_run:
                return roll_back(dry_run=dry_run)
            preview = previewed(roll_back)
            if not preview.migrations:
                return preview
            ask(call, working, preview)
            return roll_back(dry_run=False, shown=preview)

        with call.screen.progress() as working:
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
            help="Directory of the CSV files (default: seed/ in the SQL directory).",
        ),
    ] = None,
    replace: Replace = False,
    backup_dir: options.BackupDir = None,
    yes: Yes = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Load everything, show the result, then roll back.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Load nothing; exit 3 unless all seed/checks/*.sql pass."),
    ] = False,
) -> None:
    """Load initial data from CSV files in a single transaction; existing rows are kept."""
    with calling("seed", flags) as call:
        if check:
            if source is not None or replace or dry_run:
                raise UsageError(
                    "--check loads nothing and excludes --from, --replace and --dry-run"
                )
            checked = run(
                call, lambda conn, folder, scope: lfmigrate.check_seed(conn, folder, scope=scope)
            )
            call.show(checked)
            if not checked.ok:
                failed = sum(1 for each in checked.checks if each.count)
                raise DifferenceFound(
                    f"{failed} of {len(checked.checks)} checks failed",
                    hint="The rows that violate them are listed above; each check's file explains"
                    " its rule.",
                )
            return

        def work(conn: Connection, folder: lfmigrate.Folder, scope: Scope) -> lfmigrate.SeedReport:
            from lfmigrate.commands.seed import preview_replace  # noqa: PLC0415 (as above)

            preview = None
            if replace and not (yes or dry_run):
                preview = preview_replace(conn, folder, scope=scope, on_wait=call.screen.say)
                ask(call, working, preview)
            return lfmigrate.seed(
                conn,
                folder,
                scope=scope,
                source=source,
                replace=replace,
                dry_run=dry_run,
                backup_dir=backup_dir,
                progress=working.statement,
                shown=preview,
                watch=working.rows,
                on_wait=call.screen.say,
            )

        with call.screen.progress() as working:
            report = run(call, work)
        call.show(report)


@app.command(
    short_help="Back up the rows of the migrations' tables.",
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
            help="Directory to create (default: lfmigrate-backups/<database>-<UTC time>).",
        ),
    ] = None,
) -> None:
    """Back up every row of the migrations' tables, as CSV files with a manifest. Only reads."""
    with calling("backup", flags) as call:
        with call.screen.progress() as working:
            report = run(
                call,
                lambda conn, folder, scope: lfmigrate.backup(
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
    short_help="Restore the rows of a backup.",
    epilog="Example: lfmigrate restore lfmigrate-backups/app-2026-11-24T081500Z",
)
@on_a_database
def restore(
    flags: Flags,
    path: Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the backup.")],
    *,
    replace: Replace = False,
    backup_dir: options.BackupDir = None,
    into: options.Into = None,
    yes: Yes = False,
) -> None:
    """Restore the rows of a backup, all or nothing, into empty tables."""
    with calling("restore", flags) as call:

        def work(
            conn: Connection, folder: lfmigrate.Folder, scope: Scope
        ) -> lfmigrate.RestoreReport:
            from lfmigrate.commands.restore import preview_replace  # noqa: PLC0415 (as above)

            preview = None
            if replace and not yes and into is None:
                preview = preview_replace(conn, folder, path, scope=scope, on_wait=call.screen.say)
                ask(call, working, preview)
            return lfmigrate.restore(
                conn,
                folder,
                path,
                scope=scope,
                replace=replace,
                into=into,
                backup_dir=backup_dir,
                shown=preview,
                watch=working.rows,
                on_wait=call.screen.say,
            )

        with call.screen.progress() as working:
            report = run(call, work)
        call.show(report)


@app.command(
    short_help="Test the migrations on a disposable database.",
    epilog="Example: lfmigrate check --sql-dir migrations",
)
@takes(
    "database_url",
    "sql_dir",
    "format",
    "define",
    "wait",
    *EVERYWHERE,
    database_url="Server on which to create the database (default: the private one).",
)
def check(flags: Flags) -> None:
    """Test the migrations on a disposable database: apply, roll back, reapply.

    DATABASE_URL in the environment is ignored: the private server is used unless --database-url
    is given.
    """
    if flags.database_url is None:
        # The DATABASE_URL of the environment is not a server to create databases on.
        flags = replace(flags, embedded=True)
    with calling("check", flags) as call:
        report = run(
            call, lambda conn, folder, _: lfmigrate.check(conn, folder, progress=call.screen.say)
        )
        call.show(report)
        if not report.ok:
            broken = next(proof.name for proof in report.proofs if proof.status == "broken")
            raise DifferenceFound(
                f'check failed at "{broken}"',
                hint="The problems that it found are listed above.",
            )


@app.command(
    short_help="Create the next pair of migration files.",
    epilog='Example: lfmigrate new "add risk scores" --sql-dir migrations',
)
@takes(
    "sql_dir",
    "format",
    "define",
    *EVERYWHERE,
    sql_dir="Directory in which to create the files. [env: LFMIGRATE_SQL_DIR]",
)
def new(
    flags: Flags,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the migration is about.")],
) -> None:
    """Create the files of the next migration, with headers to fill in."""
    with calling("new", flags) as call:
        folder = settings.sql_dir(flags, os.environ, dotenv_variables())
        if folder is None:
            raise UsageError(
                "no directory is configured in which to create the migration",
                hint="Name it with --sql-dir, or set LFMIGRATE_SQL_DIR.",
            )
        wanted = flags.format or os.environ.get("LFMIGRATE_FORMAT") or None
        variables = settings.defined(flags)
        call.show(lfmigrate.new(folder, name, format=wanted, variables=variables))


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


app.command(
    short_help="Show the tables of migration 002 in a browser.",
    epilog="Example: lfmigrate serve --embedded --open",
)(serve)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 (how Typer calls it)
    if wanted:
        typer.echo(f"lfmigrate {lfmigrate.__version__}")
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
