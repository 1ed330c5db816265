"""Files marked no-transaction: one statement at a time, each recorded.

They need a session of their own, because what a statement needs (the lock, a search path, timeouts)
has to outlive a transaction. Behind a transaction pooler there is no such session.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

from lfmigrate import catalog
from lfmigrate.catalog import Index
from lfmigrate.engine.hidden_extension import add_hidden_extension
from lfmigrate.engine.losses import lost_outside
from lfmigrate.engine.outcome import Outcome, outcome_outside_transaction
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step import Step
from lfmigrate.engine.transaction import transaction
from lfmigrate.errors import (
    ConnectionLost,
    DatabaseError,
    ErrorOutcome,
    Interrupted,
    StatementFailed,
)
from lfmigrate.history import ledger
from lfmigrate.postgres.pipeline import rolled_back_on_error
from lfmigrate.postgres.wire import Answer
from lfmigrate.schema.relation import Fingerprints, Found, Key, Relation, Snapshot
from lfmigrate.source import version
from lfmigrate.source.sqlfile import SqlFile, from_text
from lfmigrate.syntax.names import Cursor, Indexing, indexing
from lfmigrate.syntax.scanner import Statement
from lfmigrate.syntax.transaction_block import is_concurrent, placement

# What REINDEX CONCURRENTLY calls an index while it rebuilds it.
_REBUILT = ("_ccnew", "_ccold")


def next_part(state: DatabaseState, step: Step) -> Step | None:
    """Return the next statement of a file that is not recorded yet; None after the last.

    Args:
        state: The database, with the history as it is now.
        step: The file.
    """
    number = version.number(step.version or "0")
    if number in state.history.applied:
        return None
    units = step.file.units()
    events = state.history.begun.get(number, ())
    index = sum(1 for event in events if event.action == "statement")
    unit = units[index] if index < len(units) else step.file
    last = index + 1 >= len(units)
    return replace(
        step,
        action="up" if last else "statement",
        file=unit,
        part=f"statement {index + 1} of {len(units)}" if len(units) > 1 else "",
        so_far=step.file.up_to(unit) if unit.statements else unit,
        earlier_ms=sum(event.elapsed_ms for event in events) if last else 0,
    )


def resumable_edits(session: Session, state: DatabaseState) -> frozenset[int]:
    """Return the unfinished migrations whose edit leaves the statements alone that have run.

    The statement that failed may be another one now, unless it was interrupted; then, too, if it
    has left nothing, or what it had left was dropped.
    """
    edited = [
        (migration, events)
        for migration in session.folder.migrations
        if (events := state.history.begun.get(migration.number))
        and events[-1].checksum != migration.up.checksum
        and migration.up.no_transaction
    ]
    if not edited:
        return frozenset()
    with session.reading(state.schema) as flight:
        texts = [flight.ask(ledger.recorded_text(session.scope, e[-1])) for _, e in edited]
    found = set()
    for (migration, events), text in zip(edited, texts, strict=True):
        done = sum(1 for event in events if event.action == "statement")
        was = from_text(events[-1].file, text.value).units()
        now = migration.up.units()
        # What is left of it is recorded as its end.
        if _texts(was[:done]) != _texts(now[:done]) or len(now) <= done:
            continue
        if (
            events[-1].action != "begun"
            or _texts(was[done : done + 1]) == _texts(now[done : done + 1])
            or _has_left_nothing(session, state, was[done].statements[-1])
        ):
            found.add(migration.number)
    return frozenset(found)


def _has_left_nothing(session: Session, state: DatabaseState, statement: Statement) -> bool:
    """Return whether there is no index, valid or not, that an interrupted statement has built."""
    index = indexing(statement)
    if index is None or index.way == "drop":
        return False
    with session.reading(state.schema) as flight:
        names = [name.name for name in Cursor(statement).names()]
        asked = flight.ask(catalog.indexes(names))
    if index.way == "rebuild":
        return all(_stem(each.name) == each.name for each in asked.value)
    return bool(index.indexes) and _found(index, 0, asked.value, state.schema) is None


def _found(index: Indexing, place: int, indexes: Iterable[Index], schema: str) -> Index | None:
    """Return an index of a statement as it is; an index is in the schema of its table."""
    wanted = index.indexes[place]
    home = wanted if index.table is None else index.table
    where = home.schema or schema
    return next((i for i in indexes if (i.schema, i.name) == (where, wanted.name)), None)


def _texts(units: Iterable[SqlFile]) -> list[list[str]]:
    return [[statement.text for statement in unit.statements] for unit in units]


def runs_alone(part: Step) -> bool:
    """Return whether a part of a file cannot run in a transaction, or may not be able to."""
    return bool(part.file.statements) and placement(part.file.statements[-1]) != "inside"


def run_alone(session: Session, state: DatabaseState, part: Step) -> Outcome:
    """Run one statement outside a transaction, and record it with what it did.

    Args:
        session: With a direct connection that holds the lock.
        state: The database before it.
        part: The statement, and the SETs before it.

    Raises:
        StatementFailed: It failed, or has left an invalid index.
        ConnectionFailed: The connection was lost; the next run resumes at this statement.
        Interrupted: A signal arrived; likewise.
    """
    begun = _was_begun(session, state, part)
    return _Alone(session, state, part, begun, tuple(session.committed)).run()


def _was_begun(session: Session, state: DatabaseState, part: Step) -> bool:
    """Return whether an earlier run was interrupted in a statement, as it is now."""
    events = state.history.begun.get(version.number(part.version or "0"), ())
    if not events or events[-1].action != "begun":
        return False
    with session.reading(state.schema) as flight:
        text = flight.ask(ledger.recorded_text(session.scope, events[-1]))
    done = sum(1 for event in events if event.action == "statement")
    was = from_text(events[-1].file, text.value).units()[done : done + 1]
    return _texts(was) == _texts([part.file])


def outcome_outside(committed: Sequence[str]) -> ErrorOutcome:
    """Return what an error leaves behind after a statement ran outside a transaction."""
    kept = f" Kept as well: {', '.join(committed)}." if committed else ""
    return ErrorOutcome("kept", f"It ran outside a transaction: its effects are not undone.{kept}")


@dataclass(slots=True)
class _Alone:
    """One statement that runs outside a transaction.

    Attributes:
        session: With a direct connection that holds the lock.
        state: The database before it.
        step: The part of the file: the statement, and what is set before it.
        begun: Whether an earlier run was interrupted in it.
        committed: The labels of what was committed before it.
        existing: What existed before it, if its text does not say what it changes.
    """

    session: Session
    state: DatabaseState
    step: Step
    begun: bool
    committed: tuple[str, ...]
    existing: Fingerprints = field(default_factory=dict)

    @property
    def statement(self) -> Statement:
        return self.step.file.statements[-1]

    def run(self) -> Outcome:
        """Run it, and record it with what it did."""
        was, indexes = self._read()
        index = indexing(self.statement)
        if self.begun and self._clear(index, indexes):
            was, indexes = self._read()
        answer: Answer[None] | None = None
        elapsed_ms = 0
        if (
            self.begun
            and index is not None
            and index.way != "rebuild"
            and self._is_done(index, indexes)
        ):
            was = self._rewound(index, was)
        else:
            if not self.begun and index is not None and self._is_new(index, indexes):
                self._record_alone("begun")
            started = time.monotonic()
            answer = self._send(indexes)
            elapsed_ms = round((time.monotonic() - started) * 1000)
        return self._record(was, indexes, answer, elapsed_ms)

    @property
    def _outcome(self) -> ErrorOutcome:
        return outcome_outside(self.committed)

    def _read(self) -> tuple[tuple[Found, ...], tuple[Index, ...]]:
        """Read what the statement mentions, and its indexes, as they are now."""
        if self._is_opaque:
            with self.session.reading(self.state.schema) as flight:
                everything = flight.ask(catalog.fingerprints())
            self.existing = everything.value
        with self.session.reading(self.state.schema) as flight:
            found = flight.ask(catalog.relations(self._keys(), self.existing))
            indexes = flight.ask(catalog.indexes([name for _, name in self._mentioned()]))
        return found.value, indexes.value

    @property
    def _is_opaque(self) -> bool:
        """Return whether the text does not say what the statement changes."""
        return self.statement.head[:1] in {("CALL",), ("DO",)}

    def _mentioned(self) -> list[tuple[str, str]]:
        """Return the statement's names, with the schema that each one is in if it says none."""
        found = Cursor(self.statement).names()
        return [(n.schema or self.state.schema, n.name) for n in found]

    def _keys(self) -> list[Key]:
        """Return what the statement may change: what it names, and what an index is on."""
        mentioned = self._mentioned()
        keys = [Key("relation", schema, name) for schema, name in mentioned]
        parts = {f"index {name}" for _, name in mentioned}
        keys += [r.key for r in self.state.live.values() if not parts.isdisjoint(r.parts)]
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
        if index.way == "rebuild":
            return not _copies(indexes)
        return self._found(index, 0, indexes) is None

    def _found(self, index: Indexing, place: int, indexes: Sequence[Index]) -> Index | None:
        return _found(index, place, indexes, self.state.schema)

    def _clear(self, index: Indexing | None, indexes: Sequence[Index]) -> bool:
        """Remove what an interrupted run has left of an index that did not exist before it."""
        if index is None or index.way == "drop":
            return False
        if index.way == "rebuild":
            left = _copies(indexes)
        else:
            found = self._found(index, 0, indexes)
            left = [found] if found is not None and not found.valid else []
        for each in left:
            self.session.say(
                f"index {each.label} was left invalid by an interrupted run; rebuilding it"
                if index.way == "create"
                else f"index {each.label} was left behind by an interrupted run; removing it"
            )
            flight = self.session.flight()
            flight.do(each.removal)
            with rolled_back_on_error(self.session.conn, self.session.outcome):
                flight.go()
        self._rewound(index, (), left)
        return bool(left)

    def _rewound(
        self, index: Indexing, was: Iterable[Found], removed: Iterable[Index] = ()
    ) -> tuple[Found, ...]:
        """Return what was found as it was before the interrupted run; set `state` to that."""
        parts = {
            f"index {name}"
            for name in (*(i.name for i in index.indexes), *(i.name for i in removed))
        }

        def earlier(relation: Relation) -> Relation:
            others = {p: text for p, text in relation.parts.items() if p not in parts}
            expected = self.state.history.expected.get(relation.key)
            if index.way == "drop" and expected is not None:
                others |= {p: text for p, text in expected.parts.items() if p in parts}
            return replace(relation, parts=others)

        live = Snapshot(earlier(relation) for relation in self.state.live.values())
        self.state = replace(self.state, live=live)
        return tuple(replace(found, relation=earlier(found.relation)) for found in was)

    def _record_alone(self, action: Literal["begun", "rejected"]) -> None:
        with transaction(self.session, self.state, []) as opened:
            opened.record(replace(self.step, action=action, earlier_ms=0))
            position = opened.flight.ask(ledger.position(self.session.scope))
            opened.commit()
        if not position.landed:
            # It was committed, but lfmigrate's lock is gone with the connection.
            raise ConnectionLost("the connection was lost", outcome=self.session.outcome)
        history = replace(self.state.history, position=position.value)
        self.state = replace(self.state, history=history)

    def _send(self, indexes: Sequence[Index]) -> Answer[None]:
        """Send the statement, with the settings that it would find in a transaction.

        A statement that works concurrently makes no other session queue, and a lock timeout would
        leave half an index behind: it waits as long as it takes.
        """
        session, scope = self.session, self.session.scope
        if is_concurrent(self.statement):
            scope = replace(scope, lock_timeout_ms=0)
        flight = session.flight()
        flight.arm_session(scope)
        for setting in self.step.file.statements[:-1]:
            flight.run(setting)
        flight.set({"client_min_messages": "notice"}, local=False)
        # On its own: a statement must not run if what is set for it failed.
        with rolled_back_on_error(session.conn, session.outcome):
            flight.go()
        flight = session.flight()
        answer = flight.run(self.statement)
        flight.sync()
        # RESET ALL leaves the role alone.
        for reset in ("RESET SESSION AUTHORIZATION", "RESET ROLE", "RESET ALL"):
            flight.do(reset)
        try:
            flight.go()
        except StatementFailed as error:
            left = self._invalid(self._read()[1], indexes)
            error.detail = (*error.detail, *_advice(left))
            error.outcome = self._outcome
            if not left and indexing(self.statement) is not None:
                # It has had no effect, so that it may be another one the next time.
                error.outcome = session.outcome
                with suppress(DatabaseError):
                    self._record_alone("rejected")
            add_hidden_extension(error, session)
            if left and not error.hint:
                error.hint = (
                    "Correct what it needs and run up again, which removes what is left and resumes"
                    " at this statement. To edit the statement, remove what is left first."
                )
            error.hint = error.hint or "Fix it and run up again: it resumes at this statement."
            raise
        except (ConnectionLost, Interrupted) as error:
            error.detail = (
                *error.detail,
                f"{self.step.label} is not finished; the next up resumes there.",
            )
            error.outcome = self._outcome
            raise
        return answer

    def _invalid(self, now: Iterable[Index], before: Iterable[Index]) -> list[Index]:
        """Return the invalid indexes that the statement has left, or was to create or rebuild."""
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
    ) -> Outcome:
        """Find out what the statement did, and record it."""
        session, state = self.session, self.state
        step = replace(self.step, earlier_ms=self.step.earlier_ms + elapsed_ms)
        with transaction(session, state, []) as opened:
            opened.on_failure = self._outcome
            opened.record(step)
            opened.flight.look_at(state.schema)
            existing: Fingerprints = {}
            if self._is_opaque:
                everything = opened.flight.ask(catalog.fingerprints())
                opened.send()
                existing = everything.value
            found = opened.flight.ask(catalog.relations(self._keys(), existing))
            now = opened.flight.ask(catalog.indexes([name for _, name in self._mentioned()]))
            recorded = opened.flight.ask(ledger.recorded(session.scope, opened.run_id))
            opened.send()
            if left := self._invalid(now.value, indexes):
                raise StatementFailed(
                    f"index {left[0].label} is not valid",
                    detail=_advice(left),
                    hint="Remove it, and run up again.",
                    file=self.statement.file,
                    line=self.statement.line,
                    column=self.statement.column,
                )
            outcome = outcome_outside_transaction(
                session,
                state,
                step,
                _changed(state, was, found.value),
                recorded.value,
                was=was,
                skipped=answer is not None and answer.has_skipped,
            )
            opened.commit(outcome)
        lost = lost_outside(self.existing, existing, was)
        return replace(outcome, notes=(*outcome.notes, *lost))


def _changed(state: DatabaseState, was: Iterable[Found], now: Iterable[Found]) -> list[Found]:
    """Return what is expected or has changed, marked with what the statement did to it."""
    earlier = {found.id: found for found in was}
    changed_now: dict[Key, Found] = {
        key: Found(item_id, state.live[key]) for item_id, key in state.ids.items()
    }
    gone = {found.relation.key for found in earlier.values()}
    for found in now:
        relation = found.relation
        old = earlier.get(found.id)
        gone.discard(relation.key)
        parts = old.relation.parts if old is not None else {}
        written = {part: 0 for part, text in relation.parts.items() if parts.get(part) != text}
        changed = old is None or relation.parts != parts
        if changed or relation.key in state.history.expected:
            changed_now[relation.key] = replace(
                found, cids=(0,) if changed else (), written=written
            )
    return [found for key, found in changed_now.items() if key not in gone]


def _copies(indexes: Iterable[Index]) -> list[Index]:
    """Return what a REINDEX that did not finish has left."""
    return [i for i in indexes if not i.valid and not i.in_progress and _stem(i.name) != i.name]


def _stem(name: str) -> str:
    for mark in _REBUILT:
        stem, found, rest = name.rpartition(mark)
        if found and (not rest or rest.isdigit()):
            return stem
    return name


def _advice(left: Iterable[Index]) -> list[str]:
    return [f"index {i.label} is invalid; to remove it: {i.removal};" for i in left]
