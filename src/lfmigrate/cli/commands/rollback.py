"""The command `rollback`: its options, and the call of its function."""

from __future__ import annotations

from typing import Annotated

import typer

import lfmigrate
from lfmigrate.cli import completion, options
from lfmigrate.cli.call import Target, calling, run
from lfmigrate.cli.options import Yes, on_a_database
from lfmigrate.cli.questions import ask, previewed
from lfmigrate.errors import UsageError
from lfmigrate.settings import Flags


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
            autocompletion=completion.versions,
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
        if no_backup and backup_dir is not None:
            raise UsageError("--no-backup and --backup-dir exclude each other")

        def work(target: Target) -> lfmigrate.RollbackReport:
            from lfmigrate.rows.archive import DEFAULT_PARENT  # noqa: PLC0415 (imports the driver)

            def roll_back(
                *, dry_run: bool, shown: lfmigrate.RollbackReport | None = None
            ) -> lfmigrate.RollbackReport:
                return lfmigrate.rollback(
                    target.conn,
                    target.folder,
                    scope=target.scope,
                    to=to,
                    dry_run=dry_run,
                    cascade=cascade,
                    recorded=recorded,
                    backup_dir=None if no_backup else backup_dir or DEFAULT_PARENT,
                    progress=target.working.statement,
                    shown=shown,
                    watch=target.working.rows,
                    on_wait=call.say,
                )

            if yes or dry_run:
                return roll_back(dry_run=dry_run)
            preview = previewed(roll_back)
            if not preview.migrations:
                return preview
            ask(call, target.working, preview)
            return roll_back(dry_run=False, shown=preview)

        report = run(call, work)
        call.show(report)
