"""`up`: run every pending migration and changed view."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Literal

from lfmigrate import catalog
from lfmigrate.catalog.sessions import Server
from lfmigrate.engine import nontransactional
from lfmigrate.engine.effects import Judgement
from lfmigrate.engine.run import Blockers, Job, Run, Step, Turn, kept, run_files
from lfmigrate.engine.state import DatabaseState, end_reading
from lfmigrate.errors import (
    NOTHING_CHANGED,
    DifferenceFound,
    ErrorOutcome,
    Refused,
    StatementFailed,
    committed_before,
)
from lfmigrate.history import ledger, plan
from lfmigrate.history.events import Event
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight, rolled_back_on_error
from lfmigrate.postgres.wire import Progress
from lfmigrate.schema.compare import Verdict, compare, compare_all
from lfmigrate.schema.relation import NAMED_PARTS, Key, Relation, Snapshot
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder, Migration
from lfmigrate.source.sqlfile import SqlFile

# What CREATE OR REPLACE VIEW says when it would take a column away or change one.
_COLUMNS_CHANGED = "42P16"

# Something depends on what a statement wants to drop.
_DEPENDED_ON = "2BP01"


@dataclass(frozen=True, slots=True)
class MigrationResult:
    """What became of one migration, and how long its statements took on the server.

    ``elapsed_ms`` is None where a dry run could not try it.
    """

    version: str
    name: str
    status: Literal["applied", "already_applied", "planned", "repaired"]
    elapsed_ms: int | None


@dataclass(frozen=True, slots=True)
class UpReport:
    """What an ``up`` did, or would do.

    Attributes:
        server: Where it was done.
        schema: The schema that it was done in.
        migrations: Every applied or planned migration, in version order.
        relations: A verdict per relation of the migrations and views: ``created``, ``skipped``,
            ``drifted``, ``replaced``, ``altered``, ``dropped``, ``unchanged``, or ``missing`` for a
            view that waits for what is still pending. What a migration made on a
            relation that it did not make (an index, say) is a row of its own.
        notes: What is worth a warning.
        dry_run: Whether all of it was rolled back on purpose.
    """

    server: Server
    schema: str
    migrations: tuple[MigrationResult, ...]
    relations: tuple[Verdict, ...]
    notes: tuple[str, ...]
    dry_run: bool


def up(
    conn: Connection,
    folder: Folder,
    *,
    scope: Scope | None = None,
    to: str | None = None,
    dry_run: bool = False,
    strict: bool = False,
    per_migration: bool = False,
    allow_out_of_order: bool = False,
    progress: Progress | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> UpReport:
    """Run every pending migration, and the views that are new, changed or missing.

    Writes, in one transaction, which ends before a file that asks for none; such a file runs
    statement by statement on a direct connection, and goes on where it was interrupted. Relations
    that exist are skipped and compared. A relation of an applied migration that has gone missing is
    made again, in a transaction before that one, if all statements of its file may be run again and
    bring back nothing else.

    Args:
        conn: An open connection without an open transaction.
        folder: The files.
        scope: The schema, and how patiently; by default the connection's own schema.
        to: The last version to run; None for all. Views run only when nothing stays pending.
        dry_run: Do it all, and roll back.
        strict: Roll back if a relation differs from what is expected.
        per_migration: Commit after each file instead of once.
        allow_out_of_order: Run a pending version below an applied one all the same.
        progress: Called with each statement's answer as it comes.
        on_wait: Called once with a line if another run holds the lock.

    Returns:
        What was done.

    Raises:
        UsageError: ``to`` is no version of the folder, a transaction is open, or a file asks for no
            transaction and the connection leads to a pooler.
        DifferenceFound: ``strict`` met drift, or something is missing and cannot be made again;
            ``report`` holds what was found. All was rolled back.
        DatabaseError: The database said no. All was rolled back.
        Refused: Another run held the lock for too long, or versions are out of order.
        Interrupted: A signal came. All was rolled back.
    """
    job = Job(
        conn,
        folder,
        scope or Scope(),
        dry_run,
        progress,
        Blockers.of(conn, on_wait),
    )

    def review(run: Run, judgement: Judgement) -> None:
        actions = {step.action for step in run.steps}
        if "repair" in actions and "up" not in actions:
            _refuse_spoiled(before, run, judgement)
        if strict:
            _refuse_uncompared(run)
            _refuse_drift(_report(folder, run.after, [run], dry_run=dry_run))

    def choose(found: DatabaseState) -> list[Step]:
        return _steps(folder, found, to=to, allow_out_of_order=allow_out_of_order)

    turn = Turn(on_wait)
    with ExitStack() as stack:
        work = _Work(job, choose, review, per_migration, stack)
        while True:
            before = _look(job, turn, outcome=committed_before(kept(work.runs)))
            try:
                before = work.attempt(before)
            except StatementFailed as error:
                outcome = committed_before(kept(work.runs))
                if not _will_be_made_anew(job, before, error, work.anew, outcome=outcome):
                    turn.wait(error, outcome=outcome)
            else:
                break
    end_reading(conn)
    report = _report(folder, before, work.runs, dry_run=dry_run)
    report = _with_untried(report, work.untried)
    if strict and not work.runs:
        with rolled_back_on_error(conn):
            _refuse_drift(report)
    return report


@dataclass(slots=True)
class _Work:
    """What an ``up`` does, in as many attempts as it takes.

    Attributes:
        job: What stays the same.
        choose: Returns the files to run.
        review: See `run_files`.
        one_by_one: Whether each file is a transaction of its own.
        stack: Closes the direct connection, if one is opened.
        runs: What was done so far.
        anew: The names of view files whose views are dropped first.
        untried: What a dry run cannot try.
        direct: The job on that connection.
    """

    job: Job
    choose: Callable[[DatabaseState], list[Step]]
    review: Callable[[Run, Judgement], None]
    one_by_one: bool
    stack: ExitStack
    runs: list[Run] = field(default_factory=list)
    anew: set[str] = field(default_factory=set)
    untried: list[Step] = field(default_factory=list)
    direct: Job | None = None

    def attempt(self, before: DatabaseState) -> DatabaseState:
        """Run what is to be run, and return the database as that leaves it."""
        steps = [replace(s, anew=s.file.name in self.anew) for s in self.choose(before)]
        if self.job.dry_run:
            steps, self.untried = _triable(steps)
        if self.direct is None and any(step.file.no_transaction for step in steps):
            end_reading(self.job.conn)
            # Before anything runs: without it, nothing should.
            self.direct = self.stack.enter_context(nontransactional.direct(self.job))
        for batch in _batches(steps, dry_run=self.job.dry_run, one_by_one=self.one_by_one):
            for run in self._runs(before, batch):
                self.runs.append(run)
                before = run.after
        return before

    def _runs(self, before: DatabaseState, batch: list[Step]) -> Iterator[Run]:
        """Run some files in one transaction, or a single one outside of any."""
        if self.direct is None or not batch[0].file.no_transaction:
            outcome = committed_before(kept(self.runs))
            yield run_files(self.job, before, batch, outcome=outcome, review=self.review)
            return
        # An open transaction would be waited for.
        end_reading(self.job.conn)
        yield from nontransactional.run_units(
            self.direct,
            before,
            batch[0],
            kept=lambda: kept(self.runs),
            review=self.review,
        )


def _triable(steps: list[Step]) -> tuple[list[Step], list[Step]]:
    """Part what a dry run can roll back from what it cannot try, and from what comes after that."""
    for place, step in enumerate(steps):
        if step.file.no_transaction:
            return steps[:place], steps[place:]
    return steps, []


def _with_untried(report: UpReport, untried: Sequence[Step]) -> UpReport:
    """Add to a dry run's report what would be run, but could not be tried."""
    if not untried:
        return report
    planned = [
        MigrationResult(step.version, step.name, "planned", None)
        for step in untried
        if step.version is not None
    ]
    note = (
        f"{untried[0].label} runs outside of a transaction, so a dry run can try neither it nor"
        " what comes after it"
    )
    return replace(report, migrations=(*report.migrations, *planned), notes=(*report.notes, note))


def _steps(
    folder: Folder, before: DatabaseState, *, to: str | None, allow_out_of_order: bool
) -> list[Step]:
    """Choose the files to run: what went missing and what is pending, in order, then the views."""
    known = before.history
    pending = plan.pending_migrations(folder, known, to=to, allow_out_of_order=allow_out_of_order)
    again = _repairs(folder, before)
    migrations = [Step.of_migration("up", m) for m in pending]
    migrations += [Step.of_migration("repair", m) for m in again]
    migrations.sort(key=lambda step: int(step.version or 0))
    applied = known.applied.keys() | {m.number for m in pending}
    if any(m.number not in applied for m in folder.migrations):
        return migrations  # a view may need what is not there yet
    missing = set(before.missing)
    all_again = any(_may_drop_a_view(step.file) for step in migrations)
    return migrations + [
        Step.of_view(state.view)
        for state in plan.view_states(folder, known)
        if all_again
        or state.event is None
        or state.status == "edited"
        or any(relation.key in missing for relation in state.event.expected)
    ]


def _may_drop_a_view(file: SqlFile) -> bool:
    """Return whether a file might take a view with it; running a view once more does no harm."""
    return any(statement.head[:1] in {("DROP",), ("ALTER",)} for statement in file.statements)


def _repairs(folder: Folder, before: DatabaseState) -> list[Migration]:
    """Choose the applied migrations to run again, for the relations that have gone missing."""
    by_number = {m.number: m for m in folder.migrations}
    views = {view.name for view in folder.views}
    chosen: dict[int, Migration] = {}
    problems: list[str] = []
    for key in before.missing:
        relation = before.history.expected[key]
        for event in before.history.makers[key]:
            if event.number is None:
                # A view runs again by itself, but for one whose file is gone.
                if event.name in views:
                    continue
                problems.append(f"{relation.kind} {_label(relation)}: {event.file} is gone")
                continue
            problem = _why_not_again(by_number.get(event.number), event)
            if problem is None:
                chosen[event.number] = by_number[event.number]
            else:
                problems.append(f"{relation.kind} {_label(relation)}: {problem}")
    if problems:
        raise DifferenceFound(
            f"{len(problems)} relations of applied migrations are missing and cannot be made again"
            if len(problems) > 1
            else "a relation of an applied migration is missing and cannot be made again",
            detail=problems,
            outcome=NOTHING_CHANGED,
            hint='Restore it by hand, and see "lfmigrate verify".',
        )
    return list(chosen.values())


def _why_not_again(migration: Migration | None, event: Event) -> str | None:
    if migration is None:
        return f"{event.file} is not in the folder"
    if migration.up.checksum != event.checksum:
        return f"{event.file} was edited after it was applied"
    if migration.up.no_transaction:
        return f"{event.file} runs outside of a transaction"
    blocking = migration.up.first_not_rerunnable()
    if blocking is not None:
        head = " ".join(blocking.head[:3])
        return f"{event.file}:{blocking.line} ({head}) may not run twice"
    return None


def _look(job: Job, turn: Turn, *, outcome: ErrorOutcome) -> DatabaseState:
    """Look at the database, when nobody is in the way."""
    while True:
        try:
            return job.look()
        except StatementFailed as error:
            turn.wait(error, outcome=outcome)


def _will_be_made_anew(
    job: Job,
    before: DatabaseState,
    error: StatementFailed,
    anew: set[str],
    *,
    outcome: ErrorOutcome,
) -> bool:
    """Return whether a view file failed that will be tried again with the view dropped first.

    Args:
        job: What stays the same.
        before: The database before the run that failed.
        error: Why it failed.
        anew: The names of the files that were tried so already; the new one is added.
        outcome: What is true when all is rolled back.

    Raises:
        Refused: Something depends on such a view.
    """
    if error.sqlstate == _DEPENDED_ON and error.file is None and anew:
        _refuse_dependents(job, before, anew, outcome=outcome)
    files = {view.file.name for view in job.folder.views}
    if error.sqlstate != _COLUMNS_CHANGED or error.file not in files - anew:
        return False
    anew.add(error.file)
    return True


def _refuse_dependents(
    job: Job, before: DatabaseState, files: Collection[str], *, outcome: ErrorOutcome
) -> None:
    """Refuse to drop views that others depend on, and list those.

    Raises:
        Refused: There are such.
    """
    names = sorted(view.name for view in job.folder.views if view.file.name in files)
    with rolled_back_on_error(job.conn, outcome):
        flight = Flight(job.conn)
        flight.begin(job.scope, read_only=True)
        flight.look_at(before.schema)
        keys = [Key("relation", before.schema, name) for name in names]
        found = flight.ask(catalog.snapshot(keys, ledger=ledger.table(job.scope)))
        flight.go()
        roots = {item.id for item in found.value}
        flight = Flight(job.conn)
        asked = flight.ask(catalog.dependents((root, None) for root in roots))
        flight.go()
        flight = Flight(job.conn)
        named = flight.ask(catalog.items(asked.value - roots))
        flight.do("COMMIT")
        flight.go()
    dependents = sorted(
        f"{item.kind} {item.name}"
        for item in named.value.values()
        if not roots & {item.relation, *item.owners}
    )
    if dependents:
        views = ", ".join(f'"{name}"' for name in names)
        raise Refused(
            f"the columns of view {views} have changed, so it has to be dropped, and others"
            " depend on it",
            detail=dependents,
            outcome=outcome,
            hint="Drop those first, and make them again afterwards.",
        )


def _batches(steps: list[Step], *, dry_run: bool, one_by_one: bool) -> Iterator[list[Step]]:
    """Part the steps into transactions: repairs first, so that they can be held to the history.

    A dry run has only one, because what it rolls back is not there for the next. A file that asks
    for no transaction stands alone.
    """
    if dry_run and steps:
        yield steps
        return
    repairs = [step for step in steps if step.action == "repair"]
    others = [step for step in steps if step.action != "repair"]
    if repairs:
        yield repairs
    batch: list[Step] = []
    for step in others:
        if batch and (one_by_one or step.file.no_transaction or batch[-1].file.no_transaction):
            yield batch
            batch = []
        batch.append(step)
    if batch:
        yield batch


def _report(
    folder: Folder, after: DatabaseState, runs: Sequence[Run], *, dry_run: bool
) -> UpReport:
    done: dict[int, MigrationResult] = {}
    for event in after.history.applied.values():
        if event.number is not None and event.version is not None:
            done[event.number] = MigrationResult(
                event.version, event.name, "already_applied", event.elapsed_ms
            )
    for run in runs:
        for step, entry in zip(run.steps, run.recorded, strict=True):
            if step.version is not None:
                status: Literal["planned", "repaired", "applied"] = (
                    "planned" if dry_run else "repaired" if step.action == "repair" else "applied"
                )
                done[int(step.version)] = MigrationResult(
                    step.version, step.name, status, entry.elapsed_ms
                )
    relations = (
        _rows(runs, after)
        if runs
        else compare_all(after.history.expected, after.live, agreed="unchanged")
    )
    return UpReport(
        server=after.server,
        schema=after.schema,
        migrations=tuple(done[number] for number in sorted(done)),
        relations=relations,
        notes=(*plan.notes(folder, after.history), *(n for run in runs for n in run.notes)),
        dry_run=dry_run,
    )


def _rows(runs: Sequence[Run], after: DatabaseState) -> tuple[Verdict, ...]:
    """Return what became of each relation over all transactions of a command."""
    rows: dict[Key, Verdict] = {}
    for verdict in (verdict for run in runs for verdict in run.verdicts):
        key = verdict.relation.key
        was_made = key in rows and rows[key].status == "created"
        if verdict.status == "dropped" and was_made:
            del rows[key]  # made and removed by the same command
        elif verdict.status == "altered" and was_made:
            rows[key] = replace(verdict, status="created")
        elif verdict.status != "unchanged" or key not in rows:
            rows[key] = verdict
    # What a run has made and a later one has removed is not there any more.
    ever = {key for run in runs for key in run.after.history.expected}
    rows = {
        key: verdict
        for key, verdict in rows.items()
        if key in after.history.expected or key not in ever or verdict.status == "dropped"
    }
    return tuple(_without_lost_parts(rows, after.live).values())


def _without_lost_parts(rows: Mapping[Key, Verdict], live: Snapshot) -> dict[Key, Verdict]:
    """Leave out the row of a part that is not there any more, or that its relation's row covers."""
    parts: set[Key] = set()
    for relation in live.values():
        if relation.key in rows and rows[relation.key].status == "created":
            continue
        for part in relation.parts:
            kind, _, name = part.partition(" ")
            parts.add(Relation(kind, relation.schema, f"{relation.name}.{name}").key)
    own = NAMED_PARTS - {"sequence"}
    return {k: v for k, v in rows.items() if v.relation.kind not in own or k in parts}


def _refuse_drift(report: UpReport) -> None:
    drifted = [v for v in report.relations if v.status in {"drifted", "missing"}]
    if drifted:
        differ = "differs" if len(drifted) == 1 else "differ"
        error = DifferenceFound(
            f"{len(drifted)} of {len(report.relations)} relations {differ} from what the files say",
            detail=[f"{v.relation.kind} {v.relation.schema}.{v.relation.name}" for v in drifted],
            hint='Without --strict they are left as they are; "lfmigrate verify" shows them again.',
        )
        # It is told as what would have been done, because by then it has been rolled back.
        ran = {"applied", "repaired"}
        error.report = replace(
            report,
            migrations=tuple(
                replace(m, status="planned") if m.status in ran else m for m in report.migrations
            ),
        )
        raise error


def _refuse_spoiled(before: DatabaseState, run: Run, judgement: Judgement) -> None:
    """Refuse a repair that does more than bring back what was missing, as it was.

    An old file knows nothing of what later migrations did: it may make again what one of them
    dropped, or put an old function in the place of a newer one.
    """
    expected = before.history.expected
    problems = [
        f"{_label(v.relation)}: {d.part} is not as it was"
        for v in judgement.spoiled
        for d in v.differences
    ]
    for verdict in run.verdicts:
        relation = verdict.relation
        if verdict.status not in {"created", "replaced", "altered"}:
            continue
        if relation.kind in NAMED_PARTS and relation.kind != "sequence":
            continue  # a row for a part; its relation has a row of its own
        if relation.key not in expected:
            problems.append(f"{relation.kind} {_label(relation)} would be there again")
        elif relation.key in before.live and compare(expected[relation.key], relation):
            problems.append(f"{relation.kind} {_label(relation)} would be as it was before")
    if problems:
        raise DifferenceFound(
            "what is missing cannot be made again without changing more than that",
            detail=problems,
            hint='Restore it by hand, and see "lfmigrate verify".',
        )


def _refuse_uncompared(run: Run) -> None:
    if run.uncompared:
        raise DifferenceFound(
            "what was skipped could not all be compared",
            detail=[f"skipped: {place}" for place in run.uncompared],
            hint="Without --strict they are left as they are.",
        )


def _label(relation: Relation) -> str:
    return f"{relation.schema}.{relation.name}" if relation.schema else relation.name
