"""The history: an append-only table of what was done to a database, and what it says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lfmigrate.database import (
    Connection,
    Flight,
    Query,
    Scope,
    address_of,
    connect,
    quote_name,
    roll_back,
)
from lfmigrate.errors import ConnectionFailed, DatabaseError, Interrupted, StatementFailed
from lfmigrate.snapshot import Key, Relation, Snapshot

# "lfmigrat" in ASCII: one advisory lock for a database, whichever folder and schema is meant.
LOCK_KEY = int.from_bytes(b"lfmigrat", "big")

# How long to wait for a lost transaction to end; the server may still be busy with its commit.
_SETTLE_MS = 30_000

# A server that restarts is back by then; whoever waits wants to know.
_RECONNECT_S = 20

# What the server says of a history that is not there: no such table, no such schema.
ABSENT = ("42P01", "3F000")


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the history.

    Attributes:
        id: Grows with every event of the database.
        action: ``up``: a migration ran; ``repair``: it ran again, for what had gone missing;
            ``view``: a view file ran; ``rollback``: a migration was undone or, without a version,
            a view file's view was dropped for that; ``begun`` and ``statement``: of a file that
            runs outside of a transaction, a statement is about to run, or has run. The last one of
            such a file is its ``up``.
        version: The migration's version as its file's name has it; None for a view file.
        name: The migration's or the view's name.
        file: The file's name.
        checksum: Of the text that ran.
        expected: The relations that it made or changed, as the catalogs described them.
        gone: The relations that it removed.
        server_version: Of the server that gave those descriptions.
        executed_at: When, as ISO 8601 text with a time zone.
        executed_by: The role that ran it.
        elapsed_ms: How long its statements took on the server.
    """

    id: int
    action: str
    version: str | None
    name: str
    file: str
    checksum: str
    expected: tuple[Relation, ...]
    gone: tuple[Key, ...]
    server_version: int
    executed_at: str
    executed_by: str
    elapsed_ms: int

    @property
    def number(self) -> int | None:
        """Return the migration's version as a number: ``002`` and ``2`` are the same."""
        return None if self.version is None else int(self.version)


@dataclass(frozen=True)
class History:
    """What the events of one schema amount to.

    Attributes:
        events: Oldest first.
        position: The highest id in the table, whichever schema it is of; 0 if there is none.
        exists: Whether the table is there at all.
    """

    events: tuple[Event, ...] = ()
    position: int = 0
    exists: bool = False

    @cached_property
    def applied(self) -> Mapping[int, Event]:
        """Return the event that applied each migration that was not undone since, by number."""
        applied: dict[int, Event] = {}
        for event in self.events:
            if event.number is None:
                continue
            if event.action == "up":
                applied[event.number] = event
            elif event.action == "rollback":
                applied.pop(event.number, None)
        return applied

    @cached_property
    def begun(self) -> Mapping[int, Sequence[Event]]:
        """Return the events of each migration that was not finished, by number, oldest first."""
        begun: dict[int, list[Event]] = {}
        for event in self.events:
            if event.number is None:
                continue
            if event.action in {"begun", "statement"}:
                begun.setdefault(event.number, []).append(event)
            elif event.action in {"up", "rollback"}:
                begun.pop(event.number, None)
        return begun

    @cached_property
    def last(self) -> Mapping[int, Event]:
        """Return the last event of each migration that a rollback would undo, by number."""
        return {**self.applied, **{number: events[-1] for number, events in self.begun.items()}}

    @cached_property
    def views(self) -> Mapping[str, Event]:
        """Return the last event of each view file whose view was not dropped since, by name."""
        ran: dict[str, Event] = {}
        keys: dict[str, set[Key]] = {}
        for event in self.events:
            if event.action == "view":
                ran[event.name] = event
                keys.setdefault(event.name, set()).update(r.key for r in event.expected)
            elif event.action == "rollback" and event.version is None:
                ran.pop(event.name, None)
        return {
            name: event
            for name, event in ran.items()
            # A migration's way back may have dropped it, too.
            if not keys[name] or any(key in self.expected for key in keys[name])
        }

    @cached_property
    def expected(self) -> Snapshot:
        """Return what the database should look like, as the events left it."""
        relations: dict[Key, Relation] = {}
        for event in self.events:
            for key in event.gone:
                relations.pop(key, None)
            relations |= {relation.key: relation for relation in event.expected}
        return Snapshot(relations.values())

    @cached_property
    def makers(self) -> Mapping[Key, Sequence[Event]]:
        """Return the events that made or changed each expected relation, oldest first."""
        makers: dict[Key, list[Event]] = {}
        for event in self.events:
            for key in event.gone:
                makers.pop(key, None)
            for relation in event.expected:
                makers.setdefault(relation.key, []).append(event)
        return makers

    @cached_property
    def majors(self) -> frozenset[int]:
        """Return the major versions of the servers whose descriptions are expected."""
        return frozenset(self.makers[key][-1].server_version // 10000 for key in self.expected)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is recorded of a file before its effects are known.

    ``earlier_ms`` is how long its statements took before this transaction.
    """

    action: str
    version: str | None
    name: str
    file: str
    checksum: str
    sql: str
    down_sql: str | None
    earlier_ms: int = 0


def table(scope: Scope) -> str:
    """Return the qualified and quoted name of the history's table."""
    return f"{quote_name(scope.history_schema)}.lfmigrate_history"


def read(scope: Scope) -> Query[History]:
    """Ask for the history of the current schema. Only reads.

    The answer fails with one of `ABSENT` where there is no history.
    """
    sql = f"""
        SELECT jsonb_build_object(
            'position', (SELECT coalesce(max(id), 0) FROM {table(scope)}),
            'events', coalesce(jsonb_agg(jsonb_build_object(
                'id', id, 'action', action, 'version', version, 'name', name, 'file', file,
                'checksum', checksum, 'expected', expected, 'server_version', server_version,
                'executed_at', executed_at, 'executed_by', executed_by, 'elapsed_ms', elapsed_ms
            ) ORDER BY id), '[]'))
        FROM {table(scope)}
        WHERE schema_name = current_schema()"""

    def decode(value: Any) -> History:  # noqa: ANN401 (parsed JSON)
        return History(
            events=tuple(_event(document) for document in value["events"]),
            position=value["position"],
            exists=True,
        )

    return Query(sql, (), decode)


def recorded_text(scope: Scope, event: Event) -> Query[str]:
    """Ask for the SQL text that an event ran. Only reads."""
    return Query(
        f"SELECT to_jsonb(sql) FROM {table(scope)} WHERE id = $1::bigint", (str(event.id),), str
    )


def recorded_down(scope: Scope, event: Event) -> Query[str | None]:
    """Ask for the down file's text as it was when a migration was applied. Only reads."""
    return Query(
        f"SELECT to_jsonb(down_sql) FROM {table(scope)} WHERE id = $1::bigint",
        (str(event.id),),
        lambda value: value,
    )


def begin_run(flight: Flight, run_id: str, known: History) -> None:
    """Name the run that the following entries belong to, and the history that it was planned on.

    The name is the transaction's. If a file's statement ended the transaction all the same, it is
    gone, and the next entry fails.
    """
    flight.do(
        "SELECT set_config('lfmigrate.run', $1, true), set_config('lfmigrate.position', $2, true),"
        " set_config('lfmigrate.lock_key', $3, true)",
        run_id,
        str(known.position),
        str(LOCK_KEY),
    )


def record(flight: Flight, scope: Scope, entry: Entry, *, schema: str, tool_version: str) -> None:
    """Add an entry to a flight, right behind the statements that it tells of.

    Its time is what went by since the run's entry before it, or since the transaction began.
    """
    flight.do(
        f"""
        INSERT INTO {table(scope)} (run_id, schema_name, action, version, name, file, checksum,
            sql, down_sql, tool_version, elapsed_ms)
        SELECT r.id, $1, $2, $3, $4, $5, $6, $7, $8, $9,
            $10 + extract(epoch FROM clock_timestamp() -
            coalesce((SELECT h.executed_at FROM {table(scope)} AS h
                      WHERE h.run_id = r.id ORDER BY h.id DESC LIMIT 1), now())) * 1000
        FROM (SELECT current_setting('lfmigrate.run')::uuid) AS r (id)""",
        schema,
        entry.action,
        entry.version,
        entry.name,
        entry.file,
        entry.checksum,
        entry.sql,
        entry.down_sql,
        tool_version,
        str(entry.earlier_ms),
    )


@dataclass(frozen=True, slots=True)
class Recorded:
    """An entry as the running transaction has it.

    Attributes:
        id: The event's id.
        cid: The command of the transaction that recorded it: all that the entry's statements
            wrote was written by earlier commands.
        elapsed_ms: How long its statements took on the server.
    """

    id: int
    cid: int
    elapsed_ms: int


def recorded(scope: Scope, run_id: str) -> Query[tuple[Recorded, ...]]:
    """Ask for the entries that this transaction has recorded so far, in order. Only reads."""
    sql = f"""
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'id', id, 'cid', cmin::text::int, 'elapsed_ms', elapsed_ms) ORDER BY id), '[]')
        FROM {table(scope)} WHERE run_id = $1::uuid"""

    def decode(value: Any) -> tuple[Recorded, ...]:  # noqa: ANN401 (parsed JSON)
        return tuple(Recorded(**document) for document in value)

    return Query(sql, (run_id,), decode)


def complete(
    flight: Flight, scope: Scope, effects: Mapping[int, tuple[Sequence[Relation], Sequence[Key]]]
) -> None:
    """Add the effects of a run's entries, by event id, before its transaction commits."""
    document = [
        {
            "id": event_id,
            "expected": {
                "relations": [relation.to_json() for relation in made],
                "gone": [list(key) for key in gone],
            },
        }
        for event_id, (made, gone) in effects.items()
    ]
    flight.do(
        f"UPDATE {table(scope)} AS h SET expected = e.expected"
        " FROM jsonb_to_recordset($1::jsonb) AS e (id bigint, expected jsonb) WHERE h.id = e.id",
        json.dumps(document),
    )


def was_recorded(scope: Scope, run_id: str) -> Query[bool]:
    """Ask whether a run's events are there: they are committed with what they tell of."""
    return Query(
        f"SELECT to_jsonb(EXISTS (SELECT FROM {table(scope)} WHERE run_id = $1::uuid))",
        (run_id,),
        bool,
    )


def transaction_id() -> Query[str]:
    """Ask for the running transaction's id, for `was_committed`."""
    return Query("SELECT to_jsonb(pg_current_xact_id()::text)", (), str)


def was_committed(transaction_id: str) -> Query[bool]:
    """Ask whether a transaction that has ended was committed: for one that records no event."""
    return Query(
        "SELECT to_jsonb(pg_xact_status($1::text::xid8) = 'committed')", (transaction_id,), bool
    )


def commit(conn: Connection, flight: Flight, was_committed: Query[bool], *, note: str) -> None:
    """Commit at the end of a flight, and find out the truth if the server's answer gets lost.

    Args:
        conn: The connection of the run, which holds lfmigrate's lock.
        flight: What is left to do before the commit.
        was_committed: The question whether it happened, for when the transaction has ended.
        note: What to add to the error if nothing was committed, such as "Nothing was changed."

    Raises:
        StatementFailed: The commit failed, for example on a deferred constraint; rolled back.
        ConnectionFailed: The connection was lost; the details say whether it was committed.
        Interrupted: A signal came; likewise.
    """
    flight.do("COMMIT")
    address = address_of(conn)
    try:
        flight.go()
    except StatementFailed as error:
        roll_back(conn)
        error.detail = (*error.detail, note)
        raise
    except (ConnectionFailed, Interrupted) as error:
        try:
            committed = _ask_elsewhere(address, was_committed)
        except DatabaseError:
            truth = "Whether it was committed is not known: the server cannot be asked."
            error.hint = 'Look with "lfmigrate status" when the server is back.'
        else:
            truth = "The transaction had been committed before that." if committed else note
        error.detail = (*error.detail, truth)
        raise


def _ask_elsewhere(address: str, question: Query[bool]) -> bool:
    with closing(connect(address, wait_s=_RECONNECT_S)) as second:
        flight = Flight(second)
        # A snapshot taken while waiting for the lock would not show what was committed meanwhile.
        flight.do("BEGIN ISOLATION LEVEL READ COMMITTED")
        flight.do("SELECT set_config('lock_timeout', $1, true)", str(_SETTLE_MS))
        # The lost transaction holds this lock until it has ended in one way or the other.
        flight.do("SELECT pg_advisory_xact_lock($1::bigint)", str(LOCK_KEY))
        answer = flight.ask(question)
        flight.sync(*ABSENT)
        flight.do("ROLLBACK")
        flight.go()
        return answer.error is None and answer.value


def _event(document: Mapping[str, Any]) -> Event:
    expected = document["expected"] or {}
    return Event(
        id=document["id"],
        action=document["action"],
        version=document["version"],
        name=document["name"],
        file=document["file"],
        checksum=document["checksum"],
        expected=tuple(Relation.from_json(r) for r in expected.get("relations", ())),
        gone=tuple(Key(*key) for key in expected.get("gone", ())),
        server_version=document["server_version"],
        executed_at=document["executed_at"],
        executed_by=document["executed_by"],
        elapsed_ms=document["elapsed_ms"],
    )
