"""Everything that can go wrong: one class for each thing that a caller can do about it.

::

    LfmigrateError
    ├── UsageError            2  correct the call; no statement was sent
    │   ├── SqlFileError      2  correct the SQL file
    │   ├── CsvFileError      2  correct the CSV file
    │   └── ArchiveError      2  use another backup
    ├── DifferenceFound       3  the database is not what the files say
    ├── DatabaseError         4  the server refused; rolled back
    │   ├── StatementFailed   4  correct the file, the role or the data
    │   └── ConnectionFailed  4  look at the URL or the network
    │       └── ConnectionLost 4 lost in the middle; `outcome` says what became of the transaction
    ├── Refused               5  confirm, or remove what would be lost
    └── Interrupted      128+n   stopped by signal n; rolled back

The numbers are exit codes. An error carries facts, not a rendered text. Messages are one line,
lower case, without a full stop; details are facts, one a line; a hint is a sentence with the way
out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

# An excerpt fits a terminal; some files are one line of megabytes.
_EXCERPT_WIDTH = 100


@dataclass(frozen=True, slots=True)
class ErrorOutcome:
    """What a command that failed has changed in the database.

    Attributes:
        status: ``nothing_changed``; ``kept``: earlier transactions of the command were committed,
            or a statement ran outside a transaction; ``committed``: the transaction was committed
            when a signal arrived; ``unknown``: the server cannot be asked.
        text: The same as a sentence.
    """

    status: Literal["nothing_changed", "kept", "committed", "unknown"]
    text: str


NOTHING_CHANGED = ErrorOutcome("nothing_changed", "Nothing was changed.")
COMMITTED = ErrorOutcome("committed", "The transaction had been committed before that.")
UNKNOWN = ErrorOutcome(
    "unknown", "Whether it was committed is not known: the server cannot be asked."
)


def committed_before(labels: Sequence[str]) -> ErrorOutcome:
    """Return the outcome of a transaction that was rolled back.

    Args:
        labels: The migrations and views that the command committed before it.
    """
    if not labels:
        return NOTHING_CHANGED
    return ErrorOutcome("kept", f"Rolled back; committed before it and kept: {', '.join(labels)}.")


class LfmigrateError(Exception):
    """The root of all errors that lfmigrate raises on purpose.

    Attributes:
        exit_code: What the process exits with.
        code: A stable word for scripts, such as ``statement_failed``.
        message: One line, lower case, no full stop.
        detail: Facts, one a line; may be empty.
        held_by: The sessions that held a lock which did not come in time, a line each.
        outcome: What was changed in the database; None where that is not in question.
        hint: A whole sentence that says the way out, or None.
        sqlstate: The server's five-character code, or None.
        file: The name of the SQL file, or None.
        line: The line in it, from 1, or None.
        column: The column in that line in characters, from 1, or None.
        report: What the command would have returned, as far as it is known; may be None.
        backup: The folder with the rows that the failed transaction has saved, or None.
        parts: The errors that it combines; empty if it is one.
    """

    exit_code: int = 1
    code: ClassVar[str] = "error"
    outcome: ErrorOutcome | None = None

    def __init__(
        self,
        message: str,
        *,
        detail: Iterable[str] = (),
        hint: str | None = None,
        outcome: ErrorOutcome | None = None,
        sqlstate: str | None = None,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.detail = tuple(detail)
        self.held_by: tuple[str, ...] = ()
        self.hint = hint
        if outcome is not None:
            self.outcome = outcome
        self.sqlstate = sqlstate
        self.file = file
        self.line = line
        self.column = column
        self.report: object | None = None
        self.backup: Path | None = None
        self.parts: tuple[LfmigrateError, ...] = ()

    @property
    def place(self) -> str:
        """Return where in a file it is, such as ``002_x.up.sql:17:3``; empty if in none."""
        return ":".join(str(p) for p in (self.file, self.line, self.column) if p is not None)

    @property
    def facts(self) -> tuple[str, ...]:
        """Return the details, the blocking sessions and the outcome, a line each."""
        outcome = () if self.outcome is None else (self.outcome.text,)
        return (*self.detail, *(f"held by {session}" for session in self.held_by), *outcome)

    def __str__(self) -> str:
        state = f"SQLSTATE {self.sqlstate}" if self.sqlstate else ""
        head = ", ".join(part for part in (self.place, state) if part)
        lines = [self.message, *(f"  {line}" for line in (head, *self.facts) if line)]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class UsageError(LfmigrateError):
    """Wrong usage or configuration; no statement was sent. Correct the call."""

    exit_code = 2
    code = "usage"
    outcome: ErrorOutcome | None = NOTHING_CHANGED


class SqlFileError(UsageError):
    """A file or folder of SQL that cannot be run as it is; no statement was sent. Correct it."""

    code = "sql_file"


class CsvFileError(UsageError):
    """A CSV file that cannot be loaded as it is; nothing was written. Correct the file."""

    code = "csv_file"


class DifferenceFound(LfmigrateError):  # noqa: N818 (it is a finding, and callers read it as one)
    """The database is not as the files say, or not up to date; ``report`` has the differences."""

    exit_code = 3
    code = "difference_found"


class DatabaseError(LfmigrateError):
    """The server refused; everything was rolled back."""

    exit_code = 4
    code = "database"


class ConnectionFailed(DatabaseError):  # noqa: N818 (what happened, as in StatementFailed)
    """No connection could be made, or it was lost. Look at the URL or the network."""

    code = "connection_failed"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """What the server named in an error, unquoted; None where it named nothing.

    ``detail`` and ``context`` are its DETAIL and CONTEXT, which may contain any value of a row.
    """

    schema: str | None = None
    table: str | None = None
    column: str | None = None
    constraint: str | None = None
    detail: str | None = None
    context: str | None = None


class ConnectionLost(ConnectionFailed):
    """The connection was lost in the middle; ``outcome`` says what became of the transaction."""


class StatementFailed(DatabaseError):  # noqa: N818 (PostgreSQL reports failed statements)
    """A statement failed, a file's or lfmigrate's own. Correct the file, the role or the data.

    Attributes:
        diagnostic: What the server named as the reason.
    """

    code = "statement_failed"
    diagnostic = Diagnostic()


class Refused(LfmigrateError):  # noqa: N818 (the word that the contract uses)
    """Refused to protect data. Confirm it, or remove what would be lost."""

    exit_code = 5
    code = "refused"
    outcome: ErrorOutcome | None = NOTHING_CHANGED


class ArchiveError(UsageError):
    """A backup that cannot be restored as it is; nothing was written. Use another one."""

    code = "archive"


class Interrupted(LfmigrateError):  # noqa: N818 (as KeyboardInterrupt is)
    """Stopped by a signal, and rolled back. The exit code is the shell's own: 128 + the signal."""

    code = "interrupted"
    exit_code = 130


def combine(problems: Sequence[LfmigrateError], message: str) -> LfmigrateError:
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
    combined = type(first)(
        message,
        detail=[f"{p.place}: {p.message}" if p.place else p.message for p in problems],
        outcome=NOTHING_CHANGED,
        hint=" ".join(dict.fromkeys(error.hint for error in problems if error.hint)) or None,
    )
    combined.parts = tuple(problems)
    return combined


def join(differences: Sequence[DifferenceFound]) -> DifferenceFound:
    """Return one error for one or more differences, which says all of them."""
    return DifferenceFound(
        "; ".join(each.message for each in differences),
        detail=[line for each in differences for line in each.detail],
        hint=" ".join(dict.fromkeys(each.hint for each in differences if each.hint)) or None,
    )


def excerpt(source: str, column: int, width: int = _EXCERPT_WIDTH) -> tuple[str, int]:
    """Return as much of a line as fits a terminal, around a place in it.

    Args:
        source: The line.
        column: The place, in characters from 1.
        width: How many characters to show, apart from the marks of what is left out.

    Returns:
        What to show, and the column that the place has in it.
    """
    if len(source) <= width:
        return source, column
    first = max(0, column - 1 - width // 2)
    shown = source[first : first + width]
    before = "..." if first else ""
    behind = "..." if first + len(shown) < len(source) else ""
    return f"{before}{shown}{behind}", column - first + len(before)


def locate(text: str, offset: int) -> tuple[int, int, str]:
    """Return where a character of a text is: the line and column, both from 1, and that line."""
    begin = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    source = text[begin : end if end >= 0 else len(text)].rstrip("\r")
    return text.count("\n", 0, offset) + 1, offset - begin + 1, source
