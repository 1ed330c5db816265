"""`status`: list applied and pending migrations. Only reads."""

from __future__ import annotations

from dataclasses import dataclass

from lfmigrate.catalog.sessions import Server
from lfmigrate.engine.session import Session
from lfmigrate.engine.waiting import Attempts
from lfmigrate.errors import DifferenceFound
from lfmigrate.history import plan, states
from lfmigrate.history.states import FileStates, MigrationState, RepeatableState
from lfmigrate.history.tools import OtherTool, other_tools
from lfmigrate.postgres.connection import Connection
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Every migration and repeatable file, and what the history says about it.

    Attributes:
        server: Where it was read.
        schema: The schema that the migrations are for.
        files: The folder compared with the history.
        notes: What is worth a warning.
        other_tools: The other migration tools that have a table, if the history has what one of
            them had applied, or does not exist yet.
    """

    server: Server
    schema: str
    files: FileStates
    notes: tuple[str, ...]
    other_tools: tuple[OtherTool, ...] = ()

    @property
    def migrations(self) -> tuple[MigrationState, ...]:
        """Return the migrations in version order, including those that only the history has."""
        return self.files.migrations

    @property
    def repeatables(self) -> tuple[RepeatableState, ...]:
        """Return the repeatable files in the order in which they run."""
        return self.files.repeatables

    @property
    def pending(self) -> int:
        """Return how many files the next ``up`` would run because of their text."""
        return self.files.pending

    @property
    def problems(self) -> tuple[DifferenceFound, ...]:
        """Return what ``status --exit-code`` fails on: how the folder differs from the history."""
        return tuple(self.files.problems(pending=True))


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
            state = session.state(relations=False, tools=True)
    tools = other_tools(folder, state.history, state.tools)
    return StatusReport(
        server=state.server,
        schema=state.schema,
        files=states.file_states(folder, state.history),
        notes=(*plan.notes(folder, state.history), *(t.note for t in tools if t.note)),
        other_tools=tools,
    )
