"""`backup`: save the rows of the migrations' tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lfmigrate.catalog import Server
from lfmigrate.engine.owned import owned_objects
from lfmigrate.engine.session import Session
from lfmigrate.engine.transaction import transaction
from lfmigrate.engine.waiting import Attempts
from lfmigrate.errors import Refused
from lfmigrate.postgres.connection import Connection
from lfmigrate.rows import archive
from lfmigrate.rows.archive import DEFAULT_PARENT, SavedTable
from lfmigrate.rows.dump import OnCopy
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder

# Kinds that have rows, but are not copied.
_NOT_SAVED = frozenset({"materialized view", "foreign table"})


@dataclass(frozen=True, slots=True)
class BackupReport:
    """A backup that was made: its folder, and the tables in it."""

    server: Server
    schema: str
    path: Path
    tables: tuple[SavedTable, ...]
    notes: tuple[str, ...]


def backup(
    conn: Connection,
    folder: Folder,
    *,
    scope: Scope | None = None,
    out: Path | None = None,
    watch: OnCopy | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> BackupReport:
    """Save every row of the tables that the applied migrations created, as of one moment.

    Only reads, in a read-only transaction. Without a history the files are replayed in a shadow
    database first, to find out which tables that are.

    Args:
        conn: An open connection without an open transaction.
        folder: The files.
        scope: The schema; by default the connection's own.
        out: The folder to create; by default one in ``lfmigrate-backups`` that is named after the
            database and the time.
        watch: Called as rows are copied.
        on_wait: Called with a line when the command has to wait for another session.

    Returns:
        Where it is, and what is in it.

    Raises:
        Refused: There is no table to save, or the folder cannot be written.
        DatabaseError: The server refused.
    """
    session = Session(conn, folder, scope, on_wait=on_wait)
    for attempt in Attempts(session):
        with attempt:
            state = session.state()
            owned = owned_objects(session, state)
            if not owned.tables:
                raise Refused(
                    "the migrations have no table to save",
                    hint='Run "lfmigrate status" to see what is applied.',
                )
            target = out or archive.default_folder(DEFAULT_PARENT, state.server.database)
            with transaction(session, state, read_only=True) as tx:
                saved = tx.save_rows(
                    [(r.schema, r.name) for r in owned.tables],
                    [(r.schema, r.name) for r in owned.relations if r.kind == "sequence"],
                    target,
                    state.about("backup"),
                    watch=watch,
                )
    notes = [f"not saved: {r.kind} {r.label}" for r in owned.relations if r.kind in _NOT_SAVED]
    return BackupReport(state.server, state.schema, saved.path, saved.tables, tuple(notes))
