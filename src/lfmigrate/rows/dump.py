"""Copies rows out of tables into an archive with COPY, in an open transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lfmigrate import catalog
from lfmigrate.catalog import LargeObject
from lfmigrate.catalog.tables import Member, Table
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.copy import CopyOut, copy_out
from lfmigrate.postgres.pipeline import Flight, Query
from lfmigrate.rows import archive
from lfmigrate.rows.large_objects import save_large_object
from lfmigrate.rows.policies import see_all_rows
from lfmigrate.rows.saved import About, Archive, Encoding, SavedSequence
from lfmigrate.syntax.names import quote_name

# The SQLSTATE of TRUNCATE if other tables reference one.
REFERENCED = "0A000"

# The settings that affect how values are written and read; those of a role or database must not.
EXACT = {
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "array_nulls": "on",
    "standard_conforming_strings": "on",
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

# The encoding of the files.
_ENCODING: Query[Encoding] = Query(
    "SELECT to_jsonb(getdatabaseencoding())",
    (),
    lambda name: "SQL_ASCII" if name == "SQL_ASCII" else "UTF8",
)


def dump(
    conn: Connection,
    names: Iterable[tuple[str, str]],
    sequences: Iterable[tuple[str, str]],
    target: Path,
    about: About,
    *,
    flight: Flight,
    large_objects: Sequence[LargeObject] = (),
    dropped: Collection[str] = (),
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
        large_objects: The large objects, as they were found; all can be read.
        dropped: The ids of what is about to be dropped, as in `catalog.inventory`. Of a table
            that is not among them, the manifest names the columns that are.
        watch: Called after every block.

    Returns:
        The archive, complete and synced to disk.

    Raises:
        Refused: The folder could not be written, or the role may not see all rows.
        DatabaseError: The rows could not be read.
    """
    names = list(names)
    see_all_rows(flight, names, may_lift=True)
    # Without a search path, names in values are written with their schema.
    flight.set({**EXACT, "search_path": ""})
    asked = flight.ask(catalog.tables(names))
    asked_encoding = flight.ask(_ENCODING)
    flight.go()
    # What is in a database without an encoding need not be UTF-8, and is copied as it is.
    about = replace(about, encoding=asked_encoding.value)
    flight = Flight(conn)
    tables = [
        (table, [flight.ask(_position(s.schema, s.name, s.column)) for s in table.sequences])
        for table in asked.value
    ]
    free = [flight.ask(_position(schema, name, None)) for schema, name in sequences]
    flight.go()
    with archive.write(target) as writer:
        copies = [
            CopyOut(
                _copy_to(table, about.encoding),
                _added(writer, table, [answer.value for answer in positions], dropped).written(
                    _reporting(table.name, watch)
                ),
            )
            for table, positions in tables
        ]
        if copies:
            copy_out(conn, copies)
        for each in large_objects:
            save_large_object(conn, writer, each)
        return archive.finish(writer, target, about, [answer.value for answer in free])


def _added(
    writer: archive.Writer,
    table: Table,
    positions: Sequence[SavedSequence],
    dropped: Collection[str],
) -> archive.TableFile:
    """Add a table to an archive; see `dump`."""
    columns = [column for column in table.columns if not column.generated]
    lost = () if table.id in dropped else columns
    return writer.add(
        table.schema,
        table.name,
        [(column.name, column.type) for column in columns],
        positions,
        definitions=[(c.name, c.definition) for c in table.columns if c.definition],
        dropped=[c.name for c in lost if f"{table.id}:{c.number}" in dropped],
    )


def _copy_to(table: Table, encoding: Encoding) -> str:
    """Return the statement that copies a table; the first line is the header."""
    columns = [c.name for c in table.columns if not c.generated]
    # A partitioned table has no rows itself; child tables (INHERITS) are copied separately.
    source = (
        f"(SELECT {', '.join(map(quote_name, columns))} FROM {qualified(table)})"
        if table.partitioned
        else _with_columns(qualified(table), columns)
    )
    return f"COPY {source} TO STDOUT (FORMAT csv, HEADER, ENCODING '{encoding}')"


def _reporting(table: str, watch: OnCopy | None) -> archive.OnBlock | None:
    """Return what reports the progress of a table."""
    if watch is None:
        return None
    return lambda rows, size: watch(CopyProgress(table, rows, size))


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


def qualified(table: Table | Member) -> str:
    """Return a table's name with its schema, quoted."""
    return f"{quote_name(table.schema)}.{quote_name(table.name)}"


def _with_columns(name: str, columns: Iterable[str]) -> str:
    """Return what COPY copies; a row without columns is an empty line, and () a syntax error."""
    listed = ", ".join(map(quote_name, columns))
    return f"{name} ({listed})" if listed else name


def copy_from(name: str, columns: Iterable[str], encoding: str = "UTF8") -> str:
    """Return the statement that copies a CSV file into a table, given its qualified name."""
    source = _with_columns(name, columns)
    return f"COPY {source} FROM STDIN (FORMAT csv, HEADER, ENCODING '{encoding}')"


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


def listed(tables: Sequence[Table]) -> str:
    """Return tables as LOCK and TRUNCATE take them: without children, but with partitions."""
    return ", ".join(
        f"{'' if table.partitioned else 'ONLY '}{qualified(table)}" for table in tables
    )


def _position(schema: str, name: str, column: str | None) -> Query[SavedSequence]:
    def decode(value: Any) -> SavedSequence:  # noqa: ANN401 (parsed JSON)
        return SavedSequence(schema, name, column, value["last_value"], value["is_called"])

    return Query(
        "SELECT jsonb_build_object('last_value', last_value, 'is_called', is_called)"
        f" FROM {quote_name(schema)}.{quote_name(name)}",
        (),
        decode,
    )
