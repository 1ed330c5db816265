"""`seed`: load initial data from CSV files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from lfmigrate import catalog
from lfmigrate.catalog import Server, StagingTable, Table, Written
from lfmigrate.engine.empty_tables import lock_and_count_tables, save_and_empty, tables_with_rows
from lfmigrate.engine.large_objects import touched_objects
from lfmigrate.engine.losses import Moment, changes, existed_before
from lfmigrate.engine.owned import owned_objects
from lfmigrate.engine.sequences import unmoved_sequences
from lfmigrate.engine.session import Session
from lfmigrate.engine.shown import labels, refuse_more_than_shown
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.transaction import Transaction, transaction
from lfmigrate.engine.waiting import Attempts
from lfmigrate.errors import DatabaseError, Refused, StatementFailed
from lfmigrate.history import ledger, plan
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.wire import Answer, Progress, Selected
from lfmigrate.rows import filling, staging, violations
from lfmigrate.rows.archive import DEFAULT_PARENT
from lfmigrate.rows.dump import Emptied, OnCopy
from lfmigrate.rows.filling import Filling
from lfmigrate.rows.policies import RowsHidden, see_all_rows
from lfmigrate.rows.staging import Staged
from lfmigrate.schema.compare import compare
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder
from lfmigrate.source.seed import Seed, read_seed
from lfmigrate.syntax.names import quote_name
from lfmigrate.syntax.scanner import Statement, tokens

# A file means the same everywhere, whatever a role or a database prefers.
_READ_ALIKE = {"datestyle": "ISO, YMD", "intervalstyle": "postgres", "timezone": "UTC"}

_INSUFFICIENT_PRIVILEGE = "42501"

_QUERIES = frozenset({("SELECT",), ("VALUES",), ("TABLE",)})
# What an object is called that has rows, values or a position.
_WITH_CONTENT = ("table ", "table column ", "foreign table ", "materialized view ", "sequence ")

_WRITES = frozenset({"insert", "update", "delete", "merge"})

# How many rows of which tables this session has inserted, updated and deleted.
_Counts = Mapping[tuple[str, str], Written]


@dataclass(frozen=True, slots=True)
class SeededTable:
    """A table that was loaded: how many rows were inserted, and how many already existed."""

    schema: str
    name: str
    inserted: int
    kept: int


@dataclass(frozen=True, slots=True)
class SeedReport:
    """What was loaded, or would be.

    Attributes:
        server: Where.
        schema: The schema that unqualified names go to.
        tables: What was loaded, in the order of the staging tables.
        lost: What was emptied before; none without ``replace``.
        backup: The folder with the rows of that; None where there were none.
        notes: What is worth a warning.
        dry_run: Whether only that was asked for.
    """

    server: Server
    schema: str
    tables: tuple[SeededTable, ...] = ()
    lost: tuple[Emptied, ...] = ()
    backup: Path | None = None
    notes: tuple[str, ...] = ()
    dry_run: bool = False


def seed(
    conn: Connection,
    folder: Folder,
    *,
    scope: Scope | None = None,
    source: Path | None = None,
    replace: bool = False,
    dry_run: bool = False,
    backup_dir: Path | None = None,
    progress: Progress | None = None,
    shown: SeedReport | None = None,
    watch: OnCopy | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> SeedReport:
    """Load CSV files into the migrations' tables, in one transaction.

    The files are copied into temporary tables, which the folder's ``seed/load.sql`` creates and
    then merges. The script decides which rows to insert; the counts come from the server's
    statistics.

    Args:
        conn: An open connection without an open transaction.
        folder: The migrations, with a folder ``seed`` in it.
        scope: The schema, and how long to wait; by default the connection's own schema.
        source: The folder of the CSV files; by default the ``seed`` of the folder.
        replace: Empty the migrations' tables first, after a backup of the rows that are in them.
        dry_run: Do everything but the backup, and roll back.
        backup_dir: The parent directory of that backup.
        progress: Called with the result of each statement as it arrives.
        shown: The preview that was confirmed; no other tables are emptied.
        watch: Called as rows are copied.
        on_wait: Called with a line when the command has to wait for another session.

    Returns:
        What was loaded.

    Raises:
        UsageError: There is nothing to load.
        CsvFileError: A file cannot be loaded as it is.
        Refused: A migration is not applied, the backup failed, other tables refer to what would
            be emptied, the role may not see all rows, or ``load.sql`` drops or empties what
            existed before it.
        DatabaseError: The server rejected a row or a statement. All was rolled back.
        Interrupted: A signal arrived. All was rolled back.
    """
    files = read_seed(folder.path, source)
    files.load.refuse_no_transaction("a seed is loaded in one transaction")
    session = Session(conn, folder, scope, progress=progress, on_wait=on_wait)
    backup_parent = None if dry_run else backup_dir or DEFAULT_PARENT
    for attempt in Attempts(session):
        with attempt:
            state = session.state(relations=replace)
            plan.refuse_pending(folder, state.history)
            tables = _tables(session, state) if replace else ()
            try:
                with (
                    transaction(session, state) as tx,
                    unmoved_sequences(tx) if dry_run else nullcontext(),
                ):
                    staging_tables, before = _create_staging(tx, files)
                    staged = staging.pair(files.files, staging_tables)
                    loading = _Loading(tx, files, staged, tables, shown, backup_parent, watch)
                    done = loading.run()
                    if not dry_run:
                        tx.commit()
            except StatementFailed as error:
                _explain(error, session, state, files)
                raise
    loaded, notes = _loaded(staged, done.rows, _since(before, done.written))
    notes += tuple(session.notes)
    return SeedReport(state.server, state.schema, loaded, done.lost, done.backup, notes, dry_run)


def preview_replace(
    conn: Connection,
    folder: Folder,
    *,
    scope: Scope | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> SeedReport:
    """Return the tables that `seed` with ``replace`` would empty, and their rows. Only reads.

    Args:
        conn: An open connection without an open transaction.
        folder: The migrations.
        scope: The schema; by default the connection's own.
        on_wait: Called with a line when the command has to wait for another session.

    Returns:
        A report with ``lost`` alone.

    Raises:
        Refused: A migration is not applied.
        DatabaseError: The rows could not be counted.
    """
    session = Session(conn, folder, scope, on_wait=on_wait)
    for attempt in Attempts(session):
        with attempt:
            state = session.state()
            plan.refuse_pending(folder, state.history)
            tables = _tables(session, state)
            lost = tables_with_rows(session, state, tables)
    return SeedReport(state.server, state.schema, lost=lost)


def _tables(session: Session, state: DatabaseState) -> tuple[Table, ...]:
    """Return the tables that the applied migrations created."""
    owned = owned_objects(session, state)
    with session.reading(state.schema) as flight:
        asked = flight.ask(catalog.tables((r.schema, r.name) for r in owned.tables))
    return asked.value


def _create_staging(tx: Transaction, files: Seed) -> tuple[tuple[StagingTable, ...], _Counts]:
    """Create the staging tables; return them, and what this session has written so far."""
    flight, scope, defaults = tx.flight, tx.session.scope, tx.state.server.defaults
    flight.enter_file(defaults)
    for statement in files.staging:
        flight.run(statement)
    flight.reset(scope, defaults)
    flight.set(_READ_ALIKE)
    tables = flight.ask(catalog.staging(staging.PREFIX))
    written = flight.ask(catalog.written_rows())
    flight.do(f"SAVEPOINT {staging.SAVEPOINT}")
    tx.send()
    if written.value is None:
        raise DatabaseError(
            "this server does not count rows, so what is loaded would not be known",
            hint="Ask its administrator to set track_counts to on.",
        )
    return tables.value, written.value


@dataclass(frozen=True, slots=True)
class _Done:
    """What was loaded: the rows of each file, what was emptied and saved, what is written now."""

    rows: Sequence[int]
    lost: tuple[Emptied, ...]
    backup: Path | None
    written: _Counts


@dataclass(frozen=True, slots=True)
class _Loading:
    """Files that have staging tables, and what to do with them; see `seed`."""

    tx: Transaction
    files: Seed
    staged: Sequence[Staged]
    tables: Sequence[Table]
    shown: SeedReport | None
    backup_parent: Path | None
    watch: OnCopy | None

    def run(self) -> _Done:
        """Fill the staging tables, empty ``tables`` and merge."""
        tx, staged, watch = self.tx, self.staged, self.watch
        filled = filling.fill(tx.conn, tx.flight, staged, watch)
        try:
            return self._replace_and_merge(filled)
        except StatementFailed:
            if not filled.is_rejected:
                raise
        return self._replace_and_merge(filling.copy_instead(tx.conn, staged, watch))

    def _replace_and_merge(self, filled: Filling) -> _Done:
        tx, tables = self.tx, self.tables
        lost = lock_and_count_tables(tx, tables)
        if self.shown is not None:
            refuse_more_than_shown(labels(self.shown.lost), labels(lost), saved=True)
        backup = None
        if lost:
            backup = save_and_empty(
                tx,
                tables,
                lost,
                backup_parent=self.backup_parent,
                reason="seed --replace",
                fires_triggers=True,
                watch=self.watch,
            )
        return _Done(filled.rows, lost, backup, _merge(tx, self.files, self.staged, filled))


def _merge(tx: Transaction, files: Seed, staged: Sequence[Staged], filled: Filling) -> _Counts:
    """Run the merge script, refuse the rows that it finds, and return what is written by then."""
    flight, scope, defaults = tx.flight, tx.session.scope, tx.state.server.defaults
    # What the script may not see, it would take for missing.
    targets = [each.table.target for each in staged if each.table.target is not None]
    see_all_rows(flight, targets, may_lift=False)
    flight.do(f"SAVEPOINT {violations.SAVEPOINT}")
    schema, table = tx.state.schema, ledger.table(scope)
    first = Moment.queue(flight, schema, table)
    flight.enter_file(defaults)
    selected: list[Answer[Selected]] = []
    for statement in files.merge:
        if _is_query(statement):
            selected.append(flight.select(statement, staging.MOST))
        else:
            flight.run(statement)
    flight.reset(scope, defaults)
    # What would be checked at the commit fails here, and in a dry run.
    flight.do("SET CONSTRAINTS ALL IMMEDIATE")
    written = flight.ask(catalog.written_rows())
    last = Moment.queue(flight, schema, table)
    flight.reset(scope, defaults)
    failure = None
    try:
        tx.send()
    except RowsHidden:
        raise
    except StatementFailed as error:
        if filled.is_rejected:
            raise
        failure = error
    # What was found may well be why a statement after it failed.
    violations.refuse_found(tx.conn, staged, [answer.value for answer in selected if answer.landed])
    if failure is not None:
        raise violations.explain(tx.conn, staged, failure, files.merge)
    _refuse_losses(tx, first, last)
    return written.value or {}


def _refuse_losses(tx: Transaction, first: Moment, last: Moment) -> None:
    """Refuse a script that has dropped, emptied or rewritten what existed before."""
    done = changes(first, last)
    dropped = existed_before(tx.conn, done.dropped)
    lost = [name for name in dropped if name.startswith(_WITH_CONTENT)]
    # A sequence that is restarted is set, as by setval.
    rewritten = existed_before(tx.conn, done.rewritten)
    lost += [name for name in rewritten if name.startswith("table ")]
    objects = touched_objects(tx, last.traces.value).lost
    lost += [f"large object {number}" for number in sorted(objects)]
    if lost:
        raise Refused(
            "load.sql drops, empties or rewrites what existed before it",
            detail=lost,
            hint="Do that in a migration. seed --replace empties the migrations' tables, after a"
            " backup.",
        )


def _since(before: _Counts, after: _Counts) -> _Counts:
    none = Written()
    return {
        name: Written(
            now.inserted - before.get(name, none).inserted,
            now.updated - before.get(name, none).updated,
            now.deleted - before.get(name, none).deleted,
        )
        for name, now in after.items()
    }


def _explain(error: StatementFailed, session: Session, state: DatabaseState, files: Seed) -> None:
    """Add to a failed statement of load.sql the privilege that it needs, or the tables' drift."""
    if error.file != files.load.name:
        return
    server = state.server
    if error.sqlstate == _INSUFFICIENT_PRIVILEGE and "temporary" in error.message:
        error.hint = (
            f"Ask the database owner to run: GRANT TEMPORARY ON DATABASE"
            f" {quote_name(server.database)} TO {quote_name(server.role)};"
        )
        return
    try:
        drift = _drift(session.state())
    except DatabaseError:
        return  # no further detail is available
    if drift:
        error.detail = (*error.detail, *drift)
        error.hint = 'Run "lfmigrate verify" to see how the tables differ from the migrations.'


def _is_query(statement: Statement) -> bool:
    """Return whether a statement only returns rows, so that it may reject some."""
    if statement.head[:1] == ("WITH",):
        words = {token.value for token in tokens(statement.text) if token.kind == "word"}
        return not words & _WRITES
    return statement.head[:1] in _QUERIES or statement.text.startswith("(")


def _loaded(
    staged: Sequence[Staged],
    rows: Sequence[int],
    counts: Mapping[tuple[str, str], Written],
) -> tuple[tuple[SeededTable, ...], tuple[str, ...]]:
    """Return the tables that were loaded, and what is worth a warning."""
    tables = []
    notes = []
    left = dict(counts)
    for each, count in zip(staged, rows, strict=True):
        if each.table.target is None:
            notes.append(
                f"{each.file.name} has no table of its name, so what became of its"
                f" {count:,} {'row' if count == 1 else 'rows'} is not known"
            )
            continue
        inserted = left.pop(each.table.target, Written()).inserted
        tables.append(SeededTable(*each.table.target, inserted, max(count - inserted, 0)))
    tables += [
        SeededTable(*name, written.inserted, 0)
        for name, written in left.items()
        if written.inserted
    ]
    notes += [
        f"load.sql has changed rows of {schema}.{name}: {_changed(written)}"
        for (schema, name), written in counts.items()
        if written.updated or written.deleted
    ]
    return tuple(tables), tuple(notes)


def _changed(written: Written) -> str:
    """Return how many rows were updated and deleted; one may have been both."""
    deeds = [(written.updated, "updated"), (written.deleted, "deleted")]
    return ", ".join(f"{count:,} {deed}" for count, deed in deeds if count)


def _drift(state: DatabaseState) -> list[str]:
    """Return what the migrations' tables lack."""
    lines = []
    for key, expected in state.history.expected.items():
        live = state.live.get(key)
        if expected.kind != "table":
            continue
        if live is None:
            lines.append(f"table {key.schema}.{key.name} is missing")
            continue
        for difference in compare(expected, live):
            if difference.part.startswith("column ") and difference.expected is not None:
                found = f"is {difference.live}" if difference.live else "is missing"
                lines.append(
                    f"table {key.schema}.{key.name}: {difference.part}, {difference.expected},"
                    f" {found}"
                )
    return lines
