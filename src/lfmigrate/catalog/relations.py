"""Asks for relations as the catalogs describe them, and for fingerprints of definitions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from lfmigrate.catalog.query import query_text
from lfmigrate.postgres.pipeline import Query
from lfmigrate.schema.relation import Fingerprints, Found, Key, Relation


def relations(
    wanted: Iterable[Key], *, ids: Iterable[str] = (), and_written: bool = False
) -> Query[tuple[Found, ...]]:
    """Ask what some relations look like.

    The definitions depend on ``search_path``: set it to the schema of interest first.

    Args:
        wanted: The relations to describe; those that do not exist are left out.
        ids: Values of `Found.id`: described too, whatever they are called now.
        and_written: Whether to describe what written.sql has found as well.

    Returns:
        What was found, by schema and name.
    """
    names = [
        {"space": key.space, "schema": key.schema, "name": key.name, "base": base}
        for key in wanted
        for base in _bases(key.name)
    ]
    params = json.dumps(names), json.dumps(list(ids)), str(and_written).lower()
    return Query(query_text("relations"), params, _found)


def snapshot(
    wanted: Iterable[Key], *, ledger: str, ids: Iterable[str] = ()
) -> Query[tuple[Found, ...]]:
    """Ask the same, and for everything else that this transaction has written.

    Args:
        wanted: As in `relations`.
        ledger: The qualified and quoted name of the history table, which is left out.
        ids: As in `relations`.

    Returns:
        What was found: first what this transaction did not write, then the rest in the order in
        which it was written.

    Source:
        PostgreSQL documentation, "System Columns" (xmin, cmin) and "pg_xact_status".
    """
    asked = relations(wanted, ids=ids, and_written=True)
    return replace(asked, first=(query_text("written"), (ledger,)))


def fingerprints() -> Query[Fingerprints]:
    """Ask for a short text per view and routine that changes with its definition.

    Returns:
        The fingerprints by `Found.id`, those of schemas and extensions included.
    """
    return Query(query_text("fingerprints"), (), dict)


def _found(value: Any) -> tuple[Found, ...]:  # noqa: ANN401 (parsed JSON)
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


def _bases(name: str) -> list[str]:
    """Return what a routine's name may be without its arguments.

    Its own name may contain parentheses, and so may those of the arguments and their types.
    """
    return [name[:place] for place, char in enumerate(name) if char == "("] or [name]
