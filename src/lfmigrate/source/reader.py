"""Reads the files of a folder, and collects the problems with them."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from lfmigrate.errors import SqlFileError, combine
from lfmigrate.source.repeatable import RepeatableFile
from lfmigrate.source.sqlfile import SqlFile, read_file

T = TypeVar("T")

# More problems than this are counted only.
_MOST_PROBLEMS = 10

# Comments that may be the marker of a tool: one search for all of them.
_MARK = re.compile(
    r"^[ \t]*--[^\n]*(?:migrat|goose|drop below|undo|previous:|no-transaction|liquibase)[^\n]*",
    re.IGNORECASE | re.MULTILINE,
)


class Reader:
    """A folder while it is read.

    Attributes:
        folder: The folder.
        variables: What the placeholders in its files stand for.
        problems: Why it cannot be run, so far.
        notes: Warnings, each a sentence without a full stop.
        unrunnable: Why files must not run, each with its version as a number. Of one that has run
            already, with the same text, this does not matter.
        repeatables: Its files that may run again, in the order in which they run.
    """

    def __init__(self, folder: Path, variables: Mapping[str, str] = MappingProxyType({})) -> None:
        """Make a reader; nothing is read yet."""
        self.folder = folder
        self.variables = variables
        self.problems: list[SqlFileError] = []
        self.notes: list[str] = []
        self.unrunnable: list[tuple[int, SqlFileError]] = []
        self.repeatables: list[RepeatableFile] = []
        self._files: dict[str, SqlFile | SqlFileError] = {}

    def problem(self, message: str, *, hint: str, detail: Iterable[str] = ()) -> None:
        """Note why the folder cannot be run."""
        self.problems.append(SqlFileError(message, detail=detail, hint=hint))

    def skipped(self, number: int, message: str, *, hint: str) -> None:
        """Note why nothing newer than what has run may run while there is such a file."""
        self.unrunnable.append((number, SqlFileError(message, hint=hint)))

    def names(self, folder: Path) -> list[str]:
        """Return the names in a folder, sorted, without hidden ones.

        Raises:
            SqlFileError: It cannot be read.
        """
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
        return sorted(name for name in names if not name.startswith("."))

    @cached_property
    def sql(self) -> list[str]:
        """Return the names of its own that end in .sql, sorted."""
        return self.sql_names(self.folder)

    @cached_property
    def others(self) -> list[str]:
        """Return its other names, such as those of subfolders, sorted."""
        return [name for name in self.names(self.folder) if not name.lower().endswith(".sql")]

    def sql_names(self, folder: Path) -> list[str]:
        """Return the names in a folder that end in .sql, sorted."""
        found = []
        for name in self.names(folder):
            if not name.lower().endswith(".sql"):
                continue
            try:
                name.encode()
            except UnicodeEncodeError:
                self.problem(f"the file name {name!a} is not UTF-8", hint="Rename the file.")
            else:
                found.append(name)
        return found

    def read(self, name: str, check: Callable[[SqlFile], T]) -> T | None:
        """Return what a check makes of a file, or None if the file has a problem."""
        try:
            return check(self.file(name))
        except SqlFileError as error:
            self.problems.append(error)
        return None

    def file(self, name: str) -> SqlFile:
        """Return a file, which is read once.

        Raises:
            SqlFileError: It cannot be read.
        """
        if name not in self._files:
            try:
                self._files[name] = read_file(self.folder, name)
            except SqlFileError as error:
                self._files[name] = error
        found = self._files[name]
        if isinstance(found, SqlFileError):
            raise found
        return found

    def text(self, name: str) -> str:
        """Return the text of a file; empty if it cannot be read."""
        try:
            return self.file(name).text
        except SqlFileError:
            return ""

    def marks(self, name: str) -> list[str]:
        """Return the comments of a file that may be a tool's markers, each a line."""
        return [match.group().strip() for match in _MARK.finditer(self.text(name))]


def refuse_problems(problems: Sequence[SqlFileError], folder: Path) -> None:
    """Refuse a folder if there is any problem.

    Raises:
        SqlFileError: The first ten, and how many there are.
    """
    if not problems:
        return
    count = len(problems)
    error = combine(problems[:_MOST_PROBLEMS], f'{count} problems in "{folder}"')
    if count > _MOST_PROBLEMS:
        error.detail = (*error.detail, f"and {count - _MOST_PROBLEMS} more")
    raise error


def entries(path: Path) -> list[Path]:
    """Return what is in a folder; nothing if it cannot be read."""
    try:
        return list(path.iterdir())
    except OSError:
        return []


def folders(path: Path) -> list[str]:
    """Return the names of the folders in a folder, sorted; nothing if it cannot be read."""
    try:
        with os.scandir(path) as found:
            return sorted(entry.name for entry in found if entry.is_dir())
    except OSError:
        return []


def is_folder(path: Path) -> bool:
    """Return whether there is a folder, or a link to one."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return False
