"""Reads a CSV file: its header, its bytes, and the position of an invalid row.

Records and fields follow COPY's rules, with the comma and the double quote: a quote begins or ends
quoted text wherever it is, and a line break ends a record unless it is quoted. The server parses
the fields; here they are only located.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lfmigrate.errors import CsvFileError, excerpt

_BLOCK_BYTES = 1 << 18

# What spreadsheets write instead of a comma, depending on the locale.
_OTHER_DELIMITERS = (";", "\t", "|")

_END_MARK = b"\\."


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a file, and its position.

    Attributes:
        content: Its bytes, including the final line ending.
        start: The number of bytes of the file before it.
        line: The line that it begins on, from 1.
        last_line: The line that it ends on.
        closed: Whether every quote in it is closed.
    """

    content: bytes
    start: int
    line: int
    last_line: int
    closed: bool

    @property
    def end(self) -> int:
        """Return the number of bytes of the file before the next record."""
        return self.start + len(self.content)

    @property
    def text(self) -> str:
        """Return its text without the final line ending; bytes that are not UTF-8 are replaced."""
        return self.content.decode("utf-8", "replace").rstrip("\r\n")

    @property
    def fields(self) -> tuple[int, ...]:
        """Return where each field begins in `text`."""
        starts = [0]
        quoted = False
        for place, character in enumerate(self.text):
            if character == '"':
                quoted = not quoted
            elif character == "," and not quoted:
                starts.append(place + 1)
        return tuple(starts)


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file and its header.

    Attributes:
        name: The name for messages, such as ``cost_categories.csv``.
        path: Where it is.
        columns: The column names in the header.
        header: The record of the header.
        size: The file's size in bytes.
    """

    name: str
    path: Path
    columns: tuple[str, ...]
    header: Record
    size: int

    @property
    def stem(self) -> str:
        """Return the file name without its suffix, which is the table's name."""
        return self.path.stem


def open_csv(path: Path) -> CsvFile:
    """Read the header of a file. Only reads.

    Raises:
        CsvFileError: The file has no header, or cannot be read.
    """
    name = path.name
    try:
        if not path.is_file():
            raise _problem("not a regular file", name)
        size = path.stat().st_size
        header = next(records(path), None)
    except OSError as error:
        raise _problem(f"cannot be read: {error.strerror}", name) from None
    if header is not None and header.content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _problem("the file is UTF-16", name, 1, 1, hint="Save it as CSV in UTF-8.")
    if header is None or not header.text:
        raise _problem(
            "the file is empty" if size == 0 else "the first line is empty",
            name,
            1,
            1,
            hint="A file begins with a line of column names, even if it has no rows.",
        )
    refuse_bytes(name, header)
    if not header.closed:
        raise unclosed(name, header)
    if "\r" in header.text:
        raise _problem(
            "lines end with a carriage return alone",
            name,
            1,
            header.text.index("\r") + 1,
            hint="Save it with LF or CRLF line endings.",
        )
    try:
        columns = next(csv.reader([header.text], strict=True))
    except csv.Error as error:
        raise _problem(f"the column names cannot be read: {error}", name, 1, 1) from None
    return CsvFile(name, path, tuple(column.strip() for column in columns), header, size)


def refuse_columns(file: CsvFile, known: Sequence[str], required: Collection[str]) -> None:
    """Refuse a header that does not match the columns of a table.

    Args:
        file: The file.
        known: The columns that it may have, in the order used in messages.
        required: Those that it must have.

    Raises:
        CsvFileError: A name is unknown, duplicated, or missing.
    """
    places = file.header.fields
    if not set(known) & set(file.columns):
        delimiter = next(
            (
                character
                for character in _OTHER_DELIMITERS
                if set(known) & {word.strip(' "') for word in file.header.text.split(character)}
            ),
            None,
        )
        hint = f"The columns are {', '.join(known)}."
        if delimiter is not None:
            hint = f"Fields are separated by commas, and this file uses {delimiter!r}."
        raise at(file, file.header, 0, "the first line is not a header of column names", hint=hint)
    unknown = [column for column in file.columns if column not in known]
    if unknown:
        raise at(
            file,
            file.header,
            places[file.columns.index(unknown[0])],
            f"unknown {_columns(unknown)}",
            hint=f"The columns are {', '.join(known)}.",
        )
    twice = [c for place, c in enumerate(file.columns) if c in file.columns[:place]]
    if twice:
        place = places[len(file.columns) - 1 - file.columns[::-1].index(twice[0])]
        raise at(file, file.header, place, f'column "{twice[0]}" appears twice')
    missing = [column for column in known if column in required and column not in file.columns]
    if missing:
        raise at(file, file.header, len(file.header.text), f"missing {_columns(missing)}")


def records(path: Path, *, start: int = 0, line: int = 1) -> Iterator[Record]:
    """Return the records of a file, beginning with a given one. Only reads.

    Args:
        path: The file.
        start: The number of bytes before the first record wanted.
        line: The line that it begins on.
    """
    with path.open("rb") as file:
        file.seek(start)
        if start == 0 and file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            start = len(codecs.BOM_UTF8)
        file.seek(start)
        # Joined once: after an unclosed quote, the rest of the file is one record.
        lines: list[bytes] = []
        first_line = line
        closed = True
        for physical in file:
            lines.append(physical)
            closed ^= physical.count(b'"') % 2 == 1
            if closed:
                record = Record(b"".join(lines), start, first_line, line, closed)
                yield record
                start = record.end
                first_line, lines = line + 1, []
            line += 1
        if lines:
            yield Record(b"".join(lines), start, first_line, line - 1, closed)


def blocks(file: CsvFile, start: int, end: int | None = None) -> Iterator[bytes]:
    r"""Return a file's header, then its bytes from the start of one record to that of another.

    Raises:
        CsvFileError: A line is ``\.``, at which servers before PostgreSQL 18 would stop reading
            and report success.
    """
    tail = b""
    header = file.header.content
    yield header if header.endswith(b"\n") else header + b"\n"
    with file.path.open("rb") as content:
        content.seek(start)
        left = file.size - start if end is None else end - start
        while block := content.read(min(_BLOCK_BYTES, left)):
            left -= len(block)
            if _END_MARK in tail + block:
                _refuse_end_mark(file)
            yield block
            tail = block[-1:]


def record_of_line(file: CsvFile, start: int, first_line: int, line: int) -> Record | None:
    """Return the record that COPY refers to by a line number.

    COPY counts records, and of the quoted line breaks only those that begin like the header's line
    ending: in a file with CRLF line endings, an LF in a cell does not count.

    Args:
        file: The file.
        start: The number of bytes before the first record that was sent after the header.
        first_line: The line of the file that it begins on.
        line: The line reported by COPY, where 1 is the header.

    Returns:
        The record; None if there is none.
    """
    end = b"\r" if file.header.content.endswith(b"\r\n") else b"\n"
    counted = 1
    record = None
    for record in records(file.path, start=start, line=first_line):
        counted += 1 + record.content.rstrip(b"\r\n").count(end)
        if counted >= line:
            break
    # A line after the end of the file belongs to the last record.
    return record


def record_of_row(file: CsvFile, row: int) -> Record | None:
    """Return the record of a row, counted from 1 after the header."""
    found = records(file.path, start=file.header.end, line=file.header.last_line + 1)
    return next((record for number, record in enumerate(found, 1) if number == row), None)


def first_not_text(
    file: CsvFile, start: int, first_line: int
) -> tuple[Record, CsvFileError] | None:
    """Return the first record that is not UTF-8 text, from a given one on, and the error."""
    for record in records(file.path, start=start, line=first_line):
        try:
            refuse_bytes(file.name, record)
        except CsvFileError as error:
            return record, error
    return None


def refuse_bytes(name: str, record: Record) -> None:
    """Refuse a record with bytes that are not UTF-8 text.

    Raises:
        CsvFileError: It has such a byte.
    """
    try:
        text = record.content.decode()
    except UnicodeDecodeError as error:
        before = record.content[: error.start].decode()
        wrong = record.content[error.start]
        message = f"byte 0x{wrong:02X} is not UTF-8"
        hint = "Save the file as CSV in UTF-8."
    else:
        if "\0" not in text:
            return
        before = text[: text.index("\0")]
        message, hint = "a NUL character", "Remove it; this may not be a CSV file."
    raise _problem(message, name, *_place(record, before), hint=hint)


def ends_alike(one: Record, other: Record) -> bool:
    """Return whether two records have the same line ending, if both have one."""
    ends = [r.content[len(r.content.rstrip(b"\r\n")) :] for r in (one, other)]
    return b"" in ends or ends[0] == ends[1]


def unclosed(name: str, record: Record) -> CsvFileError:
    """Return the error about a quote that is never closed."""
    return _problem(
        "a quote is opened here and never closed",
        name,
        *_place(record, record.text[: record.fields[-1]]),
        hint="Close it; a quote inside quoted text is written twice.",
    )


def at(
    file: CsvFile, record: Record, place: int, message: str, *, hint: str | None = None
) -> CsvFileError:
    """Return an error about a place in a record that shows the line.

    Args:
        file: The file.
        record: The record.
        place: The number of characters of its text before the place.
        message: The problem.
        hint: How to solve it.
    """
    return _problem(
        message,
        file.name,
        *_place(record, record.text[:place]),
        detail=shown(record, place),
        hint=hint,
    )


def place_in(record: Record, place: int) -> tuple[int, int]:
    """Return the line and column in the file, from 1, of a place in a record's text."""
    return _place(record, record.text[:place])


def shown(record: Record, place: int) -> tuple[str, ...]:
    """Return the line of a record that a place is on, cut to fit a terminal."""
    line, column = place_in(record, place)
    source = record.text.split("\n")[line - record.line].rstrip("\r")
    return (f"{line} | {excerpt(source, column)[0]}",)


def _refuse_end_mark(file: CsvFile) -> None:
    for record in records(file.path, start=file.header.end, line=file.header.last_line + 1):
        if record.content.rstrip(b"\r\n") == _END_MARK:
            raise at(
                file,
                record,
                0,
                r"a line \. ends the data for some servers",
                hint="Remove the line and everything after it, or quote the text.",
            )


def _place(record: Record, before: str) -> tuple[int, int]:
    return record.line + before.count("\n"), len(before) - before.rfind("\n")


def _columns(names: list[str]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"column {quoted}" if len(names) == 1 else f"columns {quoted}"


def _problem(
    message: str,
    name: str,
    line: int | None = None,
    column: int | None = None,
    *,
    detail: tuple[str, ...] = (),
    hint: str | None = None,
) -> CsvFileError:
    return CsvFileError(message, detail=detail, hint=hint, file=name, line=line, column=column)
