"""Which statements can run inside a transaction block."""

from __future__ import annotations

from typing import Literal

from lfmigrate.syntax.scanner import Statement, Token, tokens, word_offset

_SESSION = frozenset({"SET", "RESET"})

# Where the server decides by what it finds: a partitioned table, a COMMIT in a procedure.
_EITHER = frozenset({"CALL", "DO", "CLUSTER", "REINDEX"})

_EITHER_PAIRS = frozenset((verb, "SUBSCRIPTION") for verb in ("CREATE", "ALTER", "DROP"))

_OUTSIDE_PAIRS = frozenset(
    {
        ("ALTER", "SYSTEM"),
        ("CREATE", "DATABASE"),
        ("CREATE", "TABLESPACE"),
        ("DISCARD", "ALL"),
        ("DROP", "DATABASE"),
        ("DROP", "TABLESPACE"),
        ("REINDEX", "DATABASE"),
        ("REINDEX", "SCHEMA"),
        ("REINDEX", "SYSTEM"),
    }
)

CONCURRENT_HEADS = (
    ("CREATE", "INDEX", "CONCURRENTLY"),
    ("CREATE", "UNIQUE", "INDEX", "CONCURRENTLY"),
    ("DROP", "INDEX", "CONCURRENTLY"),
)

CONCURRENTLY = Token("word", "concurrently")


def placement(statement: Statement) -> Literal["inside", "either", "outside", "session"]:
    """Tell where a statement can run.

    Args:
        statement: What a file says.

    Returns:
        ``inside`` of a transaction; ``outside`` only; ``either``, which only the server knows; or
        ``session`` for what sets something for the statements behind it.

    Source:
        The calls of ``PreventInTransactionBlock`` in PostgreSQL 14 to 18.
    """
    head = statement.head
    if head[:1] and head[0] in _SESSION:
        return "session"
    if head[:1] == ("VACUUM",) or head[:2] in _OUTSIDE_PAIRS or is_concurrent(statement):
        return "outside"
    if head[:2] == ("ALTER", "DATABASE"):
        words = [token.value for token in tokens(statement.text)]
        return "outside" if words[3:5] == ["set", "tablespace"] else "inside"
    if head == ("CLUSTER",) and len(list(tokens(statement.text))) == 1:
        return "outside"
    if head[:1] and (head[0] in _EITHER or head[:2] in _EITHER_PAIRS):
        return "either"
    return "inside"


def is_concurrent(statement: Statement) -> bool:
    """Return whether a statement lets readers and writers through while it works or waits."""
    head = statement.head
    if any(head[: len(begin)] == begin for begin in CONCURRENT_HEADS):
        return True
    if head[:1] == ("REINDEX",):
        return CONCURRENTLY in tokens(statement.text)
    if head[:2] == ("ALTER", "TABLE"):
        found = list(tokens(statement.text))
        return found[-1:] == [CONCURRENTLY] and Token("word", "detach") in found
    return False


def inside_form(statement: Statement) -> str | None:
    """Return what has the same outcome in a transaction, of the same length; None if nothing has.

    An index or a detached partition comes out the same, only that others have to wait meanwhile.
    """
    if placement(statement) != "outside":
        return statement.text
    if statement.head[:1] == ("REINDEX",) or not is_concurrent(statement):
        return None
    # A reserved word: bare, it cannot be anybody's name.
    word = CONCURRENTLY.value
    at = word_offset(statement.text, word)
    return statement.text[:at] + " " * len(word) + statement.text[at + len(word) :]
