"""Attempts at a command: when to try again after another session was in the way."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from types import TracebackType

from lfmigrate import log
from lfmigrate.engine.session import Session
from lfmigrate.errors import NOTHING_CHANGED, Interrupted, LfmigrateError, Refused, StatementFailed
from lfmigrate.history.ledger import HistoryMoved, LockHeld
from lfmigrate.postgres.pipeline import LOCK_TIMEOUT
from lfmigrate.rows import archive

# How long to wait for a concurrent run to finish.
LOCK_WAIT_S = 60.0

# In the way of another session, which can proceed now that the run was rolled back: a deadlock, and
# a serialization failure.
_COLLISIONS = frozenset({"40P01", "40001"})

# How often a run is tried again after a lock timeout or a collision. In the pauses, which double,
# the queries that queued behind it can proceed.
_RETRIES = 3
_PAUSE_S = 0.5


class Attempts:
    """Attempts at a command, repeated while other sessions are in the way.

    ::

        for attempt in Attempts(session):
            with attempt:
                ...

    An attempt is repeated if another run holds lfmigrate's lock or has written the history since
    the state was read, and after a lock timeout, a deadlock or a serialization failure, unless
    something remains of it that would be done twice. The backup of an attempt that is repeated is
    removed.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._give_up_at = time.monotonic() + LOCK_WAIT_S
        self._reported = False
        self._failures = 0
        self._over = False

    def __iter__(self) -> Iterator[Attempts]:
        while not self._over:
            yield self

    def __enter__(self) -> None:
        self._over = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Wait, if it makes sense to try again.

        Raises:
            Refused: The other run takes too long.
            Interrupted: A signal arrived during the wait.
        """
        if error is None:
            self._session.end_reading()
        else:
            self._session.end_reading_after_error()
            if isinstance(error, StatementFailed) and self._wait(error):
                self._over = False
        if self._over:
            self._session.close()
        if isinstance(error, LfmigrateError) and error.outcome == NOTHING_CHANGED:
            # By this attempt; an earlier transaction of the command may have committed.
            error.outcome = self._session.outcome
        return error is not None and not self._over

    def repeat(self) -> None:
        """Make another attempt after this one."""
        self._over = False

    def _wait(self, error: StatementFailed) -> bool:
        """Return whether to try again, when it is time to."""
        if error.outcome not in {None, NOTHING_CHANGED, self._session.outcome}:
            return False  # a statement ran outside a transaction: it would run twice
        if isinstance(error, HistoryMoved):
            return True  # the other run was faster: find out at once what is left to do
        if error.sqlstate == LOCK_TIMEOUT or error.sqlstate in _COLLISIONS:
            return self._let_others_proceed(error)
        if not isinstance(error, LockHeld):
            return False
        if time.monotonic() > self._give_up_at:
            raise Refused(
                error.message,
                detail=error.held_by,
                outcome=self._session.outcome,
                hint="Try again when it has ended.",
            ) from None
        if not self._reported:
            log.waiting("another lfmigrate run", error.held_by)
            self._session.say(f"waiting for another lfmigrate run: {', '.join(error.held_by)}")
            self._reported = True
        # Jitter, so that waiting runs do not try in lockstep.
        self._pause(random.uniform(0.05, 0.25))  # noqa: S311 (nothing secret is generated)
        return True

    def _let_others_proceed(self, error: StatementFailed) -> bool:
        self._failures += 1
        if self._failures > _RETRIES:
            error.detail = (*error.detail, f"Tried {self._failures} times.")
            return False
        if error.backup is not None:
            archive.remove(error.backup)
        left = _RETRIES + 1 - self._failures
        log.retrying(error.sqlstate, left)
        reason = (
            f"could not acquire a lock within {self._session.scope.lock_timeout_ms / 1000:g} s"
            if error.sqlstate == LOCK_TIMEOUT
            else error.message
        )
        self._session.say(f"{reason}; {left} {'retry' if left == 1 else 'retries'} left")
        pause_s = _PAUSE_S * 2 ** (self._failures - 1)
        self._pause(pause_s * random.uniform(0.8, 1.2))  # noqa: S311 (nothing secret is generated)
        return True

    def _pause(self, seconds: float) -> None:
        try:
            time.sleep(seconds)
        except KeyboardInterrupt as interrupt:
            raise Interrupted("interrupted", outcome=self._session.outcome) from interrupt
