"""What stays the same while a command runs: the connection, the folder, the scope, the display."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lfmigrate.engine.blocking import BlockingSessions
from lfmigrate.engine.state import DatabaseState, read_state
from lfmigrate.errors import ErrorOutcome, committed_before
from lfmigrate.postgres.connection import Connection, is_idle
from lfmigrate.postgres.pipeline import Flight, roll_back, rolled_back_on_error
from lfmigrate.postgres.wire import Progress
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder


class Session:
    """A command at work on a database.

    Attributes:
        conn: The connection; between transactions it is idle.
        folder: The files.
        scope: The schema, and how long to wait.
        committed: The labels of what the command has committed so far.
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
        self.conn = conn
        self.folder = folder
        self.scope = scope or Scope()
        self.committed: list[str] = []
        self._has_read = False
        self._progress = progress
        self._on_wait = on_wait
        self._blocking = BlockingSessions(conn, self.scope.lock_timeout_ms, on_wait)

    def on(self, conn: Connection) -> Session:
        """Return the same command on another connection."""
        other = Session(
            conn, self.folder, self.scope, progress=self._progress, on_wait=self._on_wait
        )
        other.committed = self.committed
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
        return Flight(self.conn, self._progress, self._blocking)

    def state(self, *, relations: bool = True) -> DatabaseState:
        """Read the history and the live relations that it expects; see `read_state`."""
        state = read_state(self.conn, self.scope, relations=relations, on_stall=self._blocking)
        self._has_read = True
        return state

    @contextmanager
    def reading(self, schema: str) -> Iterator[Flight]:
        """Ask questions in a read-only transaction of one flight.

        Args:
            schema: The schema whose definitions are read.

        Returns:
            A flight; the answers are available after the block.
        """
        flight = self.flight()
        flight.begin(self.scope, read_only=True)
        flight.look_at(schema)
        yield flight
        flight.do("ROLLBACK")
        with rolled_back_on_error(self.conn, self.outcome):
            flight.go()

    def end_reading(self) -> None:
        """Roll back the empty transaction that `state` may have left open."""
        if self._is_reading:
            flight = Flight(self.conn)
            flight.do("ROLLBACK")
            flight.go()

    def give_back(self) -> None:
        """Do so after an error, which comes first; a transaction of the caller's stays open."""
        if self._is_reading:
            roll_back(self.conn)

    @property
    def _is_reading(self) -> bool:
        # `state` refuses a connection with an open transaction, so what is open after it is ours.
        return self._has_read and not self.conn.closed and not is_idle(self.conn)
