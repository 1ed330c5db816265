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
        report = run(
            call,
            lambda target: lfmigrate.backup(
                target.conn,
                target.folder,
                scope=target.scope,
                out=out,
                watch=target.working.rows,
                on_wait=call.say,
            ),
        )
        call.show(report)
