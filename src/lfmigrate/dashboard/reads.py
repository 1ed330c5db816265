"""The database: one query file in one flight."""

from __future__ import annotations

import functools
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.resources import files
from threading import Lock, Timer
from typing import Any

import psycopg
from psycopg import conninfo, errors
from psycopg_pool import ConnectionPool, PoolTimeout, TooManyRequests

from lfmigrate.dashboard.problems import Problem
from lfmigrate.errors import UsageError
from lfmigrate.settings import Serving

# More would only queue in a small database.
_MAX_CONNECTIONS = 4
_POOL_TIMEOUT_S = 5
# More would only wait in vain, and take the threads from others.
_MAX_WAITING = 16
# The server ends a query at its timeout, and what it says arrives soon after that, or never.
_GRACE_S = 5
# A pool without a connection lets a serverless database sleep.
_MAX_IDLE_S = 60

RELATIONS = (
    "performance_periods",
    "performance_metrics",
    "cost_categories",
    "recommendations",
    "recommendation_cost_categories",
    "program_resources",
    "efficiency_kpis",
    "cost_opportunities",
    "cost_category_hospitals",
    "cost_category_drgs",
    "cost_category_discharging_hospitals",
    "v_current_cost_categories",
    "v_recommendations_with_categories",
)

_SETTINGS = """
    SELECT set_config('statement_timeout', %(timeout)s, true),
           set_config('search_path',
                      coalesce(quote_ident(%(schema)s), current_setting('search_path')), true)
"""

_MISSING = (errors.UndefinedTable, errors.UndefinedColumn, errors.InvalidSchemaName)

Row = tuple[Any, ...]


@functools.cache
def query(name: str) -> str:
    """Return a query, with the parts that its header names as the first of its CTEs."""
    folder = files(__package__) / "queries"
    text = (folder / f"{name}.sql").read_text(encoding="utf-8")
    parts = re.search(r"^-- parts: (.*)$", text, re.MULTILINE)
    if parts is None:
        return text
    shared = [
        (folder / "parts" / f"{part}.sql").read_text(encoding="utf-8")
        for part in parts[1].split(", ")
    ]
    separator = "," if re.search(r"^\w+ AS \(", text, re.MULTILINE) else ""
    return f"WITH {','.join(shared)}{separator}\n{text}"


class Database:
    """A pool of connections that are opened when a request needs one."""

    def __init__(self, url: str, serving: Serving) -> None:
        """Name the database. Nothing is opened before the first request."""
        self._serving = serving
        self._lock = Lock()
        self._busy: set[socket.socket] = set()
        try:
            parameters = conninfo.conninfo_to_dict(url)
        except psycopg.ProgrammingError:  # it quotes the URL, and with it the password
            raise UsageError("the database URL cannot be read") from None
        parameters.setdefault("connect_timeout", _POOL_TIMEOUT_S)
        parameters.setdefault("fallback_application_name", "lfmigrate serve")
        parameters["client_encoding"] = "UTF8"
        address, password = conninfo.make_conninfo("", **parameters), serving.password
        self._pool: ConnectionPool[psycopg.Connection[Row]] = ConnectionPool(
            address
            if password is None
            else lambda: conninfo.make_conninfo(address, password=password()),
            kwargs={"autocommit": True, "prepare_threshold": None},
            min_size=0,
            max_size=_MAX_CONNECTIONS,
            max_idle=_MAX_IDLE_S,
            max_waiting=_MAX_WAITING,
            timeout=_POOL_TIMEOUT_S,
            # The next request tries again, whatever became of this attempt.
            reconnect_timeout=_POOL_TIMEOUT_S,
            open=False,
        )

    def close(self) -> None:
        """Close all connections, also those on which an answer is awaited."""
        with self._lock:
            for connection in self._busy:
                _hang_up(connection)
        self._pool.close()

    @contextmanager
    def connection(self) -> Iterator[psycopg.Connection[Row]]:
        """Lend a connection; what the server refuses becomes a problem.

        Raises:
            Problem: No connection in time, a missing relation or privilege, or a timeout.
            psycopg.OperationalError: The connection was lost.
        """
        with self._lock:
            self._pool.open()
        try:
            with self._pool.connection() as conn, self._limited(conn):
                yield conn
        except (PoolTimeout, TooManyRequests):
            is_busy = len(self._busy) >= _MAX_CONNECTIONS
            raise Problem("busy" if is_busy else "database-unreachable") from None
        except (errors.QueryCanceled, errors.LockNotAvailable):
            raise Problem("query-timeout") from None
        except (errors.SerializationFailure, errors.DeadlockDetected):
            raise Problem("busy") from None
        except _MISSING:
            missing = self.missing()
            detail = "" if missing else "A column is missing. Run: lfmigrate verify"
            raise Problem("schema-missing", detail, {"missing": missing}) from None
        except errors.InsufficientPrivilege:
            raise Problem("privileges-missing") from None

    @contextmanager
    def _limited(self, conn: psycopg.Connection[Row]) -> Iterator[None]:
        """End a connection on which no answer comes, as when a network drops it in silence."""
        # A copy, which outlives the connection: its number is not given to another one meanwhile.
        with socket.fromfd(conn.fileno(), socket.AF_INET, socket.SOCK_STREAM) as connection:
            limit_s = self._serving.statement_timeout_ms / 1000 + _GRACE_S
            timer = Timer(limit_s, _hang_up, [connection])
            timer.daemon = True
            timer.start()
            with self._lock:
                self._busy.add(connection)
            try:
                yield
            finally:
                timer.cancel()
                with self._lock:
                    self._busy.discard(connection)

    def read(self, name: str, parameters: Mapping[str, object]) -> Row | None:
        """Run a query in a transaction that only reads, in one flight.

        Args:
            name: The query's file.
            parameters: The query's parameters.

        Returns:
            Its row; None if there is none.

        Raises:
            Problem: As `connection`, and if the connection was lost twice.
        """
        try:
            return self._read(name, parameters)
        except psycopg.OperationalError:
            # It was dead before, and so may be the others.
            self._pool.drain()
        try:
            return self._read(name, parameters)
        except psycopg.OperationalError:
            raise Problem("database-unreachable") from None

    def _read(self, name: str, parameters: Mapping[str, object]) -> Row | None:
        with self.connection() as conn:
            with conn.pipeline():
                self.begin(conn, "BEGIN READ ONLY")
                answer = conn.execute(query(name).encode(), parameters)
                conn.execute("COMMIT")
            return answer.fetchone()

    def begin(self, conn: psycopg.Connection[Row], begin: str) -> None:
        """Begin a transaction with its settings, which end with it: a pooler may share sessions."""
        conn.execute(begin.encode())
        conn.execute(
            _SETTINGS,
            {
                "timeout": str(self._serving.statement_timeout_ms),
                "schema": self._serving.schema,
            },
        )

    def missing(self) -> list[str]:
        """Return the relations of migration 002 that are not there."""
        with self.connection() as conn:
            with conn.pipeline():
                self.begin(conn, "BEGIN READ ONLY")
                answer = conn.execute(query("missing").encode(), {"names": list(RELATIONS)})
                conn.execute("COMMIT")
            return [name for (name,) in answer.fetchall()]


def _hang_up(connection: socket.socket) -> None:
    """End a connection, so that a thread that waits for an answer on it goes on."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
