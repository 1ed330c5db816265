"""Everything that can go wrong, one class for each thing that a caller can do about it.

An error carries facts, not a rendered text: `report` turns it into lines or JSON, and `cli` into
an exit code. Messages are one line, lower case, without a full stop; details are facts, one a
line; a hint is a whole sentence that says the way out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

NOTHING_CHANGED = "Nothing was changed."

# An excerpt fits a terminal; some files are one line of megabytes.
_EXCERPT_WIDTH = 100


class LfmigrateError(Exception):
    """The root of all errors that lfmigrate raises on purpose.

    Attributes:
        exit_code: What the process exits with.
        code: A stable word for scripts, such as ``statement_failed``.
        message: One line, lower case, no full stop.
        detail: Facts, one a line; may be empty.
        hint: A whole sentence that says the way out, or None.
        sqlstate: The server's five-character code, or None.
        file: The name of the SQL file, or None.
        line: The line in it, from 1, or None.
        column: The column in that line in characters, from 1, or None.
        report: What the verb would have returned, as far as it is known; may be None.
    """

    exit_code: int = 1
    code: ClassVar[str] = "error"

    def __init__(
        self,
        message: str,
        *,
        detail: Sequence[str] = (),
        hint: str | None = None,
        sqlstate: str | None = None,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.detail = tuple(detail)
        self.hint = hint
        self.sqlstate = sqlstate
        self.file = file
        self.line = line
        self.column = column
        self.report: object | None = None


class UsageError(LfmigrateError):
    """Wrong usage or configuration; nothing was sent. Correct the call."""

    exit_code = 2
    code = "usage"


class SqlFileError(UsageError):
    """A file or a folder of SQL that cannot be run as it is; nothing was sent. Correct the file."""

    code = "sql_file"


class CsvFileError(UsageError):
    """A CSV file that cannot be loaded as it is; nothing was written. Correct the file."""

    code = "csv_file"


class DifferenceFound(LfmigrateError):  # noqa: N818 (it is a finding, and callers read it as one)
    """The database is not as the files say, or not up to date; ``report`` has the differences."""

    exit_code = 3
    code = "difference_found"


class DatabaseError(LfmigrateError):
    """The database said no; everything was rolled back."""

    exit_code = 4
    code = "database"


class ConnectionFailed(DatabaseError):  # noqa: N818 (what happened, as in StatementFailed)
    """No connection could be made, or it was lost. Look at the URL or the network."""

    code = "connection_failed"


@dataclass(frozen=True, slots=True)
class Named:
    """What the server named in an error, unquoted; None where it named nothing."""

    schema: str | None = None
    table: str | None = None
    column: str | None = None
    constraint: str | None = None


class ConnectionLost(ConnectionFailed):
    """A connection was lost in the middle; the details say what became of the transaction."""


class StatementFailed(DatabaseError):  # noqa: N818 (PostgreSQL reports failed statements)
    """A statement failed, a file's or lfmigrate's own. Correct the file, the role or the data.

    Attributes:
        named: What the server named as its reason.
    """

    code = "statement_failed"
    named = Named()


class Refused(LfmigrateError):  # noqa: N818 (the word that the contract uses)
    """Refused to protect data. Confirm it, or remove what stands in the way."""

    exit_code = 5
    code = "refused"


class ArchiveError(UsageError):
    """A backup that cannot be restored as it is; nothing was written. Use another one."""

    code = "archive"


class Interrupted(LfmigrateError):  # noqa: N818 (as KeyboardInterrupt is)
    """Stopped by a signal, and rolled back. The exit code is the shell's own: 128 + the signal."""

    code = "interrupted"
    exit_code = 130


def together(problems: Sequence[LfmigrateError], message: str) -> LfmigrateError:
    """Return one problem as itself, and several as one error of the first one's class.

    Args:
        problems: One or more.
        message: What several of them are, such as ``3 problems in "sql"``.

    Returns:
        An error whose details have a line per problem.
    """
    first = problems[0]
    if len(problems) == 1:
        return first
    return type(first)(
        message,
        detail=[*map(_in_one_line, problems), NOTHING_CHANGED],
        hint=" ".join(dict.fromkeys(error.hint for error in problems if error.hint)) or None,
    )


def _in_one_line(error: LfmigrateError) -> str:
    places = [str(place) for place in (error.file, error.line, error.column) if place is not None]
    return f"{':'.join(places)}: {error.message}" if places else error.message


def excerpt(source: str, column: int) -> tuple[str, int]:
    """Return as much of a line as fits a terminal, around a place in it.

    Args:
        source: The line.
        column: The place, in characters from 1.

    Returns:
        What to show, and the column that the place has in it.
    """
    if len(source) <= _EXCERPT_WIDTH:
        return source, column
    first = max(0, column - 1 - _EXCERPT_WIDTH // 2)
    shown = source[first : first + _EXCERPT_WIDTH]
    before = "..." if first else ""
    behind = "..." if first + len(shown) < len(source) else ""
    return f"{before}{shown}{behind}", column - first + len(before)
