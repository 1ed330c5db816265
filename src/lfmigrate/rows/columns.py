"""Restores single columns of tables that have kept their rows, by primary key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lfmigrate.catalog.tables import Column, Table
from lfmigrate.postgres.pipeline import Flight, Query
from lfmigrate.rows.dump import listed
from lfmigrate.rows.retyped import Staged
from lfmigrate.rows.saved import SavedTable
from lfmigrate.syntax.names import quote_name


@dataclass(frozen=True, slots=True)
class RestoredColumns:
    """Columns that are restored in rows that a table has.

    Attributes:
        schema: The table's schema.
        name: The table's name.
        columns: The names of the columns.
        rows: The number of rows that get another value.
        overwritten: How many of them have a value that is neither the column's default nor NULL.
        missing: The number of rows in the backup that the table does not have.
    """

    schema: str
    name: str
    columns: tuple[str, ...]
    rows: int
    overwritten: int = 0
    missing: int = 0


def by_primary_key(saved: SavedTable, table: Table) -> bool:
    """Return whether a backup has columns of a table that can be restored by its primary key."""
    then = {name for name, _ in saved.columns} - set(saved.dropped)
    return bool(saved.dropped) and bool(table.primary_key) and then.issuperset(table.primary_key)


def count_columns(saved: SavedTable, table: Table, staged: Staged) -> Query[RestoredColumns]:
    """Ask which rows would get another value. Only reads.

    Args:
        saved: The table as it was saved.
        table: The table as it is now, read under an empty search path.
        staged: The saved rows, in a temporary table.
    """
    dropped = _columns(saved, table)
    differs = " OR ".join(_differs(column, staged) for column in dropped)
    edited = " OR ".join(
        f"({_differs(column, staged)} AND {_is_edited(column)})" for column in dropped
    )
    return Query(
        f"SELECT jsonb_build_array(count(*) FILTER (WHERE {_found(table)} AND ({differs})),"
        f" count(*) FILTER (WHERE {_found(table)} AND ({edited})),"
        f" count(*) FILTER (WHERE NOT {_found(table)}))"
        f" FROM {staged.name} AS s LEFT JOIN {listed([table])} AS t ON {_matches(table, staged)}",
        (),
        lambda value: RestoredColumns(
            table.schema, table.name, tuple(column.name for column in dropped), *value
        ),
    )


def update_columns(flight: Flight, saved: SavedTable, table: Table, staged: Staged) -> None:
    """Queue the statement that gives rows the values that they had."""
    dropped = _columns(saved, table)
    values = ", ".join(f"{quote_name(c.name)} = {_value(c.name, staged)}" for c in dropped)
    differs = " OR ".join(_differs(column, staged) for column in dropped)
    flight.do(
        f"UPDATE {listed([table])} AS t SET {values} FROM {staged.name} AS s"
        f" WHERE {_matches(table, staged)} AND ({differs})"
    )


def describe(columns: Sequence[RestoredColumns]) -> Iterator[str]:
    """Return what is worth a warning about columns that were restored."""
    for each in columns:
        if each.missing:
            yield (
                f"table {each.schema}.{each.name}: rows of the backup that it does not have, and"
                f" whose values were not restored: {each.missing:,}"
            )


def _columns(saved: SavedTable, table: Table) -> list[Column]:
    return [column for column in table.columns if column.name in saved.dropped]


def _value(name: str, staged: Staged) -> str:
    return staged.expressions[name]


def _found(table: Table) -> str:
    return f"t.{quote_name(table.primary_key[0])} IS NOT NULL"


def _matches(table: Table, staged: Staged) -> str:
    return " AND ".join(
        f"t.{quote_name(name)} = {_value(name, staged)}" for name in table.primary_key
    )


def _differs(column: Column, staged: Staged) -> str:
    # As text, because not every type has an equality.
    return (
        f"CAST(t.{quote_name(column.name)} AS text) IS DISTINCT FROM"
        f" CAST({_value(column.name, staged)} AS text)"
    )


def _is_edited(column: Column) -> str:
    name = f"t.{quote_name(column.name)}"
    default = column.default
    # A function may have an effect, as nextval has, or return something else each time.
    if default is None or "(" in default:
        return f"{name} IS NOT NULL"
    return f"({name} IS NOT NULL AND CAST({name} AS text) IS DISTINCT FROM CAST({default} AS text))"
