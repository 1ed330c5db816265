"""Compares the folder with the history: applied, pending, edited, missing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from lfmigrate.errors import Refused, UsageError
from lfmigrate.history.events import Event, History
from lfmigrate.source.folder import Folder, Migration
from lfmigrate.source.views import ViewFile


@dataclass(frozen=True, slots=True)
class MigrationState:
    """A migration that is in the folder, in the history, or in both.

    Attributes:
        version: The version in the file name, now or when it was applied.
        name: The name in the file name, likewise.
        status: ``edited``: applied, but the file has changed since; ``file_missing``: applied, but
            no longer in the folder.
        event: The event that applied it; None if it is pending.
        migration: Its files; None if they are missing.
    """

    version: str
    name: str
    status: Literal["applied", "pending", "edited", "file_missing"]
    event: Event | None
    migration: Migration | None

    @property
    def number(self) -> int:
        """Return the version as a number."""
        return int(self.version)


@dataclass(frozen=True, slots=True)
class ViewState:
    """A view file, and whether its current text is the one that ran last."""

    view: ViewFile
    status: Literal["applied", "pending", "edited"]
    event: Event | None


def migration_states(folder: Folder, history: History) -> tuple[MigrationState, ...]:
    """Return every migration of the folder and of the history, in version order."""
    states: dict[int, MigrationState] = {}
    for migration in folder.migrations:
        event = history.applied.get(migration.number)
        if event is None:
            status: Literal["applied", "pending", "edited"] = "pending"
        elif event.checksum != migration.up.checksum:
            status = "edited"
        else:
            status = "applied"
        states[migration.number] = MigrationState(
            migration.version, migration.name, status, event, migration
        )
    for number, event in history.applied.items():
        if number not in states:
            states[number] = MigrationState(
                event.version or str(number), event.name, "file_missing", event, None
            )
    return tuple(states[number] for number in sorted(states))


def view_states(folder: Folder, history: History) -> tuple[ViewState, ...]:
    """Return every view file of the folder, in the order in which they run."""
    states = []
    for view in folder.views:
        event = history.views.get(view.name)
        if event is None:
            states.append(ViewState(view, "pending", None))
        elif event.checksum != view.file.checksum:
            states.append(ViewState(view, "edited", event))
        else:
            states.append(ViewState(view, "applied", event))
    return tuple(states)


def pending_migrations(
    folder: Folder, history: History, *, to: str | None, allow_out_of_order: bool
) -> tuple[Migration, ...]:
    """Return the migrations that ``up`` has to run, in version order.

    Args:
        folder: The files.
        history: The events so far.
        to: The last version to run; None for all.
        allow_out_of_order: Whether a version older than an applied one may still run.

    Raises:
        UsageError: ``to`` is not a version in the folder.
        Refused: A version older than an applied one is pending, or a file was edited after some of
            its statements ran.
    """
    chosen = [m for m in folder.migrations if m.number not in history.applied]
    if to is not None:
        last = _version(folder, to)
        chosen = [m for m in chosen if m.number <= last]
    newest = max(history.applied, default=-1)
    late = [m for m in chosen if m.number < newest]
    if late and not allow_out_of_order:
        applied = history.applied[newest]
        raise Refused(
            f"migration {late[0].label} is pending, but the newer"
            f" {applied.version}_{applied.name} is already applied",
            detail=(f"also pending: {m.label}" for m in late[1:]),
            hint="Give it a newer version, or run it anyway with --allow-out-of-order.",
        )
    for migration in chosen:
        events = history.begun.get(migration.number, ())
        if events and events[-1].checksum != migration.up.checksum:
            raise Refused(
                f"{migration.up.name} was edited after {_have_run(events)}",
                hint='Restore its text, or roll back what has run with "lfmigrate rollback"; the'
                f" history has the original text ({events[-1].executed_at}).",
            )
    return tuple(chosen)


def refuse_pending(folder: Folder, history: History) -> None:
    """Refuse a command that needs all migrations to be applied.

    Raises:
        Refused: A migration is pending.
    """
    states = migration_states(folder, history)
    pending = [f"{s.version}_{s.name}" for s in states if s.status == "pending"]
    if pending:
        raise Refused(
            f"migration {pending[0]} is not applied here"
            if len(pending) == 1
            else f"{len(pending)} migrations are not applied here, the first of them {pending[0]}",
            hint='Run "lfmigrate up" first; it adopts tables that already exist.',
        )


@dataclass(frozen=True, slots=True)
class Undoing:
    """A migration that is to be rolled back.

    Attributes:
        number: Its version as a number.
        version: The version in the file name, now or when it was applied.
        name: The name in the file name, likewise.
        event: The event that applied it, or that of its last statement if it did not finish; None
            without a history.
        migration: Its files; None if they are missing.
    """

    number: int
    version: str
    name: str
    event: Event | None
    migration: Migration | None


def undoings(
    folder: Folder, history: History, numbers: Iterable[int], *, newest_only: bool
) -> tuple[Undoing, ...]:
    """Return the migrations to roll back, newest first.

    Args:
        folder: The files.
        history: The events so far.
        numbers: The applied migrations that may be rolled back.
        newest_only: Whether to roll back only the newest of them.
    """
    chosen = sorted(numbers, reverse=True)[: 1 if newest_only else None]
    by_number = {migration.number: migration for migration in folder.migrations}
    found = []
    for number in chosen:
        event, migration = history.last.get(number), by_number.get(number)
        version = event.version if event is not None else None
        name = event.name if event is not None else ""
        if migration is not None:
            version, name = version or migration.version, name or migration.name
        found.append(Undoing(number, version or str(number), name, event, migration))
    return tuple(found)


def version_to_keep(folder: Folder, history: History, to: str) -> int:
    """Return the version to go back to as a number; -1 to roll back everything.

    ``0`` rolls back everything, unless a version is written exactly like that.

    Raises:
        UsageError: There is no such migration.
    """
    if to and not to.strip("0"):
        return 0 if to in _versions(folder, history) else -1
    for number, event in history.applied.items():
        if event.version is not None and event.version.lstrip("0") == to.lstrip("0"):
            return number
    return _version(folder, to)


def before_all(folder: Folder, history: History) -> str:
    """Return what `version_to_keep` takes to roll back everything: zeros that are no version."""
    versions = _versions(folder, history)
    zeros = "0"
    while zeros in versions:
        zeros += "0"
    return zeros


def notes(folder: Folder, history: History) -> tuple[str, ...]:
    """Return the warnings, one line each: the folder's, and about edited and missing files."""
    lines = list(folder.notes)
    for state in migration_states(folder, history):
        label = f"{state.version}_{state.name}"
        if state.status == "edited":
            lines.append(f"{label} was edited after it was applied; the change has not been run")
        elif state.status == "file_missing":
            lines.append(f"{label} is applied, but its file is not in the folder")
        elif state.number in history.begun:
            lines.append(f"{label} has not finished: {_have_run(history.begun[state.number])}")
        elif state.status == "pending" and state.migration and not state.migration.up.statements:
            lines.append(f"{state.migration.up.name} has no statements")
    views = {view.name for view in folder.views}
    lines += [
        f"{event.file} was run, but is not in the folder"
        for name, event in history.views.items()
        if name not in views and any(r.key in history.expected for r in event.expected)
    ]
    return tuple(lines)


def _have_run(events: Sequence[Event]) -> str:
    """Return how far an unfinished migration came, for a message."""
    done = sum(1 for event in events if event.action == "statement")
    if not done:
        return "its first statement was started"
    return f"{done} of its statements {'has' if done == 1 else 'have'} run"


def _versions(folder: Folder, history: History) -> set[str]:
    """Return the versions as they are written, in the folder and in the history."""
    recorded = {event.version for event in history.last.values() if event.version is not None}
    return recorded | {migration.version for migration in folder.migrations}


def _version(folder: Folder, to: str) -> int:
    """Return the version in the folder that an option names, as a number."""
    versions = [m.version for m in folder.migrations]
    for migration in folder.migrations:
        # Compared as text, because int() refuses very long numbers.
        if migration.version.lstrip("0") == to.lstrip("0") and to:
            return migration.number
    raise UsageError(
        f'there is no migration "{to}"',
        detail=[f"versions in {folder.path}: {', '.join(versions) or 'none'}"],
        hint="Use the version at the beginning of the file name.",
    )
