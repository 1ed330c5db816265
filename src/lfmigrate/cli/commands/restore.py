"""The command `restore`: its options, and the call of its function."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import lfmigrate
from lfmigrate.cli import completion, options
from lfmigrate.cli.call import ask, calling, run
from lfmigrate.cli.options import Replace, Yes, on_a_database
from lfmigrate.settings import Flags, Scope

if TYPE_CHECKING:
    from lfmigrate.postgres.connection import Connection


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

        def work(
            conn: Connection, folder: lfmigrate.Folder, scope: Scope
        ) -> lfmigrate.RestoreReport:
            from lfmigrate.commands.restore import preview_replace  # noqa: PLC0415 (imports the driver)

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
