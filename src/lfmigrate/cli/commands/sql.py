"""The command `sql`: its options, and the call of its function."""

from __future__ import annotations

from typing import Annotated

import typer

import lfmigrate
from lfmigrate.cli import completion, options
from lfmigrate.cli.call import calling, run
from lfmigrate.cli.options import on_a_database
from lfmigrate.settings import Flags


@on_a_database
def sql(
    flags: Flags,
    *,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="The last version to print.",
            autocompletion=completion.versions,
        ),
    ] = None,
    per_migration: options.PerMigration = False,
    allow_out_of_order: options.AllowOutOfOrder = False,
) -> None:
    """Print what up would run, as a script for psql. Only reads.

    For a database on which only an administrator may run DDL. The script records nothing in the
    history; its first lines say how to do that afterwards.
    """
    with calling("sql", flags) as call:
        report = run(
            call,
            lambda target: lfmigrate.script(
                target.conn,
                target.folder,
                scope=target.scope,
                to=to,
                per_migration=per_migration,
                allow_out_of_order=allow_out_of_order,
            ),
        )
        call.show(report)
        call.screen.write(report.text)
