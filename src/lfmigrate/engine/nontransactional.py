"""Files marked no-transaction: one statement at a time, each recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from uuid import uuid4

from lfmigrate import catalog
from lfmigrate._version import __version__
from lfmigrate.catalog.objects import Index
from lfmigrate.engine.effects import Judgement
from lfmigrate.engine.run import (
    Blockers,
    Job,
    Run,
    Step,
    begin_run,
    explained,
    made_as_found,
    name_blockers,
    run_files,
    stall,
)
from lfmigrate.engine.state import DatabaseState
from lfmigrate.errors import (
    ConnectionLost,
    ErrorOutcome,
    Interrupted,
    LfmigrateError,
    StatementFailed,
    committed_before,
)
from lfmigrate.history import ledger
from lfmigrate.postgres.connection import address_of, connect_directly
from lfmigrate.postgres.pipeline import Flight, rolled_back_on_error
from lfmigrate.postgres.wire import Answer
from lfmigrate.schema.relation import Found, Key, Relation, Snapshot
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.names import Indexing, indexing, names
from lfmigrate.syntax.scanner import Statement, tokens
from lfmigrate.syntax.transaction_block import is_concurrent, placement

Review = Callable[[Run, Judgement], None]

# What REINDEX CONCURRENTLY calls an index while it builds it anew.
_REBUILT = ("_ccnew", "_ccold")


@contextmanager
def direct(job: Job) -> Iterator[Job]:
    """Open a session of one's own, beside the connection of a job.

    Args:
        job: What stays the same; its own connection may lead to a pooler.

    Returns:
        The same job on a direct connection, which is closed at the end.

    Raises:
        UsageError: It leads to a pooler.
        ConnectionFailed: It could not be opened.
    """
    with closing(connect_directly(address_of(job.conn), job.blockers.on_wait)) as conn:
        yield replace(job, conn=conn, blockers=Blockers.of(conn, job.blockers.on_wait))


def run_units(
    job: Job,
    before: DatabaseState,
    step: Step,
    *,
    kept: Callable[[], Sequence[str]],
    review: Review,
) -> Iterator[Run]:
    """Run what is left of a file, statement by statement; each run is recorded before the next.

    Args:
        job: With a direct connection.
        before: The database as it was when the step was chosen. If the history has moved since,
            nothing is run.
        step: The file.
        kept: Returns the names of what the command has committed so far.
        review: Called with what happened. What it raises undoes a statement that ran in a
            transaction; one that could not stays, and stays recorded.

    Returns:
        A run per statement, as it is done.

    Raises:
        StatementFailed: A statement failed, or has left an invalid index; or the lock's did.
        ConnectionFailed: The connection was lost; the next run goes on with the same statement.
        Interrupted: A signal came; likewise.
    """
    units = step.file.units()
    events = before.history.begun.get(int(step.version or 0), ())
    first = sum(1 for event in events if event.action == "statement")
    begun = bool(events) and events[-1].action == "begun"
    elapsed_ms = sum(event.elapsed_ms for event in events)
    with _locked(job, before, step.file, outcome=committed_before(kept())):
        for index, unit in enumerate(units[first:] or [step.file], first + 1):
            last = index >= len(units)
            part = replace(
                step,
                action="up" if last else "statement",
                file=unit,
                place=f"statement {index} of {len(units)}" if len(units) > 1 else "",
                so_far=step.file.up_to(unit) if unit.statements else unit,
                earlier_ms=elapsed_ms if last else 0,
            )
            if unit.statements and placement(unit.statements[-1]) != "inside":
                alone = _Alone(job, before, part, begun, kept())
                run = alone.run(review)
            else:
                run = run_files(
                    job, before, [part], outcome=committed_before(kept()), review=review
                )
            elapsed_ms += run.recorded[-1].elapsed_ms
            begun = False
            before = run.after
            yield run


@contextmanager
def _locked(
    job: Job, before: DatabaseState, file: SqlFile, *, outcome: ErrorOutcome
) -> Iterator[None]:
    """Hold lfmigrate's lock with the session, however many transactions that takes.

    If the client is killed, the server may still be at work on its statement. It keeps the lock
    until that has ended, so that nobody begins the same.
    """
    flight = Flight(job.conn)
    with rolled_back_on_error(job.conn, outcome):
        begin_run(flight, job, before, str(uuid4()), [file])
        flight.do("SELECT pg_advisory_lock($1::bigint)", str(ledger.LOCK_KEY))
        flight.do("COMMIT")
        try:
            flight.go(None, stall(job))
        except StatementFailed as error:
            raise explained(job, before, None, error) from None
    try:
        yield
    finally:
        if not job.conn.closed:
            flight = Flight(job.conn)
            flight.do("SELECT pg_advisory_unlock($1::bigint)", str(ledger.LOCK_KEY))
            flight.go()


@dataclass(slots=True)
class _Alone:
    """One statement that runs outside of a transaction.

    Attributes:
        job: With a direct connection that holds the lock.
        before: The database before it.
        step: The part of the file: the statement, and what is set before it.
        begun: Whether an earlier run was interrupted in it.
        kept: The names of what was committed before it.
    """

    job: Job
    before: DatabaseState
    step: Step
    begun: bool
    kept: Sequence[str]

    @property
    def statement(self) -> Statement:
        return self.step.file.statements[-1]

    def run(self, review: Review) -> Run:
        """Run it, and record it with what it did."""
        was, indexes = self._look()
        index = indexing(self.statement)
        if self.begun and self._clear(index, indexes):
            was, indexes = self._look()
        answer: Answer[None] | None = None
        elapsed_ms = 0
        if self.begun and index is not None and self._is_done(index, indexes):
            was = self._rewound(index, was)
        else:
            if not self.begun and index is not None and self._is_new(index, indexes):
                self._record_beginning()
            started = time.monotonic()
            answer = self._send(indexes)
            elapsed_ms = round((time.monotonic() - started) * 1000)
        with rolled_back_on_error(self.job.conn, self._outcome()):
            run, judgement = self._record(was, indexes, answer, elapsed_ms)
        try:
            review(run, judgement)
        except LfmigrateError as error:
            error.outcome = self._outcome()
            raise
        return run

    def _outcome(self) -> ErrorOutcome:
        note = "It ran outside of a transaction: what it has done is not undone."
        kept = f" Kept as well: {', '.join(self.kept)}." if self.kept else ""
        return ErrorOutcome("kept", note + kept)

    def _look(self) -> tuple[tuple[Found, ...], tuple[Index, ...]]:
        """Read what the statement mentions, and its indexes, as they are now."""
        flight = Flight(self.job.conn)
        flight.begin(self.job.scope, read_only=True)
        flight.look_at(self.before.schema)
        found = flight.ask(catalog.snapshot(self._keys(), ledger=ledger.table(self.job.scope)))
        indexes = flight.ask(catalog.indexes([name for _, name in self._mentioned()]))
        flight.do("COMMIT")
        with rolled_back_on_error(self.job.conn, committed_before(self.kept)):
            flight.go(None, stall(self.job))
        return found.value, indexes.value

    def _mentioned(self) -> list[tuple[str, str]]:
        """Return the statement's names, with the schema that each one is in if it says none."""
        found = names(list(tokens(self.statement.text)))
        return [(n.schema or self.before.schema, n.name) for n in found]

    def _keys(self) -> list[Key]:
        """Return what the statement may change: what it names, and what an index is on."""
        mentioned = self._mentioned()
        keys = [Key("relation", schema, name) for schema, name in mentioned]
        parts = {f"index {name}" for _, name in mentioned}
        keys += [r.key for r in self.before.live.values() if not parts.isdisjoint(r.parts)]
        return list(dict.fromkeys(keys))

    def _is_done(self, index: Indexing, indexes: Sequence[Index]) -> bool:
        """Return whether the interrupted run has done it, but could not record it."""
        there = [self._found(index, name, indexes) for name in range(len(index.indexes))]
        if index.way == "drop":
            return not any(there)
        return all(found is not None and found.valid for found in there)

    def _is_new(self, index: Indexing, indexes: Sequence[Index]) -> bool:
        """Return whether all that will be there of its index is its own work."""
        if index.way == "drop":
            return True
        return self._found(index, 0, indexes) is None

    def _found(self, index: Indexing, place: int, indexes: Sequence[Index]) -> Index | None:
        """Return an index of the statement as it is; an index is in the schema of its table."""
        wanted = index.indexes[place]
        home = wanted if index.table is None else index.table
        schema = home.schema or self.before.schema
        return next((i for i in indexes if (i.schema, i.name) == (schema, wanted.name)), None)

    def _clear(self, index: Indexing | None, indexes: Sequence[Index]) -> bool:
        """Remove what an interrupted run has left of an index that did not exist before it."""
        left = None if index is None else self._found(index, 0, indexes)
        if index is None or index.way == "drop" or left is None or left.valid:
            return False
        if self.job.blockers.on_wait is not None:
            self.job.blockers.on_wait(
                f"index {left.label} was left invalid by a run that did not end; building it again"
            )
        flight = Flight(self.job.conn)
        flight.do(left.removal)
        with rolled_back_on_error(self.job.conn, committed_before(self.kept)):
            flight.go(None, stall(self.job))
        self._rewound(index, ())
        return True

    def _rewound(self, index: Indexing, was: Iterable[Found]) -> tuple[Found, ...]:
        """Return what was found as it was before the interrupted run; set `before` to that."""
        parts = {f"index {name.name}" for name in index.indexes}

        def earlier(relation: Relation) -> Relation:
            others = {p: text for p, text in relation.parts.items() if p not in parts}
            expected = self.before.history.expected.get(relation.key)
            if index.way == "drop" and expected is not None:
                others |= {p: text for p, text in expected.parts.items() if p in parts}
            return replace(relation, parts=others)

        live = Snapshot(earlier(relation) for relation in self.before.live.values())
        self.before = replace(self.before, live=live)
        return tuple(replace(found, relation=earlier(found.relation)) for found in was)

    def _record_beginning(self) -> None:
        flight = Flight(self.job.conn)
        flight.begin(self.job.scope)
        ledger.begin_run(flight, str(uuid4()), self.before.history)
        entry = replace(self.step, action="begun", earlier_ms=0).entry
        self._add_entry(flight, replace(entry, down_sql=self.step.down_sql))
        flight.do("COMMIT")
        with rolled_back_on_error(self.job.conn, committed_before(self.kept)):
            flight.go()

    def _add_entry(self, flight: Flight, entry: ledger.Entry) -> None:
        ledger.record(
            flight,
            self.job.scope,
            entry,
            schema=self.before.schema,
            tool_version=__version__,
        )

    def _send(self, indexes: Sequence[Index]) -> Answer[None]:
        """Send the statement, with the settings that it would find in a transaction.

        A statement that works concurrently has nobody queue behind it, and a lock timeout would
        leave half an index behind: it waits as long as it takes.
        """
        scope = self.job.scope
        if is_concurrent(self.statement):
            scope = replace(scope, lock_timeout_ms=0)
        flight = Flight(self.job.conn)
        flight.arm_session(scope)
        for setting in self.step.file.statements[:-1]:
            flight.run(setting)
        # On its own: a statement must not run if what is set for it failed.
        with rolled_back_on_error(self.job.conn, committed_before(self.kept)):
            flight.go(self.job.progress, stall(self.job))
        flight = Flight(self.job.conn)
        answer = flight.run(self.statement)
        flight.sync()
        # RESET ALL leaves the role alone.
        for reset in ("RESET SESSION AUTHORIZATION", "RESET ROLE", "RESET ALL"):
            flight.do(reset)
        try:
            flight.go(self.job.progress, stall(self.job))
        except StatementFailed as error:
            name_blockers(self.job, error)
            left = self._invalid(self._look()[1], indexes)
            error.detail = (*error.detail, *_advice(left))
            error.outcome = self._outcome()
            error.hint = error.hint or "Mend that and run up again: it goes on with this statement."
            raise
        except (ConnectionLost, Interrupted) as error:
            error.detail = (
                *error.detail,
                f"{self.step.label} is not finished; the next up goes on with it.",
            )
            error.outcome = self._outcome()
            raise
        return answer

    def _invalid(self, now: Iterable[Index], before: Iterable[Index]) -> list[Index]:
        """Return the invalid indexes that the statement has left, or was to make or mend."""
        mentioned = {name for _, name in self._mentioned()}
        known = {index.id for index in before if not index.valid}
        return [
            index
            for index in now
            if not index.valid
            and not index.in_progress
            and (index.id not in known or _stem(index.name) in mentioned)
        ]

    def _record(
        self,
        was: Sequence[Found],
        indexes: Sequence[Index],
        answer: Answer[None] | None,
        elapsed_ms: int,
    ) -> tuple[Run, Judgement]:
        """Find out what the statement did, and write it down."""
        job, run_id = self.job, str(uuid4())
        flight = Flight(job.conn)
        flight.begin(job.scope)
        ledger.begin_run(flight, run_id, self.before.history)
        step = replace(self.step, earlier_ms=self.step.earlier_ms + elapsed_ms)
        self._add_entry(flight, step.entry)
        flight.look_at(self.before.schema)
        home = ledger.table(job.scope)
        found = flight.ask(catalog.snapshot(self._keys(), ledger=home))
        now = flight.ask(catalog.indexes([name for _, name in self._mentioned()]))
        recorded = flight.ask(ledger.recorded(job.scope, run_id))
        flight.go(job.progress)
        if left := self._invalid(now.value, indexes):
            raise StatementFailed(
                f"index {left[0].label} is not valid",
                detail=_advice(left),
                hint="Remove it, and run up again.",
                file=self.statement.file,
                line=self.statement.line,
                column=self.statement.column,
            )
        run, judgement = made_as_found(
            job,
            self.before,
            step,
            _told(self.before, was, found.value),
            recorded.value,
            skipped=answer is not None and answer.has_skipped,
        )
        last = Flight(job.conn)
        (entry,), (effects,) = run.recorded, judgement.effects
        ledger.complete(last, job.scope, {entry.id: (effects.made, effects.gone)})
        ledger.commit(job.conn, last, ledger.was_recorded(job.scope, run_id), self._outcome())
        return run, judgement


def _told(before: DatabaseState, was: Iterable[Found], now: Iterable[Found]) -> list[Found]:
    """Return what is expected or has changed, marked with what the statement did to it."""
    earlier = {found.id: found for found in was}
    told: dict[Key, Found] = {
        key: Found(item_id, before.live[key], created=False, cids=(), written={})
        for item_id, key in before.ids.items()
    }
    gone = {found.relation.key for found in earlier.values()}
    for found in now:
        relation = found.relation
        old = earlier.get(found.id)
        gone.discard(relation.key)
        parts = old.relation.parts if old is not None else {}
        written = {part: 0 for part, text in relation.parts.items() if parts.get(part) != text}
        changed = old is None or relation.parts != parts
        if changed or relation.key in before.history.expected:
            told[relation.key] = replace(
                found, created=old is None, cids=(0,) if changed else (), written=written
            )
    return [found for key, found in told.items() if key not in gone]


def _stem(name: str) -> str:
    for mark in _REBUILT:
        stem, found, rest = name.rpartition(mark)
        if found and (not rest or rest.isdigit()):
            return stem
    return name


def _advice(left: Iterable[Index]) -> list[str]:
    return [f"index {i.label} is invalid; to remove it: {i.removal};" for i in left]
