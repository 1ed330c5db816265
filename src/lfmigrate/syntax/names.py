"""Names in SQL text, quoted and unquoted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lfmigrate.syntax.scanner import Statement, Token, tokens
from lfmigrate.syntax.transaction_block import CONCURRENT_HEADS, CONCURRENTLY


def quote_name(name: str) -> str:
    """Return a name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


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
