"""Compares the folder with the history: applied, pending, edited, missing. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lfmigrate.errors import DifferenceFound, Refused, UsageError
from lfmigrate.history.events import Event, History
from lfmigrate.source.folder import Folder, Migration
from lfmigrate.source.repeatable import RepeatableFile
from lfmigrate.source.version import is_named_by, label
from lfmigrate.source.version import number as version_number


@dataclass(frozen=True, slots=True)
class MigrationState:
    """A migration that is in the folder, in the history, or in both.

    Attributes:
        version: The version in the file name, now or when it was applied.
        name: The name in the file name, likewise.
        status: ``edited``: applied, but the file has changed since; ``file_missing``: applied, but
            no longer in the folder; ``conflict``: two migrations with different names and texts
            have this version, one in the history and one in the folder. Each has a state.
        event: The event that applied it; None if it is pending or has not finished.
        migration: Its files; None if they are missing.
    """

    version: str
    name: str
    status: Literal["applied", "pending", "edited", "file_missing", "conflict"]
    event: Event | None
    migration: Migration | None

    @property
    def number(self) -> int:
        """Return the version as a number."""
        return version_number(self.version)

    @property
    def label(self) -> str:
        """Return version and name, such as ``002_leadership_feedback_tables``."""
        return label(self.version, self.name)

    @property
    def was_renamed(self) -> bool:
        """Return whether the file has another name than when it was applied."""
        return self.event is not None and not _has_name(self.event, self.label)


@dataclass(frozen=True, slots=True)
class RepeatableState:
    """A repeatable file, and whether its current text is the one that ran last."""

    repeatable: RepeatableFile
    status: Literal["applied", "pending", "edited"]
    event: Event | None


class Differing(NamedTuple):
    """A file that is not as in the history; ``version`` is None for a repeatable file."""

    version: str | None
    name: str
    status: Literal["pending", "edited", "file_missing", "conflict"]


@dataclass(frozen=True, slots=True)
class FileStates:
    """The folder compared with the history, file by file.

    Attributes:
        migrations: Those of the folder and of the history, in version order.
        repeatables: The repeatable files of the folder, in the order in which they run.
        missing_repeatables: The events of those that ran, are in effect, and are not in the folder.
    """

    migrations: tuple[MigrationState, ...]
    repeatables: tuple[RepeatableState, ...]
    missing_repeatables: tuple[Event, ...]

    @property
    def pending(self) -> int:
        """Return how many files the next ``up`` would run because of their text."""
        return self._count("pending") + sum(1 for r in self.repeatables if r.status != "applied")

    @property
    def differing(self) -> Iterator[Differing]:
        """Return every file that is not as in the history."""
        for state in self.migrations:
            if state.status != "applied":
                yield Differing(state.version, state.name, state.status)
        for each in self.repeatables:
            if each.status != "applied":
                yield Differing(None, each.repeatable.name, each.status)
        for event in self.missing_repeatables:
            yield Differing(None, event.name, "file_missing")

    def problems(self, *, pending: bool) -> Iterator[DifferenceFound]:
        """Return how the folder differs from the history.

        Args:
            pending: Whether what is pending is a problem.

        Returns:
            An error for each way in which files differ.
        """
        if conflicts := self._count("conflict") // 2:
            versions = "version is" if conflicts == 1 else "versions are"
            yield DifferenceFound(
                f"{conflicts} {versions} used by two different migrations", hint=_CONFLICT_HINT
            )
        if edited := self._count("edited"):
            yield DifferenceFound(
                f"{edited} migration{' was' if edited == 1 else 's were'} edited after"
                f" {'it was' if edited == 1 else 'they were'} applied",
                detail=[f"edited: {s.label}" for s in self.migrations if s.status == "edited"],
                hint='Restore the text, or record a reviewed edit with "lfmigrate accept".',
            )
        if missing := len(self._missing()):
            yield DifferenceFound(
                f"{missing} applied file{' is' if missing == 1 else 's are'} not in the folder",
                detail=[f"missing: {label}" for label in self._missing()],
                hint="Restore what is missing in the folder.",
            )
        if pending and (waiting := self.pending):
            yield DifferenceFound(
                "1 migration or repeatable file is pending"
                if waiting == 1
                else f"{waiting} migrations or repeatable files are pending",
                hint='Run "lfmigrate up".',
            )

    def _missing(self) -> list[str]:
        migrations = [s.label for s in self.migrations if s.status == "file_missing"]
        return [*migrations, *(event.file for event in self.missing_repeatables)]

    def _count(self, status: str) -> int:
        return sum(1 for state in self.migrations if state.status == status)


_CONFLICT_HINT = (
    "Give the one in the folder, which is not applied, another number; the applied one keeps its"
    " own. If they are one migration, restore its name or its text."
)


def file_states(folder: Folder, history: History) -> FileStates:
    """Return every file of the folder and of the history."""
    names = {repeatable.name for repeatable in folder.repeatables}
    texts = {repeatable.file.checksum for repeatable in folder.repeatables}
    missing = tuple(
        event
        for name, event in history.repeatables.items()
        # One with the same text is the same file under another name. What has created nothing, such
        # as a GRANT, leaves nothing that could be dropped when it is given up.
        if name not in names and event.checksum not in texts and history.made_by_repeatables[name]
    )
    return FileStates(
        migration_states(folder, history), repeatable_states(folder, history), missing
    )


def migration_states(folder: Folder, history: History) -> tuple[MigrationState, ...]:
    """Return every migration of the folder and of the history, in version order."""
    states: list[MigrationState] = []
    for migration in folder.migrations:
        event = history.applied.get(migration.number)
        status: Literal["applied", "pending", "edited", "conflict"]
        if (other := _other_migration(history, migration)) is not None:
            states.append(_gone(other, "conflict", event))
            status, event = "conflict", None
        elif event is None:
            status = "pending"
        elif event.checksum != migration.up.checksum:
            status = "edited"
        else:
            status = "applied"
        states.append(MigrationState(migration.version, migration.name, status, event, migration))
    numbers = {migration.number for migration in folder.migrations}
    states += [
        _gone(event, "file_missing", history.applied.get(number))
        for number, event in history.last.items()
        if number not in numbers
    ]
    return tuple(sorted(states, key=lambda state: state.number))


def _gone(
    event: Event, status: Literal["file_missing", "conflict"], applied: Event | None
) -> MigrationState:
    """Return the state of a migration that only the history has."""
    return MigrationState(event.version or "", event.name, status, applied, None)


def _other_migration(history: History, migration: Migration) -> Event | None:
    """Return the event of a different migration that has the version of one in the folder.

    One of the two, name or text, identifies a migration: a file may be edited, or renamed.
    """
    event = history.last.get(migration.number)
    if event is None or event.checksum == migration.up.checksum:
        return None
    return None if _normal(event.name) == _normal(migration.name) else event


def _has_name(event: Event, label: str) -> bool:
    return _normal(event.label) == _normal(label)


def _normal(name: str) -> str:
    # A file system may return a name in another normalization form than it was given.
    return unicodedata.normalize("NFC", name)


def refuse_conflicts(
    folder: Folder, history: History, numbers: Collection[int] | None = None
) -> None:
    """Refuse a command if the folder has another migration than the history for a version.

    Args:
        folder: The files.
        history: The events so far.
        numbers: The migrations that matter; None for all.

    Raises:
        Refused: There is one.
    """
    pairs = [
        (event, migration)
        for migration in folder.migrations
        if (numbers is None or migration.number in numbers)
        and (event := _other_migration(history, migration)) is not None
    ]
    if not pairs:
        return
    lines = []
    for event, migration in pairs:
        done = "applied" if migration.number in history.applied else "begun"
        lines += [
            f"{event.label} ({event.file}) was {done} {event.executed_at} by {event.executed_by}",
            f"{migration.label} is {migration.up.path or migration.up.name}",
        ]
        lines += [
            f"{other.up.name} has the text of {event.label}: it was {done}, so rename it back"
            for other in folder.migrations
            if other.up.checksum == event.checksum
        ]
    event, migration = pairs[0]
    raise Refused(
        f"version {migration.version} is used by two different migrations: the history has"
        f" {event.label}, and the folder has {migration.label}"
        if len(pairs) == 1
        else f"{len(pairs)} versions are each used by two different migrations",
        detail=lines,
        hint=_CONFLICT_HINT,
    )


def repeatable_states(folder: Folder, history: History) -> tuple[RepeatableState, ...]:
    """Return every repeatable file of the folder, in the order in which they run."""
    states = []
    for repeatable in folder.repeatables:
        event = history.repeatables.get(repeatable.name)
        if event is None:
            states.append(RepeatableState(repeatable, "pending", None))
        elif event.checksum != repeatable.file.checksum:
            states.append(RepeatableState(repeatable, "edited", event))
        else:
            states.append(RepeatableState(repeatable, "applied", event))
    return tuple(states)


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
        Refused: A version older than an applied one is pending, a version is that of another
            migration in the history, or a file was edited after some of its statements ran.
    """
    refuse_conflicts(folder, history)
    chosen = [m for m in folder.migrations if m.number not in history.applied]
    if to is not None:
        last = version_named(folder, to)
        chosen = [m for m in chosen if m.number <= last]
    newest = max(history.applied, default=-1)
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
        if _other_migration(history, migration) is None
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
