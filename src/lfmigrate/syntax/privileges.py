"""The privileges that statements require, as far as their text shows.

What it does not show, such as what a function does, the server checks when the statement runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from lfmigrate.syntax.names import Cursor, Name
from lfmigrate.syntax.scanner import Statement, word

Privilege = Literal[
    "CREATE", "OWNER", "DROP", "REFERENCES", "TRIGGER", "INSERT", "UPDATE", "DELETE", "TRUNCATE"
]

# TEMPORARY is none of them: its objects need no privilege on a schema.
_MODIFIERS = frozenset({"unlogged", "unique", "recursive", "foreign", "constraint", "materialized"})

# Objects that belong to a schema, as the words after CREATE.
_IN_SCHEMA = frozenset(
    {"table", "view", "sequence", "function", "procedure", "aggregate", "type", "domain"}
)

_OWNED = frozenset({"table", "view", "sequence", "index"})

_REFERENCING = frozenset({("CREATE", "TABLE"), ("ALTER", "TABLE")})

_FILLERS = frozenset({"if", "not", "exists", "only", "into", "from", "table", "concurrently"})

_ROWS: Mapping[str, Privilege] = {
    "INSERT": "INSERT",
    "UPDATE": "UPDATE",
    "DELETE": "DELETE",
    "TRUNCATE": "TRUNCATE",
}


@dataclass(frozen=True, slots=True)
class Requirement:
    """A privilege on a table (if it exists), a schema or the database.

    Attributes:
        privilege: The server's name for it; ``OWNER`` if only the owner may run the statement,
            ``DROP`` if the schema's owner may as well.
        schema: Unquoted; None for the schema of unqualified names.
        name: The table's name, unquoted; None if the privilege is on the schema itself.
        database: Whether the privilege is on the database.
    """

    privilege: Privilege
    schema: str | None = None
    name: str | None = None
    database: bool = False


def required_privileges(statements: Iterable[Statement]) -> tuple[Requirement, ...]:
    """Return the privileges that some statements require, each of them once.

    Args:
        statements: Those of a file. Those after a change of role are left out: their privileges are
            checked against the other role.
    """
    found: dict[Requirement, None] = {}
    for statement in statements:
        head = statement.head
        if head[:1] == ("SET",) and {"ROLE", "AUTHORIZATION"} & set(head[:4]):
            break
        found |= dict.fromkeys(_needs(statement))
    return tuple(found)


def _needs(statement: Statement) -> Iterator[Requirement]:
    verb = statement.head[0] if statement.head else ""
    found = Cursor(statement)
    found.take()
    if verb in _ROWS:
        if name := _name(found):
            yield Requirement(_ROWS[verb], name.schema, name.name)
    elif verb == "CREATE":
        yield from _creation(found)
    elif verb in {"ALTER", "DROP"}:
        found.accept("materialized")
        kind = found.take()
        if kind is not None and kind.value in _OWNED and (name := _name(found)):
            yield Requirement("DROP" if verb == "DROP" else "OWNER", name.schema, name.name)
    # Most statements have none, and scanning every token takes time.
    if statement.head[:2] in _REFERENCING and "references" in statement.text.lower():
        found = Cursor(statement)
        for token in found:
            if token == word("references") and (name := _name(found)):
                yield Requirement("REFERENCES", name.schema, name.name)


def _creation(found: Cursor) -> Iterator[Requirement]:
    replaces = found.accept("or", "replace")
    found.skip(_MODIFIERS)
    kind = found.take()
    if kind is None:
        return
    if kind.value == "schema":
        yield Requirement("CREATE", database=True)
    elif kind.value in {"index", "trigger"}:
        if word("on") in found and (name := _name(found)):
            privilege: Privilege = "OWNER" if kind.value == "index" else "TRIGGER"
            yield Requirement(privilege, name.schema, name.name)
    elif kind.value in _IN_SCHEMA and (name := _name(found)):
        yield Requirement("CREATE", name.schema)
        if kind.value == "view" and replaces:
            yield Requirement("OWNER", name.schema, name.name)


def _name(found: Cursor) -> Name | None:
    found.skip(_FILLERS)
    return found.name()
