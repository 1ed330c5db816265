"""The private PostgreSQL of a project's tests."""

from __future__ import annotations

import getpass
import os
import shutil
import tempfile
from pathlib import Path
from zlib import crc32

from lfmigrate.errors import UsageError
from lfmigrate.postgres import embedded
from lfmigrate.postgres.connection import connect
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.postgres.programs import major_version

# On a busy machine, many workers wait for the first start.
_START_S = 240

# A container may have 64 MB in memory; a run of tests needs some hundreds.
_ROOM_BYTES = 2**31


def private_server(project: Path) -> str:
    """Start the private server of a project's tests, and return its URL.

    All processes of the project share it, and the last one stops it. It writes nothing durably, so
    it is not the one that ``--embedded`` uses.

    Args:
        project: The project's folder, after which the server's folder is named.

    Raises:
        UsageError: The extra `embedded` is not installed.
        ConnectionFailed: It did not start.
    """
    name = f"{getpass.getuser()}-{crc32(os.fsencode(project.resolve())):08x}"
    try:
        url = embedded.start(
            _quick_folder() / f"lfmigrate-pg{major_version()}-{name}", wait_s=_START_S
        )
    except UsageError as error:
        error.hint = f"{error.hint or ''} Or name a server in LFMIGRATE_TEST_URL.".lstrip()
        raise
    with connect(url) as conn:
        flight = Flight(conn)
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            # Each on its own: ALTER SYSTEM cannot run in a transaction.
            flight.do(f"ALTER SYSTEM SET {setting} = off")
            flight.sync()
        flight.do("SELECT pg_reload_conf()")
        flight.go()
    return url


def _quick_folder() -> Path:
    """Return a folder in memory if there is room: copying a database is six times as fast there."""
    memory = Path("/dev/shm")  # noqa: S108 (a folder of our own is made in it)
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM_BYTES:
        return memory
    return Path(tempfile.gettempdir())
