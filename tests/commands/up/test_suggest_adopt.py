"""A file that creates what exists, in a database without a history: the error names `adopt`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lfmigrate.errors import StatementFailed
from lfmigrate.settings import Scope
from tests.helpers.commands import up
from tests.helpers.databases import execute

# Each server has the same codes for these errors.
# What belongs to an extension differs between versions.
pytestmark = pytest.mark.two_versions

Write = Callable[[Mapping[str, str | bytes]], Path]

BASELINE = (
    'If these files were applied here before, "lfmigrate adopt --to VERSION" records them up to'
    " that version, without running them."
)
DBMATE = ("CREATE TABLE schema_migrations (version varchar PRIMARY KEY)",)
GOOSE = ("CREATE TABLE goose_db_version (id int, version_id bigint, is_applied boolean)",)


def failure(url: str, path: Path, scope: Scope | None = None) -> StatementFailed:
    with pytest.raises(StatementFailed) as caught:
        up(url, path, scope=scope)
    assert caught.value.outcome is not None
    return caught.value


@pytest.mark.parametrize(
    ("existing", "sqlstate"),
    [
        ("CREATE TABLE a (id int)", "42P07"),
        ("CREATE TYPE mood AS ENUM ('good')", "42710"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "42723"),
        ("CREATE SCHEMA app", "42P06"),
    ],
)
def test_what_exists_may_have_been_applied_before(
    database: str, folder: Write, existing: str, sqlstate: str
) -> None:
    """Whatever it is; a column needs a table that exists, which is the next test."""
    execute(database, existing)

    error = failure(database, folder({"1_a.up.sql": f"{existing};"}))

    assert (error.sqlstate, error.hint) == (sqlstate, BASELINE)


def test_so_may_a_column(database: str, folder: Write) -> None:
    execute(database, "CREATE TABLE a (id int, x int)")

    error = failure(database, folder({"1_a.up.sql": "ALTER TABLE a ADD COLUMN x int;"}))

    assert (error.sqlstate, error.hint) == ("42701", BASELINE)


@pytest.mark.parametrize(
    ("tables", "names", "hint"),
    [
        (DBMATE, ["public.schema_migrations is the table of dbmate"], "what dbmate has applied"),
        (
            (*DBMATE, *GOOSE),
            [
                "public.schema_migrations is the table of dbmate",
                "public.goose_db_version is the table of goose",
            ],
            "what one of them has applied",
        ),
        (
            # The application's own.
            (*DBMATE, "CREATE TABLE schema_version AS SELECT NULL::int AS version"),
            ["public.schema_migrations is the table of dbmate"],
            "what dbmate has applied",
        ),
    ],
)
def test_the_tool_is_named_that_has_a_table(
    database: str, folder: Write, tables: tuple[str, ...], names: list[str], hint: str
) -> None:
    execute(database, "CREATE TABLE a (id int)", *tables)

    error = failure(database, folder({"1_a.up.sql": "CREATE TABLE a (id int);"}))

    assert [line for line in error.detail if " is the table of " in line] == names
    assert error.hint is not None
    assert error.hint.startswith('"lfmigrate adopt" records')
    assert hint in error.hint


@pytest.mark.parametrize(
    ("files", "before"),
    [
        # The files do it to themselves, in a database that was empty.
        ({"1_a.up.sql": "CREATE TABLE a (id int);", "2_a.up.sql": "CREATE TABLE a (id int);"}, ""),
        # No migration has created an extension's tables.
        (
            {
                "1_a.up.sql": "CREATE EXTENSION citext; CREATE TABLE a (id int);",
                "2_a.up.sql": "CREATE TABLE a (id int);",
            },
            "CREATE EXTENSION hstore",
        ),
        # A role is the server's.
        ({"1_a.up.sql": "CREATE ROLE postgres;"}, "CREATE TABLE a (id int)"),
        # Something else is wrong.
        ({"1_a.up.sql": "SELECT 1/0;"}, "CREATE TABLE a (id int)"),
    ],
)
def test_otherwise_it_says_nothing(
    database: str, folder: Write, files: Mapping[str, str | bytes], before: str
) -> None:
    if before:
        execute(database, before)

    assert failure(database, folder(files)).hint is None


def test_with_a_history_it_says_nothing(database: str, folder: Write) -> None:
    """Nor if a file has been applied in this run: then there is one."""
    path = folder({"1_a.up.sql": "CREATE TABLE a (id int);"})
    up(database, path)
    execute(database, "CREATE TABLE b (id int)")
    (path / "2_b.up.sql").write_text("CREATE TABLE b (id int);")

    assert failure(database, path).hint is None


def test_nor_after_a_commit_of_the_same_run(database: str, folder: Write) -> None:
    execute(database, "CREATE TABLE b (id int)")
    path = folder(
        {
            "1_a.up.sql": "-- lfmigrate: no-transaction\nCREATE TABLE a (id int);",
            "2_b.up.sql": "CREATE TABLE b (id int);",
        }
    )

    assert failure(database, path).hint is None


def test_a_history_of_another_schema_is_none(database: str, folder: Write) -> None:
    up(database, folder({"1_a.up.sql": "CREATE TABLE a (id int);"}))
    execute(database, "CREATE SCHEMA app", "CREATE TABLE app.b (id int)")

    error = failure(
        database, folder({"1_b.up.sql": "CREATE TABLE b (id int);"}), Scope(schema="app")
    )

    assert error.hint == BASELINE
