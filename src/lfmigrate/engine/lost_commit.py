"""What became of a transaction whose COMMIT was sent, and not answered."""

from __future__ import annotations

from contextlib import closing

from lfmigrate.engine.session import RECONNECT_S
from lfmigrate.errors import COMMITTED, UNKNOWN, DatabaseError, ErrorOutcome, LfmigrateError
from lfmigrate.history import ledger
from lfmigrate.postgres.connection import connect
from lfmigrate.postgres.pipeline import Flight, Query
from lfmigrate.settings import Scope

# How long to wait for a lost transaction to end; the server may still be busy with its commit.
_SETTLE_MS = 30_000


def outcome_of_commit(
    error: LfmigrateError,
    address: str,
    was_committed: Query[bool] | None,
    if_not: ErrorOutcome,
) -> ErrorOutcome:
    """Ask, in a session of its own, what became of a transaction whose COMMIT was not answered.

    Args:
        error: What happened instead; gets a hint if the server cannot be asked.
        address: The server.
        was_committed: What to ask there; None if the transaction had not begun.
        if_not: What is true of the database if it was not committed.

    Returns:
        What is true of the database.
    """
    if was_committed is None:
        return if_not
    try:
        with closing(connect(address, wait_s=RECONNECT_S)) as second:
            flight = Flight(second)
            # A snapshot from before the lock would not show what was committed during the wait.
            flight.do("BEGIN ISOLATION LEVEL READ COMMITTED")
            flight.limit(Scope(lock_timeout_ms=_SETTLE_MS))
            # The lost transaction holds this lock until it has ended.
            flight.do("SELECT pg_advisory_xact_lock($1::bigint)", str(ledger.LOCK_KEY))
            answer = flight.ask(was_committed)
            flight.sync(*ledger.ABSENT)
            flight.do("ROLLBACK")
            flight.go()
    # Interrupted while it asks, it does not know either.
    except (DatabaseError, KeyboardInterrupt):
        error.hint = 'Look with "lfmigrate status" when the server is back.'
        return UNKNOWN
    return COMMITTED if answer.error is None and answer.value else if_not
