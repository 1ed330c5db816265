"""A backup on disk: a folder with a manifest, one CSV file per table, and checksums."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from lfmigrate.errors import ArchiveError, Refused

MANIFEST = "manifest.json"

# Where backups go unless they are sent elsewhere, below the working directory.
DEFAULT_PARENT = Path("lfmigrate-backups")

# Raised when a folder can no longer be read by older versions.
_FORMAT = 1

_BLOCK_BYTES = 1 << 18

_PLAIN_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,100}")


@dataclass(frozen=True, slots=True)
class SavedSequence:
    """Where a sequence stood: ``last_value``, and whether that value has been used.

    ``column`` is the column that it belongs to, None for a sequence of its own.
    """

    schema: str
    name: str
    column: str | None
    last_value: int
    is_called: bool


@dataclass(frozen=True, slots=True)
class SavedTable:
    """A table's rows: the file that holds them, and how to tell that it is whole.

    Attributes:
        schema: Unquoted, as the name.
        name: The table's.
        file: The name of the CSV file in the folder.
        columns: Name and type of each column in the file, in its order.
        rows: How many there are.
        bytes: The file's size.
        sha256: Of the file, in hex.
        sequences: Those of its serial and identity columns.
    """

    schema: str
    name: str
    file: str
    columns: tuple[tuple[str, str], ...]
    rows: int
    bytes: int
    sha256: str
    sequences: tuple[SavedSequence, ...] = ()


@dataclass(frozen=True, slots=True)
class Dropped:
    """Something outside the migrations that a rollback dropped, and the statement that makes it."""

    kind: str
    name: str
    definition: str | None


@dataclass(frozen=True, slots=True)
class About:
    """Where a backup comes from, and why it was made.

    Attributes:
        reason: ``backup``, or what was undone.
        database: The database's name.
        schema: The schema that unqualified names went to.
        applied: The labels of the applied migrations, in version order.
        tool_version: lfmigrate's.
        server_version: As PostgreSQL counts it: 180004 is 18.4.
        dropped: What ``--cascade`` dropped.
    """

    reason: str
    database: str
    schema: str
    applied: tuple[str, ...]
    tool_version: str
    server_version: int
    dropped: tuple[Dropped, ...] = ()


@dataclass(frozen=True, slots=True)
class Archive:
    """A complete backup: its folder, and what its manifest says."""

    path: Path
    about: About
    tables: tuple[SavedTable, ...]
    sequences: tuple[SavedSequence, ...]


@dataclass(slots=True)
class Writer:
    """An archive that is being written."""

    folder: Path
    tables: list[SavedTable] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)

    def add(
        self,
        schema: str,
        name: str,
        columns: Sequence[tuple[str, str]],
        lines: Iterator[Sequence[bytes | memoryview]],
        sequences: Sequence[SavedSequence],
    ) -> SavedTable:
        """Write a table's file.

        Args:
            schema: The table's schema.
            name: The table's name.
            columns: Name and type of each column.
            lines: The file's lines in blocks, the header first.
            sequences: Those of its columns.
        """
        file_name = self._file_name(name)
        digest = sha256()
        size = rows = 0
        with _private_file(self.folder / file_name) as file:
            for block in lines:
                content = b"".join(block)
                rows += len(block)
                size += len(content)
                digest.update(content)
                file.write(content)
        saved = SavedTable(
            schema,
            name,
            file_name,
            tuple(columns),
            max(rows - 1, 0),
            size,
            digest.hexdigest(),
            tuple(sequences),
        )
        self.tables.append(saved)
        return saved

    def _file_name(self, table: str) -> str:
        """Return a name that every file system takes, even one that does not know case."""
        plain = (
            table if _PLAIN_NAME.fullmatch(table) else re.sub(r"[^a-z0-9_-]+", "_", table.lower())
        )
        chosen, number = f"{plain[:100]}.csv", 1
        while chosen in self._names:
            number += 1
            chosen = f"{plain[:100]}-{number}.csv"
        self._names.add(chosen)
        return chosen


def default_folder(parent: Path, database: str) -> Path:
    """Return the folder for a backup that is made now: the database's name and the time in UTC."""
    name = re.sub(r"[^\w.-]+", "_", database).strip(".") or "database"
    first = chosen = f"{name}-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"
    number = 1
    while (parent / chosen).exists():
        number += 1
        chosen = f"{first}-{number}"
    return parent / chosen


@contextmanager
def write(target: Path) -> Iterator[Writer]:
    """Write an archive; `finish` gives it its final name.

    Args:
        target: The folder's final name; it must not exist.

    Yields:
        A writer whose folder has a temporary name, and is removed if it was not finished.

    Raises:
        Refused: The folder cannot be written, or is already there.
    """
    partial = target.parent / f".{target.name}.{secrets.token_hex(4)}.partial"
    try:
        if target.exists():
            raise Refused(
                f"{target} is already there",
                hint="Name a folder that does not exist yet; a backup never replaces another.",
            )
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial.mkdir(mode=0o700)
        yield Writer(partial)
    except OSError as error:
        raise Refused(
            f"the backup could not be written: {error.strerror or error}",
            detail=[str(target)],
            hint="Make room or name another place; nothing is dropped without a backup.",
        ) from None
    finally:
        with suppress(OSError):  # it was renamed, or the disk does not even let it go
            shutil.rmtree(partial)


def finish(
    writer: Writer, target: Path, about: About, sequences: Sequence[SavedSequence]
) -> Archive:
    """Write the manifest, bring everything to the disk and rename the folder.

    Returns:
        The archive under its final name.
    """
    created_at = datetime.now(UTC).isoformat(timespec="seconds")
    document: dict[str, Any] = {"format": _FORMAT, "created_at": created_at} | asdict(about)
    document["tables"] = [asdict(table) for table in writer.tables]
    document["sequences"] = [asdict(sequence) for sequence in sequences]
    document["sha256"] = _checksum(document)
    with _private_file(writer.folder / MANIFEST) as file:
        file.write(json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n")
    _sync_folder(writer.folder)
    writer.folder.rename(target)
    _sync_folder(target.parent)
    return Archive(target, about, tuple(writer.tables), tuple(sequences))


def read(path: Path) -> Archive:
    """Read an archive and check every file in it.

    Raises:
        ArchiveError: Something is missing, was changed, or is no backup at all; every finding is
            in the details.
    """
    document = _read_manifest(path)
    try:
        archive = _parse(path, document)
    except (KeyError, TypeError, ValueError) as error:
        raise ArchiveError(
            f"{path / MANIFEST} is no manifest of a backup", detail=[_words(error)]
        ) from None
    problems = [problem for table in archive.tables for problem in _problems(path, table)]
    if problems:
        raise ArchiveError(
            "the backup is not as it was written",
            detail=problems,
            hint="Use another copy of it; nothing was written.",
        )
    return archive


def blocks(archive: Archive, table: SavedTable) -> Iterator[bytes]:
    """Return a table's file in blocks, and hold it against its checksum once more.

    Raises:
        ArchiveError: The file was changed since the archive was read.
    """
    digest = sha256()
    with (archive.path / table.file).open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            yield block
    if digest.hexdigest() != table.sha256:
        raise ArchiveError(f"{table.file} was changed while it was read")


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        text = (path / MANIFEST).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ArchiveError(
            f"{path} is no backup: {MANIFEST} cannot be read",
            detail=[getattr(error, "strerror", None) or "it is not UTF-8 text"],
            hint="Name the folder that a backup made, with its manifest.json in it.",
        ) from None
    try:
        document: dict[str, Any] = json.loads(text)
        told = document.pop("sha256")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ArchiveError(f"{path / MANIFEST} is damaged") from None
    if told != _checksum(document):
        raise ArchiveError(
            f"{path / MANIFEST} was changed since the backup was made",
            hint="Use another copy of it; nothing was written.",
        )
    if document.get("format") != _FORMAT:
        raise ArchiveError(
            f"{path / MANIFEST} has another format than {_FORMAT}, which this version reads",
            hint="Use the version of lfmigrate that made it, or a newer one.",
        )
    return document


def _parse(path: Path, document: Mapping[str, Any]) -> Archive:
    about = About(
        reason=_text(document["reason"]),
        database=_text(document["database"]),
        schema=_text(document["schema"]),
        applied=tuple(_text(label) for label in document["applied"]),
        tool_version=_text(document["tool_version"]),
        server_version=int(document["server_version"]),
        dropped=tuple(Dropped(**dropped) for dropped in document["dropped"]),
    )
    tables = tuple(
        SavedTable(
            schema=_text(table["schema"]),
            name=_text(table["name"]),
            file=_file(table["file"]),
            columns=tuple((_text(name), _text(kind)) for name, kind in table["columns"]),
            rows=int(table["rows"]),
            bytes=int(table["bytes"]),
            sha256=_text(table["sha256"]),
            sequences=tuple(_sequence(sequence) for sequence in table["sequences"]),
        )
        for table in document["tables"]
    )
    return Archive(path, about, tables, tuple(_sequence(s) for s in document["sequences"]))


def _sequence(document: Mapping[str, Any]) -> SavedSequence:
    column = document["column"]
    return SavedSequence(
        _text(document["schema"]),
        _text(document["name"]),
        None if column is None else _text(column),
        int(document["last_value"]),
        bool(document["is_called"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text expected, and found {value!r}")
    return value


def _file(value: object) -> str:
    """Let a name through that stays in the folder."""
    name = _text(value)
    if not re.fullmatch(r"[a-z0-9_][a-z0-9_.-]*\.csv", name):
        raise ValueError(f"{name!r} is no file of a backup")
    return name


def _words(error: Exception) -> str:
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)


def _problems(path: Path, table: SavedTable) -> Iterator[str]:
    file = path / table.file
    if file.is_symlink() or not file.is_file():
        yield f"{table.file} is missing" if not file.exists() else f"{table.file} is no plain file"
        return
    digest = sha256()
    size = 0
    try:
        with file.open("rb") as content:
            while block := content.read(_BLOCK_BYTES):
                digest.update(block)
                size += len(block)
    except OSError as error:
        yield f"{table.file} cannot be read: {error.strerror}"
        return
    if size != table.bytes:
        yield f"{table.file} has {size} bytes instead of {table.bytes}"
    elif digest.hexdigest() != table.sha256:
        yield f"{table.file} has another checksum than when it was written"


def _checksum(document: Mapping[str, Any]) -> str:
    return sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


@contextmanager
def _private_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file for writing that only its owner can read, and bring it to the disk."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    if os.name == "nt":
        return  # Windows has no such thing
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
