"""`up`: run every pending migration, and the repeatable files that need it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Literal

from lfmigrate.catalog import Server
from lfmigrate.engine.nontransactional import (
    direct_session,
    next_part,
    outcome_outside,
    run_alone,
    runs_alone,
    session_lock,
)
from lfmigrate.engine.outcome import Outcome
from lfmigrate.engine.recreate_view import RecreatedViews
from lfmigrate.engine.repair import migrations_to_repair, refuse_spoiled
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step import Step
from lfmigrate.engine.transaction import transaction
from lfmigrate.engine.waiting import Attempts
from lfmigrate.errors import NOTHING_CHANGED, DifferenceFound, StatementFailed, join
from lfmigrate.history import plan
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.wire import Progress
from lfmigrate.schema.compare import Verdict, compare_all
from lfmigrate.schema.relation import NAMED_PARTS, Key, Relation, Snapshot
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder
from lfmigrate.source.repeatable import RepeatableFile, RunOrder
from lfmigrate.source.sqlfile import SqlFile


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
    """Run every pending migration, and then the repeatable files that need it.

    Writes, in one transaction, which ends before a file marked no-transaction; such a file runs
    statement by statement on a direct connection, and resumes where it was interrupted. Existing
    relations are skipped and compared. A relation of an applied migration that is missing is
    re-created, in a transaction before that one, if its file is idempotent and would re-create
    nothing else.

    Session settings, the role and the session authorization are reset after each file.

    Args:
        conn: An open connection without an open transaction.
        folder: The files.
        scope: The schema, and how long to wait; by default the connection's own schema.
        to: The last version to run; None for all. Repeatable files run only when nothing stays
            pending.
        dry_run: Run everything, and roll back.
        strict: Roll back if a relation differs from what is expected; run nothing if an applied
            file was edited or is missing.
        per_migration: Commit after each file instead of once.
        allow_out_of_order: Also run pending versions older than the newest applied one.
        progress: Called with the result of each statement as it arrives.
        on_wait: Called with a line when the command has to wait for another session.

    Returns:
        What was done.

    Raises:
        UsageError: ``to`` is no version of the folder, a transaction is open, or a file is marked
            no-transaction and the connection leads to a pooler.
        DifferenceFound: ``strict`` met drift or a file that differs, or something is missing and
            cannot be re-created; ``report`` has what was found. All was rolled back.
        DatabaseError: The server refused. All was rolled back.
        Refused: Another run held the lock for too long, versions are out of order, or one is that
            of another migration in the history.
        Interrupted: A signal arrived. All was rolled back.
    """
    session = Session(conn, folder, scope, progress=progress, on_wait=on_wait)
    outcomes: list[Outcome] = []
    recreated = RecreatedViews(session)
    order = RunOrder(folder.repeatables)
    with ExitStack() as stack:
        direct: Session | None = None
        for attempt in Attempts(session):
            with attempt:
                state = session.state()
                if strict:
                    _refuse_differing_files(folder, state, dry_run=dry_run)
                steps = _choose(
                    folder, state, recreated, order, to=to, allow_out_of_order=allow_out_of_order
                )
                steps, untried = _split_untriable(steps) if dry_run else (steps, [])
                steps = recreated.prepare(steps)
                if direct is None and any(step.file.no_transaction for step in steps):
                    # Before anything runs: without it, nothing should.
                    direct = stack.enter_context(direct_session(session))
                try:
                    for batch in _batches(steps, dry_run=dry_run, per_migration=per_migration):
                        if direct is not None and batch[0].file.no_transaction:
                            session.end_reading()
                            done = _run_statements(direct, state, batch[0], strict=strict)
                        else:
                            done = _run(session, state, batch, dry_run=dry_run, strict=strict)
                        for outcome in done:
                            outcomes.append(outcome)
                            state = outcome.state
                except StatementFailed as error:
                    _learn(error, state, recreated, order)
                    attempt.repeat()
    report = _with_untried(_report(folder, state, outcomes, dry_run=dry_run), untried)
    if strict and not outcomes:
        try:
            _refuse_drift(report)
        except DifferenceFound as difference:
            difference.outcome = NOTHING_CHANGED
            raise
    return report


def _learn(
    error: StatementFailed, state: DatabaseState, recreated: RecreatedViews, order: RunOrder
) -> None:
    """Change what runs, so that the next attempt does not fail with the same error; or raise it."""
    if not order.learn(error.file, error.sqlstate, error.message):
        recreated.add(state.schema, error)


def _choose(
    folder: Folder,
    state: DatabaseState,
    recreated: RecreatedViews,
    order: RunOrder,
    *,
    to: str | None,
    allow_out_of_order: bool,
) -> list[Step]:
    """Choose the files to run: repairs and pending migrations in order, then repeatable files."""
    known = state.history
    pending = plan.pending_migrations(folder, known, to=to, allow_out_of_order=allow_out_of_order)
    steps = [Step.of_migration("up", m) for m in pending]
    steps += [Step.of_migration("repair", m) for m in migrations_to_repair(folder, state)]
    steps.sort(key=lambda step: int(step.version or 0))
    applied = known.applied.keys() | {m.number for m in pending}
    if any(m.number not in applied for m in folder.migrations):
        return steps  # a repeatable file may need what does not exist yet
    chosen = [each for each in _repeatables(folder, state, steps) if each not in recreated]
    chosen += [each for each in folder.repeatables if each in recreated]
    chosen.sort(key=lambda each: order.place(each.file.name))
    return steps + [Step.of_repeatable(each) for each in chosen]


def _repeatables(
    folder: Folder, state: DatabaseState, steps: Sequence[Step]
) -> Iterator[RepeatableFile]:
    """Choose the repeatable files to run after some migrations.

    Those that are new, edited or miss something; those that mention what such a one creates; and
    those that may concern what has run. Running one once more does no harm.
    """
    missing = set(state.missing)
    may_drop = any(_may_drop(step.file) for step in steps)
    changed: set[str] = set()
    for each in plan.repeatable_states(folder, state.history):
        file = each.repeatable
        if (
            each.status != "applied"
            or not missing.isdisjoint(state.history.made_by_repeatables[file.name])
            or not changed.isdisjoint(file.words)
        ):
            changed |= file.names
        elif not (may_drop if file.is_self_contained else steps or changed):
            continue
        yield file


def _may_drop(file: SqlFile) -> bool:
    """Return whether a file might drop what a repeatable file has created."""
    return any(statement.head[:1] in {("DROP",), ("ALTER",)} for statement in file.statements)


def _split_untriable(steps: list[Step]) -> tuple[list[Step], list[Step]]:
    """Split off the steps that a dry run cannot execute, and what comes after them."""
    for place, step in enumerate(steps):
        if step.file.no_transaction:
            return steps[:place], steps[place:]
    return steps, []


def _batches(steps: Sequence[Step], *, dry_run: bool, per_migration: bool) -> Iterator[list[Step]]:
    """Split the steps into transactions: repairs first, so that they are compared with the history.

    A dry run has only one, because what it rolls back does not exist for the next. A file marked
    no-transaction is a batch of its own. Views that are dropped are re-created in the same batch.
    """
    if dry_run and steps:
        yield list(steps)
        return
    repairs = [step for step in steps if step.action == "repair"]
    if repairs:
        yield repairs
    batch: list[Step] = []
    for step in steps:
        if step.action == "repair":
            continue
        alone = per_migration and not any(each.drops for each in batch)
        if batch and (alone or step.file.no_transaction or batch[-1].file.no_transaction):
            yield batch
            batch = []
        batch.append(step)
    if batch:
        yield batch


def _run(
    session: Session,
    state: DatabaseState,
    steps: Sequence[Step],
    *,
    dry_run: bool,
    strict: bool,
) -> Iterator[Outcome]:
    """Run files in one transaction."""
    with transaction(session, state, [step.file for step in steps]) as tx:
        tx.run(steps)
        outcome = tx.outcome()
        actions = {step.action for step in steps}
        if "repair" in actions and "up" not in actions:
            refuse_spoiled(state, outcome)
        if strict:
            _refuse_differences(session.folder, outcome, dry_run=dry_run)
        if not dry_run:
            tx.commit(outcome)
    yield outcome


def _run_statements(
    session: Session, state: DatabaseState, step: Step, *, strict: bool
) -> Iterator[Outcome]:
    """Run what is left of a no-transaction file; each statement is recorded before the next.

    What ``strict`` refuses undoes a statement that ran in a transaction; one that could not
    remains, and remains recorded.
    """
    with session_lock(session, state, step.file):
        while (part := next_part(state, step)) is not None:
            if not runs_alone(part):
                (outcome,) = _run(session, state, [part], dry_run=False, strict=strict)
            else:
                committed = tuple(session.committed)
                outcome = run_alone(session, state, part)
                try:
                    if strict:
                        _refuse_differences(session.folder, outcome, dry_run=False)
                except DifferenceFound as difference:
                    difference.outcome = outcome_outside(committed)
                    raise
            state = outcome.state
            yield outcome


def _refuse_differing_files(folder: Folder, state: DatabaseState, *, dry_run: bool) -> None:
    """Refuse a folder whose applied files are not those of the history, before anything runs."""
    plan.refuse_conflicts(folder, state.history)
    files = plan.file_states(folder, state.history)
    if problems := tuple(files.problems(pending=False)):
        error = join(problems)
        error.outcome = NOTHING_CHANGED
        error.report = _report(folder, state, [], dry_run=dry_run)
        raise error


def _refuse_differences(folder: Folder, outcome: Outcome, *, dry_run: bool) -> None:
    """Refuse an outcome that is not what the files say."""
    if outcome.uncompared:
        raise DifferenceFound(
            "not everything that was skipped could be compared",
            detail=[f"skipped: {place}" for place in outcome.uncompared],
            hint="Without --strict it is left as it is.",
        )
    _refuse_drift(_report(folder, outcome.state, [outcome], dry_run=dry_run))


def _refuse_drift(report: UpReport) -> None:
    drifted = [v for v in report.relations if v.status in {"drifted", "missing"}]
    if drifted:
        differ = "differs" if len(drifted) == 1 else "differ"
        error = DifferenceFound(
            f"{len(drifted)} of {len(report.relations)} objects {differ} from the migrations",
            detail=[f"{v.relation.kind} {v.relation.label}" for v in drifted],
            hint='Without --strict they are left as they are; "lfmigrate verify" shows them again.',
        )
        # Reported as what would have been done, because it is rolled back.
        ran = {"applied", "repaired"}
        error.report = replace(
            report,
            migrations=tuple(
                replace(m, status="planned") if m.status in ran else m for m in report.migrations
            ),
        )
        raise error


def _with_untried(report: UpReport, untried: Sequence[Step]) -> UpReport:
    """Add to a dry run's report what would run, but cannot be executed in one."""
    if not untried:
        return report
    planned = [
        MigrationResult(step.version, step.name, "planned", None)
        for step in untried
        if step.version is not None
    ]
    note = (
        f"{untried[0].label} runs outside a transaction, so a dry run can execute neither it nor"
        " what comes after it"
    )
    return replace(report, migrations=(*report.migrations, *planned), notes=(*report.notes, note))


def _report(
    folder: Folder, state: DatabaseState, outcomes: Sequence[Outcome], *, dry_run: bool
) -> UpReport:
    done: dict[int, MigrationResult] = {}
    for event in state.history.applied.values():
        if event.number is not None and event.version is not None:
            done[event.number] = MigrationResult(
                event.version, event.name, "already_applied", event.elapsed_ms
            )
    for outcome in outcomes:
        for step, entry in zip(outcome.steps, outcome.recorded, strict=True):
            if step.version is not None:
                status: Literal["planned", "repaired", "applied"] = (
                    "planned" if dry_run else "repaired" if step.action == "repair" else "applied"
                )
                done[int(step.version)] = MigrationResult(
                    step.version, step.name, status, entry.elapsed_ms
                )
    relations = (
        _rows(outcomes, state)
        if outcomes
        else compare_all(state.history.expected, state.live, agreed="unchanged")
    )
    return UpReport(
        server=state.server,
        schema=state.schema,
        migrations=tuple(done[number] for number in sorted(done)),
        relations=relations,
        notes=(*plan.notes(folder, state.history), *(n for o in outcomes for n in o.notes)),
        dry_run=dry_run,
    )


def _rows(outcomes: Sequence[Outcome], state: DatabaseState) -> tuple[Verdict, ...]:
    """Return the outcome for each relation over all transactions of a command."""
    rows: dict[Key, Verdict] = {}
    for verdict in (verdict for outcome in outcomes for verdict in outcome.verdicts):
        key = verdict.relation.key
        was_created = key in rows and rows[key].status == "created"
        if verdict.status == "dropped" and was_created:
            del rows[key]  # created and dropped by the same command
        elif verdict.status == "altered" and was_created:
            rows[key] = replace(verdict, status="created")
        elif verdict.status != "unchanged" or key not in rows:
            rows[key] = verdict
    # What one transaction has created and a later one has dropped does not exist any more.
    ever = {key for outcome in outcomes for key in outcome.state.history.expected}
    expected = state.history.expected
    rows = {
        key: verdict
        for key, verdict in rows.items()
        if key in expected or key not in ever or verdict.status == "dropped"
    }
    return tuple(_without_lost_parts(rows, state.live).values())


def _without_lost_parts(rows: Mapping[Key, Verdict], live: Snapshot) -> dict[Key, Verdict]:
    """Leave out the row of a part that no longer exists, or that its relation's row covers."""
    parts: set[Key] = set()
    for relation in live.values():
        if relation.key in rows and rows[relation.key].status == "created":
            continue
        for part in relation.parts:
            kind, _, name = part.partition(" ")
            parts.add(Relation(kind, relation.schema, f"{relation.name}.{name}").key)
    own = NAMED_PARTS - {"sequence"}
    return {k: v for k, v in rows.items() if v.relation.kind not in own or k in parts}
