"""Sequences and materialized views that files drop: their positions and rows, known beforehand."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from lfmigrate.engine.blocking import ask_aside
from lfmigrate.engine.losses import Lost
from lfmigrate.engine.transaction import Transaction
from lfmigrate.errors import DatabaseError
from lfmigrate.postgres.pipeline import Query
from lfmigrate.syntax.names import Name, quote_name

# How long another connection may take to say what they were.
_ASK_S = 5.0

# Those that no column owns and that can be read, and whether one of the same name exists.
_RELATIONS = """
    SELECT coalesce(jsonb_agg(jsonb_build_array(i.id, c.relkind, n.nspname, c.relname)), '[]')
    FROM jsonb_array_elements_text($1::jsonb) AS i (id)
    JOIN pg_class AS c ON c.oid = split_part(i.id, ':', 2)::oid
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE (c.relkind = 'S' OR c.relkind = 'm' AND c.relispopulated)
      AND NOT EXISTS (
        SELECT FROM pg_depend AS d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
          AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
          AND d.deptype IN ('a', 'i') AND c.relkind = 'S')
"""


@dataclass(frozen=True, slots=True)
class _Found:
    """A sequence or materialized view, and how much of it would be lost."""

    kind: str
    schema: str
    name: str
    content: int


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
        contents = {i: tx.flight.ask(_content(*row)) for i, row in asked.value.items()}
        tx.send()
        self._found = {
            item_id: _Found(
                "sequence" if relkind == "S" else "materialized view",
                schema,
                name,
                contents[item_id].value,
            )
            for item_id, (relkind, schema, name) in asked.value.items()
        }

    def examine(self, tx: Transaction, gone: Collection[str]) -> bool:
        """Return whether all that the files have dropped was read before they ran.

        Args:
            tx: The files have run in it.
            gone: The ids of what existed before and is dropped.
        """
        new = set(gone) - self._wanted
        if not new:
            return True
        if not self.alone:
            try:
                # A second connection still sees them; views and indexes have no content.
                found = ask_aside(tx.conn, _relations(new), _ASK_S)
                new = set(found)
            except DatabaseError:
                self.alone = True
        self._wanted |= new
        return not new

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
            if each.content and (each.kind == "sequence" or (each.schema, each.name) not in left)
        ]

    @property
    def sequences(self) -> list[tuple[str, str]]:
        """Return schema and name of the sequences whose positions are lost."""
        return [
            (each.schema, each.name)
            for each in self._found.values()
            if each.kind == "sequence" and each.content
        ]


def _relations(ids: Collection[str]) -> Query[Mapping[str, tuple[str, str, str]]]:
    def decode(value: Any) -> Mapping[str, tuple[str, str, str]]:  # noqa: ANN401 (parsed JSON)
        return {found[0]: (found[1], found[2], found[3]) for found in value}

    return Query(_RELATIONS, (json.dumps(sorted(ids)),), decode)


def _content(relkind: str, schema: str, name: str) -> Query[int]:
    """Ask for the rows of a materialized view, or whether a sequence was ever used."""
    qualified = f"{quote_name(schema)}.{quote_name(name)}"
    if relkind == "m":
        return Query(f"SELECT to_jsonb(count(*)) FROM {qualified}", (), int)
    return Query(
        f"SELECT to_jsonb((p.is_called OR p.last_value <> s.seqstart)::int) FROM {qualified} AS p,"
        " pg_sequence AS s WHERE s.seqrelid = $1::regclass",
        (qualified,),
        int,
    )
