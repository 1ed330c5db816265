"""What `adopt` shows and asks, and what it does with a dump."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.conftest import Cli, Golden
from tests.helpers.databases import execute, has_history

pytestmark = pytest.mark.any_version

Write = Callable[[Mapping[str, str | bytes]], Path]

A = "CREATE TABLE customers (id int PRIMARY KEY, name text);"
FILES = {
    "1_customers.sql": A,
    "2_orders.sql": "CREATE TABLE orders (id int REFERENCES customers);",
    "3_shipments.sql": "CREATE TABLE shipments (id int);",
}
TABLE = (
    "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL);"
    "INSERT INTO schema_migrations VALUES (2, false);"
)


def test_an_adoption_reads_as_it_should(
    cli: Cli, database: str, folder: Write, expect_golden: Golden, tmp_path: Path
) -> None:
    """What differs, with how to go on; and then what was accepted."""
    where = ("--sql-dir", "sql", "--database-url", database)
    folder(FILES).rename(tmp_path / "cwd" / "sql")
    execute(database, A, TABLE, "CREATE TABLE orders (id bigint)")

    refused = cli("adopt", "--yes", *where)
    done = cli("adopt", "--yes", "--accept-drift", *where)

    assert (refused.returncode, done.returncode) == (3, 0)
    expect_golden("adopt_differs", refused.stdout + refused.stderr)
    expect_golden("adopt_accepts", done.stdout + done.stderr)


def test_an_adoption_has_to_be_confirmed(cli: Cli, database: str, folder: Write) -> None:
    """Without a terminal it is refused, after the preview; the JSON document has it, too."""
    where = ("--sql-dir", folder(FILES), "--database-url", database)
    execute(database, A, FILES["2_orders.sql"], TABLE)

    done = cli("adopt", *where)
    document = json.loads(cli("adopt", "--json", *where).stdout)

    assert done.returncode == 5
    assert done.stdout.startswith("adopt preview: database ")
    assert document["error"]["code"] == "refused"
    assert [m["status"] for m in document["migrations"]] == ["planned", "planned", "pending"]
    assert document["other_tool"] == {"name": "golang-migrate", "table": "public.schema_migrations"}
    assert not has_history(database)


def test_only_problems_are_shown_with_q(cli: Cli, database: str, folder: Write) -> None:
    """As by every command."""
    where = ("--sql-dir", folder(FILES), "--database-url", database)
    execute(database, A, FILES["2_orders.sql"], TABLE)

    done = cli("adopt", "--yes", "-q", *where)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


DUMP = r"""\restrict x1
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.customers (id integer NOT NULL, name text);
ALTER TABLE public.customers OWNER TO someone_else;
ALTER TABLE ONLY public.customers ADD CONSTRAINT customers_pkey PRIMARY KEY (id);
\unrestrict x1
"""


def test_a_dump_becomes_the_file_that_new_databases_run(
    cli: Cli, database: str, create_database: Callable[[], str], tmp_path: Path
) -> None:
    """The database that it was made of is adopted; a dry run writes no file."""
    path = tmp_path / "sql"
    (tmp_path / "dump.sql").write_text(DUMP)
    execute(database, A)
    options = ("adopt", "--schema-only", tmp_path / "dump.sql", "--yes", "--sql-dir", path)

    tried = cli(*options, "--dry-run", "--database-url", database)
    assert (tried.returncode, path.exists()) == (0, False)
    done = cli(*options, "--database-url", database)

    assert done.returncode == 0, done.stderr
    assert (path / "001_baseline.sql").is_file()
    again = cli(*options, "--database-url", database)
    assert (again.returncode, "has a baseline already" in again.stderr) == (2, True)
    other = create_database()
    assert cli("up", "--sql-dir", path, "--database-url", other).returncode == 0
    for url in (database, other):
        assert cli("verify", "--sql-dir", path, "--database-url", url).returncode == 0


def test_a_dump_of_another_schema_leaves_no_file(cli: Cli, database: str, tmp_path: Path) -> None:
    """Nothing is recorded, either."""
    path = tmp_path / "sql"
    (tmp_path / "dump.sql").write_text(DUMP)

    done = cli(
        "adopt", "--schema-only", tmp_path / "dump.sql", "--yes", "--sql-dir", path,
        "--database-url", database,
    )  # fmt: skip

    assert done.returncode == 3
    assert not path.exists()
    assert not has_history(database)


def test_a_dump_needs_a_folder_and_no_version(cli: Cli, database: str) -> None:
    """The package's own is never written to."""
    where = ("--schema-only", "dump.sql", "--database-url", database)

    assert cli("adopt", *where).returncode == 2
    assert cli("adopt", *where, "--to", "1", "--sql-dir", "sql").returncode == 2
