"""The command `adopt`: its options, and the call of its function."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import lfmigrate
from lfmigrate.cli import completion
from lfmigrate.cli.call import Target, calling, run
from lfmigrate.cli.options import Yes, on_a_database
from lfmigrate.cli.questions import confirmed
from lfmigrate.errors import UsageError
from lfmigrate.settings import Flags, Settings

if TYPE_CHECKING:
    from lfmigrate.cli.which import Chosen
    from lfmigrate.source.baseline import Baseline


@on_a_database
def adopt(
    flags: Flags,
    *,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="Everything up to VERSION is applied, also if another tool's table says less.",
            autocompletion=completion.versions,
        ),
    ] = None,
    from_tool: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME",
            help="Tool whose table says what is applied, such as goose; none ignores them all.",
        ),
    ] = None,
    schema_only: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Dump of this database (pg_dump --schema-only) that becomes the first migration.",
        ),
    ] = None,
    accept_drift: Annotated[
        bool,
        typer.Option(
            "--accept-drift",
            help="Expect the live schema as it is where it differs.",
        ),
    ] = False,
    yes: Yes = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare, show the result, and record nothing.")
    ] = False,
) -> None:
    """Record as applied what another tool, or a person, has applied. Runs nothing.

    The files are replayed in a shadow database, and have to create what exists.
    """
    with calling("adopt", flags) as call:
        found: list[Baseline] = []

        def read(chosen: Chosen, settings: Settings) -> lfmigrate.Folder:
            from lfmigrate.source.baseline import read_baseline  # noqa: PLC0415 (rarely needed)

            if chosen.is_shipped or schema_only is None:
                raise UsageError(
                    "--schema-only writes a file, and no folder is configured for it",
                    hint="Name the folder of your migrations with --sql-dir.",
                )
            folder, baseline = read_baseline(
                chosen.path, schema_only, format=settings.format, variables=settings.variables
            )
            found[:] = [baseline]
            return folder

        def work(target: Target) -> lfmigrate.AdoptReport:
            record = partial(
                lfmigrate.adopt,
                target.conn,
                target.folder,
                scope=target.scope,
                to=to,
                from_tool=from_tool,
                baseline=found[0] if found else None,
                accept_drift=accept_drift,
                on_wait=call.say,
            )
            if dry_run or yes:
                return record(dry_run=dry_run)
            return confirmed(
                call, target.working, record, needless=lambda r: r.status == "unchanged"
            )

        if schema_only is not None and (to is not None or from_tool is not None):
            raise UsageError(
                "--schema-only goes with neither --to nor --from",
                hint="The dump says what the database has.",
            )
        report = run(call, work, read=None if schema_only is None else read)
        call.show(report)
