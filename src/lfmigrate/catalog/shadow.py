"""Asks what a shadow database needs, and which ones were left behind."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from lfmigrate.catalog.query import query_text
from lfmigrate.postgres.pipeline import Query


class Extension(NamedTuple):
    """An extension of a database, and the schema that it is in."""

    name: str
    version: str
    schema: str


@dataclass(frozen=True, slots=True)
class ShadowNeeds:
    """What a shadow database must have in common with the live one.

    Attributes:
        may_create: Whether the role may create databases on the live server.
        database: ``encoding``, ``lc_collate``, ``lc_ctype``, ``provider``, ``locale``, ``rules``.
        settings: Those that were set for the live database or for the role, by name.
        extensions: Those that the live database has, in the order of their creation.
    """

    may_create: bool
    database: Mapping[str, str | None]
    settings: Mapping[str, str]
    extensions: tuple[Extension, ...]


@dataclass(frozen=True, slots=True)
class ShadowFacts:
    """What a shadow database allows.

    Attributes:
        settable: The settings that the role may set, of those that were asked for.
        roles: The roles that exist on its server, of those that were asked for.
        has_history: Whether there is a history in it.
    """

    settable: frozenset[str]
    roles: frozenset[str]
    has_history: bool


@dataclass(frozen=True, slots=True)
class Leftovers:
    """The shadow databases of runs that were killed.

    Attributes:
        now: The server's time, for the name of a new one.
        names: The name of each, and whether it is known for certain that it is one.
    """

    now: str
    names: tuple[tuple[str, bool], ...]


def shadow_needs() -> Query[ShadowNeeds]:
    """Ask, in the live database, what a shadow database must have in common with it."""

    def decode(value: Any) -> ShadowNeeds:  # noqa: ANN401 (parsed JSON)
        extensions = tuple(Extension(*found) for found in value.pop("extensions"))
        return ShadowNeeds(**value, extensions=extensions)

    return Query(query_text("shadow_needs"), (), decode)


def shadow_facts(
    settings: Iterable[str], roles: Collection[str], *, ledger: str
) -> Query[ShadowFacts]:
    """Ask, in a shadow database, what it allows.

    Args:
        settings: Names of settings.
        roles: Names of roles.
        ledger: The qualified and quoted name of the history table.
    """

    def decode(value: Any) -> ShadowFacts:  # noqa: ANN401 (parsed JSON)
        settable, roles = frozenset(value["settable"]), frozenset(value["roles"])
        return ShadowFacts(settable, roles, value["has_history"])

    params = json.dumps(sorted(settings)), json.dumps(sorted(roles)), ledger
    return Query(query_text("shadow_facts"), params, decode)


def shadow_leftovers(comment: str) -> Query[Leftovers]:
    """Ask for the shadow databases of this role that are not in use and ten minutes old.

    Args:
        comment: The beginning of the comment that they have, unless they have none.
    """

    def decode(value: Any) -> Leftovers:  # noqa: ANN401 (parsed JSON)
        return Leftovers(value["now"], tuple((name, known) for name, known in value["names"]))

    return Query(query_text("shadow_leftovers"), (comment,), decode)


def shadow_empty() -> Query[list[str]]:
    """Ask for the statements that empty the database."""
    return Query(query_text("shadow_empty"), (), list)
