"""Which files of a folder other migration tools have applied, by their tables. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lfmigrate.catalog import ToolTable
from lfmigrate.history.events import History
from lfmigrate.history.tool_rows import NotUnderstood, Said, said
from lfmigrate.source.folder import Folder, Migration
from lfmigrate.source.formats import flyway
from lfmigrate.source.formats.detect import FORMATS
from lfmigrate.source.migration import PAIRS
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.source.version import number

# What is named one by one in a message.
_MOST_NAMES = 5

# Longer ones are in no file's name, and int() refuses very long ones.
_NUMBER = re.compile(r"(?=.{1,255}\Z)[0-9]+(?:\.[0-9]+)*")

# Their tables do not say of each file whether it is applied: Alembic keeps its newest revision, and
# Liquibase's ids are unique only together with an author and a file of its own.
NOT_BY_FILE = frozenset({"alembic", "liquibase"})


@dataclass(frozen=True, slots=True)
class Matched:
    """The files of a folder that a tool says it has applied.

    Attributes:
        migrations: In the order of their versions.
        edited: Those of which the tool has recorded another checksum.
        repeatables: The names of the repeatable files that have run as they are in the folder.
        unknown: What is applied and has no file in the folder, as the tool calls it.
        named: The migrations that the tool names, by what it calls them.
    """

    migrations: tuple[Migration, ...] = ()
    edited: tuple[Migration, ...] = ()
    repeatables: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()
    named: Mapping[str, Migration] = field(default_factory=dict)


NOTHING_MATCHED = Matched()

# What messages say of a table behind its name and the tool's.
CANNOT_BE_READ = "cannot be read"


def not_its_own(why: NotUnderstood) -> str:
    """Return what messages say of a table whose rows are not understood."""
    return f"is not as the tool writes it: {why}"


def matched(tool: str, found: Said, folder: Folder) -> Matched:
    """Return which files of a folder are those that a tool has applied.

    A folder need not be in the tool's format: its files may have been renamed, as long as their
    versions or names are the same. Checksums are those of the tool's own files.
    """
    format_of_tool = FORMATS.get(tool)
    own_key = format_of_tool.key if format_of_tool is not None else None
    if tool in NOT_BY_FILE or (own_key is not None and folder.format != tool):
        # What identifies its migrations is in no file's name.
        return Matched(unknown=found.keys)
    named = {name: m for m in folder.migrations for name in _names(m, own_key)}
    numbered = {number(own_key(m)) if own_key else m.number: m for m in folder.migrations}
    has_same_files = folder.format == tool or {folder.format, tool} <= PAIRS
    applied: dict[int, Migration] = {}
    keys: dict[str, Migration] = {}
    edited, unknown = [], []
    repeatables = set()
    for key, checksum in found.applied.items():
        migration = named.get(key)
        if migration is None and _NUMBER.fullmatch(key):
            migration = numbered.get(number(key))
        if migration is not None:
            applied[migration.number] = keys[key] = migration
            if has_same_files and _differs(tool, migration, checksum):
                edited.append(migration)
            continue
        repeatable = next((r for r in folder.repeatables if r.file.name == key), None)
        if repeatable is None:
            unknown.append(key)
        elif _has_run(tool, repeatable.file, checksum):
            repeatables.add(repeatable.name)
    if found.up_to is not None:
        last = number(found.up_to)
        applied |= {m.number: m for each, m in numbered.items() if each <= last}
        if last not in numbered and found.up_to not in unknown:
            unknown.append(found.up_to)
    return Matched(
        tuple(applied[each] for each in sorted(applied)),
        tuple(sorted(edited, key=lambda m: m.number)),
        frozenset(repeatables),
        tuple(unknown),
        keys,
    )


@dataclass(frozen=True, slots=True)
class OtherTool:
    """Another migration tool that has a table in the database.

    Attributes:
        tool: What it is called.
        table: The qualified name of its table.
        is_adopted: Whether the history has what it had applied.
        applied_since: What it has applied that the history does not have, as it calls it.
        failed: What has failed halfway.
        rolled_back: The versions that it still lists as applied, and lfmigrate has rolled back.
        problem: Why it is not known what it has applied, such as ``cannot be read``; None if it is.
    """

    tool: str
    table: str
    is_adopted: bool
    applied_since: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    rolled_back: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def note(self) -> str | None:
        """Return what is worth a warning; None if nothing is."""
        if self.problem is not None:
            return f"{self.table}, the table of {self.tool}, {self.problem}"
        if self.failed:
            return f"{self.tool} says in {self.table} that {self.failed[0]} has failed halfway"
        if self.applied_since and self.is_adopted:
            return (
                f"{self.tool} has applied more since it was adopted, by {self.table}:"
                f' {named(self.applied_since)}; "lfmigrate adopt" records it'
            )
        if self.applied_since:
            to = " --to VERSION" if self.tool in NOT_BY_FILE else ""
            return (
                f"{self.tool} has applied migrations here, by {self.table}:"
                f' {named(self.applied_since)}; "lfmigrate adopt{to}" records them'
            )
        if self.rolled_back:
            return (
                f"{self.table}, the table of {self.tool}, still lists what lfmigrate has rolled"
                f" back: {named(self.rolled_back)}; {self.tool} would not run it again"
            )
        return None


def other_tools(
    folder: Folder, history: History, tables: Sequence[ToolTable]
) -> tuple[OtherTool, ...]:
    """Return the tools that have a table, and what they have applied and the history does not have.

    With a history, only the tool that was adopted counts.
    """
    source = history.source
    found = []
    for table in tables:
        is_adopted = source is not None and source.tool == table.tool
        if history.events and not is_adopted:
            continue
        if table.rows is None:
            # The other tool's table is not needed any more once it was adopted.
            if not is_adopted:
                found.append(OtherTool(table.tool, table.label, is_adopted, problem=CANNOT_BE_READ))
            continue
        try:
            says = said(table.tool, table.rows)
        except NotUnderstood as why:
            found.append(OtherTool(table.tool, table.label, is_adopted, problem=not_its_own(why)))
            continue
        known = source.keys if source is not None and is_adopted else ()
        # Without the checksums, which would read every file again.
        files = matched(table.tool, replace(says, applied=dict.fromkeys(says.applied)), folder)
        recorded = {key for key, m in files.named.items() if m.number in history.applied}
        if all(m.number in history.applied for m in files.migrations):
            recorded |= {*says.keys} - {*files.unknown}
        undone = {key for key, m in files.named.items() if m.number in history.rolled_back}
        settled = {*known, *recorded, *undone}
        since = tuple(key for key in says.keys if key not in settled)
        listed = tuple(m.version for m in files.migrations if m.number in history.rolled_back)
        found.append(
            OtherTool(table.tool, table.label, is_adopted, since, says.failed, rolled_back=listed)
        )
    return tuple(found)


def named(keys: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = len(keys) - _MOST_NAMES
    return ", ".join(keys[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def is_understood(table: ToolTable) -> bool:
    """Return whether a table may be the tool's; one that cannot be read may be."""
    try:
        said(table.tool, table.rows or ())
    except NotUnderstood:
        return False
    return True


def _names(migration: Migration, own_key: Callable[[Migration], str] | None) -> set[str]:
    """Return everything that a tool may call a migration, apart from its number."""
    if own_key is not None:
        return {own_key(migration)}
    file = migration.up.name.rpartition("/")[2]
    return {
        migration.version,
        migration.version.replace("-", ""),  # diesel
        migration.label,
        f"{migration.label}.sql",
        f"{migration.version}.sql",  # graphile-migrate
        migration.up.name.removesuffix("/up.sql"),  # movine
        file,  # sql-migrate
        file.removesuffix(".sql"),  # node-pg-migrate
    }


def _differs(tool: str, migration: Migration, recorded: str | None) -> bool:
    """Return whether a file is not the one that a tool has applied."""
    known = FORMATS.get(tool)
    checksum = None if known is None else known.checksum
    return bool(recorded and checksum is not None and checksum(migration) != recorded)


def _has_run(tool: str, file: SqlFile, recorded: str | None) -> bool:
    """Return whether a repeatable file has run as it is, placeholders filled in or not."""
    if not _differs(tool, Migration("", "", file, None), recorded):
        return True
    return recorded == flyway.checksum_of(file.text)


# What to do about a migration that has failed halfway, by the tool that says so.
REPAIRS = {
    "golang-migrate": 'correct what it has left, and run "migrate force VERSION"',
    "hasura": "correct what it has left, and apply it with hasura again",
    "prisma": 'correct what it has left, and run "prisma migrate resolve"',
    "sqlx": "correct what it has left, and delete its row from the table",
    "flyway": 'correct what it has left, and run "flyway repair"',
}
