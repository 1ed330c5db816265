"""What the tests of faults share: a proxy that hangs up at a chosen byte, and a server with doors.

Both are real: bytes come from a real server and go to a real client. Nothing here answers in a
server's place.
"""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Literal, Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from bench.proxy import Target
from lfmigrate.postgres.programs import programs_for, system_user
from tests.helpers.processes import Started

# Far more than anything here takes; only a defect waits that long.
PATIENCE_S = 60

# The first half of the key of the advisory locks that are `Gates`.
GATES = 20261

# What the client says when it commits, and what the server says when that has happened.
SAYS_COMMIT = b"\0COMMIT\0"
HAS_COMMITTED = b"C\0\0\0\x0bCOMMIT\0"


class Cutter:
    """A proxy on a free port of 127.0.0.1 that cuts one connection when it has seen some bytes.

    Connections before and after pass unharmed. The client finds its connection closed, as it does
    when a server, a pooler or a network fails.

    Attributes:
        port: Where it listens.
        accepted: How many clients came.
        cuts: How often the moment has come; only one of them counts.
    """

    def __init__(
        self,
        target: Target,
        needle: bytes = b"",
        *,
        way: Literal["up", "down"] = "up",
        skips: int = 0,
        at_byte: int | None = None,
        port: int = 0,
        passes: bool = False,
        hold_server: bool = False,
        hold_client: bool = False,
        then_refuse: bool = False,
        meanwhile: Callable[[], object] | None = None,
    ) -> None:
        """Choose the moment.

        Args:
            target: Where the server listens.
            needle: The bytes to wait for; none of them for never.
            way: In what the client sends (``up``) or in what the server answers (``down``).
            skips: How many such moments pass before the one that counts.
            at_byte: Cut so many bytes into a connection, whatever they are.
            port: Where to listen; 0 for a free port.
            passes: Whether what was read together with the needle is still passed on.
            hold_server: Whether the server's side stays open, so that it notices nothing.
            hold_client: Whether the client's side stays open, but hears nothing any more.
            then_refuse: Whether no connection is accepted any more after the cut.
            meanwhile: Called at each such moment but the first ``skips``, before the bytes are
                passed on; then nothing is cut.
        """
        self.accepted = 0
        self.cuts = 0
        self.port = port
        self._at_byte = at_byte
        self._target = target
        self._needle = needle
        self._way = way
        self._skips = skips
        self._passes = passes
        self._hold_server = hold_server
        self._hold_client = hold_client
        self._then_refuse = then_refuse
        self._meanwhile = meanwhile
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._is_over = False

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _hang_up(self._listener)
        with self._lock:
            self._is_over = True
        for sock in self._open:
            _hang_up(sock)

    def _start(self, function: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=function, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            self.accepted += 1
            server = _reach(self._target)
            with self._lock:
                self._open += [client, server]
                if self._is_over:  # it came at the last moment, and would stay open
                    _hang_up(client)
                    _hang_up(server)
                    return
            self._start(self._pump, "up", client, server)
            self._start(self._pump, "down", server, client)

    def _pump(self, way: str, source: socket.socket, sink: socket.socket) -> None:
        seen = b""
        passed = 0
        with suppress(OSError):
            while chunk := source.recv(65536):
                # The needle may lie across two chunks.
                seen = seen[max(0, len(seen) - len(self._needle) + 1) :] + chunk
                ends = [self._at_byte - passed] if self._at_byte is not None else []
                is_time = (self._needle and self._needle in seen) or any(
                    end < len(chunk) for end in ends
                )
                is_moment = bool(is_time) and way == self._way
                is_cut = is_moment and self._is_due()
                if self._meanwhile is not None and is_moment:
                    if self.cuts > self._skips:
                        self._meanwhile()
                    is_cut, seen = False, b""
                if not is_cut or self._passes:
                    sink.sendall(chunk)
                elif ends:
                    sink.sendall(chunk[: ends[0]])
                passed += len(chunk)
                if is_cut:
                    self._cut(*((source, sink) if way == "up" else (sink, source)))
                    return
            sink.shutdown(socket.SHUT_WR)

    def _is_due(self) -> bool:
        with self._lock:
            self.cuts += 1
            return self.cuts == self._skips + 1

    def _cut(self, client: socket.socket, server: socket.socket) -> None:
        if self._then_refuse:
            _hang_up(self._listener)
        if not self._hold_client:
            _hang_up(client)
        if not self._hold_server:
            _hang_up(server)


@dataclass(frozen=True)
class Gated:
    """A server that asks for passwords.

    Attributes:
        url: The superuser's URL, with its password.
        port: Where it listens on 127.0.0.1.
    """

    url: str
    port: int


@contextmanager
def gated_server() -> Iterator[Gated]:
    """Run a PostgreSQL of its own that trusts no one.

    The role ``clerk`` has the password ``s3cret``; ``stranger`` has no entry in pg_hba.conf, and
    ``secretive`` is let in with TLS only, which the server does not speak.
    """
    # Not one of pytest's: it closes the folders above, which the server's user has to pass through.
    with TemporaryDirectory(prefix="lf-gated-") as name:
        yield from _gated_server(Path(name))


def _gated_server(folder: Path) -> Iterator[Gated]:
    account = system_user()
    programs = programs_for(account).folder
    # PostgreSQL refuses to run as root.
    user = None if account is None else account[0]
    if user is not None:
        folder.chmod(0o777)
    data = folder / "data"
    password_file = folder / "password"
    password_file.write_text("superman\n", encoding="utf-8")
    initdb: list[str | Path] = [programs / "initdb", "-D", data, "-U", "postgres"]
    initdb += ["--auth=scram-sha-256", f"--pwfile={password_file}"]
    initdb += ["--encoding=UTF8", "--locale=C", "--no-sync"]
    subprocess.run(initdb, cwd=folder, user=user, check=True, capture_output=True)
    (data / "pg_hba.conf").write_text(
        "hostssl all secretive 127.0.0.1/32 scram-sha-256\n"
        "host all postgres,clerk,nobody_of_that_name,a_database_user 127.0.0.1/32 scram-sha-256\n"
        "host all guest,no_database_user 127.0.0.1/32 trust\n",
        encoding="utf-8",
    )
    port = free_port()
    settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (folder / "server.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [programs / "postgres", "-D", data, "-p", str(port), *options],
            cwd=folder,
            user=user,
            stdout=log,
            stderr=log,
        )
    try:
        url = f"postgresql://postgres:superman@127.0.0.1:{port}/postgres"
        with _patiently_connected(url) as conn:
            conn.execute("CREATE ROLE clerk LOGIN PASSWORD 's3cret'")
            conn.execute("CREATE ROLE secretive LOGIN PASSWORD 's3cret'")
            conn.execute("CREATE ROLE stranger LOGIN PASSWORD 's3cret'")
        yield Gated(url, port)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    """Wait until something is so; fail after a long time."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < give_up_at, f"not in {PATIENCE_S} s: {what}"
        time.sleep(0.01)


class Gates:
    """Places in SQL where a run stops until the test lets it pass.

    A closed gate is an advisory lock of the test's own session. What stands at it asks for the lock
    again and again instead of queueing for it, so that neither a lock timeout nor a report of
    blocking sessions interferes; the server shows that it is there.
    """

    def __init__(self, url: str) -> None:
        """Name the database."""
        self._url = url

    @staticmethod
    def sql(number: int) -> str:
        """Return a PL/pgSQL loop that ends when a gate is open."""
        key = f"{GATES}, {number}"
        return (
            f"WHILE NOT pg_try_advisory_xact_lock_shared({key})"
            " LOOP PERFORM pg_sleep(0.01); END LOOP;"
        )

    @classmethod
    def statement(cls, number: int) -> str:
        """Return a statement that stops at a gate."""
        return f"DO $$BEGIN {cls.sql(number)} END$$;"

    @contextmanager
    def closed(self, number: int) -> Iterator[Callable[[], None]]:
        """Close a gate for the time of a block.

        Yields:
            A function that waits until a session stands at the gate, or comes to it in a commit.
        """
        with psycopg.connect(self._url, autocommit=True) as keeper:
            keeper.execute("SELECT pg_advisory_lock(%s, %s)", [GATES, number])

            def wait() -> None:
                wait_until(
                    lambda: (
                        keeper.execute(
                            "SELECT FROM pg_stat_activity WHERE datname = current_database()"
                            " AND wait_event = 'PgSleep'"
                            # The entries get their effects right before the commit.
                            " AND (query LIKE %s OR query LIKE 'UPDATE%%lfmigrate_history%%')",
                            [f"%({GATES}, {number})%"],
                        ).fetchone()
                        is not None
                    ),
                    f"a session stands at gate {number}",
                )

            yield wait


def wait_for_session(url: str, process: subprocess.Popen[str] | Started) -> None:
    """Wait until a process has a session in a database, or has ended."""
    with psycopg.connect(url, autocommit=True) as conn:
        wait_until(
            lambda: (
                process.poll() is not None
                or conn.execute(
                    "SELECT FROM pg_stat_activity WHERE datname = current_database()"
                    " AND application_name = 'lfmigrate'"
                ).fetchone()
                is not None
            ),
            "the process has a session",
        )


def wait_until_left(url: str) -> None:
    """Wait until no session of lfmigrate is left in a database, busy or not."""
    with psycopg.connect(url, autocommit=True) as conn:
        wait_until(
            lambda: (
                conn.execute(
                    "SELECT FROM pg_stat_activity WHERE datname = current_database()"
                    " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
                ).fetchone()
                is None
            ),
            "the last session left",
        )


@contextmanager
def role_with_login(server_url: str, url: str, name: str) -> Iterator[str]:
    """Make a role that may work in a database, and yield its URL; it is dropped afterwards."""
    role = sql.Identifier(name)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
        conn.execute(
            sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(
                sql.Identifier(conn.info.dbname), role
            )
        )
        conn.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}").format(role))
    try:
        yield make_conninfo(url, user=name)
    finally:
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(role))
        with psycopg.connect(server_url, autocommit=True) as conn:
            conn.execute(sql.SQL("DROP ROLE {}").format(role))


@contextmanager
def _patiently_connected(url: str) -> Iterator[psycopg.Connection]:
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            conn = psycopg.connect(url, autocommit=True)
        except psycopg.OperationalError:
            assert time.monotonic() < give_up_at, "the server did not start"
            time.sleep(0.05)
        else:
            break
    with conn:
        yield conn


def _hang_up(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()


def _reach(target: Target) -> socket.socket:
    if not isinstance(target, str):
        return socket.create_connection(target)
    server = socket.socket(socket.AF_UNIX)
    server.connect(target)
    return server
