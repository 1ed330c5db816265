"""`status`: list applied and pending migrations. Only reads."""

from __future__ import annotations

from dataclasses import dataclass

from lfmigrate.catalog.sessions import Server
from lfmigrate.engine.session import Session
from lfmigrate.engine.waiting import Attempts
from lfmigrate.history import plan
from lfmigrate.history.plan import MigrationState, ViewState
from lfmigrate.postgres.connection import Connection
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Every migration and view file, and what the history says about it.

    Attributes:
        server: Where it was read.
        schema: The schema that the migrations are for.
        migrations: In version order, including those that are only in the history.
        views: In the order in which they run.
        notes: What is worth a warning.
    """

    server: Server
    schema: str
    migrations: tuple[MigrationState, ...]
    views: tuple[ViewState, ...]
    notes: tuple[str, ...]

    @property
    def pending(self) -> int:
        """Return how many migrations and views the next ``up`` would run."""
        return sum(1 for m in self.migrations if m.status == "pending") + sum(
            1 for v in self.views if v.status != "applied"
        )


def status(conn: Connection, folder: Folder, *, scope: Scope | None = None) -> StatusReport:
    """List which migrations of a folder are applied to a database.

    Only reads, in a read-only transaction.

    Args:
        conn: An open connection without an open transaction.
        folder: The files.
        scope: The schema; by default the connection's own.

    Returns:
        Every migration of the folder and of the history.

    Raises:
        DatabaseError: The role may not read the history, or the connection was lost.
    """
    session = Session(conn, folder, scope)
    for attempt in Attempts(session):
        with attempt:
            state = session.state(relations=False)
    return StatusReport(
        server=state.server,
        schema=state.schema,
        migrations=plan.migration_states(folder, state.history),
        views=plan.view_states(folder, state.history),
        notes=plan.notes(folder, state.history),
    )
