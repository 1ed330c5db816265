"""`restore`: load the rows of a backup, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from dataclasses import replace as replaced
from pathlib import Path

from lfmigrate import catalog
from lfmigrate.catalog import LargeObject, Server, Table
from lfmigrate.engine.empty_tables import lock_and_count_tables, save_and_empty, tables_with_rows
from lfmigrate.engine.large_objects import refuse_unreadable
from lfmigrate.engine.session import Session
from lfmigrate.engine.shown import labels, refuse_more_than_shown
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.transaction import Transaction, transaction
from lfmigrate.engine.waiting import Attempts
from lfmigrate.errors import (
    ArchiveError,
    DifferenceFound,
    Refused,
    StatementFailed,
    UsageError,
)
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.postgres.wire import Answer
from lfmigrate.rows import archive
from lfmigrate.rows.archive import DEFAULT_PARENT
from lfmigrate.rows.columns import RestoredColumns, by_primary_key, count_columns, describe
from lfmigrate.rows.dump import Emptied, OnCopy
from lfmigrate.rows.into import load_into
from lfmigrate.rows.large_objects import differing, load_large_objects
from lfmigrate.rows.load import load
from lfmigrate.rows.policies import all_rows_visible
from lfmigrate.rows.retyped import Retyped, Staged, retyped, stage
from lfmigrate.rows.saved import Archive, SavedTable
from lfmigrate.rows.suspended import empty_path
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
        columns: The columns that were restored in tables that had kept their rows.
        large_objects: How many large objects were restored.
    """

    server: Server
    schema: str
    path: Path
    tables: tuple[SavedTable, ...]
    lost: tuple[Emptied, ...] = ()
    saved: Path | None = None
    notes: tuple[str, ...] = ()
    columns: tuple[RestoredColumns, ...] = ()
    large_objects: int = 0


# Tables as they were saved, and as they are now.
_Pairs = list[tuple[SavedTable, Table]]


def restore(
    conn: Connection,
    folder: Folder,
    path: Path,
    *,
    scope: Scope | None = None,
    replace: bool = False,
    into: str | None = None,
    backup_dir: Path | None = None,
    shown: RestoreReport | None = None,
    watch: OnCopy | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> RestoreReport:
    """Load a backup's rows into the tables that they came from, in one transaction.

    The manifest, and the tables' columns against it, are checked before anything is written. Each
    file is verified while it is read, and all of them before the commit; with ``replace``, which
    empties tables first, before anything else. Triggers of users do not fire. Sequences are set.

    Args:
        conn: An open connection without an open transaction.
        folder: The migrations, for the record of a backup that is made on the way.
        path: The backup's folder.
        scope: The schema; tables of the backup's own schema go there.
        replace: Empty the tables first, after a backup of the rows that are in them.
        into: A schema in which new tables are created for the rows, whatever database they are of;
            those that they came from are left alone.
        backup_dir: Where that backup goes.
        shown: The preview that was confirmed; no other tables are emptied.
        watch: Called as rows go.
        on_wait: Called once with a line if another run holds the lock.

    Returns:
        What was restored.

    Raises:
        ArchiveError: The backup is damaged or incomplete.
        UsageError: Both ``into`` and ``replace`` are given.
        Refused: It is of another database, or a table has rows and ``replace`` is not given.
        DifferenceFound: A table is missing or has other columns than the backup, or a column has
            a type that would change values.
        DatabaseError: The server refused; all was rolled back.
    """
    if into is not None and replace:
        raise UsageError("--into and --replace exclude each other")
    session = Session(conn, folder, scope, on_wait=on_wait)
    saved = archive.read(path, content=replace)
    with _damage_explained(path):
        if into is not None:
            return _restore_into(session, saved, into, watch)
        return _restore(
            session, saved, replace=replace, backup_dir=backup_dir, shown=shown, watch=watch
        )


@contextmanager
def _damage_explained(path: Path) -> Iterator[None]:
    """Where files of a backup are damaged, name all of them instead of what that has led to."""
    try:
        yield
    except (ArchiveError, StatementFailed) as error:
        try:
            archive.read(path)
        except ArchiveError as damage:
            damage.outcome = error.outcome
            raise damage from None
        raise


def _restore(
    session: Session,
    saved: Archive,
    *,
    replace: bool,
    backup_dir: Path | None,
    shown: RestoreReport | None,
    watch: OnCopy | None,
) -> RestoreReport:
    """Load a backup into the tables that its rows came from; see `restore`."""
    for attempt in Attempts(session):
        with attempt:
            state = session.state(relations=False)
            _refuse_another_database(saved, state)
            schema_of = _schemas(saved, state)
            backup = None
            with transaction(session, state) as tx:
                found = _Found.queue(tx.flight, saved, schema_of, state)
                tx.send()
                counted = lock_and_count_tables(tx, [table for _, table in found.pairs()])
                # Again, because another session may have altered one before it was locked.
                found = _Found.queue(tx.flight, saved, schema_of, state)
                tx.send()
                pairs, partial = found.split(counted)
                tables = [table for _, table in pairs]
                lost = _of(tables, counted)
                if lost and not replace:
                    raise _not_empty(lost)
                staged = stage(tx.conn, saved, _to_stage(pairs, partial, saved, state), watch)
                columns = _count_columns(tx, partial, staged)
                existing = tx.flight.ask(catalog.large_objects(saved.numbers))
                tx.send()
                objects, others = differing(saved, existing.value)
                if others and not replace:
                    raise _other_large_objects(others)
                refuse_unreadable(others)
                if any(each.overwritten for each in columns) and not replace:
                    raise _overwritten(columns)
                if shown is not None:
                    refuse_more_than_shown(labels(shown.lost), labels(lost), saved=True)
                if lost or others or any(each.overwritten for each in columns):
                    backup = save_and_empty(
                        tx,
                        tables,
                        lost,
                        backup_parent=backup_dir or DEFAULT_PARENT,
                        reason="restore --replace",
                        fires_triggers=False,
                        kept=[table for _, table in partial],
                        large_objects=others,
                        watch=watch,
                    )
                stayed = load(
                    tx.conn,
                    saved,
                    pairs,
                    schema_of=schema_of,
                    staged=staged,
                    partial=partial,
                    watch=watch,
                )
                restored = load_large_objects(tx.conn, saved, objects, others)
                tx.commit()
    return RestoreReport(
        state.server,
        state.schema,
        saved.path,
        tuple(replaced(table, schema=schema_of(table.schema)) for table, _ in pairs),
        lost,
        backup,
        columns=columns,
        large_objects=len(objects),
        notes=(
            *(note for each in staged.values() for note in each.notes),
            *describe(columns),
            *restored,
            *stayed,
            *session.notes,
        ),
    )


def _restore_into(
    session: Session, saved: Archive, schema: str, watch: OnCopy | None
) -> RestoreReport:
    for attempt in Attempts(session):
        with attempt:
            state = session.state(relations=False)
            with transaction(session, state) as tx:
                tx.send()
                tables, notes = load_into(tx.conn, saved, schema, watch=watch)
                existing = tx.flight.ask(catalog.large_objects(saved.numbers))
                tx.send()
                objects, others = differing(saved, existing.value)
                numbers = {each.number for each in others}
                objects = [each for each in objects if each.number not in numbers]
                notes += load_large_objects(tx.conn, saved, objects, ())
                tx.commit()
    notes += tuple(
        f"large object {number} has another content than the backup, and is left as it is"
        for number in sorted(numbers)
    )
    return RestoreReport(
        state.server,
        schema,
        saved.path,
        tables,
        large_objects=len(objects),
        notes=(*notes, *session.notes),
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
            schema_of = _schemas(saved, state)
            with session.reading(state.schema) as flight:
                found = _Found.queue(flight, saved, schema_of, state)
                existing = flight.ask(catalog.large_objects(saved.numbers))
            counted = tables_with_rows(session, state, [t for _, t in found.pairs()])
            pairs, partial = found.split(counted)
            _, others = differing(saved, existing.value)
    rows = {(table.schema, table.name): table.rows for table in counted}
    columns = tuple(
        RestoredColumns(t.schema, t.name, s.dropped, rows[t.schema, t.name]) for s, t in partial
    )
    lost = _of([table for _, table in pairs], counted)
    notes = tuple(f"large object {each.number} would be overwritten" for each in others)
    return RestoreReport(
        state.server, state.schema, saved.path, (), lost, columns=columns, notes=notes
    )


def _of(tables: Sequence[Table], counted: Sequence[Emptied]) -> tuple[Emptied, ...]:
    """Return those of some tables that have rows."""
    names = {(table.schema, table.name) for table in tables}
    return tuple(each for each in counted if (each.schema, each.name) in names)


def _to_stage(
    pairs: _Pairs, partial: _Pairs, saved: Archive, state: DatabaseState
) -> list[tuple[SavedTable, Table, tuple[Retyped, ...]]]:
    """Return the tables that are not copied directly, with the columns whose type has changed."""
    own, now = saved.about.schema, state.schema
    chosen = [(s, t, tuple(retyped(s, t, own, now))) for s, t in pairs]
    chosen = [each for each in chosen if each[2]]
    for s, t in partial:
        used = {*s.dropped, *t.primary_key}
        chosen.append((s, t, tuple(r for r in retyped(s, t, own, now) if r.name in used)))
    return chosen


def _count_columns(
    tx: Transaction, partial: _Pairs, staged: Mapping[str, Staged]
) -> tuple[RestoredColumns, ...]:
    names = [(table.schema, table.name) for _, table in partial]
    with all_rows_visible(tx.flight, names) if names else nullcontext():
        asked = [tx.flight.ask(count_columns(s, t, staged[t.id])) for s, t in partial]
    tx.send()
    return tuple(answer.value for answer in asked)


def _not_empty(lost: Sequence[Emptied]) -> Refused:
    return Refused(
        "1 table is not empty" if len(lost) == 1 else f"{len(lost)} tables are not empty",
        detail=[f"table {t.schema}.{t.name}, rows: {t.rows:,}" for t in lost],
        hint='Empty them first, or let "--replace --yes" do it after a backup; --into loads'
        " the backup into a schema of its own.",
    )


def _other_large_objects(others: Sequence[LargeObject]) -> Refused:
    return Refused(
        f"{len(others)} large {'object has' if len(others) == 1 else 'objects have'} another"
        " content than the backup",
        detail=[f"large object {each.number}" for each in others],
        hint='Let "--replace --yes" overwrite them after a backup.',
    )


def _overwritten(columns: Sequence[RestoredColumns]) -> Refused:
    return Refused(
        "columns to restore have other values now",
        detail=[
            f"table {c.schema}.{c.name}, {', '.join(c.columns)}, rows: {c.overwritten:,}"
            for c in columns
            if c.overwritten
        ],
        hint='Let "--replace --yes" overwrite them after a backup, or look at the backup with'
        " --into.",
    )


def _refuse_another_database(saved: Archive, state: DatabaseState) -> None:
    if saved.about.database != state.server.database:
        raise Refused(
            f'the backup is of database "{saved.about.database}", and this one is'
            f' "{state.server.database}"',
            hint="--into loads it into a schema of its own, whatever database it is of.",
        )


def _schemas(saved: Archive, state: DatabaseState) -> Callable[[str], str]:
    """Return what maps a schema of the backup: its own one stands for the command's."""
    own, now = saved.about.schema, state.schema
    return lambda schema: now if schema == own else schema


@dataclass(frozen=True, slots=True)
class _Found:
    """What the database has of what was saved, when asked."""

    saved: Archive
    schema_of: Callable[[str], str]
    state: DatabaseState
    tables: Answer[tuple[Table, ...]]
    missing_sequences: Answer[tuple[tuple[str, str], ...]]

    @classmethod
    def queue(
        cls, flight: Flight, saved: Archive, schema_of: Callable[[str], str], state: DatabaseState
    ) -> _Found:
        """Queue the questions."""
        names = [(schema_of(table.schema), table.name) for table in saved.tables]
        free = [(schema_of(sequence.schema), sequence.name) for sequence in saved.sequences]
        # The names of types have their schemas, as in the manifest.
        with empty_path(flight):
            tables = flight.ask(catalog.tables(names))
        missing = flight.ask(catalog.missing_sequences(free))
        return cls(saved, schema_of, state, tables, missing)

    def split(self, counted: Sequence[Emptied]) -> tuple[_Pairs, _Pairs]:
        """Pair the saved tables with those of the database.

        Args:
            counted: Those that have rows.

        Returns:
            Those that are restored as a whole, and those that get columns back.

        Raises:
            DifferenceFound: Something is missing, or differs.
        """
        filled = {(table.schema, table.name) for table in counted}
        pairs = self.pairs(filled)
        partial = [
            (s, t) for s, t in pairs if (t.schema, t.name) in filled and by_primary_key(s, t)
        ]
        return [pair for pair in pairs if pair not in partial], partial

    def pairs(self, filled: Collection[tuple[str, str]] | None = None) -> _Pairs:
        """Pair the saved tables with those of the database.

        Args:
            filled: Schema and name of those that have rows; None if that is not known.

        Raises:
            DifferenceFound: Something is missing, or differs.
        """
        by_name = {(table.schema, table.name): table for table in self.tables.value}
        problems = []
        pairs = []
        for saved_table in self.saved.tables:
            schema = self.schema_of(saved_table.schema)
            table = by_name.get((schema, saved_table.name))
            if table is None:
                problems.append(f"table {schema}.{saved_table.name} does not exist")
            else:
                may_be_partial = filled is None or (schema, table.name) in filled
                problems += _differences(
                    saved_table,
                    table,
                    columns_only=may_be_partial and by_primary_key(saved_table, table),
                )
                pairs.append((saved_table, table))
        problems += [
            f"sequence {schema}.{name} does not exist"
            for schema, name in self.missing_sequences.value
        ]
        if problems:
            raise DifferenceFound(
                "the tables are not those that were saved",
                detail=problems,
                hint=_way_back(self.saved.about.applied, self.state.about("").applied),
            )
        return pairs


def _way_back(then: Sequence[str], now: Sequence[str]) -> str:
    """Return how the tables become those of a backup again, by the migrations of either."""
    into = "--into loads the backup into a schema of its own, whatever the tables are like."
    last = then[-1].partition("_")[0] if then else "0"
    if set(then) < set(now):
        return f'Run "lfmigrate rollback --to {last}" first. Or: {into}'
    if set(now) < set(then):
        return f'Run "lfmigrate up --to {last}" first. Or: {into}'
    applied = ", ".join(then) or "none"
    return f"The backup is of a database with the migrations {applied}. {into}"


def _differences(saved: SavedTable, table: Table, *, columns_only: bool) -> Iterator[str]:
    """Return how the columns of a table differ from those that were saved.

    Args:
        saved: The table as it was saved.
        table: The table as it is now.
        columns_only: Whether only the columns that were dropped matter.
    """
    label = f"table {table.schema}.{table.name}"
    there = {column.name: column for column in table.columns}
    then = [name for name, _ in saved.columns]
    if columns_only:
        then = list(saved.dropped)
    for name in then:
        if name not in there:
            yield f"{label} has no column {name} any more"
        elif there[name].generated:
            yield f"{label}: column {name} is computed by the server now"
    for column in table.columns:
        if column.name not in then and not column.generated and not columns_only:
            yield f"{label} has a column {column.name} that the backup does not have"
