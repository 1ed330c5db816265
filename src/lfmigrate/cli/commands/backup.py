"""The command `backup`: its options, and the call of its function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import lfmigrate
from lfmigrate.cli.call import calling, run
from lfmigrate.cli.options import on_a_database
from lfmigrate.settings import Flags


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
