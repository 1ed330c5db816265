"""What stays the same while a command runs: the connection, the folder, the scope, the display."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lfmigrate import log
from lfmigrate.engine.blocking import BlockingSessions
from lfmigrate.engine.state import DatabaseState, read_state
from lfmigrate.errors import ErrorOutcome, committed_before
from lfmigrate.postgres.connection import (
    Connection,
    address_of,
    connect,
    connect_directly,
    is_idle,
    was_ended,
)
from lfmigrate.postgres.pipeline import Flight, roll_back, rolled_back_on_error
from lfmigrate.postgres.wire import Answer, Progress
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder

# A server that restarts is back by then.
RECONNECT_S = 20


class Session:
    """A command at work on a database.

    Attributes:
        folder: The files.
        scope: The schema, and how long to wait.
        committed: The labels of what the command has committed so far.
        notes: What is worth a warning in its report, apart from what its files did.
        is_direct: Whether the connection is lfmigrate's own and leads to no pooler.
        holds_lock: Whether lfmigrate's lock is held by the session, and not by a transaction.
        on_reopen: Called with a connection that was opened in place of a lost one.
    """

    def __init__(
        self,
        conn: Connection,
        folder: Folder,
        scope: Scope | None = None,
        *,
        progress: Progress | None = None,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        """Prepare a command; nothing is sent.

        Args:
            conn: An open connection without an open transaction.
            folder: The files.
            scope: By default the connection's own schema.
            progress: Called with the result of each statement of a file as it arrives.
            on_wait: Called with a line when the command has to wait for another session.
        """
        self.folder = folder
        self.scope = scope or Scope()
        self.committed: list[str] = []
        self.notes: list[str] = []
        self.is_direct = False
        self.holds_lock = False
        self.on_reopen: Callable[[Connection], None] | None = None
        self._conn = conn
        self._lost: str | None = None
        self._reopened: Connection | None = None
        self._followed: Session | None = None
        self._has_read = False
        self._may_replace = False
        self._progress = progress
        self._on_wait = on_wait
        self._blocking = BlockingSessions(conn, self.scope.lock_timeout_ms, on_wait)

    @property
    def conn(self) -> Connection:
        """Return the connection; between transactions it is idle.

        If `lost` was called, or the server has ended it while it was idle, another one is opened,
        unless the caller had changed its session.
        """
        if self._followed is not None and self._lost is None:
            # It may have opened another one since.
            conn = self._followed.conn
            if conn is not self._conn:
                self._use(conn)
        if self._may_replace and self._lost is None and was_ended(self._conn):
            self.lost(address_of(self._conn))
            self._conn.close()
        if self._lost is not None:
            address, self._lost = self._lost, None
            if self.is_direct:
                conn = connect_directly(address, self._on_wait)
            else:
                conn = connect(address, wait_s=RECONNECT_S)
            self.close()
            self._followed = None
            self._reopened = conn
            self._use(conn)
            log.reconnected()
            if self.on_reopen is not None:
                self.on_reopen(conn)
        return self._conn

    def lost(self, address: str) -> None:
        """Continue on another connection, because this one was lost; opened when it is needed."""
        self._lost = address

    def continue_on(self, other: Session) -> None:
        """Continue on the connection that another session of the command has by then."""
        self.is_direct = other.is_direct
        self._followed = other
        self._use(other.conn)

    def abandon(self) -> None:
        """Close the connection; the server rolls back what is open."""
        self._conn.close()

    def close(self) -> None:
        """Close the connection that was opened in place of a lost one."""
        if self._reopened is not None:
            self._reopened.close()
            self._reopened = None

    def _use(self, conn: Connection) -> None:
        self._conn = conn
        self._blocking = BlockingSessions(conn, self.scope.lock_timeout_ms, self._on_wait)

    def directly_on(self, conn: Connection) -> Session:
        """Return the same command on a direct connection of its own."""
        other = Session(
            conn, self.folder, self.scope, progress=self._progress, on_wait=self._on_wait
        )
        other.committed = self.committed
        other.notes = self.notes
        other.is_direct = True
        return other

    @property
    def outcome(self) -> ErrorOutcome:
        """Return what an error leaves in the database once the open transaction is rolled back."""
        return committed_before(self.committed)

    def say(self, line: str) -> None:
        """Report why the command waits, or what it does differently."""
        if self._on_wait is not None:
            self._on_wait(line)

    def flight(self) -> Flight:
        """Return an empty flight that reports progress and knows the blocking sessions."""
        return Flight(self.conn, _with_log(self._progress), self._blocking)

    def state(self, *, relations: bool = True, tools: bool = False) -> DatabaseState:
        """Read the history and the live relations that it expects; see `read_state`."""
        state = read_state(
            self.conn, self.scope, relations=relations, tools=tools, on_stall=self._blocking
        )
        self._has_read = True
        self._may_replace = state.server.is_as_new(self._conn.info.user)
        return state

    @contextmanager
    def reading(self, schema: str, *, read_only: bool = True) -> Iterator[Flight]:
        """Ask questions in a transaction of one flight, which is rolled back.

        Args:
            schema: The schema whose definitions are read.
            read_only: Whether the transaction is read-only.

        Yields:
            A flight; the answers are available after the block.
        """
        flight = self.flight()
        flight.begin(self.scope, read_only=read_only)
        flight.look_at(schema)
        yield flight
        flight.do("ROLLBACK")
        with rolled_back_on_error(self.conn, self.outcome):
            flight.go()

    @property
    def is_open(self) -> bool:
        """Return whether the connection is there without opening another one."""
        return self._lost is None and not self._conn.closed

    def end_reading(self) -> None:
        """Roll back the empty transaction that `state` may have left open."""
        if self._is_reading:
            flight = Flight(self._conn)
            flight.do("ROLLBACK")
            flight.go()

    def end_reading_after_error(self) -> None:
        """Roll that transaction back, without an error of its own: there is one already.

        A transaction that the caller has opened stays open.
        """
        if self._is_reading:
            roll_back(self._conn)

    @property
    def _is_reading(self) -> bool:
        # `state` refuses a connection with an open transaction, so what is open after it is ours.
        return self._has_read and self.is_open and not is_idle(self._conn)


def _with_log(progress: Progress | None) -> Progress | None:
    """Return what also logs each statement, if that is wanted.

    Without progress, the server keeps its answers until the end of a flight.
    """
    if not log.is_detailed():
        return progress

    def report(answer: Answer[Any]) -> None:
        if answer.statement is not None:
            log.statement_ran(answer.statement.file, answer.statement.line, answer.elapsed_ms)
        if progress is not None:
            progress(answer)

    return report
