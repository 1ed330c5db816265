"""Direct access to a database, independent of lfmigrate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

# Before, CREATE DATABASE knew no other way than to copy files, and no word for it.
_HAS_STRATEGIES = 150_000


def create_database(server_url: str, name: str, template: str = "template0") -> str:
    """Create a database on a superuser's server, and return its URL.

    By copying files: writing each page to the WAL takes a small database three times as long.
    """
    with psycopg.connect(server_url, autocommit=True) as conn:
        conn.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}{}").format(
                sql.Identifier(name),
                sql.Identifier(template),
                sql.SQL(
                    " STRATEGY FILE_COPY" if conn.info.server_version >= _HAS_STRATEGIES else ""
                ),
            )
        )
    return make_conninfo(server_url, dbname=name)


def drop_databases(server_url: str, *names: str) -> None:
    """Drop databases, and end the sessions in them."""
    with psycopg.connect(server_url, autocommit=True) as conn:
        for name in names:
            conn.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


@contextmanager
def new_database(server_url: str, template: str = "template0") -> Iterator[str]:
    """Create a database, yield its name, and drop it afterwards."""
    name = f"lf_test_{uuid4().hex[:12]}"
    create_database(server_url, name, template)
    try:
        yield name
    finally:
        drop_databases(server_url, name)


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
