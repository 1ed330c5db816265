"""The databases of a test run: a template, its copies, and what a killed run has left behind.

Whether a run has ended, the server knows: every process of a run holds an advisory lock of it in a
session of its own, which ends with the process, however it ends.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from lfmigrate.errors import DatabaseError, StatementFailed
from lfmigrate.postgres.connection import (
    Connection,
    connect_directly,
    was_ended,
)
from lfmigrate.postgres.pipeline import Flight, Query
from lfmigrate.postgres.url import check, with_database
from lfmigrate.syntax.names import quote_name

# A database of a run: the run's key, and a number or what a template is for. Short, so that what an
# application prints of it fits a line.
_NAME = re.compile(r"lf_test_([0-9a-f]{8})(?:[0-9a-f]{4}|_[0-9a-z]+)")

# What a comment says, in addition to the name; only a database that has both is ever dropped.
_COMMENT = re.compile(
    r"lfmigrate: test database, safe to drop when its run has ended;"
    r" lock in database (\d+), created by process (\d+) on (\S*) at (\S+)"
)

# Dropping one may take the server long; what remains is for the next run.
_MOST_LEFTOVERS = 20

# The first half of a lock's key, before that of the run. 0x6C66 is "lf".
_RUN, _BUILDING = 0x6C66 << 32, 0x6C67 << 32

_NOT_PERMITTED = "42501"
_EXISTS = "42P04"

# Before PostgreSQL 15, CREATE DATABASE knew no other way than to copy files, and no word for it.
_HAS_STRATEGIES = 150_000


class TestDatabases:
    """The databases of one process of a run.

    What is left of runs that were killed is dropped first.
    """

    # Its name begins with "Test", and pytest would collect it.
    __test__ = False

    def __init__(self, server_url: str, run: str | None = None) -> None:
        """Connect to the server.

        Args:
            server_url: Any database of it; the role has to be allowed to create databases.
            run: What all processes of the run have in common; None if there is only one.

        Raises:
            UsageError: The URL cannot be read, or leads to a pooler.
            ConnectionFailed: The server cannot be reached.
        """
        self._url = check(server_url)
        self._key = sha256((run or secrets.token_hex()).encode()).hexdigest()[:8]
        self._templates: dict[str, str] = {}
        self._conn: Connection | None = None
        self._database, files = self._ask(
            "SELECT jsonb_build_array((SELECT d.oid::text FROM pg_database AS d"
            " WHERE d.datname = current_database()), current_setting('fsync') = 'off')"
        )
        has_strategies = self._control.info.server_version >= _HAS_STRATEGIES
        # Without fsync, writing each page to the WAL takes a small database three times as long;
        # with it, copying files waits for the disk.
        self._strategy = " STRATEGY FILE_COPY" if files and has_strategies else ""
        self._drop_leftovers()

    def url(self, name: str) -> str:
        """Return the URL of a database of the server."""
        return with_database(self._url, name)

    def template(self, label: str, migrate: Callable[[Connection], object]) -> str:
        """Return the name of a template of this run; the first process creates it.

        Args:
            label: Which one, if there are several: letters and digits.
            migrate: Fills it, once per run.

        Raises:
            DatabaseError: It could not be created; or whatever ``migrate`` raises.
        """
        if label not in self._templates:
            name = f"lf_test_{self._key}_{label}"
            building = f"{name}0"
            lock = str(_BUILDING | int(self._key, 16))
            self._do("SELECT pg_advisory_lock($1::bigint)", lock)
            try:
                if not self._exists(name):
                    self._build(building, migrate, name)
            finally:
                self._do("SELECT pg_advisory_unlock($1::bigint)", lock)
            self._templates[label] = name
        return self._templates[label]

    def create(self, template: str | None = None) -> str:
        """Create a database and return its name.

        Args:
            template: Of what it is a copy; None for an empty one.

        Raises:
            DatabaseError: It could not be created.
        """
        while True:
            name = f"lf_test_{self._key}{secrets.token_hex(2)}"
            try:
                self._create(name, template or "template0")
            except StatementFailed as error:
                if error.sqlstate == _EXISTS:
                    continue
                raise
            return name

    def drop(self, *names: str) -> None:
        """Drop databases of this run, and end the sessions in them."""
        for name in names:
            dropped = f"DROP DATABASE IF EXISTS {quote_name(name)}"
            try:
                self._do(f"{dropped} WITH (FORCE)")
            except StatementFailed as error:
                # Only a superuser may end an autovacuum that is at work in it; the server does.
                if error.sqlstate != _NOT_PERMITTED:
                    raise
                self._do(dropped)

    def close(self) -> None:
        """Leave the run; the last process drops what is left of it."""
        # What remains is dropped by a later run.
        with suppress(DatabaseError):
            self._do("SELECT pg_advisory_unlock_shared($1::bigint)", str(self._lock))
            self._drop_leftovers(self._key)
        if self._conn is not None:
            self._conn.close()

    @property
    def _lock(self) -> int:
        return _RUN | int(self._key, 16)

    @property
    def _control(self) -> Connection:
        """Return the session that holds the run's lock; another one, if it was ended."""
        if self._conn is None or self._conn.closed or was_ended(self._conn):
            if self._conn is not None:
                self._conn.close()
            self._conn = connect_directly(self._url, None)
            self._do("SELECT pg_advisory_lock_shared($1::bigint)", str(self._lock))
        return self._conn

    def _exists(self, name: str) -> bool:
        return bool(
            self._ask("SELECT to_jsonb(count(*)) FROM pg_database WHERE datname = $1", name)
        )

    def _create(self, name: str, template: str) -> None:
        created = f"CREATE DATABASE {quote_name(name)} TEMPLATE {quote_name(template)}"
        try:
            self._do(created + self._strategy)
        except StatementFailed as error:
            if error.sqlstate == _NOT_PERMITTED:
                error.hint = f"Let a superuser run: ALTER ROLE {quote_name(self._user)} CREATEDB"
            raise
        comment = (
            "lfmigrate: test database, safe to drop when its run has ended;"
            f" lock in database {self._database}, created by process {os.getpid()}"
            f" on {_host()} at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        )
        self._do(f"COMMENT ON DATABASE {quote_name(name)} IS '{comment}'")

    @property
    def _user(self) -> str:
        return self._control.info.user

    def _build(self, building: str, migrate: Callable[[Connection], object], name: str) -> None:
        """Create a template; it has its name when it is complete."""
        self.drop(building)  # of a process that was killed at this point
        self._create(building, "template0")
        try:
            # A pooler would keep a session in it, and then it could not be copied.
            with closing(connect_directly(self.url(building), None)) as conn:
                migrate(conn)
            self._do(f"ALTER DATABASE {quote_name(building)} ALLOW_CONNECTIONS false")
            self._do(f"ALTER DATABASE {quote_name(building)} RENAME TO {quote_name(name)}")
        except BaseException:
            with suppress(DatabaseError):
                self.drop(building)
            raise

    def _drop_leftovers(self, run: str | None = None) -> None:
        """Drop what runs have left that have ended.

        Those are the databases with a name and a comment of this class, created through the same
        database of the server, in which there is no session, whose process does not exist on this
        machine, and whose run has no process: its lock is free.

        Args:
            run: The key of the only run to look for, which this process has just left.
        """
        found = self._ask(
            "SELECT coalesce(jsonb_agg(jsonb_build_array(d.datname, s.description)), '[]')"
            " FROM pg_database AS d LEFT JOIN pg_shdescription AS s"
            " ON s.objoid = d.oid AND s.classoid = 'pg_database'::regclass"
            " WHERE d.datname LIKE 'lf\\_test\\_%' AND d.datname <> current_database()"
            " AND NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.datid = d.oid)"
        )
        ended: dict[str, list[str]] = {}
        for name, comment in found:
            named = _NAME.fullmatch(name)
            if named is None:
                continue
            if named[1] == run if run else named[1] != self._key and self._is_left(comment or ""):
                ended.setdefault(named[1], []).append(name)
        for key, names in ended.items():
            lock = str(_RUN | int(key, 16))
            # While it is held, no process can begin with the same run.
            if not self._ask("SELECT to_jsonb(pg_try_advisory_lock($1::bigint))", lock):
                continue
            try:
                for name in names[: None if run else _MOST_LEFTOVERS]:
                    # Not by force: the server refuses to drop what is in use.
                    with suppress(StatementFailed):
                        self._do(f"DROP DATABASE IF EXISTS {quote_name(name)}")
            finally:
                self._do("SELECT pg_advisory_unlock($1::bigint)", lock)

    def _is_left(self, comment: str) -> bool:
        """Return whether the process that created a database is gone, as far as can be seen."""
        made = _COMMENT.fullmatch(comment)
        if made is None or made[1] != self._database:
            return False
        return made[3] != _host() or not _is_alive(int(made[2]))

    def _do(self, sql: str, *params: str) -> None:
        flight = Flight(self._control)
        flight.do(sql, *params)
        flight.go()

    def _ask(self, sql: str, *params: str) -> Any:  # noqa: ANN401 (parsed JSON)
        flight = Flight(self._control)
        answer = flight.ask(Query(sql, params, lambda value: value))
        flight.go()
        return answer.value


def _host() -> str:
    return re.sub(r"[^\w.-]", "_", socket.gethostname())


def _is_alive(process: int) -> bool:
    """Return whether there is a process on this machine."""
    if os.name == "nt":
        return False  # there, asking would end it; the lock and the sessions decide
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # of another user
    return True
