"""The command `export`: its options, and the call of its function."""

from __future__ import annotations

from typing import Annotated

import typer

import lfmigrate
from lfmigrate.cli import completion
from lfmigrate.cli.call import calling, run
from lfmigrate.cli.options import on_a_database
from lfmigrate.settings import Flags


@on_a_database
def export(
    flags: Flags,
    *,
    to: Annotated[
        str,
        typer.Option(
            metavar="TOOL",
            help="The tool: golang-migrate, dbmate, sqlx, goose or flyway.",
            autocompletion=completion.targets,
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be written, then stop.")
    ] = False,
) -> None:
    """Write another migration tool's table from the history, for a switch to that tool.

    The tool then finds nothing to do. The history stays, and nothing is dropped.
    """
    with calling("export", flags) as call:
        report = run(
            call,
            lambda target: lfmigrate.export(
                target.conn,
                target.folder,
                to,
                scope=target.scope,
                dry_run=dry_run,
                on_wait=call.say,
            ),
        )
        call.show(report)
