"""The command `seed`: its options, and the call of its function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import lfmigrate
from lfmigrate.cli import options
from lfmigrate.cli.call import Target, calling, run
from lfmigrate.cli.options import Replace, Yes, on_a_database
from lfmigrate.cli.questions import ask
from lfmigrate.errors import DifferenceFound, UsageError
from lfmigrate.settings import Flags


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
        call.seed = source
        if check:
            if source is not None or replace or dry_run:
                raise UsageError(
                    "--check loads nothing and excludes --from, --replace and --dry-run"
                )
            checked = run(
                call,
                lambda target: lfmigrate.check_seed(target.conn, target.folder, scope=target.scope),
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

        def work(target: Target) -> lfmigrate.SeedReport:
            from lfmigrate.commands.seed import preview_replace  # noqa: PLC0415 (imports the driver)

            preview = None
            if replace and not (yes or dry_run):
                preview = preview_replace(
                    target.conn, target.folder, scope=target.scope, on_wait=call.say
                )
                ask(call, target.working, preview)
            return lfmigrate.seed(
                target.conn,
                target.folder,
                scope=target.scope,
                source=source,
                replace=replace,
                dry_run=dry_run,
                backup_dir=backup_dir,
                progress=target.working.statement,
                shown=preview,
                watch=target.working.rows,
                on_wait=call.say,
            )

        report = run(call, work)
        call.show(report)
