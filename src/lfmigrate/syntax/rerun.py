"""Which statements are idempotent: harmless to run again."""

from __future__ import annotations

from lfmigrate.syntax.scanner import Statement, Token, tokens, word

# CREATE of these is idempotent with IF NOT EXISTS.
_OPTIONAL_KINDS = (
    ("TABLE",),
    ("UNLOGGED", "TABLE"),
    ("FOREIGN", "TABLE"),
    ("INDEX",),
    ("INDEX", "CONCURRENTLY"),
    ("UNIQUE", "INDEX"),
    ("UNIQUE", "INDEX", "CONCURRENTLY"),
    ("SEQUENCE",),
    ("SCHEMA",),
    ("EXTENSION",),
    ("MATERIALIZED", "VIEW"),
    ("STATISTICS",),
)

_REPEATABLE_HEADS = frozenset(
    ("CREATE", *kind, "IF", "NOT", "EXISTS") for kind in _OPTIONAL_KINDS
) | {("CREATE", "OR", "REPLACE"), ("COMMENT", "ON"), ("SET",), ("RESET",)}


def is_repeatable(statement: Statement) -> bool:
    """Return whether a statement does no harm when it runs again."""
    head = statement.head
    if any(head[:length] in _REPEATABLE_HEADS for length in range(1, len(head) + 1)):
        return True
    return head[:2] == ("ALTER", "TABLE") and _only_adds_a_missing_column(statement)


def _only_adds_a_missing_column(statement: Statement) -> bool:
    """Return whether an ALTER TABLE is one ADD COLUMN IF NOT EXISTS and nothing else."""
    found = list(tokens(statement.text))[2:]
    at = 2 if found[:2] == [word("if"), word("exists")] else 0
    at += found[at : at + 1] == [word("only")]
    while found[at + 1 : at + 2] == [Token("other", ".")]:
        at += 2
    at += 2 if found[at + 1 : at + 2] == [Token("other", "*")] else 1
    action = ["add", "column", "if", "not", "exists"]
    if found[at : at + len(action)] != [word(each) for each in action]:
        return False
    depth = 0
    for token in found[at:]:
        if token.kind == "other":
            depth += (token.value in "([") - (token.value in ")]")
            if token.value == "," and depth == 0:
                return False
    return True
