"""Sequences in a run that is rolled back: a rollback does not undo what moved them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from lfmigrate import catalog
from lfmigrate.catalog import SequencePosition
from lfmigrate.engine.transaction import Transaction
from lfmigrate.errors import DatabaseError, LfmigrateError
from lfmigrate.postgres.connection import is_in_transaction
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.postgres.wire import Answer


@contextmanager
def unmoved_sequences(transaction: Transaction) -> Iterator[None]:
    """Roll a transaction back in the end, and set sequences back that it has moved.

    One that was set back, as the SQL of a dump does it, would give out values again that are in
    use. Where one went on, a gap remains, as after any rollback: other sessions may have taken
    values in between. Both are noted in the session.

    Args:
        transaction: It is rolled back, unless a statement of it has failed.
    """
    before = _ask(transaction.flight, None)
    try:
        yield
    except LfmigrateError as error:
        if is_in_transaction(transaction.conn):
            _put_back(transaction, before)
            error.outcome = transaction.on_failure
        raise
    _put_back(transaction, before)


def _ask(flight: Flight, oids: tuple[str, ...] | None) -> Answer[Mapping[str, SequencePosition]]:
    flight.set({"lfmigrate.sequences": json.dumps(oids)})
    return flight.ask(catalog.sequence_positions())


def _put_back(transaction: Transaction, before: Answer[Mapping[str, SequencePosition]]) -> None:
    asked = transaction.moved
    if asked is None:
        asked = transaction.flight.ask(catalog.moved_sequences())
        transaction.send()
    transaction.roll_back()
    moved = tuple(oid for oid in asked.value if oid in before.value)
    if not moved:
        return
    session = transaction.session
    with session.reading(transaction.state.schema) as flight:
        found = _ask(flight, moved)
    pairs = [(oid, before.value[oid], now) for oid, now in found.value.items()]
    ahead = [f"{was.name} ({was.next} to {now.next})" for _, was, now in pairs if was < now]
    if ahead:
        session.notes.append(
            f"sequences that have moved on, as after any rollback: {', '.join(ahead)}"
        )
    for oid, was, now in pairs:
        if now < was:
            session.notes.append(_set(session.flight(), oid, was, now))


def _set(flight: Flight, oid: str, was: SequencePosition, now: SequencePosition) -> str:
    """Set a sequence to where it was, and return a line about it."""
    what = f"sequence {was.name} was set back from {was.next} to {now.next}"
    called = "true" if was.called else "false"
    flight.do(
        "SELECT setval($1::oid::regclass, $2::bigint, $3::boolean)", oid, str(was.value), called
    )
    try:
        flight.go()
    except DatabaseError as error:
        return f"{what}, and could not be set to {was.next} again: {error.message}"
    return f"{what}, which no rollback undoes, and is at {was.next} again"
