"""The database's state before a command runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg import pq

from lfmigrate import catalog
from lfmigrate._version import __version__
from lfmigrate.catalog.sessions import Server
from lfmigrate.errors import DatabaseError, StatementFailed, UsageError
from lfmigrate.history import ledger
from lfmigrate.history.events import History
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight, rolled_back_on_error
from lfmigrate.postgres.wire import Stall
from lfmigrate.rows.archive import About, Dropped
from lfmigrate.schema.relation import Key, Snapshot
from lfmigrate.settings import Scope
from lfmigrate.syntax.names import quote_name

# What the server says when a relation is dropped while it is described: the catalogs are read as of
# one moment, and the texts of definitions are made of what is there now.
_VANISHED = ("cache lookup failed", "could not open relation")

_VANISHED_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """What was read before anything was done.

    Attributes:
        server: Where the connection leads.
        schema: The schema that unqualified names go to.
        history: What was recorded for that schema.
        live: The relations that the history expects, as far as they are there.
        ids: Their keys by `Found.id`, which outlives a change of name.
    """

    server: Server
    schema: str
    history: History
    live: Snapshot
    ids: Mapping[str, Key]

    @property
    def missing(self) -> tuple[Key, ...]:
        """Return what the history expects and the database does not have."""
        return tuple(key for key in self.history.expected if key not in self.live)


def read_state(
    conn: Connection, scope: Scope, *, at_relations: bool = True, stall: Stall | None = None
) -> DatabaseState:
    """Read the history and the live relations that it expects, in one consistent snapshot.

    Only reads, in a read-only transaction of one or two flights, without lfmigrate's lock. Where
    nothing is expected yet the transaction stays open and empty, so that ending it costs no round
    trip of its own: the next `Flight.begin` does that, or `end`.

    Args:
        conn: An open connection without an open transaction.
        scope: Where to look.
        at_relations: Whether to read the live relations too.
        stall: What to do while the server does not answer.

    Raises:
        UsageError: A transaction is open, or the connection speaks another encoding than UTF-8.
        DatabaseError: There is no such schema, or the role may not read the history.
    """
    if conn.pgconn.transaction_status != pq.TransactionStatus.IDLE:
        raise UsageError(
            "the connection has an open transaction",
            hint="Commit it or roll it back first; lfmigrate begins and ends its own.",
        )
    encoding = conn.pgconn.parameter_status(b"client_encoding")
    if encoding not in {None, b"UTF8"}:
        # Files are sent as the UTF-8 that they are; the server would take it for something else.
        raise UsageError(
            f"the connection speaks {(encoding or b'').decode()}, and SQL files are UTF-8",
            hint='Connect with client_encoding="UTF8", as lfmigrate.connect does.',
        )
    for _ in range(_VANISHED_ATTEMPTS):
        try:
            return _look(conn, scope, at_relations=at_relations, stall=stall)
        except StatementFailed as error:
            if not error.message.startswith(_VANISHED):
                raise
    return _look(conn, scope, at_relations=at_relations, stall=stall)


def _look(
    conn: Connection, scope: Scope, *, at_relations: bool, stall: Stall | None
) -> DatabaseState:
    flight = Flight(conn)
    flight.begin(scope, read_only=True)
    asked_server = flight.ask(catalog.server())
    flight.sync()
    asked_history = flight.ask(ledger.read(scope))
    flight.sync(*ledger.ABSENT)
    with rolled_back_on_error(conn):
        try:
            flight.go(None, stall)
        except StatementFailed as error:
            if error.sqlstate == "42501" and error is asked_history.error:
                raise _unreadable(error, asked_server.value, scope) from None
            raise
        server = asked_server.value
        schema = _schema(server, scope)
        known = History() if asked_history.error is not None else asked_history.value
        live = Snapshot()
        ids: dict[str, Key] = {}
        if at_relations and known.expected:
            reading = Flight(conn)
            reading.look_at(schema)
            found = reading.ask(catalog.snapshot(known.expected, ledger=ledger.table(scope)))
            reading.do("COMMIT")
            reading.go(None, stall)
            live = Snapshot(item.relation for item in found.value)
            ids = {item.id: item.relation.key for item in found.value}
    return DatabaseState(server, schema, known, live, ids)


def end_reading(conn: Connection) -> None:
    """End the transaction that `look` may have left open; there is nothing in it."""
    if conn.pgconn.transaction_status != pq.TransactionStatus.IDLE:
        flight = Flight(conn)
        flight.do("ROLLBACK")
        flight.go()


def _schema(server: Server, scope: Scope) -> str:
    if scope.schema is not None and server.schema != scope.schema:
        raise DatabaseError(
            f'schema "{scope.schema}" does not exist in database "{server.database}"'
            f' or is hidden from role "{server.role}"',
            hint="Create it, or grant USAGE on it; lfmigrate makes no schema for --schema.",
        )
    if server.schema is None:
        raise DatabaseError(
            f'no schema of the search path "{server.search_path}" exists',
            hint="Name the schema with --schema.",
        )
    return server.schema


def _unreadable(error: StatementFailed, server: Server, scope: Scope) -> StatementFailed:
    name, schema = ledger.table(scope), quote_name(scope.history_schema)
    role = quote_name(server.role)
    return StatementFailed(
        f'role "{server.role}" may not read the history, {name}',
        detail=[error.message],
        hint=f"Let its owner run: GRANT USAGE ON SCHEMA {schema} TO {role};"
        f" GRANT SELECT ON {name} TO {role};",
        sqlstate=error.sqlstate,
    )


def about(before: DatabaseState, reason: str, dropped: Sequence[Dropped] = ()) -> About:
    """Return what a manifest says of a database as it was found."""
    return About(
        reason=reason,
        database=before.server.database,
        schema=before.schema,
        applied=tuple(
            f"{event.version}_{event.name}" for _, event in sorted(before.history.applied.items())
        ),
        tool_version=__version__,
        server_version=before.server.version,
        dropped=tuple(dropped),
    )
