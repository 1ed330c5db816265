"""The command `check`: its options, and the call of its function."""

from __future__ import annotations

from dataclasses import replace

import lfmigrate
from lfmigrate.cli.call import calling, run
from lfmigrate.cli.options import EVERYWHERE, takes
from lfmigrate.errors import DifferenceFound
from lfmigrate.settings import Flags


@takes(
    "database_url",
    "password_command",
    "env",
    "env_file",
    "sql_dir",
    "format",
    "define",
    "wait",
    *EVERYWHERE,
    database_url="Server on which to create the database (default: the private one).",
)
def check(flags: Flags) -> None:
    """Test the migrations on a disposable database: apply, roll back, reapply.

    DATABASE_URL in the environment is ignored: the private server is used unless --database-url
    is given.
    """
    if flags.database_url is None:
        # The DATABASE_URL of the environment is not a server to create databases on.
        flags = replace(flags, embedded=True)
    with calling("check", flags) as call:
        report = run(
            call, lambda target: lfmigrate.check(target.conn, target.folder, progress=call.say)
        )
        call.show(report)
        if not report.ok:
            broken = next(proof.name for proof in report.proofs if proof.status == "broken")
            raise DifferenceFound(
                f'check failed at "{broken}"',
                hint="The problems that it found are listed above.",
            )
