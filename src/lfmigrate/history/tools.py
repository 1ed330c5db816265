"""What other migration tools say they have applied, and which files of a folder that is. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lfmigrate.catalog import ToolTable
from lfmigrate.history.events import History
from lfmigrate.source.folder import Folder, Migration
from lfmigrate.source.formats import flyway
from lfmigrate.source.formats.detect import FORMATS
from lfmigrate.source.migration import PAIRS
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.source.version import number

Row = Mapping[str, Any]

# What is named one by one in a message.
_MOST_NAMES = 5

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)*")


@dataclass(frozen=True, slots=True)
class Said:
    """What the table of a tool says.

    Attributes:
        applied: What is applied, as the tool calls it, each with the checksum that the tool has
            recorded; None if it has none.
        up_to: The version up to which everything is applied; None if each is recorded by itself.
        failed: What has failed halfway, as the tool calls it.
    """

    applied: Mapping[str, str | None]
    up_to: str | None = None
    failed: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """Return everything that it names as applied."""
        return tuple(dict.fromkeys([*self.applied, *([self.up_to] if self.up_to else [])]))

    def and_also(self, other: Said) -> Said:
        """Return what two tables of a tool say together."""
        return Said(
            {**self.applied, **other.applied},
            other.up_to or self.up_to,
            self.failed + other.failed,
        )


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


def said(tool: str, rows: Sequence[Row]) -> Said:
    """Return what the rows of a tool's table say; see queries/tool_tables.sql."""
    return _READERS[tool](rows)


def matched(tool: str, found: Said, folder: Folder) -> Matched:
    """Return which files of a folder are those that a tool has applied.

    A folder need not be in the tool's format: its files may have been renamed, as long as their
    versions or names are the same. Checksums are those of the tool's own files.
    """
    format_of_tool = FORMATS.get(tool)
    own_key = format_of_tool.key if format_of_tool is not None else None
    if own_key is not None and folder.format != tool:
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
    """

    tool: str
    table: str
    is_adopted: bool
    applied_since: tuple[str, ...]
    failed: tuple[str, ...] = ()

    @property
    def note(self) -> str | None:
        """Return what is worth a warning; None if nothing is."""
        if self.failed:
            return f"{self.tool} says in {self.table} that {self.failed[0]} has failed halfway"
        count = len(self.applied_since)
        if not count:
            return None
        first = ", ".join(self.applied_since[:_MOST_NAMES])
        more = f" and {count - _MOST_NAMES} more" if count > _MOST_NAMES else ""
        if self.is_adopted:
            return (
                f"{self.tool} has applied more since it was adopted, by {self.table}:"
                f' {first}{more}; "lfmigrate adopt" records it'
            )
        return (
            f"{self.tool} has applied migrations here, by {self.table}: {first}{more};"
            ' "lfmigrate adopt" records them'
        )


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
        if table.rows is None or (history.events and not is_adopted):
            continue
        says = said(table.tool, table.rows)
        known = source.keys if source is not None and is_adopted else ()
        # Without the checksums, which would read every file again.
        files = matched(table.tool, replace(says, applied=dict.fromkeys(says.applied)), folder)
        recorded = {key for key, m in files.named.items() if m.number in history.applied}
        if all(m.number in history.applied for m in files.migrations):
            recorded |= {*says.keys} - {*files.unknown}
        since = [key for key in says.keys if key not in known and key not in recorded]
        found.append(OtherTool(table.tool, table.label, is_adopted, tuple(since), says.failed))
    return tuple(found)


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


def _each(key: str, *, checksum: str | None = None) -> Callable[[Sequence[Row]], Said]:
    """Return what reads a table with a row for each migration."""

    def read(rows: Sequence[Row]) -> Said:
        return Said({str(row[key]): checksum and row[checksum] for row in rows})

    return read


def _current(rows: Sequence[Row]) -> Said:
    """Return what a table with one row, the current version, says."""
    # tern counts from 0, and golang-migrate has -1 for none.
    versions = [row["version"] for row in rows if row["version"] > 0]
    failed = tuple(str(row["version"]) for row in rows if row.get("dirty"))
    return Said({}, str(max(versions)) if versions else None, failed)


def _hasura(rows: Sequence[Row]) -> Said:
    """Return what hasura has recorded, in a table of its own or in the state of its program."""
    dirty: dict[str, bool] = {}
    for row in rows:
        if "cli_state" in row:
            for each in (row["cli_state"] or {}).get("migrations", {}).values():
                dirty |= each
        else:
            dirty[str(row["version"])] = row["dirty"]
    return Said(dict.fromkeys(dirty), failed=tuple(key for key in dirty if dirty[key]))


def _prisma(rows: Sequence[Row]) -> Said:
    left = [row for row in rows if row["rolled_back_at"] is None]
    return Said(
        {row["migration_name"]: row["checksum"] for row in left if row["finished_at"] is not None},
        failed=tuple(row["migration_name"] for row in left if row["finished_at"] is None),
    )


def _goose(rows: Sequence[Row]) -> Said:
    newest = {str(row["version_id"]): row for row in sorted(rows, key=lambda row: row["id"])}
    newest.pop("0", None)  # the table itself
    return Said(dict.fromkeys(key for key, row in newest.items() if row["is_applied"]))


def _sqlx(rows: Sequence[Row]) -> Said:
    return Said(
        {str(row["version"]): row["checksum"].removeprefix("\\x") for row in rows},
        failed=tuple(str(row["version"]) for row in rows if not row["success"]),
    )


def _flyway(rows: Sequence[Row]) -> Said:
    """Return what the rows say in their order: a version may be undone, or deleted, later."""
    applied: dict[str, str | None] = {}
    failed: dict[str, None] = {}
    up_to = None
    for row in sorted(rows, key=lambda row: row["installed_rank"]):
        key = row["version"] or row["script"]
        failed.pop(key, None)
        if not row["success"]:
            failed[key] = None
        elif row["type"] in {"UNDO_SQL", "DELETE"}:
            applied.pop(key, None)
        elif row["type"] in {"BASELINE", "SQL_BASELINE"}:
            up_to = key
        elif row["type"] != "SCHEMA":  # which it has created
            applied[key] = None if row["checksum"] is None else str(row["checksum"])
    return Said(applied, up_to, tuple(failed))


def _drizzle(rows: Sequence[Row]) -> Said:
    # It looks at the newest row only.
    newest = max((row["created_at"] for row in rows), default=None)
    return Said(
        {str(row["created_at"]): row["hash"] for row in rows},
        None if newest is None else str(newest),
    )


def _postgres_migrations(rows: Sequence[Row]) -> Said:
    # Its own table is the first of its migrations.
    return Said({str(row["id"]): row["hash"] for row in rows if row["id"] > 0})


def _django(rows: Sequence[Row]) -> Said:
    return Said(dict.fromkeys(f"{row['app']}.{row['name']}" for row in rows))


_READERS: Mapping[str, Callable[[Sequence[Row]], Said]] = {
    "diesel": _each("version"),
    "movine": _each("name"),
    "hasura": _hasura,
    "prisma": _prisma,
    "goose": _goose,
    "golang-migrate": _current,
    "sqlx": _sqlx,
    "dbmate": _each("version"),
    "flyway": _flyway,
    "drizzle": _drizzle,
    "supabase": _each("version"),
    "sql-migrate": _each("id"),
    "node-pg-migrate": _each("name"),
    "graphile-migrate": _each("filename", checksum="hash"),
    "tern": _current,
    "postgres-migrations": _postgres_migrations,
    "pop": _each("version"),
    "mybatis": _each("id"),
    "liquibase": _each("id"),
    "sqitch": _each("change"),
    "alembic": _each("version_num"),
    "django": _django,
    "yoyo": _each("migration_id"),
    "pyway": _each("name"),
}

TOOLS = tuple(_READERS)

# What to do about a migration that has failed halfway, by the tool that says so.
REPAIRS = {
    "golang-migrate": 'correct what it has left, and run "migrate force VERSION"',
    "hasura": "correct what it has left, and apply it with hasura again",
    "prisma": 'correct what it has left, and run "prisma migrate resolve"',
    "sqlx": "correct what it has left, and delete its row from the table",
    "flyway": 'correct what it has left, and run "flyway repair"',
}
