"""Which statements can run inside a transaction block."""

from __future__ import annotations

from typing import Literal

from lfmigrate.syntax.scanner import Statement, placed_tokens, tokens, word

_SESSION = frozenset({"SET", "RESET"})
# Here it depends on what the server finds: a partitioned table, a COMMIT in a procedure.
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
CONCURRENTLY = word("concurrently")


def placement(statement: Statement) -> Literal["inside", "either", "outside", "session"]:
    """Return where a statement can run.

    Args:
        statement: A statement of a file.

    Returns:
        ``inside`` a transaction block; ``outside`` only; ``either``, if only the server knows; or
        ``session`` if it changes a setting for the statements after it.

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
    """Return whether a statement lets others read and write while it runs or waits."""
    head = statement.head
    if any(head[: len(begin)] == begin for begin in CONCURRENT_HEADS):
        return True
    if CONCURRENTLY.value not in statement.text.lower():
        return False  # without a look at each token
    if head[:1] == ("REINDEX",):
        return CONCURRENTLY in tokens(statement.text)
    if head[:2] == ("ALTER", "TABLE"):
        found = list(tokens(statement.text))
        return found[-1:] == [CONCURRENTLY] and word("detach") in found
    return False


def inside_form(statement: Statement) -> str | None:
    """Return an equivalent that can run in a transaction block, or None if there is none.

    CONCURRENTLY is replaced by spaces, so that offsets stay valid. The index or the detached
    partition is the same; only other sessions have to wait.
    """
    if placement(statement) != "outside":
        return statement.text
    if statement.head[:1] == ("REINDEX",) or not is_concurrent(statement):
        return None
    # A reserved word: unquoted, it cannot be a name.
    text = statement.text
    begin, end = next((b, e) for token, b, e in placed_tokens(text) if token == CONCURRENTLY)
    return text[:begin] + " " * (end - begin) + text[end:]
