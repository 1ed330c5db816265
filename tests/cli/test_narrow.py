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
