"""Opens connections that also work through a transaction pooler."""

from __future__ import annotations

import math
import os
import random
import secrets
import selectors
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import conninfo, pq

from lfmigrate import log
from lfmigrate.errors import ConnectionFailed, UsageError
from lfmigrate.postgres.connect_errors import explain, is_transient, pooled, where_of
from lfmigrate.postgres.negotiation import open_connection
from lfmigrate.postgres.neon import direct_host
from lfmigrate.postgres.password import with_password
from lfmigrate.postgres.url import read

Connection = psycopg.Connection[Any]

# libpq waits indefinitely by default. Ten seconds are enough for three lost SYN packets in a row.
CONNECT_TIMEOUT_S = 10

# Limits of a role or a database that would end what lfmigrate does on a session of its own. There,
# default_transaction_read_only does not apply either.
_TIMEOUTS = (
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
)
_HAS_TRANSACTION_TIMEOUT = 170_000

# Between two attempts to connect: short at first, because most servers wake within two seconds.
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 2.0


def connect(
    url: str,
    *,
    wait_s: float = 0,
    on_wait: Callable[[str], None] | None = None,
    limit_s: float | None = None,
    password_command: str | None = None,
) -> Connection:
    """Open a connection that works through a transaction pooler too.

    No startup options, no named prepared statements and no session settings are used: a pooler in
    transaction mode would refuse them, lose them, or pass them on to another client.

    Args:
        url: A PostgreSQL URL or a keyword string, as libpq takes it or a framework writes it.
        wait_s: For how many seconds to retry while the server cannot be reached or starts up.
        on_wait: Called once with the reason when waiting begins.
        limit_s: For how many seconds each attempt may wait for an answer, and the password command
            may run; None for what the URL says, or ten, and a minute.
        password_command: A command that prints the password, run without a shell unless the URL
            has a password; also before each further connection that a command opens.

    Returns:
        A connection in autocommit mode; transactions are begun and ended by flights.

    Raises:
        UsageError: The URL cannot be read, or the password command not started.
        ConnectionFailed: Refused, not reachable in time, wrong password, no such database, ….

    Source:
        libpq, "Parameter Key Words"; psycopg, "Prepared statements" on PgBouncer.
    """
    parameters = conninfo.conninfo_to_dict(
        with_password(_own_words(url), password_command, limit_s)
    )
    parameters.setdefault("connect_timeout", CONNECT_TIMEOUT_S)
    if limit_s is not None:
        # At least two seconds, which is the least that libpq waits.
        limit = max(2, math.ceil(limit_s))
        given = str(parameters["connect_timeout"])
        # 0 and -1 stand for no limit; what is no number is the driver's to refuse.
        if given.lstrip("-").isdigit() and not 0 < int(given) <= limit:
            parameters["connect_timeout"] = limit
    parameters.setdefault("fallback_application_name", "lfmigrate")
    parameters["client_encoding"] = "UTF8"
    give_up_at = time.monotonic() + wait_s
    pause_s = _FIRST_PAUSE_S
    reported = False
    while True:
        try:
            conn = open_connection(parameters)
        except psycopg.OperationalError as error:
            failure = explain(str(error), parameters)
            if not is_transient(str(error)) or time.monotonic() + pause_s > give_up_at:
                raise failure from None
            if not reported:
                log.unreachable(where_of(parameters), wait_s)
                if on_wait is not None:
                    on_wait(failure.message)
                reported = True
        else:
            info = conn.info
            log.connected(info.host, info.port, info.dbname, info.user)
            return conn
        # Jitter, so that jobs that started together do not reconnect in lockstep.
        time.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311 (no secret is made here)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _own_words(url: str) -> str:
    """Return a URL in libpq's words; a keyword string is written in them.

    Raises:
        UsageError: It cannot be read; or it names a schema, which a connection does not keep.
    """
    if "://" not in url.partition("=")[0]:
        return url
    found = read(url)
    if found.schema is not None:
        raise UsageError(
            "the database URL names a schema",
            hint="Remove it there, and pass scope=lfmigrate.Scope(schema=...) to the commands.",
        )
    return found.url


def connect_directly(
    address: str, on_wait: Callable[[str], None] | None, *, version: int = 0
) -> Connection:
    """Open a direct (unpooled) connection, for what cannot run in a transaction block.

    A mark in the startup options proves that it is direct: a transaction pooler refuses or drops
    it. For a pooled Neon host, the direct host is used instead. The options also switch off the
    timeouts of the role and the database, which would apply to the first statement already.

    Args:
        address: As `address_of` returns it.
        on_wait: Called with a line if another host is used.
        version: The server's, as a number, if it is known: an older one refuses settings that it
            does not know.

    Raises:
        UsageError: It leads to a pooler.
        ConnectionFailed: As `connect` raises it.

    Source:
        Neon documentation, "Connection pooling"; PgBouncer, "ignore_startup_parameters".
    """
    parameters = conninfo.conninfo_to_dict(address)
    host = str(parameters.get("host") or "")
    if (own := direct_host(host)) != host:
        parameters["host"] = own
        if on_wait is not None:
            on_wait(f"connecting directly to {own}, for statements outside a transaction")
    mark = secrets.token_hex(6)
    options = str(parameters.get("options") or os.environ.get("PGOPTIONS") or "")
    limits = [*_TIMEOUTS, *(["transaction_timeout"] if version >= _HAS_TRANSACTION_TIMEOUT else [])]
    settings = [
        f"lfmigrate.session={mark}",
        "default_transaction_read_only=off",
        *(f"{limit}=0" for limit in limits),
    ]
    parameters["options"] = " ".join([options, *(f"-c {each}" for each in settings)]).lstrip()
    where = where_of(parameters)
    try:
        conn = connect(conninfo.make_conninfo("", **parameters))
    except ConnectionFailed as error:
        if not any("unsupported startup parameter" in line for line in error.detail):
            raise
        raise pooled(where) from None
    found = conn.execute("SELECT current_setting('lfmigrate.session', true)").fetchone()
    if found != (mark,):
        conn.close()
        raise pooled(where)
    return conn


def is_idle(conn: Connection) -> bool:
    """Return whether no transaction is open."""
    return conn.pgconn.transaction_status == pq.TransactionStatus.IDLE


def is_in_transaction(conn: Connection) -> bool:
    """Return whether a transaction is open in which no statement has failed."""
    return conn.pgconn.transaction_status == pq.TransactionStatus.INTRANS


def was_ended(conn: Connection) -> bool:
    """Return whether the server has ended an idle connection, as idle_session_timeout does.

    Nothing is sent, so a network that drops everything in silence is not noticed.
    """
    if conn.closed or not is_idle(conn):
        return False
    with suppress(psycopg.OperationalError), selectors.DefaultSelector() as selector:
        selector.register(conn.pgconn.socket, selectors.EVENT_READ)
        # What arrives may be a notification; only the end of the connection is an error.
        while selector.select(0):
            conn.pgconn.consume_input()
    return conn.pgconn.status == pq.ConnStatus.BAD


def has_failed(conn: Connection) -> bool:
    """Return whether a transaction is open in which a statement has failed."""
    return conn.pgconn.transaction_status == pq.TransactionStatus.INERROR


def client_encoding(conn: Connection) -> str:
    """Return the encoding that a connection speaks, in the server's words."""
    return (conn.pgconn.parameter_status(b"client_encoding") or b"UTF8").decode()


def address_of(conn: Connection, *, database: str | None = None) -> str:
    """Return the connection string of an open connection; it contains the password.

    Args:
        conn: The connection.
        database: Another database on the same server.
    """
    info = conn.info
    others = {} if database is None else {"dbname": database}
    return conninfo.make_conninfo(info.dsn, password=info.password or None, **others)


def abandon(conn: Connection) -> None:
    """Cancel whatever runs on a connection and close it; the server then rolls back.

    Closing alone would leave a long statement running until it returns rows.
    """
    try:
        # Two seconds: after Ctrl-C the client should end soon, and the server cleans up by itself.
        conn.cancel_safe(timeout=2.0)
    except (psycopg.Error, OSError):
        pass  # not reachable: then the server notices that the connection is gone
    finally:
        conn.close()
