"""What of the schema statements may change: only what they name, or anything. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from lfmigrate.syntax.names import stored_name
from lfmigrate.syntax.scanner import Statement, Token, tokens, word

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
    "CREATE": frozenset({"execute"}),
    "DROP": frozenset({"cascade"}),
    "GRANT": frozenset({"all"}),
    "REVOKE": frozenset({"all", "cascade"}),
}


# What changes nothing of which a file is the owner.
_HARMLESS = frozenset({("COMMENT",), ("RESET",), ("SET",)})

# What a query begins with that CREATE TABLE ... AS runs.
_QUERIES = frozenset({"execute", "select", "table", "values", "with"})


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
    query, or the triggers of a table. What event triggers do is found by the server.
    """
    names: set[str] = set()
    parents: set[str] = set()
    for statement in statements:
        # SET CONSTRAINTS fires triggers.
        if statement.head[:1] in _HARMLESS and statement.head[1:2] != ("CONSTRAINTS",):
            continue
        words = [t for t in tokens(statement.text) if t.kind in {"word", "quoted"}]
        found = {stored_name(token.value) for token in words}
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
        if (verb, kind) == ("CREATE", "TABLE") and _has_query(words):
            return None
        names |= found
        if (verb, kind) != ("CREATE", "TABLE"):
            parents |= found
    return Reach(frozenset(names), frozenset(parents))


def _has_query(words: Sequence[Token]) -> bool:
    """Return whether a query follows an AS, which an expression may follow as well."""
    return any(
        before == word("as") and token.kind == "word" and token.value in _QUERIES
        for before, token in pairwise(words)
    )


def _kind(statement: Statement) -> tuple[str, str]:
    """Return the first word of a statement, and the kind of what it is about."""
    words = iter(statement.head)
    return next(words, ""), next((word for word in words if word not in _MODIFIERS), "")
