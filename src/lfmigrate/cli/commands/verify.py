"""The command `verify`: its options, and the call of its function."""

from __future__ import annotations

import lfmigrate
from lfmigrate.cli import options
from lfmigrate.cli.call import calling, run
from lfmigrate.cli.options import on_a_database
from lfmigrate.errors import join
from lfmigrate.settings import Flags


@on_a_database
def verify(
    flags: Flags,
    *,
    replay: options.Replay = False,
    allow_pending: options.AllowPending = False,
    grants: options.Grants = False,
) -> None:
    """Compare the live schema with the migrations, down to each column. Changes nothing.

    Exits 3 on any difference, including files that are pending, edited or missing.
    """
    with calling("verify", flags) as call:
        report = run(
            call,
            lambda target: lfmigrate.verify(
                target.conn,
                target.folder,
                scope=target.scope,
                replay_files=replay,
                allow_pending=allow_pending,
                grants=grants,
                on_wait=call.say,
            ),
        )
        call.show(report)
        if report.problems:
            raise join(report.problems)
