"""A private PostgreSQL in the working directory, from the extra `lfmigrate[embedded]`.

Several processes may share a server. A process that starts or stops it holds ``start.lock``; each
one that uses it shares ``users.lock``, which the operating system releases even after a kill -9.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from shlex import quote as quote_word
from typing import TYPE_CHECKING
from urllib.parse import quote

from lfmigrate.errors import ConnectionFailed, UsageError
from lfmigrate.postgres.programs import (
    SLOW_S,
    SYSTEM_FOLDER,
    Programs,
    bin_folder,
    can_reach,
    programs_for,
    system_folder,
    system_user,
)

if TYPE_CHECKING:
    from fasteners import (  # type: ignore[import-untyped]  # it has no types
        InterProcessReaderWriterLock,
    )

Say = Callable[[str], None]

FOLDER = Path(".lfmigrate")

# How long a server may take to start.
START_S = 60

_PORT = 5432

# A socket's path may have 107 bytes on Linux and 103 on macOS, with "/.s.PGSQL.5432" at its end.
_LONGEST_FOLDER_BYTES = 103 - 14

# What went wrong, a hint, and that it gives up.
_LAST_LINES = 4

# The data directories that this process uses, each with its share of users.lock.
_in_use: dict[Path, InterProcessReaderWriterLock] = {}


def start(folder: Path = FOLDER, *, say: Say | None = None, wait_s: int = START_S) -> str:
    """Start the private server if it does not run, and return its URL.

    Writes the data below ``folder``, which is created and hidden from git. The server stops with
    the last process that uses it.

    As root, the server runs as the owner of its data: for new data, the system user ``lfmigrate``,
    which is created if it is missing. If that user cannot reach ``folder``, the data is in
    /var/lib/lfmigrate, and ``folder`` has a link to it. No permissions outside of these two
    folders are changed.

    Args:
        folder: Where to keep the data; the working directory's ``.lfmigrate`` by default.
        say: Receives a line if starting takes long, and one if the data is not below ``folder``.
        wait_s: How many seconds the server may take to start.

    Returns:
        The URL of its database, for the superuser ``postgres``. There is no password; only the
        owner of the data and root can reach the server (on Windows, every user of this machine).

    Raises:
        UsageError: The extra is not installed, or the folder cannot be used.
        ConnectionFailed: The server did not start.
    """
    bin_folder()  # before anything is written
    try:
        folder.mkdir(parents=True, exist_ok=True)
        home = folder.resolve()
        with suppress(FileExistsError), (home / ".gitignore").open("x", encoding="utf-8") as ignore:
            ignore.write("*\n")
        _refuse_data_of_others(home / "pgdata")
        return _start(home, say or (lambda _: None), wait_s)
    # Where a file system has no locks, fasteners raises a RuntimeError.
    except (OSError, RuntimeError) as error:
        raise UsageError(
            f"cannot use {folder} for the private PostgreSQL:"
            f" {getattr(error, 'strerror', None) or error}",
            detail=[f"at {Path(getattr(error, 'filename', None) or folder).absolute()}"],
            hint="Run in a folder that can be written to, or name a server with --database-url.",
        ) from None


def _start(home: Path, say: Say, wait_s: int) -> str:
    """Start the server, while no other process starts or stops it."""
    from fasteners import (  # noqa: PLC0415 (from the extra)
        InterProcessLock,
        InterProcessReaderWriterLock,
    )

    locks = (home / "start.lock", home / "users.lock")
    for lock in locks:
        # In a folder of another user, it could lead root anywhere.
        if lock.is_symlink():
            raise UsageError(
                "a lock file of the private PostgreSQL is a symbolic link",
                detail=[f"{lock} leads to {lock.readlink()}"],
                hint="Delete it, if it is yours; otherwise run in a folder of your own.",
            )
    starting = InterProcessLock(locks[0])
    if not starting.acquire(timeout=SLOW_S):
        say("waiting for another process that starts or stops the private PostgreSQL")
        starting.acquire()
    try:
        pgdata = home / "pgdata"
        _create_if_missing(pgdata, say)
        programs = _programs_of(pgdata)
        if pgdata.is_symlink():
            say(f"its data is in {pgdata.resolve()}, which the server's user can reach")
        _ensure_running(pgdata, programs, say, wait_s)
        if home not in _in_use:
            users = InterProcessReaderWriterLock(locks[1])
            users.acquire_read_lock()
            _in_use[home] = users
            atexit.register(_leave, home, programs)
        if programs.user is not None:
            # So that the owner of the data can use them without being root.
            for lock in locks:
                os.chown(lock, *programs.user, follow_symlinks=False)
        return _url(pgdata)
    finally:
        starting.release()


def _leave(home: Path, programs: Programs) -> None:
    """Stop using the server, and stop it if no other process uses it."""
    from fasteners import InterProcessLock  # noqa: PLC0415 (from the extra)

    users = _in_use.pop(home)
    # At the end of a process, there is no one to report to; the next command finds what is left.
    with suppress(OSError, RuntimeError, KeyboardInterrupt):
        # A server whose data was deleted notices that, and stops by itself.
        if not (home / "users.lock").exists():
            return
        with InterProcessLock(home / "start.lock"):
            users.release_read_lock()
            if users.acquire_write_lock(blocking=False):
                programs.run("pg_ctl", "stop", "-D", ".", "-m", "fast", cwd=home / "pgdata")
                users.release_write_lock()


def _refuse_data_of_others(pgdata: Path) -> None:
    """Refuse a data directory that is missing, or that this process may not use."""
    if pgdata.is_symlink() and not pgdata.exists():
        raise UsageError(
            "the data of the private PostgreSQL is missing",
            detail=[f"{pgdata} is a link to {pgdata.readlink()}"],
            hint=f"Bring it back, or delete {pgdata} to start over with an empty database.",
        )
    if sys.platform == "win32" or not pgdata.exists():
        return
    owner = pgdata.stat().st_uid
    if os.geteuid() not in {0, owner}:
        raise UsageError(
            "the data of the private PostgreSQL belongs to another user",
            detail=[f"{pgdata} belongs to {_owner(pgdata)}"],
            hint="Run in a folder of your own, or name a server with --database-url.",
        )


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except KeyError:  # as in a container, where the host's users are not known
        return f"user {path.stat().st_uid}"


def _create_if_missing(pgdata: Path, say: Say) -> None:
    """Create the data directory, where its owner can reach it; it appears when it is complete."""
    if (pgdata / "PG_VERSION").exists():
        return
    with suppress(FileNotFoundError):
        pgdata.rmdir()  # an empty one, from a start that was interrupted
    home = pgdata.parent
    user = system_user()
    if user is None or can_reach(user, home):
        parent, name = home, "new-"
        for unfinished in home.glob(f"{name}*"):
            shutil.rmtree(unfinished)
    else:
        parent, name = system_folder(), re.sub(r"[^\w.-]+", "_", home.parent.name) + "-"
    new = Path(tempfile.mkdtemp(prefix=name, dir=parent))
    try:
        if user is not None:
            os.chown(new, *user)
        _initdb(new, programs_for(user), say)
        if parent == home:
            new.rename(pgdata)
        else:
            pgdata.symlink_to(new, target_is_directory=True)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def _initdb(pgdata: Path, programs: Programs, say: Say) -> None:
    # The same on every machine: the sort order is that of the code points, and upper and lower case
    # are Unicode's. A locale of the environment may not be installed, or not be UTF-8.
    locale = "--encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8"
    done = programs.run(
        "initdb",
        *f"--pgdata=. --auth=trust --username=postgres {locale}".split(),
        cwd=pgdata,
        on_slow=lambda: say("creating the private PostgreSQL takes a while"),
    )
    if done.returncode != 0:
        raise ConnectionFailed(
            "the private PostgreSQL could not be created", detail=_last_lines(done.stdout)
        )


def _programs_of(pgdata: Path) -> Programs:
    """Return the programs to serve a data directory; as root, they run as its owner."""
    if system_user() is None:
        return programs_for(None)
    owner = pgdata.stat()
    user = owner.st_uid, owner.st_gid
    if owner.st_uid == 0 or not can_reach(user, pgdata.resolve()):
        old, new = (quote_word(str(p)) for p in (pgdata, SYSTEM_FOLDER / pgdata.parents[1].name))
        raise UsageError(
            "the private PostgreSQL cannot reach its data",
            detail=[f"it runs as the owner of the data, {_owner(pgdata)}: {pgdata.resolve()}"],
            hint="PostgreSQL does not run as root: give the data to another user with chown."
            if owner.st_uid == 0
            else f"Move it: mkdir -p -m 755 {SYSTEM_FOLDER} && mv -T {old} {new} &&"
            f" ln -s {new} {old}",
        )
    return programs_for(user)


def _ensure_running(pgdata: Path, programs: Programs, say: Say, wait_s: int) -> None:
    """Start the server unless it runs, and wait until it takes statements.

    Raises:
        ConnectionFailed: It did not start; one that only takes longer goes on starting.
    """

    def is_running() -> bool:
        return programs.run("pg_ctl", "status", "-D", ".", cwd=pgdata).returncode == 0

    @cache  # once
    def on_slow() -> None:
        say(f"the private PostgreSQL is slow to start; waiting for up to {wait_s} s")

    begin = time.monotonic()
    while not is_running() or _postmaster_pid(pgdata)[7:8] != ["ready"]:
        waited_s = time.monotonic() - begin
        if waited_s > wait_s:
            raise _did_not_start(pgdata, wait_s)
        if not is_running():
            log = pgdata / "log"
            known_bytes = log.stat().st_size if log.exists() else 0
            where = ("-D", ".", "-l", "log", "-t", str(wait_s), "-o", _options())
            done = programs.run("pg_ctl", "start", "-w", *where, cwd=pgdata, on_slow=on_slow)
            if done.returncode != 0 and not is_running():
                raise _did_not_start(pgdata, None, known_bytes, done.stdout)
        else:
            # It is starting, or stopping, since a process was killed that waited for it.
            if waited_s > SLOW_S:
                on_slow()
            time.sleep(0.1)


def _options() -> str:
    """Return the server's options: a socket in its data directory, or a port on Windows."""
    if sys.platform == "win32":
        with socket.create_server(("127.0.0.1", 0)) as free:
            return f"-h 127.0.0.1 -p {free.getsockname()[1]}"
    # The folder is relative, so that it is short and has no characters that a shell would read. The
    # port is a part of the socket's name, and PGPORT would change it.
    return f"-h '' -k . -p {_PORT}"


def _did_not_start(
    pgdata: Path, waited_s: int | None, known_bytes: int = 0, output: str = ""
) -> ConnectionFailed:
    """Return the error, with the end of the log.

    Args:
        pgdata: The data directory.
        waited_s: How long it may take; None if it has ended.
        known_bytes: The size of the log before the start.
        output: What pg_ctl printed, if the server wrote nothing.
    """
    log = pgdata / "log"
    try:
        text = log.read_bytes()[known_bytes:].decode("utf-8", "replace")
        hint = f"Its log is {log}. "
    except OSError:
        text = hint = ""
    if waited_s is None:
        message = "the private PostgreSQL did not start"
        hint += f"If you delete {pgdata}, it starts over with an empty database."
    else:
        message = f"the private PostgreSQL did not start within {waited_s} s"
        hint += "It is still starting: run the command again."
    return ConnectionFailed(message, detail=_last_lines(text or output), hint=hint)


def _postmaster_pid(pgdata: Path) -> list[str]:
    """Return the lines of the server's file: the port is the fourth, the status the eighth."""
    try:
        text = (pgdata / "postmaster.pid").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [line.strip() for line in text.splitlines()]


def _url(pgdata: Path) -> str:
    _, _, _, port, sockets, host, *_ = _postmaster_pid(pgdata)
    if not sockets:
        return f"postgresql://postgres@{host}:{port}/postgres"
    # The usual port is left out, so that the URL needs no quotes in a shell.
    end = "" if int(port) == _PORT and "PGPORT" not in os.environ else f"&port={port}"
    folder = _short(pgdata.resolve() / sockets)
    return f"postgresql://postgres@/postgres?host={quote(str(folder))}{end}"


@cache
def _short(folder: Path) -> Path:
    """Return a folder, or for the rest of this process a link to it if its path is too long."""
    if len(os.fsencode(folder)) <= _LONGEST_FOLDER_BYTES:
        return folder
    place = Path(tempfile.mkdtemp(prefix="lfmigrate-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    (place / "pg").symlink_to(folder, target_is_directory=True)
    return place / "pg"


def _last_lines(text: str) -> list[str]:
    """Return the last lines of a log, without the time, its zone and the process."""
    lines = text.splitlines()[-_LAST_LINES:]
    return [re.sub(r"^\S+ \S+ \S+ \[\d+\] ", "", line) for line in lines]
