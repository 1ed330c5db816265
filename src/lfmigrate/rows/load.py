"""Copies the rows of an archive into tables with COPY, in an open transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from lfmigrate import catalog
from lfmigrate.catalog.tables import ForeignKey, Member, Table
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.copy import copy_in
from lfmigrate.postgres.pipeline import Flight
from lfmigrate.postgres.wire import Answer
from lfmigrate.rows import archive
from lfmigrate.rows.columns import update_columns
from lfmigrate.rows.dump import OnCopy, copy_from, qualified, watched
from lfmigrate.rows.retyped import Staged
from lfmigrate.rows.saved import Archive, SavedSequence, SavedTable
from lfmigrate.rows.suspended import suspend
from lfmigrate.syntax.names import quote_name


def load(
    conn: Connection,
    saved: Archive,
    pairs: Sequence[tuple[SavedTable, Table]],
    *,
    schema_of: Callable[[str], str],
    staged: Mapping[str, Staged],
    partial: Sequence[tuple[SavedTable, Table]] = (),
    watch: OnCopy | None = None,
) -> tuple[str, ...]:
    """Load the rows of an archive into empty tables, in the open transaction.

    User-defined triggers do not fire; foreign keys and check constraints are checked before it
    returns, but for those that are NOT VALID. Sequences get their saved positions, which a rollback
    of the transaction reverts; one that belongs to no column is not set back.

    Args:
        conn: A connection with an open transaction that has locked the tables.
        saved: The archive.
        pairs: Each table as it was saved, and as it is now; their columns match.
        schema_of: Returns the schema for a sequence that was saved in another.
        staged: The tables whose rows are in a temporary table already, by id.
        partial: The tables that have kept their rows, and get columns back; all are staged.
        watch: Called after every block.

    Returns:
        What is worth a warning.

    Raises:
        ArchiveError: A file was changed since it was written.
        DatabaseError: A row was rejected.
    """
    order, circular = _load_order([table for _, table in pairs])
    always = [(t, c) for s, t in partial for c in t.columns if c.always and c.name in s.dropped]
    suspended = suspend(conn, [*order, *(table for _, table in partial)], circular, always)
    saved_tables = {table.id: saved_table for saved_table, table in pairs}
    for is_staged, tables in groupby(order, key=lambda table: table.id in staged):
        if is_staged:
            flight = Flight(conn)
            for table in tables:
                flight.do(_inserting(table, staged[table.id]))
            flight.go()
            continue
        filled = [table for table in tables if saved_tables[table.id].rows]
        for _ in copy_in(conn, [_filling(saved, t, saved_tables[t.id], watch) for t in filled]):
            pass  # the rows are counted in the manifest
    flight = Flight(conn)
    for saved_table, table in partial:
        update_columns(flight, saved_table, table, staged[table.id])
    suspended.resume(flight)
    for saved_table, table in (*pairs, *partial):
        for sequence, live in _owned_sequences(saved_table, table):
            # Of a table that has kept its rows, the others have moved on.
            if (saved_table, table) in pairs or sequence.column in saved_table.dropped:
                _set_position(flight, live.schema, live.name, sequence)
    stayed = {
        f"{schema_of(each.schema)}.{each.name}": _set_position(
            flight, schema_of(each.schema), each.name, each, forward=True
        )
        for each in saved.sequences
    }
    flight.go()
    return tuple(
        f"sequence {name} is ahead of the backup, and stays where it is"
        for name, answer in stayed.items()
        if answer.value
    )


def _owned_sequences(
    saved: SavedTable, table: Table
) -> Iterable[tuple[SavedSequence, catalog.Sequence]]:
    """Pair the saved sequences of a table's columns with those that they own now.

    By name or, if a column owns a single one of another name now, with that.
    """
    for sequence in saved.sequences:
        same = [live for live in table.sequences if live.column == sequence.column]
        before = [other for other in saved.sequences if other.column == sequence.column]
        named = [live for live in same if live.name == sequence.name]
        if named:
            yield sequence, named[0]
        elif len(same) == len(before) == 1:
            yield sequence, same[0]


def _set_position(
    flight: Flight, schema: str, name: str, at: SavedSequence, *, forward: bool = False
) -> Answer[bool]:
    return catalog.set_position(
        flight,
        f"{quote_name(schema)}.{quote_name(name)}",
        last_value=at.last_value,
        is_called=at.is_called,
        forward=forward,
    )


def _filling(
    saved: Archive, table: Table, saved_table: SavedTable, watch: OnCopy | None
) -> tuple[str, Iterable[bytes]]:
    """Return the COPY statement for a table, and its data."""
    columns = (name for name, _ in saved_table.columns)
    blocks = archive.blocks(saved, saved_table)
    return (
        copy_from(qualified(table), columns, saved.about.encoding),
        watched(blocks, table.name, saved_table.bytes, watch),
    )


def _inserting(table: Table, staged: Staged) -> str:
    """Return the statement that fills a table from a temporary one."""
    columns = ", ".join(map(quote_name, staged.expressions))
    values = ", ".join(staged.expressions.values())
    return (
        f"INSERT INTO {qualified(table)} ({columns}) OVERRIDING SYSTEM VALUE"
        f" SELECT {values} FROM {staged.name}"
    )


def _load_order(tables: Sequence[Table]) -> tuple[list[Table], list[tuple[Member, ForeignKey]]]:
    """Return the tables sorted so that each follows those that it references.

    Circular foreign keys cannot be satisfied by any order; the second value lists those to defer.
    """
    left = {table.id: table for table in tables}
    order: list[Table] = []
    circular: list[tuple[Member, ForeignKey]] = []
    while left:
        table = min(left.values(), key=lambda t: len((t.references - {t.id}) & left.keys()))
        del left[table.id]
        circular += [
            (member, key)
            for member in table.members
            for key in member.foreign_keys
            if key.references in left
        ]
        order.append(table)
    return order, circular
