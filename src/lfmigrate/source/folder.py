"""A folder of migrations and repeatable files, read as the tool reads that it was made for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from lfmigrate.source.formats.detect import format_of
from lfmigrate.source.migration import Folder, Migration
from lfmigrate.source.pairs import OWN_FOLDERS, gaps
from lfmigrate.source.reader import Reader, entries, folders, is_folder, refuse_problems
from lfmigrate.source.repeatable import (
    REPEATABLE,
    VIEWS,
    RepeatableFile,
    in_order,
    repeatable_file,
    view_file,
)

__all__ = ["Folder", "Migration", "read_folder", "shipped_folder"]

_NAMING = (
    "A migration is two files, 001_first_table.up.sql and 001_first_table.down.sql,"
    " or one without a rollback, 001_first_table.sql."
)


def shipped_folder() -> Path:
    """Return the folder of the migration that ships with lfmigrate.

    It is part of an installed package, and at the top level of a checkout.
    """
    package = Path(str(files("lfmigrate")))
    installed = package / "sql"
    return installed if installed.is_dir() else package.parents[1] / "sql"


def read_folder(
    path: str | Path,
    *,
    format: str | None = None,  # noqa: A002 (the option's name)
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Folder:
    """Read a folder of migrations and repeatable files, and refuse it unless all can be read.

    Only reads. Up files and repeatable files are split here, down files when their statements are
    needed. Hidden files are ignored, and other subfolders; there is a note about those that have
    SQL files, except for ``seed``.

    Args:
        path: The folder.
        format: Whose folder it is, such as ``goose``; None to find out from what is in it.
        variables: The values of placeholders, by name.

    Returns:
        The migrations and repeatable files in the order in which they run.

    Raises:
        SqlFileError: The folder or files in it are invalid. All problems are reported: one as
            itself, several as lines of ``detail``.
    """
    path = Path(path)
    reader = Reader(path, variables)
    chosen = format_of(reader, format)
    migrations = chosen.read(reader)
    if chosen.has_repeatables:
        reader.repeatables = _repeatables(reader)
        _note_other_folders(reader)
    if not (migrations or reader.repeatables or reader.problems):
        reader.problem(f'no migrations and no views in "{path}"', hint=_NAMING, detail=reader.notes)
    refuse_problems(reader.problems, path)
    notes = [*reader.notes, *(gaps(migrations) if chosen.has_repeatables else ())]
    return Folder(
        path,
        tuple(migrations),
        tuple(reader.repeatables),
        tuple(notes),
        chosen.name,
        unrunnable=tuple(reader.unrunnable),
    )


def versions_of(path: Path, *, format: str | None = None) -> list[tuple[str, str]]:  # noqa: A002 (as above)
    """Return the version and the name of each migration that can be read. Only reads.

    Args:
        path: The folder. What is wrong with other files in it does not matter.
        format: Whose folder it is; None to find out.

    Raises:
        SqlFileError: The folder cannot be read.
    """
    reader = Reader(path)
    return [(m.version, m.name) for m in format_of(reader, format).read(reader)]


def _repeatables(reader: Reader) -> list[RepeatableFile]:
    """Return the repeatable files in the order in which they run."""
    found: dict[str, RepeatableFile] = {}
    for folder, check in ((VIEWS, view_file), (REPEATABLE, repeatable_file)):
        path = reader.folder / folder
        for name in reader.sql_names(path) if is_folder(path) else []:
            repeatable = reader.read(f"{folder}/{name}", check)
            if repeatable is None:
                continue
            other = found.setdefault(repeatable.name, repeatable)
            if other is not repeatable:
                reader.problem(
                    f"{other.file.name} and {repeatable.file.name} create the same view",
                    hint="Remove one.",
                )
    return in_order(tuple(found.values()))


def _note_other_folders(reader: Reader) -> None:
    """Note the subfolders whose SQL files are not read."""
    for parent in ("", VIEWS, REPEATABLE):
        known = OWN_FOLDERS if not parent else ()
        for name in folders(reader.folder / parent):
            path = reader.folder / parent / name
            if name in known or name.startswith("."):
                continue
            if any(each.name.lower().endswith(".sql") for each in entries(path)):
                label = path.relative_to(reader.folder).as_posix()
                reader.notes.append(
                    f"{label}/ is ignored: SQL files that may run again belong in {REPEATABLE}/"
                )
