"""The command `new`: its options, and the call of its function."""

from __future__ import annotations

from typing import Annotated

import typer

import lfmigrate
from lfmigrate.cli.call import calling
from lfmigrate.cli.options import EVERYWHERE, takes
from lfmigrate.settings import Flags


@takes(
    "env",
    "env_file",
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
        from lfmigrate.cli.which import for_new  # noqa: PLC0415 (--help needs none)

        chosen = for_new(flags)
        call.use_folder(chosen.path, chosen.origin)
        call.show(
            lfmigrate.new(chosen.path, name, format=chosen.format, variables=chosen.variables)
        )
