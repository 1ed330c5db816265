"""Copies rows between tables and an archive, in the open transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lfmigrate import catalog
from lfmigrate.catalog.tables import ForeignKey, Table
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.copy import Buffer, copy_in, copy_out
from lfmigrate.postgres.pipeline import Flight, Query
from lfmigrate.rows import archive
from lfmigrate.rows.archive import About, Archive, SavedSequence, SavedTable
from lfmigrate.syntax.names import quote_name

# How many rows go to the disk at once. With thousands, the processor's cache is too small: a fifth
# slower.
_BATCH_ROWS = 512

# SQLSTATE of a TRUNCATE of a table that another table refers to.
REFERRED_TO = "0A000"

# What decides how a value is written; none of it is left to a role's or a database's settings.
# Without a path, a name in a value is written with its schema.
_EXACT = {
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    # Rows that a policy would hide are an error, and not left out in silence.
    "row_security": "off",
}


@dataclass(frozen=True, slots=True)
class CopyProgress:
    """How far it is: a table, and what of it has been moved so far.

    Attributes:
        table: Its name.
        rows: How many; None where that is not known.
        bytes: Of CSV.
        of_bytes: How many there are in all; None where that is not known.
    """

    table: str
    rows: int | None
    bytes: int
    of_bytes: int | None = None


OnCopy = Callable[[CopyProgress], None]


def dump(
    conn: Connection,
    names: Iterable[tuple[str, str]],
    sequences: Iterable[tuple[str, str]],
    target: Path,
    about: About,
    *,
    watch: OnCopy | None = None,
    first: Flight | None = None,
) -> Archive:
    """Save the rows of some tables. Only reads, in the open transaction.

    The transaction's settings are changed; roll back to a savepoint if it is to go on.

    Args:
        conn: A connection with an open transaction that sees all tables at one point of time: by
            its snapshot, or because it has locked them.
        names: Schema and name of each table.
        sequences: Schema and name of each sequence that belongs to no column.
        target: The folder to make.
        about: What the manifest says of the whole.
        watch: Called every few thousand rows.
        first: What to send with the first question.

    Returns:
        The archive; it is on the disk, and complete.

    Raises:
        Refused: The folder could not be written.
        DatabaseError: The rows could not be read.
    """
    flight = first or Flight(conn)
    _set_exact(flight, search_path="")
    asked = flight.ask(catalog.tables(names))
    flight.go()
    flight = Flight(conn)
    tables = [
        (table, [flight.ask(_position(s.schema, s.name, s.column)) for s in table.sequences])
        for table in asked.value
    ]
    free = [flight.ask(_position(schema, name, None)) for schema, name in sequences]
    if free or any(positions for _, positions in tables):
        flight.go()
    with archive.write(target) as writer:
        for table, positions in tables:
            writer.add(
                table.schema,
                table.name,
                [(c.name, c.type) for c in table.columns if not c.generated],
                _lines(conn, table, watch),
                [answer.value for answer in positions],
            )
        return archive.finish(writer, target, about, [answer.value for answer in free])


def lock(flight: Flight, tables: Sequence[Table]) -> None:
    """Queue a lock of tables against all other sessions."""
    if tables:
        flight.do(f"LOCK TABLE {_listed(tables)} IN ACCESS EXCLUSIVE MODE")


@dataclass(frozen=True, slots=True)
class Emptied:
    """A table that is emptied before rows are loaded, and how many rows it had."""

    schema: str
    name: str
    rows: int


def emptied(tables: Sequence[Table], rows: Sequence[int]) -> tuple[Emptied, ...]:
    """Return those of some tables that have rows, and how many."""
    counted = zip(tables, rows, strict=True)
    return tuple(Emptied(table.schema, table.name, count) for table, count in counted if count)


def count_rows(table: Table) -> Query[int]:
    """Ask how many rows a table has; only reads."""
    return Query(f"SELECT to_jsonb(count(*)) FROM {_listed([table])}", (), int)


def empty(flight: Flight, tables: Sequence[Table]) -> None:
    """Queue the deletion of all rows; fails with `REFERRED_TO` if other tables refer to them."""
    if tables:
        # One statement, because they may refer to one another.
        flight.do(f"TRUNCATE {_listed(tables)}")


def load(
    conn: Connection,
    saved: Archive,
    pairs: Sequence[tuple[SavedTable, Table]],
    *,
    watch: OnCopy | None = None,
) -> None:
    """Load the rows of an archive into empty tables, in the open transaction.

    Triggers of users do not fire; foreign keys and checks hold when it is done. Sequences stand
    where they stood, and go back with the transaction if that is rolled back.

    Args:
        conn: A connection with an open transaction that has locked the tables.
        saved: The archive.
        pairs: Each table as it was saved, and as it is now; their columns agree.
        watch: Called after every block.

    Raises:
        ArchiveError: A file was changed since it was checked.
        DatabaseError: A row was not accepted.
    """
    order, waiting = _order([table for _, table in pairs])
    flight = Flight(conn)
    _set_exact(flight)
    _disarm(flight, order, waiting)
    flight.go()
    saved_tables = {table.id: saved_table for saved_table, table in pairs}
    filling = [(table, saved_tables[table.id]) for table in order if saved_tables[table.id].columns]
    for _ in copy_in(conn, [_filling(saved, *pair, watch) for pair in filling]):
        pass  # the rows are counted in the manifest
    flight = Flight(conn)
    _rearm(flight, order, waiting)
    for table in order:
        now = {sequence.column: sequence for sequence in table.sequences}
        for sequence in saved_tables[table.id].sequences:
            if (live := now.get(sequence.column)) is not None:
                _set_position(flight, live.schema, live.name, sequence)
    for sequence in saved.sequences:
        _set_position(flight, sequence.schema, sequence.name, sequence)
    flight.go()


def _disarm(
    flight: Flight, tables: Sequence[Table], waiting: Sequence[tuple[Table, ForeignKey]]
) -> None:
    """Keep triggers from firing, and let some foreign keys be checked at the end."""
    for table in tables:
        for trigger in table.triggers:
            flight.do(f"ALTER TABLE {_name(table)} DISABLE TRIGGER {quote_name(trigger.name)}")
    for table, key in waiting:
        if not key.deferrable:
            flight.do(_alter(table, key, "DEFERRABLE INITIALLY DEFERRED"))
    flight.do("SET CONSTRAINTS ALL IMMEDIATE")
    for table, key in waiting:
        flight.do(f"SET CONSTRAINTS {quote_name(table.schema)}.{quote_name(key.name)} DEFERRED")


def _rearm(
    flight: Flight, tables: Sequence[Table], waiting: Sequence[tuple[Table, ForeignKey]]
) -> None:
    """Check whatever has waited, and put triggers and foreign keys back as they were."""
    # First, because a table with pending checks cannot be altered.
    flight.do("SET CONSTRAINTS ALL IMMEDIATE")
    for table, key in waiting:
        if not key.deferrable:
            flight.do(_alter(table, key, "NOT DEFERRABLE"))
    for table in tables:
        for trigger in table.triggers:
            enable = "ENABLE ALWAYS" if trigger.enabled == "A" else "ENABLE"
            flight.do(f"ALTER TABLE {_name(table)} {enable} TRIGGER {quote_name(trigger.name)}")


def _set_exact(flight: Flight, **more: str) -> None:
    for name, value in (_EXACT | more).items():
        flight.do("SELECT set_config($1, $2, true)", name, value)


def _name(table: Table) -> str:
    return f"{quote_name(table.schema)}.{quote_name(table.name)}"


def _listed(tables: Sequence[Table]) -> str:
    return ", ".join(f"{'' if table.partitioned else 'ONLY '}{_name(table)}" for table in tables)


def _position(schema: str, name: str, column: str | None) -> Query[SavedSequence]:
    def decode(value: Any) -> SavedSequence:  # noqa: ANN401 (parsed JSON)
        return SavedSequence(schema, name, column, value["last_value"], value["is_called"])

    return Query(
        "SELECT jsonb_build_object('last_value', last_value, 'is_called', is_called)"
        f" FROM {quote_name(schema)}.{quote_name(name)}",
        (),
        decode,
    )


def _set_position(flight: Flight, schema: str, name: str, at: SavedSequence) -> None:
    # RESTART gives the sequence new storage in this transaction, and setval, which no rollback
    # would undo, then writes to that.
    qualified = f"{quote_name(schema)}.{quote_name(name)}"
    flight.do(f"ALTER SEQUENCE {qualified} RESTART")
    flight.do(
        "SELECT setval($1::regclass, $2::bigint, $3::boolean)",
        qualified,
        str(at.last_value),
        str(at.is_called).lower(),
    )


def _lines(conn: Connection, table: Table, watch: OnCopy | None) -> Iterator[Sequence[Buffer]]:
    """Return a table as lines of CSV, in batches; the header is the first."""
    columns = ", ".join(quote_name(c.name) for c in table.columns if not c.generated)
    # A partitioned table holds no rows itself; of another one, heirs are tables of their own.
    source = (
        f"(SELECT {columns} FROM {_name(table)})"
        if table.partitioned or not columns
        else f"{_name(table)} ({columns})"
    )
    statement = f"COPY {source} TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')"
    size = rows = 0
    for batch in copy_out(conn, statement, batch_rows=_BATCH_ROWS):
        rows += len(batch)
        size += sum(map(len, batch))
        if watch is not None and len(batch) == _BATCH_ROWS:
            watch(CopyProgress(table.name, rows, size))
        yield batch


def _filling(
    saved: Archive, table: Table, saved_table: SavedTable, watch: OnCopy | None
) -> tuple[str, Iterable[bytes]]:
    """Return the COPY of a table, and what to send."""
    columns = ", ".join(quote_name(name) for name, _ in saved_table.columns)
    return (
        f"COPY {_name(table)} ({columns}) FROM STDIN (FORMAT csv, HEADER, ENCODING 'UTF8')",
        watched(archive.blocks(saved, saved_table), table.name, saved_table.bytes, watch),
    )


def watched(
    blocks: Iterable[bytes], table: str, of_bytes: int, watch: OnCopy | None
) -> Iterator[bytes]:
    """Return blocks as they come, and tell how far they are."""
    size = 0
    for block in blocks:
        yield block
        size += len(block)
        if watch is not None:
            watch(CopyProgress(table, None, size, of_bytes))


def _order(tables: Sequence[Table]) -> tuple[list[Table], list[tuple[Table, ForeignKey]]]:
    """Return the tables so that each comes after those that it refers to.

    Where they refer to one another in a circle, some foreign keys have to wait; they come second.
    """
    left = {table.id: table for table in tables}
    order: list[Table] = []
    deferred: list[tuple[Table, ForeignKey]] = []

    def waits_for(table: Table) -> list[ForeignKey]:
        return [k for k in table.foreign_keys if k.references in left and k.references != table.id]

    while left:
        table = min(left.values(), key=lambda table: len(waits_for(table)))
        deferred += [(table, key) for key in waits_for(table)]
        order.append(left.pop(table.id))
    return order, deferred


def _alter(table: Table, key: ForeignKey, how: str) -> str:
    return f"ALTER TABLE {_name(table)} ALTER CONSTRAINT {quote_name(key.name)} {how}"
