"""A database object that can be dropped, as a plain value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """Anything in the catalogs that can be dropped: a relation, or a part of one.

    Attributes:
        id: Its id as in `catalog.inventory`.
        kind: The server's term, such as ``view``, ``table constraint`` or ``policy``.
        name: Its identity as the server writes it, qualified and quoted.
        schema: The schema of a relation, unquoted; None for anything else.
        relname: The name of a relation, unquoted; None for anything else.
        relkind: The letter in pg_class of a relation; None for anything else.
        owners: The ids of the objects that it is dropped with.
        ancestors: The ids of the partitioned tables that a partition's rows also belong to.
        relation: The id of the relation that it is a part of.
        part: Its name in `Relation.parts`; None if it has none there.
        definition: The statements that re-create it; None if there are none.
        populated: Whether it is a materialized view with rows that can be read.
    """

    id: str
    kind: str
    name: str
    schema: str | None
    relname: str | None
    relkind: str | None
    owners: tuple[str, ...]
    ancestors: tuple[str, ...]
    relation: str | None
    part: str | None
    definition: str | None
    populated: bool


@dataclass(frozen=True, slots=True)
class TableName:
    """A table: its id as in `catalog.inventory`, and its unquoted name."""

    id: str
    schema: str
    name: str
