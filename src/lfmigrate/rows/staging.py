"""Copies CSV files into staging tables, and locates the rows that the server rejects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lfmigrate.catalog.tables import CheckConstraint, StagingTable
from lfmigrate.errors import CsvFileError, LfmigrateError, StatementFailed, combine
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.copy import copy_in
from lfmigrate.postgres.pipeline import Flight, Query
from lfmigrate.rows import dump
from lfmigrate.rows.dump import OnCopy
from lfmigrate.source import csvfile
from lfmigrate.source.csvfile import CsvFile, Record
from lfmigrate.syntax.names import quote_name

# What stands before a table's name in the name of its staging table.
PREFIX = "seed_"

# More problems than this are counted; whoever has so many has one cause.
MOST = 20

# Data exceptions and integrity violations: it is the row's fault.
_OF_A_ROW = ("22", "23")

_BAD_COPY_FORMAT = "22P04"

_NOT_IN_ENCODING = "22021"

_NULL = "23502"

_DUPLICATE = "23505"

_BAD_DATES = ("22007", "22008")

# Where copying starts again, around rows that the server rejects.
SAVEPOINT = "lfmigrate_files"


@dataclass(frozen=True, slots=True)
class Staged:
    """A file, and the table that it is copied into."""

    file: CsvFile
    table: StagingTable


def pair(files: Sequence[Path], tables: Sequence[StagingTable]) -> list[Staged]:
    """Read the headers of files, and find the staging table of each. Only reads.

    Returns:
        The files in the order of the tables.

    Raises:
        CsvFileError: A file belongs to no table or its header does not fit; all of it is reported.
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
        raise combine(problems, how_many(len(problems)))
    return [staged for _, staged in sorted(found, key=lambda entry: entry[0])]


def copy(conn: Connection, staged: Sequence[Staged], watch: OnCopy | None) -> list[int]:
    """Copy files into their staging tables.

    Args:
        conn: A connection with an open transaction and the savepoint `SAVEPOINT`.
        staged: The files.
        watch: Called after every block.

    Returns:
        How many rows each has.

    Raises:
        CsvFileError: A file is not as a CSV file is.
        StatementFailed: The server refused rows; all of them are reported, up to `MOST`.
    """
    rows: list[int] = []
    try:
        copies = [_copying(each, each.file.header.end, watch=watch) for each in staged]
        for count in copy_in(conn, copies):
            rows.append(count)  # noqa: PERF402 (those before a failure are needed, too)
    except StatementFailed as error:
        place = len(rows)
        if not _is_of_a_row(error, staged[place].table):
            raise
        _go(conn, f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")
        problems = _problems(conn, staged[place:])
        raise combine(problems, how_many(len(problems))) from None
    return rows


def place(
    conn: Connection, staged: Staged, ctid: str, problem: LfmigrateError, column: str | None
) -> None:
    """Tell an error where in a file the row stands that it is about. Only reads.

    Args:
        conn: A connection with an open transaction.
        staged: The file, and the table that it was copied into in one go.
        ctid: Of the row in that table.
        problem: The error.
        column: The name of a column of the file, if the error is about one.
    """
    # Rows that were copied in one go stand in the order of the file.
    flight = Flight(conn)
    asked = flight.ask(
        Query(
            f"SELECT to_jsonb(count(*)) FROM pg_temp.{quote_name(staged.table.name)}"
            " WHERE ctid <= $1::tid",
            (ctid,),
            int,
        )
    )
    flight.go()
    record = csvfile.record_of_row(staged.file, asked.value)
    if record is not None:
        _place(problem, staged.file, record, column)


def offenders(
    conn: Connection, staged: Staged, rule: CheckConstraint, problem: str
) -> list[LfmigrateError]:
    """Find the rows that a check of the table they are meant for refuses. Only reads.

    Args:
        conn: A connection with an open transaction.
        staged: The file, and the table that it was copied into in one go.
        rule: The check.
        problem: What to say of each row.

    Returns:
        An error for each, in the order of the file, up to `MOST`; none if the check is about other
        columns, or cannot be asked of these.
    """
    if not rule.columns <= set(staged.table.columns):
        return []
    flight = Flight(conn)
    asked = flight.ask(
        Query(
            "SELECT coalesce(jsonb_agg(place ORDER BY place), '[]') FROM (SELECT ctid AS place"
            f" FROM pg_temp.{quote_name(staged.table.name)} WHERE NOT ({rule.expression})"
            f" LIMIT {MOST:d}) AS found",
            (),
            list,
        )
    )
    try:
        flight.go()
    except StatementFailed:
        return []  # the columns have other types here, so the rule says nothing of them
    column = next((c for c in staged.file.columns if c in rule.columns), None)
    problems: list[LfmigrateError] = []
    for ctid in asked.value:
        problems.append(StatementFailed(problem, sqlstate="23514"))
        place(conn, staged, ctid, problems[-1], column)
    return problems


def duplicates(conn: Connection, staged: Staged, key: str) -> list[LfmigrateError]:
    """Find the rows whose natural key stands in the file more than once. Only reads.

    Args:
        conn: A connection with an open transaction.
        staged: The file, and the table that it was copied into in one go.
        key: The columns of the key, as SQL.

    Returns:
        An error for each row but the first of its key, in the order of the file, up to `MOST`.
    """
    flight = Flight(conn)
    asked = flight.ask(
        Query(
            "SELECT coalesce(jsonb_agg(jsonb_build_array(place, value) ORDER BY place), '[]')"
            " FROM (SELECT place, value FROM (SELECT ctid AS place,"
            f" concat_ws(', ', {key}) AS value, row_number() OVER"
            f" (PARTITION BY {key} ORDER BY ctid) AS number"
            f" FROM pg_temp.{quote_name(staged.table.name)}"
            # A key that is not whole repeats nothing.
            f" WHERE ROW({key}) IS NOT NULL) AS numbered"
            f" WHERE number > 1 ORDER BY place LIMIT {MOST:d}) AS again",
            (),
            list,
        )
    )
    flight.go()
    problems: list[LfmigrateError] = []
    for ctid, value in asked.value:
        problems.append(
            StatementFailed(
                f"this row repeats an earlier one: ({key}) = ({value})", sqlstate=_DUPLICATE
            )
        )
        place(conn, staged, ctid, problems[-1], None)
    return problems


def how_many(count: int) -> str:
    """Return what several problems are together."""
    more = f", of which these are the first {MOST}" if count > MOST else ""
    return f"{count:,} problems in the files{more}"


def _copying(
    staged: Staged,
    start: int,
    end: int | None = None,
    *,
    watch: OnCopy | None = None,
) -> tuple[str, Iterable[bytes]]:
    """Return the COPY of some records of a file, and what to send."""
    file = staged.file
    columns = ", ".join(quote_name(column) for column in file.columns)
    blocks = csvfile.blocks(file, start, end)
    statement = (
        f"COPY pg_temp.{quote_name(staged.table.name)} ({columns})"
        " FROM STDIN (FORMAT csv, HEADER, ENCODING 'UTF8')"
    )
    return statement, dump.watched(blocks, file.name, file.size - file.header.start, watch)


def _problems(conn: Connection, staged: Sequence[Staged]) -> list[LfmigrateError]:
    """Copy files once more, without the rows that are refused, and return why those are."""
    problems: list[LfmigrateError] = []
    for each in staged:
        header = each.file.header
        span = _Span(header.end, each.file.size, header.last_line + 1)
        _copy_around(conn, each, span, problems)
    return problems


@dataclass(frozen=True, slots=True)
class _Span:
    """Some records of a file: the bytes where they begin and end, and the line of the first."""

    start: int
    end: int
    line: int


def _copy_around(
    conn: Connection, staged: Staged, span: _Span, problems: list[LfmigrateError]
) -> None:
    """Copy those records that are not refused, and add a problem for each other one."""
    while len(problems) < MOST:
        _go(conn, f"SAVEPOINT {SAVEPOINT}")
        try:
            list(copy_in(conn, [_copying(staged, span.start, span.end)]))
        except StatementFailed as error:
            if not _is_of_a_row(error, staged.table):
                raise
            record, problem = _locate(staged, span, error)
        else:
            return
        _go(conn, f"ROLLBACK TO SAVEPOINT {SAVEPOINT}")
        # The server keeps rows back and inserts them together, so an earlier one may be refused
        # later; and a later one may repeat one of these.
        _copy_around(conn, staged, replace(span, end=record.start), problems)
        problems.append(problem)
        if not record.closed:
            return
        span = replace(span, start=record.end, line=record.last_line + 1)


def _go(conn: Connection, sql: str) -> None:
    flight = Flight(conn)
    flight.do(sql)
    flight.go()


def _of_no_table(path: Path, tables: Sequence[StagingTable]) -> CsvFileError:
    names = ", ".join(f"{table.name.removeprefix(PREFIX)}.csv" for table in tables)
    return CsvFileError(
        "the file belongs to no table",
        hint=f"load.sql knows {names}."
        if names
        else "load.sql does not begin with CREATE TEMPORARY TABLE, so it knows no files.",
        file=path.name,
    )


def _refuse_twin(path: Path, others: Sequence[CsvFile]) -> None:
    """Refuse a second file of a table, such as one with its ending in capitals."""
    for other in others:
        raise CsvFileError(
            f"{other.name} is of the same table",
            hint="Leave one of them.",
            file=path.name,
        )


def _is_of_a_row(error: StatementFailed, table: StagingTable) -> bool:
    return (error.sqlstate or "")[:2] in _OF_A_ROW and _server_line(error, table) is not None


def _server_line(error: StatementFailed, table: StagingTable) -> tuple[int, str] | None:
    """Return the line that COPY stopped at, from 1 for the header, and what it says of it.

    The server says it in its own language, but in this order.
    """
    for line in error.detail:
        found = re.match(rf"COPY {re.escape(table.name)}\D*?(\d+)(.*)", line, re.DOTALL)
        if found:
            return int(found[1]), found[2]
    return None


def _locate(staged: Staged, span: _Span, error: StatementFailed) -> tuple[Record, LfmigrateError]:
    """Return the record that COPY refused, and what is wrong with it.

    Args:
        staged: The file, and the table.
        span: What was copied.
        error: What the server said.
    """
    file = staged.file
    at_line, words = _server_line(error, staged.table) or (1, "")
    if error.sqlstate == _NOT_IN_ENCODING:
        record = csvfile.not_text(file, span.start, span.line)
        if record is not None:
            try:
                csvfile.refuse_bytes(file.name, record)
            except CsvFileError as not_text:
                return record, not_text
    record = csvfile.record_of_line(file, span.start, span.line, at_line)
    if record is None:
        raise error
    if not record.closed:
        return record, csvfile.unclosed(file.name, record)
    if error.sqlstate == _BAD_COPY_FORMAT:
        return record, _wrong_fields(file, record, error)
    column = error.diagnostic.column or _column_in(words, file.columns)
    message, hint = error.message, error.hint
    if error.sqlstate == _NULL and column is not None:
        message = f'"{column}" must not be empty'
    elif error.sqlstate == _DUPLICATE:
        key = next((d for d in map(_key, error.detail) if d), error.message)
        message, hint = f"this row repeats an earlier one: {key}", "Remove one of them."
    elif error.sqlstate in _BAD_DATES:
        hint = "A date is written as 2026-09-30."
    problem = StatementFailed(message, hint=hint, sqlstate=error.sqlstate)
    _place(problem, file, record, column)
    return record, problem


def _column_in(words: str, columns: Sequence[str]) -> str | None:
    """Return the column that the server names, before a colon and the value."""
    found = [c for c in columns if re.search(rf"\s{re.escape(c)}(?::|$)", words)]
    return max(found, key=len, default=None)


def _key(detail: str) -> str | None:
    """Return the columns and values that the server says are there already."""
    found = re.search(r"\((.+)\)=\((.*)\)", detail, re.DOTALL)
    return None if found is None else f"({found[1]}) = ({found[2]})"


def _wrong_fields(file: CsvFile, record: Record, error: StatementFailed) -> LfmigrateError:
    wanted, there = len(file.columns), len(record.fields)
    if not record.text:
        return csvfile.at(file, record, 0, "the line is empty")
    if there == wanted and not csvfile.ends_alike(file.header, record):
        return csvfile.at(
            file,
            record,
            len(record.text),
            "this line ends otherwise than the first one",
            hint="Save it with the line ends of Unix or of Windows, one of them throughout.",
        )
    if there == wanted:
        return csvfile.at(file, record, 0, error.message)
    place = record.fields[wanted] if there > wanted else len(record.text)
    fields = "1 field" if there == 1 else f"{there} fields"
    return csvfile.at(
        file,
        record,
        place,
        f"{fields}, and the header has {wanted}",
        hint="A text with a comma in it stands in double quotes.",
    )


def _place(problem: LfmigrateError, file: CsvFile, record: Record, column: str | None) -> None:
    """Tell an error where in a file it belongs."""
    fields = record.fields
    at = file.columns.index(column) if column in file.columns else 0
    place = fields[at] if at < len(fields) else 0
    problem.file = file.name
    problem.line, problem.column = csvfile.place_in(record, place)
    problem.detail = (*csvfile.shown(record, place), *problem.detail)
