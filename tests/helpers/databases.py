"""Direct access to a database, independent of lfmigrate."""

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


def fetch(url: str, query: str) -> list[Any]:
    """Return a query's rows; bare values if it has one column."""
    with psycopg.connect(url, autocommit=True) as conn:
        rows = conn.execute(query.encode()).fetchall()
    return [row[0] if len(row) == 1 else row for row in rows]


def has_history(url: str) -> bool:
    """Say whether there is a schema of lfmigrate's own."""
    return bool(value(url, "SELECT to_regnamespace('lfmigrate') IS NOT NULL"))


def history(url: str) -> list[Any]:
    """Return the events of the history, in order."""
    return fetch(url, "SELECT to_jsonb(h) FROM lfmigrate.lfmigrate_history AS h ORDER BY id")


def files_in_history(url: str) -> list[str]:
    """Return the file of each event of the history, in order."""
    if not has_history(url):
        return []
    return fetch(url, "SELECT file FROM lfmigrate.lfmigrate_history ORDER BY id")
