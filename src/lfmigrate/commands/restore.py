"""`restore`: load the rows of a backup, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lfmigrate import catalog
from lfmigrate.catalog import Server, Table
from lfmigrate.engine.empty_tables import lock_and_count, save_and_empty, tables_with_rows
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.transaction import transaction
from lfmigrate.engine.waiting import Attempts
from lfmigrate.errors import DifferenceFound, Refused
from lfmigrate.postgres.connection import Connection
from lfmigrate.rows import archive, dump
from lfmigrate.rows.archive import DEFAULT_PARENT, Archive, SavedTable
from lfmigrate.rows.dump import Emptied, OnCopy
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """A backup that was restored.

    Attributes:
        server: Where.
        schema: The schema that unqualified names go to.
        path: The backup.
        tables: What was restored.
        lost: What was emptied before; none without ``replace``.
        saved: The backup of what was there before; None where there was nothing.
        notes: What is worth a warning.
    """

    server: Server
    schema: str
    path: Path
    tables: tuple[SavedTable, ...]
    lost: tuple[Emptied, ...] = ()
    saved: Path | None = None
    notes: tuple[str, ...] = ()


def restore(
    conn: Connection,
    folder: Folder,
    path: Path,
    *,
    scope: Scope | None = None,
    replace: bool = False,
    backup_dir: Path | None = None,
    watch: OnCopy | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> RestoreReport:
    """Load a backup's rows into the tables that they came from, in one transaction.

    Everything is checked before anything is written: the files against the manifest, the tables'
    columns against the manifest's. Triggers of users do not fire. Sequences are set.

    Args:
        conn: An open connection without an open transaction.
        folder: The migrations, for the record of a backup that is made on the way.
        path: The backup's folder.
        scope: The schema; tables of the backup's own schema go there.
        replace: Empty the tables first, after a backup of the rows that are in them.
        backup_dir: Where that backup goes.
        watch: Called as rows go.
        on_wait: Called once with a line if another run holds the lock.

    Returns:
        What was restored.

    Raises:
        ArchiveError: The backup is damaged or incomplete.
        Refused: It is of another database, or a table has rows and ``replace`` is not given.
        DifferenceFound: A table is missing or has other columns than the backup.
        DatabaseError: The server refused; all was rolled back.
    """
    session = Session(conn, folder, scope, on_wait=on_wait)
    saved = archive.read(path)
    for attempt in Attempts(session):
        with attempt:
            state = session.state(relations=False)
            _refuse_another_database(saved, state)
            names = _names(saved, state)
            backup = None
            with transaction(session, state) as tx:
                asked = tx.flight.ask(catalog.tables(names))
                tx.send()
                tables = [table for _, table in _pairs(saved, names, asked.value)]
                lost = lock_and_count(tx, tables)
                # Again, because another session may have altered one before it was locked.
                asked = tx.flight.ask(catalog.tables(names))
                tx.send()
                pairs = _pairs(saved, names, asked.value)
                if lost and not replace:
                    raise _not_empty(lost, tables)
                if lost:
                    backup = save_and_empty(
                        tx,
                        tables,
                        backup_parent=backup_dir or DEFAULT_PARENT,
                        reason="restore --replace",
                        watch=watch,
                    )
                dump.load(tx.conn, saved, pairs, watch=watch)
                tx.commit()
    return RestoreReport(
        state.server,
        state.schema,
        saved.path,
        saved.tables,
        lost,
        backup,
        notes=tuple(session.notes),
    )


def preview_replace(
    conn: Connection,
    folder: Folder,
    path: Path,
    *,
    scope: Scope | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> RestoreReport:
    """Return the tables that `restore` with ``replace`` would empty, and their rows. Only reads.

    Args:
        conn: An open connection without an open transaction.
        folder: The migrations.
        path: The backup's folder.
        scope: The schema; tables of the backup's own schema go there.
        on_wait: Called with a line when another session's lock has to be waited for.

    Returns:
        A report with ``lost`` instead of ``tables``.

    Raises:
        ArchiveError: The backup is damaged or incomplete.
        Refused: It is of another database.
        DifferenceFound: A table is missing or has other columns than the backup.
        DatabaseError: The rows could not be counted.
    """
    session = Session(conn, folder, scope, on_wait=on_wait)
    saved = archive.read(path)
    for attempt in Attempts(session):
        with attempt:
            state = session.state(relations=False)
            _refuse_another_database(saved, state)
            names = _names(saved, state)
            with session.reading(state.schema) as flight:
                asked = flight.ask(catalog.tables(names))
            tables = [table for _, table in _pairs(saved, names, asked.value)]
            lost = tables_with_rows(session, state.schema, tables)
    return RestoreReport(state.server, state.schema, saved.path, (), lost)


def _not_empty(lost: Sequence[Emptied], tables: Sequence[Table]) -> Refused:
    return Refused(
        f"{len(lost)} of {len(tables)} tables are not empty",
        detail=[f"table {t.schema}.{t.name}, rows: {t.rows:,}" for t in lost],
        hint='Empty them first, or let "--replace --yes" do it, which backs them up.',
    )


def _refuse_another_database(saved: Archive, state: DatabaseState) -> None:
    if saved.about.database != state.server.database:
        raise Refused(
            f'the backup is of database "{saved.about.database}", and this one is'
            f' "{state.server.database}"',
            hint="docs/commands/restore.md explains how psql loads it into another database.",
        )


def _names(saved: Archive, state: DatabaseState) -> list[tuple[str, str]]:
    """Return schema and name of each table; the backup's own schema stands for the command's."""
    own = saved.about.schema
    return [(state.schema if t.schema == own else t.schema, t.name) for t in saved.tables]


def _pairs(
    saved: Archive, names: Sequence[tuple[str, str]], tables: Sequence[Table]
) -> list[tuple[SavedTable, Table]]:
    """Pair the saved tables with those of the database, and name every difference."""
    by_name = {(table.schema, table.name): table for table in tables}
    problems = []
    pairs = []
    for name, saved_table in zip(names, saved.tables, strict=True):
        label = f"table {name[0]}.{name[1]}"
        table = by_name.get(name)
        if table is None:
            problems.append(f"{label} does not exist")
            continue
        there = {column.name: column for column in table.columns}
        then = dict(saved_table.columns)
        problems += [f"{label} has no column {c} any more" for c in then if c not in there]
        problems += [
            f"{label}: column {c} is computed by the server now"
            for c in then
            if c in there and there[c].generated
        ]
        problems += [
            f"{label} has a column {c.name} that the backup does not have"
            for c in table.columns
            if c.name not in then and not c.generated
        ]
        pairs.append((saved_table, table))
    if problems:
        raise DifferenceFound(
            "the tables are not those that were saved",
            detail=problems,
            hint='Bring them to the state of the backup first ("applied" in its manifest.json says'
            " which migrations it had).",
        )
    return pairs
