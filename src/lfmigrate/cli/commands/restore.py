"""The command `restore`: its options, and the call of its function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import lfmigrate
from lfmigrate.cli import completion, options
from lfmigrate.cli.call import Target, calling, run
from lfmigrate.cli.options import Replace, Yes, on_a_database
from lfmigrate.cli.questions import ask
from lfmigrate.settings import Flags


@on_a_database
def restore(
    flags: Flags,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Directory of the backup.", autocompletion=completion.backups
        ),
    ],
    *,
    replace: Replace = False,
    backup_dir: options.BackupDir = None,
    into: options.Into = None,
    yes: Yes = False,
) -> None:
    """Restore the rows of a backup, all or nothing, into empty tables."""
    with calling("restore", flags) as call:

        def work(target: Target) -> lfmigrate.RestoreReport:
            from lfmigrate.commands.restore import preview_replace  # noqa: PLC0415 (imports the driver)

            preview = None
            if replace and not yes and into is None:
                preview = preview_replace(
                    target.conn, target.folder, path, scope=target.scope, on_wait=call.say
                )
                ask(call, target.working, preview)
            return lfmigrate.restore(
                target.conn,
                target.folder,
                path,
                scope=target.scope,
                replace=replace,
                into=into,
                backup_dir=backup_dir,
                shown=preview,
                watch=target.working.rows,
                on_wait=call.say,
            )

        report = run(call, work)
        call.show(report)
