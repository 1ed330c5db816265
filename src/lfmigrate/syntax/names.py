"""Names in SQL text, quoted and unquoted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lfmigrate.syntax.scanner import Statement, Token, tokens, word
from lfmigrate.syntax.transaction_block import CONCURRENT_HEADS, CONCURRENTLY


def quote_name(name: str) -> str:
    """Return a name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class Name:
    """A name in a statement, unquoted; ``schema`` is None if the name is unqualified."""

    schema: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Indexing:
    """What CREATE or DROP INDEX CONCURRENTLY does.

    Attributes:
        way: ``create`` or ``drop``.
        indexes: Their names; empty if the server chooses one.
        table: The table that is indexed; None for a drop.
    """

    way: Literal["create", "drop"]
    indexes: tuple[Name, ...]
    table: Name | None


def indexing(statement: Statement) -> Indexing | None:
    """Return what CREATE or DROP INDEX CONCURRENTLY does; None for any other statement."""
    if not any(statement.head[: len(begin)] == begin for begin in CONCURRENT_HEADS):
        return None
    found = list(tokens(statement.text))
    found = found[found.index(CONCURRENTLY) + 1 :]
    condition = ["not", "exists"] if statement.head[0] == "CREATE" else ["exists"]
    condition = ["if", *condition]
    if [token.value for token in found[: len(condition)]] == condition:
        found = found[len(condition) :]
    named = names(found)
    if statement.head[0] == "DROP":
        return Indexing("drop", tuple(named), None)
    on = found.index(word("on"))
    table = names([token for token in found[on + 1 :] if token != word("only")])[0]
    return Indexing("create", tuple(names(found[:on])), table)


def names(found: list[Token]) -> list[Name]:
    """Return all words and quoted names among tokens, each with the schema that qualifies it."""
    result: list[Name] = []
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
        result.append(Name(chain[-2] if len(chain) > 1 else None, chain[-1]))
        place += 1
    return result
