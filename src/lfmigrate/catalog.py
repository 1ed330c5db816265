"""Questions to the server's catalogs. They only read; the SQL of each stands in `queries/`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from lfmigrate.database import Query
from lfmigrate.snapshot import Key, Relation


@dataclass(frozen=True, slots=True)
class Server:
    """Where a connection leads.

    Attributes:
        version: As PostgreSQL counts it: 180004 is 18.4.
        database: The database's name.
        role: The current role.
        schema: The schema that unqualified names are created in; None if there is none.
        search_path: As it is set for the connection.
        standby: Whether the server is a standby, which nobody can write to.
        read_only: Whether transactions of this role are read-only by default.
    """

    version: int
    database: str
    role: str
    schema: str | None
    search_path: str
    standby: bool
    read_only: bool

    @property
    def major(self) -> int:
        """Return the major version, such as 18."""
        return self.version // 10000


@dataclass(frozen=True, slots=True)
class Found:
    """A relation as the catalogs have it, and what the asking transaction did to it.

    Attributes:
        id: The catalog and oid of it, which stay the same while it lives.
        relation: What it is.
        created: Whether this transaction made it; not known for routines, schemas, extensions.
        cids: The commands of this transaction that made or changed it, ascending; none if empty.
        written: The names of the parts that this transaction wrote.
    """

    id: str
    relation: Relation
    created: bool
    cids: tuple[int, ...]
    written: tuple[str, ...]


Fingerprints = Mapping[str, str]


@cache
def query_text(name: str) -> str:
    """Return the text of ``queries/<name>.sql``."""
    return files("lfmigrate").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


def server() -> Query[Server]:
    """Ask which server, database and schema a connection leads to. Only reads."""
    return Query(query_text("server"), (), lambda value: Server(**value))


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
                written=tuple(part for part, _, recent in found["parts"] if recent),
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


def blockers(lock_key: int) -> Query[list[str]]:
    """Ask whom the session waits for that holds an advisory lock. Only reads.

    Returns:
        A line per session: process, role, application, since when, and what it does.
    """
    return Query(query_text("blockers"), (str(lock_key),), list)
