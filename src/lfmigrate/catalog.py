"""Questions to the server's catalogs. They only read; the SQL of each stands in `queries/`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lfmigrate.database import Query, quote_name
from lfmigrate.snapshot import Key, Relation


@dataclass(frozen=True, slots=True)
class Server:
    """Where a connection leads.

    Attributes:
        version: As PostgreSQL counts it: 180004 is 18.4.
        database: The database's name.
        role: The current role.
        schema: The schema that unqualified names are created in; None if there is none.
        search_path: As it is set for the connection.
        standby: Whether the server is a standby, which nobody can write to.
        read_only: Whether transactions of this role are read-only by default.
    """

    version: int
    database: str
    role: str
    schema: str | None
    search_path: str
    standby: bool
    read_only: bool

    @property
    def major(self) -> int:
        """Return the major version, such as 18."""
        return self.version // 10000


@dataclass(frozen=True, slots=True)
class Found:
    """A relation as the catalogs have it, and what the asking transaction did to it.

    Attributes:
        id: The catalog and oid of it, which stay the same while it lives.
        relation: What it is.
        created: Whether this transaction made it; not known for routines, schemas, extensions.
        cids: The commands of this transaction that made or changed it, ascending; none if empty.
        written: The parts that this transaction wrote, by name, with the last command that did.
    """

    id: str
    relation: Relation
    created: bool
    cids: tuple[int, ...]
    written: Mapping[str, int]


Fingerprints = Mapping[str, str]


@cache
def query_text(name: str) -> str:
    """Return the text of ``queries/<name>.sql``."""
    return files("lfmigrate").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


def server() -> Query[Server]:
    """Ask which server, database and schema a connection leads to. Only reads."""
    return Query(query_text("server"), (), lambda value: Server(**value))


def snapshot(
    wanted: Iterable[Key], *, ledger: str, ids: Iterable[str] = ()
) -> Query[tuple[Found, ...]]:
    """Ask what some relations are, and what else this transaction has written. Only reads.

    The definitions depend on ``search_path``: set it to the schema of interest first.

    Args:
        wanted: The relations to describe; those that do not exist are left out.
        ledger: The qualified and quoted name of lfmigrate's own table, which is left out.
        ids: What `Found.id` was when it was last seen: described too, whatever it is called now.

    Returns:
        What was found: first what this transaction did not write, then the rest in the order in
        which it was written.

    Source:
        PostgreSQL documentation, "System Columns" (xmin, cmin) and "pg_xact_status".
    """
    names = [
        {
            "space": key.space,
            "schema": key.schema,
            "name": key.name,
            "base": base,
        }
        for key in wanted
        for base in _bases(key.name)
    ]

    def decode(value: Any) -> tuple[Found, ...]:  # noqa: ANN401 (parsed JSON)
        return tuple(
            Found(
                id=found["id"],
                relation=Relation.from_json(found),
                created=found["created"],
                cids=tuple(found["cids"]),
                written={part: cid for part, _, cid in found["parts"] if cid is not None},
            )
            for found in value
        )

    return Query(query_text("snapshot"), (json.dumps(names), ledger, json.dumps(list(ids))), decode)


def fingerprints() -> Query[Fingerprints]:
    """Ask for a short text per view and routine that changes when its definition does. Only reads.

    Returns:
        The fingerprints by `Found.id`; schemas and extensions are in it too.
    """
    return Query(query_text("fingerprints"), (), dict)


def _bases(name: str) -> list[str]:
    """Return what a routine's name may be without its arguments.

    There may be a parenthesis in the name and in those of the arguments and their types.
    """
    return [name[:place] for place, char in enumerate(name) if char == "("] or [name]


def blockers(lock_key: int, process: int) -> Query[list[str]]:
    """Ask whom a session waits for. Only reads; to be asked from another one.

    Args:
        lock_key: Of an advisory lock that the session holds.
        process: The session's process, as far as the client knows it.

    Returns:
        A line per session: process, role, application, since when, and what it does.
    """
    return Query(query_text("blockers"), (str(lock_key), str(process)), list)


@dataclass(frozen=True, slots=True)
class Item:
    """Anything in the catalogs that can be dropped: a relation, or a part of one.

    Attributes:
        id: As `inventory` gives it.
        kind: In the server's words, such as ``view``, ``table constraint`` or ``policy``.
        name: The server's own, qualified and quoted.
        schema: Of a relation, unquoted; None for what lives in none.
        relname: The relation's name, unquoted; None for what is no relation.
        relkind: pg_class's letter; None for what is no relation.
        owners: The ids of what it goes with.
        relation: The id of the relation that it is a part of.
        part: What `Relation.parts` calls it; None where that has no name for it.
        definition: A statement that makes it again; None where there is none.
    """

    id: str
    kind: str
    name: str
    schema: str | None
    relname: str | None
    relkind: str | None
    owners: tuple[str, ...]
    relation: str | None
    part: str | None
    definition: str | None


@dataclass(frozen=True, slots=True)
class Index:
    """An index, whether it may be used, and whether somebody is building it; ``id`` is its oid."""

    id: str
    schema: str
    name: str
    valid: bool
    in_progress: bool

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def removal(self) -> str:
        """Return the statement that drops it while others read and write."""
        return f"DROP INDEX CONCURRENTLY {quote_name(self.schema)}.{quote_name(self.name)}"


def indexes(names: Iterable[str]) -> Query[tuple[Index, ...]]:
    """Ask for the indexes of some names, and for those on tables of such names. Only reads."""

    def decode(value: Any) -> tuple[Index, ...]:  # noqa: ANN401 (parsed JSON)
        return tuple(Index(**found) for found in value)

    return Query(query_text("indexes"), (json.dumps(sorted(set(names))),), decode)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its type in the server's words, and whether the server computes it."""

    name: str
    type: str
    generated: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence, and the column that it belongs to; None for one of its own."""

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
    """A user's trigger that fires; ``enabled`` is pg_trigger's letter."""

    name: str
    enabled: str


@dataclass(frozen=True, slots=True)
class Table:
    """What saving and restoring a table's rows takes; ``bytes`` is its size on the server."""

    id: str
    schema: str
    name: str
    partitioned: bool
    bytes: int
    columns: tuple[Column, ...]
    sequences: tuple[Sequence, ...]
    foreign_keys: tuple[ForeignKey, ...]
    triggers: tuple[Trigger, ...]


def inventory() -> Query[frozenset[str]]:
    """Ask for an id of everything that somebody made. Only reads; see the query."""
    return Query(query_text("inventory"), (), frozenset)


def changed_rows() -> Query[Mapping[str, int]]:
    """Ask how many rows of which tables, by id, the session has changed. Only reads; see there."""
    return Query(query_text("changed_rows"), (), dict)


def dependents(roots: Iterable[tuple[str, str | None]]) -> Query[frozenset[str]]:
    """Ask what would fall with some objects. Only reads.

    Args:
        roots: An id, and a column's name if only that column is meant.

    Returns:
        The ids of the dependents, theirs, and so on; those of the roots as well.
    """
    document = [{"id": root, "column": column} for root, column in roots]
    return Query(query_text("dependents"), (json.dumps(document),), frozenset)


def items(ids: Iterable[str]) -> Query[Mapping[str, Item]]:
    """Ask what some ids stand for. Only reads."""

    def decode(value: Any) -> Mapping[str, Item]:  # noqa: ANN401 (parsed JSON)
        return {
            document["id"]: Item(**{**document, "owners": tuple(document["owners"])})
            for document in value
        }

    return Query(query_text("items"), (json.dumps(sorted(ids)),), decode)


def tables(names: Iterable[tuple[str, str]]) -> Query[tuple[Table, ...]]:
    """Ask how some tables, given by schema and name, are saved and restored. Only reads."""
    document = [{"schema": schema, "name": name} for schema, name in names]

    def decode(value: Any) -> tuple[Table, ...]:  # noqa: ANN401 (parsed JSON)
        return tuple(
            Table(
                id=found["id"],
                schema=found["schema"],
                name=found["name"],
                partitioned=found["partitioned"],
                bytes=found["bytes"],
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
    """A temporary table that rows are copied into, and the table that they are meant for.

    Attributes:
        id: The temporary table's oid, as text.
        name: The temporary table's name.
        columns: The names of its columns.
        required: Those that a row must have.
        target: Schema and name of the table that it is named after; None if there is none.
    """

    id: str
    name: str
    columns: tuple[str, ...]
    required: frozenset[str]
    target: tuple[str, str] | None


def staging(prefix: str) -> Query[tuple[StagingTable, ...]]:
    """Ask for the temporary tables that this transaction has made. Only reads.

    Args:
        prefix: What their names begin with.
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
    """How many rows of a table a session has inserted, and how many updated or deleted."""

    inserted: int
    changed: int


def written_rows() -> Query[Mapping[tuple[str, str], Written] | None]:
    """Ask how many rows of which tables the session has written. Only reads; see the query.

    Returns:
        The numbers by schema and name; None if the server does not count.
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
    """What a check demands.

    Attributes:
        words: The comment on it, or its expression as the server shows it to people.
        expression: The same for the server, with bare names of columns.
        columns: Those names.
    """

    words: str
    expression: str
    columns: frozenset[str]


def check_constraint(schema: str, table: str, name: str) -> Query[CheckConstraint | None]:
    """Ask what a check constraint demands; None if there is no such. Only reads."""

    def decode(value: Any) -> CheckConstraint | None:  # noqa: ANN401 (parsed JSON)
        if value is None:
            return None
        return CheckConstraint(**{**value, "columns": frozenset(value["columns"])})

    return Query(query_text("check_constraint"), (schema, table, name), decode)
