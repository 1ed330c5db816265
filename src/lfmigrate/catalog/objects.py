"""Asks for all objects that can be dropped, their descriptions and dependents, and for indexes."""

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
    """An index, whether it is valid, and whether it is being built; ``id`` is its oid."""

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
        """Return a statement that drops it without blocking reads and writes."""
        return f"DROP INDEX CONCURRENTLY {quote_name(self.schema)}.{quote_name(self.name)}"


def indexes(names: Iterable[str]) -> Query[tuple[Index, ...]]:
    """Ask for the indexes with some names, and for those on tables with such names."""

    def decode(value: Any) -> tuple[Index, ...]:  # noqa: ANN401 (parsed JSON)
        return tuple(Index(**found) for found in value)

    return Query(query_text("indexes"), (json.dumps(sorted(set(names))),), decode)


@dataclass(frozen=True, slots=True)
class HiddenMember:
    """An object of an extension that is in none of the schemas of the search path, ``path``."""

    name: str
    extension: str
    schema: str
    path: str


def hidden_members(names: Iterable[str], *, routines: bool) -> Query[tuple[HiddenMember, ...]]:
    """Ask which of some names extensions have in schemas that the search path does not have.

    Args:
        names: Unquoted.
        routines: Whether they are routines; else they are types and operator classes.
    """

    def decode(value: Any) -> tuple[HiddenMember, ...]:  # noqa: ANN401 (parsed JSON)
        return tuple(HiddenMember(**found) for found in value)

    parameters = json.dumps(sorted(set(names))), str(routines).lower()
    return Query(query_text("hidden_members"), parameters, decode)


def inventory() -> Query[frozenset[str]]:
    """Ask for the ids of all objects that are not the server's own; see the query."""
    return Query(query_text("inventory"), (), frozenset)


def dependents(roots: Iterable[tuple[str, str | None]]) -> Query[frozenset[str]]:
    """Ask what depends on some objects, directly or indirectly.

    Args:
        roots: An id, and a column, constraint or index to ask for that part only.

    Returns:
        The ids of the dependents and of the roots.
    """
    document = [{"id": root, "part": part} for root, part in roots]
    return Query(query_text("dependents"), (json.dumps(document),), frozenset)


def items(ids: Iterable[str]) -> Query[Mapping[str, Item]]:
    """Ask what the objects with some ids are."""

    def decode(value: Any) -> Mapping[str, Item]:  # noqa: ANN401 (parsed JSON)
        return {
            found["id"]: Item(**{**found, **{k: tuple(found[k]) for k in ("owners", "ancestors")}})
            for found in value
        }

    return Query(query_text("items"), (json.dumps(sorted(ids)),), decode)
