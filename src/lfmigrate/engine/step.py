"""One file to run, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lfmigrate.history.ledger import Entry
from lfmigrate.schema.relation import Relation
from lfmigrate.source.folder import Migration
from lfmigrate.source.repeatable import CreatedView, RepeatableFile
from lfmigrate.source.sqlfile import SqlFile


@dataclass(frozen=True, slots=True)
class Step:
    """One file to run, and why.

    Attributes:
        action: As the history calls it.
        version: The migration's; None for a repeatable file.
        name: That of the migration or the repeatable file.
        file: What runs.
        down_sql: The down script to record.
        drops: The views to drop before it, whose files re-create them; see `RecreatedViews`.
        part: Which part of the migration it is, such as ``statement 2 of 5``; empty for all of it.
        so_far: The file up to and including that part; None for all of it.
        earlier_ms: How long those statements took that ran before and are recorded with it.
        described: What is expected as well, whatever the file does.
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
    ]
    version: str | None
    name: str
    file: SqlFile
    down_sql: str | None = None
    drops: tuple[CreatedView, ...] = ()
    part: str = ""
    so_far: SqlFile | None = None
    earlier_ms: int = 0
    described: tuple[Relation, ...] = ()

    @classmethod
    def of_migration(cls, action: Literal["up", "repair"], migration: Migration) -> Step:
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
        label = f"{self.version}_{self.name}"
        return f"{label} ({self.part})" if self.part else label

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
        )
