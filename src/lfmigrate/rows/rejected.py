"""Explains why COPY rejected a row, and where in its file the row is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lfmigrate.catalog.tables import StagingTable
from lfmigrate.errors import LfmigrateError, StatementFailed
from lfmigrate.source import csvfile
from lfmigrate.source.csvfile import CsvFile, Record

# Data exceptions and integrity constraint violations.
_ROW_ERRORS = ("22", "23")

_BAD_COPY_FORMAT = "22P04"
_NOT_IN_ENCODING = "22021"
_NOT_NULL_VIOLATION = "23502"
_UNIQUE_VIOLATION = "23505"
_BAD_DATES = ("22007", "22008")


def is_about_row(error: StatementFailed, table: StagingTable) -> bool:
    """Return whether COPY failed because of a row of the file."""
    return (error.sqlstate or "")[:2] in _ROW_ERRORS and _copy_line(error, table) is not None


def locate(
    file: CsvFile, table: StagingTable, after: Record, error: StatementFailed
) -> tuple[Record, LfmigrateError]:
    """Return the record that COPY rejected, and the error to report.

    Args:
        file: The file.
        table: The table that it was copied into.
        after: The record after which the records were copied.
        error: The server's error.
    """
    at_line, words = _copy_line(error, table) or (1, "")
    if error.sqlstate == _NOT_IN_ENCODING:
        not_text = csvfile.first_not_text(file, after)
        if not_text is not None:
            return not_text
    record = csvfile.record_of_line(file, after, at_line)
    if record is None:
        raise error
    if not record.closed:
        return record, csvfile.unclosed(record)
    if error.sqlstate == _BAD_COPY_FORMAT:
        return record, _wrong_fields(file, record, error)
    column = error.diagnostic.column or column_in(words, file.columns)
    message, hint = error.message, error.hint
    if error.sqlstate == _NOT_NULL_VIOLATION and column is not None:
        message = f'"{column}" must not be empty'
    elif error.sqlstate == _UNIQUE_VIOLATION:
        key = _key(error.diagnostic.detail or "") or error.message
        message, hint = f"this row repeats an earlier one: {key}", "Remove one of them."
    elif error.sqlstate in _BAD_DATES:
        hint = "Write a date as 2026-09-30."
    problem = StatementFailed(message, hint=hint, sqlstate=error.sqlstate)
    set_place(problem, file, record, column)
    return record, problem


def set_place(problem: LfmigrateError, file: CsvFile, record: Record, column: str | None) -> None:
    """Set an error's file, line and column, and show the line, given a record and a column."""
    fields = record.fields
    index = file.columns.index(column) if column in file.columns else 0
    place = fields[index] if index < len(fields) else 0
    problem.file = file.name
    problem.line, problem.column, shown = record.locate(place)
    problem.detail = (shown, *problem.detail)


def _copy_line(error: StatementFailed, table: StagingTable) -> tuple[int, str] | None:
    """Return the line at which COPY failed, where 1 is the header, and the text after its number.

    The server's message may be in any language, but has this order. A value of the row comes after
    it, and in other parts of the message, and may read like it.
    """
    begin = rf"^COPY {re.escape(table.name)}[^\d\n]*(\d+)(.*)"
    found = re.search(begin, error.diagnostic.context or "", re.DOTALL | re.MULTILINE)
    return None if found is None else (int(found[1]), found[2])


def column_in(words: str, columns: Sequence[str]) -> str | None:
    """Return the column that the server names, before a colon and the value.

    The value may contain the name of another column, with a colon. Without a column, the colon and
    the whole line come first.
    """
    if re.match(r"\s*[:\uff1a]", words):
        return None
    places = {
        c: found.start()
        for c in columns
        if (found := re.search(rf"\s{re.escape(c)}\s*(?:[:\uff1a]|$)", words))
    }
    return min(places, key=lambda c: (places[c], -len(c)), default=None)


def _key(detail: str) -> str | None:
    """Return the columns and values of the key that the server reports as duplicate."""
    found = re.search(r"\((.+?)\)=\((.*)\)", detail, re.DOTALL)
    return None if found is None else f"({found[1]}) = ({found[2]})"


def _wrong_fields(file: CsvFile, record: Record, error: StatementFailed) -> LfmigrateError:
    wanted, found = len(file.columns), len(record.fields)
    if not record.text:
        return record.error("the line is empty")
    if found == wanted and not csvfile.ends_alike(file.header, record):
        return record.error(
            "this line ending differs from that of the first line",
            len(record.text),
            hint="Save it with LF or CRLF line endings, but not both.",
        )
    if found == wanted:
        return record.error(error.message)
    fields = "1 field" if found == 1 else f"{found} fields"
    return record.error(
        f"{fields}, but the header has {wanted}",
        record.fields[wanted] if found > wanted else len(record.text),
        hint="Put text that contains a comma in double quotes.",
    )
