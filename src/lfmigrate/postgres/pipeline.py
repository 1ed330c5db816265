"""Sends statements in pipelined batches (flights): one round trip each."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Generic

import psycopg
from psycopg import conninfo, pq

from lfmigrate.errors import (
    NOTHING_CHANGED,
    DatabaseError,
    ErrorOutcome,
    Interrupted,
    LfmigrateError,
)
from lfmigrate.postgres.connection import Connection, abandon, address_of, connect
from lfmigrate.postgres.wire import Answer, Progress, Selected, Stall, T, Wire, connection_lost
from lfmigrate.settings import Scope
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.names import quote_name
from lfmigrate.syntax.scanner import Statement


@dataclass(frozen=True, slots=True)
class Query(Generic[T]):
    """A question to the server that is answered by one row with one JSON value.

    Attributes:
        sql: One statement, with ``$1``, ``$2`` … for the parameters.
        params: The parameters in text form.
        decode: Turns the parsed JSON value into what the question asks for.
        first: A statement to run right before it, and its parameters.
    """

    sql: str
    params: tuple[str | None, ...]
    decode: Callable[[Any], T]
    first: tuple[str, tuple[str | None, ...]] | None = None


class Flight:
    """Statements that go to the server together; see the module.

    Groups of statements are parted by `sync`. A statement that fails makes the server skip the
    rest of its group, not the next group.
    """

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._groups: list[tuple[list[Answer[Any]], frozenset[str]]] = []
        self._open: list[Answer[Any]] = []

    def begin(self, scope: Scope, *, read_only: bool = False) -> None:
        """Begin a transaction in a scope.

        Every setting is the transaction's own, because behind a pooler the session is somebody
        else's a moment later. Names resolve in the scope's schema first and then wherever the
        connection's own search path leads, so that extensions are found.

        A transaction that `look` left open and empty is ended first, in the same flight.
        """
        if self._conn.pgconn.transaction_status != pq.TransactionStatus.IDLE:
            # No sync behind it: see there.
            self.do("ROLLBACK")
        self.do(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
            if read_only
            # The lock has to be followed by a fresh look at what its last holder committed.
            else "BEGIN ISOLATION LEVEL READ COMMITTED"
        )
        self._arm(scope)

    def look_at(self, *schemas: str) -> None:
        """Set the search path for reading definitions, whose texts depend on it.

        Compiling a catalog query would take longer than running it, so that is switched off.
        """
        self.do(
            "SELECT set_config('search_path', $1, true), set_config('jit', 'off', true)",
            ", ".join(quote_name(schema) for schema in schemas),
        )

    def run_file(self, file: SqlFile, scope: Scope, *schemas: str) -> list[Answer[None]]:
        """Add a file's statements, and keep what it sets from whatever comes after it.

        Skipped statements are told by notices, so those are switched on. Afterwards the role is
        lfmigrate's again. A SET would outlive the transaction, through a pooler even in somebody
        else's session, so a file that may set something is followed by a reset of everything.

        Args:
            file: The file.
            scope: That of the transaction.
            schemas: Unquoted, to be searched before the scope's own.

        Returns:
            An answer per statement.
        """
        self.enter_file(*schemas)
        answers = [self.run(statement) for statement in file.statements]
        self.leave_file(file, scope)
        return answers

    def enter_file(self, *schemas: str) -> None:
        """Set what a file's statements find; `run_file` says how."""
        self.do(
            "SELECT set_config('search_path', concat_ws(', ', nullif($1, ''),"
            " nullif(current_setting('lfmigrate.path'), '')), true),"
            " set_config('jit', current_setting('lfmigrate.jit'), true),"
            " set_config('client_min_messages', 'notice', true)",
            ", ".join(quote_name(schema) for schema in schemas),
        )

    def leave_file(self, file: SqlFile, scope: Scope) -> None:
        """Undo what a file's statements may have set; `run_file` says how."""
        self.do("SELECT set_config('role', current_setting('lfmigrate.role'), true)")
        if file.may_set:
            # RESET ALL leaves the role alone, which may have been the caller's choice.
            self.do("SELECT set_config('role', current_setting('lfmigrate.role'), false)")
            self.do("RESET ALL")
            self._arm(scope)

    def do(self, sql: str, *params: str | None) -> Answer[None]:
        """Add a statement of lfmigrate's own, whose rows nobody reads."""
        return self._add(Answer(sql, params))

    def ask(self, query: Query[T]) -> Answer[T]:
        """Add a question, to be answered when the flight has landed."""
        if query.first is not None:
            sql, params = query.first
            self.do(sql, *params)
        return self._add(Answer(query.sql, query.params, query.decode))

    def run(self, statement: Statement) -> Answer[None]:
        """Add a statement of a SQL file. It gets no parameters, so a ``%`` is just a ``%``."""
        return self._add(Answer(statement.text, statement=statement))

    def select(self, statement: Statement, limit: int) -> Answer[Selected]:
        """Add a SELECT of a SQL file, whose rows are wanted.

        Args:
            statement: The SELECT, or a WITH that ends in one.
            limit: How many rows to bring.
        """
        lead = "WITH selected AS MATERIALIZED (\n"
        return self._add(
            Answer(
                # json, because jsonb would sort the columns.
                f"{lead}{statement.text}\n)"
                " SELECT json_build_object('count', (SELECT count(*) FROM selected),"
                " 'rows', (SELECT coalesce(json_agg(row_to_json(first)), '[]')"
                f" FROM (SELECT * FROM selected LIMIT {limit:d}) AS first))",
                decode=lambda value: Selected(value["count"], tuple(value["rows"])),
                statement=statement,
                lead=len(lead),
            )
        )

    def sync(self, *tolerated: str) -> None:
        """End a group.

        Only the last group of a flight may end a transaction. A transaction pooler that sees one
        end takes the server away, although the rest of the flight is on its way to it, and sends
        what is still to come to another one: half a run in one session, half in the next.

        Args:
            tolerated: SQLSTATEs that are no failure of the flight; the answer keeps the error.
        """
        self._groups.append((self._open, frozenset(tolerated)))
        self._open = []

    def go(self, progress: Progress | None = None, stall: Stall | None = None) -> None:
        """Send everything, and wait until every answer is there.

        Args:
            progress: Called with each answer of a file's statement as soon as it comes.
            stall: What to do while no answer comes.

        Raises:
            StatementFailed: The first failure that is not tolerated. Whatever transaction is open
                stays open and failed.
            ConnectionFailed: The connection was lost.
            Interrupted: A signal came; the statement was cancelled and the connection closed.
        """
        if self._open:
            self.sync()
        groups, self._groups = self._groups, []
        wire = Wire(self._conn)
        try:
            wire.exchange([answers for answers, _ in groups], progress, stall)
        except KeyboardInterrupt as interrupt:
            abandon(self._conn)
            raise Interrupted("interrupted") from interrupt
        except psycopg.OperationalError as error:
            self._conn.close()
            # What the server said last, such as that an administrator ended the session.
            last_words = [a.error.message for answers, _ in groups for a in answers if a.error]
            raise connection_lost([*last_words, *str(error).splitlines()]) from None
        for answers, tolerated in groups:
            for answer in answers:
                if answer.error is not None and answer.error.sqlstate not in tolerated:
                    raise answer.error

    def arm_session(self, scope: Scope) -> None:
        """Make a session's settings those of a scope, until RESET ALL; see `connect_directly`."""
        self.do(
            "SELECT set_config('search_path', concat_ws(', ', quote_ident($1),"
            " nullif(current_setting('search_path'), '')), false),"
            " set_config('lock_timeout', $2, false), set_config('statement_timeout', $3, false),"
            " set_config('client_min_messages', 'notice', false)",
            scope.schema,
            str(scope.lock_timeout_ms),
            str(scope.statement_timeout_ms),
        )
        # Its own group: what comes next must be the first of an implicit transaction.
        self.sync()

    def _arm(self, scope: Scope) -> None:
        """Make a transaction's settings those of a scope."""
        self.do(
            "SELECT set_config('search_path', concat_ws(', ', quote_ident($1),"
            " nullif(current_setting('search_path'), '')), true),"
            " set_config('lock_timeout', $2, true), set_config('statement_timeout', $3, true),"
            " set_config('lfmigrate.history_schema', $4, true)",
            scope.schema,
            str(scope.lock_timeout_ms),
            str(scope.statement_timeout_ms),
            scope.history_schema,
        )
        # What the files find is kept apart from what the catalog queries need; see below.
        self.do(
            "SELECT set_config('lfmigrate.path', current_setting('search_path'), true),"
            " set_config('lfmigrate.jit', current_setting('jit'), true),"
            " set_config('lfmigrate.role',"
            " coalesce(nullif(current_setting('role'), ''), 'none'), true)"
        )

    def _add(self, answer: Answer[T]) -> Answer[T]:
        self._open.append(answer)
        return answer


@contextmanager
def throwaway(conn: Connection) -> Iterator[Connection]:
    """Make an empty database beside a connection's own, connect to it, and drop it afterwards.

    Args:
        conn: An open connection without an open transaction, whose role may create databases.

    Raises:
        DatabaseError: It could not be made.
    """
    name = f"lfmigrate_check_{secrets.token_hex(6)}"
    try:
        conn.execute(f"CREATE DATABASE {quote_name(name)} TEMPLATE template0".encode())
    except psycopg.Error as error:
        raise DatabaseError(
            f"a database to try the files on could not be made: {error.diag.message_primary}",
            outcome=NOTHING_CHANGED,
            hint="Name a server on which the role may create databases, or leave --database-url"
            " out to use the private one.",
        ) from None
    try:
        with closing(connect(conninfo.make_conninfo(address_of(conn), dbname=name))) as second:
            yield second
    finally:
        conn.execute(f"DROP DATABASE IF EXISTS {quote_name(name)} WITH (FORCE)".encode())


@contextmanager
def rolled_back_on_error(
    conn: Connection, outcome: ErrorOutcome = NOTHING_CHANGED
) -> Iterator[None]:
    """Roll back the open transaction when the block fails, and say so in the error.

    Args:
        conn: The connection whose transaction is open.
        outcome: What is true of the database once it is rolled back.
    """
    try:
        yield
    except LfmigrateError as error:
        roll_back(conn)
        error.outcome = outcome
        raise
    except KeyboardInterrupt as interrupt:
        # Between two flights; what the server still has open it rolls back.
        conn.close()
        raise Interrupted("interrupted", outcome=outcome) from interrupt
    except BaseException:
        conn.close()
        raise


def roll_back(conn: Connection) -> None:
    """Roll back, by all means: a connection that cannot be told to is closed."""
    if conn.closed:
        return
    flight = Flight(conn)
    flight.do("ROLLBACK")
    try:
        flight.go()
    except LfmigrateError:
        conn.close()
