"""The direct session, in which files marked no-transaction run, and lfmigrate's lock in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.transaction import transaction
from lfmigrate.history import ledger
from lfmigrate.postgres.connection import Connection, address_of, connect_directly
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.postgres.release import releases
from lfmigrate.source.sqlfile import SqlFile


@contextmanager
def direct_session(session: Session) -> Iterator[Session]:
    """Open a second, dedicated connection for a command, whose own may lead to a pooler.

    Raises:
        UsageError: It leads to a pooler.
        ConnectionFailed: It could not be opened.
    """
    # An open transaction would be waited for.
    session.end_reading()
    address, version = address_of(session.conn), session.conn.info.server_version
    with closing(connect_directly(address, session.say, version=version)) as conn:
        direct = session.directly_on(conn)
        try:
            yield direct
        finally:
            direct.close()


@contextmanager
def session_lock(session: Session, state: DatabaseState, file: SqlFile) -> Iterator[None]:
    """Hold lfmigrate's lock with the session, however many transactions that takes.

    If the client is killed, the server may still be executing its statement. It keeps the lock
    until that has ended, so that no second run begins the same.

    Args:
        session: With a direct connection.
        state: The database as it was read. If the history has moved since, nothing is run.
        file: What will run; the privileges that it needs are checked first.
    """
    session.holds_lock = True
    try:
        with transaction(session, state, [file]) as opened:
            opened.flight.do("SELECT pg_advisory_lock($1::bigint)", str(ledger.LOCK_KEY))
            opened.commit()
        session.on_reopen = _lock
        yield
    finally:
        session.on_reopen = None
        session.holds_lock = False
        if session.is_open:
            flight = session.flight()
            # The lock, and what the file has left; the next one finds a session as new.
            for statement in releases(()):
                flight.do(statement)
            flight.go()


def _lock(conn: Connection) -> None:
    """Take the lock with a session that was opened in place of a lost one.

    Raises:
        StatementFailed: Another run was faster.
    """
    flight = Flight(conn)
    taken = flight.ask(ledger.try_lock())
    flight.go()
    if not taken.value:
        raise ledger.LockHeld("another run of lfmigrate holds the lock")
