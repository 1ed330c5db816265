"""`backup`: save the rows of the migrations' tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lfmigrate import catalog
from lfmigrate.catalog import Server, Table
from lfmigrate.engine.owned import owned_objects
from lfmigrate.engine.session import Session
from lfmigrate.engine.transaction import Transaction, transaction
from lfmigrate.engine.waiting import Attempts
from lfmigrate.errors import Refused, StatementFailed
from lfmigrate.history import ledger
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Query
from lfmigrate.rows import archive
from lfmigrate.rows.archive import DEFAULT_PARENT
from lfmigrate.rows.dump import OnCopy, listed, qualified
from lfmigrate.rows.saved import SavedTable
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder
from lfmigrate.syntax.names import quote_name

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

    Only reads, in a read-only transaction. The tables are locked in ACCESS SHARE mode first, as
    pg_dump does it, and only then comes the moment whose rows are read. Without a history the files
    are replayed in a shadow database first, to find out which tables that are.

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
            names = [(r.schema, r.name) for r in owned.tables]
            with session.reading(state.schema) as flight:
                asked = flight.ask(catalog.tables(names))
            with transaction(session, state, read_only=True, locks=listed(asked.value)) as tx:
                if _has_changed(tx, names, asked.value):
                    attempt.repeat()
                    continue
                saved = tx.save_rows(
                    names,
                    [(r.schema, r.name) for r in owned.relations if r.kind == "sequence"],
                    target,
                    state.about("backup"),
                    watch=watch,
                )
                large_objects = _count_large_objects(tx, asked.value)
    notes = [f"not saved: {r.kind} {r.label}" for r in owned.relations if r.kind in _NOT_SAVED]
    notes += large_objects
    return BackupReport(state.server, state.schema, saved.path, saved.tables, tuple(notes))


def _count_large_objects(tx: Transaction, tables: Sequence[Table]) -> list[str]:
    """Return a note for each column with the numbers of large objects, of which rows are saved."""
    asked = {
        f"{table.schema}.{table.name}.{column.name}": tx.flight.ask(
            Query(
                "SELECT to_jsonb(count(*)) FROM pg_largeobject_metadata AS o"
                f" WHERE EXISTS (SELECT FROM {qualified(table)} AS t"
                f" WHERE t.{quote_name(column.name)} = o.oid)",
                (),
                int,
            )
        )
        for table in tables
        for column in table.columns
        # The type of the extension lo is such a domain.
        if column.type == "oid" or column.definition.endswith(" domain over oid")
    }
    if asked:
        tx.send()
    return [
        f"not saved: large objects whose numbers column {name} has: {answer.value:,}"
        for name, answer in asked.items()
        if answer.value
    ]


def _has_changed(
    tx: Transaction, names: Sequence[tuple[str, str]], tables: Sequence[Table]
) -> bool:
    """Return whether the tables, or the history, are not those that were found before the locks."""
    history = tx.state.history
    position = tx.flight.ask(ledger.position(tx.session.scope)) if history.exists else None
    asked = tx.flight.ask(catalog.tables(names))
    try:
        tx.send()
    except StatementFailed as error:
        if error.sqlstate not in ledger.ABSENT:
            raise
        return True
    moved = position is not None and position.value != history.position
    return moved or [(t.id, t.columns) for t in tables] != [(t.id, t.columns) for t in asked.value]
