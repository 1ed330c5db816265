"""The command `embedded`: its options, and the call of its function."""

from __future__ import annotations

import time

from lfmigrate.cli.call import calling
from lfmigrate.settings import Flags


def embedded() -> None:
    """Run the private PostgreSQL in the foreground, until Ctrl-C."""
    from lfmigrate.postgres import embedded as private  # noqa: PLC0415

    with calling("embedded", Flags()) as call:
        url = private.start(say=call.screen.say)
        call.screen.print(f"DATABASE_URL={url}")
        call.screen.say("Ctrl-C stops it")
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            call.screen.say("stopping")
