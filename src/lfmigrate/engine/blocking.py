"""Questions on a second connection, such as which sessions block a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

from lfmigrate import catalog, log
from lfmigrate.errors import DatabaseError
from lfmigrate.history import ledger
from lfmigrate.postgres.connection import Connection, address_of, connect
from lfmigrate.postgres.pipeline import Flight, Query

T = TypeVar("T")

# A statement without a result for so long may be waiting for another session.
_ASK_AFTER_S = 1.0

# How long to wait for the answer. The result of the run's own may have arrived meanwhile.
_ANSWER_S = 2.0


@dataclass(frozen=True, slots=True)
class _Impatient:
    """Gives up when the server does not answer; implements `OnStall`."""

    after_s: float
    held_by: Sequence[str] = ()

    def ask(self) -> None:
        raise DatabaseError(f"no answer on a second connection within {self.after_s:g} s")


def ask_aside(conn: Connection, query: Query[T], within_s: float) -> T:
    """Ask a question on a second connection.

    A pooler may never give one: this run and others may hold all server connections, and wait for
    one more likewise.

    Args:
        conn: The first connection.
        query: The question.
        within_s: How many seconds to wait for the answer.

    Raises:
        DatabaseError: There is no answer.
    """
    try:
        with closing(connect(address_of(conn))) as second:
            flight = Flight(second, on_stall=_Impatient(within_s))
            asked = flight.ask(query)
            flight.go()
    except DatabaseError as error:
        error.detail = (*error.detail, "That was asked on a second connection.")
        error.hint = error.hint or "Allow the role, and a pool if there is one, two connections."
        raise
    return asked.value


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
        """Find out which sessions block the connection."""
        try:
            question = catalog.blockers(ledger.LOCK_KEY, self._conn.info.backend_pid)
            found = ask_aside(self._conn, question, _ANSWER_S)
        except DatabaseError:
            return  # it was only a question
        if found and not self.held_by:
            log.waiting("a lock", found)
            if self._on_wait is not None:
                self._on_wait(f"waiting for a lock: {found[0]}")
        self.held_by = found or self.held_by
