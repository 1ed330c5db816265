"""A backup on disk: a folder with a manifest and a CSV file per table. No database here.

A folder is written under a temporary name, synced and then renamed, so a folder with its final name
is complete. Checksums are verified on reading.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import file_digest, sha256
from itertools import chain, count, takewhile
from pathlib import Path
from typing import Any, BinaryIO, Literal, NoReturn, get_args, get_origin, get_type_hints

from lfmigrate.errors import ArchiveError, Refused

MANIFEST = "manifest.json"

# The default parent directory of backups, below the working directory.
DEFAULT_PARENT = Path("lfmigrate-backups")

# To be increased when older versions can no longer read a folder.
_FORMAT = 1

_BLOCK_BYTES = 1 << 18

# What COPY calls the encodings of files.
Encoding = Literal["UTF8", "SQL_ASCII"]

# The names of files in a folder: valid on every file system, and no path to anywhere else.
_FILE_NAME = re.compile(r"[a-z0-9_-][a-z0-9_.-]*\.csv")

# Names of devices, whatever follows their first dot.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")

# What a position of a sequence fits into.
_BIGINT = range(-(1 << 63), 1 << 63)


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


@dataclass(slots=True)
class Writer:
    """An archive that is being written."""

    folder: Path
    tables: list[SavedTable] = field(default_factory=list)
    _files: set[str] = field(default_factory=set)

    def add(
        self,
        schema: str,
        name: str,
        columns: Sequence[tuple[str, str]],
        lines: Iterator[Sequence[bytes | memoryview]],
        sequences: Sequence[SavedSequence],
        *,
        definitions: Sequence[tuple[str, str]] = (),
        dropped: Sequence[str] = (),
    ) -> SavedTable:
        """Write a table's file.

        Args:
            schema: The table's schema.
            name: The table's name.
            columns: The name and type of each column.
            lines: The file's lines in blocks, beginning with the header.
            sequences: The sequences of its columns.
            definitions: What the types of users are, by the column that uses them.
            dropped: The columns that are lost, if the rows are not.
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
            tuple(definitions),
            tuple(dropped),
        )
        self.tables.append(saved)
        return saved

    def _file_name(self, table: str) -> str:
        """Return a unique name that is valid on every file system, even a case-insensitive one."""
        plain = re.sub(r"[^a-z0-9_.-]+", "_", table.lower())[:100]
        # A leading dash would be an option of many programs, a leading dot a hidden file.
        if plain[0] in ".-" or _RESERVED.fullmatch(plain):
            plain = f"_{plain}"
        chosen, number = f"{plain}.csv", 1
        while chosen in self._files:
            number += 1
            chosen = f"{plain}-{number}.csv"
        self._files.add(chosen)
        return chosen


def default_folder(parent: Path, database: str) -> Path:
    """Return the folder for a new backup, named after the database and the time in UTC."""
    name = re.sub(r"[^\w.-]+", "_", database).strip(".") or "database"
    first = parent / f"{name}-{datetime.now(UTC):%Y-%m-%dT%H%M%SZ}"
    others = (first.with_name(f"{first.name}-{number}") for number in count(2))
    return next(folder for folder in chain([first], others) if not folder.exists())


@contextmanager
def write(target: Path) -> Iterator[Writer]:
    """Write an archive; `finish` gives it its final name.

    Args:
        target: The folder's final name; it must not exist.

    Yields:
        A writer whose folder has a temporary name, and is removed unless it was finished.

    Raises:
        Refused: The folder cannot be written, or already exists.
    """
    partial = _partial(target)
    try:
        if target.exists():
            raise Refused(
                f"{target} already exists",
                hint="Name a new folder; a backup never replaces another.",
            )
        _create_folders(target.parent)
        partial.mkdir(mode=0o700)
        yield Writer(partial)
    except OSError as error:
        raise Refused(
            f"the backup could not be written: {error.strerror or error}",
            detail=[str(target)],
            hint="Free some space or name another folder; nothing is dropped without a backup.",
        ) from None
    finally:
        with suppress(OSError):  # it was renamed, or cannot be removed either
            shutil.rmtree(partial)


def finish(
    writer: Writer, target: Path, about: About, sequences: Sequence[SavedSequence]
) -> Archive:
    """Write the manifest, sync everything to disk, and rename the folder.

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


def remove(path: Path) -> None:
    """Remove a backup whose rows are still in the database, as far as the file system allows it."""
    partial = _partial(path)
    with suppress(OSError):
        path.rename(partial)
        shutil.rmtree(partial)


def read(path: Path) -> Archive:
    """Read an archive and check every file in it.

    Raises:
        ArchiveError: It is not a backup, or files are missing or were changed; the details list
            all problems.
    """
    document = _read_manifest(path)
    try:
        archive = _parse(path, document)
    except (KeyError, TypeError, ValueError) as error:
        words = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        raise ArchiveError(
            f"{path / MANIFEST} is not the manifest of a backup", detail=[words]
        ) from None
    problems = [problem for table in archive.tables for problem in _problems(path, table)]
    if problems:
        raise ArchiveError(
            "the backup was changed after it was written",
            detail=problems,
            hint="Use another copy of it.",
        )
    return archive


def blocks(archive: Archive, table: SavedTable) -> Iterator[bytes]:
    """Return a table's file in blocks, and verify its checksum again.

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


def _partial(path: Path) -> Path:
    """Return the name of a folder that is not complete."""
    return path.parent / f".{path.name}.{secrets.token_hex(4)}.partial"


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        text = (path / MANIFEST).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ArchiveError(
            f"{path} is not a backup: {MANIFEST} cannot be read",
            detail=[getattr(error, "strerror", None) or "it is not UTF-8 text"],
            hint="Name the folder of a backup, which contains manifest.json.",
        ) from None
    try:
        document: dict[str, Any] = json.loads(text, parse_constant=_refuse_constant)
        recorded, found = document.pop("sha256"), _checksum(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ArchiveError(f"{path / MANIFEST} is damaged") from None
    if recorded != found:
        raise ArchiveError(
            f"{path / MANIFEST} was changed after the backup was written",
            hint="Use another copy of it.",
        )
    if document.get("format") != _FORMAT:
        raise ArchiveError(
            f"{path / MANIFEST} has a format other than {_FORMAT}, the one that this version reads",
            hint="Use the version of lfmigrate that wrote it, or a newer one.",
        )
    return document


def _parse(path: Path, document: Mapping[str, Any]) -> Archive:
    """Return what a manifest says.

    Raises:
        KeyError: Something is missing.
        TypeError: Something has another type.
        ValueError: Something has a value that no backup has.
    """
    tables: tuple[SavedTable, ...] = _load(tuple[SavedTable, ...], document["tables"])
    for table in tables:
        if not _FILE_NAME.fullmatch(table.file):
            raise ValueError(f"{table.file!r} is not a file of a backup")
        _refuse_twice("column", (column for column, _ in table.columns))
        unknown = set(table.dropped) - {column for column, _ in table.columns}
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))} is not a column of {table.name}")
    _refuse_twice("file", (table.file for table in tables))
    _refuse_twice("table", (f"{table.schema}.{table.name}" for table in tables))
    sequences: tuple[SavedSequence, ...] = _load(tuple[SavedSequence, ...], document["sequences"])
    for sequence in chain(sequences, *(table.sequences for table in tables)):
        if sequence.last_value not in _BIGINT:
            raise ValueError(f"{sequence.last_value} is not a position of a sequence")
    return Archive(path, _load(About, document), tables, sequences)


def _refuse_twice(kind: str, names: Iterable[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise ValueError(f"{kind} {name} is in it twice")


def _refuse_constant(name: str) -> NoReturn:
    """Refuse what JSON does not have, and Python reads."""
    raise ValueError(name)


def _load(kind: Any, value: Any) -> Any:  # noqa: ANN401 (any type, and parsed JSON)
    """Return a value of a type, be it one of the dataclasses above, from parsed JSON."""
    if isinstance(kind, type) and is_dataclass(kind):
        optional = {field.name for field in fields(kind) if field.default is not MISSING}
        return kind(
            **{
                name: _load(hint, value[name])
                for name, hint in _hints(kind).items()
                if name in value or name not in optional
            }
        )
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ValueError(f"expected one of {', '.join(get_args(kind))}, found {value!r}")
        return value
    if get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise TypeError(f"expected a list, found {value!r}")
        kinds = get_args(kind)
        kinds = kinds[:1] * len(value) if kinds[-1] is ... else kinds
        return tuple(_load(one, each) for one, each in zip(kinds, value, strict=True))
    # To Python, true is a number.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        expected = {int: "a number", bool: "true or false"}.get(kind, "text")
        raise TypeError(f"expected {expected}, found {value!r}")
    if isinstance(value, str) and not _is_text(value):
        raise ValueError(f"{value!r} is not text that a database could have")
    return value


@cache
def _hints(kind: type) -> Mapping[str, Any]:
    """Return the types of a dataclass's fields; each annotation is text, and has to be compiled."""
    return get_type_hints(kind)


def _is_text(value: str) -> bool:
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False  # half of a pair of surrogates


def _problems(path: Path, table: SavedTable) -> Iterator[str]:
    file = path / table.file
    if not file.exists():
        yield f"{table.file} is missing"
    elif file.is_symlink() or not file.is_file():
        yield f"{table.file} is not a regular file"
    elif (size := file.stat().st_size) != table.bytes:
        yield f"{table.file} has {size} bytes instead of {table.bytes}"
    else:
        try:
            with file.open("rb") as content:
                digest = file_digest(content, "sha256")
        except OSError as error:
            yield f"{table.file} cannot be read: {error.strerror}"
            return
        if digest.hexdigest() != table.sha256:
            yield f"{table.file} does not match its checksum"


def _checksum(document: Mapping[str, Any]) -> str:
    return sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


@contextmanager
def _private_file(path: Path) -> Iterator[BinaryIO]:
    """Create a file that only its owner can read, and sync it to disk at the end."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _create_folders(path: Path) -> None:
    """Create a folder and those above it, which only their owner can enter, and sync each."""
    missing = list(takewhile(lambda folder: not folder.exists(), (path, *path.parents)))
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
        with suppress(PermissionError):  # a folder of others may not be readable
            _sync_folder(folder.parent)


def _sync_folder(path: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot sync a folder
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
