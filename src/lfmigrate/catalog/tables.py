"""Asks for what copying rows requires: columns, constraints, triggers, staging tables, counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lfmigrate.catalog.query import query_text
from lfmigrate.postgres.pipeline import Query


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, its type as the server writes it, and whether it is generated."""

    name: str
    type: str
    generated: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence, and the column that owns it; None for a standalone sequence."""

    schema: str
    name: str
    column: str | None = None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key to the table with the id ``references``."""

    name: str
    references: str
    deferrable: bool
    deferred: bool


@dataclass(frozen=True, slots=True)
class Trigger:
    """An enabled user-defined trigger; ``enabled`` is the letter in pg_trigger."""

    name: str
    enabled: str


@dataclass(frozen=True, slots=True)
class Table:
    """What saving and restoring a table's rows requires."""

    id: str
    schema: str
    name: str
    partitioned: bool
    columns: tuple[Column, ...]
    sequences: tuple[Sequence, ...]
    foreign_keys: tuple[ForeignKey, ...]
    triggers: tuple[Trigger, ...]


def changed_rows() -> Query[Mapping[str, int]]:
    """Ask how many rows of each table, by id, the session has changed; see the query."""
    return Query(query_text("changed_rows"), (), dict)


def tables(names: Iterable[tuple[str, str]]) -> Query[tuple[Table, ...]]:
    """Ask what saving and restoring some tables, given by schema and name, requires."""
    document = [{"schema": schema, "name": name} for schema, name in names]

    def decode(value: Any) -> tuple[Table, ...]:  # noqa: ANN401 (parsed JSON)
        return tuple(
            Table(
                id=found["id"],
                schema=found["schema"],
                name=found["name"],
                partitioned=found["partitioned"],
                columns=tuple(Column(**column) for column in found["columns"]),
                sequences=tuple(Sequence(**sequence) for sequence in found["sequences"]),
                foreign_keys=tuple(ForeignKey(**key) for key in found["foreign_keys"]),
                triggers=tuple(Trigger(**trigger) for trigger in found["triggers"]),
            )
            for found in value
        )

    return Query(query_text("tables"), (json.dumps(document),), decode)


@dataclass(frozen=True, slots=True)
class StagingTable:
    """A temporary table that rows are copied into, and their target table.

    Attributes:
        id: The temporary table's oid, as text.
        name: The temporary table's name.
        columns: The names of its columns.
        required: The columns that must have a value.
        target: The schema and name of the table that it is named after; None if there is none.
    """

    id: str
    name: str
    columns: tuple[str, ...]
    required: frozenset[str]
    target: tuple[str, str] | None


def staging(prefix: str) -> Query[tuple[StagingTable, ...]]:
    """Ask for the temporary tables that this transaction has created.

    Args:
        prefix: The prefix of their names.
    """

    def decode(value: Any) -> tuple[StagingTable, ...]:  # noqa: ANN401 (parsed JSON)
        return tuple(
            StagingTable(
                id=found["id"],
                name=found["name"],
                columns=tuple(column["name"] for column in found["columns"]),
                required=frozenset(c["name"] for c in found["columns"] if c["required"]),
                target=None if found["target"] is None else (found["schema"], found["target"]),
            )
            for found in value
        )

    return Query(query_text("staging"), (prefix,), decode)


@dataclass(frozen=True, slots=True)
class Written:
    """The number of rows of a table that a session has inserted, and updated or deleted."""

    inserted: int
    changed: int


def written_rows() -> Query[Mapping[tuple[str, str], Written] | None]:
    """Ask how many rows of each table the session has written; see the query.

    Returns:
        The numbers by schema and name; None if track_counts is off.
    """

    def decode(value: Any) -> Mapping[tuple[str, str], Written] | None:  # noqa: ANN401 (parsed JSON)
        if value is None:
            return None
        return {
            (found["schema"], found["name"]): Written(found["inserted"], found["changed"])
            for found in value
        }

    return Query(query_text("written_rows"), (), decode)


@dataclass(frozen=True, slots=True)
class CheckConstraint:
    """What a check constraint requires.

    Attributes:
        words: The comment on it or, without one, its expression as shown to people.
        expression: Its expression, with unqualified column names.
        columns: The names of those columns.
    """

    words: str
    expression: str
    columns: frozenset[str]


def check_constraint(schema: str, table: str, name: str) -> Query[CheckConstraint | None]:
    """Ask what a check constraint requires; the answer is None if it does not exist."""

    def decode(value: Any) -> CheckConstraint | None:  # noqa: ANN401 (parsed JSON)
        if value is None:
            return None
        return CheckConstraint(**{**value, "columns": frozenset(value["columns"])})

    return Query(query_text("check_constraint"), (schema, table, name), decode)
