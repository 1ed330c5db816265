"""`seed`: load initial data from CSV files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from lfmigrate import catalog
from lfmigrate.catalog.sessions import Server
from lfmigrate.catalog.tables import Table, Written
from lfmigrate.engine import owned, state
from lfmigrate.engine.run import Blockers, Job, name_blockers, refuse_read_only, stall, take_turns
from lfmigrate.engine.state import DatabaseState, read_state
from lfmigrate.errors import (
    DatabaseError,
    LfmigrateError,
    Refused,
    StatementFailed,
    combine,
)
from lfmigrate.history import ledger, plan
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight, roll_back, rolled_back_on_error
from lfmigrate.postgres.wire import Answer, Progress, Selected
from lfmigrate.rows import dump, staging
from lfmigrate.rows.archive import DEFAULT_PARENT
from lfmigrate.rows.dump import Emptied, OnCopy, emptied
from lfmigrate.rows.staging import Staged
from lfmigrate.schema.compare import compare
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder
from lfmigrate.source.seed import Seed, meaning, read_checks, read_seed
from lfmigrate.syntax.names import quote_name
from lfmigrate.syntax.scanner import Statement, tokens

# A file means the same everywhere, whatever a role or a database prefers.
_READ_ALIKE = {"datestyle": "ISO, YMD", "intervalstyle": "postgres", "timezone": "UTC"}

_AGAINST_CHECK = "23514"

_DUPLICATE = "23505"

_QUERIES = frozenset({("SELECT",), ("VALUES",), ("TABLE",)})

_WRITES = frozenset({"insert", "update", "delete", "merge"})


@dataclass(frozen=True, slots=True)
class SeededTable:
    """A table that was loaded: how many rows were inserted, and how many were there already."""

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
        dry_run: Whether nothing was done.
    """

    server: Server
    schema: str
    tables: tuple[SeededTable, ...] = ()
    lost: tuple[Emptied, ...] = ()
    backup: Path | None = None
    notes: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A check that was run.

    Attributes:
        name: The file's name, without its ending.
        meaning: What must hold.
        count: How many rows offend against it.
        rows: The first of them, by column.
    """

    name: str
    meaning: str
    count: int
    rows: tuple[Mapping[str, Any], ...]

    @property
    def status(self) -> Literal["ok", "broken"]:
        """Return whether it holds, in a word."""
        return "broken" if self.count else "ok"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The checks, in the order of their names."""

    server: Server
    schema: str
    checks: tuple[CheckResult, ...]

    @property
    def ok(self) -> bool:
        """Return whether all of them hold."""
        return not any(check.count for check in self.checks)


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
    watch: OnCopy | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> SeedReport:
    """Load CSV files into the migrations' tables, in one transaction.

    The files are copied into temporary tables, which the folder's ``seed/load.sql`` makes and then
    merges. What it keeps and what it inserts is its own affair; what it did is counted by the
    server.

    Args:
        conn: An open connection without an open transaction.
        folder: The migrations, with a folder ``seed`` in it.
        scope: The schema, and how patiently; by default the connection's own schema.
        source: The folder of the CSV files; by default the ``seed`` of the folder.
        replace: Empty the migrations' tables first, after a backup of the rows that are in them.
        dry_run: Do it all but the backup, and roll back.
        backup_dir: Where that backup's folder is made.
        progress: Called with each statement's answer as it comes.
        watch: Called as rows go to the server.
        on_wait: Called once with a line if another run holds the lock.

    Returns:
        What was loaded.

    Raises:
        UsageError: There is nothing to load.
        CsvFileError: A file cannot be loaded as it is.
        Refused: A migration is not applied, the backup failed, or other tables refer to what would
            be emptied.
        DatabaseError: The server refused a row or a statement. All was rolled back.
        Interrupted: A signal came. All was rolled back.
    """
    files = read_seed(folder.path, source)
    files.load.refuse_no_transaction("a seed is loaded in one transaction")
    job = Job(conn, folder, scope or Scope(), dry_run, progress, Blockers.of(conn, on_wait))

    def load() -> SeedReport:
        before = _ready(job)
        loading = _Loading(job, before, files, backup_dir or DEFAULT_PARENT, watch)
        return loading.run(_tables(job, before) if replace else ())

    return take_turns(load, on_wait)


def check_seed(conn: Connection, folder: Folder, *, scope: Scope | None = None) -> CheckReport:
    """Run the folder's ``seed/checks``: each returns the rows that offend against it. Only reads.

    Args:
        conn: An open connection without an open transaction.
        folder: The migrations, with a folder ``seed/checks`` in it.
        scope: The schema; by default the connection's own.

    Returns:
        What was found.

    Raises:
        UsageError: There are no checks.
        Refused: A migration is not applied.
        DatabaseError: A check failed to run.
    """
    scope = scope or Scope()
    checks = read_checks(folder.path)
    before = read_state(conn, scope, at_relations=False)
    _refuse_unapplied(folder, before)
    flight = Flight(conn)
    flight.begin(scope, read_only=True)
    flight.enter_file()
    asked = [flight.select(file.statements[0], staging.MOST) for file in checks]
    flight.do("COMMIT")
    with rolled_back_on_error(conn):
        flight.go()
    return CheckReport(
        before.server,
        before.schema,
        tuple(
            CheckResult(
                Path(file.name).stem,
                meaning(file),
                answer.value.count,
                answer.value.rows,
            )
            for file, answer in zip(checks, asked, strict=True)
        ),
    )


def _ready(job: Job) -> DatabaseState:
    before = job.look()
    refuse_read_only(before.server)
    _refuse_unapplied(job.folder, before)
    return before


def _refuse_unapplied(folder: Folder, before: DatabaseState) -> None:
    states = plan.migration_states(folder, before.history)
    pending = [f"{s.version}_{s.name}" for s in states if s.status == "pending"]
    if pending:
        raise Refused(
            f"migration {pending[0]} is not applied here"
            if len(pending) == 1
            else f"{len(pending)} migrations are not applied here, the first of them {pending[0]}",
            hint='Run "lfmigrate up" first; it adopts tables that are there already.',
        )


def _tables(job: Job, before: DatabaseState) -> tuple[Table, ...]:
    """Return the tables that the applied migrations made."""
    mine = owned.everything(job.conn, job.folder, job.scope, before)
    live = [mine.live[key] for key in mine.owned.whole if key in mine.live]
    flight = Flight(job.conn)
    asked = flight.ask(catalog.tables((r.schema, r.name) for r in live if r.kind == "table"))
    flight.go()
    return asked.value


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
        on_wait: Called with a line when another session's lock has to be waited for.

    Returns:
        A report with ``lost`` alone, and ``dry_run`` set.

    Raises:
        Refused: A migration is not applied.
        DatabaseError: The rows could not be counted.
    """
    blockers = Blockers.of(conn, on_wait)
    job = Job(conn, folder, scope or Scope(), dry_run=True, progress=None, blockers=blockers)
    return take_turns(lambda: _preview(job), on_wait)


def _preview(job: Job) -> SeedReport:
    before = _ready(job)
    tables = _tables(job, before)
    flight = Flight(job.conn)
    asked = [flight.ask(dump.count_rows(table)) for table in tables]
    flight.go()
    lost = emptied(tables, [answer.value for answer in asked])
    return SeedReport(before.server, before.schema, lost=lost, dry_run=True)


@dataclass(slots=True)
class _Loading:
    """One attempt, in one transaction.

    Attributes:
        backup: The backup that was made on the way.
    """

    job: Job
    before: DatabaseState
    seed: Seed
    backup_parent: Path
    watch: OnCopy | None
    backup: Path | None = None
    _conn: Connection = field(init=False)

    def __post_init__(self) -> None:
        self._conn = self.job.conn

    def run(self, to_empty: Sequence[Table]) -> SeedReport:
        """Load, and commit unless it is a dry run."""
        flight = Flight(self._conn)
        flight.begin(self.job.scope)
        ledger.begin_run(flight, str(uuid4()), self.before.history)
        flight.do(catalog.query_text("lock"))
        own = flight.ask(ledger.transaction_id())
        flight.enter_file()
        statements = [flight.run(statement) for statement in self.seed.staging]
        flight.leave_file(self.seed.load, self.job.scope)
        for name, setting in _READ_ALIKE.items():
            flight.do("SELECT set_config($1, $2, true)", name, setting)
        tables = flight.ask(catalog.staging(staging.PREFIX))
        written = flight.ask(catalog.written_rows())
        try:
            with rolled_back_on_error(self._conn):
                try:
                    flight.go(self.job.progress, stall(self.job))
                except StatementFailed as error:
                    raise self._explained(error, statements) from None
                staged = staging.pair(self.seed.files, tables.value)
                rows = staging.copy(self._conn, staged, self.watch)
                lost = self._make_room(to_empty)
                counts = self._merge(staged, written.value)
            if self.job.dry_run:
                roll_back(self._conn)
            else:
                committed = ledger.was_committed(own.value)
                ledger.commit(self._conn, Flight(self._conn), committed)
        except LfmigrateError as error:
            if isinstance(error, StatementFailed):
                name_blockers(self.job, error)
            if self.backup is not None:
                error.detail = (*error.detail, f"The backup in {self.backup} is complete.")
            raise
        loaded, notes = _loaded(staged, rows, counts)
        return SeedReport(
            self.before.server,
            self.before.schema,
            loaded,
            lost,
            self.backup,
            notes,
            self.job.dry_run,
        )

    def _make_room(self, tables: Sequence[Table]) -> tuple[Emptied, ...]:
        """Save and delete the rows of tables, and return how many there were."""
        rows = dump.lock_and_count(self._conn, tables, stall(self.job))
        lost = emptied(tables, rows)
        if lost and not self.job.dry_run:
            names = [(table.schema, table.name) for table in tables]
            what = state.about(self.before, "seed --replace")
            saved = dump.dump_in_savepoint(
                self._conn, names, (), self.backup_parent, what, watch=self.watch
            )
            self.backup = saved.path
        if lost:
            dump.empty(self._conn, tables)
        return lost

    def _merge(
        self,
        staged: Sequence[Staged],
        before: Mapping[tuple[str, str], Written] | None,
    ) -> Mapping[tuple[str, str], Written]:
        """Run what merges, refuse what it finds, and return the rows that it has written."""
        if before is None:
            raise DatabaseError(
                "this server does not count rows, so it could not be told what was loaded",
                hint="Let its administrator switch track_counts on.",
            )
        flight = Flight(self._conn)
        flight.do("SAVEPOINT lfmigrate_merge")
        flight.enter_file()
        answers: list[Answer[Any]] = []
        selected: list[Answer[Selected]] = []
        for statement in self.seed.merge:
            if _is_query(statement):
                selected.append(flight.select(statement, staging.MOST))
                answers.append(selected[-1])
            else:
                answers.append(flight.run(statement))
        flight.leave_file(self.seed.load, self.job.scope)
        # What would be checked at the commit is told now, and in a dry run.
        flight.do("SET CONSTRAINTS ALL IMMEDIATE")
        after = flight.ask(catalog.written_rows())
        failure = None
        try:
            flight.go(self.job.progress, stall(self.job))
        except StatementFailed as error:
            failure = error
        # What was found may well be why a statement behind it failed.
        self._refuse_found(staged, [answer.value for answer in selected if answer.landed])
        if failure is not None:
            raise self._explained(failure, answers, staged)
        counts = after.value or {}
        none = Written(0, 0)
        return {
            name: Written(
                now.inserted - before.get(name, none).inserted,
                now.changed - before.get(name, none).changed,
            )
            for name, now in counts.items()
        }

    def _refuse_found(self, staged: Sequence[Staged], found: Iterable[Selected]) -> None:
        """Refuse rows that cannot be merged, with their places in the files."""
        findings = []
        count = 0
        for selected in found:
            rows = [row for row in selected.rows if "problem" in row]
            findings += rows
            count += selected.count if rows else 0
        if not findings:
            return
        self._undo_merge()
        by_table = {each.table.id: each for each in staged}
        problems: list[LfmigrateError] = []
        for finding in findings[: staging.MOST]:
            problems.append(StatementFailed(str(finding["problem"])))
            each = by_table.get(str(finding.get("tableoid")))
            if each is not None:
                ctid, column = str(finding.get("ctid")), finding.get("column")
                staging.place(self._conn, each, ctid, problems[-1], column)
        raise combine(problems, staging.how_many(count))

    def _explained(
        self,
        error: StatementFailed,
        answers: Sequence[Answer[Any]],
        staged: Sequence[Staged] = (),
    ) -> LfmigrateError:
        """Say of a failed statement what only the seed knows: its rows, and the tables' drift."""
        if error.sqlstate == _AGAINST_CHECK:
            return self._against_check(error, staged)
        if error.sqlstate == _DUPLICATE:
            return self._duplicate(error, staged)
        if error.sqlstate == "42501" and "temporary" in error.message:
            server = self.before.server
            error.hint = (
                f"Let the database's owner run: GRANT TEMPORARY ON DATABASE"
                f" {quote_name(server.database)} TO {quote_name(server.role)};"
            )
        elif any(answer.error is error for answer in answers):
            drift = _drift(self.before)
            if drift:
                error.detail = (*error.detail, *drift)
                error.hint = 'Run "lfmigrate verify" to see how the tables differ from the files.'
        return error

    def _against_check(self, error: StatementFailed, staged: Sequence[Staged]) -> LfmigrateError:
        """Say what a check demands, and which rows of the file do not satisfy it."""
        named = error.diagnostic
        self._undo_merge()
        flight = Flight(self._conn)
        asked = flight.ask(
            catalog.check_constraint(named.schema or "", named.table or "", named.constraint or "")
        )
        flight.go()
        rule = asked.value
        if rule is None:
            return error
        demand = f"{named.table} demands that {rule.words} (constraint {named.constraint})"
        target = (named.schema, named.table)
        each = next((each for each in staged if each.table.target == target), None)
        problems = [] if each is None else staging.offenders(self._conn, each, rule, demand)
        if not problems:
            error.detail = (*error.detail, demand)
            return error
        return combine(problems, staging.how_many(len(problems)))

    def _duplicate(self, error: StatementFailed, staged: Sequence[Staged]) -> LfmigrateError:
        """Say which rows of the files repeat another one, by the unique indexes of load.sql."""
        by_name = {each.table.name: each for each in staged}
        if error.diagnostic.table not in by_name:
            return error
        self._undo_merge()
        problems: list[LfmigrateError] = []
        for statement in self.seed.merge:
            if statement.head[:3] != ("CREATE", "UNIQUE", "INDEX"):
                continue
            flight = Flight(self._conn)
            flight.do("SAVEPOINT lfmigrate_merge")
            flight.run(statement)
            try:
                flight.go()
            except StatementFailed as failure:
                self._undo_merge()
                each = by_name.get(failure.diagnostic.table or "")
                # The server tells the key in its own language, but in this form.
                keys = [re.search(r"\((.+)\)=\(", line) for line in failure.detail]
                key = next((found[1] for found in keys if found), None)
                if failure.sqlstate == _DUPLICATE and each is not None and key is not None:
                    problems += staging.duplicates(self._conn, each, key)
        return combine(problems, staging.how_many(len(problems))) if problems else error

    def _undo_merge(self) -> None:
        """Go back to where the files are in the staging tables, to look at their rows."""
        flight = Flight(self._conn)
        flight.do("ROLLBACK TO SAVEPOINT lfmigrate_merge")
        flight.go()


def _is_query(statement: Statement) -> bool:
    """Return whether a statement only returns rows, so that it may refuse some."""
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
                f"{each.file.name} has no table of its name, so what became of its {count:,} rows"
                " is not known"
            )
            continue
        inserted = left.pop(each.table.target, Written(0, 0)).inserted
        tables.append(SeededTable(*each.table.target, inserted, max(count - inserted, 0)))
    tables += [
        SeededTable(*name, written.inserted, 0)
        for name, written in left.items()
        if written.inserted
    ]
    notes += [
        f"load.sql has updated or deleted rows of {schema}.{name}: {written.changed:,}"
        for (schema, name), written in counts.items()
        if written.changed
    ]
    return tuple(tables), tuple(notes)


def _drift(before: DatabaseState) -> list[str]:
    """Return what the migrations' tables lack of what the files say."""
    lines = []
    for key, expected in before.history.expected.items():
        live = before.live.get(key)
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
