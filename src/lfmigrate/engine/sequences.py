"""Sequences in a transaction that is rolled back, which does not undo what moved them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from lfmigrate import catalog
from lfmigrate.catalog import SequencePosition
from lfmigrate.engine.transaction import Transaction
from lfmigrate.errors import DatabaseError, LfmigrateError
from lfmigrate.postgres.connection import is_idle, is_in_transaction
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.postgres.wire import Answer
from lfmigrate.source.sqlfile import SqlFile


@dataclass(frozen=True, slots=True)
class Watched:
    """The positions of all sequences before a transaction moved any."""

    transaction: Transaction
    before: Answer[Mapping[str, SequencePosition]]

    def put_back(self) -> tuple[str, ...]:
        """Set back now what went back so far, which rolling back to a savepoint has not undone.

        Returns:
            The ids of these sequences, as in `catalog.inventory`.
        """
        flight = self.transaction.flight
        asked = flight.ask(catalog.moved_sequences())
        self.transaction.send()
        oids = [oid for oid in asked.value if oid in self.before.value]
        if not oids:
            return ()
        found = _ask(self.transaction.flight, oids)
        self.transaction.send()
        flight = self.transaction.flight
        back = [oid for oid, now in found.value.items() if now < self.before.value[oid]]
        for oid in back:
            _queue_position(flight, oid, self.before.value[oid])
        self.transaction.send()
        return tuple(f"pg_class:{oid}" for oid in back)


@contextmanager
def unmoved_sequences(transaction: Transaction) -> Iterator[Watched]:
    """Set sequences back that a transaction has moved, if it is not committed in the end.

    One that was set back, as the SQL of a dump does it, would give out values again that are in
    use. Where one went on, a gap remains, as after any rollback: other sessions may have taken
    values in between. The session's notes, or the details of the error, say so.

    Args:
        transaction: It is rolled back, unless it was committed.
    """
    before = _ask(transaction.flight, None)
    transaction.watches_sequences = True
    conn, session = transaction.conn, transaction.session
    try:
        yield Watched(transaction, before)
    except LfmigrateError as error:
        # The locks that say which ones were moved are gone with a failed statement.
        moved = _moved(transaction) if is_in_transaction(conn) else None
        transaction.fail(error)
        if before.landed and is_idle(conn):
            with suppress(DatabaseError):
                lines = _put_back(transaction, before.value, moved, say_ahead=False)
                error.detail = (*error.detail, *lines)
        raise
    if not is_idle(conn):
        moved = _moved(transaction)
        transaction.roll_back()
        session.notes += _put_back(transaction, before.value, moved, say_ahead=True)


def may_set_sequences(files: Iterable[SqlFile]) -> bool:
    """Return whether files might set sequences back, as the SQL of a dump does."""
    return any("setval" in file.text.lower() for file in files)


def _ask(flight: Flight, oids: Sequence[str] | None) -> Answer[Mapping[str, SequencePosition]]:
    flight.set({"lfmigrate.sequences": json.dumps(oids)})
    return flight.ask(catalog.sequence_positions())


def _moved(transaction: Transaction) -> Sequence[str]:
    """Return the oids of what the open transaction has moved."""
    asked = transaction.moved
    if asked is None:
        asked = transaction.flight.ask(catalog.moved_sequences())
        transaction.send()
    return asked.value


def _put_back(
    transaction: Transaction,
    before: Mapping[str, SequencePosition],
    moved: Sequence[str] | None,
    *,
    say_ahead: bool,
) -> list[str]:
    """Set back what went back, after the rollback, and return a line about each."""
    oids = [oid for oid in (before if moved is None else moved) if oid in before]
    if not oids:
        return []
    session = transaction.session
    with session.reading(transaction.state.schema) as flight:
        found = _ask(flight, oids)
    pairs = [(oid, before[oid], now) for oid, now in found.value.items()]
    lines = [_set(session.flight(), oid, was, now) for oid, was, now in pairs if now < was]
    ahead = [f"{was.name} ({was.next} to {now.next})" for _, was, now in pairs if was < now]
    if ahead and say_ahead:
        lines.append(f"sequences that have moved on, which no ROLLBACK undoes: {', '.join(ahead)}")
    return lines


def _set(flight: Flight, oid: str, was: SequencePosition, now: SequencePosition) -> str:
    """Set a sequence to where it was, and return a line about it."""
    what = f"sequence {was.name} was set back from {was.next} to {now.next}"
    _queue_position(flight, oid, was)
    try:
        flight.go()
    except DatabaseError as error:
        return f"{what}, and could not be set to {was.next} again: {error.message}"
    return f"{what}, which no rollback undoes, and is at {was.next} again"


def _queue_position(flight: Flight, oid: str, was: SequencePosition) -> None:
    called = "true" if was.called else "false"
    flight.do(
        "SELECT setval($1::oid::regclass, $2::bigint, $3::boolean)", oid, str(was.value), called
    )
