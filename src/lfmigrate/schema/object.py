"""A database object that can be dropped, as a plain value."""

from __future__ import annotations

from dataclasses import dataclass


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
