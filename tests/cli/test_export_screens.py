"""What people see of `export`, whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.conftest import Cli, Golden
from tests.helpers.commands import up
from tests.helpers.databases import execute

# What is printed is decided on this side of the connection.
pytestmark = pytest.mark.any_version

Write = Callable[[Mapping[str, str | bytes]], Path]


def test_export_reads_as_it_should(
    cli: Cli, database: str, folder: Write, expect_golden: Golden, tmp_path: Path
) -> None:
    path = folder(
        {
            "001_orders.up.sql": "CREATE TABLE orders (id int);",
            "002_order_lines.up.sql": "CREATE TABLE order_lines (id int);",
            "views/v_orders.sql": "CREATE OR REPLACE VIEW v_orders AS SELECT id FROM orders;",
        }
    )
    up(database, path)
    path.rename(tmp_path / "cwd" / "sql")
    where = ("export", "--database-url", database, "--sql-dir", "sql")

    tried = cli(*where, "--to", "golang-migrate", "--dry-run")
    done = cli(*where, "--to", "sqlx")
    execute(database, "INSERT INTO _sqlx_migrations VALUES (3, 'c', now(), true, '', 0)")
    refused = cli(*where, "--to", "sqlx")

    assert (tried.returncode, done.returncode, refused.returncode) == (0, 0, 5)
    said = (each.stdout + each.stderr for each in (tried, done, refused))
    expect_golden("export", "\n".join(said))


def test_a_shell_completes_the_tools(cli: Cli) -> None:
    asked = {"_LFMIGRATE_COMPLETE": "complete_bash", "COMP_CWORD": "3"}

    done = cli(env={**asked, "COMP_WORDS": "lfmigrate export --to go"})

    assert done.stdout.split() == ["golang-migrate", "goose"]
