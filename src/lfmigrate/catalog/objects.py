"""Everything in the catalogs that can be dropped: inventory, descriptions, dependents, indexes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lfmigrate.catalog.query import query_text
from lfmigrate.postgres.pipeline import Query
from lfmigrate.schema.object import Item
from lfmigrate.syntax.names import quote_name


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


def inventory() -> Query[frozenset[str]]:
    """Ask for an id of everything that somebody made. Only reads; see the query."""
    return Query(query_text("inventory"), (), frozenset)


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
