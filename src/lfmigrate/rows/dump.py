"""Copies rows between tables and an archive with COPY, in an open transaction."""

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
from lfmigrate.rows.policies import see_all_rows
from lfmigrate.syntax.names import quote_name

# The number of rows per write. With thousands, the processor's cache is too small: 20 % slower.
_BATCH_ROWS = 512

# The SQLSTATE of TRUNCATE if other tables reference one.
REFERENCED = "0A000"

# The settings that affect how values are written, so that those of a role or database do not.
_EXACT = {
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
}


@dataclass(frozen=True, slots=True)
class CopyProgress:
    """Copy progress: the table, and the rows and bytes copied so far.

    Attributes:
        table: The table's name.
        rows: The number of rows; None if unknown.
        bytes: The number of bytes of CSV.
        of_bytes: The total number of bytes; None if unknown.
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
    flight: Flight,
    may_lift: bool,
    watch: OnCopy | None = None,
) -> Archive:
    """Save the rows of some tables. Only reads, in the open transaction.

    This changes the transaction's settings; roll back to a savepoint if it is to continue.

    Args:
        conn: A connection with an open transaction that sees all tables at one point in time: by
            its snapshot, or because it has locked them.
        names: The schema and name of each table.
        sequences: The schema and name of each sequence that no column owns.
        target: The folder to create.
        about: The manifest's general information.
        flight: What is sent with the first question.
        may_lift: Whether row-level security that is forced on the owner may be lifted; see
            `see_all_rows`.
        watch: Called every few hundred rows.

    Returns:
        The archive, complete and synced to disk.

    Raises:
        Refused: The folder could not be written, or the role may not see all rows.
        DatabaseError: The rows could not be read.
    """
    names = list(names)
    see_all_rows(flight, names, may_lift=may_lift)
    # Without a search path, names in values are written with their schema.
    flight.set({**_EXACT, "search_path": ""})
    asked = flight.ask(catalog.tables(names))
    flight.go()
    flight = Flight(conn)
    tables = [
        (table, [flight.ask(_position(s.schema, s.name, s.column)) for s in table.sequences])
        for table in asked.value
    ]
    free = [flight.ask(_position(schema, name, None)) for schema, name in sequences]
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
    """Queue an ACCESS EXCLUSIVE lock on tables."""
    if tables:
        flight.do(f"LOCK TABLE {listed(tables)} IN ACCESS EXCLUSIVE MODE")


@dataclass(frozen=True, slots=True)
class Emptied:
    """A table that is truncated before rows are loaded, and the number of rows it had."""

    schema: str
    name: str
    rows: int


def emptied(tables: Sequence[Table], rows: Sequence[int]) -> tuple[Emptied, ...]:
    """Return the tables that have rows, with their numbers."""
    counted = zip(tables, rows, strict=True)
    return tuple(Emptied(table.schema, table.name, count) for table, count in counted if count)


def count_rows(table: Table) -> Query[int]:
    """Ask for the number of rows of a table. Only reads."""
    return Query(f"SELECT to_jsonb(count(*)) FROM {listed([table])}", (), int)


def empty(flight: Flight, tables: Sequence[Table]) -> None:
    """Queue a TRUNCATE; it fails with `REFERENCED` if other tables reference these."""
    if tables:
        # One statement, because they may reference each other.
        flight.do(f"TRUNCATE {listed(tables)}")


def load(
    conn: Connection,
    saved: Archive,
    pairs: Sequence[tuple[SavedTable, Table]],
    *,
    watch: OnCopy | None = None,
) -> None:
    """Load the rows of an archive into empty tables, in the open transaction.

    User-defined triggers do not fire; foreign keys and check constraints are checked before it
    returns. Sequences get their saved positions, which a rollback of the transaction reverts.

    Args:
        conn: A connection with an open transaction that has locked the tables.
        saved: The archive.
        pairs: Each table as it was saved, and as it is now; their columns match.
        watch: Called after every block.

    Raises:
        ArchiveError: A file was changed since it was checked.
        DatabaseError: A row was rejected.
    """
    order, deferred = _load_order([table for _, table in pairs])
    flight = Flight(conn)
    flight.set(_EXACT)
    _disable_triggers(flight, order, deferred)
    flight.go()
    saved_tables = {table.id: saved_table for saved_table, table in pairs}
    for _ in copy_in(conn, [_filling(saved, t, saved_tables[t.id], watch) for t in order]):
        pass  # the rows are counted in the manifest
    flight = Flight(conn)
    _enable_triggers(flight, order, deferred)
    for table in order:
        now = {sequence.column: sequence for sequence in table.sequences}
        for sequence in saved_tables[table.id].sequences:
            if (live := now.get(sequence.column)) is not None:
                _set_position(flight, live.schema, live.name, sequence)
    for sequence in saved.sequences:
        _set_position(flight, sequence.schema, sequence.name, sequence)
    flight.go()


def _disable_triggers(
    flight: Flight, tables: Sequence[Table], deferred: Sequence[tuple[Table, ForeignKey]]
) -> None:
    """Disable triggers, and defer some foreign keys to the end."""
    for table in tables:
        for trigger in table.triggers:
            flight.do(f"ALTER TABLE {_name(table)} DISABLE TRIGGER {quote_name(trigger.name)}")
    for table, key in deferred:
        if not key.deferrable:
            flight.do(_alter(table, key, "DEFERRABLE INITIALLY DEFERRED"))
    flight.do("SET CONSTRAINTS ALL IMMEDIATE")
    for table, key in deferred:
        flight.do(f"SET CONSTRAINTS {quote_name(table.schema)}.{quote_name(key.name)} DEFERRED")


def _enable_triggers(
    flight: Flight, tables: Sequence[Table], deferred: Sequence[tuple[Table, ForeignKey]]
) -> None:
    """Check the deferred foreign keys, and restore them and the triggers to what they were."""
    # First, because a table with pending trigger events cannot be altered.
    flight.do("SET CONSTRAINTS ALL IMMEDIATE")
    for table, key in deferred:
        if not key.deferrable:
            flight.do(_alter(table, key, "NOT DEFERRABLE"))
    for table in tables:
        for trigger in table.triggers:
            enable = "ENABLE ALWAYS" if trigger.enabled == "A" else "ENABLE"
            flight.do(f"ALTER TABLE {_name(table)} {enable} TRIGGER {quote_name(trigger.name)}")


def _name(table: Table) -> str:
    return f"{quote_name(table.schema)}.{quote_name(table.name)}"


def _with_columns(name: str, columns: Iterable[str]) -> str:
    """Return what COPY copies; a row without columns is an empty line, and () a syntax error."""
    listed = ", ".join(map(quote_name, columns))
    return f"{name} ({listed})" if listed else name


def copy_from(name: str, columns: Iterable[str]) -> str:
    """Return the statement that copies a CSV file into a table, given its qualified name."""
    return f"COPY {_with_columns(name, columns)} FROM STDIN (FORMAT csv, HEADER, ENCODING 'UTF8')"


def listed(tables: Sequence[Table]) -> str:
    """Return tables as LOCK and TRUNCATE take them: without children, but with partitions."""
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
    # RESTART gives the sequence new storage in this transaction, and setval then writes to that;
    # otherwise a rollback would not revert it.
    qualified = f"{quote_name(schema)}.{quote_name(name)}"
    flight.do(f"ALTER SEQUENCE {qualified} RESTART")
    flight.do(
        "SELECT setval($1::regclass, $2::bigint, $3::boolean)",
        qualified,
        str(at.last_value),
        str(at.is_called).lower(),
    )


def _lines(conn: Connection, table: Table, watch: OnCopy | None) -> Iterator[Sequence[Buffer]]:
    """Return a table as lines of CSV, in batches; the first line is the header."""
    columns = [c.name for c in table.columns if not c.generated]
    # A partitioned table has no rows itself; child tables (INHERITS) are copied separately.
    source = (
        f"(SELECT {', '.join(map(quote_name, columns))} FROM {_name(table)})"
        if table.partitioned
        else _with_columns(_name(table), columns)
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
    """Return the COPY statement for a table, and its data."""
    blocks = archive.blocks(saved, saved_table)
    return (
        copy_from(_name(table), (name for name, _ in saved_table.columns)),
        watched(blocks, table.name, saved_table.bytes, watch),
    )


def watched(
    blocks: Iterable[bytes], table: str, of_bytes: int, watch: OnCopy | None
) -> Iterator[bytes]:
    """Return blocks unchanged, reporting progress."""
    size = 0
    for block in blocks:
        yield block
        size += len(block)
        if watch is not None:
            watch(CopyProgress(table, None, size, of_bytes))


def _load_order(tables: Sequence[Table]) -> tuple[list[Table], list[tuple[Table, ForeignKey]]]:
    """Return the tables sorted so that each follows those that it references.

    Circular foreign keys cannot be satisfied by any order; the second value lists those to defer.
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
