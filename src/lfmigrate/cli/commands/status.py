"""The command `status`: its options, and the call of its function."""

from __future__ import annotations

from typing import Annotated

import typer

import lfmigrate
from lfmigrate.cli.call import calling, run
from lfmigrate.cli.options import on_a_database
from lfmigrate.errors import join
from lfmigrate.settings import Flags


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
        report = run(
            call, lambda target: lfmigrate.status(target.conn, target.folder, scope=target.scope)
        )
        call.show(report)
        if exit_code and report.problems:
            raise join(report.problems)
