"""`accept`: record a reviewed edit of an applied migration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from lfmigrate.catalog import Server
from lfmigrate.engine.edit import EditEffect, effect_of_edit
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step import Step
from lfmigrate.engine.transaction import transaction
from lfmigrate.engine.waiting import Attempts
from lfmigrate.errors import (
    NOTHING_CHANGED,
    DifferenceFound,
    Refused,
    SqlFileError,
    UsageError,
)
from lfmigrate.history import ledger, states
from lfmigrate.history.events import Event, History
from lfmigrate.postgres.connection import Connection
from lfmigrate.schema.compare import Verdict
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder, Migration
from lfmigrate.source.sqlfile import SqlFile, diff, from_text
from lfmigrate.source.version import is_named_by, label


@dataclass(frozen=True, slots=True)
class AcceptReport:
    """An edit of an applied migration that was recorded or, in a dry run, would be.

    Attributes:
        server: Where.
        schema: The schema for unqualified names.
        version: The migration's version in the folder.
        name: Its name in the folder.
        recorded_as: Version and name in the history until now.
        status: ``unchanged`` if the history has the migration as it is in the folder.
        diff: The lines of a unified diff between the recorded and the present text.
        down_diff: The same for the down script.
        relations: A verdict per relation of the migration, compared with what the present text
            creates: ``ok``, ``missing``, ``drifted``, or ``unexpected`` for one that the text does
            not create any more. Empty if the text has not changed.
        notes: What is worth a warning.
        dry_run: Whether nothing was recorded on purpose.
    """

    server: Server
    schema: str
    version: str
    name: str
    recorded_as: str
    status: Literal["accepted", "planned", "unchanged"]
    diff: tuple[str, ...]
    down_diff: tuple[str, ...]
    relations: tuple[Verdict, ...]
    notes: tuple[str, ...]
    dry_run: bool

    @property
    def label(self) -> str:
        """Return version and name, such as ``002_leadership_feedback_tables``."""
        return label(self.version, self.name)


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What the history has of the migration."""

    event: Event
    up: SqlFile
    down: SqlFile | None

    def differs_from(self, migration: Migration) -> bool:
        return (
            self.event.label != migration.label
            or self.up.checksum != migration.up.checksum
            or self.has_other_down(migration)
        )

    def has_other_down(self, migration: Migration) -> bool:
        """Return whether the folder has a down file, and it is not what was recorded."""
        if migration.down is None:
            return False
        return self.down is None or self.down.checksum != migration.down.checksum


def accept(
    conn: Connection,
    folder: Folder,
    version: str,
    *,
    scope: Scope | None = None,
    dry_run: bool = False,
    on_wait: Callable[[str], None] | None = None,
) -> AcceptReport:
    """Record the present text, name and down script of an applied migration, without running it.

    The files are replayed with the recorded and with the present text. What the edit changes is
    expected from then on, and has to be in the live schema already.

    Args:
        conn: An open connection without an open transaction.
        folder: The files.
        version: The migration's version.
        scope: The schema, and how long to wait; by default the connection's own schema.
        dry_run: Compare, and record nothing.
        on_wait: Called with a line when the command has to wait for another session.

    Returns:
        What was recorded, and how the live schema compares.

    Raises:
        UsageError: There is no such version.
        SqlFileError: The migration's file is missing.
        Refused: The migration is not applied, or is another one than that in the folder.
        DifferenceFound: The live schema is not what the present text creates; ``report`` has the
            differences. Nothing was recorded.
        DatabaseError: The server refused, or the present text cannot be run.
        Interrupted: A signal arrived. Nothing was recorded.
    """
    session = Session(conn, folder, scope, on_wait=on_wait)
    for attempt in Attempts(session):
        with attempt:
            state = session.state()
            event, migration = _choose(folder, state.history, version)
            recorded = _read_recorded(session, state, event)
            report = _report(state, recorded, migration, dry_run=dry_run)
            if report.status == "unchanged":
                continue
            effect = EditEffect()
            if recorded.up.checksum != migration.up.checksum:
                effect = effect_of_edit(session, state, migration.number, recorded.up, migration.up)
                report = replace(report, relations=effect.verdicts, notes=effect.notes)
                _refuse_differences(report)
            if not dry_run:
                _record(session, state, recorded, migration, effect)
                report = replace(report, status="accepted")
    return report


def _choose(folder: Folder, history: History, version: str) -> tuple[Event, Migration]:
    """Return the event that applied a migration, and its files."""
    listed = states.migration_states(folder, history)
    state = next((s for s in listed if version and is_named_by(s.version, version)), None)
    if state is None:
        known = ", ".join(dict.fromkeys(s.version for s in listed)) or "none"
        raise UsageError(
            f'there is no migration "{version}"',
            detail=[f"versions in the history and in {folder.path}: {known}"],
            hint="Use the version at the beginning of the file name.",
        )
    states.refuse_conflicts(folder, history, {state.number})
    if state.event is None:
        raise Refused(
            f"migration {state.label} is not applied here",
            hint='"lfmigrate up" runs it as it is in the folder.',
        )
    if state.migration is None:
        raise SqlFileError(
            f"the file of migration {state.label} is not in {folder.path}", hint="Restore it."
        )
    return state.event, state.migration


def _read_recorded(session: Session, state: DatabaseState, event: Event) -> _Recorded:
    with session.reading(state.schema) as flight:
        up = flight.ask(ledger.recorded_text(session.scope, event))
        down = flight.ask(ledger.recorded_down(session.scope, event))
    script = down.value
    name = f"{event.label}.down.sql"
    return _Recorded(
        event,
        from_text(event.file, up.value),
        None if script is None else from_text(name, script),
    )


def _report(
    state: DatabaseState, recorded: _Recorded, migration: Migration, *, dry_run: bool
) -> AcceptReport:
    down_diff: tuple[str, ...] = ()
    if migration.down is not None and recorded.has_other_down(migration):
        nothing = from_text(migration.down.name, "")
        down_diff = diff(recorded.down or nothing, migration.down)
    return AcceptReport(
        server=state.server,
        schema=state.schema,
        version=migration.version,
        name=migration.name,
        recorded_as=recorded.event.label,
        status="planned" if recorded.differs_from(migration) else "unchanged",
        diff=diff(recorded.up, migration.up),
        down_diff=down_diff,
        relations=(),
        notes=(),
        dry_run=dry_run,
    )


def _record(
    session: Session,
    state: DatabaseState,
    recorded: _Recorded,
    migration: Migration,
    effect: EditEffect,
) -> None:
    """Record the migration as it is in the folder; a down script that it lacks is kept."""
    script = migration.down or recorded.down
    step = Step(
        "accept",
        migration.version,
        migration.name,
        migration.up,
        None if script is None else script.text,
    )
    with transaction(session, state, []) as tx:
        tx.record(step)
        entries = tx.flight.ask(ledger.recorded(session.scope, tx.run_id))
        tx.send()
        ledger.complete(
            tx.flight,
            session.scope,
            {entry.id: (effect.made, effect.gone, {}) for entry in entries.value},
        )
        tx.commit()


def _refuse_differences(report: AcceptReport) -> None:
    wrong = [v for v in report.relations if v.status != "ok"]
    if not wrong:
        return
    error = DifferenceFound(
        f"1 object of {report.label} differs from what its file creates"
        if len(wrong) == 1
        else f"{len(wrong)} objects of {report.label} differ from what its file creates",
        detail=[f"{v.status}: {v.relation.kind} {v.relation.label}" for v in wrong],
        outcome=NOTHING_CHANGED,
        hint="Restore the text and write a new migration, or first change the schema to what the"
        " file creates.",
    )
    error.report = report
    raise error
