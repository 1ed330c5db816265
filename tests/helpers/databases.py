"""What the tests do to a database, beside lfmigrate."""

from __future__ import annotations

from typing import Any

import psycopg


def execute(url: str, *statements: str) -> None:
    """Run statements, each committed."""
    with psycopg.connect(url, autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement.encode())


def value(url: str, query: str) -> Any:
    """Return the one value of a query."""
    with psycopg.connect(url, autocommit=True) as conn:
        row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]
