"""Sequences and materialized views that files drop: their positions and rows, known beforehand."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lfmigrate.engine.blocking import ask_aside
from lfmigrate.engine.losses import Lost
from lfmigrate.engine.transaction import Transaction
from lfmigrate.errors import DatabaseError
from lfmigrate.postgres.pipeline import Query
from lfmigrate.syntax.names import Name, quote_name

# How long another connection may take to say what they were.
_ASK_S = 5.0

# Those that can be read, and the columns that own them.
_RELATIONS = """
    SELECT coalesce(jsonb_agg(jsonb_build_array(i.id, c.relkind, n.nspname, c.relname, o.id)), '[]')
    FROM jsonb_array_elements_text($1::jsonb) AS i (id)
    JOIN pg_class AS c ON c.oid = split_part(i.id, ':', 2)::oid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN LATERAL (
        SELECT 'pg_class:' || d.refobjid || ':' || d.refobjsubid AS id
        FROM pg_depend AS d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
          AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
          AND d.deptype IN ('a', 'i')) AS o ON c.relkind = 'S'
    WHERE c.relkind = 'S' OR c.relkind = 'm' AND c.relispopulated
"""

# The position of a sequence, whether it was used, and what it gives next.
_POSITION = """
    SELECT jsonb_build_array(
        (p.is_called OR p.last_value <> s.seqstart)::int, p.last_value, p.is_called,
        p.last_value + CASE WHEN p.is_called THEN s.seqincrement ELSE 0 END, s.seqincrement)
    FROM {name} AS p, pg_sequence AS s
    WHERE s.seqrelid = $1::regclass
"""

# What a column is called, and what the sequences that it owns give next.
_SUCCESSORS = """
    SELECT jsonb_build_array(n.nspname, c.relname, a.attname, (
        SELECT coalesce(jsonb_agg(jsonb_build_array(format('%I.%I', sn.nspname, sc.relname),
            CASE WHEN has_sequence_privilege(s.seqrelid, 'USAGE, SELECT')
                THEN coalesce(pg_sequence_last_value(s.seqrelid) + s.seqincrement, s.seqstart) END,
            s.seqincrement)
            ORDER BY s.seqrelid), '[]')
        FROM pg_depend AS d
        JOIN pg_sequence AS s ON s.seqrelid = d.objid
        JOIN pg_class AS sc ON sc.oid = d.objid
        JOIN pg_namespace AS sn ON sn.oid = sc.relnamespace
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
          AND d.refobjid = c.oid AND d.refobjsubid = a.attnum AND d.deptype IN ('a', 'i')))
    FROM pg_attribute AS a
    JOIN pg_class AS c ON c.oid = a.attrelid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE a.attrelid = $1::oid AND a.attnum = $2::int
"""


@dataclass(frozen=True, slots=True)
class _Position:
    """Where a sequence is.

    Attributes:
        value: Its last value.
        called: Whether it has given that out.
        next: What it gives next.
        increment: What it counts by.
    """

    value: int
    called: bool
    next: int
    increment: int

    def is_ahead_of(self, other: int, increment: int) -> bool:
        """Return whether a sequence that counts the same way would repeat values from there."""
        return self.increment * increment > 0 and (self.next - other) * increment > 0


@dataclass(frozen=True, slots=True)
class _Found:
    """A sequence or materialized view, and how much of it would be lost.

    Attributes:
        kind: Which of the two it is.
        schema: Unquoted, as its name.
        name: Likewise.
        content: The rows of a view; of a sequence, whether it was used.
        position: That of a sequence.
        owner: The id of the column that owns it.
    """

    kind: str
    schema: str
    name: str
    content: int
    position: _Position | None = None
    owner: str | None = None


@dataclass(slots=True)
class DroppedStorage:
    """What a transaction drops that has content and is no table.

    Which that is, is known when the files have run. Then it cannot be read any more: they run
    again, and it is read first.

    Attributes:
        alone: Whether there was no second connection to ask.
    """

    _wanted: set[str] = field(default_factory=set)
    _found: dict[str, _Found] = field(default_factory=dict)
    alone: bool = False

    def begin(self, tx: Transaction) -> None:
        """Read what an earlier run has dropped."""
        if not self._wanted:
            return
        asked = tx.flight.ask(_relations(self._wanted))
        tx.send()
        contents = {i: tx.flight.ask(_content(*row[:3])) for i, row in asked.value.items()}
        tx.send()
        self._found = {
            item_id: _Found(
                "sequence" if relkind == "S" else "materialized view",
                schema,
                name,
                *contents[item_id].value,
                owner,
            )
            for item_id, (relkind, schema, name, owner) in asked.value.items()
        }

    def examine(self, tx: Transaction, gone: Collection[str], dropped: frozenset[str]) -> bool:
        """Return whether all that the files have dropped was read before they ran.

        Args:
            tx: The files have run in it.
            gone: The ids of what existed before and is dropped.
            dropped: The ids of all dropped relations and columns: a sequence of one goes with it.
        """
        # Without a second connection, they were read before that was known.
        self._found = {
            item_id: each
            for item_id, each in self._found.items()
            if not _goes_along(each.owner, dropped)
        }
        new = set(gone) - self._wanted
        if not new:
            return True
        if not self.alone:
            try:
                # A second connection still sees them; views and indexes have no content.
                found = ask_aside(tx.conn, _relations(new), _ASK_S)
            except DatabaseError:
                self.alone = True
            else:
                new = {
                    item_id
                    for item_id, (*_, owner) in found.items()
                    if not _goes_along(owner, dropped)
                }
        self._wanted |= new
        return not new

    def notes(self, tx: Transaction) -> list[str]:
        """Return a line for each column that stays and gets values again that it may have.

        Args:
            tx: The files have run in it.
        """
        owned = [
            (each, each.owner, each.position)
            for each in self._found.values()
            if each.content and each.owner is not None and each.position is not None
        ]
        if not owned:
            return []
        asked = [tx.flight.ask(_successors(owner)) for _, owner, _ in owned]
        tx.send()
        return [
            _note(each, position, answer.value, tx.state.schema)
            for (each, _, position), answer in zip(owned, asked, strict=True)
            if _is_behind(position, answer.value)
        ]

    def lost(self, left: Collection[tuple[str, str]], schema: str) -> list[tuple[Name, Lost]]:
        """Return what is lost, each with its name.

        Args:
            left: Schema and name of the materialized views that were created again.
            schema: That whose name is left out.
        """
        return [
            (
                Name(each.schema, each.name),
                Lost(
                    each.kind,
                    each.name if each.schema == schema else f"{each.schema}.{each.name}",
                    each.content if each.kind != "sequence" else None,
                ),
            )
            for each in self._found.values()
            if each.content
            and each.owner is None
            and (each.kind == "sequence" or (each.schema, each.name) not in left)
        ]

    @property
    def sequences(self) -> list[tuple[str, str]]:
        """Return schema and name of the sequences whose positions are lost."""
        return [
            (each.schema, each.name)
            for each in self._found.values()
            if each.kind == "sequence" and each.content and each.owner is None
        ]


_Successors: TypeAlias = tuple[str, str, str, list[tuple[str, int | None, int]]]


def _goes_along(owner: str | None, dropped: frozenset[str]) -> bool:
    """Return whether a sequence is dropped with the column that owns it, or with its table."""
    return owner is not None and not dropped.isdisjoint({owner, owner.rpartition(":")[0]})


def _relations(
    ids: Collection[str],
) -> Query[Mapping[str, tuple[str, str, str, str | None]]]:
    def decode(value: Any) -> Mapping[str, tuple[str, str, str, str | None]]:  # noqa: ANN401 (parsed JSON)
        return {found[0]: (found[1], found[2], found[3], found[4]) for found in value}

    return Query(_RELATIONS, (json.dumps(sorted(ids)),), decode)


def _content(relkind: str, schema: str, name: str) -> Query[tuple[int, _Position | None]]:
    """Ask for the rows of a materialized view, or for the position of a sequence."""
    qualified = f"{quote_name(schema)}.{quote_name(name)}"
    if relkind == "m":
        return Query(f"SELECT to_jsonb(count(*)) FROM {qualified}", (), lambda n: (int(n), None))
    return Query(
        _POSITION.format(name=qualified),
        (qualified,),
        lambda found: (int(found[0]), _Position(*found[1:])),
    )


def _successors(column: str) -> Query[_Successors]:
    _, table, number = column.split(":")
    return Query(_SUCCESSORS, (table, number), tuple)


def _is_behind(was: _Position, now: _Successors) -> bool:
    """Return whether no sequence of the column is known to go on where the dropped one was."""
    return all(follows is None or was.is_ahead_of(follows, by) for _, follows, by in now[3])


def _note(found: _Found, was: _Position, now: _Successors, schema: str) -> str:
    table_schema, table, column, sequences = now
    label = ".".join([*([] if table_schema == schema else [table_schema]), table, column])
    dropped = f"sequence {found.name} was dropped, and its column {label} remains"
    if not sequences:
        return f"{dropped}; its next value would have been {was.next}"
    name, follows, _ = sequences[-1]
    called = "" if was.called else ", false"
    then = "" if follows is None else f", and gets {follows} next"
    literal = "'" + name.replace("'", "''") + "'"
    return f"{dropped}{then}; to go on: SELECT setval({literal}, {was.value}{called});"
