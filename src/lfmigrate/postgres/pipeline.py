"""Sends statements in pipelined batches (flights).

A flight is a batch of statements that are sent together and whose results come back together: one
round trip, however many statements it has. Each statement keeps its own result, error and notices.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Generic

import psycopg

from lfmigrate.errors import (
    NOTHING_CHANGED,
    ErrorOutcome,
    Interrupted,
    LfmigrateError,
    StatementFailed,
)
from lfmigrate.postgres.connection import Connection, abandon, is_idle
from lfmigrate.postgres.release import Defaults, releases
from lfmigrate.postgres.wire import (
    Answer,
    OnStall,
    Progress,
    Selected,
    T,
    Wire,
    connection_lost,
)
from lfmigrate.settings import Scope
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.names import quote_name
from lfmigrate.syntax.scanner import Statement
from lfmigrate.syntax.settings import may_set, may_skip

# Settings that change the texts in which the server shows definitions, and what they are read with.
_PINNED = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "lc_monetary": "C",
    "jit": "off",
}

# A lock that was not acquired within lock_timeout.
LOCK_TIMEOUT = "55P03"


@dataclass(frozen=True, slots=True)
class Query(Generic[T]):
    """A question to the server that is answered by one row with one JSON value.

    Attributes:
        sql: One statement, with ``$1``, ``$2`` … for the parameters.
        params: The parameters in text form.
        decode: Turns the parsed JSON value into what the question asks for.
        first: Statements to run right before it, each with its parameters.
    """

    sql: str
    params: tuple[str | None, ...]
    decode: Callable[[Any], T]
    first: tuple[tuple[str, tuple[str | None, ...]], ...] = ()


Guard = Callable[["Flight", Statement], AbstractContextManager[None]]


class Flight:
    """Statements that go to the server together.

    Groups of statements are separated by `sync`. A statement that fails makes the server skip the
    rest of its group, not the next group.
    """

    def __init__(
        self,
        conn: Connection,
        progress: Progress | None = None,
        on_stall: OnStall | None = None,
    ) -> None:
        """Prepare an empty flight.

        Args:
            conn: The connection.
            progress: Called with each result of a file's statement as soon as it arrives.
            on_stall: Asked while no result arrives; knows which sessions block this one.
        """
        self._conn = conn
        self._progress = progress
        self._on_stall = on_stall
        self._groups: list[tuple[list[Answer[Any]], frozenset[str]]] = []
        self._open: list[Answer[Any]] = []

    def begin(
        self, scope: Scope, *, read_only: bool = False, again: bool = False, locks: str = ""
    ) -> None:
        """Begin a transaction in a scope.

        Every setting is the transaction's own, because behind a pooler the session belongs to
        another client a moment later. Names resolve in the scope's schema first and then in the
        connection's own search path, so that extensions are found.

        An empty transaction that `read_state` left open is ended first, in the same flight; so is
        the one that the flight has begun, if ``again`` is set.

        Args:
            scope: The schema, and how long to wait.
            read_only: Whether the transaction only reads, as of one moment.
            again: Whether the flight has begun a transaction before.
            locks: The tables to lock against changes of their definition before that moment, as
                LOCK TABLE takes them: what another session truncates or rewrites after it would
                look empty.
        """
        self.open(read_only=read_only, again=again)
        if locks:
            # Neither of them takes the snapshot, as any SELECT would.
            self.do(f"SET LOCAL lock_timeout = {scope.lock_timeout_ms}")
            self.do(f"LOCK TABLE {locks} IN ACCESS SHARE MODE")
        self.arm(scope)

    def open(self, *, read_only: bool, again: bool = False) -> None:
        """Begin a transaction under the connection's own settings; see `begin`."""
        if again or not is_idle(self._conn):
            # No sync after it: see there.
            self.do("ROLLBACK")
        self.do(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY NOT DEFERRABLE"
            if read_only
            # What the last holder of the lock committed has to be visible after the lock.
            else "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE NOT DEFERRABLE"
        )

    def arm(self, scope: Scope, *, local: bool = True) -> None:
        """Apply a scope's settings to the transaction, or to a session of one's own."""
        self.do(
            "SELECT set_config('search_path', concat_ws(', ', quote_ident($1),"
            " nullif(current_setting('search_path'), '')), $2)",
            scope.schema,
            str(local),
        )
        self.limit(scope, local=local)

    def limit(self, scope: Scope, *, local: bool = True) -> None:
        """Apply a scope's timeouts; those of the role or the database would end a run halfway.

        idle_session_timeout remains: it counts only between transactions; see `Session.conn`.
        """
        self.set(_settings(scope), local=local)
        self.do(
            "SELECT CASE WHEN current_setting('server_version_num')::int >= 170000"
            " THEN set_config('transaction_timeout', '0', $1) END",
            str(local),
        )

    def set(self, settings: Mapping[str, str], *, local: bool = True) -> None:
        """Set what SET LOCAL or SET would set, all in one statement."""
        pairs = [text for pair in settings.items() for text in pair]
        calls = [f"set_config(${n}, ${n + 1}, {local})" for n in range(1, len(pairs), 2)]
        self.do(f"SELECT {', '.join(calls)}", *pairs)

    def look_at(self, *schemas: str) -> None:
        """Set what the texts of definitions depend on, so that the same catalogs read the same.

        Temporary tables come last in the search path; otherwise the server would look there first,
        and qualify the name of a table that has a temporary namesake. Compiling a catalog query
        would take longer than running it, so JIT is switched off.

        Source:
            Found by reading one schema under other values of every setting in pg_settings.
        """
        path = ", ".join(quote_name(schema) for schema in (*schemas, "pg_temp"))
        self.set({"search_path": path, **_PINNED})

    def run_file(
        self, file: SqlFile, scope: Scope, defaults: Defaults, *, release: bool = True
    ) -> list[Answer[None]]:
        """Add a file's statements, and undo afterwards whatever they set or left in the session.

        Args:
            file: The file.
            scope: That of the transaction.
            defaults: The settings that its statements find.
            release: As in `reset_session`.

        Returns:
            An answer per statement.
        """
        self.enter_file(defaults)
        answers = list(self.run_all(file.statements))
        self.reset(scope, defaults, release=release)
        return answers

    def run_all(
        self, statements: Iterable[Statement], guard: Guard | None = None
    ) -> Iterator[Answer[None]]:
        """Queue the statements of a file, and keep notices on, whatever they set; see `enter_file`.

        Args:
            statements: The statements.
            guard: Queues what has to be asked before and after each of them.

        Yields:
            An answer per statement, as soon as it is queued.
        """
        is_set = False
        for statement in statements:
            if is_set and may_skip(statement):
                self.set({"client_min_messages": "notice"})
                is_set = False
            with nullcontext() if guard is None else guard(self, statement):
                answer = self.run(statement)
            yield answer
            is_set = is_set or may_set(statement)

    def enter_file(self, defaults: Defaults, *schemas: str) -> None:
        """Set what a file's statements find.

        Skipped statements raise notices, and nothing else distinguishes them, so notices are on.
        """
        path = [*map(quote_name, schemas), defaults.search_path]
        self.set(
            {
                "search_path": ", ".join(filter(None, path)),
                "jit": defaults.jit,
                "client_min_messages": "notice",
            }
        )

    def reset(self, scope: Scope, defaults: Defaults, *, release: bool = False) -> None:
        """Reset the session (see `reset_session`), and apply the scope again."""
        self.reset_session(defaults, release=release)
        self.set({"search_path": defaults.search_path})
        self.limit(scope)

    def reset_session(self, defaults: Defaults, *, release: bool = False) -> None:
        """Reset the session's settings, role and user to what they were before the run.

        A SET would outlive the transaction, through a pooler even in another client's session. So
        would the trace of a SET LOCAL after a RESET: the server then takes the default for a
        setting of the session. Therefore a transaction also ends with this.

        Args:
            defaults: What the session had.
            release: Whether to release as well what files have left in the session, such as
                prepared statements, but for the kinds that the session had.
        """
        self.do("RESET SESSION AUTHORIZATION")
        # RESET ALL does not change the role.
        self.do("RESET ROLE")
        self.do("RESET ALL")
        if release:
            for statement in releases(defaults.own):
                self.do(statement)
        # Before the role is set, which may not be allowed to set them.
        self.do(
            "SELECT set_config(s.key, s.value, false) FROM jsonb_each_text($1::jsonb) AS s",
            json.dumps(dict(defaults.settings)),
        )
        self.set({"session_authorization": defaults.session_user}, local=False)
        self.set({"role": defaults.role}, local=False)

    def do(
        self,
        sql: str,
        *params: str | None,
        raises: Mapping[str, type[StatementFailed]] | None = None,
        about: Statement | None = None,
    ) -> Answer[None]:
        """Queue one of lfmigrate's own statements and discard its rows.

        Args:
            sql: The statement.
            params: The parameters in text form.
            raises: The classes of the errors that it raises itself, by SQLSTATE.
            about: The statement of a file that it prepares, where an error of it is reported.
        """
        return self._add(Answer(sql, params, raises=raises or {}, about=about))

    def ask(self, query: Query[T]) -> Answer[T]:
        """Queue a question; the answer is available when the flight has completed."""
        for sql, params in query.first:
            self.do(sql, *params)
        return self._add(Answer(query.sql, query.params, query.decode))

    def run(self, statement: Statement) -> Answer[None]:
        """Queue a statement of a SQL file. It has no parameters, so a ``%`` is just a ``%``."""
        return self._add(Answer(statement.text, statement=statement))

    def select(self, statement: Statement, limit: int) -> Answer[Selected]:
        """Queue a SELECT of a SQL file, to read its rows.

        Args:
            statement: The SELECT, or a WITH that ends in one.
            limit: How many rows to return.
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

        Only the last group of a flight may end a transaction. A transaction pooler takes the server
        connection back as soon as it sees a transaction end, and sends the rest of the flight to
        another one: half a run in one session, half in the next.

        Args:
            tolerated: SQLSTATEs that do not fail the flight; the answer keeps the error.
        """
        self._groups.append((self._open, frozenset(tolerated)))
        self._open = []

    def go(self) -> None:
        """Send everything, and wait until every result has arrived.

        Raises:
            StatementFailed: The first failure that is not tolerated. If a transaction is open, it
                stays open and failed.
            ConnectionFailed: The connection was lost.
            Interrupted: A signal arrived; the statement was cancelled and the connection closed.
        """
        if self._open:
            self.sync()
        groups, self._groups = self._groups, []
        if not groups:
            return
        with _explained(
            self._conn,
            lambda: (a.error.message for answers, _ in groups for a in answers if a.error),
        ):
            Wire(self._conn).exchange(
                [answers for answers, _ in groups], self._progress, self._on_stall
            )
        for answers, tolerated in groups:
            for answer in answers:
                if answer.error is not None and answer.error.sqlstate not in tolerated:
                    if answer.error.sqlstate == LOCK_TIMEOUT and self._on_stall is not None:
                        answer.error.held_by = tuple(self._on_stall.held_by)
                    raise answer.error

    def arm_session(self, scope: Scope) -> None:
        """Apply a scope's settings to a session of one's own, until RESET ALL."""
        self.arm(scope, local=False)
        self.set({"client_min_messages": "notice"}, local=False)
        # Its own group: what comes next must be the first of an implicit transaction.
        self.sync()

    def _add(self, answer: Answer[T]) -> Answer[T]:
        self._open.append(answer)
        return answer


def fetch(conn: Connection, query: Query[T]) -> T:
    """Return the answer to one question, asked in a flight of its own."""
    flight = Flight(conn)
    answer = flight.ask(query)
    flight.go()
    return answer.value


def execute(conn: Connection, sql: str) -> None:
    """Run one of lfmigrate's own statements in a flight of its own."""
    flight = Flight(conn)
    flight.do(sql)
    flight.go()


def _settings(scope: Scope) -> dict[str, str]:
    return {
        "lock_timeout": str(scope.lock_timeout_ms),
        "statement_timeout": str(scope.statement_timeout_ms),
        "idle_in_transaction_session_timeout": "0",
        "lfmigrate.history_schema": scope.history_schema,
    }


@contextmanager
def _explained(conn: Connection, last_words: Callable[[], Iterable[str]]) -> Iterator[None]:
    """Close the connection when an exchange is interrupted or the connection is lost, and say so.

    Args:
        conn: The connection.
        last_words: What the server said last, such as that an administrator ended the session.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        abandon(conn)
        raise Interrupted("interrupted") from interrupt
    except psycopg.OperationalError as error:
        conn.close()
        raise connection_lost([*last_words(), *str(error).splitlines()]) from None


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


def roll_back(conn: Connection, defaults: Defaults | None = None) -> None:
    """Roll back; close the connection if ROLLBACK cannot be sent.

    Args:
        conn: The connection.
        defaults: If files have run: what the session had. What they have left in the session and
            survives the rollback is released.
    """
    if conn.closed:
        return
    try:
        roll_back_and_release(conn, defaults)
    except LfmigrateError:
        conn.close()


def roll_back_and_release(conn: Connection, defaults: Defaults | None) -> None:
    """Roll back as `roll_back` does, but raise what goes wrong.

    In one message, because a pooler takes the connection when it sees the transaction end.

    Raises:
        LfmigrateError: As `Flight.go` raises it.
    """
    statements = ["ROLLBACK"]
    if defaults is not None:
        statements += releases(defaults.own, rolled_back=True)
    with _explained(conn, lambda: ()):
        Wire(conn).send("; ".join(statements))
