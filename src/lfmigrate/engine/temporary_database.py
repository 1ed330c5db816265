"""A database that is created for a short time, and dropped whatever happens.

What a killed run leaves behind is dropped by the next one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress

from lfmigrate.catalog.shadow import shadow_leftovers
from lfmigrate.errors import ConnectionFailed, DatabaseError, StatementFailed, UsageError
from lfmigrate.postgres.connection import (
    Connection,
    address_of,
    connect,
    connect_directly,
    has_failed,
)
from lfmigrate.postgres.pipeline import Flight, Query, roll_back
from lfmigrate.syntax.names import quote_name

# What shadow_leftovers.sql knows them by. The time follows each.
_PREFIX = "lfmigrate_shadow"
_COMMENT = "lfmigrate: shadow database for a replay of SQL files, safe to drop; created"

# What an older server says of an option that it does not know.
_UNKNOWN_SETTING = "unrecognized configuration parameter"

# Dropping one may take the server seconds; what remains is for the next run.
_MOST_LEFTOVERS = 5


@contextmanager
def temporary_database(
    address: str,
    options: Sequence[str],
    say: Callable[[str], None],
    *,
    version: int,
    role: str = "none",
) -> Iterator[Connection]:
    """Create an empty database, connect to it, and drop it afterwards.

    Leftovers of runs that were killed are dropped first.

    Args:
        address: That of any database on the server.
        options: What follows the template in CREATE DATABASE; the first that works is used.
        say: Receives a line if the database could not be dropped.
        version: The server's, as a number.
        role: Its owner, if the caller has set another role than that of the connection.

    Raises:
        DatabaseError: It could not be created.
    """
    with closing(_control(address, role, version)) as control:
        name = f"{_PREFIX}_{_drop_leftovers(control)}_{secrets.token_hex(6)}"
        try:
            _create(control, name, options)
            conn = connect_if_possible_directly(address_of(control, database=name), version)
            try:
                yield conn
            finally:
                _end(conn)
        finally:
            _drop(control, lambda: _control(address, role, version), name, say)


def connect_if_possible_directly(address: str, version: int) -> Connection:
    """Connect without a pooler, which would keep the session in the database, or with one.

    Args:
        address: As `address_of` returns it.
        version: As in `connect_directly`; what is expected of a server that was named.
    """
    try:
        try:
            return connect_directly(address, None, version=version)
        except ConnectionFailed as error:
            if not any(_UNKNOWN_SETTING in line for line in (error.message, *error.detail)):
                raise
            return connect_directly(address, None)
    except UsageError:
        return connect(address)


def _control(address: str, role: str, version: int) -> Connection:
    """Open a connection to create and drop databases with."""
    if role == "none":
        return connect_if_possible_directly(address, version)
    try:
        # A pooler would give the session to the next client with that role.
        conn = connect_directly(address, None, version=version)
    except UsageError as error:
        raise DatabaseError(error.message) from None
    flight = Flight(conn)
    flight.do("SELECT set_config('role', $1, false)", role)
    flight.go()
    return conn


def _create(control: Connection, name: str, options: Sequence[str]) -> None:
    created = f"CREATE DATABASE {quote_name(name)} TEMPLATE template0"
    for option in options:
        try:
            # On its own: it cannot run in a transaction.
            _run(control, f"{created} {option}")
            break
        except StatementFailed:
            if option == options[-1]:
                raise
    _run(control, f"COMMENT ON DATABASE {quote_name(name)} IS '{_COMMENT} {name.split('_')[2]}'")


def _end(conn: Connection) -> None:
    """End the session on the server, and with it a transaction that is open."""
    if has_failed(conn):
        roll_back(conn)  # it would not run anything else
    if not conn.closed:
        # That the connection is lost is the success.
        with suppress(DatabaseError):
            _run(conn, "SELECT pg_terminate_backend(pg_backend_pid())")
        conn.close()


def _drop(
    control: Connection,
    reconnect: Callable[[], Connection],
    name: str,
    say: Callable[[str], None],
) -> None:
    # Not WITH (FORCE), which the owner may not use while autovacuum is at work in it.
    statement = f"DROP DATABASE IF EXISTS {quote_name(name)}"
    try:
        if control.closed:  # interrupted
            with closing(reconnect()) as second:
                _run(second, statement)
        else:
            _run(control, statement)
    except DatabaseError as error:
        say(f"database {name} could not be dropped ({error.message}); a later run drops it")


def _drop_leftovers(control: Connection) -> str:
    """Drop the databases of runs that were killed, and return the server's time."""
    flight = Flight(control)
    found = flight.ask(shadow_leftovers(_COMMENT))
    flight.go()
    for name, is_ours in found.value.names[:_MOST_LEFTOVERS]:
        # Another run may have been first, and the server refuses to drop what is in use.
        with suppress(DatabaseError):
            if is_ours or _has_no_table(control, name):
                _run(control, f"DROP DATABASE IF EXISTS {quote_name(name)}")
    return found.value.now


def _has_no_table(control: Connection, database: str) -> bool:
    """Return whether a database has no table of a user; a replay commits none."""
    address = address_of(control, database=database)
    conn = connect_if_possible_directly(address, control.info.server_version)
    try:
        flight = Flight(conn)
        tables = Query(
            "SELECT to_jsonb(count(*)) FROM pg_class AS c"
            " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p', 'f', 'm') AND c.oid >= 16384"
            " AND n.nspname NOT LIKE 'pg\\_toast%'",
            (),
            int,
        )
        answer = flight.ask(tables)
        flight.go()
        return answer.value == 0
    finally:
        _end(conn)


def _run(conn: Connection, statement: str) -> None:
    flight = Flight(conn)
    flight.do(statement)
    flight.go()
