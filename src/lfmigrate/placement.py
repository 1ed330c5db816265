"""Where a statement can run: inside a transaction, or only outside of one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lfmigrate.lexer import Statement, Token, tokens, word_offset

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
_CONCURRENT_HEADS = (
    ("CREATE", "INDEX", "CONCURRENTLY"),
    ("CREATE", "UNIQUE", "INDEX", "CONCURRENTLY"),
    ("DROP", "INDEX", "CONCURRENTLY"),
)
_CONCURRENTLY = Token("word", "concurrently")


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
    if any(head[: len(begin)] == begin for begin in _CONCURRENT_HEADS):
        return True
    if head[:1] == ("REINDEX",):
        return _CONCURRENTLY in tokens(statement.text)
    if head[:2] == ("ALTER", "TABLE"):
        found = list(tokens(statement.text))
        return found[-1:] == [_CONCURRENTLY] and Token("word", "detach") in found
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
    word = _CONCURRENTLY.value
    at = word_offset(statement.text, word)
    return statement.text[:at] + " " * len(word) + statement.text[at + len(word) :]


@dataclass(frozen=True, slots=True)
class Name:
    """A name as a statement says it, unquoted; ``schema`` is None where it says none."""

    schema: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Indexing:
    """What a statement does to indexes by name, concurrently.

    Attributes:
        way: ``create`` or ``drop``.
        indexes: Their names; empty if the server is to choose one.
        table: What is indexed; None for a drop.
    """

    way: Literal["create", "drop"]
    indexes: tuple[Name, ...]
    table: Name | None


def indexing(statement: Statement) -> Indexing | None:
    """Return what a CREATE or DROP INDEX CONCURRENTLY says; None for any other statement."""
    if not any(statement.head[: len(begin)] == begin for begin in _CONCURRENT_HEADS):
        return None
    found = list(tokens(statement.text))
    found = found[found.index(_CONCURRENTLY) + 1 :]
    condition = ["not", "exists"] if statement.head[0] == "CREATE" else ["exists"]
    condition = ["if", *condition]
    if [token.value for token in found[: len(condition)]] == condition:
        found = found[len(condition) :]
    named = names(found)
    if statement.head[0] == "DROP":
        return Indexing("drop", tuple(named), None)
    on = found.index(Token("word", "on"))
    behind = found[on + 1 :]
    if behind[:1] == [Token("word", "only")]:
        behind = behind[1:]
    return Indexing("create", tuple(names(found[:on])), names(behind)[0])


def names(found: list[Token]) -> list[Name]:
    """Return all words and quoted names among tokens, each with the schema before its dot."""
    said: list[Name] = []
    place = 0
    while place < len(found):
        if found[place].kind not in {"word", "quoted"}:
            place += 1
            continue
        chain = [found[place].value]
        while (
            found[place + 1 : place + 2] == [Token("other", ".")]
            and found[place + 2 : place + 3]
            and found[place + 2].kind in {"word", "quoted"}
        ):
            chain.append(found[place + 2].value)
            place += 2
        said.append(Name(chain[-2] if len(chain) > 1 else None, chain[-1]))
        place += 1
    return said
