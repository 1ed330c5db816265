"""`restore`: load the rows of a backup, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from lfmigrate import catalog
from lfmigrate.catalog.sessions import Server
from lfmigrate.catalog.tables import Table
from lfmigrate.engine import state
from lfmigrate.engine.run import Blockers, Job, name_blockers, stall, take_turns
from lfmigrate.engine.state import DatabaseState, end_reading
from lfmigrate.errors import DifferenceFound, Refused, StatementFailed
from lfmigrate.history import ledger
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight, rolled_back_on_error
from lfmigrate.rows import archive, dump
from lfmigrate.rows.archive import DEFAULT_PARENT, Archive, SavedTable
from lfmigrate.rows.dump import Emptied, OnCopy, emptied
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
    """

    server: Server
    schema: str
    path: Path
    tables: tuple[SavedTable, ...]
    lost: tuple[Emptied, ...] = ()
    saved: Path | None = None
    dry_run: bool = False


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
        DatabaseError: The database said no; all was rolled back.
    """
    blockers = Blockers.of(conn, on_wait)
    job = Job(conn, folder, scope or Scope(), dry_run=False, progress=None, blockers=blockers)
    saved = archive.read(path)
    restoring = _Restoring(job, saved, replace, backup_dir or DEFAULT_PARENT, watch)
    return take_turns(restoring.run, on_wait)


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
        A report with ``lost`` instead of ``tables``, and ``dry_run`` set.

    Raises:
        ArchiveError: The backup is damaged or incomplete.
        Refused: It is of another database.
        DifferenceFound: A table is missing or has other columns than the backup.
        DatabaseError: The rows could not be counted.
    """
    blockers = Blockers.of(conn, on_wait)
    job = Job(conn, folder, scope or Scope(), dry_run=True, progress=None, blockers=blockers)
    saved = archive.read(path)
    restoring = _Restoring(job, saved, replace=True, backup_parent=DEFAULT_PARENT, watch=None)
    return take_turns(restoring.preview, on_wait)


@dataclass(frozen=True, slots=True)
class _Restoring:
    """What a restore is about."""

    job: Job
    saved: Archive
    replace: bool
    backup_parent: Path
    watch: OnCopy | None

    def run(self) -> RestoreReport:
        """Restore, in one transaction."""
        before = self.job.look(at_relations=False)
        end_reading(self.job.conn)
        _refuse_another_database(self.saved, before)
        try:
            lost, kept = self._run(before)
        except StatementFailed as error:
            name_blockers(self.job, error)
            raise
        saved = self.saved
        return RestoreReport(before.server, before.schema, saved.path, saved.tables, lost, kept)

    def preview(self) -> RestoreReport:
        """Count the rows that are there."""
        before = self.job.look(at_relations=False)
        end_reading(self.job.conn)
        _refuse_another_database(self.saved, before)
        names = [(_schema(t.schema, self.saved, before), t.name) for t in self.saved.tables]
        flight = Flight(self.job.conn)
        asked = flight.ask(catalog.tables(names))
        flight.go()
        tables = [table for _, table in _pairs(self.saved, names, asked.value)]
        flight = Flight(self.job.conn)
        rows = [flight.ask(dump.count_rows(table)) for table in tables]
        flight.go()
        lost = emptied(tables, [answer.value for answer in rows])
        return RestoreReport(
            before.server, before.schema, self.saved.path, (), lost, None, dry_run=True
        )

    def _run(self, before: DatabaseState) -> tuple[tuple[Emptied, ...], Path | None]:
        conn = self.job.conn
        flight = Flight(conn)
        flight.begin(self.job.scope)
        ledger.begin_run(flight, str(uuid4()), before.history)
        flight.do(catalog.query_text("lock"))
        own = flight.ask(ledger.transaction_id())
        with rolled_back_on_error(conn):
            names = [(_schema(t.schema, self.saved, before), t.name) for t in self.saved.tables]
            asked = flight.ask(catalog.tables(names))
            flight.go()
            tables = [table for _, table in _pairs(self.saved, names, asked.value)]
            rows = dump.lock_and_count(conn, tables, stall(self.job))
            # Once more, because somebody may have altered one before it was locked.
            flight = Flight(conn)
            asked = flight.ask(catalog.tables(names))
            flight.go()
            pairs = _pairs(self.saved, names, asked.value)
            kept = self._make_room(before, names, tables, rows)
            dump.load(conn, self.saved, pairs, watch=self.watch)
        committed = ledger.was_committed(own.value)
        ledger.commit(conn, Flight(conn), committed)
        return emptied(tables, rows), kept

    def _make_room(
        self,
        before: DatabaseState,
        names: Sequence[tuple[str, str]],
        tables: Sequence[Table],
        rows: Sequence[int],
    ) -> Path | None:
        """Save and delete the rows that are there, or refuse; return where they are saved."""
        counted = zip(tables, rows, strict=True)
        full = [f"table {t.schema}.{t.name}, rows: {count:,}" for t, count in counted if count]
        if not full:
            return None
        if not self.replace:
            raise Refused(
                f"{len(full)} of {len(tables)} tables have rows already",
                detail=full,
                hint='Empty them first, or let "--replace --yes" do it, which backs them up.',
            )
        what = state.about(before, "restore --replace")
        made = dump.dump_in_savepoint(
            self.job.conn, names, (), self.backup_parent, what, watch=self.watch
        )
        dump.empty(self.job.conn, tables)
        return made.path


def _refuse_another_database(saved: Archive, before: DatabaseState) -> None:
    if saved.about.database != before.server.database:
        raise Refused(
            f'the backup is of database "{saved.about.database}", and this one is'
            f' "{before.server.database}"',
            hint="README says how psql loads its files into another database.",
        )


def _schema(schema: str, saved: Archive, before: DatabaseState) -> str:
    return before.schema if schema == saved.about.schema else schema


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
