"""The database's state before a command runs: the server, the history, the live relations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lfmigrate import catalog
from lfmigrate._version import __version__
from lfmigrate.catalog.sessions import Server
from lfmigrate.catalog.tool_tables import ToolTable
from lfmigrate.errors import NOTHING_CHANGED, DatabaseError, StatementFailed, UsageError
from lfmigrate.history import ledger
from lfmigrate.history.events import History
from lfmigrate.postgres.connection import Connection, client_encoding, is_idle
from lfmigrate.postgres.pipeline import Flight, rolled_back_on_error
from lfmigrate.postgres.wire import Answer, OnStall
from lfmigrate.rows.saved import About, Dropped
from lfmigrate.schema.relation import Horizon, Key, Snapshot
from lfmigrate.settings import Scope
from lfmigrate.source.version import label
from lfmigrate.syntax.names import quote_name

# What the server says when a relation is dropped while it is described: the catalogs are read as of
# one moment, and the texts of definitions are made of what is there now.
_VANISHED = ("cache lookup failed", "could not open relation")

# How often the state is read again after something was dropped, or other sessions have changed the
# schema while it was read.
_RESTARTS = 5


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """What was read before anything was done.

    Attributes:
        server: Where the connection leads.
        schema: The schema that unqualified names go to.
        history: What was recorded for that schema.
        live: The relations that the history expects, as far as they are there.
        ids: Their keys by `Found.id`, which outlives a change of name.
        horizon: From where on other sessions' commits were not seen any more.
        moment: The state of the catalogs that was read; None if no relation was.
        is_mixed: Whether other sessions have changed the schema each time that it was read.
        tools: The tables in which other tools record their migrations; empty if not asked for.
    """

    server: Server
    schema: str
    history: History
    live: Snapshot
    ids: Mapping[str, Key]
    horizon: Horizon = field(default_factory=Horizon)
    moment: str | None = None
    is_mixed: bool = False
    tools: tuple[ToolTable, ...] = ()

    def about(self, reason: str, dropped: Sequence[Dropped] = ()) -> About:
        """Return what the manifest of a backup says of the database."""
        applied = sorted(self.history.applied.items())
        return About(
            reason=reason,
            database=self.server.database,
            schema=self.schema,
            applied=tuple(label(event.version or "", event.name) for _, event in applied),
            tool_version=__version__,
            server_version=self.server.version,
            dropped=tuple(dropped),
        )

    @property
    def missing(self) -> tuple[Key, ...]:
        """Return what the history expects and the database does not have."""
        return tuple(key for key in self.history.expected if key not in self.live)


def read_state(
    conn: Connection,
    scope: Scope,
    *,
    relations: bool = True,
    tools: bool = False,
    on_stall: OnStall | None = None,
) -> DatabaseState:
    """Read the history and the live relations that it expects, as they are at one moment.

    If another session has changed the schema or the history meanwhile, the reading restarts.

    Only reads, in a read-only transaction of one or two flights, without lfmigrate's lock. Where
    nothing is expected yet the transaction stays open and empty, so that ending it costs no round
    trip of its own: the next `Flight.begin` does that, or `Session.end_reading`.

    Args:
        conn: An open connection without an open transaction.
        scope: Where to look.
        relations: Whether to read the live relations too.
        tools: Whether to read what other migration tools have recorded; no flight of its own.
        on_stall: Asked while the server does not answer.

    Raises:
        UsageError: A transaction is open, or the connection speaks another encoding than UTF-8.
        DatabaseError: There is no such schema, or the role may not read the history.
    """
    refuse_unusable(conn)
    for _ in range(_RESTARTS):
        try:
            state = _read(conn, scope, relations=relations, tools=tools, on_stall=on_stall)
        except StatementFailed as error:
            if not has_vanished(error):
                raise
        else:
            if not state.is_mixed:
                return state
    return _read(conn, scope, relations=relations, tools=tools, on_stall=on_stall)


def newest_event(conn: Connection, scope: Scope, *, on_stall: OnStall | None = None) -> str | None:
    """Return what is another text whenever the history has changed; None without a history.

    Only reads, in a read-only transaction of one flight, without lfmigrate's lock.

    Args:
        conn: An open connection without an open transaction.
        scope: Where the history is.
        on_stall: Asked while the server does not answer.
    """
    flight = Flight(conn, on_stall=on_stall)
    flight.begin(scope, read_only=True)
    flight.sync()
    newest = flight.ask(ledger.newest(scope))
    flight.sync(*ledger.ABSENT)
    flight.do("ROLLBACK")
    with rolled_back_on_error(conn):
        flight.go()
    return None if newest.error is not None else newest.value


def has_vanished(error: StatementFailed) -> bool:
    """Return whether a relation was dropped by another session while it was described."""
    return error.file is None and error.message.startswith(_VANISHED)


@dataclass(frozen=True, slots=True)
class Moments:
    """What the catalogs are when a reading begins and when it ends.

    The catalogs are read as of the transaction's snapshot, but the server makes the texts of
    definitions of what is there when they are asked for.

    Attributes:
        first: The catalogs in the snapshot.
        last: The catalogs afterwards.
        position: The history's highest id afterwards.
    """

    first: Answer[str]
    last: Answer[str]
    position: Answer[int]

    @classmethod
    def queue(cls, flight: Flight, scope: Scope) -> Moments:
        """Queue what shows whether anything changed, behind the questions of a transaction.

        Another transaction is open then.
        """
        first = flight.ask(catalog.stamp())
        # The snapshot of the first transaction would not show it.
        flight.begin(scope, read_only=True, again=True)
        last = flight.ask(catalog.stamp())
        position = flight.ask(ledger.position(scope))
        flight.sync(*ledger.ABSENT)
        return cls(first, last, position)

    def are_one(self, position: int) -> bool:
        """Return whether nothing changed during the reading.

        Args:
            position: The history's highest id when the reading began; 0 for none.
        """
        now = 0 if self.position.error is not None else self.position.value
        return self.first.value == self.last.value and now == position


def refuse_read_only(state: DatabaseState) -> None:
    """Refuse to write to a read-only database, before anything is sent.

    Raises:
        DatabaseError: It is a standby, or its transactions are read-only.
    """
    server = state.server
    if server.standby:
        raise DatabaseError(
            "this server is a standby, which is read-only",
            outcome=NOTHING_CHANGED,
            hint="Connect to the primary server; verify and status work here too.",
        )
    if server.read_only:
        raise DatabaseError(
            "transactions are read-only here (default_transaction_read_only is on)",
            outcome=NOTHING_CHANGED,
            hint=f'Connect with a role that may write; it is set for role "{server.role}", for'
            f' database "{server.database}" or for the server.',
        )


def refuse_unusable(conn: Connection) -> None:
    """Refuse a caller's connection that cannot be used as it is; nothing is sent.

    Raises:
        UsageError: A transaction is open, or it speaks another encoding than UTF-8.
    """
    if not is_idle(conn):
        raise UsageError(
            "the connection has an open transaction",
            hint="Commit it or roll it back first; lfmigrate begins and ends its own.",
        )
    encoding = client_encoding(conn)
    if encoding != "UTF8":
        # Files are sent as the UTF-8 that they are; the server would misread it.
        raise UsageError(
            f"the connection's encoding is {encoding}, and SQL files are UTF-8",
            hint='Connect with client_encoding="UTF8", as lfmigrate.connect does.',
        )


def _read(
    conn: Connection, scope: Scope, *, relations: bool, tools: bool, on_stall: OnStall | None
) -> DatabaseState:
    flight = Flight(conn, on_stall=on_stall)
    flight.open(read_only=True)
    own = flight.ask(catalog.session_state())
    flight.arm(scope)
    asked_server = flight.ask(catalog.server())
    asked_tools = flight.ask(catalog.tool_tables()) if tools else None
    flight.sync()
    asked_history = flight.ask(ledger.read(scope))
    flight.sync(*ledger.ABSENT)
    with rolled_back_on_error(conn):
        try:
            flight.go()
        except StatementFailed as error:
            if error.sqlstate == "42501" and error is asked_history.error:
                raise _unreadable(error, asked_server.value, scope) from None
            raise
        server = replace(
            asked_server.value, session_settings=own.value.settings, session_own=own.value.own
        )
        schema = _schema(server, scope)
        known = History() if asked_history.error is not None else asked_history.value
        live = Snapshot()
        ids: dict[str, Key] = {}
        horizon = Horizon()
        moments = None
        if relations and known.expected:
            reading = Flight(conn, on_stall=on_stall)
            reading.look_at(schema)
            seen = reading.ask(catalog.committed(server.xmin))
            found = reading.ask(catalog.relations(known.expected))
            moments = Moments.queue(reading, scope)
            reading.do("ROLLBACK")
            reading.go()
            live = Snapshot(item.relation for item in found.value)
            ids = {item.id: item.relation.key for item in found.value}
            horizon = Horizon(server.xmin, seen.value)
    return DatabaseState(
        server,
        schema,
        known,
        live,
        ids,
        horizon,
        moment=None if moments is None else moments.first.value,
        is_mixed=moments is not None and not moments.are_one(known.position),
        tools=() if asked_tools is None else asked_tools.value,
    )


def _schema(server: Server, scope: Scope) -> str:
    if scope.schema is not None and server.schema != scope.schema:
        raise DatabaseError(
            f'schema "{scope.schema}" does not exist in database "{server.database}"'
            f' or is hidden from role "{server.role}"',
            hint="Create it, or grant USAGE on it; lfmigrate does not create it.",
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
