"""Which sessions block a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing

from lfmigrate import catalog
from lfmigrate.errors import DatabaseError
from lfmigrate.history import ledger
from lfmigrate.postgres.connection import Connection, address_of, connect, has_arrived
from lfmigrate.postgres.pipeline import Flight

# A statement without a result for so long may be waiting for another session.
_ASK_AFTER_S = 1.0


class _Answered:
    """Gives up a question when a connection has its result; implements `OnStall`.

    A pooler may have no connection left for the question. Two runs that hold the last two, and wait
    for a third, would wait for each other.
    """

    after_s = 0.0
    held_by: Sequence[str] = ()

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def ask(self) -> None:
        if has_arrived(self._conn):
            raise DatabaseError("the result is there")


class BlockingSessions:
    """The sessions that block a connection, when last asked; implements `OnStall`.

    After a lock timeout nothing is waiting any more, so they have to be asked for during the wait,
    through a second connection.
    """

    def __init__(
        self, conn: Connection, lock_timeout_ms: int, on_wait: Callable[[str], None] | None
    ) -> None:
        """Watch a connection.

        Args:
            conn: The connection.
            lock_timeout_ms: How long it waits for a lock; 0 for ever.
            on_wait: Called with a line when a session blocks it for the first time.
        """
        self._conn = conn
        self._on_wait = on_wait
        # At least once before a lock timeout.
        self.after_s = min(_ASK_AFTER_S, lock_timeout_ms / 2000 or _ASK_AFTER_S)
        self.held_by: Sequence[str] = ()

    def ask(self) -> None:
        """Find out which sessions block the connection, unless its result arrives meanwhile."""
        try:
            with closing(connect(address_of(self._conn))) as second:
                flight = Flight(second, on_stall=_Answered(self._conn))
                asked = flight.ask(catalog.blockers(ledger.LOCK_KEY, self._conn.info.backend_pid))
                flight.go()
        except DatabaseError:
            return  # it was only a question
        if asked.value and not self.held_by and self._on_wait is not None:
            self._on_wait(f"waiting for a lock: {asked.value[0]}")
        self.held_by = asked.value or self.held_by
