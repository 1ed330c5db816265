"""Chooses what to run and what to roll back, from the folder and the history. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from lfmigrate.errors import Refused, UsageError
from lfmigrate.history.events import Event, History
from lfmigrate.history.states import (
    file_states,
    migration_states,
    other_migration,
    refuse_conflicts,
)
from lfmigrate.source.folder import Folder, Migration
from lfmigrate.source.migration import PAIRS
from lfmigrate.source.reader import refuse_problems
from lfmigrate.source.version import is_named_by

# Their migrations only go forward.
_WITHOUT_DOWN = frozenset(
    {"prisma", "drizzle", "supabase", "graphile-migrate", "postgres-migrations"}
)


def pending_migrations(
    folder: Folder,
    history: History,
    *,
    to: str | None,
    allow_out_of_order: bool,
    resumable: Collection[int] = (),
) -> tuple[Migration, ...]:
    """Return the migrations that ``up`` has to run, in version order.

    Args:
        folder: The files.
        history: The events so far.
        to: The last version to run; None for all.
        allow_out_of_order: Whether a version older than an applied one may still run.
        resumable: The migrations whose edit leaves the statements alone that have run.

    Raises:
        UsageError: ``to`` is not a version in the folder.
        SqlFileError: A file must not run, such as one with an unknown down section; or one would
            be skipped whose name is almost that of a migration.
        Refused: A version older than an applied one is pending, a version is that of another
            migration in the history, a file is applied under another version, or was edited after
            some of its statements ran.
    """
    refuse_conflicts(folder, history)
    chosen = [m for m in folder.migrations if m.number not in history.applied]
    last = None if to is None else version_named(folder, to)
    if last is not None:
        chosen = [m for m in chosen if m.number <= last]
    newest = max(history.applied, default=-1)
    refuse_unrunnable(folder, history, {m.number for m in chosen}, last)
    _refuse_applied_files(folder, history, chosen)
    late = [m for m in chosen if m.number < newest]
    if late and not allow_out_of_order:
        applied = history.applied[newest]
        raise Refused(
            f"migration {late[0].label} is pending, but the newer"
            f" {applied.label} is already applied",
            detail=(f"also pending: {m.label}" for m in late[1:]),
            hint="Give it a newer version, or run it anyway with --allow-out-of-order.",
        )
    for migration in chosen:
        events = history.begun.get(migration.number, ())
        if migration.number not in resumable and (
            events and events[-1].checksum != migration.up.checksum
        ):
            raise Refused(
                f"{migration.up.name} was edited after {_have_run(events)}",
                hint=(
                    "Restore its text, or drop the index that this statement has left, and only"
                    " then edit it"
                    if events[-1].action == "begun"
                    else 'Restore its text, or roll back what has run with "lfmigrate rollback"'
                )
                + f"; the history has the original text ({events[-1].executed_at}).",
            )
    return tuple(chosen)


def refuse_unrunnable(
    folder: Folder, history: History, chosen: Collection[int], last: int | None
) -> None:
    """Refuse what must not run, if it would, or if it would be skipped.

    Args:
        folder: The files.
        history: The events so far.
        chosen: The numbers of the migrations that would run, or be recorded as if they had.
        last: The newest that is asked for; None if all are.

    Raises:
        SqlFileError: A chosen migration is such a file, or something that is no migration, but
            meant to be one, is newer than all that is applied.
    """
    newest = max(history.applied, default=-1)
    refuse_problems(
        [
            error
            for number, error in folder.unrunnable
            if number in chosen
            or (
                number not in history.applied
                and number > newest
                and (last is None or number <= last)
            )
        ],
        folder.path,
    )


def _refuse_applied_files(folder: Folder, history: History, chosen: Sequence[Migration]) -> None:
    """Refuse to run a file again that is applied under a version that the folder does not have.

    Its version has changed: it was renumbered, or the folder is now read in another format, in
    which something else identifies a migration.

    Raises:
        Refused: There is one.
    """
    there = {m.number for m in folder.migrations}
    gone = [event for number, event in history.applied.items() if number not in there]
    known = {event.file: event for event in gone} | {event.checksum: event for event in gone}
    found = [
        (m, known.get(m.up.name) or known.get(m.up.checksum)) for m in chosen if m.up.statements
    ]
    again = [(migration, event) for migration, event in found if event is not None]
    if again:
        migration, event = again[0]
        raise Refused(
            f"{migration.up.name} is applied already, as version {event.version}",
            detail=[f"also: {m.up.name}, as version {e.version}" for m, e in again[1:]],
            hint="Rename it back, or read the folder as before, with --format. If it is another"
            " migration with the same text, add a comment to it.",
        )


def refuse_pending(folder: Folder, history: History) -> None:
    """Refuse a command that needs all migrations to be applied.

    Raises:
        Refused: A migration is pending, or is not the one in the history with its version.
    """
    refuse_conflicts(folder, history)
    states = migration_states(folder, history)
    pending = [state.label for state in states if state.status == "pending"]
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
    by_number = {
        migration.number: migration
        for migration in folder.migrations
        if other_migration(history, migration) is None
    }
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
        if event.version is not None and is_named_by(event.version, to):
            return number
    return version_named(folder, to)


def before_all(folder: Folder, history: History) -> str:
    """Return what `version_to_keep` takes to roll back everything: zeros that are no version."""
    versions = _versions(folder, history)
    zeros = "0"
    while zeros in versions:
        zeros += "0"
    return zeros


def notes(folder: Folder, history: History) -> tuple[str, ...]:
    """Return the warnings, one line each: the folder's, and about files that differ."""
    lines = list(folder.notes)
    lines += [
        f"up refuses {error.file}: {error.message}"
        for number, error in folder.unrunnable
        if error.file and number not in history.applied
    ]
    files = file_states(folder, history)
    for state in files.migrations:
        begun = history.begun.get(state.number, ())
        if state.status == "edited":
            lines.append(
                f"{state.label} was edited after it was applied; the change has not been run"
            )
        elif state.status == "file_missing" and not begun:
            lines.append(f"{state.label} is applied, but its file is not in the folder")
        elif state.status == "conflict":
            if state.migration is not None:
                other = history.last[state.number].label
                lines.append(
                    f"version {state.version} is used by two different migrations: the history has"
                    f" {other}, and the folder has {state.label}"
                )
        elif begun:
            missing = ", and its file is not in the folder" if state.migration is None else ""
            lines.append(f"{state.label} has not finished: {_have_run(begun)}{missing}")
        elif state.status == "pending" and state.migration and not state.migration.up.statements:
            lines.append(f"{state.migration.up.name} has no statements")
        if state.event is not None and state.was_renamed:
            lines.append(f"{state.event.label} was renamed to {state.label} after it was applied")
    lines += [
        f"{event.file} was run, but is not in the folder" for event in files.missing_repeatables
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


def version_named(folder: Folder, to: str) -> int:
    """Return the version in the folder that an option names, as a number.

    Raises:
        UsageError: There is no such migration.
    """
    versions = [m.version for m in folder.migrations]
    for migration in folder.migrations:
        if to and is_named_by(migration.version, to):
            return migration.number
    # Of an id, its number is enough.
    begins = f"{to}_", f"{to}."
    named = [m for m in folder.migrations if to and not m.name and m.version.startswith(begins)]
    if len(named) == 1:
        return named[0].number
    raise UsageError(
        f'there is no migration "{to}"',
        detail=[f"versions in {folder.path}: {', '.join(versions) or 'none'}"],
        hint="Use the version at the beginning of the file name.",
    )


def way_to_undo(folder: Folder, undoing: Undoing) -> str:
    """Return what to do about a migration without a down file; not all formats have those."""
    if folder.format in PAIRS:
        up = undoing.migration.up.name if undoing.migration is not None else ""
        stem = up.removesuffix(".sql")
        # A forward-only file has to be renamed, too.
        how = f"Rename {up} to {stem}.up.sql and write {stem}.down.sql"
        if not up or stem.lower().endswith(".up"):
            how = "Write its .down.sql"
    elif folder.format in _WITHOUT_DOWN:
        return f"Undo it with a new migration: {folder.format} has no down files."
    else:
        how = f"Add what reverts it to the folder, as {folder.format} reads it"
    return f"{how}, or undo it with a new migration."
