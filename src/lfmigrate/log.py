"""Reports what happens to `logging`, under the name ``lfmigrate``.

No record has a password, a statement, the server's words or another session's query: any of them
may contain the value of a row. docs/library.md lists the records.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from lfmigrate.errors import LfmigrateError

_logger = logging.getLogger("lfmigrate")
# Otherwise Python would print warnings to standard error where no logging is configured.
_logger.addHandler(logging.NullHandler())


def is_detailed() -> bool:
    """Return whether anyone wants to know of each statement."""
    return _logger.isEnabledFor(logging.DEBUG)


def connected(host: str, port: int, database: str, user: str) -> None:
    """A connection was opened."""
    _logger.debug("connected to %s:%d/%s as %s", host, port, database, user)


def unreachable(where: str, wait_s: float) -> None:
    """A server cannot be reached yet, and is tried again."""
    # A host with an @ is what libpq makes of a password that was not percent-encoded.
    where = "the server" if "@" in where else where
    _logger.warning("cannot connect to %s; retrying for %g s", where, wait_s)


def reconnected() -> None:
    """A command goes on after its connection was lost."""
    _logger.warning("the connection was lost; continuing on another one")


def waiting(for_what: str, sessions: Sequence[str]) -> None:
    """A command waits for other sessions.

    Args:
        for_what: The lock.
        sessions: A line each that begins with "process" and its number; the rest is not logged.
    """
    processes = [m[0] for line in sessions if (m := re.match(r"process \d+", line))]
    _logger.warning("waiting for %s, held by %s", for_what, ", ".join(processes) or "a session")


def retrying(sqlstate: str | None, left: int) -> None:
    """A run that another session was in the way of is tried again."""
    _logger.warning("retrying after SQLSTATE %s; retries left: %d", sqlstate, left)


def statement_ran(file: str, line: int, elapsed_ms: float) -> None:
    """A statement of a file succeeded."""
    _logger.debug("%s:%d ran in %.1f ms", file, line, elapsed_ms)


def file_ran(action: str, label: str, elapsed_ms: int) -> None:
    """All statements of a file succeeded; nothing is committed yet."""
    _logger.info("%s %s ran in %d ms", action, label, elapsed_ms)


def committed(files: Sequence[tuple[str, str]]) -> None:
    """A transaction was committed, with these files: the action and the label of each."""
    _logger.info("committed%s", ": " * bool(files) + ", ".join(" ".join(each) for each in files))


def rolled_back() -> None:
    """A transaction was rolled back on purpose, as in a dry run."""
    _logger.info("rolled back, as intended")


def failed(error: LfmigrateError) -> None:
    """A transaction ended with an error; its outcome is what that left in the database."""
    state = f", SQLSTATE {error.sqlstate}" if error.sqlstate else ""
    place = f", at {error.place}" if error.place else ""
    outcome = error.outcome.status if error.outcome is not None else "unknown"
    _logger.warning("failed with %s%s%s; outcome: %s", error.code, state, place, outcome)
