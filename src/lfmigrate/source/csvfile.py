"""Reads a CSV file: its header, its bytes, and the position of an invalid row.

Records and fields follow COPY's rules, with the comma and the double quote: a quote begins or ends
quoted text wherever it is, and a line break ends a record unless it is quoted. The server parses
the fields; here they are only located.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lfmigrate.errors import CsvFileError, excerpt, locate

_BLOCK_BYTES = 1 << 18

# What spreadsheets write instead of a comma, depending on the locale.
_OTHER_DELIMITERS = (";", "\t", "|")

_END_MARK = b"\\."

# A field without quotes or within quotes, and what ends it.
_FIELD = re.compile(r'(?:"((?:[^"]|"")*+)"|([^",\r\n]*+))(,|\r?\n|\Z)')

# A line of its own, or what may be one where the block begins or ends.
_END_MARK_LINE = re.compile(rb"(?:^|[\r\n])\\\.(?:[\r\n]|$)")


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a file, and its position.

    Attributes:
        file: The name of the file for messages, such as ``cost_categories.csv``.
        content: Its bytes, including the final line ending.
        start: The number of bytes of the file before it.
        line: The line that it begins on, from 1.
    """

    file: str
    content: bytes
    start: int
    line: int

    @property
    def end(self) -> int:
        """Return the number of bytes of the file before the next record."""
        return self.start + len(self.content)

    @property
    def next_line(self) -> int:
        """Return the line that the next record begins on."""
        return self.line + self.content.count(b"\n")

    @property
    def closed(self) -> bool:
        """Return whether every quote in it is closed."""
        return self.content.count(b'"') % 2 == 0

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

    def locate(self, place: int) -> tuple[int, int, str]:
        """Find a place in the file.

        Args:
            place: The number of characters of `text` before it.

        Returns:
            The line and the column in the file, from 1, and the line cut to fit a terminal.
        """
        line, column, source = locate(self.text, place)
        line += self.line - 1
        return line, column, f"{line} | {excerpt(source, column)[0]}"

    def error(
        self, message: str, place: int = 0, *, hint: str | None = None, shown: bool = True
    ) -> CsvFileError:
        """Return an error about a place in the record.

        Args:
            message: The problem.
            place: The number of characters of `text` before the place.
            hint: How to solve it.
            shown: Whether the error shows the line.
        """
        line, column, source = self.locate(place)
        return CsvFileError(
            message,
            detail=[source] if shown else (),
            hint=hint,
            file=self.file,
            line=line,
            column=column,
        )


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file and its header.

    Attributes:
        path: Where it is.
        columns: The column names in the header.
        header: The record of the header.
        size: The file's size in bytes.
    """

    path: Path
    columns: tuple[str, ...]
    header: Record
    size: int

    @property
    def name(self) -> str:
        """Return the name for messages, such as ``cost_categories.csv``."""
        return self.path.name


def open_csv(path: Path) -> CsvFile:
    """Read the header of a file. Only reads.

    Raises:
        CsvFileError: The file has no header, or cannot be read.
    """
    try:
        if not path.is_file():
            raise CsvFileError("not a regular file", file=path.name)
        size = path.stat().st_size
        header = next(records(path), Record(path.name, b"", 0, 1))
    except OSError as error:
        raise CsvFileError(f"cannot be read: {error.strerror}", file=path.name) from None
    text = header.text
    if header.content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise header.error("the file is UTF-16", hint="Save it as CSV in UTF-8.", shown=False)
    if not text:
        raise header.error(
            "the file is empty" if size == 0 else "the first line is empty",
            hint="A file begins with a line of column names, even if it has no rows.",
            shown=False,
        )
    refuse_bytes(header)
    if not header.closed:
        raise unclosed(header)
    if "\r" in text:
        raise header.error(
            "lines end with a carriage return alone",
            text.index("\r"),
            hint="Save it with LF or CRLF line endings.",
            shown=False,
        )
    try:
        columns = next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise header.error(f"the column names cannot be read: {error}", shown=False) from None
    return CsvFile(path, tuple(column.strip() for column in columns), header, size)


def refuse_columns(file: CsvFile, known: Sequence[str], required: Collection[str]) -> None:
    """Refuse a header that does not match the columns of a table.

    Args:
        file: The file.
        known: The columns that it may have, in the order used in messages.
        required: Those that it must have.

    Raises:
        CsvFileError: A name is unknown, duplicated, or missing.
    """
    header, columns = file.header, file.columns
    hint = f"The columns are {', '.join(known)}."
    if not set(known) & set(columns):
        for delimiter in _OTHER_DELIMITERS:
            if set(known) & {word.strip(' "') for word in header.text.split(delimiter)}:
                hint = f"Fields are separated by commas, and this file uses {delimiter!r}."
                break
        raise header.error("the first line is not a header of column names", hint=hint)
    for place, column in zip(header.fields, columns, strict=False):
        if column not in known:
            unknown = [column for column in columns if column not in known]
            raise header.error(f"unknown {_columns(unknown)}", place, hint=hint)
    twice = next((c for place, c in enumerate(columns) if c in columns[:place]), None)
    if twice is not None:
        place = header.fields[len(columns) - 1 - columns[::-1].index(twice)]
        raise header.error(f'column "{twice}" appears twice', place)
    missing = [column for column in known if column in required and column not in columns]
    if missing:
        raise header.error(f"missing {_columns(missing)}", len(header.text))


def records(path: Path, after: Record | None = None) -> Iterator[Record]:
    """Return the records of a file, or those after one of them. Only reads."""
    start, line = (0, 1) if after is None else (after.end, after.next_line)
    with path.open("rb") as file:
        if start == 0 and file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            start = len(codecs.BOM_UTF8)
        file.seek(start)
        # Joined once: after an unclosed quote, the rest of the file is one record.
        lines: list[bytes] = []
        closed = True
        for physical in file:
            lines.append(physical)
            closed ^= physical.count(b'"') % 2 == 1
            if closed:
                record = Record(path.name, b"".join(lines), start, line)
                yield record
                start, line, lines = record.end, line + len(lines), []
        if lines:
            yield Record(path.name, b"".join(lines), start, line)


def blocks(file: CsvFile, after: Record, end: int | None = None) -> Iterator[bytes]:
    r"""Return a file's header, then its bytes after a record, up to a number of them.

    Raises:
        CsvFileError: A line is ``\.``, at which servers before PostgreSQL 18 would stop reading
            and report success.
    """
    tail = b""
    may_have_a_mark = True
    header = file.header.content
    yield header if header.endswith(b"\n") else header + b"\n"
    with file.path.open("rb") as content:
        content.seek(after.end)
        left = (file.size if end is None else end) - after.end
        while block := content.read(min(_BLOCK_BYTES, left)):
            left -= len(block)
            looked_at = tail + block
            # The expression alone would take longer than COPY.
            if may_have_a_mark and _END_MARK in looked_at and _END_MARK_LINE.search(looked_at):
                # Whether it is within quotes. That looks at the whole file, so once is enough.
                _refuse_end_mark(file)
                may_have_a_mark = False
            yield block
            tail = looked_at[-2:]


def plain_rows(file: CsvFile) -> list[list[str | None]] | None:
    r"""Return the values of a file that needs no server to read it, record by record. Only reads.

    They are those that COPY reads. An empty field is None, unless it is quoted.

    Returns:
        The values in the order of the header; None if COPY might read the file otherwise, or
        reject it: a record has another number of fields, or a line ends otherwise than the first,
        text is quoted in part or not UTF-8, or ``\.`` occurs.
    """
    with file.path.open("rb") as content:
        content.seek(file.header.end)
        data = content.read(file.size - file.header.end)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if "\0" in text or "\\." in text:
        return None
    end = "\r\n" if file.header.content.endswith(b"\r\n") else "\n"
    rows: list[list[str | None]] = []
    row: list[str | None] = []
    place = 0
    while place < len(text) or row:
        field = _FIELD.match(text, place)
        if field is None:
            return None
        quoted, bare, stop = field.groups()
        row.append((bare or None) if quoted is None else quoted.replace('""', '"'))
        place = field.end()
        if stop != ",":
            if len(row) != len(file.columns) or stop not in {end, ""}:
                return None
            rows.append(row)
            row = []
    return rows


def record_of_line(file: CsvFile, after: Record, line: int) -> Record | None:
    """Return the record that COPY refers to by a line number.

    COPY counts records, and of the quoted line breaks only those that begin like the header's line
    ending: in a file with CRLF line endings, an LF in a cell does not count.

    Args:
        file: The file.
        after: The record after which the records were sent, behind the header.
        line: The line reported by COPY, where 1 is the header.

    Returns:
        The record; None if there is none.
    """
    end = b"\r" if file.header.content.endswith(b"\r\n") else b"\n"
    counted = 1
    record = None
    for record in records(file.path, after):
        counted += 1 + record.content.rstrip(b"\r\n").count(end)
        if counted >= line:
            break
    # A line after the end of the file belongs to the last record.
    return record


def record_of_row(file: CsvFile, row: int) -> Record | None:
    """Return the record of a row, counted from 1 after the header."""
    found = enumerate(records(file.path, file.header), 1)
    return next((record for number, record in found if number == row), None)


def first_not_text(file: CsvFile, after: Record) -> tuple[Record, CsvFileError] | None:
    """Return the first record after a given one that is not UTF-8 text, and the error."""
    for record in records(file.path, after):
        try:
            refuse_bytes(record)
        except CsvFileError as error:
            return record, error
    return None


def refuse_bytes(record: Record) -> None:
    """Refuse a record with bytes that are not UTF-8 text.

    Raises:
        CsvFileError: It has such a byte.
    """
    content = record.content
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise record.error(
            f"byte 0x{content[error.start]:02X} is not UTF-8",
            len(content[: error.start].decode()),
            hint="Save the file as CSV in UTF-8.",
            shown=False,
        ) from None
    if "\0" in text:
        hint = "Remove it; this may not be a CSV file."
        raise record.error("a NUL character", text.index("\0"), hint=hint, shown=False)


def ends_alike(one: Record, other: Record) -> bool:
    """Return whether two records have the same line ending, if both have one."""
    ends = [r.content[len(r.content.rstrip(b"\r\n")) :] for r in (one, other)]
    return b"" in ends or ends[0] == ends[1]


def unclosed(record: Record) -> CsvFileError:
    """Return the error about a quote that is never closed."""
    return record.error(
        "a quote is opened here and never closed",
        record.fields[-1],
        hint="Close it; a quote inside quoted text is written twice.",
        shown=False,
    )


def _refuse_end_mark(file: CsvFile) -> None:
    for record in records(file.path, file.header):
        if record.content.rstrip(b"\r\n") == _END_MARK:
            raise record.error(
                r"a line \. ends the data for some servers",
                hint="Remove the line and everything after it, or quote the text.",
            )


def _columns(names: list[str]) -> str:
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"column {quoted}" if len(names) == 1 else f"columns {quoted}"
