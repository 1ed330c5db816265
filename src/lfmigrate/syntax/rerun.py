"""Which statements are idempotent: harmless to run again."""

from __future__ import annotations

from lfmigrate.syntax.names import Cursor
from lfmigrate.syntax.scanner import Statement

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
    found = Cursor(statement)
    found.accept("alter", "table")
    found.accept("if", "exists")
    found.accept("only")
    found.name()
    found.accept("*")
    if not found.accept("add", "column", "if", "not", "exists"):
        return False
    depth = 0
    for token in found:
        if token.kind == "other":
            depth += (token.value in "([") - (token.value in ")]")
            if token.value == "," and depth == 0:
                return False
    return True
