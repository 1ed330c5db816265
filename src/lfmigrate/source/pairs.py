"""lfmigrate's own naming, which is golang-migrate's and sqlx's: pairs of files, and single ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from lfmigrate.source.migration import Migration
from lfmigrate.source.reader import Reader, entries, is_folder
from lfmigrate.source.repeatable import REPEATABLE, VIEWS
from lfmigrate.source.rules import refuse_isolation_level, why_not_to_run
from lfmigrate.source.sqlfile import SqlFile

# What lfmigrate reads besides the migrations.
OWN_FOLDERS = frozenset({VIEWS, REPEATABLE, "seed"})
_DIRECTIVE = re.compile(r"^--[ \t]*lfmigrate:", re.IGNORECASE | re.MULTILINE)

# Versions with this many digits are dates and times, which are not consecutive.
_DATE_DIGITS = 8

# The suffix is case-insensitive: otherwise 2_a.DOWN.sql would be a forward migration. ASCII only,
# because a long s would match an s.
_MIGRATION = re.compile(
    r"(?P<version>[0-9]+)_(?!\.)(?P<name>.+?)(?:\.(?P<way>up|down))?\.sql",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)

# It begins with a number, or like a migration of Flyway, and is none: 002-b, 2b_x, 002, V2__b.
_ALMOST = re.compile(r"v?([0-9]+).*\.sql", re.IGNORECASE | re.ASCII | re.DOTALL)

# Other tools keep the rollback in the same file, after one of these lines.
_ROLLBACK_MARK = re.compile(
    r"^--[ \t]*(?:migrate:down|\+goose[ \t]+down|\+migrate[ \t]+down)\b.*$"
    r"|^----[ \t]*create above[ \t]*/[ \t]*drop below[ \t]*----",
    re.IGNORECASE | re.ASCII | re.MULTILINE,
)

# What a file that reverts another is often called, without the dot.
_REVERTS = re.compile(r".*[_-](?:down|undo|rollback|revert)", re.IGNORECASE | re.DOTALL)

_USED_TWICE = (
    "Keep the one that was applied, and give the others, which no database has applied, different"
    " numbers."
)


def _reverting(named: _Named) -> str:
    """Return how a file should be called that was probably meant to revert another."""
    name = re.sub(r"[_-][A-Za-z]+\Z", "", named.name)
    return f"If {named.file} reverts the other, name it {named.version}_{name}.down.sql."


def read_pairs(
    reader: Reader, translate: Callable[[SqlFile], SqlFile] = lambda file: file
) -> list[Migration]:
    """Return the migrations of a folder in the order of their numbers.

    Args:
        reader: The folder.
        translate: What a tool's own markers in a file become.
    """
    return _Pairs(reader, translate).migrations()


def is_own(reader: Reader) -> bool:
    """Return whether a folder has what only lfmigrate knows: directives, or its subfolders."""
    return not OWN_FOLDERS.isdisjoint(reader.others) or any(
        _DIRECTIVE.search(reader.text(name)) for name in reader.sql
    )


def own_names(reader: Reader) -> list[str]:
    """Return the files of a folder that lfmigrate reads as migrations of its own."""
    return [name for name in reader.sql if _MIGRATION.fullmatch(name)]


def excludes_sections(reader: Reader) -> bool:
    """Return whether a folder is none in which up and down are sections of one file.

    It has pairs of files, or views and repeatable files, which only lfmigrate runs.
    """
    if any((match := _MIGRATION.fullmatch(name)) and match["way"] for name in reader.sql):
        return True
    folders = {VIEWS, REPEATABLE}.intersection(reader.others)
    return any(
        each.name.lower().endswith(".sql")
        for folder in folders
        for each in entries(reader.folder / folder)
    )


def is_marked(reader: Reader, up: re.Pattern[str], down: re.Pattern[str]) -> bool:
    """Return whether files have the markers of a tool that needs one in each.

    A folder in which some have none, and none has a section that reverts, is lfmigrate's own.

    Args:
        reader: The folder.
        up: Matches the marker that each file needs.
        down: Matches the one that lfmigrate refuses.
    """
    if excludes_sections(reader):
        return False
    marks = {name: reader.marks(name) for name in reader.sql}
    marked = {name for name, found in marks.items() if any(map(up.fullmatch, found))}
    return bool(marked) and (
        marked.issuperset(own_names(reader))
        or any(down.fullmatch(mark) for found in marks.values() for mark in found)
    )


class _Named(NamedTuple):
    file: str
    version: str
    name: str
    way: str

    @property
    def number(self) -> int:
        return int(self.version)


class _Pairs:
    """Puts the files of a folder together."""

    def __init__(self, reader: Reader, translate: Callable[[SqlFile], SqlFile]) -> None:
        self.reader = reader
        self.translate = translate

    def migrations(self) -> list[Migration]:
        """Return the migrations of the folder in the order of their numbers."""
        ups: dict[int, list[_Named]] = {}
        downs: dict[int, list[_Named]] = {}
        for file in self.reader.sql:
            match = _MIGRATION.fullmatch(file)
            if match is None:
                if not is_folder(self.reader.folder / file):
                    self._skip(file)
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

    def _skip(self, file: str) -> None:
        """Note a file that is not read; `up` is refused if it was meant to be."""
        self.reader.notes.append(f"{file} is ignored: its name is not that of a migration")
        if almost := _ALMOST.fullmatch(file):
            self.reader.skipped(
                int(almost[1]),
                f"{file} would be skipped: its name is almost that of a migration",
                hint="Name it like 002_b.sql: a number, an underscore, a name.",
            )

    def _pair(self, number: int, ups: list[_Named], downs: list[_Named]) -> Migration | None:
        """Return the migration of one number, or None if its up file has a problem."""
        reverts = next((up for up in ups if _REVERTS.fullmatch(up.name)), None)
        twice = _USED_TWICE if reverts is None else _reverting(reverts)
        for same, hint in ((ups, twice), (downs, "Keep one of them.")):
            if len(same) > 1:
                names = ", ".join(named.file for named in same)
                self.reader.problem(
                    f"version {number} is used more than once: {names}",
                    hint=hint,
                )
        for down in downs:
            self._check_down(down, ups)
        up = self._read(ups[0].file, check_up) if ups else None
        down_file = self._read(downs[0].file, _check_down) if downs else None
        if up is None:
            return None
        if why := why_not_to_run(up):
            self.reader.unrunnable.append((number, why))
        return Migration(ups[0].version, ups[0].name, up, down_file)

    def _check_down(self, down: _Named, ups: list[_Named]) -> None:
        if any(up.way == "up" and up.name == down.name for up in ups):
            return
        stem = f"{down.version}_{down.name}"
        if not ups:
            self.reader.problem(
                f"{down.file} has no matching {stem}.up.sql",
                hint="Add the migration that it reverts, or remove it.",
            )
        else:
            self.reader.problem(
                f"{down.file} does not belong to {ups[0].file}",
                hint="A migration and its rollback differ only in .up.sql and .down.sql.",
            )

    def _read(self, name: str, check: Callable[[SqlFile], SqlFile]) -> SqlFile | None:
        return self.reader.read(name, lambda file: check(self.translate(file)))


def _check_down(file: SqlFile) -> SqlFile:
    _ = file.directives
    return file


def check_up(file: SqlFile) -> SqlFile:
    """Refuse an up file that cannot be run, or that would revert itself."""
    _ = file.directives
    if mark := _ROLLBACK_MARK.search(file.text):
        raise file.refusal(
            "the rollback in this file would run right after the migration",
            mark.start(),
            "Move what follows to a .down.sql file, and name this one .up.sql; or name the tool"
            " that runs these files with --format.",
        )
    refuse_isolation_level(file)
    file.refuse_outside()
    return file


def gaps(migrations: Sequence[Migration]) -> list[str]:
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
