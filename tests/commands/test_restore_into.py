"""An old backup is looked at next to the current data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

import lfmigrate
from lfmigrate.commands.restore import RestoreReport
from lfmigrate.errors import Refused, UsageError
from tests.conftest import Cli
from tests.helpers.commands import up
from tests.helpers.databases import execute, fetch, value

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]

FILES = {
    "001_a.up.sql": """
        CREATE SCHEMA other;
        CREATE TYPE mood AS ENUM ('sad', 'glad');
        CREATE TYPE pair AS (a int, b mood);
        CREATE DOMAIN share AS numeric(12, 4);
        CREATE TABLE a (
            id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, feeling mood, both_of pair,
            part share CHECK (part >= 0), parts share[], amount numeric(12, 4),
            twice int GENERATED ALWAYS AS (2) STORED
        );
        INSERT INTO a (feeling, both_of, part, parts, amount)
            VALUES ('sad', '(1,glad)', 0.1234, '{0.5}', 1.2345);
        CREATE TABLE other.a (id int REFERENCES a);
        INSERT INTO other.a VALUES (1), (NULL);
        CREATE TABLE bare ();
        INSERT INTO bare DEFAULT VALUES;
    """
}


def load_into(url: str, folder: Path, path: Path, schema: str) -> RestoreReport:
    """Restore a backup into a schema of its own."""
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.restore(conn, lfmigrate.read_folder(folder), path, into=schema)


@pytest.fixture
def saved(database: str, folder: Write, tmp_path: Path) -> tuple[str, Path, Path]:
    """Return a database, its folder and a backup."""
    files = folder(FILES)
    up(database, files)
    with closing(lfmigrate.connect(database)) as conn:
        report = lfmigrate.backup(conn, lfmigrate.read_folder(files), out=tmp_path / "out")
    return database, files, report.path


def test_the_rows_are_in_tables_of_the_same_columns(
    saved: tuple[str, Path, Path], dump: Dump
) -> None:
    """Under the saved types, in a schema that is created; nothing else is touched."""
    url, files, path = saved
    execute(url, "UPDATE a SET amount = 9")
    before = dump(url, rows=True)

    report = load_into(url, files, path, "Old")

    row = '(1,sad,"(1,glad)",0.1234,{0.5000},1.2345)'
    assert value(url, 'SELECT a::text FROM "Old".a') == row
    assert fetch(url, 'SELECT id FROM "Old".other_a ORDER BY id') == [1, None]
    assert value(url, 'SELECT count(*) FROM "Old".bare') == 1
    assert {(t.schema, t.name, t.rows) for t in report.tables} == {
        ("Old", "a", 1), ("Old", "other_a", 2), ("Old", "bare", 1),
    }  # fmt: skip
    assert fetch(
        url,
        "SELECT attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = '\"Old\".a'::regclass AND attnum > 0 ORDER BY attnum",
    ) == ["id integer", "feeling mood", "both_of pair", "part numeric(12,4)", "parts text",
          "amount numeric(12,4)"]  # fmt: skip
    assert [note.split(" is text: ")[0] for note in report.notes] == ["column Old.a.parts"]
    execute(url, 'DROP SCHEMA "Old" CASCADE')
    assert dump(url, rows=True) == before


def test_types_that_are_gone_or_redefined_are_text(saved: tuple[str, Path, Path]) -> None:
    """The values are those that were saved."""
    url, files, path = saved
    execute(
        url,
        "DROP TABLE other.a, a, bare",
        "DROP TYPE pair",
        "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
        "DROP DOMAIN share",
    )

    report = load_into(url, files, path, "old")

    assert fetch(url, "SELECT feeling, both_of, part::text, parts FROM old.a") == [
        ("sad", "(1,glad)", "0.1234", "{0.5000}")
    ]
    assert [note.split(": ")[1] for note in report.notes] == [
        "type public.mood is defined in another way, or has a domain in it",
        "type public.pair does not exist",
        "type public.share[] does not exist",
    ]


def test_a_backup_of_another_database_can_be_looked_at(
    saved: tuple[str, Path, Path], create_database: Callable[..., str], cli: Cli
) -> None:
    """Of one without any of its types as well, with a role that may create a schema."""
    other = create_database()
    done = cli("restore", saved[2], "--into", "old", "--sql-dir", saved[1], "--database-url", other)
    assert done.returncode == 0, done.stderr
    assert value(other, "SELECT amount::text FROM old.a") == "1.2345"
    assert "column old.a.feeling is text: type public.mood does not exist" in done.stderr


def test_relations_of_the_schema_are_left_alone(saved: tuple[str, Path, Path]) -> None:
    """A view of the name, too; and the schema that the rows came from is not taken for another."""
    url, files, path = saved
    execute(url, "CREATE SCHEMA old", "CREATE VIEW old.bare AS SELECT 1")
    with pytest.raises(Refused, match='schema "old" has relations of these names') as caught:
        load_into(url, files, path, "old")
    assert caught.value.detail == ("old.bare",)
    with pytest.raises(Refused, match='schema "public" has relations of these names'):
        load_into(url, files, path, "public")
    assert value(url, "SELECT to_regclass('old.a') IS NULL")


@pytest.mark.any_version  # refused before anything is sent
def test_into_and_replace_exclude_each_other(saved: tuple[str, Path, Path], cli: Cli) -> None:
    """One leaves the tables alone, the other empties them."""
    url, files, path = saved
    options = ("--sql-dir", files, "--database-url", url)
    done = cli("restore", path, "--into", "old", "--replace", *options)
    assert done.returncode == UsageError.exit_code
    assert "--into and --replace exclude each other" in done.stderr
    with psycopg.connect(url) as conn:
        assert conn.execute("SELECT count(*) FROM a").fetchone() == (1,)
