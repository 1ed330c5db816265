"""Tables in 40 columns: columns are dropped before a name is broken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.conftest import Cli

# A table is laid out on this side of the connection.
pytestmark = pytest.mark.any_version

Write = Callable[[Mapping[str, str | bytes]], Path]

FILES = {
    "001_orders.up.sql": "CREATE TABLE orders (id int PRIMARY KEY);",
    "002_prices.up.sql": "CREATE TABLE prices (id int);",
    "views/v_open_orders.sql": "CREATE OR REPLACE VIEW v_open_orders AS SELECT id FROM orders;",
}


@pytest.mark.parametrize(
    ("command", "names"),
    [("up", ["orders", "v_open_orders"]), ("status", ["orders", "prices"])],
)
def test_short_names_stay_whole_and_no_line_is_wider(
    command: str, names: list[str], database: str, cli: Cli, folder: Write
) -> None:
    """Counts, times and roles give way; the name and the status stay."""
    options = ("--database-url", database, "--sql-dir", folder(FILES))
    if command == "status":
        assert cli("up", *options).returncode == 0

    done = cli(command, *options, env={"COLUMNS": "40"})

    lines = done.stdout.splitlines()
    assert max(map(cell_len, lines)) <= 40
    for name in names:
        assert any(name in line.split() for line in lines), name


def test_what_would_be_lost_keeps_kind_and_rows(database: str, cli: Cli, folder: Write) -> None:
    """Whether a table is dropped or its rows are changed is what the question is about."""
    files = {
        "001_a.up.sql": "CREATE TABLE customers_of_yesterday (id int);"
        "INSERT INTO customers_of_yesterday VALUES (1), (2)",
        "002_b.up.sql": "SELECT 1",
        "002_b.down.sql": "DELETE FROM customers_of_yesterday WHERE id = 1;"
        "UPDATE customers_of_yesterday SET id = 3",
    }
    options = ("--database-url", database, "--sql-dir", folder(files))
    assert cli("up", *options).returncode == 0

    done = cli("rollback", *options, env={"COLUMNS": "40"})

    assert done.returncode == 5
    assert max(map(cell_len, (done.stdout + done.stderr).splitlines())) <= 40
    table = done.stdout.partition("Kind")[2].splitlines()[2:4]
    assert [line[:12].split() for line in table] == [["deleted", "and"], ["changed", "rows"]]
    assert "2" in table[0].split()
    assert "would be rolled back" in done.stdout
