"""At a server's limits the outcome is sensible, and said; docs/limits.md has the large ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.conftest import Cli
from tests.helpers.databases import execute, value

Write = Callable[[Mapping[str, str | bytes]], Path]

TABLE = {"001_a.up.sql": "CREATE TABLE a (n int);", "001_a.down.sql": "DROP TABLE a;"}


def test_names_of_63_bytes_go_all_the_way(database: str, folder: Write, cli: Cli) -> None:
    """Table, column, constraint, index and view, in characters of two bytes; up, verify, down."""
    table, column, check, index = ("ä" * 30 + end for end in ("tbl", "col", "chk", "idx"))
    view = "ä" * 30 + "viu"
    path = folder(
        {
            "001_a.up.sql": f"CREATE TABLE {table} ({column} int CONSTRAINT {check}"
            f" CHECK ({column} > 0)); CREATE INDEX {index} ON {table} ({column});",
            "001_a.down.sql": f"DROP TABLE {table};",
            f"views/{view}.sql": f"CREATE OR REPLACE VIEW {view} AS SELECT {column} FROM {table};",
        }
    )
    options = ("--sql-dir", path, "--database-url", database)

    assert cli("up", "--strict", *options).returncode == 0
    assert cli("verify", *options).returncode == 0
    assert cli("rollback", "--yes", *options).returncode == 0
    assert value(database, f"SELECT to_regclass('{table}') IS NULL")


def test_an_event_trigger_that_refuses_ddl_is_heard(database: str, folder: Write, cli: Cli) -> None:
    """Its own words, exit code 4, nothing changed."""
    execute(
        database,
        """CREATE FUNCTION frozen() RETURNS event_trigger LANGUAGE plpgsql AS
           $$BEGIN RAISE EXCEPTION 'no changes until Monday'; END$$""",
        "CREATE EVENT TRIGGER frozen ON ddl_command_start EXECUTE FUNCTION frozen()",
    )

    done = cli("up", "--sql-dir", folder(TABLE), "--database-url", database)

    assert done.returncode == 4
    assert "no changes until Monday" in done.stderr
    assert "Nothing was changed." in done.stderr


def test_a_server_without_room_is_waited_for_and_then_named(
    server_url: str, database: str, folder: Write, cli: Cli
) -> None:
    """Too many connections pass; when they do not, it is said what to do."""
    role = f"lf_role_{uuid4().hex[:12]}"
    execute(server_url, f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
    url = make_conninfo(database, user=role)
    path = folder(TABLE)
    try:
        with psycopg.connect(url):
            done = cli("status", "--wait", "1", "--sql-dir", path, "--database-url", url)
        later = cli("status", "--sql-dir", path, "--database-url", url)
    finally:
        execute(server_url, f"DROP ROLE {role}")

    assert done.returncode == 4
    assert "has too many connections" in done.stderr
    assert "retrying for 1 s" in done.stderr
    assert "--wait" in done.stderr
    assert later.returncode == 0


# The place is drawn on this side of the connection.
@pytest.mark.any_version
def test_a_line_of_megabytes_is_shown_around_the_place(
    database: str, folder: Write, cli: Cli
) -> None:
    """The caret stands below its character all the same."""
    text = f"SELECT '{'x' * 5_000_000}', nothing, '{'y' * 5_000_000}'"

    done = cli("up", "--sql-dir", folder({"001_a.up.sql": text}), "--database-url", database)

    assert done.returncode == 4
    assert len(done.stderr) < 1_000
    source, caret = (
        line for line in done.stderr.splitlines() if "nothing, " in line or "^" in line
    )
    assert source[caret.index("^") :].startswith("nothing, ")
