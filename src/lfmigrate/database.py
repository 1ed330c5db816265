"""The road to the server: one way to connect, and one way to send statements, in flights.

A flight is a burst of statements that are sent together and whose answers come back together, so
that it costs one round trip however many statements it holds. It uses the protocol's pipeline
mode through `psycopg.pq`, because each statement must keep its own result, error and notices:
psycopg's own pipeline tells a notice to the connection, not to the statement that caused it.
"""

from __future__ import annotations

import json
import os
import random
import re
import secrets
import selectors
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import psycopg
from psycopg import conninfo, pq

from lfmigrate.errors import (
    NOTHING_CHANGED,
    ConnectionFailed,
    ConnectionLost,
    DatabaseError,
    Interrupted,
    LfmigrateError,
    Named,
    StatementFailed,
    UsageError,
    excerpt,
)
from lfmigrate.sqlfile import SqlFile, Statement

T = TypeVar("T")

Connection = psycopg.Connection[Any]

# What libpq hands out: bytes or a view of them.
Buffer = bytes | memoryview

# libpq waits for ever by default. Ten seconds are enough for three lost SYN packets in a row.
CONNECT_TIMEOUT_S = 10

# Between two attempts to connect: short at first, because most servers wake within two seconds.
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 2.0

# A signal can come just before the wait begins, or on another thread, and then nothing wakes the
# wait: Python looks for signals when it returns.
_SIGNAL_CHECK_S = 0.1

# libpq tells no SQLSTATE for a connection that failed, so its words have to do; they are
# libpq's and psycopg's own, and the server's in its default language.
_TRANSIENT = (
    "connection refused",
    "connection reset",
    "connection timeout expired",
    "timeout expired",
    "timed out",
    "starting up",
    "shutting down",
    "not yet accepting connections",
    "in recovery mode",
    "too many clients",
    "too many connections",
    "remaining connection slots",
    "temporary failure in name resolution",
    "server closed the connection unexpectedly",
    "no such file or directory",
    "network is unreachable",
    "no route to host",
    "endpoint is starting",
)


# The ways out that are lfmigrate's own.
_HINTS = {
    "25001": "It cannot run in a transaction: give it a migration of its own that begins with the"
    ' line "-- lfmigrate: no-transaction".',
    "55P04": "A new value can be used when the transaction that adds it has ended: add it in a"
    ' migration of its own that begins with the line "-- lfmigrate: no-transaction".',
    "25006": "Connect to a server and with a role that may write.",
    "53200": "The run holds more locks than the server has room for: try --per-migration, or raise"
    " max_locks_per_transaction.",
    "55P03": "Try again when the other session is done, or wait longer with --lock-timeout.",
    "57014": "Allow more time with --statement-timeout, if it was not cancelled by hand.",
}

# What the server remarks when IF NOT EXISTS skips a relation or a column.
_SKIPPED = frozenset({"42P07", "42701"})

# What to say when libpq's account holds one word of each group; the first match counts.
_EXPLANATIONS: tuple[tuple[tuple[tuple[str, ...], ...], str, str], ...] = (
    (
        (("no password supplied",),),
        "{where} wants a password for {user}, and none is given",
        "Put it into the URL, behind the user and a colon, or into PGPASSWORD.",
    ),
    (
        (("password authentication failed",),),
        "{where} did not accept the password of {user}",
        (
            "Check the user and the password in the URL; characters such as @ : / # % have to be"
            " percent-encoded in it."
        ),
    ),
    (
        # With the quote, because a role may be called "database_user".
        (('database "',), ("does not exist",)),
        'database "{database}" does not exist on {where}',
        'Create it ("createdb {database}"), or correct the name at the end of the URL.',
    ),
    (
        (('role "',), ("does not exist",)),
        "{user} does not exist on {where}",
        "Correct the user in the URL.",
    ),
    (
        (("connection is insecure", "ssl required", "no encryption", "ssl off"),),
        "{where} wants TLS",
        'Add "sslmode=require" to the URL, as in "postgresql://host/name?sslmode=require".',
    ),
    (
        (("does not support ssl",),),
        "{where} does not speak TLS, and the URL asks for it",
        'Take "sslmode=require" out of the URL if this server is meant.',
    ),
    (
        (("pg_hba.conf",),),
        "{where} lets nobody in from here as {user}",
        "Ask the server's owner for an entry in pg_hba.conf.",
    ),
    (
        (("resolve", "translate host name", "name or service"),),
        'host "{host}" was not found',
        "Check the spelling of the host in the URL, and the network.",
    ),
    (
        (("refused", "no such file or directory"),),
        "nothing answers at {where}",
        'Start the server, correct host and port, or try "--embedded" for a private one.',
    ),
    (
        (("too many clients", "too many connections", "remaining connection slots"),),
        "{where} has no room for one more connection",
        "Close some, go through a pooler, or wait longer with --wait.",
    ),
    (
        (("timeout", "timed out"),),
        "{where} did not answer in time",
        "Check host, port and firewall; a sleeping server may need a longer --wait.",
    ),
)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where in a database to work, and how patiently.

    Attributes:
        schema: The schema that unqualified names go to; None for the connection's own.
        history_schema: The schema of lfmigrate's own table.
        lock_timeout_ms: How long a statement may queue behind other sessions; 0 for ever.
        statement_timeout_ms: How long a statement may run; 0 for ever.
    """

    schema: str | None = None
    history_schema: str = "lfmigrate"
    lock_timeout_ms: int = 5000
    statement_timeout_ms: int = 0


@dataclass(frozen=True, slots=True)
class Query(Generic[T]):
    """A question to the server that is answered by one row with one JSON value.

    Attributes:
        sql: One statement, with ``$1``, ``$2`` … for the parameters.
        params: The parameters in text form.
        decode: Turns the parsed JSON value into what the question asks for.
    """

    sql: str
    params: tuple[str | None, ...]
    decode: Callable[[Any], T]


@dataclass(frozen=True, slots=True)
class Selected:
    """What a SELECT of a file returned: how many rows, and the first of them by column name."""

    count: int
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """What the server remarked while it ran a statement: its SQLSTATE and its words."""

    sqlstate: str
    message: str


@dataclass(slots=True, eq=False)
class Answer(Generic[T]):
    """What became of one statement of a flight; filled when the flight has landed."""

    sql: str
    params: tuple[str | None, ...] = ()
    decode: Callable[[Any], T] | None = None
    statement: Statement | None = None
    # How many characters of `sql` come before the statement's own text.
    lead: int = 0
    notices: list[Notice] = field(default_factory=list)
    error: StatementFailed | None = None
    elapsed_ms: float = 0.0
    landed: bool = False
    text: str | None = None

    @property
    def has_skipped(self) -> bool:
        """Return whether IF NOT EXISTS found a relation or a column that is already there."""
        return any(notice.sqlstate in _SKIPPED for notice in self.notices)

    @property
    def value(self) -> T:
        """Return the answer to a `Query`."""
        if self.decode is None or not self.landed:
            raise LookupError(f"no value: {self.sql[:60]}")
        return self.decode(None if self.text is None else json.loads(self.text))


Progress = Callable[[Answer[Any]], None]


@dataclass(frozen=True, slots=True)
class Stall:
    """What to do while a flight waits: ``act``, whenever no answer came for so long."""

    after_s: float
    act: Callable[[], None]


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
        wire = _Wire(self._conn)
        try:
            wire.exchange([answers for answers, _ in groups], progress, stall)
        except KeyboardInterrupt as interrupt:
            abandon(self._conn)
            raise Interrupted("interrupted") from interrupt
        except psycopg.OperationalError as error:
            self._conn.close()
            # What the server said last, such as that an administrator ended the session.
            last_words = [a.error.message for answers, _ in groups for a in answers if a.error]
            raise _lost([*last_words, *str(error).splitlines()]) from None
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


class _Wire:
    """One exchange in pipeline mode, on libpq's own terms."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._pgconn = conn.pgconn
        self._current: Answer[Any] | None = None
        self._stall: Stall | None = None

    def exchange(
        self,
        groups: list[list[Answer[Any]]],
        progress: Progress | None,
        stall: Stall | None,
    ) -> None:
        pgconn = self._pgconn
        self._stall = stall
        if pgconn.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError("the connection is closed")
        self._conn.add_notice_handler(self._on_notice)
        # Without this, libpq would block in a long write while the server blocks in writing the
        # answers that nobody reads.
        pgconn.nonblocking = 1
        pgconn.enter_pipeline_mode()
        try:
            for answers in groups:
                for answer in answers:
                    params = [None if p is None else p.encode() for p in answer.params]
                    pgconn.send_query_params(answer.sql.encode(), params)
                    if progress is not None:
                        # The server would keep its answers until the sync; this makes each one
                        # visible as it comes, and costs no round trip.
                        pgconn.send_flush_request()
                pgconn.pipeline_sync()
            for answers in groups:
                self._receive(answers, progress)
            pgconn.exit_pipeline_mode()
        finally:
            self._conn.remove_notice_handler(self._on_notice)

    def _receive(self, answers: list[Answer[Any]], progress: Progress | None) -> None:
        started = time.perf_counter()
        for answer in answers:
            self._current = answer
            while (result := self._next()) is not None:
                if result.status == pq.ExecStatus.TUPLES_OK and answer.decode is not None:
                    value = result.get_value(0, 0)
                    answer.text = None if value is None else value.decode()
                elif result.status == pq.ExecStatus.FATAL_ERROR:
                    answer.error = self._failure(answer, result)
                answer.landed = answer.error is None and (
                    result.status != pq.ExecStatus.PIPELINE_ABORTED
                )
            now = time.perf_counter()
            answer.elapsed_ms, started = (now - started) * 1000, now
            if progress is not None and answer.landed and answer.statement is not None:
                progress(answer)
        self._current = None
        synced = self._next()
        if synced is None or synced.status != pq.ExecStatus.PIPELINE_SYNC:
            raise psycopg.OperationalError("lost synchronization with the server")

    def _next(self) -> pq.abc.PGresult | None:
        pgconn = self._pgconn
        heard = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(pgconn.socket, selectors.EVENT_READ)
            while pgconn.is_busy():
                unsent = pgconn.flush()
                selector.modify(
                    pgconn.socket,
                    selectors.EVENT_READ | (selectors.EVENT_WRITE if unsent else 0),
                )
                ready = selector.select(_SIGNAL_CHECK_S)
                if ready:
                    heard = time.monotonic()
                elif self._stall is not None and time.monotonic() - heard > self._stall.after_s:
                    self._stall.act()
                    heard = time.monotonic()
                for _, events in ready:
                    if events & selectors.EVENT_READ:
                        pgconn.consume_input()
        result = pgconn.get_result()
        if result is not None and pgconn.status == pq.ConnStatus.BAD:
            raise psycopg.OperationalError(result.get_error_message() or "the connection was lost")
        return result

    def _on_notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if self._current is not None:
            self._current.notices.append(
                Notice(diagnostic.sqlstate or "", diagnostic.message_primary or "")
            )

    def _failure(self, answer: Answer[Any], result: pq.abc.PGresult) -> StatementFailed:
        def said(what: pq.DiagnosticField) -> str | None:
            value = result.error_field(what)
            return None if value is None else value.decode("utf-8", "replace")

        detail = []
        line = column = None
        position = said(pq.DiagnosticField.STATEMENT_POSITION)
        statement = answer.statement
        if statement is not None:
            # Outside of the statement's own text is what was put around it.
            place = int(position) - answer.lead if position else 0
            place = place if 1 <= place <= len(statement.text) else 0
            line, column, lines = point_at(statement, place or None)
            detail += lines
        for what in (pq.DiagnosticField.MESSAGE_DETAIL, pq.DiagnosticField.CONTEXT):
            detail += (said(what) or "").splitlines()
        hint = said(pq.DiagnosticField.MESSAGE_HINT)
        sqlstate = said(pq.DiagnosticField.SQLSTATE) or ""
        error = StatementFailed(
            said(pq.DiagnosticField.MESSAGE_PRIMARY) or "the server failed without a message",
            detail=detail,
            # The server recommends CASCADE wherever something depends on something.
            hint=_HINTS.get(sqlstate, None if hint is None or "CASCADE" in hint else hint),
            sqlstate=sqlstate,
            file=None if statement is None else statement.file,
            line=line,
            column=column,
        )
        error.named = Named(
            said(pq.DiagnosticField.SCHEMA_NAME),
            said(pq.DiagnosticField.TABLE_NAME),
            said(pq.DiagnosticField.COLUMN_NAME),
            said(pq.DiagnosticField.CONSTRAINT_NAME),
        )
        return error


def quote_name(name: str) -> str:
    """Return a name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def point_at(statement: Statement, position: int | None) -> tuple[int, int, list[str]]:
    """Find the place in the file that an error is about, and show it.

    Args:
        statement: The statement that failed.
        position: Where in its text, in characters from 1; None if the server did not say, and
            then the statement's beginning is meant.

    Returns:
        The line and the column in the file, both from 1 and in characters, and the lines to show:
        the source line and, below the place itself, a caret where the server gave a position.
    """
    before = statement.text[: (position or 1) - 1]
    lines_before = before.count("\n")
    line = statement.line + lines_before
    in_line = len(before) - (before.rfind("\n") + 1)
    column = in_line + (statement.column if lines_before == 0 else 1)
    source = statement.text.split("\n")[lines_before].rstrip("\r")
    shown, place = excerpt(source, in_line + 1)
    lines = [f"{line} | {shown}"]
    if position is not None:
        # Tabs are kept in the padding, so that the caret stands below its character.
        padding = "".join("\t" if c == "\t" else " " for c in shown[: place - 1])
        lines.append(" " * len(f"{line} | ") + padding + "^")
    return line, column, lines


def connect(
    url: str, *, wait_s: float = 0, on_wait: Callable[[str], None] | None = None
) -> Connection:
    """Open a connection that works through a transaction pooler too.

    No startup options, no named prepared statements and no session settings are used: a pooler in
    transaction mode would refuse them, lose them, or hand them to somebody else.

    Args:
        url: A PostgreSQL URL or a keyword string, as libpq takes it.
        wait_s: For how many seconds to try again while the server cannot be reached or starts up.
        on_wait: Called once with the reason when waiting begins.

    Returns:
        A connection in autocommit mode; transactions are begun and ended by flights.

    Raises:
        ConnectionFailed: Refused, not reachable in time, wrong password, no such database, ….

    Source:
        libpq, "Parameter Key Words"; psycopg, "Prepared statements" on PgBouncer.
    """
    parameters = conninfo.conninfo_to_dict(url)
    parameters.setdefault("connect_timeout", CONNECT_TIMEOUT_S)
    parameters.setdefault("fallback_application_name", "lfmigrate")
    parameters["client_encoding"] = "UTF8"
    give_up_at = time.monotonic() + wait_s
    pause_s = _FIRST_PAUSE_S
    told = False
    while True:
        try:
            return psycopg.Connection.connect(
                **parameters,  # type: ignore[arg-type]  # libpq's keywords; psycopg types its own
                autocommit=True,
                prepare_threshold=None,
            )
        except psycopg.OperationalError as error:
            failure = _explain(str(error), parameters)
            said = str(error).lower()
            # Of several hosts one may be down and another have an opinion of the password.
            transient = "password authentication failed" not in said and any(
                words in said for words in _TRANSIENT
            )
            if not transient or time.monotonic() + pause_s > give_up_at:
                raise failure from None
            if on_wait is not None and not told:
                on_wait(failure.message)
                told = True
        # Jitter, so that jobs that started together do not knock together.
        time.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311 (no secret is made here)
        pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def connect_directly(address: str, on_wait: Callable[[str], None] | None) -> Connection:
    """Open a connection whose session is nobody else's, for what cannot run in a transaction.

    A mark in the startup options tells: a transaction pooler refuses it or drops it. Of Neon's
    pooled host names the direct one is known, and used instead.

    Args:
        address: As `address_of` returns it.
        on_wait: Called with a line if another host is used.

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
            on_wait(f"what runs outside of a transaction goes directly to {own}, past the pooler")
    mark = secrets.token_hex(6)
    options = parameters.get("options") or os.environ.get("PGOPTIONS") or ""
    parameters["options"] = f"{options} -c lfmigrate.session={mark}".lstrip()
    where = _where(parameters)
    try:
        conn = connect(conninfo.make_conninfo("", **parameters))
    except ConnectionFailed as error:
        if not any("unsupported startup parameter" in line for line in error.detail):
            raise
        raise _pooled(where) from None
    found = conn.execute("SELECT current_setting('lfmigrate.session', true)").fetchone()
    if found != (mark,):
        conn.close()
        raise _pooled(where)
    return conn


def direct_host(host: str) -> str:
    """Return Neon's direct name of a pooled host, or the host as it is.

    Args:
        host: One name, or several with commas, as libpq takes them.
    """
    return ",".join(
        re.sub(r"^([^.]+)-pooler(\..*\.neon\.(?:tech|build))$", r"\1\2", name)
        for name in host.split(",")
    )


def _pooled(where: str) -> UsageError:
    return UsageError(
        f"{where} is a pooler, and what runs outside of a transaction takes a direct connection",
        detail=[NOTHING_CHANGED],
        hint="Point --database-url at the server itself for this run.",
    )


def copy_in(conn: Connection, sql: str, blocks: Iterable[bytes]) -> int:
    """Run a COPY FROM STDIN in the open transaction.

    Args:
        conn: The connection.
        sql: The statement.
        blocks: What to send, wherever each ends. What it raises ends the COPY and fails the
            transaction.

    Returns:
        How many rows the server took.

    Raises:
        StatementFailed: The server refused it, or a row of it.
        ConnectionFailed: The connection was lost.
    """
    with _copy_errors(conn), conn.cursor() as cursor:
        with cursor.copy(sql.encode()) as copy:
            for block in blocks:
                copy.write(block)
        return cursor.rowcount


def copy_out(conn: Connection, sql: str, *, batch_rows: int) -> Iterator[Sequence[Buffer]]:
    """Run a COPY TO STDOUT in the open transaction.

    Through libpq itself, because psycopg's own reading takes twice the time for each row.

    Args:
        conn: The connection.
        sql: The statement.
        batch_rows: How many rows to return at once.

    Returns:
        The rows as the server sends them, in batches. Who stops early cancels the statement.

    Raises:
        StatementFailed: The server refused it, or failed on the way.
        ConnectionFailed: The connection was lost.
    """
    pgconn = conn.pgconn
    under_way = False
    with _copy_errors(conn):
        try:
            pgconn.send_query(sql.encode())
            pgconn.flush()
            result = _await_result(pgconn)
            under_way = result is not None and result.status == pq.ExecStatus.COPY_OUT
            batch: list[Buffer] = []
            while under_way:
                count, row = pgconn.get_copy_data(1)
                if count > 0:
                    batch.append(row)
                    if len(batch) == batch_rows:
                        yield batch
                        batch = []
                elif count == 0:
                    _await_input(pgconn)
                else:
                    under_way = False
                    result = _await_result(pgconn)
            _finish(pgconn, result)
            yield batch
        finally:
            if under_way and pgconn.status == pq.ConnStatus.OK:
                conn.cancel_safe(timeout=2.0)
                while (left := pgconn.get_copy_data(0)[0]) > 0:
                    del left
                _await_result(pgconn)


def _finish(pgconn: pq.abc.PGconn, result: pq.abc.PGresult | None) -> None:
    """Take what follows a statement's result, and raise if that is an error."""
    while _await_result(pgconn) is not None:
        pass
    if result is None or result.status == pq.ExecStatus.FATAL_ERROR:
        raise psycopg.errors.error_from_result(result) if result else psycopg.OperationalError()


def _await_input(pgconn: pq.abc.PGconn) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(pgconn.socket, selectors.EVENT_READ)
        selector.select(_SIGNAL_CHECK_S)
    pgconn.consume_input()


def _await_result(pgconn: pq.abc.PGconn) -> pq.abc.PGresult | None:
    while pgconn.is_busy():
        _await_input(pgconn)
    return pgconn.get_result()


@contextmanager
def _copy_errors(conn: Connection) -> Iterator[None]:
    """Turn psycopg's errors into ours, and close a connection that is lost."""
    try:
        yield
    except psycopg.Error as error:
        if conn.pgconn.status != pq.ConnStatus.OK:
            conn.close()
            raise _lost(str(error).splitlines()) from None
        said = error.diag
        failure = StatementFailed(
            said.message_primary or str(error),
            detail=[*(said.message_detail or "").splitlines(), *(said.context or "").splitlines()],
            hint=_HINTS.get(said.sqlstate or ""),
            sqlstate=said.sqlstate,
        )
        failure.named = Named(
            said.schema_name, said.table_name, said.column_name, said.constraint_name
        )
        raise failure from None


def address_of(conn: Connection) -> str:
    """Return what `connect` needs to come back to an open connection; it holds a secret."""
    info = conn.info
    return conninfo.make_conninfo(info.dsn, password=info.password or None)


def abandon(conn: Connection) -> None:
    """Cancel whatever runs on a connection and close it; the server then rolls back.

    Closing alone would leave a long statement running until it wants to answer.
    """
    try:
        # Two seconds: whoever pressed Ctrl-C wants to be gone, and the server cleans up by itself.
        conn.cancel_safe(timeout=2.0)
    except (psycopg.Error, OSError):
        pass  # not reachable: then the server notices that the connection is gone
    finally:
        conn.close()


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
            detail=[NOTHING_CHANGED],
            hint="Name a server on which the role may create databases, or leave --database-url"
            " out to use the private one.",
        ) from None
    try:
        with closing(connect(conninfo.make_conninfo(address_of(conn), dbname=name))) as second:
            yield second
    finally:
        conn.execute(f"DROP DATABASE IF EXISTS {quote_name(name)} WITH (FORCE)".encode())


@contextmanager
def rolled_back_on_error(conn: Connection, *, note: str) -> Iterator[None]:
    """Roll back the open transaction when the block fails, and say so in the error.

    Args:
        conn: The connection whose transaction is open.
        note: What to add to the error's details once it is true, such as "Nothing was changed."
    """
    try:
        yield
    except LfmigrateError as error:
        roll_back(conn)
        if note not in error.detail:
            error.detail = (*error.detail, note)
        raise
    except KeyboardInterrupt as interrupt:
        # Between two flights; what the server still has open it rolls back.
        conn.close()
        raise Interrupted("interrupted", detail=[note]) from interrupt
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


def _lost(lines: Sequence[str]) -> ConnectionLost:
    return ConnectionLost(
        "the connection to the server was lost",
        detail=[line.strip() for line in lines if line.strip()],
    )


def _explain(words: str, parameters: dict[str, Any]) -> ConnectionFailed:
    """Turn libpq's account of a failed connection into one that says the way out."""
    where = _where(parameters)
    said = words.lower()
    if (parameters.get("sslmode") or os.environ.get("PGSSLMODE")) not in {"disable", "allow"}:
        # Every refusal of a plain connection names it; it is the reason where TLS was declined.
        said = said.replace("no encryption", "").replace("ssl off", "")
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    for words_of_it, message, hint in _EXPLANATIONS:
        if all(any(w in said for w in either) for either in words_of_it):
            facts = {
                "where": where,
                "user": _user(parameters),
                "database": parameters.get("dbname") or parameters.get("user") or "",
                "host": parameters.get("host", ""),
            }
            return ConnectionFailed(
                message.format(**facts), detail=lines, hint=hint.format(**facts)
            )
    return ConnectionFailed(f"cannot connect to {where}", detail=lines)


def _where(parameters: dict[str, Any]) -> str:
    host = str(parameters.get("host") or parameters.get("hostaddr") or "the local socket")
    port = parameters.get("port")
    return f"{host}:{port}" if port else host


def _user(parameters: dict[str, Any]) -> str:
    user = parameters.get("user")
    return f'role "{user}"' if user else "this system user"
