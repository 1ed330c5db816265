"""Exchanges pipelined statements with the server, through libpq.

psycopg's own pipeline attributes a notice to the connection; a skipped statement is known by its
notice alone, so it has to be attributed to the statement that raised it.
"""

from __future__ import annotations

import json
import selectors
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import psycopg
from psycopg import pq

from lfmigrate.errors import ConnectionLost, Diagnostic, StatementFailed, excerpt, locate
from lfmigrate.postgres.connection import Connection
from lfmigrate.syntax.scanner import Statement

T = TypeVar("T")

# A signal can come just before the wait begins, or on another thread, and then nothing wakes the
# wait: Python looks for signals when it returns.
SIGNAL_CHECK_S = 0.1

# How much is handed to libpq before the network has taken it: enough to keep the server busy.
_QUEUED_BYTES = 256 * 1024

# Hints of our own.
HINTS = {
    "25001": "It cannot run in a transaction: give it a file of its own that begins with the line"
    ' "-- lfmigrate: no-transaction"; a down file may begin with it, too.',
    "55P04": "A new value can be used when the transaction that adds it has ended: run the"
    " migrations with --per-migration, if another one adds it, or add it in a migration of its own"
    ' that begins with the line "-- lfmigrate: no-transaction".',
    "25006": "Connect to a server and with a role that may write.",
    "53200": "The run holds more locks than the server has room for: try --per-migration, or raise"
    " max_locks_per_transaction.",
    "40001": "Try again when the other session is done.",
    "40P01": "Try again when the other session is done.",
    "55P03": "Try again when the other session is done, or wait longer with --lock-timeout.",
    "57014": "Allow more time with --statement-timeout, if it was not cancelled by hand.",
}

# The notices of IF NOT EXISTS when it skips a relation, a column, a schema, or anything else.
_SKIPPED = frozenset({"42P07", "42701", "42P06", "42710"})


# The command tags of what changes existing rows.
_CHANGING = (b"UPDATE", b"DELETE", b"MERGE")


@dataclass(frozen=True, slots=True)
class Selected:
    """What a SELECT of a file returned: how many rows, and the first of them by column name."""

    count: int
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice raised while a statement ran."""

    sqlstate: str
    message: str


@dataclass(slots=True, eq=False)
class Answer(Generic[T]):
    """The result of one statement, available once its flight has completed."""

    sql: str
    params: tuple[str | None, ...] = ()
    decode: Callable[[Any], T] | None = None
    statement: Statement | None = None
    # The statement of a file that it prepares; its errors are about that one.
    about: Statement | None = None
    # How many characters of `sql` come before the statement's own text.
    lead: int = 0
    # The classes of the errors that it raises itself, by SQLSTATE. A file may raise the same codes.
    raises: Mapping[str, type[StatementFailed]] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    error: StatementFailed | None = None
    elapsed_ms: float = 0.0
    landed: bool = False
    text: str | None = None
    # How many rows it has updated, deleted or merged.
    changed: int = 0

    @property
    def has_skipped(self) -> bool:
        """Return whether IF NOT EXISTS found something that is already there."""
        return any(notice.sqlstate in _SKIPPED for notice in self.notices)

    @property
    def value(self) -> T:
        """Return the answer to a `Query`."""
        if self.decode is None or not self.landed:
            raise LookupError(f"no value: {self.sql[:60]}")
        return self.decode(None if self.text is None else json.loads(self.text))


Progress = Callable[[Answer[Any]], None]


class OnStall(Protocol):
    """What to ask while no result arrives.

    Attributes:
        after_s: How long to wait for a result before asking.
        held_by: The sessions that block this one, a line each, when last asked.
    """

    @property
    def after_s(self) -> float: ...

    @property
    def held_by(self) -> Sequence[str]: ...

    def ask(self) -> None:
        """Find out which sessions block this one."""


class Wire:
    """One exchange in libpq's pipeline mode.

    Attributes:
        queued: How many messages were handed to libpq so far.
    """

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._pgconn = conn.pgconn
        self._current: Answer[Any] | None = None
        self._on_stall: OnStall | None = None
        # What queues the next message and returns its size.
        self._messages: Iterator[int] = iter(())
        self.queued = 0
        self._answered = 0

    def exchange(
        self,
        groups: list[list[Answer[Any]]],
        progress: Progress | None,
        on_stall: OnStall | None,
    ) -> None:
        pgconn = self._pgconn
        self._on_stall = on_stall
        if pgconn.status != pq.ConnStatus.OK:
            raise psycopg.OperationalError("the connection is closed")
        self._conn.add_notice_handler(self._on_notice)
        # Without this, libpq would block in a long write while the server blocks in writing the
        # results that are not being read.
        pgconn.nonblocking = 1
        pgconn.enter_pipeline_mode()
        try:
            self._messages = self._send_all(groups, progress)
            for answers in groups:
                self._receive(answers, progress)
            pgconn.exit_pipeline_mode()
        finally:
            self._conn.remove_notice_handler(self._on_notice)

    def send(self, sql: str) -> None:
        """Send statements of lfmigrate's own in one message, and discard their rows.

        Raises:
            StatementFailed: The first one that failed; those after it have not run.
        """
        self._pgconn.nonblocking = 1
        answer: Answer[None] = Answer(sql)
        self._pgconn.send_query(sql.encode())
        while (result := self._next()) is not None:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                answer.error = failure(result)
        if answer.error is not None:
            raise answer.error

    def _send_all(
        self, groups: list[list[Answer[Any]]], progress: Progress | None
    ) -> Iterator[int]:
        """Hand one message after the other to libpq, and return the size of each in bytes."""
        for answers in groups:
            for answer in answers:
                sql = answer.sql.encode()
                params = [None if p is None else p.encode() for p in answer.params]
                self._pgconn.send_query_params(sql, params)
                if progress is not None:
                    # The server would keep its answers until the sync; this makes each one
                    # visible as it comes, and costs no round trip.
                    self._pgconn.send_flush_request()
                yield len(sql) + sum(len(p) for p in params if p is not None)
            self._pgconn.pipeline_sync()
            yield 0

    def _queue(self) -> bool:
        """Hand the next messages to libpq, and return whether there were any.

        As long as the network does not take them, libpq moves all that it has with each packet.
        """
        room, before = _QUEUED_BYTES, self.queued
        while room > 0 and (size := next(self._messages, None)) is not None:
            self.queued += 1
            room -= size
        return self.queued > before

    def _expect(self) -> None:
        """See to it that the next message whose answer is awaited was queued."""
        self._answered += 1
        while self.queued < self._answered:
            self._queue()

    def _receive(self, answers: list[Answer[Any]], progress: Progress | None) -> None:
        started = time.perf_counter()
        for answer in answers:
            self._current = answer
            self._expect()
            while (result := self._next()) is not None:
                if result.status == pq.ExecStatus.TUPLES_OK and answer.decode is not None:
                    value = result.get_value(0, 0)
                    answer.text = None if value is None else value.decode()
                elif (result.command_status or b"").startswith(_CHANGING):
                    answer.changed = result.command_tuples or 0
                elif result.status == pq.ExecStatus.FATAL_ERROR:
                    about = answer.statement or answer.about
                    answer.error = failure(result, about, answer.lead, answer.raises)
                answer.landed = answer.error is None and (
                    result.status != pq.ExecStatus.PIPELINE_ABORTED
                )
            now = time.perf_counter()
            answer.elapsed_ms, started = (now - started) * 1000, now
            if progress is not None and answer.landed and answer.statement is not None:
                progress(answer)
        self._current = None
        self._expect()
        synced = self._next()
        if synced is None or synced.status != pq.ExecStatus.PIPELINE_SYNC:
            raise psycopg.OperationalError("lost synchronization with the server")

    def _next(self) -> pq.abc.PGresult | None:
        heard = time.monotonic()
        while self._pgconn.is_busy():
            while self._pgconn.flush() == 0 and self._queue():
                pass
            if await_socket(self._pgconn):
                heard = time.monotonic()
            elif self._on_stall is not None and time.monotonic() - heard > self._on_stall.after_s:
                self._on_stall.ask()
                heard = time.monotonic()
        result = self._pgconn.get_result()
        if result is not None and self._pgconn.status == pq.ConnStatus.BAD:
            raise psycopg.OperationalError(result.get_error_message() or "the connection was lost")
        return result

    def _on_notice(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if self._current is not None:
            self._current.notices.append(
                Notice(diagnostic.sqlstate or "", diagnostic.message_primary or "")
            )


def await_socket(pgconn: pq.abc.PGconn) -> bool:
    """Send what is left to send and read what arrives, as soon as the network allows either.

    Returns:
        Whether it did so; if not, it is time to look around.
    """
    wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if pgconn.flush() else 0)
    with selectors.DefaultSelector() as selector:
        selector.register(pgconn.socket, wanted)
        ready = selector.select(SIGNAL_CHECK_S)
    if any(events & selectors.EVENT_READ for _, events in ready):
        pgconn.consume_input()
    return bool(ready)


def failure(
    result: pq.abc.PGresult,
    statement: Statement | None = None,
    lead: int = 0,
    raises: Mapping[str, type[StatementFailed]] | None = None,
) -> StatementFailed:
    """Return the error that a result reports.

    Args:
        result: The result.
        statement: The statement of a file that failed.
        lead: How many characters were sent before its text.
        raises: The exceptions for SQLSTATEs that the statement raises itself.
    """

    def said(what: pq.DiagnosticField) -> str | None:
        value = result.error_field(what)
        return None if value is None else value.decode("utf-8", "replace")

    field = pq.DiagnosticField
    file = line = column = None
    detail: list[str] = []
    if statement is not None:
        file = statement.file
        # Outside of the statement's own text is what was put around it.
        place = int(said(field.STATEMENT_POSITION) or 0) - lead
        line, column, detail = point_at(
            statement, place if 1 <= place <= len(statement.text) else None
        )
    for what in (field.MESSAGE_DETAIL, field.CONTEXT):
        detail += (said(what) or "").splitlines()
    hint, sqlstate = said(field.MESSAGE_HINT), said(field.SQLSTATE) or ""
    own = (raises or {}).get(sqlstate)
    error = (own or StatementFailed)(
        said(field.MESSAGE_PRIMARY) or "the server failed without a message",
        detail=detail,
        # The server recommends CASCADE wherever something depends on something.
        hint=HINTS.get(sqlstate, None if hint is None or "CASCADE" in hint else hint),
        # Those of lfmigrate's own mean nothing to a reader.
        sqlstate=sqlstate if own is None else None,
        file=file,
        line=line,
        column=column,
    )
    named = (
        *(field.SCHEMA_NAME, field.TABLE_NAME, field.COLUMN_NAME, field.CONSTRAINT_NAME),
        *(field.MESSAGE_DETAIL, field.CONTEXT),
    )
    error.diagnostic = Diagnostic(*map(said, named))
    return error


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
    line, in_line, source = locate(statement.text, (position or 1) - 1)
    column = in_line + (statement.column - 1 if line == 1 else 0)
    line += statement.line - 1
    shown, place = excerpt(source, in_line)
    lines = [f"{line} | {shown}"]
    if position is not None:
        # Tabs are kept in the padding, so that the caret stands below its character.
        padding = "".join("\t" if c == "\t" else " " for c in shown[: place - 1])
        lines.append(" " * len(f"{line} | ") + padding + "^")
    return line, column, lines


def connection_lost(lines: Sequence[str]) -> ConnectionLost:
    return ConnectionLost(
        "the connection to the server was lost",
        detail=[line.strip() for line in lines if line.strip()],
    )
