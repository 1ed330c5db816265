"""What of the schema statements may change: only what they name, or anything. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lfmigrate.syntax.names import stored_name
from lfmigrate.syntax.scanner import Statement, tokens

# What comes between CREATE and the kind.
_MODIFIERS = frozenset({"OR", "REPLACE", "UNIQUE", "UNLOGGED", "CONSTRAINT", "RECURSIVE"})

# The kinds of which CREATE and ALTER write nothing but rows of what is named.
_CREATED = frozenset(
    {"AGGREGATE", "FUNCTION", "INDEX", "POLICY", "PROCEDURE", "RULE", "SEQUENCE", "STATISTICS"}
    | {"TABLE", "TRIGGER", "TYPE", "VIEW"}
)
_ALTERED = frozenset({"FUNCTION", "POLICY", "PROCEDURE", "RULE", "TABLE", "TRIGGER", "VIEW"})
_DROPPED = _CREATED | {"MATERIALIZED"}

# Where these words occur, others are changed as well: foreign keys to a column whose type changes,
# what depends on what is dropped, all tables of a tablespace, whatever a query calls.
_FARTHER = {
    "ALTER": frozenset({"all", "cascade", "type"}),
    "CREATE": frozenset({"execute", "select"}),
    "DROP": frozenset({"cascade"}),
    "GRANT": frozenset({"all"}),
    "REVOKE": frozenset({"all", "cascade"}),
}


class Reach(NamedTuple):
    """The names of what statements may change, as the server stores them; others may be among them.

    Attributes:
        names: All that occur.
        parents: Those whose child tables may be changed with them.
    """

    names: frozenset[str]
    parents: frozenset[str]


def reach_of(statements: Iterable[Statement]) -> Reach | None:
    """Return what statements may change; None if that may be anything.

    They may change anything if they run code that they do not consist of: a DO block, a CALL, a
    query, or the triggers of a table.
    """
    names: set[str] = set()
    parents: set[str] = set()
    for statement in statements:
        if statement.head[:1] in {("COMMENT",), ("SET",), ("RESET",)}:
            continue
        found = {
            stored_name(token.value)
            for token in tokens(statement.text)
            if token.kind in {"word", "quoted"}
        }
        verb, kind = _kind(statement)
        is_known = {
            "ALTER": kind in _ALTERED,
            "CREATE": kind in _CREATED,
            "DROP": kind in _DROPPED,
            "GRANT": True,
            "REVOKE": True,
        }.get(verb, False)
        # A view and a body are stored, and not run.
        farther = _FARTHER.get(verb, frozenset()) if verb != "CREATE" or kind == "TABLE" else ()
        if not is_known or not found.isdisjoint(farther):
            return None
        names |= found
        if (verb, kind) != ("CREATE", "TABLE"):
            parents |= found
    return Reach(frozenset(names), frozenset(parents))


def _kind(statement: Statement) -> tuple[str, str]:
    """Return the first word of a statement, and the kind of what it is about."""
    words = iter(statement.head)
    return next(words, ""), next((word for word in words if word not in _MODIFIERS), "")
