"""One file to run, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lfmigrate.history.events import Previous
from lfmigrate.history.ledger import Entry
from lfmigrate.schema.relation import Key, Relation
from lfmigrate.source.folder import Migration
from lfmigrate.source.repeatable import RepeatableFile
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.source.version import label
from lfmigrate.syntax.names import quote_name
from lfmigrate.syntax.scanner import Statement


@dataclass(frozen=True, slots=True)
class Recreated:
    """An object of a repeatable file that a run drops, and that the file creates again.

    Attributes:
        key: What identifies it, as the server resolves its name.
        kind: ``view``, ``materialized view``, ``function``, ``procedure`` or ``aggregate``.
        file: The name of the file.
        creations: The statements that create it, or another routine of its name.
        keeps_properties: Whether its owner, grants and the like are restored.
        is_dropped_by_file: Whether the file drops it first.
        states_owner: Whether the file gives it an owner, whose privileges need not be enough to
            fill it.
        restated: The indexes of a materialized view that an older text of the file has created,
            and that are not restored: the file states which ones there are.
    """

    key: Key
    kind: str
    file: str
    creations: tuple[Statement, ...]
    keeps_properties: bool
    is_dropped_by_file: bool = False
    states_owner: bool = False
    restated: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Return its name, unquoted; that of a routine without the arguments."""
        return self.key.name.partition("(")[0] if self.key.space == "routine" else self.key.name

    def label(self, schema: str) -> str:
        """Return how messages name it, quoted; qualified if it is in another schema than this."""
        qualified = self.key.name if self.key.schema == schema else ".".join(self.key[1:])
        return quote_name(qualified)


@dataclass(frozen=True, slots=True)
class Restores:
    """What is restored after a down file that a migration has replaced or dropped.

    Attributes:
        previous: How it was defined.
        first: Whether it is restored before the file as well, as far as that is possible, because
            the file drops what the newer definitions need.
        drops: What others have created on top of it, and is dropped before the file.
        rebuilds: How that is defined; re-created after all.
        cascades: Whether what depends on it otherwise is dropped, if need be.
    """

    previous: tuple[Previous, ...] = ()
    first: bool = False
    drops: tuple[Key, ...] = ()
    rebuilds: tuple[Previous, ...] = ()
    cascades: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One file to run, and why.

    Attributes:
        action: As the history calls it.
        version: The migration's; None for a repeatable file.
        name: That of the migration or the repeatable file.
        file: What runs.
        down_sql: The down script to record.
        drops: What to drop before it, and what re-creates it; see `RecreatedObjects`.
        part: Which part of the migration it is, such as ``statement 2 of 5``; empty for all of it.
        so_far: The file up to and including that part; None for all of it.
        earlier_ms: How long those statements took that ran before and are recorded with it.
        described: What is expected as well, whatever the file does.
        restores: What the migration has replaced or dropped; None if that is nothing.
    """

    action: Literal[
        "up",
        "repair",
        "view",
        "repeatable",
        "rollback",
        "begun",
        "statement",
        "rejected",
        "accept",
        "upgrade",
        "adopt",
        "drift",
    ]
    version: str | None
    name: str
    file: SqlFile
    down_sql: str | None = None
    drops: tuple[Recreated, ...] = ()
    part: str = ""
    so_far: SqlFile | None = None
    earlier_ms: int = 0
    described: tuple[Relation, ...] = ()
    restores: Restores | None = None

    @classmethod
    def of_migration(cls, action: Literal["up", "repair", "adopt"], migration: Migration) -> Step:
        """Return the step that runs a migration's up file."""
        down_sql = None if migration.down is None else migration.down.text
        return cls(action, migration.version, migration.name, migration.up, down_sql)

    @classmethod
    def of_repeatable(cls, repeatable: RepeatableFile) -> Step:
        """Return the step that runs a repeatable file."""
        action: Literal["view", "repeatable"] = "view" if repeatable.is_view else "repeatable"
        return cls(action, None, repeatable.name, repeatable.file)

    @property
    def label(self) -> str:
        """Return what messages call it."""
        if self.version is None:
            return self.file.name
        named = label(self.version, self.name)
        return f"{named} ({self.part})" if self.part else named

    @property
    def entry(self) -> Entry:
        """Return what is recorded before its effects are known."""
        return Entry(
            action=self.action,
            version=self.version,
            name=self.name,
            file=self.file.name,
            checksum=self.file.checksum,
            sql=self.file.text,
            down_sql=self.down_sql,
            earlier_ms=self.earlier_ms,
            has_run=self.action not in {"accept", "adopt", "drift", "upgrade"},
        )


def not_yet_recreated(steps: Iterable[Step]) -> set[str]:
    """Return the names of the files that have to run after these steps, because of their drops."""
    files: set[str] = set()
    for step in steps:
        files |= {each.file for each in step.drops}
        files.discard(step.file.name)
    return files
