"""A backup on disk: a folder with a manifest and a CSV file per table. No database here.

A folder is written under a temporary name, synced and then renamed, so a folder with its final name
is complete. Checksums are verified on reading.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from itertools import chain, count
from pathlib import Path
from typing import Any, BinaryIO

from lfmigrate.errors import ArchiveError, Refused
from lfmigrate.rows.files import (
    create_folders,
    incomplete,
    is_incomplete,
    private_file,
    sync_folder,
)
from lfmigrate.rows.parsed import load_value, refuse_constant
from lfmigrate.rows.saved import (
    About,
    Archive,
    SavedLargeObject,
    SavedSequence,
    SavedTable,
)

MANIFEST = "manifest.json"

# The default parent directory of backups, below the working directory.
DEFAULT_PARENT = Path("lfmigrate-backups")

# To be increased when older versions can no longer read a folder.
_FORMAT = 1

_BLOCK_BYTES = 1 << 18

# Called with the numbers of rows and bytes that a file has so far.
OnBlock = Callable[[int, int], None]

# The names of files in a folder: valid on every file system, and no path to anywhere else.
_FILE_NAME = re.compile(r"[a-z0-9_-][a-z0-9_.-]*\.csv")

# Names of devices, whatever follows their first dot.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")

# What a position of a sequence and the number of a large object fit into.
_BIGINT = range(-(1 << 63), 1 << 63)
_OIDS = range(1, 1 << 32)


class _Output:
    """A file that is being written, and its checksum so far."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = sha256()
        self.size = 0

    def write(self, block: bytes | bytearray) -> None:
        self.size += len(block)
        self._digest.update(block)
        self._file.write(block)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class TableFile:
    """The file of a table in an archive that is being written.

    Attributes:
        saved: What the manifest says of it; rows, bytes and checksum are known in the end.
    """

    def __init__(self, folder: Path, saved: SavedTable) -> None:
        self._folder = folder
        self.saved = saved

    @contextmanager
    def written(self, watch: OnBlock | None) -> Iterator[Callable[[bytes | bytearray, int], None]]:
        """Write the file.

        Args:
            watch: Called after every block with how many rows and bytes there are so far.

        Yields:
            What writes a block of lines, given with their number; the first is the header.
        """
        rows = -1
        with private_file(self._folder / self.saved.file) as file:
            output = _Output(file)

            def write(block: bytes | bytearray, lines: int) -> None:
                nonlocal rows
                rows += lines
                output.write(block)
                if watch is not None:
                    watch(rows, output.size)

            yield write
        self.saved = replace(self.saved, rows=rows, bytes=output.size, sha256=output.sha256)


@dataclass(slots=True)
class Writer:
    """An archive that is being written."""

    folder: Path
    tables: list[TableFile] = field(default_factory=list)
    large_objects: list[SavedLargeObject] = field(default_factory=list)
    _files: set[str] = field(default_factory=set)

    def add(
        self,
        schema: str,
        name: str,
        columns: Sequence[tuple[str, str]],
        sequences: Sequence[SavedSequence],
        *,
        definitions: Sequence[tuple[str, str]] = (),
        dropped: Sequence[str] = (),
    ) -> TableFile:
        """Add a table; its file is still to be written.

        Args:
            schema: The table's schema.
            name: The table's name.
            columns: The name and type of each column.
            sequences: The sequences of its columns.
            definitions: What the types of users are, by the column that uses them.
            dropped: The columns that are lost, if the rows are not.
        """
        saved = SavedTable(
            schema,
            name,
            self._file_name(name),
            tuple(columns),
            rows=0,
            bytes=0,
            sha256="",
            sequences=tuple(sequences),
            definitions=tuple(definitions),
            dropped=tuple(dropped),
        )
        file = TableFile(self.folder, saved)
        self.tables.append(file)
        return file

    def add_large_object(
        self,
        number: int,
        content: Iterable[bytes],
        owner: str,
        comment: str | None,
        grants: Sequence[tuple[str, str, bool]],
    ) -> None:
        """Write a large object's file; the arguments are as in `SavedLargeObject`."""
        name = _large_object_file(number)
        with private_file(self.folder / name) as file:
            output = _Output(file)
            for block in content:
                output.write(block)
        saved = SavedLargeObject(
            number, name, output.size, output.sha256, owner, comment, tuple(grants)
        )
        self.large_objects.append(saved)

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
    partial = incomplete(target)
    try:
        if target.exists():
            raise Refused(
                f"{target} already exists",
                hint="Name a new folder; a backup never replaces another.",
            )
        create_folders(target.parent)
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
    tables = tuple(file.saved for file in writer.tables)
    document: dict[str, Any] = {"format": _FORMAT, "created_at": created_at} | asdict(about)
    document["tables"] = [asdict(table) for table in tables]
    document["sequences"] = [asdict(sequence) for sequence in sequences]
    document["large_objects"] = [asdict(each) for each in writer.large_objects]
    document["sha256"] = _checksum(document)
    with private_file(writer.folder / MANIFEST) as file:
        file.write(json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n")
    sync_folder(writer.folder)
    writer.folder.rename(target)
    sync_folder(target.parent)
    large_objects = tuple(writer.large_objects)
    return Archive(target, about, tables, tuple(sequences), large_objects)


def remove(path: Path) -> None:
    """Remove a backup whose rows are still in the database, as far as the file system allows it."""
    partial = incomplete(path)
    with suppress(OSError):
        path.rename(partial)
        shutil.rmtree(partial)


def read(path: Path, *, content: bool = True) -> Archive:
    """Read an archive and check every file in it.

    Args:
        path: The folder.
        content: Whether to verify all checksums, and not only those of tables without rows, whose
            files are not needed: `blocks` verifies that of the file that it reads.

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
    files: tuple[SavedTable | SavedLargeObject, ...] = (*archive.tables, *archive.large_objects)
    problems = [problem for saved in files for problem in _problems(path, saved, content=content)]
    if problems:
        raise ArchiveError(
            "the backup was changed after it was written",
            detail=problems,
            hint="Use another copy of it.",
        )
    return archive


def blocks(
    archive: Archive, table: SavedTable | SavedLargeObject, size: int = _BLOCK_BYTES
) -> Iterator[bytes]:
    """Return a file in blocks of a size, and verify its checksum.

    Raises:
        ArchiveError: The file was changed since it was written, or cannot be read.
    """
    digest = sha256()
    try:
        with (archive.path / table.file).open("rb") as file:
            while block := file.read(size):
                digest.update(block)
                yield block
    except OSError as error:
        raise ArchiveError(f"{table.file} cannot be read: {error.strerror}") from None
    if digest.hexdigest() != table.sha256:
        raise ArchiveError(f"{table.file} does not match its checksum")


def _large_object_file(number: int) -> str:
    return f"large-object-{number}.bin"


def _read_manifest(path: Path) -> dict[str, Any]:
    if is_incomplete(path):
        raise ArchiveError(
            f"{path} is an incomplete backup: its process was killed, or is still running",
            hint="Use another backup. What was to be saved here has not been dropped.",
        )
    try:
        text = (path / MANIFEST).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ArchiveError(
            f"{path} is not a backup: {MANIFEST} cannot be read",
            detail=[getattr(error, "strerror", None) or "it is not UTF-8 text"],
            hint="Name the folder of a backup, which contains manifest.json.",
        ) from None
    try:
        document: dict[str, Any] = json.loads(text, parse_constant=refuse_constant)
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
    tables: tuple[SavedTable, ...] = load_value(tuple[SavedTable, ...], document["tables"])
    for table in tables:
        if not _FILE_NAME.fullmatch(table.file):
            raise ValueError(f"{table.file!r} is not a file of a backup")
        _refuse_twice("column", (column for column, _ in table.columns))
        unknown = set(table.dropped) - {column for column, _ in table.columns}
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))} is not a column of {table.name}")
    large_objects: tuple[SavedLargeObject, ...] = load_value(
        tuple[SavedLargeObject, ...], document.get("large_objects", [])
    )
    for each in large_objects:
        if each.number not in _OIDS or each.file != _large_object_file(each.number):
            raise ValueError(f"{each.file!r} is not a large object of a backup")
    files: tuple[SavedTable | SavedLargeObject, ...] = (*tables, *large_objects)
    _refuse_twice("file", (saved.file for saved in files))
    _refuse_twice("table", (f"{table.schema}.{table.name}" for table in tables))
    sequences: tuple[SavedSequence, ...] = load_value(
        tuple[SavedSequence, ...], document["sequences"]
    )
    for sequence in chain(sequences, *(table.sequences for table in tables)):
        if sequence.last_value not in _BIGINT:
            raise ValueError(f"{sequence.last_value} is not a position of a sequence")
    return Archive(path, load_value(About, document), tables, sequences, large_objects)


def _refuse_twice(kind: str, names: Iterable[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise ValueError(f"{kind} {name} is in it twice")


def _problems(path: Path, saved: SavedTable | SavedLargeObject, *, content: bool) -> Iterator[str]:
    file = path / saved.file
    if not file.exists():
        yield f"{saved.file} is missing"
    elif file.is_symlink() or not file.is_file():
        yield f"{saved.file} is not a regular file"
    elif (size := file.stat().st_size) != saved.bytes:
        yield f"{saved.file} has {size} bytes instead of {saved.bytes}"
    elif content or (isinstance(saved, SavedTable) and not saved.rows):
        try:
            with file.open("rb") as opened:
                digest = file_digest(opened, "sha256")
        except OSError as error:
            yield f"{saved.file} cannot be read: {error.strerror}"
            return
        if digest.hexdigest() != saved.sha256:
            yield f"{saved.file} does not match its checksum"


def _checksum(document: Mapping[str, Any]) -> str:
    return sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
