"""Which names in a statement can only be those of relations."""

from __future__ import annotations

from collections.abc import Sequence

from lfmigrate.syntax.scanner import Statement, Token, tokens, word

# A relation comes right after these. After FROM only in a query: there is EXTRACT(year FROM day).
_BEFORE_A_RELATION = frozenset({"join", "into", "update", "table", "using"})

_QUERIES = frozenset({"select", "update", "delete"})

# These end the list of a FROM; an ON does not, because a comma may follow it.
_AFTER_A_LIST = _QUERIES | {
    *("where", "group", "having", "window", "union", "intersect", "except"),
    *("order", "limit", "offset", "fetch", "for", "returning"),
}

# What may come between those and the relation.
_NO_NAMES = frozenset({word("only"), word("lateral"), word("select")})

_COMMA, _DOT, _COLON = Token("other", ","), Token("other", "."), Token("other", ":")
_OPEN, _CLOSE = Token("other", "("), Token("other", ")")


def relations_read(statement: Statement) -> frozenset[str]:
    """Return the names that can only be those of relations, or of their row types.

    A column or an alias is not among them, nor what the statement defines itself with WITH. Not
    every relation is: ``CAST(NULL AS customers)`` looks like an alias.

    Returns:
        The names, unquoted; of a qualified name, each of its parts.
    """
    found = list(tokens(statement.text))
    names: set[str] = set()
    # By depth of parentheses: whether it is a query, and whether a FROM list is open in it.
    queries, lists = [False], [False]
    expected = is_relation = False
    before = word("")
    for token in found:
        follows, expected = expected, False
        was_relation, is_relation = is_relation, False
        if follows and token.kind in {"word", "quoted"} and token not in _NO_NAMES:
            names.add(token.value)
            is_relation = True
        elif token == _OPEN:
            expected = follows and before != word("using")
            queries.append(False)
            lists.append(False)
        elif token == _CLOSE and len(lists) > 1:
            queries.pop()
            lists.pop()
        elif token == _COMMA:
            expected = lists[-1]
        elif token == _DOT:
            expected = was_relation
        elif token == _COLON:
            expected = before == _COLON
        elif token == word("from"):
            expected = lists[-1] = queries[-1] and before != word("distinct")
        elif token.kind == "word":
            expected = token.value in _BEFORE_A_RELATION or (follows and token != word("select"))
            queries[-1] |= token.value in _QUERIES
            lists[-1] &= token.value not in _AFTER_A_LIST
        before = token
    return frozenset(names - _defined(found))


def _defined(found: Sequence[Token]) -> set[str]:
    """Return the names before each ``AS (``, with or without a list of columns: those of WITH."""
    names: set[str] = set()
    for place, token in enumerate(found):
        if token != word("as") or place + 1 == len(found):
            continue
        if found[place + 1] not in {_OPEN, word("materialized"), word("not")}:
            continue
        at = place - 1
        if found[at] == _CLOSE:
            while at > 0 and found[at] != _OPEN:
                at -= 1
            at -= 1
        names.add(found[at].value)
    return names
