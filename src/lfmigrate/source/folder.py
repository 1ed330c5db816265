"""A folder of migrations and repeatable files: naming, order and gaps."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

from lfmigrate.errors import SqlFileError, combine
from lfmigrate.source.repeatable import (
    REPEATABLE,
    VIEWS,
    RepeatableFile,
    in_order,
    repeatable_file,
    view_file,
)
from lfmigrate.source.sqlfile import SqlFile, read_file

T = TypeVar("T")

# Versions with this many digits are dates and times, which are not consecutive.
_DATE_DIGITS = 8

# The suffix is case-insensitive: otherwise 2_a.DOWN.sql would be a forward migration. ASCII only,
# because a long s would match an s.
_MIGRATION = re.compile(
    r"(?P<version>[0-9]+)_(?!\.)(?P<name>.+?)(?:\.(?P<way>up|down))?\.sql",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)

# What `up` reads besides the migrations, and what other commands do.
_KNOWN_FOLDERS = frozenset({VIEWS, REPEATABLE, "seed"})

# Other tools keep the rollback in the same file, after one of these lines.
_ROLLBACK_MARK = re.compile(
    r"^--[ \t]*(?:migrate:down|\+goose[ \t]+down|\+migrate[ \t]+down)\b.*$"
    r"|^----[ \t]*create above[ \t]*/[ \t]*drop below[ \t]*----",
    re.IGNORECASE | re.ASCII | re.MULTILINE,
)

_USED_TWICE = (
    "Keep the one that was applied, and give the others, which no database has applied, different"
    " numbers."
)

_NAMING = (
    "A migration is two files, 001_first_table.up.sql and 001_first_table.down.sql,"
    " or one without a rollback, 001_first_table.sql."
)


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
        return int(self.version)

    @property
    def label(self) -> str:
        """Return version and name, such as ``002_leadership_feedback_tables``."""
        return f"{self.version}_{self.name}"


@dataclass(frozen=True, slots=True)
class Folder:
    """The content of a folder of SQL files.

    Attributes:
        path: The folder.
        migrations: In the order of their numbers.
        repeatables: The files of ``views/`` and ``repeatable/``, each after those whose objects it
            mentions, and by name otherwise.
        notes: Warnings, each a sentence without a full stop.
    """

    path: Path
    migrations: tuple[Migration, ...]
    repeatables: tuple[RepeatableFile, ...]
    notes: tuple[str, ...]


def shipped_folder() -> Path:
    """Return the folder of the migration that ships with lfmigrate.

    It is part of an installed package, and at the top level of a checkout.
    """
    package = Path(str(files("lfmigrate")))
    installed = package / "sql"
    return installed if installed.is_dir() else package.parents[1] / "sql"


def read_folder(path: str | Path) -> Folder:
    """Read a folder of migrations and repeatable files, and refuse it unless all can be run.

    Only reads. Up files and repeatable files are split here, down files when their statements are
    needed. Hidden files are ignored, and other subfolders; there is a note about those that have
    SQL files, except for ``seed``.

    Args:
        path: The folder.

    Returns:
        The migrations and repeatable files in the order in which they run.

    Raises:
        SqlFileError: The folder or files in it are invalid. All problems are reported: one as
            itself, several as lines of ``detail``.
    """
    path = Path(path)
    reader = _Reader(path)
    migrations = reader.migrations()
    repeatables = reader.repeatables()
    reader.note_other_folders()
    if not (migrations or repeatables or reader.problems):
        reader.problem(f'no migrations and no views in "{path}"', hint=_NAMING, detail=reader.notes)
    reader.refuse_problems()
    notes = [*reader.notes, *_gaps(migrations)]
    return Folder(path, tuple(migrations), tuple(repeatables), tuple(notes))


class _Named(NamedTuple):
    file: str
    version: str
    name: str
    way: str

    @property
    def number(self) -> int:
        return int(self.version)


class _Reader:
    """Reads the files of a folder and collects the problems with them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[SqlFileError] = []
        self.notes: list[str] = []

    def problem(self, message: str, *, hint: str, detail: Iterable[str] = ()) -> None:
        self.problems.append(SqlFileError(message, detail=detail, hint=hint))

    def refuse_problems(self) -> None:
        if self.problems:
            raise combine(self.problems, f'{len(self.problems)} problems in "{self.folder}"')

    def migrations(self) -> list[Migration]:
        """Return the migrations of the folder in the order of their numbers."""
        ups: dict[int, list[_Named]] = {}
        downs: dict[int, list[_Named]] = {}
        for file in self._list(self.folder):
            match = _MIGRATION.fullmatch(file)
            if match is None:
                if not _is_folder(self.folder / file):
                    self.notes.append(f"{file} is ignored: its name is not that of a migration")
                continue
            named = _Named(file, match["version"], match["name"], (match["way"] or "").lower())
            kind = downs if named.way == "down" else ups
            kind.setdefault(named.number, []).append(named)
        found = []
        for number in sorted(ups.keys() | downs.keys()):
            pair = self._pair(number, ups.get(number, []), downs.get(number, []))
            if pair is not None:
                found.append(pair)
        return found

    def _pair(self, number: int, ups: list[_Named], downs: list[_Named]) -> Migration | None:
        """Return the migration of one number, or None if its up file has a problem."""
        for same, hint in ((ups, _USED_TWICE), (downs, "Keep one of them.")):
            if len(same) > 1:
                names = ", ".join(named.file for named in same)
                self.problem(
                    f"version {number} is used more than once: {names}",
                    hint=hint,
                )
        for down in downs:
            self._check_down(down, ups)
        up = self._read(ups[0].file, _check_up) if ups else None
        down_file = self._read(downs[0].file, _check_down) if downs else None
        if up is None:
            return None
        return Migration(ups[0].version, ups[0].name, up, down_file)

    def _check_down(self, down: _Named, ups: list[_Named]) -> None:
        if any(up.way == "up" and up.name == down.name for up in ups):
            return
        stem = f"{down.version}_{down.name}"
        if not ups:
            self.problem(
                f"{down.file} has no matching {stem}.up.sql",
                hint="Add the migration that it reverts, or remove it.",
            )
        else:
            self.problem(
                f"{down.file} does not belong to {ups[0].file}",
                hint="A migration and its rollback differ only in .up.sql and .down.sql.",
            )

    def repeatables(self) -> list[RepeatableFile]:
        """Return the repeatable files in the order in which they run."""
        found: dict[str, RepeatableFile] = {}
        for folder, check in ((VIEWS, view_file), (REPEATABLE, repeatable_file)):
            path = self.folder / folder
            for name in self._list(path) if _is_folder(path) else []:
                repeatable = self._read(f"{folder}/{name}", check)
                if repeatable is None:
                    continue
                other = found.setdefault(repeatable.name, repeatable)
                if other is not repeatable:
                    self.problem(
                        f"{other.file.name} and {repeatable.file.name} create the same view",
                        hint="Remove one.",
                    )
        return in_order(tuple(found.values()))

    def note_other_folders(self) -> None:
        """Note the subfolders whose SQL files are not read."""
        for parent in ("", VIEWS, REPEATABLE):
            known = _KNOWN_FOLDERS if not parent else ()
            for path in sorted(_entries(self.folder / parent)):
                if path.name in known or path.name.startswith(".") or not _is_folder(path):
                    continue
                if any(each.name.lower().endswith(".sql") for each in _entries(path)):
                    name = path.relative_to(self.folder).as_posix()
                    self.notes.append(
                        f"{name}/ is ignored: SQL files that may run again belong in {REPEATABLE}/"
                    )

    def _list(self, folder: Path) -> list[str]:
        """Return the names in a folder that end in .sql, sorted."""
        try:
            names = [entry.name for entry in folder.iterdir()]
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                message = f'the SQL folder "{folder}" does not exist'
            elif isinstance(error, NotADirectoryError):
                message = f'"{folder}" is not a folder'
            else:
                message = f'the folder "{folder}" cannot be read: {error.strerror}'
            raise SqlFileError(
                message,
                hint="Name the folder of the SQL files with --sql-dir.",
            ) from None
        found = []
        for name in sorted(names):
            if not name.lower().endswith(".sql") or name.startswith("."):
                continue
            try:
                name.encode()
            except UnicodeEncodeError:
                self.problem(f"the file name {name!a} is not UTF-8", hint="Rename the file.")
            else:
                found.append(name)
        return found

    def _read(self, name: str, check: Callable[[SqlFile], T]) -> T | None:
        """Return what a check makes of a file, or None if the file has a problem."""
        try:
            return check(read_file(self.folder, name))
        except SqlFileError as error:
            self.problems.append(error)
        return None


def _entries(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError:
        return []


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return False


def _check_down(file: SqlFile) -> SqlFile:
    _ = file.directives
    return file


def _check_up(file: SqlFile) -> SqlFile:
    """Refuse an up file that cannot be run, or that would revert itself."""
    _ = file.directives
    if mark := _ROLLBACK_MARK.search(file.text):
        raise file.refusal(
            "the rollback in this file would run right after the migration",
            mark.start(),
            "Move what follows to a .down.sql file, and name this one .up.sql.",
        )
    file.refuse_outside()
    return file


def _gaps(migrations: Sequence[Migration]) -> list[str]:
    """Return a note about missing numbers, if the migrations are numbered consecutively."""
    numbers = sorted(m.number for m in migrations if len(m.version) < _DATE_DIGITS)
    if not numbers:
        return []
    first, last = numbers[0], numbers[-1]
    missing = last - first + 1 - len(numbers)
    # Numbering in steps of ten is intended.
    if not 0 < missing <= len(numbers):
        return []
    ranges = [
        f"{low + 1}" if high - low == 2 else f"{low + 1} to {high - 1}"  # noqa: PLR2004
        for low, high in pairwise(numbers)
        if high - low > 1
    ]
    word = "migration" if missing == 1 else "migrations"
    return [f"no {word} {', '.join(ranges)} between {first} and {last}"]
