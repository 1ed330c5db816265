"""Columns whose type is another one than when their values were saved."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lfmigrate import catalog
from lfmigrate.catalog.tables import ChangedValues, Table
from lfmigrate.errors import DifferenceFound
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.copy import copy_in
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.postgres.wire import Answer
from lfmigrate.rows import archive
from lfmigrate.rows.dump import EXACT, OnCopy, copy_from, watched
from lfmigrate.rows.saved import Archive, SavedTable
from lfmigrate.rows.suspended import empty_path
from lfmigrate.syntax.names import quote_name


@dataclass(frozen=True, slots=True)
class Retyped:
    """A column whose type has changed, or what its type is made of.

    Attributes:
        name: The column's name.
        old: Its type when it was saved, with the schemas of now; empty if it has the same name.
        new: Its type now.
        words: What has changed, for people.
        moved: Whether attributes of a composite type have other places, so that a value would be
            read as one of another attribute.
    """

    name: str
    old: str
    new: str
    words: str
    moved: bool = False


def retyped(saved: SavedTable, table: Table, own: str, now: str) -> Iterator[Retyped]:
    """Return the columns whose type has changed since they were saved.

    Args:
        saved: The table as it was; its types have their schemas.
        table: The table as it is, read under an empty search path.
        own: A schema of then.
        now: The one that stands for it.
    """
    live = {column.name: column for column in table.columns}
    definitions = dict(saved.definitions)
    for name, before in saved.columns:
        after = live.get(name)
        if after is None or after.generated:
            continue
        if _with_schema(before, own, "@") != _with_schema(after.type, now, "@"):
            old = before if own == now else _with_schema(before, own, quote_name(now))
            yield Retyped(name, old, after.type, f"was {before} and is {after.type} now")
        elif _with_schema(definitions.get(name, ""), own, "@") not in {
            "",
            _with_schema(after.definition, now, "@"),
        }:
            words = f"was {definitions[name]} and is {after.definition} now"
            moved = _has_moved(definitions[name], after.definition)
            yield Retyped(name, "", after.type, words, moved)


# An attribute's name, at the beginning of a list or after a comma.
_ATTRIBUTE = re.compile(r'(?:row \(|, )("(?:[^"]|"")*"|[^\s,()"]+) ')


def _has_moved(before: str, after: str) -> bool:
    """Return whether an attribute of a composite type has another place."""
    for then, now in zip(before.split("; "), after.split("; "), strict=False):
        places = {name: place for place, name in enumerate(_ATTRIBUTE.findall(now))}
        for place, name in enumerate(_ATTRIBUTE.findall(then)):
            if places.get(name, place) != place:
                return True
    return False


def _with_schema(types: str, schema: str, other: str) -> str:
    """Return the names of types with another schema in the place of one."""
    either = f"(?:{re.escape(schema)}|{re.escape(quote_name(schema))})"
    return re.sub(rf'(?<![\w"$.]){either}\.', lambda _: f"{other}.", types)


@dataclass(frozen=True, slots=True)
class Staged:
    """A table of the backup, in a temporary table whose columns are all text.

    Attributes:
        name: The temporary table, qualified.
        expressions: What makes a value out of the text, by the name of each column.
        notes: What is worth a warning.
    """

    name: str
    expressions: Mapping[str, str]
    notes: tuple[str, ...] = ()


def stage(
    conn: Connection,
    saved: Archive,
    tables: Sequence[tuple[SavedTable, Table, Sequence[Retyped]]],
    watch: OnCopy | None,
) -> Mapping[str, Staged]:
    """Copy tables into temporary ones, and find out how their values are converted.

    Args:
        conn: A connection with an open transaction.
        saved: The archive.
        tables: Each table as it was, as it is now, and the columns whose type has changed.
        watch: Called after every block.

    Returns:
        The temporary tables, by the id of the table.

    Raises:
        DifferenceFound: Values would not be the same; the details name the column, both types and
            the number of rows.
        DatabaseError: The role may not create temporary tables.
    """
    if not tables:
        return {}
    _fill(conn, saved, [saved_table for saved_table, _, _ in tables], watch)
    flight = Flight(conn)
    asked = []
    with empty_path(flight):
        for number, (saved_table, _, changed) in enumerate(tables):
            places = {name: f"c{n}" for n, (name, _) in enumerate(saved_table.columns)}
            asked.append([_ask(flight, _temporary(number), places[c.name], c) for c in changed])
    flight.go()
    problems: list[str] = []
    staged = {}
    for number, (saved_table, table, changed) in enumerate(tables):
        found = dict(zip(changed, (answer.value for answer in asked[number]), strict=True))
        label = f"table {table.schema}.{table.name}: column"
        problems += [
            f"{label} {column.name} {column.words}; rows that would change:"
            f" {saved_table.rows if column.moved else values.rows:,}"
            for column, values in found.items()
            if values.rows or values.expression is None or column.moved
        ]
        staged[table.id] = Staged(
            _temporary(number),
            _expressions(saved_table, table)
            | {c.name: v.expression for c, v in found.items() if v.expression is not None},
            tuple(f"{label} {c.name} {c.words}; every value is the same" for c in changed),
        )
    if problems:
        raise DifferenceFound(
            "the columns have other types than those that were saved",
            detail=problems,
            hint="Change the types back first, or look at the rows with --into.",
        )
    return staged


def _temporary(number: int) -> str:
    return f"pg_temp.lfmigrate_rows_{number}"


def _fill(
    conn: Connection, saved: Archive, tables: Sequence[SavedTable], watch: OnCopy | None
) -> None:
    """Copy tables into temporary ones, whose columns are called c0, c1, ..."""
    flight = Flight(conn)
    flight.set(EXACT)
    copies = []
    for number, table in enumerate(tables):
        columns = [f"c{n}" for n in range(len(table.columns))]
        listed = ", ".join(f"{column} text" for column in columns)
        flight.do(f"CREATE TEMPORARY TABLE lfmigrate_rows_{number} ({listed}) ON COMMIT DROP")
        blocks = archive.blocks(saved, table)
        statement = copy_from(_temporary(number), columns, saved.about.encoding)
        copies.append((statement, watched(blocks, table.name, table.bytes, watch)))
    flight.go()
    for _ in copy_in(conn, copies):
        pass  # the rows are counted in the manifest


def _ask(flight: Flight, table: str, place: str, column: Retyped) -> Answer[ChangedValues]:
    settings = {"table": table, "column": place, "old": column.old, "new": column.new}
    flight.set({f"lfmigrate.{name}": value for name, value in settings.items()})
    return flight.ask(catalog.changed_values())


def _expressions(saved: SavedTable, table: Table) -> dict[str, str]:
    """Return what reads the text of each column that is still there."""
    types = {column.name: column.type for column in table.columns}
    return {
        name: f"CAST(c{place} AS {types[name]})"
        for place, (name, _) in enumerate(saved.columns)
        if name in types
    }
