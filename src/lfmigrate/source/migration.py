"""Migrations, and the folder that they are in. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lfmigrate.errors import SqlFileError
from lfmigrate.source.repeatable import RepeatableFile
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.source.version import label, number

# The format of lfmigrate's own folders.
OWN = "lfmigrate"

# Those in which a down file is a file of its own, named like its up file.
PAIRS = frozenset({OWN, "golang-migrate", "sqlx", "supabase"})


@dataclass(frozen=True, slots=True)
class Migration:
    """A numbered change to the schema, and the file that reverts it.

    Attributes:
        version: The number as in the file name, such as ``002``.
        name: The rest of the file name, such as ``leadership_feedback_tables``.
        up: The file that applies it.
        down: The file that reverts it; None for a forward-only migration.
    """

    version: str
    name: str
    up: SqlFile
    down: SqlFile | None

    @property
    def number(self) -> int:
        """Return the version as a number, by which migrations are ordered: ``002`` equals ``2``."""
        return number(self.version)

    @property
    def content(self) -> bytes:
        """Return the bytes of the file that applies it, for a checksum of another tool's."""
        return b"" if self.up.path is None else self.up.path.read_bytes()

    @property
    def label(self) -> str:
        """Return version and name, such as ``002_leadership_feedback_tables``."""
        return label(self.version, self.name)


@dataclass(frozen=True, slots=True)
class Folder:
    """The content of a folder of SQL files.

    Attributes:
        path: The folder.
        migrations: In the order of their numbers.
        repeatables: The files of ``views/`` and ``repeatable/``, each after those whose objects it
            mentions, and by name otherwise.
        notes: Warnings, each a sentence without a full stop.
        format: Whose folder it is, such as ``goose``; see docs/formats.md.
        is_fallback: Whether it is the shipped one, which was taken because no other was found.
        unrunnable: Why files must not run, each with its version as a number; see
            `history.plan.pending_migrations`.
    """

    path: Path
    migrations: tuple[Migration, ...]
    repeatables: tuple[RepeatableFile, ...]
    notes: tuple[str, ...]
    format: str = OWN
    is_fallback: bool = False
    unrunnable: tuple[tuple[int, SqlFileError], ...] = field(default=(), repr=False, compare=False)
