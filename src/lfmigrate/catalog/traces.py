"""Asks what an open transaction may have dropped or changed, which its own locks show."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lfmigrate.catalog.query import query_text
from lfmigrate.postgres.pipeline import Query
from lfmigrate.postgres.wire import Answer
from lfmigrate.schema.object import TableName
from lfmigrate.syntax.names import quote_name

# The SQLSTATE of the notices with what was measured.
_MEASURED = "LF005"

# How a table is measured: without a lock, by counting its rows, or with digests of their values.
Mode = Literal["look", "count", "digest"]


@dataclass(frozen=True, slots=True)
class WrittenTable(TableName):
    """A table that a transaction has locked, to write to it or against all others.

    Attributes:
        readable: Whether the role may read all of its rows.
        lockable: Whether the role may lock it against writers.
        changed: How many rows the session has changed or deleted, by the server's statistics; None
            if it keeps none.
        file: The file of its rows, which changes if they are emptied or rewritten.
    """

    readable: bool
    lockable: bool
    changed: int | None
    file: str | None = None


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
        gone: The relations in ``locked`` that do not exist any more.
        created: The tables, sequences and materialized views that it has created.
        large_objects: Whether it may have read or written large objects.
        roles: The ids of the roles that it has dropped.
        foreign_tables: The names of the foreign tables whose rows it may have changed.
    """

    locked: frozenset[str]
    written: frozenset[str]
    tables: Mapping[str, WrittenTable]
    gone: frozenset[str]
    created: frozenset[str]
    large_objects: bool
    roles: frozenset[str]
    foreign_tables: tuple[str, ...]

    @property
    def deleted_large_objects(self) -> frozenset[int]:
        """Return the numbers of the large objects that it has deleted, or given another owner."""
        ids = (item_id.partition(":") for item_id in self.locked)
        return frozenset(int(number) for kind, _, number in ids if kind == "pg_largeobject")


def traces(ledger: str) -> Query[Traces]:
    """Ask for the locks of the open transaction; see the query.

    Args:
        ledger: The qualified name of the history's table, which is left out.
    """

    def decode(value: Any) -> Traces:  # noqa: ANN401 (parsed JSON)
        return Traces(
            locked=frozenset(value["locked"]),
            written=frozenset(value["written"]),
            tables={table["id"]: WrittenTable(**table) for table in value["tables"]},
            gone=frozenset(value["gone"]),
            created=frozenset(value["created"]),
            large_objects=value["large_objects"],
            roles=frozenset(value["roles"]),
            foreign_tables=tuple(value["foreign_tables"]),
        )

    return Query(query_text("traces"), (ledger,), decode)


@dataclass(frozen=True, slots=True)
class TypeUser(TableName):
    """A table with values of certain types, and the numbers of the columns that have them."""

    columns: tuple[int, ...]


def earlier_changes() -> Query[Mapping[str, tuple[int, int]]]:
    """Ask what the statistics of this transaction have counted before it began.

    A session reports its counts to the server from time to time only; until then, those of earlier
    transactions are among them.

    Returns:
        By table, how many rows were updated, and how many updated or deleted.
    """
    return Query(
        "SELECT coalesce(jsonb_object_agg('pg_class:' || s.relid, jsonb_build_array(s.n_tup_upd,"
        " s.n_tup_upd + s.n_tup_del)), '{}') FROM pg_stat_xact_user_tables AS s"
        " WHERE s.n_tup_upd + s.n_tup_del > 0",
        (),
        lambda value: {item_id: (counts[0], counts[1]) for item_id, counts in value.items()},
    )


def type_users(relations: Iterable[str] | None) -> Query[tuple[TypeUser, ...]]:
    """Ask which tables have columns with values of the row types of relations.

    Args:
        relations: Their ids; None for those of which the open transaction has dropped a column.
    """

    def decode(value: Any) -> tuple[TypeUser, ...]:  # noqa: ANN401 (parsed JSON)
        return tuple(TypeUser(**{**t, "columns": tuple(t["columns"])}) for t in value)

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
    """A column that is not generated.

    Attributes:
        name: Its name.
        type: As SQL has it.
        filled: How many of its values are not null; None if they were not counted.
        old: Of those, the ones in rows that other transactions have written.
        digest: A digest of its values, if asked for.
    """

    name: str
    type: str
    filled: int | None
    old: int | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class Measured(TableName):
    """A table when it was measured.

    Attributes:
        mode: How it was measured.
        named: Whether by its name, or by that of its parent table.
        file: The file of its rows.
        root: The partitioned table that it belongs to; None if to none.
        created: Whether the open transaction has created it.
        generated: The numbers of its generated columns.
        parts: The ids of its indexes, sequences and TOAST table.
        updated: How many rows the session has updated, by the server's statistics; None if it keeps
            none.
        changed: How many it has updated or deleted; likewise.
        rows: Their number; None if they were not counted, or the role may not read them.
        old: The number of those that other transactions have written.
        whole: A digest of the rows in any order, if it was asked for.
        columns: The others by number.
    """

    mode: Mode
    named: bool
    file: str
    root: TableName | None
    created: bool
    generated: frozenset[int]
    parts: tuple[str, ...]
    updated: int | None
    changed: int | None
    rows: int | None
    old: int | None
    whole: str | None
    columns: Mapping[int, MeasuredColumn]


def measure(
    *,
    names: Iterable[str] = (),
    mode: Mode = "look",
    columns: Iterable[str] = (),
    ids: Iterable[str] = (),
    ids_mode: Mode = "look",
    again: bool = False,
) -> tuple[dict[str, str], str]:
    """Return the settings and the statement that measure tables; see the query.

    Args:
        names: As SQL has them; they resolve as the next statement would resolve them.
        mode: How they are measured.
        columns: Those of them of which a digest is made.
        ids: As in `catalog.inventory`.
        ids_mode: How these are measured.
        again: Whether to measure those again that were measured last, with the types of then.
    """
    document = {
        "names": list(names),
        "mode": mode,
        "columns": list(columns),
        "ids": [item_id.partition(":")[2] for item_id in sorted(ids)],
        "ids_mode": ids_mode,
        "again": again,
    }
    return {"lfmigrate.measure": json.dumps(document)}, query_text("measure")


def measured(answer: Answer[None]) -> Mapping[str, Measured]:
    """Return what a statement of `measure` found, by id."""
    found = {}
    for notice in answer.notices:
        if notice.sqlstate == _MEASURED:
            value = json.loads(notice.message)
            columns = {int(n): MeasuredColumn(*each) for n, each in value.pop("columns").items()}
            parts = tuple(value.pop("parts"))
            root = value.pop("root")
            generated = frozenset(value.pop("generated"))
            found[value["id"]] = Measured(
                **value,
                root=None if root is None else TableName(**root),
                generated=generated,
                parts=parts,
                columns=columns,
            )
    return found
