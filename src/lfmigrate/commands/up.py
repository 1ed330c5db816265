"""`up`: run every pending migration, and the repeatable files that need it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from lfmigrate.commands.up_report import UpReport, as_planned, report_of, with_untried
from lfmigrate.engine.adoptable import suggest_adopt
from lfmigrate.engine.ahead import known_to_lose
from lfmigrate.engine.batches import add_upgrade, split_untriable
from lfmigrate.engine.batches import batches as split_into_batches
from lfmigrate.engine.direct import direct_session, session_lock
from lfmigrate.engine.guard import RowGuard, RowPolicy, refuse_to_drop_databases
from lfmigrate.engine.nontransactional import (
    next_part,
    outcome_outside,
    resumable_edits,
    run_alone,
    runs_alone,
)
from lfmigrate.engine.outcome import Outcome
from lfmigrate.engine.recreate import RecreatedObjects
from lfmigrate.engine.repair import Repairs, refuse_spoiled, repairs
from lfmigrate.engine.repeatables import NotRecreatedError, refuse_to_lose, repeatable_steps
from lfmigrate.engine.sequences import may_set_sequences, unmoved_sequences
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState, has_vanished
from lfmigrate.engine.step import Step
from lfmigrate.engine.transaction import transaction
from lfmigrate.engine.upgrade import after_upgrade
from lfmigrate.engine.waiting import Attempts
from lfmigrate.errors import NOTHING_CHANGED, DifferenceFound, Refused, StatementFailed, join
from lfmigrate.history import plan, states
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.wire import Progress
from lfmigrate.rows.dump import OnCopy
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder
from lfmigrate.source.repeatable import RunOrder
from lfmigrate.source.version import number


@dataclass(frozen=True, slots=True)
class _Options:
    """How files run, and what is re-created; a dry run has no file marked no-transaction."""

    rows: RowPolicy
    recreated: RecreatedObjects
    dry_run: bool
    strict: bool


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
    accept_data_loss: bool = False,
    backup_dir: Path | None = None,
    progress: Progress | None = None,
    watch: OnCopy | None = None,
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
        accept_data_loss: Lose existing rows, such as those of a table that is dropped, even if the
            file is not marked ``loses-data``.
        backup_dir: Save such rows first, in a new folder in this one; None for no backup.
        progress: Called with the result of each statement as it arrives.
        watch: Called as rows are saved.
        on_wait: Called with a line when the command has to wait for another session.

    Returns:
        What was done.

    Raises:
        UsageError: ``to`` is no version of the folder, a transaction is open, or a file is marked
            no-transaction and the connection leads to a pooler.
        DifferenceFound: ``strict`` met drift or a file that differs, or something is missing and
            cannot be re-created; ``report`` has what was found.
        DatabaseError: The server refused.
        Refused: Another run held the lock for too long, versions are out of order, or one is that
            of another migration in the history; or existing rows would be lost, and ``report`` says
            which.
        Interrupted: A signal arrived.

    The error's ``outcome`` says what was committed before it: nothing, unless there were several
    transactions.
    """
    session = Session(conn, folder, scope, progress=progress, on_wait=on_wait)
    outcomes: list[Outcome] = []
    rows = RowPolicy(accept_data_loss, None if dry_run else backup_dir, watch)
    order = RunOrder(folder.repeatables)
    recreated = RecreatedObjects(session, order)
    options = _Options(rows, recreated, dry_run, strict)
    with ExitStack() as stack, rows.named_in_errors():
        direct: Session | None = None
        for attempt in Attempts(session):
            with attempt:
                state = session.state()
                if strict:
                    _refuse_differing_files(folder, state, dry_run=dry_run)
                state, upgrade = after_upgrade(session, state, strict=strict)
                missing = repairs(folder, state)
                steps = _choose(
                    folder,
                    state,
                    missing,
                    to=to,
                    allow_out_of_order=allow_out_of_order,
                    resumable=resumable_edits(session, state),
                )
                steps = recreated.after_migrations(steps)
                steps += repeatable_steps(folder, state, steps, recreated, order)
                steps, untried = split_untriable(steps) if dry_run else (steps, [])
                steps = recreated.prepare(steps)
                if direct is None and any(step.file.no_transaction for step in steps):
                    # Before anything runs: without it, nothing should.
                    direct = stack.enter_context(direct_session(session))
                try:
                    batches = list(
                        split_into_batches(steps, dry_run=dry_run, per_migration=per_migration)
                    )
                    if upgrade is not None:
                        add_upgrade(batches, upgrade, dry_run=dry_run)
                    for outcome in _run_batches(
                        session, direct, state, batches, missing, options=options
                    ):
                        outcomes.append(outcome)
                        state = outcome.state
                except StatementFailed as error:
                    suggest_adopt(session, state, error)
                    _learn(error, state, recreated, order)
                    attempt.repeat()
                except NotRecreatedError:
                    attempt.repeat()
    report = with_untried(report_of(folder, state, outcomes, dry_run=dry_run), untried)
    report = replace(
        report,
        notes=(*report.notes, *rows.notes, *session.notes),
        lost=tuple(rows.lost),
        backups=tuple(rows.backups),
    )
    if strict and not outcomes:
        try:
            _refuse_drift(report)
        except DifferenceFound as difference:
            difference.outcome = NOTHING_CHANGED
            raise
    return report


def _learn(
    error: StatementFailed, state: DatabaseState, recreated: RecreatedObjects, order: RunOrder
) -> None:
    """Change what runs, so that the next attempt does not fail with the same error; or raise it."""
    if recreated.wait(error) or order.learn(error.file, error.sqlstate, error.message):
        return
    try:
        recreated.add(state, error)
    except StatementFailed as failed:
        # Another run may re-create the same; what is left to do is read again.
        if failed is error or not has_vanished(failed):
            raise


def _choose(
    folder: Folder,
    state: DatabaseState,
    missing: Repairs,
    *,
    to: str | None,
    allow_out_of_order: bool,
    resumable: Collection[int],
) -> list[Step]:
    """Choose the migrations to run: repairs and what is pending, in order."""
    known = state.history
    pending = plan.pending_migrations(
        folder, known, to=to, allow_out_of_order=allow_out_of_order, resumable=resumable
    )
    steps = [Step.of_migration("up", m) for m in pending]
    if not pending:
        missing.refuse_problems(NOTHING_CHANGED)
    steps += [Step.of_migration("repair", m) for m in missing.migrations]
    steps.sort(key=lambda step: number(step.version or "0"))
    return steps


def _run_batches(
    session: Session,
    direct: Session | None,
    state: DatabaseState,
    batches: Sequence[Sequence[Step]],
    missing: Repairs,
    *,
    options: _Options,
) -> Iterator[Outcome]:
    """Run each batch on what the one before it left."""
    for batch in batches:
        # A pending migration may drop what is missing.
        settles = bool(missing.problems) and batch is batches[-1]
        if direct is not None and batch[0].file.no_transaction:
            session.end_reading()
            # For the rest, too: the other connection may be lost by then.
            session.continue_on(direct)
            done = _run_statements(direct, state, batch[0], options)
        else:
            done = _run(session, state, batch, options, settles=settles)
        for outcome in done:
            yield outcome
            state = outcome.state
        if settles:
            repairs(session.folder, state).refuse_problems(session.outcome)


def _run(
    session: Session,
    state: DatabaseState,
    steps: Sequence[Step],
    options: _Options,
    *,
    settles: bool = False,
) -> Iterator[Outcome]:
    """Run files in one transaction; if it settles what was missing, nothing may be afterwards."""
    files = [step.file for step in steps]
    dry_run = options.dry_run
    watched = dry_run or may_set_sequences(files)
    guard = RowGuard(options.rows)
    while True:
        with (
            transaction(session, state, files) as tx,
            unmoved_sequences(tx) if watched else nullcontext(),
        ):
            guard.begin(tx, steps)
            tx.run(steps, suspects=guard.suspects)
            outcome = tx.outcome()
            refuse_to_lose(session.folder, outcome.state, options.recreated)
            if not guard.examine(tx, outcome):
                continue
            outcome = guard.previous.keep(tx, outcome)
            _refuse_losses(session, state, outcome, guard, steps, dry_run=dry_run)
            actions = {step.action for step in steps}
            if "repair" in actions and "up" not in actions:
                refuse_spoiled(state, outcome)
            if settles:
                repairs(session.folder, outcome.state).refuse_problems()
            if options.strict:
                _refuse_differences(session.folder, outcome, dry_run=dry_run)
            if not dry_run:
                tx.commit(outcome)
        guard.finish()
        yield outcome
        return


def _refuse_losses(
    session: Session,
    state: DatabaseState,
    outcome: Outcome,
    guard: RowGuard,
    steps: Sequence[Step],
    *,
    dry_run: bool,
) -> None:
    """Refuse what files lose, with a report of what they would do."""
    try:
        guard.refuse(steps, dry_run=dry_run)
    except Refused as refused:
        report = report_of(
            session.folder, outcome.state, [outcome], dry_run=dry_run, remains=state.history
        )
        refused.report = replace(as_planned(report), lost=guard.lost)
        raise


def _refuse_ahead(session: Session, state: DatabaseState, step: Step, options: _Options) -> None:
    """Refuse a no-transaction file before anything of it runs, if its text loses rows.

    Raises:
        Refused: Rows would be lost.
    """
    rows = options.rows
    done = sum(
        1
        for e in state.history.begun.get(number(step.version or "0"), ())
        if e.action == "statement"
    )
    tried = known_to_lose(step.file, done)
    if tried is None or rows.accepts or rows.parent is not None or step.file.loses_data:
        return
    guard = RowGuard(RowPolicy(created=rows.created, large_objects=rows.large_objects))
    part = replace(step, file=tried)
    with suppress(StatementFailed):  # it may need what comes before it
        known = False
        while not known:
            with transaction(session, state, [tried]) as tx:
                guard.begin(tx, [part])
                tx.run([part], suspects=guard.suspects)
                outcome = tx.outcome()
                known = guard.examine(tx, outcome)
                if known:
                    _refuse_losses(session, state, outcome, guard, [step], dry_run=False)


def _run_statements(
    session: Session, state: DatabaseState, step: Step, options: _Options
) -> Iterator[Outcome]:
    """Run what is left of a no-transaction file; each statement is recorded before the next.

    What ``strict`` refuses undoes a statement that ran in a transaction; one that could not
    remains, and remains recorded.
    """
    with session_lock(session, state, step.file):
        _refuse_ahead(session, state, step, options)
        while (part := next_part(state, step)) is not None:
            if not runs_alone(part):
                (outcome,) = _run(session, state, [part], options)
            else:
                committed = tuple(session.committed)
                refuse_to_drop_databases(session, state.schema, part, options.rows)
                outcome = run_alone(session, state, part)
                options.rows.uncounted.extend(outcome.notes)
                try:
                    if options.strict:
                        _refuse_differences(session.folder, outcome, dry_run=False)
                except DifferenceFound as difference:
                    difference.outcome = outcome_outside(committed)
                    raise
            state = outcome.state
            yield outcome


def _refuse_differing_files(folder: Folder, state: DatabaseState, *, dry_run: bool) -> None:
    """Refuse a folder whose applied files are not those of the history, before anything runs."""
    states.refuse_conflicts(folder, state.history)
    files = states.file_states(folder, state.history)
    if problems := tuple(files.problems(pending=False)):
        error = join(problems)
        error.outcome = NOTHING_CHANGED
        error.report = report_of(folder, state, [], dry_run=dry_run)
        raise error


def _refuse_differences(folder: Folder, outcome: Outcome, *, dry_run: bool) -> None:
    """Refuse an outcome that is not what the files say."""
    if outcome.uncompared:
        raise DifferenceFound(
            "not everything that was skipped could be compared",
            detail=[f"skipped: {place}" for place in outcome.uncompared],
            hint="Without --strict it is left as it is.",
        )
    _refuse_drift(report_of(folder, outcome.state, [outcome], dry_run=dry_run))


def _refuse_drift(report: UpReport) -> None:
    drifted = [v for v in report.relations if v.status in {"drifted", "missing"}]
    if drifted:
        differ = "differs" if len(drifted) == 1 else "differ"
        error = DifferenceFound(
            f"{len(drifted)} of {len(report.relations)} objects {differ} from the migrations",
            detail=[f"{v.relation.kind} {v.relation.label}" for v in drifted],
            hint='Without --strict they are left as they are; "lfmigrate verify" shows them again.',
        )
        error.report = as_planned(report)
        raise error
