"""Which statements may change a setting, and which may skip what already exists."""

from __future__ import annotations

from lfmigrate.syntax.scanner import Statement, tokens

_DDL = frozenset({"CREATE", "ALTER", "DROP", "COMMENT", "GRANT", "REVOKE"})

_CREATE_NOTHING = frozenset(
    {"SET", "RESET", "INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "COPY", "ANALYZE"}
)

# With one of these, DDL runs a query, which may call anything.
_QUERY = frozenset({"select", "with", "values", "execute", "set_config"})


def may_set(statement: Statement) -> bool:
    """Return whether a statement may change a setting: anything but DDL without a query."""
    if statement.head[:1] and statement.head[0] in _DDL:
        return any(t.kind == "word" and t.value in _QUERY for t in tokens(statement.text))
    return True


def may_skip(statement: Statement) -> bool:
    """Return whether a statement may raise the notice that something already exists."""
    return not statement.head or statement.head[0] not in _CREATE_NOTHING
