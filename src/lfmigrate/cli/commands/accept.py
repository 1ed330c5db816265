"""The command `accept`: its options, and the call of its function."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

import lfmigrate
from lfmigrate.cli import options
from lfmigrate.cli.call import Target, calling, run
from lfmigrate.cli.options import Yes, on_a_database
from lfmigrate.cli.questions import confirmed
from lfmigrate.settings import Flags


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

        def work(target: Target) -> lfmigrate.AcceptReport:
            record = partial(
                lfmigrate.accept,
                target.conn,
                target.folder,
                version,
                scope=target.scope,
                on_wait=call.say,
            )
            if dry_run or yes:
                return record(dry_run=dry_run)
            return confirmed(
                call, target.working, record, needless=lambda r: r.status == "unchanged"
            )

        report = run(call, work)
        call.show(report)
