"""`wait`: wait until a database is up to date. Only reads."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from lfmigrate.catalog.sessions import Server
from lfmigrate.engine.state import newest_event, read_state
from lfmigrate.errors import DatabaseError, DifferenceFound
from lfmigrate.history import plan, states
from lfmigrate.history.states import Differing, FileStates
from lfmigrate.history.tools import OtherTool, other_tools
from lfmigrate.postgres.connect_errors import will_not_change
from lfmigrate.postgres.connection import Connection
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder
from lfmigrate.source.version import label

DEFAULT_TIMEOUT_S = 300.0

# Between two looks: short at first, because most waits are; then few, because many may wait.
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0

# How many files an error lists.
_MOST_FILES = 20


@dataclass(frozen=True, slots=True)
class WaitReport:
    """What a database was when the wait for it ended.

    Attributes:
        server: Where it was read.
        schema: The schema that the migrations are for.
        files: The folder compared with the history.
        waited_ms: For how long it was waited.
        notes: What is worth a warning.
    """

    server: Server
    schema: str
    files: FileStates
    waited_ms: int
    notes: tuple[str, ...]

    @property
    def missing(self) -> tuple[Differing, ...]:
        """Return the files that have not run as they are.

        A file that only the history has is none of them: the database is newer than the folder,
        as while an older version of an application is still started.
        """
        return tuple(each for each in self.files.differing if each.status != "file_missing")


def wait(
    connect: Callable[[float | None], AbstractContextManager[Connection]],
    folder: Folder,
    *,
    scope: Scope | None = None,
    timeout_s: float | None = DEFAULT_TIMEOUT_S,
    on_wait: Callable[[str], None] | None = None,
) -> WaitReport:
    """Wait until every file of a folder has run on a database, as it is in the folder.

    Only reads, without lfmigrate's lock. A server that does not answer yet, a database or a role
    that does not exist yet, and a connection that breaks are waited for. Each look at the database
    has a connection of its own, so that no session is held, and a failover is followed.

    Args:
        connect: Opens a connection, which is closed at the end of the block; gets how many seconds
            that may take, None for any number.
        folder: The files.
        scope: The schema; by default the connection's own.
        timeout_s: For how many seconds to wait; None for any number.
        on_wait: Called with a line when it is known what is waited for, and when that changes.

    Returns:
        The database, which is up to date.

    Raises:
        DifferenceFound: It is not in time. ``detail`` says what is missing; ``report`` has what
            was read last, and is None if nothing could be.
        ConnectionFailed: What the server answers does not change by itself, such as that the
            password is wrong.
    """
    clock = _Clock(timeout_s)
    looks = _Looks(folder, scope or Scope(), clock)
    pause_s = _FIRST_PAUSE_S
    said = None
    while True:
        try:
            with connect(clock.left_s) as conn:
                report = looks.look(conn)
            if not report.missing:
                return report
            why = _missing(report, looks.other_tools)
        except TimeoutError:
            why = _Why("the server did not answer in time")
        except DatabaseError as error:
            if will_not_change(error):
                raise
            why = _Why(error.message, error.detail, error.hint)
        if on_wait is not None and why.reason != said:
            on_wait(f"waiting: {why.reason}")
        said = why.reason
        # Jitter, so that pods that started together do not ask in lockstep.
        pause = pause_s * random.uniform(0.8, 1.2)  # noqa: S311 (nothing secret is generated)
        if clock.left_s is not None and pause >= clock.left_s:
            raise _too_late(why, timeout_s=timeout_s, report=looks.last)
        time.sleep(pause)
        pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)


@dataclass(frozen=True, slots=True)
class _Why:
    """Why the wait goes on: in short, line by line, and what would end it."""

    reason: str
    lines: Sequence[str] = ()
    hint: str | None = None


class _Clock:
    """How long it was waited. Ends a question that the server does not answer in time."""

    after_s = 0.5
    held_by = ()

    def __init__(self, timeout_s: float | None) -> None:
        self._started = time.monotonic()
        self._timeout_s = timeout_s

    @property
    def waited_ms(self) -> int:
        return round((time.monotonic() - self._started) * 1000)

    @property
    def left_s(self) -> float | None:
        """Return how many seconds are left; None for any number."""
        if self._timeout_s is None:
            return None
        return max(0.0, self._started + self._timeout_s - time.monotonic())

    def ask(self) -> None:
        """Give up, if it is time to.

        Raises:
            TimeoutError: It is.
        """
        if self.left_s == 0:
            raise TimeoutError


class _Looks:
    """What is known of the database; the history is read again only if it has changed."""

    def __init__(self, folder: Folder, scope: Scope, clock: _Clock) -> None:
        self._folder = folder
        self._scope = scope
        self._clock = clock
        self._newest: str | None = None
        self.last: WaitReport | None = None
        self.other_tools: tuple[OtherTool, ...] = ()

    def look(self, conn: Connection) -> WaitReport:
        newest = newest_event(conn, self._scope, on_stall=self._clock)
        if self.last is None or newest != self._newest:
            # The expected relations alone may be megabytes.
            state = read_state(conn, self._scope, relations=False, tools=True, on_stall=self._clock)
            self.other_tools = other_tools(self._folder, state.history, state.tools)
            self.last = WaitReport(
                server=state.server,
                schema=state.schema,
                files=states.file_states(self._folder, state.history),
                waited_ms=0,
                notes=plan.notes(self._folder, state.history),
            )
            self._newest = newest
        self.last = replace(self.last, waited_ms=self._clock.waited_ms)
        return self.last


def _missing(report: WaitReport, tools: Sequence[OtherTool]) -> _Why:
    """Return what is missing, in short and file by file."""
    files = [
        f"{each.status}: {label(each.version, each.name) if each.version else each.name}"
        for each in report.missing
    ]
    count = len(files)
    lines = files[:_MOST_FILES]
    if count > len(lines):
        lines.append(f"and {count - len(lines)} more")
    if all(each.status == "pending" for each in report.missing):
        what = "1 file is pending" if count == 1 else f"{count} files are pending"
    else:
        have = "1 file has" if count == 1 else f"{count} files have"
        what = f"{have} not run as in the folder"
    ran = any(s.event for s in report.files.migrations)
    where = "" if ran else "; lfmigrate has no history here"
    noted = next((each.note for each in tools if each.note), None)
    hint = f"{noted}." if noted else '"lfmigrate up" runs what is pending.'
    return _Why(f"{what}{where}", lines, hint)


def _too_late(why: _Why, *, timeout_s: float | None, report: WaitReport | None) -> DifferenceFound:
    error = DifferenceFound(
        f"the database is not up to date after {timeout_s or 0:g} s: {why.reason}",
        detail=why.lines,
        hint=" ".join(filter(None, [why.hint, "--timeout waits longer."])),
    )
    error.report = report
    return error
