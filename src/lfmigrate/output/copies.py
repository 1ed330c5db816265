"""The tables that `backup`, `restore` and `seed` share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lfmigrate.output.page import Page, counted, size
from lfmigrate.output.tables import Column
from lfmigrate.rows.dump import Emptied
from lfmigrate.rows.saved import SavedTable


def draw_saved(page: Page, tables: Sequence[SavedTable]) -> None:
    """Write a row per table of a backup, and a blank line."""
    columns = (
        Column("", drop=1),
        Column("Table", wraps=True),
        Column("Rows", number=True),
        Column("CSV", number=True, drop=2),
    )
    page.table(
        columns,
        [
            (str(number), table.name, f"{table.rows:,}", size(table.bytes))
            for number, table in enumerate(tables, 1)
        ],
    )
    page.blank()


def draw_truncated(page: Page, tables: Sequence[Emptied], *, done: bool) -> None:
    """Write a row per table that is truncated, and a blank line."""
    rows = sum(table.rows for table in tables)
    count = f"{counted(len(tables), 'table')}, {counted(rows, 'row')}"
    page.line(("truncated" if done else "would be truncated", "bold"), f": {count}")
    page.table(
        (Column("Kind", drop=1), Column("Name", wraps=True), Column("Rows", number=True)),
        [("table", table.name, f"{table.rows:,}") for table in tables],
    )
    page.blank()


def saved_json(tables: Sequence[SavedTable]) -> list[dict[str, Any]]:
    """Return the tables of a backup as JSON."""
    return [
        {"schema": t.schema, "name": t.name, "rows": t.rows, "sha256": t.sha256} for t in tables
    ]


def truncated_json(tables: Sequence[Emptied]) -> list[dict[str, Any]]:
    """Return the tables that are truncated as JSON."""
    return [{"schema": t.schema, "name": t.name, "rows": t.rows} for t in tables]
