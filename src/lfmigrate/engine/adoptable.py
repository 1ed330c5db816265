"""What to do where files create what exists already, in a database without a history."""

from __future__ import annotations

from contextlib import suppress

from lfmigrate import catalog
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.errors import NOTHING_CHANGED, DatabaseError, StatementFailed
from lfmigrate.history.tools import is_understood
from lfmigrate.postgres.pipeline import rolled_back_on_error

# A relation, a column, a type or another object, a routine, a schema exists already.
_EXISTS = frozenset({"42P07", "42701", "42710", "42723", "42P06"})

# Roles belong to the whole server, so they say nothing about the database.
_ROLE = "role "


def suggest_adopt(session: Session, state: DatabaseState, error: StatementFailed) -> None:
    """Say in an error of a file that `adopt` records what was applied before, if that may be so.

    Asks the server whether the database was empty, and which other tools have a table in it; only
    reads.

    Args:
        session: The command, whose transaction has ended.
        state: The database as it was before.
        error: Gets a hint, and a detail if another tool has a table.
    """
    if (
        error.sqlstate not in _EXISTS
        or error.file is None
        or error.hint is not None
        or error.outcome != NOTHING_CHANGED
        or error.message.startswith(_ROLE)
        or state.history.events
    ):
        return
    flight = session.flight()
    flight.begin(session.scope, read_only=True)
    occupied = flight.ask(catalog.occupied(session.scope.history_schema))
    tools = flight.ask(catalog.tool_tables())
    flight.do("ROLLBACK")
    # What has failed is more important than what could be done about it.
    with suppress(DatabaseError):
        with rolled_back_on_error(session.conn, session.outcome):
            flight.go()
        if found := [table for table in tools.value if is_understood(table)]:
            error.detail += tuple(f"{t.label} is the table of {t.tool}" for t in found)
            error.hint = (
                f'"lfmigrate adopt" records what {found[0].tool} has applied, without running it.'
                if len(found) == 1
                else '"lfmigrate adopt" records what one of them has applied, without running it.'
            )
        elif occupied.value:
            error.hint = (
                'If these files were applied here before, "lfmigrate adopt --to VERSION" records'
                " them up to that version, without running them."
            )
