"""Relations as the catalogs describe them, and fingerprints of definitions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from lfmigrate.catalog.query import query_text
from lfmigrate.postgres.pipeline import Query
from lfmigrate.schema.relation import Fingerprints, Found, Key, Relation


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
