"""One transaction: run files, find out what they did, record it, commit."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from typing import Literal, TypeVar
from uuid import uuid4

from lfmigrate import catalog
from lfmigrate._version import __version__
from lfmigrate.catalog.sessions import Server
from lfmigrate.engine.effects import After, Before, Judgement, WouldBe, judge
from lfmigrate.engine.replay import NOT_MADE_ANEW, Made, replay
from lfmigrate.engine.state import DatabaseState, end_reading, read_state
from lfmigrate.errors import (
    NOTHING_CHANGED,
    DatabaseError,
    ErrorOutcome,
    Interrupted,
    Refused,
    StatementFailed,
)
from lfmigrate.history import ledger
from lfmigrate.history.events import Event, History
from lfmigrate.history.ledger import Entry, Recorded
from lfmigrate.postgres.connection import Connection, address_of, connect
from lfmigrate.postgres.pipeline import Flight, rolled_back_on_error
from lfmigrate.postgres.wire import Answer, Progress, Stall
from lfmigrate.schema.compare import Verdict, compare
from lfmigrate.schema.relation import Fingerprints, Found, Key, Snapshot
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder, Migration
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.source.views import ViewFile
from lfmigrate.syntax.privileges import required_privileges

T = TypeVar("T")

# How long a run waits for another one: the longest deploy that waits politely.
LOCK_WAIT_S = 60.0

# SQLSTATEs of queries/lock.sql.
LOCK_HELD = "LF001"

HISTORY_MOVED = "LF002"

# Of queries/privileges.sql, and what the server itself says.
_RIGHTS_MISSING = "LF003"

_NO_RIGHT = "42501"

# A lock that did not come within lock_timeout.
_LOCK_TIMEOUT = "55P03"

# How often a run is tried again after that. In the pauses, which double, whoever queued behind it
# is let through.
_LOCK_RETRIES = 3

_LOCK_PAUSE_S = 0.5

# A statement that has not answered for so long may be waiting for somebody.
_LOOK_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Step:
    """One file to run, and why.

    Attributes:
        action: As the history calls it.
        version: The migration's; None for a view.
        name: The migration's or the view's.
        file: What runs.
        down_sql: What would undo it, to be recorded.
        anew: Whether it is a view that cannot be replaced: dropped first, and made again with what
            else belonged to it.
        place: Which part of the migration it is, such as ``statement 2 of 5``; empty for all of it.
        so_far: The file up to and with that part; None for all of it.
        earlier_ms: How long the statements took that are recorded with it and ran before.
    """

    action: Literal["up", "repair", "view", "rollback", "begun", "statement"]
    version: str | None
    name: str
    file: SqlFile
    down_sql: str | None = None
    anew: bool = False
    place: str = ""
    so_far: SqlFile | None = None
    earlier_ms: int = 0

    @classmethod
    def of_migration(cls, action: Literal["up", "repair"], migration: Migration) -> Step:
        """Return the step that runs a migration's up file."""
        down_sql = None if migration.down is None else migration.down.text
        return cls(action, migration.version, migration.name, migration.up, down_sql)

    @classmethod
    def of_view(cls, view: ViewFile) -> Step:
        """Return the step that runs a view file."""
        return cls("view", None, view.name, view.file)

    @property
    def label(self) -> str:
        if self.version is None:
            return self.file.name
        label = f"{self.version}_{self.name}"
        return f"{label} ({self.place})" if self.place else label

    @property
    def entry(self) -> Entry:
        return Entry(
            action=self.action,
            version=self.version,
            name=self.name,
            file=self.file.name,
            checksum=self.file.checksum,
            sql=self.file.text,
            down_sql=self.down_sql,
            earlier_ms=self.earlier_ms,
        )


@dataclass(frozen=True, slots=True)
class Run:
    """What one transaction did, and the database as it left it."""

    steps: Sequence[Step]
    recorded: Sequence[Recorded]
    verdicts: Sequence[Verdict]
    notes: Sequence[str]
    after: DatabaseState
    uncompared: Sequence[str] = ()


@dataclass(slots=True)
class Blockers:
    """Who was in the way when last looked: after a lock timeout, nobody waits any more."""

    address: str = field(repr=False)
    process: int
    on_wait: Callable[[str], None] | None
    lines: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, conn: Connection, on_wait: Callable[[str], None] | None) -> Blockers:
        """Return those of a connection.

        Args:
            conn: The connection.
            on_wait: Called once with a line when somebody is in the way.
        """
        return cls(address_of(conn), conn.info.backend_pid, on_wait)

    def look(self) -> None:
        """Ask through a second connection; the first one is waiting."""
        try:
            with closing(connect(self.address)) as second:
                flight = Flight(second)
                asked = flight.ask(catalog.blockers(ledger.LOCK_KEY, self.process))
                flight.go()
        except DatabaseError:
            return  # it was only a question
        if asked.value and not self.lines and self.on_wait is not None:
            self.on_wait(f"waiting for a lock: {asked.value[0]}")
        self.lines = asked.value or self.lines


@dataclass(frozen=True, slots=True)
class Job:
    """What stays the same over all runs of one command."""

    conn: Connection
    folder: Folder
    scope: Scope
    dry_run: bool
    progress: Progress | None
    blockers: Blockers

    def look(self, *, at_relations: bool = True) -> DatabaseState:
        """Look at the database, and name whoever holds a lock that this needs."""
        try:
            return read_state(self.conn, self.scope, at_relations=at_relations, stall=stall(self))
        except StatementFailed as error:
            name_blockers(self, error)
            raise


@dataclass(slots=True)
class Turn:
    """The wait for one's turn, while another run is at work.

    Attributes:
        on_wait: Called with a line that names who is at work, or why it is tried again.
        give_up_at: When to give up waiting for another run, by the monotonic clock.
        told: Whether another run was named.
        tries: How often a lock has not come in time.
    """

    on_wait: Callable[[str], None] | None
    give_up_at: float = field(default_factory=lambda: time.monotonic() + LOCK_WAIT_S)
    told: bool = False
    tries: int = 0

    def wait(self, error: StatementFailed, *, outcome: ErrorOutcome) -> None:
        """Return when it is time to look again.

        Args:
            error: Why the run could not begin; any that is not about the lock is raised again.
            outcome: What to add to an error of this wait, such as "Nothing was changed."

        Raises:
            StatementFailed: A lock has not come in time, however often it was tried.
            Refused: The other run takes too long.
            Interrupted: A signal came.
        """
        if error.sqlstate == HISTORY_MOVED:
            return  # the other run was quicker: look at once what is left to do
        if error.sqlstate == _LOCK_TIMEOUT:
            self._let_others_through(error, outcome)
            return
        if error.sqlstate != LOCK_HELD:
            raise error
        holder = error.detail[0]
        if time.monotonic() > self.give_up_at:
            raise Refused(
                error.message, detail=[holder], outcome=outcome, hint="Try again when it has ended."
            ) from None
        if self.on_wait is not None and not self.told:
            self.on_wait(f"waiting for another run of lfmigrate: {holder}")
            self.told = True
        # Jitter, so that twenty waiters do not knock together.
        _pause(random.uniform(0.05, 0.25), outcome)  # noqa: S311 (no secret is made here)

    def _let_others_through(self, error: StatementFailed, outcome: ErrorOutcome) -> None:
        self.tries += 1
        if self.tries > _LOCK_RETRIES:
            error.detail = (*error.detail, f"Tried {self.tries} times.")
            raise error
        if self.on_wait is not None:
            left = _LOCK_RETRIES + 1 - self.tries
            again = "once more" if left == 1 else f"{left} times more"
            self.on_wait(f"a lock did not come in time; trying {again}")
        pause_s = _LOCK_PAUSE_S * 2 ** (self.tries - 1)
        _pause(pause_s * random.uniform(0.8, 1.2), outcome)  # noqa: S311 (no secret is made here)


def take_turns(attempt: Callable[[], T], on_wait: Callable[[str], None] | None) -> T:
    """Return what an attempt does, when it is its turn; each one is a transaction of its own.

    Args:
        attempt: Changes nothing if it fails.
        on_wait: Called with a line when it has to wait.

    Raises:
        StatementFailed: An attempt failed for another reason than that somebody else is at work.
        Refused: Another run takes too long.
        Interrupted: A signal came.
    """
    turn = Turn(on_wait)
    while True:
        try:
            return attempt()
        except StatementFailed as error:
            turn.wait(error, outcome=NOTHING_CHANGED)


def _pause(seconds: float, outcome: ErrorOutcome) -> None:
    try:
        time.sleep(seconds)
    except KeyboardInterrupt as interrupt:
        raise Interrupted("interrupted", outcome=outcome) from interrupt


@dataclass(frozen=True, slots=True)
class _Sent:
    """A run that is on its way, and the answers that are to come."""

    run_id: str
    steps: Sequence[Step]
    fingerprints_before: Answer[Fingerprints]
    statements: Sequence[Answer[None]]
    fingerprints_after: Answer[Fingerprints]
    found: Answer[tuple[Found, ...]]
    recorded: Answer[tuple[Recorded, ...]]

    @property
    def skipped(self) -> bool:
        """Return whether a statement found that what it makes is already there."""
        return any(answer.has_skipped for answer in self.statements)


def run_files(
    job: Job,
    before: DatabaseState,
    steps: Sequence[Step],
    *,
    outcome: ErrorOutcome,
    review: Callable[[Run, Judgement], None],
    prepare: Callable[[], None] | None = None,
) -> Run:
    """Run some files in one transaction, find out what they did, record it and commit.

    Args:
        job: The connection, the folder and the options.
        before: The database as it was when the steps were chosen. If the history has moved since,
            nothing is run.
        steps: The files, in order; at least one.
        outcome: What to add to an error once all is rolled back, such as "Nothing was changed."
        review: Called before the commit with what happened; what it raises rolls everything back.
        prepare: Called in the open transaction, under the lock, before the files are sent.

    Returns:
        What was done. With ``job.dry_run`` it is rolled back all the same.

    Raises:
        StatementFailed: A statement failed; with SQLSTATE `LOCK_HELD` or `HISTORY_MOVED` it is the
            lock's, and another run is or was at work.
        ConnectionFailed: The connection was lost; the details say what became of the transaction.
        DatabaseError: Nothing can be written here.
        Interrupted: A signal came.
    """
    refuse_read_only(before.server)
    run_id = str(uuid4())
    sent: _Sent | None = None
    flight = Flight(job.conn)
    begin_run(flight, job, before, run_id, [step.file for step in steps])
    try:
        with rolled_back_on_error(job.conn, outcome):
            if prepare is not None:
                flight.go()
                prepare()
                flight = Flight(job.conn)
            sent = _board(flight, job, before, steps, run_id)
            flight.go(job.progress, stall(job))
            run, judgement = _what_happened(job, before, sent)
            review(run, judgement)
            # Still in here: whatever comes before the commit is told as rolled back.
            last = Flight(job.conn)
            if job.dry_run:
                last.do("ROLLBACK")
                last.go()
                return run
            ledger.complete(
                last,
                job.scope,
                {
                    entry.id: (effects.made, effects.gone)
                    for entry, effects in zip(run.recorded, judgement.effects, strict=True)
                },
            )
    except StatementFailed as error:
        raise explained(job, before, sent, error) from None
    ledger.commit(job.conn, last, ledger.was_recorded(job.scope, run_id), outcome)
    return run


def kept(runs: Sequence[Run]) -> list[str]:
    """Return the names of what runs have committed."""
    return [step.label for run in runs for step in run.steps]


def stall(job: Job) -> Stall:
    """Look who is in the way while waiting, and at least once before a lock timeout."""
    before_timeout_s = job.scope.lock_timeout_ms / 2000 or _LOOK_AFTER_S
    return Stall(min(_LOOK_AFTER_S, before_timeout_s), job.blockers.look)


def begin_run(
    flight: Flight, job: Job, before: DatabaseState, run_id: str, files: Iterable[SqlFile]
) -> None:
    """Add the beginning of a run: the lock, the rights, and a home for the history.

    Args:
        flight: What the run begins with.
        job: What stays the same.
        before: The database as it was when the files were chosen.
        run_id: The name of the run.
        files: What will run; the rights that it needs are asked for first, all at once.
    """
    flight.begin(job.scope)
    ledger.begin_run(flight, run_id, before.history)
    flight.do(catalog.query_text("lock"))
    wanted = [asdict(need) for file in files for need in required_privileges(file.statements)]
    flight.do("SELECT set_config('lfmigrate.needs', $1, true)", json.dumps(wanted))
    flight.do(catalog.query_text("privileges"))
    flight.do(catalog.query_text("create_history"))


def _board(
    flight: Flight, job: Job, before: DatabaseState, steps: Sequence[Step], run_id: str
) -> _Sent:
    """Add the files and the questions about their effects to the flight that opens the run.

    All of it is on its way before the first answer comes. That is safe because each statement
    runs only if the one before it succeeded, the lock's included.
    """
    fingerprints = flight.ask(catalog.fingerprints())
    statements: list[Answer[None]] = []
    for step in steps:
        if step.anew:
            flight.do(
                "SELECT set_config('lfmigrate.view_schema', $1, true),"
                " set_config('lfmigrate.view_name', $2, true)",
                before.schema,
                step.name,
            )
            flight.do(catalog.query_text("drop_view"))
        statements += flight.run_file(step.file, job.scope)
        if step.anew:
            flight.do(catalog.query_text("restore_view_properties"))
        if step.file.may_set:
            ledger.begin_run(flight, run_id, before.history)
        ledger.record(flight, job.scope, step.entry, schema=before.schema, tool_version=__version__)
    flight.look_at(before.schema)
    home = ledger.table(job.scope)
    return _Sent(
        run_id=run_id,
        steps=steps,
        fingerprints_before=fingerprints,
        statements=statements,
        fingerprints_after=flight.ask(catalog.fingerprints()),
        found=flight.ask(catalog.snapshot(before.history.expected, ledger=home, ids=before.ids)),
        recorded=flight.ask(ledger.recorded(job.scope, run_id)),
    )


def _what_happened(job: Job, before: DatabaseState, sent: _Sent) -> tuple[Run, Judgement]:
    """Tell what the files did, while it can still be rolled back.

    What they skipped is compared with what they make in a scratch schema; only then is one made.
    """
    recorded = sent.recorded.value
    if len(recorded) != len(sent.steps):
        raise DatabaseError("a file has changed lfmigrate's own history")
    was = Before(before.history.expected, before.live, before.ids, sent.fingerprints_before.value)
    now = After(
        found=sent.found.value,
        fingerprints=sent.fingerprints_after.value,
        step_ends=[entry.cid for entry in recorded],
    )
    compared = _compared(job, before, sent.steps) if sent.skipped else _Compared()
    judgement = judge(was, compared.of(now))
    return _run(before, sent.steps, recorded, judgement, compared), judgement


def made_as_found(
    job: Job,
    before: DatabaseState,
    step: Step,
    found: Sequence[Found],
    recorded: Sequence[Recorded],
    *,
    skipped: bool,
) -> tuple[Run, Judgement]:
    """Tell what a statement did that ran outside of a transaction; one is open by now.

    Args:
        job: What stays the same.
        before: The database before it.
        step: The part of a file that it is.
        found: What is expected or has changed, in the place of what a transaction would have left.
        recorded: Its entry.
        skipped: Whether it found what it makes already there.
    """
    was = Before(before.history.expected, before.live, before.ids, fingerprints={})
    now = After(found, fingerprints={}, step_ends=[1])
    compared = _compared(job, before, [step]) if skipped else _Compared()
    judgement = judge(was, compared.of(now))
    return _run(before, [step], recorded, judgement, compared), judgement


@dataclass(frozen=True, slots=True)
class _Compared:
    """What the files make in an empty schema, where statements were skipped, and what is there."""

    would_be: Mapping[Key, WouldBe] = field(default_factory=dict)
    there: Mapping[Key, Found] = field(default_factory=dict)
    uncompared: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def of(self, after: After) -> After:
        """Return what the catalogs say with what was compared."""
        return replace(after, would_be=self.would_be, skipped=self.there)


def _compared(job: Job, before: DatabaseState, steps: Sequence[Step]) -> _Compared:
    """Replay, in the open transaction, what makes up the schema when the steps have run."""
    schema = before.schema
    files = _files_of_schema(job.folder, before.history, steps)
    try:
        again = replay(job.conn, files, job.scope, schema=schema, inside=True)
    except StatementFailed as error:
        why = f"because the files cannot be run in a scratch schema: {error.message}"
        return _Compared(notes=(f"what was skipped could not be compared, {why}",))
    would_be = _by_step(again.made, files, steps)
    notes: tuple[str, ...] = ()
    if again.skipped:
        notes = (f"skipped, and not compared: {', '.join(again.skipped)}; {NOT_MADE_ANEW}",)
    there = {f.relation.key: f for f in _live(job, schema, would_be)}
    return _Compared(would_be, there, again.skipped, notes)


def _run(
    before: DatabaseState,
    steps: Sequence[Step],
    recorded: Sequence[Recorded],
    judgement: Judgement,
    compared: _Compared,
) -> Run:
    return Run(
        steps,
        recorded,
        _told_of_views(steps, judgement.verdicts),
        compared.notes,
        _after(before, steps, recorded, judgement),
        compared.uncompared,
    )


def _told_of_views(steps: Sequence[Step], verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Tell a view that was made anew as replaced: it was there, whatever is known of it."""
    anew = {step.name for step in steps if step.anew}
    return tuple(
        replace(verdict, status="replaced")
        if verdict.status == "created" and verdict.relation.name in anew
        else verdict
        for verdict in verdicts
    )


def _files_of_schema(folder: Folder, known: History, steps: Sequence[Step]) -> list[SqlFile]:
    """Return the migrations that make up the schema when the steps have run, in order."""
    running = {step.version: step.so_far for step in steps}
    return [
        running.get(m.version) or m.up
        for m in folder.migrations
        if m.number in known.applied or m.version in running
    ]


def _by_step(
    made: Sequence[Made], replayed: Sequence[SqlFile], steps: Sequence[Step]
) -> dict[Key, WouldBe]:
    """Tell what was replayed to the steps whose files make it; to the last one otherwise."""
    place = {step.file.name: index for index, step in enumerate(steps)}

    def step_of(file_index: int) -> int:
        return place.get(replayed[file_index].name, len(steps) - 1)

    return {
        item.relation.key: WouldBe(
            item.relation,
            step_of(item.file_index),
            {part: step_of(file_index) for part, file_index in item.part_files.items()},
        )
        for item in made
    }


def _live(job: Job, schema: str, wanted: Iterable[Key]) -> tuple[Found, ...]:
    """Read relations as they are, in the open transaction."""
    flight = Flight(job.conn)
    flight.look_at(schema)
    found = flight.ask(catalog.snapshot(wanted, ledger=ledger.table(job.scope)))
    flight.go()
    return found.value


def _after(
    before: DatabaseState, steps: Sequence[Step], recorded: Sequence[Recorded], judgement: Judgement
) -> DatabaseState:
    """Return the database as the run leaves it, so that the next run need not ask."""
    events = [
        Event(
            id=entry.id,
            action=step.action,
            version=step.version,
            name=step.name,
            file=step.file.name,
            checksum=step.file.checksum,
            expected=tuple(effects.made),
            gone=tuple(effects.gone),
            server_version=before.server.version,
            executed_at="",
            executed_by=before.server.role,
            elapsed_ms=entry.elapsed_ms,
        )
        for step, entry, effects in zip(steps, recorded, judgement.effects, strict=True)
    ]
    known = History(events=(*before.history.events, *events), position=recorded[-1].id, exists=True)
    return replace(before, history=known, live=judgement.live, ids=judgement.ids)


def refuse_read_only(server: Server) -> None:
    """Refuse to write where nobody can, before anything is sent."""
    if server.standby:
        raise DatabaseError(
            "this server is a standby, which is read-only",
            outcome=NOTHING_CHANGED,
            hint="Connect to the primary server; verify and status work here too.",
        )
    if server.read_only:
        raise DatabaseError(
            "transactions are read-only here (default_transaction_read_only is on)",
            outcome=NOTHING_CHANGED,
            hint=f'Connect with a role that may write; it is set for role "{server.role}", for'
            f' database "{server.database}" or for the server.',
        )


def name_blockers(job: Job, error: StatementFailed) -> None:
    """Say who was in the way, in an error of a lock timeout that has been rolled back."""
    if error.sqlstate == _LOCK_TIMEOUT and job.blockers.lines:
        error.held_by = tuple(job.blockers.lines)


def explained(
    job: Job, before: DatabaseState, sent: _Sent | None, error: StatementFailed
) -> StatementFailed:
    """Add to a failed statement what only the run knows: roles, schemas, skipped relations."""
    name_blockers(job, error)
    if error.sqlstate == _RIGHTS_MISSING:
        error.sqlstate = _NO_RIGHT
        error.detail = tuple(line for line in error.detail if not line.startswith("PL/pgSQL"))
        error.hint = "Let the owner of each run these lines."
        home = (f"SCHEMA {job.scope.history_schema} ", "DATABASE ")
        if any(word in line for line in error.detail for word in home):
            error.hint += " The history may live in a schema of the role's own: --history-schema."
    if error.file is None or sent is None:
        return error
    if sent.skipped:
        lines = _drifted_columns(job, before, sent)
        if lines:
            error.detail = (*error.detail, *lines)
            error.hint = 'Run "lfmigrate verify --replay" to see how it differs.'
    return error


def _drifted_columns(job: Job, before: DatabaseState, sent: _Sent) -> list[str]:
    """Say which skipped relations are not what the files need them to be; after the rollback.

    ``IF NOT EXISTS`` lets a table with the right name and the wrong columns pass, and a later
    statement stumbles over it.
    """
    files = _files_of_schema(job.folder, before.history, sent.steps)
    try:
        made = replay(job.conn, files, job.scope, schema=before.schema, inside=False).made
        begun = Flight(job.conn)
        begun.begin(job.scope, read_only=True)
        begun.go()
        live = Snapshot(
            item.relation for item in _live(job, before.schema, [m.relation.key for m in made])
        )
        end_reading(job.conn)
    except DatabaseError:
        return []  # then the failure has to speak for itself
    lines = []
    for item in made:
        expected = item.relation
        found = live.get(expected.key)
        if found is not None and compare(expected, found):
            columns = [part for part in expected.parts if part.startswith("column ")]
            there = sum(1 for part in columns if part in found.parts)
            lines.append(
                f"{expected.name} was already there and was skipped; it has {there} of"
                f" {len(columns)} expected columns."
            )
    return lines
