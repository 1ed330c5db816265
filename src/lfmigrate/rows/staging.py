"""Copies CSV files into staging tables, and finds the rows that violate a rule.

Works in an open transaction, which has created the staging tables: temporary tables, each named
after its target table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lfmigrate.catalog.tables import CheckConstraint, StagingTable, UniqueKey
from lfmigrate.errors import CsvFileError, LfmigrateError, StatementFailed, combine
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.copy import copy_in
from lfmigrate.postgres.pipeline import Flight, Query, execute, fetch
from lfmigrate.rows import dump, rejected
from lfmigrate.rows.dump import OnCopy
from lfmigrate.source import csvfile
from lfmigrate.source.csvfile import CsvFile, Record
from lfmigrate.syntax.names import quote_name

# A staging table is named after its target table, with this prefix.
PREFIX = "seed_"

# The number of problems to report; more than this usually share one cause.
MOST = 20

# Copying restarts here, without the rows that the server rejects.
SAVEPOINT = "lfmigrate_files"

# Of rows of (place, value, total): {rows: [[place, value]], total}.
_FIRST = (
    "jsonb_build_object('rows',"
    " coalesce(jsonb_agg(jsonb_build_array(place, value) ORDER BY place), '[]'),"
    " 'total', coalesce(max(total), 0))"
)


@dataclass(frozen=True, slots=True)
class Staged:
    """A file, and the table that it is copied into."""

    file: CsvFile
    table: StagingTable


def pair(files: Sequence[Path], tables: Sequence[StagingTable]) -> list[Staged]:
    """Read the headers of files, and match each file with its staging table. Only reads.

    Returns:
        The files in the order of the tables.

    Raises:
        CsvFileError: A file has no table, or its header does not match; all problems are reported.
    """
    places = {table.name: place for place, table in enumerate(tables)}
    found: list[tuple[int, Staged]] = []
    problems = []
    for path in files:
        try:
            place = places.get(PREFIX + path.stem)
            if place is None:
                raise _of_no_table(path, tables)
            _refuse_twin(path, [staged.file for at, staged in found if at == place])
            file = csvfile.open_csv(path)
            table = tables[place]
            csvfile.refuse_columns(file, table.columns, table.required)
            found.append((place, Staged(file, table)))
        except CsvFileError as problem:
            problems.append(problem)
    if problems:
        raise combined(problems, len(problems))
    return [staged for _, staged in sorted(found, key=lambda entry: entry[0])]


def copy(
    conn: Connection,
    staged: Sequence[Staged],
    watch: OnCopy | None,
    *,
    apart: Collection[str] = (),
) -> list[int]:
    """Copy files into their staging tables.

    Args:
        conn: A connection with an open transaction and the savepoint `SAVEPOINT`.
        staged: The files.
        watch: Called after every block.
        apart: The ids of the tables that are filled in another way, unless the server rejects a
            row: then they are copied as well, so that all such rows are known.

    Returns:
        The number of rows of each file that was copied.

    Raises:
        CsvFileError: A file is not valid CSV.
        StatementFailed: The server rejected rows; all of them are reported, up to `MOST`.
    """
    rows: list[int] = []
    copied = [each for each in staged if each.table.id not in apart]
    if not copied:
        return rows
    try:
        copies = [_copying(each, each.file.header, watch=watch) for each in copied]
        for count in copy_in(conn, copies):
            rows.append(count)  # noqa: PERF402 (those before a failure are needed as well)
    except StatementFailed as error:
        accepted = copied[: len(rows)]
        if not rejected.is_about_row(error, copied[len(rows)].table):
            raise
        execute(conn, f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")
        problems = _problems(conn, [each for each in staged if each not in accepted])
        raise combined(problems, len(problems), at_least=len(problems) > MOST) from None
    return rows


def place(
    conn: Connection, staged: Staged, ctid: str, problem: LfmigrateError, column: str | None
) -> None:
    """Set an error's file, line and column from a staged row. Only reads.

    Args:
        conn: A connection with an open transaction.
        staged: The file, and the table that it was copied into by one COPY.
        ctid: The row's ctid in that table.
        problem: The error.
        column: The name of a column of the file, if the error is about one.
    """
    # One COPY stores the rows in the order of the file.
    sql = f"SELECT to_jsonb(count(*)) FROM {qualified(staged)} WHERE ctid <= $1::tid"
    record = csvfile.record_of_row(staged.file, fetch(conn, Query(sql, (ctid,), int)))
    if record is not None:
        rejected.set_place(problem, staged.file, record, column)


def offenders(
    conn: Connection, staged: Staged, rule: CheckConstraint, problem: str
) -> tuple[list[LfmigrateError], int]:
    """Find the rows that violate a check constraint of the target table. Only reads.

    Args:
        conn: A connection with an open transaction.
        staged: The file, and the table that it was copied into by one COPY.
        rule: The check constraint.
        problem: The message for each row.

    Returns:
        An error for each, in the order of the file, up to `MOST`, and how many there are; none if
        the constraint uses other columns, or cannot be evaluated on these.
    """
    if not rule.columns <= set(staged.table.columns):
        return [], 0
    sql = (
        f"SELECT {_FIRST} FROM (SELECT ctid AS place, NULL AS value, count(*) OVER () AS total"
        f" FROM {qualified(staged)} WHERE NOT ({rule.expression})"
        f" ORDER BY ctid LIMIT {MOST:d}) AS found"
    )
    try:
        found = fetch(conn, Query(sql, (), dict))
    except StatementFailed:
        return [], 0  # the columns have other types here, to which the rule does not apply
    column = next((c for c in staged.file.columns if c in rule.columns), None)
    messages = {ctid: problem for ctid, _ in found["rows"]}
    return _placed(conn, staged, messages, "23514", column), found["total"]


def duplicates(
    conn: Connection, staged: Staged, key: UniqueKey
) -> tuple[list[LfmigrateError], int]:
    """Find the rows whose natural key appears in the file more than once. Only reads.

    Args:
        conn: A connection with an open transaction.
        staged: The file, and the table that it was copied into by one COPY.
        key: What must be unique.

    Returns:
        An error for each row except the first of its key, in the order of the file, up to `MOST`,
        and how many there are.
    """
    columns = ", ".join(key.keys)
    conditions = [f"({key.predicate})"] if key.predicate is not None else []
    if not key.nulls_are_equal:
        # A key with a NULL in it is not a duplicate.
        conditions += [f"({each}) IS NOT NULL" for each in key.keys]
    sql = (
        f"SELECT {_FIRST} FROM (SELECT place, value, count(*) OVER () AS total FROM ("
        f"SELECT ctid AS place, concat_ws(', ', {columns}) AS value, row_number() OVER"
        f" (PARTITION BY {columns} ORDER BY ctid) AS number FROM {qualified(staged)}"
        f" WHERE {' AND '.join(conditions or ['true'])}) AS numbered"
        f" WHERE number > 1 ORDER BY place LIMIT {MOST:d}) AS again"
    )
    found = fetch(conn, Query(sql, (), dict))
    messages = {
        ctid: f"this row repeats an earlier one: ({columns}) = ({value})"
        for ctid, value in found["rows"]
    }
    return _placed(conn, staged, messages, "23505", None), found["total"]


def empty(flight: Flight, staged: Staged) -> None:
    """Queue a TRUNCATE of a staging table."""
    flight.do(f"TRUNCATE {qualified(staged)}")


def _placed(
    conn: Connection,
    staged: Staged,
    messages: Mapping[str, str],
    sqlstate: str,
    column: str | None,
) -> list[LfmigrateError]:
    """Return an error for each row, given its ctid and the message."""
    problems: list[LfmigrateError] = []
    for ctid, message in messages.items():
        problems.append(StatementFailed(message, sqlstate=sqlstate))
        place(conn, staged, ctid, problems[-1], column)
    return problems


def combined(
    problems: Sequence[LfmigrateError], count: int, *, at_least: bool = False
) -> LfmigrateError:
    """Return one error that lists problems, up to `MOST` of them.

    Args:
        problems: One or more.
        count: How many there are.
        at_least: Whether there may be more than that, because the search has ended.
    """
    message = f"{count:,} problems in the files"
    if at_least:
        message = f"the first {MOST} of at least {message}"
    elif count > MOST:
        message += f", of which these are the first {MOST}"
    return combine(problems[:MOST], message)


def _copying(
    staged: Staged, after: Record, end: int | None = None, *, watch: OnCopy | None = None
) -> tuple[str, Iterable[bytes]]:
    """Return the COPY statement for some records of a file, and its data."""
    file = staged.file
    blocks = csvfile.blocks(file, after, end)
    return (
        dump.copy_from(qualified(staged), file.columns),
        dump.watched(blocks, file.name, file.size - file.header.start, watch),
    )


def _problems(conn: Connection, staged: Sequence[Staged]) -> list[LfmigrateError]:
    """Copy files again without the rejected rows, and return an error for each of those."""
    problems: list[LfmigrateError] = []
    for each in staged:
        _copy_around(conn, each, each.file.header, each.file.size, problems)
    return problems


def _copy_around(
    conn: Connection, staged: Staged, after: Record, end: int, problems: list[LfmigrateError]
) -> None:
    """Copy the records of a range that are accepted, and add an error for each other one."""
    # One more than is reported, to know whether there are more.
    while len(problems) <= MOST:
        execute(conn, f"SAVEPOINT {SAVEPOINT}")
        try:
            list(copy_in(conn, [_copying(staged, after, end)]))
        except StatementFailed as error:
            if not rejected.is_about_row(error, staged.table):
                raise
            record, problem = rejected.locate(staged.file, staged.table, after, error)
        else:
            return
        execute(conn, f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")
        # The server buffers rows and inserts them in batches, so an earlier row may be rejected
        # after this one; and a later row may repeat one of these.
        _copy_around(conn, staged, after, record.start, problems)
        problems.append(problem)
        if not record.closed:
            return
        after = record


def qualified(staged: Staged) -> str:
    """Return a staging table's name with its schema, quoted."""
    return f"pg_temp.{quote_name(staged.table.name)}"


def _of_no_table(path: Path, tables: Sequence[StagingTable]) -> CsvFileError:
    names = ", ".join(f"{table.name.removeprefix(PREFIX)}.csv" for table in tables)
    return CsvFileError(
        "there is no staging table for this file",
        hint=f"load.sql expects {names}."
        if names
        else "load.sql does not begin with CREATE TEMPORARY TABLE"
        f" {PREFIX}{path.stem.lower()}, so it does not expect it.",
        file=path.name,
    )


def _refuse_twin(path: Path, others: Sequence[CsvFile]) -> None:
    """Refuse a second file for a table, such as one with an upper-case suffix."""
    for other in others:
        raise CsvFileError(
            f"{other.name} is for the same table", hint="Keep one of them.", file=path.name
        )
