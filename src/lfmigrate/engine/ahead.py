"""Which statements of a file outside a transaction are known to lose rows before any has run. Pure.

They are tried together in a transaction that is rolled back. So that this takes no time and finds
nothing that would not be so, only the statements are tried that drop or empty something, with those
that decide what their names stand for; and none after one that may remove the rows itself.
"""

from __future__ import annotations

from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.actions import actions, created_table, endangered
from lfmigrate.syntax.scanner import Statement, tokens, word
from lfmigrate.syntax.transaction_block import placement

# What may remove rows that a later statement would lose.
_REMOVES = frozenset(["CALL", "DELETE", "DO", "EXECUTE", "MERGE", "SELECT", "UPDATE", "WITH"])

# What ALTER changes about a name, after SET or alone.
_NAMES = frozenset(["rename", "schema"])

# What ALTER takes apart: partitions, child tables, the tables of a foreign key.
_PARTS = ("detach partition", "no inherit", "drop constraint")


def known_to_lose(file: SqlFile, done: int) -> SqlFile | None:
    """Return the statements to try before the next one of a file runs; None if there is no need.

    Args:
        file: The file, which is marked no-transaction.
        done: How many of its `units` have run.
    """
    tried: list[Statement] = []
    needed = False
    for place, unit in enumerate(file.units()[done:]):
        *settings, statement = unit.statements
        if _REMOVES.intersection(statement.head[:1]) or _takes_apart(statement):
            break
        if placement(statement) == "inside" and (_loses(statement) or _names(statement)):
            tried += [*(s for s in settings if s not in tried), statement]
            # The first one is refused before it has done anything.
            needed |= place > 0 and _loses(statement)
    return file.only(*tried) if needed else None


def _loses(statement: Statement) -> bool:
    """Return whether a statement drops or empties something; a new type takes time to try."""
    found = endangered(statement)
    if found is not None:
        return found.way in {"drop", "truncate"}
    return statement.head[:1] == ("DROP",)


def _names(statement: Statement) -> bool:
    """Return whether a statement decides what a name stands for, and takes no time."""
    if created_table(statement) is not None:
        return word("as") not in tokens(statement.text)
    if statement.head[:1] != ("ALTER",):
        return False
    words = [[t.value for t, _, _ in action if t.kind == "word"] for action in actions(statement)]
    return any(_NAMES.intersection(each[:2]) for each in words)


def _takes_apart(statement: Statement) -> bool:
    """Return whether a statement may keep a later one from reaching other tables."""
    if statement.head[:1] != ("ALTER",):
        return False
    words = " ".join(token.value for token in tokens(statement.text) if token.kind == "word")
    return any(part in words for part in _PARTS)
