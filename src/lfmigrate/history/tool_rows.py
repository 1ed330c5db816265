"""What the rows of other migration tools' tables say. Pure.

Any table of the right columns may be an application's own: a reader accepts what a version of its
tool writes, and rejects everything else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]

# What of a value is shown.
_MOST_CHARACTERS = 40

# Flyway's column has room for 50 characters.
_FLYWAY_VERSION = re.compile(r"(?=.{1,50}\Z)[0-9]+(?:\.[0-9]+)*")


class NotUnderstood(ValueError):  # noqa: N818 (no error yet: the caller decides)
    """Rows are not as the tool writes them; the text says why, such as ``version is null``."""


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


def said(tool: str, rows: Sequence[Row]) -> Said:
    """Return what the rows of a tool's table say.

    Args:
        tool: Its name; see queries/tool_tables.sql.
        rows: Parsed JSON, by the names of the columns.

    Raises:
        NotUnderstood: No version of the tool writes such rows.
    """
    return _READERS[tool](rows)


def _wrong(row: Row, column: str) -> NotUnderstood:
    shown = json.dumps(row.get(column), ensure_ascii=False, default=str)
    if len(shown) > _MOST_CHARACTERS:
        shown = f"{shown[:_MOST_CHARACTERS]}..."
    return NotUnderstood(f"{column} is {shown}")


def _text(row: Row, column: str) -> str:
    """Return a text that is neither null nor empty."""
    value = row.get(column)
    if not isinstance(value, str) or not value:
        raise _wrong(row, column)
    return value


def _checksum(row: Row, column: str) -> str:
    """Return a text; an empty one, as people write it, is that of no file."""
    value = row.get(column)
    if not isinstance(value, str):
        raise _wrong(row, column)
    return value


def _text_or_null(row: Row, column: str) -> str | None:
    return None if row.get(column) is None else _text(row, column)


def _whole(row: Row, column: str, least: int = 0) -> int:
    """Return a whole number."""
    value = row.get(column)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise _wrong(row, column)
    return value


def _whole_or_null(row: Row, column: str, least: int) -> int | None:
    return None if row.get(column) is None else _whole(row, column, least)


def _flag(row: Row, column: str) -> bool:
    value = row.get(column)
    if not isinstance(value, bool):
        raise _wrong(row, column)
    return value


def _object(value: object, column: str) -> Mapping[str, Any]:
    """Return an object of JSON; null is an empty one, as Go writes it."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong({column: value}, column)
    return value


def _only(rows: Sequence[Row]) -> Row | None:
    """Return the only row of a table that has at most one."""
    if len(rows) > 1:
        raise NotUnderstood(f"it has {len(rows)} rows")
    return rows[0] if rows else None


def _each(column: str, *, checksum: str | None = None) -> Callable[[Sequence[Row]], Said]:
    """Return what reads a table with a row for each migration, of which the name is a text."""

    def read(rows: Sequence[Row]) -> Said:
        return Said(
            {_text(row, column): _checksum(row, checksum) if checksum else None for row in rows}
        )

    return read


def _golang_migrate(rows: Sequence[Row]) -> Said:
    row = _only(rows)
    if row is None:
        return Said({})
    version = _whole(row, "version", -1)  # which is none
    return Said(
        {},
        None if version < 0 else str(version),
        (str(version),) if _flag(row, "dirty") else (),
    )


def _tern(rows: Sequence[Row]) -> Said:
    row = _only(rows)
    # It counts from 1, and writes 0 for none.
    version = 0 if row is None else _whole(row, "version")
    return Said({}, str(version) if version else None)


def _hasura(rows: Sequence[Row]) -> Said:
    """Return what hasura has recorded, in a table of its own or in the state of its program."""
    dirty: dict[str, bool] = {}
    for row in rows:
        if "cli_state" not in row:
            dirty[str(_whole(row, "version"))] = _flag(row, "dirty")
            continue
        state = _object(row["cli_state"], "cli_state")
        for each in _object(state.get("migrations"), "cli_state").values():
            versions = _object(each, "cli_state")
            dirty |= {key: _flag(versions, key) for key in versions}
    return Said(dict.fromkeys(dirty), failed=tuple(key for key in dirty if dirty[key]))


def _prisma(rows: Sequence[Row]) -> Said:
    applied: dict[str, str | None] = {}
    failed = []
    for row in rows:
        name, checksum = _text(row, "migration_name"), _checksum(row, "checksum")
        is_finished = _text_or_null(row, "finished_at") is not None
        if _text_or_null(row, "rolled_back_at") is not None:
            continue
        if is_finished:
            applied[name] = checksum
        else:
            failed.append(name)
    return Said(applied, failed=tuple(failed))


def _goose(rows: Sequence[Row]) -> Said:
    newest: dict[str, bool] = {}
    for row in sorted(rows, key=lambda row: _whole(row, "id")):
        newest[str(_whole(row, "version_id"))] = _flag(row, "is_applied")
    newest.pop("0", None)  # the table itself
    return Said(dict.fromkeys(key for key, is_applied in newest.items() if is_applied))


def _sqlx(rows: Sequence[Row]) -> Said:
    applied: dict[str, str | None] = {}
    failed = []
    for row in rows:
        key = str(_whole(row, "version"))
        applied[key] = _checksum(row, "checksum").removeprefix("\\x")
        if not _flag(row, "success"):
            failed.append(key)
    return Said(applied, failed=tuple(failed))


def _flyway(rows: Sequence[Row]) -> Said:
    """Return what the rows say in their order: a version may be undone, or deleted, later."""
    applied: dict[str, str | None] = {}
    failed: dict[str, None] = {}
    up_to = None
    for row in sorted(rows, key=lambda row: _whole(row, "installed_rank", -1)):
        kind, version = _text(row, "type"), _text_or_null(row, "version")
        if kind == "SCHEMA":  # which it has created; there is no script
            continue
        key = version or _text(row, "script")
        checksum = _whole_or_null(row, "checksum", -(1 << 31))
        failed.pop(key, None)
        if not _flag(row, "success"):
            failed[key] = None
        elif kind in {"UNDO_SQL", "DELETE"}:
            applied.pop(key, None)
        elif kind in {"BASELINE", "SQL_BASELINE"}:
            if not _FLYWAY_VERSION.fullmatch(key):
                raise _wrong(row, "version")
            up_to = key
        else:
            applied[key] = None if checksum is None else str(checksum)
    return Said(applied, up_to, tuple(failed))


def _drizzle(rows: Sequence[Row]) -> Said:
    hashes = {_whole(row, "created_at"): _checksum(row, "hash") for row in rows}
    # It looks at the newest row only.
    return Said(
        {str(created): text for created, text in hashes.items()},
        str(max(hashes)) if hashes else None,
    )


def _postgres_migrations(rows: Sequence[Row]) -> Said:
    hashes = {_whole(row, "id"): _checksum(row, "hash") for row in rows}
    # Its own table is the first of its migrations.
    return Said({str(number): text for number, text in hashes.items() if number})


def _mybatis(rows: Sequence[Row]) -> Said:
    return Said({str(_whole(row, "id")): None for row in rows})


def _django(rows: Sequence[Row]) -> Said:
    return Said({f"{_text(row, 'app')}.{_text(row, 'name')}": None for row in rows})


_READERS: Mapping[str, Callable[[Sequence[Row]], Said]] = {
    "diesel": _each("version"),
    "movine": _each("name"),
    "hasura": _hasura,
    "prisma": _prisma,
    "goose": _goose,
    "golang-migrate": _golang_migrate,
    "sqlx": _sqlx,
    "dbmate": _each("version"),
    "flyway": _flyway,
    "drizzle": _drizzle,
    "supabase": _each("version"),
    "sql-migrate": _each("id"),
    "node-pg-migrate": _each("name"),
    "graphile-migrate": _each("filename", checksum="hash"),
    "tern": _tern,
    "postgres-migrations": _postgres_migrations,
    "pop": _each("version"),
    "mybatis": _mybatis,
    "liquibase": _each("id"),
    "sqitch": _each("change"),
    "alembic": _each("version_num"),
    "django": _django,
    "yoyo": _each("migration_id"),
    "pyway": _each("name"),
}

TOOLS = tuple(_READERS)
