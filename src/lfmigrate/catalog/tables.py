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
    """A column of a table.

    Attributes:
        name: Its name, unquoted.
        number: Its attnum.
        type: Its type as the server writes it.
        generated: Whether the server computes it.
        always: Whether it is an identity column that is GENERATED ALWAYS.
        default: The expression of its default, or what it is computed from; or None.
        definition: What the types of users are that its type uses; empty if there are none.
    """

    name: str
    number: int
    type: str
    generated: bool
    always: bool
    default: str | None
    definition: str


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence, and the column that owns it; None for a standalone sequence."""

    schema: str
    name: str
    column: str | None = None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key to the table with the id ``references``, or to a partition of that."""

    name: str
    references: str
    deferrable: bool


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger of a user, or a rule, that is enabled; ``enabled`` is the letter in pg_trigger."""

    name: str
    enabled: str


@dataclass(frozen=True, slots=True)
class Member:
    """A table that rows go to, and what checks or changes them there; keys are validated ones."""

    schema: str
    name: str
    foreign_keys: tuple[ForeignKey, ...]
    triggers: tuple[Trigger, ...]
    rules: tuple[Trigger, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """What saving and restoring a table's rows requires.

    Attributes:
        id: Its oid, as text after ``pg_class:``.
        schema: Its schema, unquoted.
        name: Its name, unquoted.
        partitioned: Whether its rows are in partitions.
        forced: Whether row-level security applies to the role although it owns the table.
        columns: Its columns, in order.
        primary_key: The names of the columns of its primary key, in order.
        sequences: The sequences that its columns own.
        members: The table itself, and its partitions.
    """

    id: str
    schema: str
    name: str
    partitioned: bool
    forced: bool
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    sequences: tuple[Sequence, ...]
    members: tuple[Member, ...]

    @property
    def references(self) -> frozenset[str]:
        """Return the ids of the tables that its foreign keys reference."""
        return frozenset(key.references for m in self.members for key in m.foreign_keys)


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
                forced=found["forced"],
                columns=tuple(Column(**column) for column in found["columns"]),
                primary_key=tuple(found["primary_key"]),
                sequences=tuple(Sequence(**sequence) for sequence in found["sequences"]),
                members=tuple(map(_member, found["members"])),
            )
            for found in value
        )

    return Query(query_text("tables"), (json.dumps(document),), decode)


def referring(ids: Iterable[str]) -> Query[frozenset[str]]:
    """Ask which tables have to be truncated together with some, given by their ids; they count."""
    return Query(query_text("referring"), (json.dumps(sorted(ids)),), frozenset)


def _member(found: Any) -> Member:  # noqa: ANN401 (parsed JSON)
    return Member(
        schema=found["schema"],
        name=found["name"],
        foreign_keys=tuple(ForeignKey(**key) for key in found["foreign_keys"]),
        triggers=tuple(Trigger(**trigger) for trigger in found["triggers"]),
        rules=tuple(Trigger(**rule) for rule in found["rules"]),
    )


@dataclass(frozen=True, slots=True)
class NotValid:
    """A constraint that need not hold for all rows, or is inherited from one.

    Attributes:
        target: What it is on, such as ``TABLE public.a``, quoted where needed.
        name: Its name, unquoted.
        definition: As ALTER takes it after ``ADD CONSTRAINT name``.
        comment: The comment on it, or None.
        drop: Whether it has to be dropped by itself, and not with that of the parent.
        validate: Whether it was validated, although that of the parent was not.
    """

    target: str
    name: str
    definition: str
    comment: str | None
    drop: bool
    validate: bool


def not_valid(found: Iterable[Table]) -> Query[tuple[NotValid, ...]]:
    """Ask which constraints of some tables need not hold for all rows; parents come first."""
    ids = [table.id.removeprefix("pg_class:") for table in found]

    def decode(value: Any) -> tuple[NotValid, ...]:  # noqa: ANN401 (parsed JSON)
        return tuple(NotValid(**constraint) for constraint in value)

    return Query(query_text("not_valid"), (json.dumps(ids),), decode)


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
    """How many rows of a table a session has inserted, updated and deleted.

    A row that it has updated and then deleted counts in both.
    """

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


def occupied(history_schema: str) -> Query[bool]:
    """Ask whether there is anything of users in the database, apart from the history's schema."""
    return Query(query_text("occupied"), (history_schema,), bool)


def written_rows() -> Query[Mapping[tuple[str, str], Written] | None]:
    """Ask how many rows of each table the session has written; see the query.

    Returns:
        The numbers by schema and name; None if track_counts is off.
    """

    def decode(value: Any) -> Mapping[tuple[str, str], Written] | None:  # noqa: ANN401 (parsed JSON)
        if value is None:
            return None
        return {(found.pop("schema"), found.pop("name")): Written(**found) for found in value}

    return Query(query_text("written_rows"), (), decode)


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """What a unique index requires.

    Attributes:
        keys: Its columns and expressions, as SQL that the catalogs have.
        predicate: The condition of a partial index, as SQL; None for all rows.
        nulls_are_equal: Whether a NULL equals another one.
    """

    keys: tuple[str, ...]
    predicate: str | None
    nulls_are_equal: bool


def unique_key(table: str) -> Query[UniqueKey | None]:
    """Ask what the newest unique index on a table, given by its oid, requires.

    The answer is None if there is none.
    """

    def decode(value: Any) -> UniqueKey | None:  # noqa: ANN401 (parsed JSON)
        if value is None:
            return None
        return UniqueKey(**{**value, "keys": tuple(value["keys"])})

    return Query(query_text("unique_key"), (table,), decode)


@dataclass(frozen=True, slots=True)
class ChangedValues:
    """The values of a column that another type would change.

    Attributes:
        rows: How many there are.
        expression: What converts a value, given as text; None if nothing does.
    """

    rows: int
    expression: str | None


def changed_values() -> Query[ChangedValues]:
    """Ask how many values of a column another type would change.

    The settings ``lfmigrate.table``, ``lfmigrate.column``, ``lfmigrate.old`` and ``lfmigrate.new``
    say which; see the query.
    """
    return Query(
        "SELECT current_setting('lfmigrate.changed')::jsonb",
        (),
        lambda value: ChangedValues(**value),
        first=((query_text("changed_values"), ()),),
    )


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
