"""Asks which roles exist, which belong to the whole server."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from lfmigrate.catalog.query import query_text
from lfmigrate.postgres.pipeline import Query
from lfmigrate.schema.object import Item


def role_names() -> Query[frozenset[str]]:
    """Ask for the names of all roles; for none, if the current one may not create any."""
    return Query(
        "SELECT coalesce(jsonb_agg(r.rolname), '[]') FROM pg_roles AS r WHERE r.oid >= 16384 AND"
        " EXISTS (SELECT FROM pg_roles AS me WHERE me.rolname = current_user"
        " AND (me.rolsuper OR me.rolcreaterole))",
        (),
        frozenset,
    )


def role_items(ids: Iterable[str]) -> Query[tuple[Item, ...]]:
    """Ask what the roles with some ids are."""

    def decode(value: Any) -> tuple[Item, ...]:  # noqa: ANN401 (parsed JSON)
        return tuple(
            Item(
                id=found["id"],
                kind="role",
                name=found["name"],
                schema=None,
                relname=None,
                relkind=None,
                owners=(),
                ancestors=(),
                relation=None,
                part=None,
                definition=found["definition"],
                populated=False,
            )
            for found in value
        )

    return Query(query_text("role_items"), (json.dumps(sorted(ids)),), decode)
