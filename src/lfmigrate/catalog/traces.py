"""Asks what an open transaction may have dropped or changed, which its own locks tell."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lfmigrate.catalog.query import query_text
from lfmigrate.postgres.pipeline import Query
from lfmigrate.postgres.wire import Answer
from lfmigrate.schema.object import TableName
from lfmigrate.syntax.names import quote_name

# The SQLSTATE of the notices with what was measured.
_MEASURED = "LF005"


@dataclass(frozen=True, slots=True)
class WrittenTable(TableName):
    """A table that a transaction has locked, to write to it or against all others.

    Attributes:
        readable: Whether the role may read all of its rows.
        lockable: Whether the role may lock it against writers.
        changed: How many rows the session has changed or deleted, by the server's statistics; None
            if it keeps none.
        file: The file of its rows, which changes if they are emptied or rewritten.
        created: Whether the transaction has created it.
    """

    readable: bool
    lockable: bool
    changed: int | None
    file: str | None = None
    created: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a table, and how many of those were there before the transaction."""

    all: int
    old: int


@dataclass(frozen=True, slots=True)
class Traces:
    """What a transaction has locked, as ids.

    Attributes:
        locked: What it holds against all others, whether it still exists or not, and the columns
            that it has dropped there.
        written: The tables whose rows it may have changed.
        tables: The tables in either, as far as they exist, by id.
    """

    locked: frozenset[str]
    written: frozenset[str]
    tables: Mapping[str, WrittenTable]


def traces() -> Query[Traces]:
    """Ask for the locks of the open transaction; see the query."""

    def decode(value: Any) -> Traces:  # noqa: ANN401 (parsed JSON)
        return Traces(
            locked=frozenset(value["locked"]),
            written=frozenset(value["written"]),
            tables={table["id"]: WrittenTable(**table) for table in value["tables"]},
        )

    return Query(query_text("traces"), (), decode)


def type_users(relations: Iterable[str] | None) -> Query[tuple[TableName, ...]]:
    """Ask which tables have columns with values of the row types of relations.

    Args:
        relations: Their ids; None for those of which the open transaction has dropped a column.
    """

    def decode(value: Any) -> tuple[TableName, ...]:  # noqa: ANN401 (parsed JSON)
        return tuple(TableName(**table) for table in value)

    asked = None if relations is None else json.dumps(sorted(relations))
    return Query(query_text("type_users"), (asked,), decode)


def existing(ids: Iterable[str]) -> Query[tuple[str, ...]]:
    """Ask which of some objects exist, and what they are called."""
    return Query(query_text("existing"), (json.dumps(sorted(ids)),), tuple)


def rows_left(table: WrittenTable) -> Query[Rows]:
    """Ask how many rows a table has, and how many of them another transaction has written.

    A row that the open transaction has written has an id that is still in progress, or is too new
    for the snapshot to know. Only rows as recent as the transaction are looked up.
    """
    name = f"{quote_name(table.schema)}.{quote_name(table.name)}"
    return Query(
        f"""
        SELECT jsonb_build_array(count(*), count(*) FILTER (WHERE CASE
            WHEN r.later >= s.span + 1000000 THEN true
            WHEN r.later < s.span
                THEN pg_xact_status((s.base + r.later)::text::xid8) IS DISTINCT FROM 'in progress'
            ELSE false END))
        FROM (
            SELECT x.base, pg_snapshot_xmax(pg_current_snapshot())::text::bigint - x.base AS span
            FROM (SELECT pg_current_xact_id()::text::bigint AS base) AS x
        ) AS s,
        ONLY {name} AS t
        CROSS JOIN LATERAL (
            SELECT (t.xmin::text::bigint - s.base) & 4294967295 AS later
        ) AS r""",
        (),
        lambda value: Rows(value[0], value[1]),
    )


@dataclass(frozen=True, slots=True)
class MeasuredColumn:
    """A column, how many of its values are not null, and a digest of them, if asked for."""

    name: str
    type: str
    filled: int
    digest: str | None


@dataclass(frozen=True, slots=True)
class Measured(TableName):
    """A table when it was measured.

    Attributes:
        file: The file of its rows.
        rows: Their number.
        columns: Its columns by number.
    """

    file: str
    rows: int
    columns: Mapping[int, MeasuredColumn]


def measure(
    *,
    names: Iterable[str] = (),
    ids: Iterable[str] = (),
    digest: bool,
    again: bool = False,
    earlier: Mapping[str, Measured] | None = None,
) -> tuple[dict[str, str], str]:
    """Return the settings and the statement that lock and measure tables; see the query.

    Args:
        names: As SQL has them; they resolve as the next statement would resolve them.
        ids: As in `catalog.inventory`.
        digest: Whether to digest the values of each column.
        again: Whether to measure those again that were measured last, with the types of then.
        earlier: What was measured then, if that was not the last time.
    """
    document = {
        "names": list(names),
        "ids": [item_id.partition(":")[2] for item_id in sorted(ids)],
        "digest": digest,
        "again": again,
    }
    settings = {"lfmigrate.measure": json.dumps(document)}
    if earlier is not None:
        settings["lfmigrate.measured"] = json.dumps(
            {
                item_id: {"columns": {n: (c.name, c.type) for n, c in table.columns.items()}}
                for item_id, table in earlier.items()
            }
        )
    return settings, query_text("measure")


def measured(answer: Answer[None]) -> Mapping[str, Measured]:
    """Return what a statement of `measure` found, by id."""
    found = {}
    for notice in answer.notices:
        if notice.sqlstate == _MEASURED:
            value = json.loads(notice.message)
            columns = {int(n): MeasuredColumn(*each) for n, each in value.pop("columns").items()}
            found[value["id"]] = Measured(**value, columns=columns)
    return found
