"""The command `accept`: its options, and the call of its function."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

import lfmigrate
from lfmigrate.cli import options
from lfmigrate.cli.call import calling, confirmed, run
from lfmigrate.cli.options import Yes, on_a_database
from lfmigrate.settings import Flags, Scope

if TYPE_CHECKING:
    from lfmigrate.postgres.connection import Connection


@on_a_database
def accept(
    flags: Flags,
    version: options.Version,
    *,
    yes: Yes = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show and compare the edit, then stop.")
    ] = False,
) -> None:
    """Record the present text, name and down script of an applied migration.

    Nothing is run. The live schema has to be what the present text creates.
    """
    with calling("accept", flags) as call:

        def work(
            conn: Connection, folder: lfmigrate.Folder, scope: Scope
        ) -> lfmigrate.AcceptReport:
            record = partial(
                lfmigrate.accept, conn, folder, version, scope=scope, on_wait=call.screen.say
            )
            if dry_run or yes:
                return record(dry_run=dry_run)
            return confirmed(call, working, record, needless=lambda r: r.status == "unchanged")

        with call.screen.progress() as working:
            report = run(call, work)
        call.show(report)
