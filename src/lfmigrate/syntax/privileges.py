"""The privileges that statements require, as far as their text shows.

What it does not show, such as what a function does, the server checks when the statement runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from lfmigrate.syntax.names import Name, names
from lfmigrate.syntax.scanner import Statement, Token, tokens, word

Privilege = Literal[
    "CREATE", "OWNER", "DROP", "REFERENCES", "TRIGGER", "INSERT", "UPDATE", "DELETE", "TRUNCATE"
]

# Enough for all words before a name of three parts, and the name.
_HEAD_TOKENS = 20

_MODIFIERS = frozenset(
    {"or", "replace", "unlogged", "unique", "recursive", "foreign", "constraint"}
)

_TEMPORARY = frozenset({"temp", "temporary", "local", "global"})

# Objects that belong to a schema, as the words after CREATE.
_IN_SCHEMA = frozenset(
    {"table", "view", "sequence", "function", "procedure", "aggregate", "type", "domain"}
)

_OWNED = frozenset({"table", "view", "sequence", "index"})

_FILLERS = frozenset({"if", "not", "exists", "only", "into", "from", "table", "concurrently"})

_ROWS: dict[str, Privilege] = {
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
    if verb in _ROWS:
        if name := _first_name(list(islice(tokens(statement.text), _HEAD_TOKENS))[1:]):
            yield Requirement(_ROWS[verb], name.schema, name.name)
    elif verb == "CREATE":
        yield from _creation(statement)
    elif verb in {"ALTER", "DROP"}:
        found = list(islice(tokens(statement.text), _HEAD_TOKENS))[1:]
        found = found[1:] if found[:1] == [word("materialized")] else found
        name = _first_name(found[1:])
        if found and found[0].value in _OWNED and name is not None:
            yield Requirement("DROP" if verb == "DROP" else "OWNER", name.schema, name.name)
    if statement.head[:2] in {("CREATE", "TABLE"), ("ALTER", "TABLE")}:
        yield from _references(statement)


def _creation(statement: Statement) -> Iterator[Requirement]:
    found = list(islice(tokens(statement.text), _HEAD_TOKENS))[1:]
    replaces = found[:2] == [word("or"), word("replace")]
    while found and found[0].kind == "word" and found[0].value in _MODIFIERS | {"materialized"}:
        found = found[1:]
    if not found or found[0].value in _TEMPORARY:
        return
    kind, rest = found[0].value, found[1:]
    if kind == "schema":
        yield Requirement("CREATE", database=True)
    elif kind in {"index", "trigger"}:
        on = word("on")
        # An index expression may be longer than the limit, a name may not.
        name = _first_name(rest[rest.index(on) + 1 :]) if on in rest else None
        if name is not None:
            yield Requirement("OWNER" if kind == "index" else "TRIGGER", name.schema, name.name)
    elif kind in _IN_SCHEMA and (name := _first_name(rest)):
        yield Requirement("CREATE", name.schema)
        if kind == "view" and replaces:
            yield Requirement("OWNER", name.schema, name.name)


def _references(statement: Statement) -> Iterator[Requirement]:
    if "references" not in statement.text.lower():
        return  # most statements have none, and scanning every token takes time
    found = list(tokens(statement.text))
    for place, token in enumerate(found):
        if token == word("references") and (name := _first_name(found[place + 1 :][:4])):
            yield Requirement("REFERENCES", name.schema, name.name)


def _first_name(found: list[Token]) -> Name | None:
    while found and found[0].kind == "word" and found[0].value in _FILLERS:
        found = found[1:]
    first = names(found[:5])
    return first[0] if first and found[0].kind in {"word", "quoted"} else None
