"""The command `wait`: its options, and the call of its function."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

import lfmigrate
from lfmigrate.cli.call import calling, find_database, opened, read_files, read_settings
from lfmigrate.cli.options import EVERYWHERE, takes
from lfmigrate.errors import UsageError
from lfmigrate.settings import Flags, duration_ms

if TYPE_CHECKING:
    from lfmigrate.postgres.connection import Connection


@takes(
    "database_url",
    "password_command",
    "env",
    "env_file",
    "embedded",
    "schema",
    "history_schema",
    "sql_dir",
    "format",
    "define",
    *EVERYWHERE,
)
def wait(
    flags: Flags,
    *,
    timeout: Annotated[
        str,
        typer.Option(metavar="DURATION", help="How long to wait, such as 30s (0 waits forever)."),
    ] = "5min",
) -> None:
    """Wait until the database is up to date, for pods and start scripts. Only reads.

    Exits 3 at the timeout, with what is missing. A server that does not answer yet and a database
    that does not exist yet are waited for; a wrong password is not.
    """
    with calling("wait", flags) as call:
        try:
            timeout_s = duration_ms(timeout) / 1000 or None
        except ValueError as error:
            raise UsageError(f"--timeout: {error}") from None
        settings = read_settings(call)
        folder = read_files(call, settings)
        found = replace(settings, database_url=find_database(call, settings), wait_s=0)

        @contextmanager
        def connect(limit_s: float | None) -> Iterator[Connection]:
            with opened(call, found, limit_s=limit_s) as (conn, _):
                yield conn

        call.show(
            lfmigrate.wait(
                connect,
                folder,
                scope=settings.scope,
                timeout_s=timeout_s,
                on_wait=call.say,
            )
        )
