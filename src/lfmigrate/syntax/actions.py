"""The actions of ALTER statements, and which tables a statement drops, empties or retypes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lfmigrate.syntax.names import Cursor, Name, stored_name
from lfmigrate.syntax.scanner import Statement, Token, placed_tokens, tokens, word

# What has parts that can be dropped.
_WITH_ACTIONS = frozenset({("ALTER", "TABLE"), ("ALTER", "TYPE"), ("ALTER", "DOMAIN")})

# What they do is in their text.
_SAYS_ALL = frozenset(["ALTER", "COMMENT", "CREATE", "GRANT", "REVOKE", "SET"])

# What begins a constraint after ADD.
_CONSTRAINTS = frozenset(["constraint", "check", "unique", "primary", "exclude", "foreign", "not"])

# What gives a new column a value in each row.
_GIVES_VALUES = frozenset(
    ["default", "generated", "serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"]
)

# What may follow SET where the table gets another file.
_REWRITTEN_BY_SET = frozenset(["logged", "unlogged", "tablespace", "access", "expression"])

# Whatever else they do, they drop no relation by themselves.
_PLAIN = frozenset(
    {
        "ALTER",
        "COMMENT",
        "CREATE",
        "DELETE",
        "GRANT",
        "INSERT",
        "REVOKE",
        "SET",
        "TRUNCATE",
        "UPDATE",
    }
)

_BEFORE_NAME = (word("if"), word("exists"), word("only"))


Action = Sequence[tuple[Token, int, int]]


def actions(statement: Statement) -> list[Action]:
    """Return the actions of an ALTER of a table, a type or a domain, with their places.

    There are several in ``ALTER TABLE a DROP COLUMN b, DROP CONSTRAINT c``; none in any other
    statement.
    """
    head = statement.head
    if head[:3] == ("ALTER", "FOREIGN", "TABLE"):
        found = list(placed_tokens(statement.text))[3:]
    elif head[:2] in _WITH_ACTIONS:
        found = list(placed_tokens(statement.text))[2:]
    else:
        return []
    place = 0
    while place < len(found) and found[place][0] in _BEFORE_NAME:
        place += 1
    place += 1
    while found[place : place + 1] and found[place][0] == Token("other", "."):
        place += 2
    listed: list[list[tuple[Token, int, int]]] = [[]]
    depth = 0
    for token, begin, end in found[place:]:
        if token.kind == "other":
            depth += (token.value in "([") - (token.value in ")]")
            if token.value == "*" and not listed[0]:
                continue  # after the name: with child tables
            if token.value == "," and depth == 0:
                listed.append([])
                continue
        listed[-1].append((token, begin, end))
    return list(listed)


@dataclass(frozen=True, slots=True)
class Endangered:
    """The tables whose rows a statement drops, deletes as a whole, retypes or rewrites.

    Attributes:
        way: ``drop`` a table or columns, ``truncate``, ``retype`` columns, or ``rewrite`` what does
            not lose anything by it.
        tables: As the statement names them; other words of it may be among them.
        columns: Those that are retyped.
        only_adds: Whether it only adds columns without a value, which rewrites nothing.
    """

    way: Literal["drop", "truncate", "retype", "rewrite"]
    tables: tuple[Name, ...]
    columns: tuple[str, ...] = ()
    only_adds: bool = False


def endangered(statement: Statement) -> Endangered | None:
    """Return which tables a statement endangers by name; None for any other statement.

    What reaches tables in other ways, such as CASCADE or a DO block, is not seen in the text.
    """
    found = Cursor(statement)
    found.take()
    head = statement.head
    if head[:2] == ("DROP", "TABLE"):
        found.take()
        found.accept("if", "exists")
        return Endangered("drop", tuple(found.names()))
    if head[:1] == ("TRUNCATE",):
        found.skip({"table", "only"})
        return Endangered("truncate", tuple(found.names()))
    if head[:1] == ("CLUSTER",):
        return Endangered("rewrite", tuple(found.names()))
    return _altered(statement, found) if head[:2] == ("ALTER", "TABLE") else None


def _altered(statement: Statement, found: Cursor) -> Endangered | None:
    """Return which table an ALTER TABLE endangers; the cursor is after its first word."""
    listed = actions(statement)
    words = [[t.value for t, _, _ in action if t.kind == "word"] for action in listed]
    retyped = [
        action
        for action, each in zip(listed, words, strict=True)
        if each[:1] == ["alter"] and "type" in each
    ]
    drops = any(each[:1] == ["drop"] and each[1:2] != ["constraint"] for each in words)
    if not retyped and not drops and not any(map(_may_rewrite, words)):
        return None
    found.take()
    found.skip({"if", "exists", "only"})
    table = found.name()
    if table is None:
        return None
    if not retyped:
        adds = all(each[:1] == ["add"] and _GIVES_VALUES.isdisjoint(each) for each in words)
        return Endangered("drop" if drops else "rewrite", (table,), only_adds=adds)
    return Endangered("retype", (table,), tuple(map(_column, retyped)))


def _may_rewrite(words: Sequence[str]) -> bool:
    """Return whether an action may add a column or rewrite the table."""
    if words[:1] == ["add"]:
        return not _CONSTRAINTS.intersection(words[1:2])
    return "set" in words and not _REWRITTEN_BY_SET.isdisjoint(words)


def created_table(statement: Statement) -> Name | None:
    """Return the table that a statement creates, or fails to; None for any other statement."""
    if statement.head[:1] != ("CREATE",):
        return None
    found = Cursor(statement)
    found.take()
    found.skip({"global", "local", "temp", "temporary", "unlogged"})
    if not found.accept("table") or found.accept("if"):
        return None
    return found.name()


def _column(action: Action) -> str:
    """Return the column that an ALTER of one names."""
    place = 2 if action[1][0] == Token("word", "column") else 1
    return stored_name(action[place][0].value)


def may_do_more(statement: Statement) -> bool:
    """Return whether a statement may do more than it says: by a trigger, a function or a block."""
    return not _SAYS_ALL.intersection(statement.head[:1])


def dropped_database(statement: Statement) -> str | None:
    """Return the database that a statement drops; None for any other statement."""
    if statement.head[:2] != ("DROP", "DATABASE"):
        return None
    found = Cursor(statement)
    found.skip({"drop", "database", "if", "exists"})
    name = found.name()
    return None if name is None else name.name


def runs_other_statements(statement: Statement) -> bool:
    """Return whether a statement may drop relations that it does not name."""
    head = statement.head
    if head[:1] == ("DROP",):
        return any(
            t.kind == "word" and t.value in {"cascade", "owned"} for t in tokens(statement.text)
        )
    return not _PLAIN.intersection(head[:1])
