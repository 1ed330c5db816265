"""`rollback`: undo migrations, after a backup of every row that would be lost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from lfmigrate import catalog
from lfmigrate.catalog import Server
from lfmigrate.engine.counting import Counted, count_losses
from lfmigrate.engine.large_objects import refuse_unreadable
from lfmigrate.engine.losses import Lost
from lfmigrate.engine.outcome import Outcome
from lfmigrate.engine.overwritten import Overwritten, overwritten
from lfmigrate.engine.owned import OwnedObjects, owned_objects
from lfmigrate.engine.previous import previous_of
from lfmigrate.engine.recreate import RecreatedObjects
from lfmigrate.engine.restoring import Plan, try_out
from lfmigrate.engine.sequences import may_set_sequences, unmoved_sequences
from lfmigrate.engine.session import Session
from lfmigrate.engine.shown import refuse_more_than_shown
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step import Restores, Step
from lfmigrate.engine.transaction import Transaction, transaction
from lfmigrate.engine.trial import Rerun, refuse_more, roots
from lfmigrate.engine.waiting import Attempts
from lfmigrate.errors import Refused, SqlFileError, StatementFailed
from lfmigrate.history import ledger, plan, states
from lfmigrate.history.ownership import Drops
from lfmigrate.history.plan import Undoing
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.wire import Answer, Progress
from lfmigrate.rows.archive import DEFAULT_PARENT, default_folder
from lfmigrate.rows.dump import OnCopy
from lfmigrate.rows.saved import Dropped
from lfmigrate.schema.relation import REPLACEABLE, ROUTINE_KINDS, Key
from lfmigrate.settings import Scope
from lfmigrate.source import down, version
from lfmigrate.source.folder import Folder
from lfmigrate.source.repeatable import RunOrder
from lfmigrate.source.sqlfile import SqlFile, from_text
from lfmigrate.syntax.names import quote_name


@dataclass(frozen=True, slots=True)
class Undone:
    """A migration that was undone or, in a dry run, would be."""

    version: str
    name: str
    status: Literal["rolled_back", "planned"]


@dataclass(frozen=True, slots=True)
class RollbackReport:
    """What a rollback dropped, or would drop.

    Attributes:
        server: Where.
        schema: The schema it was done in.
        migrations: What was undone, newest first; none if nothing is applied.
        lost: What the migrations created, and tables whose rows the down files change.
        dependents: What they did not create, and what is dropped with it.
        backup: The folder with the rows; None if there was no row, or none was wanted.
        notes: What is worth a warning.
        restored: What gets the definition back that it had before the migrations.
        dry_run: Whether only that was asked for.
        saves_rows: Whether the rows are saved first.
    """

    server: Server
    schema: str
    migrations: tuple[Undone, ...]
    lost: tuple[Lost, ...] = ()
    dependents: tuple[Lost, ...] = ()
    backup: Path | None = None
    notes: tuple[str, ...] = ()
    restored: tuple[str, ...] = ()
    dry_run: bool = False
    saves_rows: bool = True

    @property
    def done(self) -> bool:
        """Return whether it was done; a refused run has a report, too."""
        return all(migration.status == "rolled_back" for migration in self.migrations)


def rollback(
    conn: Connection,
    folder: Folder,
    *,
    scope: Scope | None = None,
    to: str | None = None,
    dry_run: bool = False,
    cascade: bool = False,
    recorded: bool = False,
    backup_dir: Path | None = DEFAULT_PARENT,
    progress: Progress | None = None,
    shown: RollbackReport | None = None,
    watch: OnCopy | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> RollbackReport:
    """Undo the newest applied migration, or all above a version, newest first.

    In one transaction: the tables are locked, the down files run inside a savepoint to find out
    what they drop, the affected rows are saved, and the files run for good. It is refused if
    anything would be dropped that the undone migrations, or the folder's repeatable files, did not
    create.

    Args:
        conn: An open connection without an open transaction.
        folder: The files.
        scope: The schema, and how long to wait; by default the connection's own schema.
        to: The version to go back to, which stays. ``0`` undoes all, unless a version is written
            exactly like that. None: undo the newest one.
        dry_run: Do everything but the backup, and roll back.
        cascade: Drop what depends on it as well; the backup's manifest keeps the definitions.
        recorded: Use the down script that was recorded when the migration was applied.
        backup_dir: The parent directory of the backup; None for no backup.
        progress: Called with the result of each statement as it arrives.
        shown: The report of a dry run that was confirmed, and beyond which nothing is done.
        watch: Called as rows are saved.
        on_wait: Called with a line when the command has to wait for another session.

    Returns:
        What was undone, and where the backup is.

    Raises:
        Refused: Something else would be lost, or more than was shown, a migration has no down file
            or is not the one in the folder, the backup failed, or another run held the lock for too
            long; ``report`` says what would be lost.
        SqlFileError: A down file is missing.
        UsageError: ``to`` is no version.
        DatabaseError: The server refused. All was rolled back.
        Interrupted: A signal arrived. All was rolled back.
    """
    session = Session(conn, folder, scope, progress=progress, on_wait=on_wait)
    recreated = RecreatedObjects(session, RunOrder(folder.repeatables))
    for attempt in Attempts(session):
        with attempt:
            state = session.state()
            report = RollbackReport(
                state.server,
                state.schema,
                (),
                notes=tuple(folder.notes),
                dry_run=dry_run,
                saves_rows=backup_dir is not None,
            )
            undoings, owned = _choose(session, state, to)
            if not undoings:
                continue
            steps, notes, chosen = _steps(
                session, state, undoings, owned, recorded=recorded, cascade=cascade
            )
            steps = recreated.prepare(recreated.after_migrations(steps))
            report = replace(
                report,
                migrations=tuple(Undone(u.version, u.name, "planned") for u in undoings),
                notes=(*report.notes, *notes),
            )
            try:
                files = [step.file for step in steps]
                watched = dry_run or may_set_sequences(files)
                with (
                    transaction(session, state, files) as tx,
                    unmoved_sequences(tx) if watched else nullcontext() as sequences,
                ):
                    done = try_out(tx, steps, owned, {} if cascade else chosen)
                    steps, trial = list(done.steps), done.trial
                    reset = sequences.put_back() if sequences is not None else ()
                    counted = count_losses(tx, trial, done.drops, reset)
                    newer = overwritten(tx, done.previous)
                    report = replace(
                        report,
                        lost=(*counted.lost, *map(_changed, newer)),
                        dependents=counted.dependents,
                        restored=done.restored,
                        notes=(*report.notes, *counted.notes, *done.notes, *_notes_of(newer)),
                    )
                    _refuse_outside(done, owned, cascade=cascade)
                    if trial.failure is not None:
                        raise trial.failure
                    if shown is not None:
                        refuse_more_than_shown(
                            _labels(shown), _labels(report), saved=report.saves_rows
                        )
                    if backup_dir is not None and not dry_run:
                        kept = [*_kept(done.drops), *(Dropped(**asdict(each)) for each in newer)]
                        saved = _save(tx, counted, kept, report, parent=backup_dir, watch=watch)
                        report = replace(report, backup=saved)
                    run = Rerun.queue(tx, steps, trial, counted.unsaved)
                    outcome = tx.outcome()
                    refuse_more(tx, trial, run, counted.unsaved)
                    forgotten = done.forgotten(state.history.expected)
                    strange = run.before.objects.value - state.ids.keys()
                    over = _over(owned, outcome, forgotten, strange)
                    left = {k for k in over if (k, None) not in forgotten} - owned.owned.found
                    report = replace(report, notes=(*report.notes, *_left(left, outcome)))
                    if not dry_run:
                        tx.commit(outcome.forgetting(over, forgotten))
                        report = _done(report)
            except Refused as refused:
                refused.report = report
                raise
            except StatementFailed as error:
                if not recreated.wait(error):
                    recreated.add(state, error)
                attempt.repeat()
    return replace(report, notes=(*report.notes, *session.notes))


def _labels(report: RollbackReport) -> dict[str, int | None]:
    """Return what a report says, and the rows of it."""
    return {
        **{
            f"migration {version.label(each.version, each.name)}": None
            for each in report.migrations
        },
        **{f"{each.kind} {each.name}": each.rows for each in (*report.lost, *report.dependents)},
    }


def _choose(
    session: Session, state: DatabaseState, to: str | None
) -> tuple[tuple[Undoing, ...], OwnedObjects]:
    """Return the migrations to undo, newest first, and what they created."""
    folder, history = session.folder, state.history
    keep = None if to is None else plan.version_to_keep(folder, history, to)
    owned = owned_objects(session, state, above=keep)
    undoings = plan.undoings(folder, history, owned.numbers, newest_only=to is None)
    if to is None and undoings:
        below = [n for n in owned.numbers if n < undoings[0].number]
        owned = owned_objects(session, state, above=below[-1] if below else None)
    return undoings, owned


def _steps(
    session: Session,
    state: DatabaseState,
    undoings: Sequence[Undoing],
    owned: OwnedObjects,
    *,
    recorded: bool,
    cascade: bool,
) -> tuple[list[Step], list[str], dict[str, SqlFile]]:
    """Return the down files to run, what is worth a warning, and the files as they are, by name.

    What repeatable files created and needs what is dropped is dropped first, unless the down files
    drop it.
    """
    if not recorded:
        numbers = {undoing.number for undoing in undoings}
        states.refuse_conflicts(session.folder, state.history, numbers)
    with session.reading(state.schema) as flight:
        scripts: Mapping[int, Answer[str | None]] = {
            undoing.number: flight.ask(ledger.recorded_down(session.scope, undoing.event))
            for undoing in undoings
            if undoing.event is not None
        }
        dependents = flight.ask(
            catalog.dependents(roots(owned) if any(owned.repeatables.values()) else ())
        )
    steps = []
    notes = []
    originals = {}
    for undoing in undoings:
        answer = scripts.get(undoing.number)
        script = None if answer is None else answer.value
        chosen, edited = _down_file(session.folder, undoing, script, recorded=recorded)
        originals[chosen.name] = chosen
        if cascade:
            # First, because it reads the file's text, and the other changes its statements.
            chosen = down.cascading(chosen)
        file, changed = down.in_one_transaction(chosen)
        notes += [note for note in (edited, changed) if note is not None]
        previous = previous_of(state.history, undoing.number)
        restores = Restores(previous, cascades=cascade) if previous else None
        steps.append(Step("rollback", undoing.version, undoing.name, file, restores=restores))
    known = down.dropped_names([step.file for step in steps])
    files = {name: event.file for name, event in state.history.repeatables.items()}
    # What runs later may need what runs earlier.
    files |= {each.name: each.file.name for each in session.folder.repeatables}
    for name in [name for name in files if name in owned.repeatables]:
        for key in owned.repeatables[name]:
            found = owned.live.get(key)
            # Never a table: what a repeatable file has created of those stays.
            if found is None or found.kind not in REPLACEABLE or key.name.lower() in known:
                continue
            if owned.ids.get(key) in dependents.value:
                steps.insert(0, _drop(name, files[name], key, found.kind))
    return steps, notes, originals


def _drop(name: str, file: str, key: Key, kind: str) -> Step:
    """Return the step that drops what a repeatable file has created."""
    qualified = f"{quote_name(key.schema)}.{quote_name(key.name)}"
    if kind in ROUTINE_KINDS:
        base, _, arguments = key.name.partition("(")
        kind, qualified = "routine", f"{quote_name(key.schema)}.{quote_name(base)}({arguments}"
    return Step(
        "rollback", None, name, from_text(file, f"DROP {kind.upper()} IF EXISTS {qualified}")
    )


def _down_file(
    folder: Folder, undoing: Undoing, script: str | None, *, recorded: bool
) -> tuple[SqlFile, str | None]:
    """Return the down file of a migration, and what is worth a warning.

    Args:
        folder: The files.
        undoing: The migration.
        script: The down script that was recorded when it was applied.
        recorded: Whether to use that.
    """
    present = undoing.migration.down if undoing.migration is not None else None
    label = version.label(undoing.version, undoing.name)
    if script is None and present is None:
        raise Refused(
            f"migration {label} cannot be rolled back: it has no down file",
            hint=plan.way_to_undo(folder, undoing),
        )
    past = None if script is None else from_text(f"{label}.down.sql (recorded)", script)
    if recorded:
        if past is None:
            raise Refused(
                f"no down script of migration {label} was recorded",
                hint="Leave out --recorded to run the file in the folder.",
            )
        return past, None
    if present is None:
        raise SqlFileError(
            f"the down file of migration {label} is not in {folder.path}",
            hint="Restore it, or use the script that was recorded when the migration was"
            " applied: --recorded.",
        )
    if past is not None and past.checksum != present.checksum:
        return present, (
            f"{present.name} was edited since the migration was applied; the file was run, and"
            " --recorded would run the recorded script"
        )
    return present, None


def _refuse_outside(done: Plan, owned: OwnedObjects, *, cascade: bool) -> None:
    """Refuse to drop what the migrations did not create."""
    outside = done.drops.outside
    if not outside or cascade:
        return
    many = len(outside) != 1
    found = {owned.ids[key] for key in owned.owned.found if key in owned.ids}
    # A role depends on nothing.
    found |= {item.id for item in outside if item.kind == "role"}
    if found.issuperset(item.id for item in outside):
        raise Refused(
            f"{len(outside)} {'objects' if many else 'object'} that existed before the migration"
            " would be dropped",
            detail=[f"{item.kind} {item.name}" for item in outside],
            hint="Leave it out of the down file, or drop it with --cascade; the backup's manifest"
            " then keeps its definition.",
        )
    raise Refused(
        f"{len(outside)} {'objects' if many else 'object'} outside the migration"
        f" {'depend' if many else 'depends'} on what would be dropped",
        detail=[
            f"{item.kind} {item.name}"
            + (f": {done.reasons[item.name]}" if item.name in done.reasons else "")
            for item in outside
        ],
        hint="Move or drop them first, or drop them too with --cascade; the backup's manifest then"
        " keeps their definitions.",
    )


def _save(
    tx: Transaction,
    counted: Counted,
    kept: Sequence[Dropped],
    report: RollbackReport,
    *,
    parent: Path,
    watch: OnCopy | None,
) -> Path | None:
    """Save the rows that are lost, and the definitions of what others created."""
    refuse_unreadable(counted.large_objects)
    if not counted.has_content and not kept:
        return None
    undone = ", ".join(version.label(m.version, m.name) for m in report.migrations)
    about = tx.state.about(f"rollback of {undone}", kept)
    target = default_folder(parent, about.database)
    saved = tx.save_rows(
        counted.tables,
        counted.sequences,
        target,
        about,
        large_objects=counted.large_objects,
        dropped=counted.dropped,
        watch=watch,
    )
    return saved.path


def _kept(drops: Drops) -> Iterator[Dropped]:
    """Return what others have created, with the statements that re-create it."""
    # In the order in which they were created: a partition or a view comes after what it needs.
    for item in sorted(drops.outside, key=lambda item: int(item.id.split(":")[1])):
        yield Dropped(item.kind, item.name, item.definition)


def _changed(newer: Overwritten) -> Lost:
    return Lost(f"changed {newer.kind}", newer.name)


def _notes_of(newer: Iterable[Overwritten]) -> Iterator[str]:
    for each in newer:
        yield (
            f"{each.kind} {each.name} was changed since the migration; the rollback overwrites that"
            " with the previous definition, and the manifest of a backup keeps it"
        )


def _over(
    owned: OwnedObjects,
    outcome: Outcome,
    forgotten: Collection[tuple[Key, str | None]],
    strange: Collection[str],
) -> set[Key]:
    """Return what is not expected any more: what the migrations created, dropped or not.

    What was restored to what it was before the migrations is not, either.

    What has another id now was re-created by a down file, and is expected as it is, unless it had
    existed before.

    Args:
        owned: What the migrations created.
        outcome: What the down files did.
        forgotten: What was restored.
        strange: The ids of what existed before them, and no file had touched.
    """
    on_top = {key for keys in owned.repeatables.values() for key in keys}
    ids = {key: item_id for item_id, key in outcome.state.ids.items()}
    restored = {key for key, part in forgotten if part is None}
    others = {*strange, *(owned.ids[key] for key in owned.owned.found if key in owned.ids)}
    return restored | {
        key
        for key in (owned.owned.whole.keys() | owned.owned.found) - on_top
        if key not in ids or ids[key] == owned.ids.get(key) or ids[key] in others
    }


def _left(over: Collection[Key], outcome: Outcome) -> list[str]:
    live = outcome.state.live
    return [
        f"the down file left {live[key].kind} {live[key].label} in place"
        for key in over
        if key in live
    ]


def _done(report: RollbackReport) -> RollbackReport:
    return replace(
        report, migrations=tuple(replace(m, status="rolled_back") for m in report.migrations)
    )
