"""The command `up`: its options, and the call of its function."""

from __future__ import annotations

from typing import Annotated

import typer

import lfmigrate
from lfmigrate.cli import completion, options
from lfmigrate.cli.call import Target, calling, run
from lfmigrate.cli.options import on_a_database
from lfmigrate.settings import Flags


@on_a_database
def up(
    flags: Flags,
    *,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="The last version to run.",
            autocompletion=completion.versions,
        ),
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

        def work(target: Target) -> lfmigrate.UpReport:
            from lfmigrate.rows.archive import DEFAULT_PARENT  # noqa: PLC0415 (imports the driver)

            return lfmigrate.up(
                target.conn,
                target.folder,
                scope=target.scope,
                to=to,
                dry_run=dry_run,
                strict=strict,
                per_migration=per_migration,
                allow_out_of_order=allow_out_of_order,
                accept_data_loss=accept_data_loss,
                backup_dir=backup_dir or (DEFAULT_PARENT if backup else None),
                progress=target.working.statement,
                watch=target.working.rows,
                on_wait=call.say,
            )

        report = run(call, work)
        call.show(report)
