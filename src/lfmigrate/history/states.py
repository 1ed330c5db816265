"""Compares the folder with the history: applied, pending, edited, missing. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from lfmigrate.errors import DifferenceFound, Refused
from lfmigrate.history.events import Event, History
from lfmigrate.source.folder import Folder, Migration
from lfmigrate.source.repeatable import RepeatableFile
from lfmigrate.source.version import label
from lfmigrate.source.version import number as version_number

# How many labels an error lists.
_MOST_LABELS = 5


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
        if (other := other_migration(history, migration)) is not None:
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


def other_migration(history: History, migration: Migration) -> Event | None:
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

    The shipped migrations are not for a database that has others, unless they were asked for.

    Args:
        folder: The files.
        history: The events so far.
        numbers: The migrations that matter; None for all.

    Raises:
        Refused: There is one; or the folder is the wrong one.
    """
    known = {migration.number for migration in folder.migrations}
    if folder.is_fallback and (others := [e for n, e in history.applied.items() if n not in known]):
        raise Refused(
            "no directory of SQL files was found, and the shipped one is not that of this database",
            detail=[f"applied, and not in the shipped one: {_first(others)}"],
            hint="Run lfmigrate in the project's directory, or name the directory with --sql-dir.",
        )
    pairs = [
        (event, migration)
        for migration in folder.migrations
        if (numbers is None or migration.number in numbers)
        and (event := other_migration(history, migration)) is not None
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


def _first(events: Sequence[Event]) -> str:
    """Return the labels of the first few events."""
    more = len(events) - _MOST_LABELS
    labels = ", ".join(event.label for event in events[:_MOST_LABELS])
    return f"{labels} and {more} more" if more > 0 else labels


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
