"""Explains why what an extension provides is not found: it is in a schema that is not searched."""

from __future__ import annotations

import re
from contextlib import suppress

from lfmigrate import catalog
from lfmigrate.engine.session import Session
from lfmigrate.errors import DatabaseError, StatementFailed
from lfmigrate.postgres.pipeline import rolled_back_on_error
from lfmigrate.syntax.names import quote_name

_NO_ROUTINE = "42883"
_NO_OBJECT = "42704"


def add_hidden_extension(error: StatementFailed, session: Session) -> None:
    """Add to an error which schema has the missing object; after the rollback.

    The server names the object in its message, in whichever language that is.
    """
    if error.sqlstate not in {_NO_ROUTINE, _NO_OBJECT} or not session.is_open:
        return
    names = re.findall(r"[\w$]+", error.message)
    with suppress(DatabaseError):
        flight = session.flight()
        flight.begin(session.scope, read_only=True)
        asked = flight.ask(catalog.hidden_members(names, routines=error.sqlstate == _NO_ROUTINE))
        flight.do("ROLLBACK")
        with rolled_back_on_error(session.conn):
            flight.go()
        for found in asked.value:
            line = (
                f"{found.name} belongs to the extension {found.extension}, which is installed in"
                f" schema {found.schema}; the search path is: {found.path}"
            )
            error.detail = (*error.detail, line)
            name = quote_name(found.extension)
            error.hint = (
                "A database has an extension only once: install it where every search path finds"
                f" it (CREATE EXTENSION {name} WITH SCHEMA public, or ALTER EXTENSION {name}"
                f" SET SCHEMA public), or write {found.schema}.{found.name}."
            )
