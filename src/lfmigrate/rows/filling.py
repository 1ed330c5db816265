"""Fills staging tables: large files with COPY, small ones in the flight that is sent next.

COPY takes a flight for each file. A small file is a parameter instead: an array of the staging
table's row type, whose values the server reads with the functions that COPY uses. Why it rejects
one, and which row it is, COPY reports; so the files are then copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight, execute
from lfmigrate.postgres.wire import Answer
from lfmigrate.rows import staging
from lfmigrate.rows.dump import CopyProgress, OnCopy
from lfmigrate.rows.staging import Staged
from lfmigrate.source import csvfile
from lfmigrate.syntax.names import quote_name

# Larger files are not held in memory.
SMALL_BYTES = 1 << 16

_Rows = Sequence[Sequence[str | None]]


@dataclass(frozen=True, slots=True)
class Filling:
    """Files on their way into their staging tables.

    Attributes:
        rows: The number of rows of each file.
        queued: The statements that insert those of small files.
    """

    rows: Sequence[int]
    queued: Sequence[Answer[None]] = ()

    @property
    def is_rejected(self) -> bool:
        """Return whether the flight failed because of a small file."""
        return any(answer.error is not None for answer in self.queued)


def fill(
    conn: Connection, flight: Flight, staged: Sequence[Staged], watch: OnCopy | None
) -> Filling:
    """Copy large files into their staging tables, and queue the rows of small ones.

    If the flight `is_rejected`, `copy_instead`.

    Args:
        conn: A connection with an open transaction and the savepoint `staging.SAVEPOINT`.
        flight: What is sent next.
        staged: The files.
        watch: Called after every block, and for every small file.

    Raises:
        CsvFileError: A file is not valid CSV.
        StatementFailed: The server rejected rows; those of small files are reported, too.
    """
    small = {
        each.table.id: rows
        for each in staged
        if each.file.size <= SMALL_BYTES and (rows := csvfile.plain_rows(each.file)) is not None
    }
    copied = iter(staging.copy(conn, staged, watch, apart=small))
    queued = []
    for each in staged:
        if rows := small.get(each.table.id):
            queued.append(flight.do(_insert(each), _array(each, rows)))
            if watch is not None:
                size = each.file.size - each.file.header.start
                watch(CopyProgress(each.file.name, len(rows), size, size))
    return Filling(
        [len(small[s.table.id]) if s.table.id in small else next(copied) for s in staged], queued
    )


def copy_instead(conn: Connection, staged: Sequence[Staged], watch: OnCopy | None) -> Filling:
    """Copy all files, because the server has rejected a small one; see `staging.copy`."""
    execute(conn, f"ROLLBACK TO SAVEPOINT {staging.SAVEPOINT}")
    return Filling(staging.copy(conn, staged, watch))


def _insert(staged: Staged) -> str:
    """Return the statement that inserts rows, given as an array, in their order."""
    columns = ", ".join(map(quote_name, staged.file.columns))
    table = staging.qualified(staged)
    # As COPY fills an identity column, whatever kind it is.
    return (
        f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE"
        f" SELECT {columns} FROM unnest($1::{table}[])"
    )


def _array(staged: Staged, rows: _Rows) -> str:
    """Return rows as an array of the staging table's row type, in text form."""
    places = {column: place for place, column in enumerate(staged.file.columns)}
    order = [places.get(column) for column in staged.table.columns]
    records = (
        ",".join("" if at is None or (v := row[at]) is None else _quoted(v) for at in order)
        for row in rows
    )
    return "{" + ",".join(_quoted(f"({record})") for record in records) + "}"


def _quoted(text: str) -> str:
    """Return a value, or a record, as an element of what contains it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
