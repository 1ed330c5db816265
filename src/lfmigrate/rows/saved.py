"""What a backup has, as values: where it comes from, its tables, sequences and large objects."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# What COPY calls the encodings of files.
Encoding = Literal["UTF8", "SQL_ASCII"]


@dataclass(frozen=True, slots=True)
class SavedSequence:
    """The position of a sequence: ``last_value``, and whether that value has been used.

    ``column`` is the column that owns it; None for a standalone sequence.
    """

    schema: str
    name: str
    column: str | None
    last_value: int
    is_called: bool


@dataclass(frozen=True, slots=True)
class SavedTable:
    """The rows of a table: their file, and its checksum.

    Attributes:
        schema: The table's schema, unquoted.
        name: The table's name, unquoted.
        file: The name of the CSV file in the folder.
        columns: The name and type of each column in the file, in order.
        rows: The number of rows.
        bytes: The file's size.
        sha256: The file's checksum, in hex.
        sequences: The sequences of its serial and identity columns.
        definitions: What the types of users were, by the column that used them.
        dropped: The columns that were lost, if the rows were not.
    """

    schema: str
    name: str
    file: str
    columns: tuple[tuple[str, str], ...]
    rows: int
    bytes: int
    sha256: str
    sequences: tuple[SavedSequence, ...] = ()
    definitions: tuple[tuple[str, str], ...] = ()
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SavedLargeObject:
    """The content of a large object: its file, and the file's checksum.

    Attributes:
        number: Its oid.
        file: The name of the file in the folder.
        bytes: The file's size.
        sha256: The file's checksum, in hex.
        owner: The name of its owner.
        comment: Its comment; None for none.
        grants: The role, or "" for PUBLIC, the privilege, and whether it may be granted further.
    """

    number: int
    file: str
    bytes: int
    sha256: str
    owner: str
    comment: str | None = None
    grants: tuple[tuple[str, str, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Dropped:
    """An object outside the migrations that a rollback dropped; ``definition`` re-creates it."""

    kind: str
    name: str
    definition: str | None


@dataclass(frozen=True, slots=True)
class About:
    """Where a backup comes from, and why it was made.

    Attributes:
        reason: ``backup``, or the command that deleted the rows.
        database: The database's name.
        schema: The schema for unqualified names.
        applied: The labels of the applied migrations, in version order.
        tool_version: The version of lfmigrate.
        server_version: As a number: 180004 is 18.4.
        dropped: The objects that ``--cascade`` dropped.
        encoding: The encoding of the files, as COPY takes it.
    """

    reason: str
    database: str
    schema: str
    applied: tuple[str, ...]
    tool_version: str
    server_version: int
    dropped: tuple[Dropped, ...] = ()
    encoding: Encoding = "UTF8"


@dataclass(frozen=True, slots=True)
class Archive:
    """A complete backup: its folder, and the content of its manifest."""

    path: Path
    about: About
    tables: tuple[SavedTable, ...]
    sequences: tuple[SavedSequence, ...]
    large_objects: tuple[SavedLargeObject, ...] = ()

    @property
    def numbers(self) -> tuple[int, ...]:
        """Return the numbers of the large objects."""
        return tuple(each.number for each in self.large_objects)
