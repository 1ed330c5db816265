"""The command `new`: its options, and the call of its function."""

from __future__ import annotations

import os
from typing import Annotated

import typer

import lfmigrate
from lfmigrate import settings
from lfmigrate.cli.call import calling, dotenv_variables
from lfmigrate.cli.options import EVERYWHERE, takes
from lfmigrate.errors import UsageError
from lfmigrate.settings import Flags


@takes(
    "sql_dir",
    "format",
    "define",
    *EVERYWHERE,
    sql_dir="Directory in which to create the files. [env: LFMIGRATE_SQL_DIR]",
)
def new(
    flags: Flags,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the migration is about.")],
) -> None:
    """Create the files of the next migration, with headers to fill in."""
    with calling("new", flags) as call:
        folder = settings.sql_dir(flags, os.environ, dotenv_variables())
        if folder is None:
            raise UsageError(
                "no directory is configured in which to create the migration",
                hint="Name it with --sql-dir, or set LFMIGRATE_SQL_DIR.",
            )
        wanted = flags.format or os.environ.get("LFMIGRATE_FORMAT") or None
        variables = settings.defined(flags)
        call.show(lfmigrate.new(folder, name, format=wanted, variables=variables))
