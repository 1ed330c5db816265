"""The history table: reading it, and recording events."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from lfmigrate.errors import (
    COMMITTED,
    NOTHING_CHANGED,
    UNKNOWN,
    ConnectionFailed,
    DatabaseError,
    ErrorOutcome,
    Interrupted,
    StatementFailed,
)
from lfmigrate.history.events import Event, History, event_from_json
from lfmigrate.postgres.connection import Connection, address_of, connect
from lfmigrate.postgres.pipeline import Flight, Query, roll_back
from lfmigrate.schema.relation import Key, Relation
from lfmigrate.settings import Scope
from lfmigrate.syntax.names import quote_name

# "lfmigrat" in ASCII: one advisory lock for a database, whichever folder and schema is meant.
LOCK_KEY = int.from_bytes(b"lfmigrat", "big")

# How long to wait for a lost transaction to end; the server may still be busy with its commit.
_SETTLE_MS = 30_000

# A server that restarts is back by then; whoever waits wants to know.
_RECONNECT_S = 20

# What the server says of a history that is not there: no such table, no such schema.
ABSENT = ("42P01", "3F000")


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
            events=tuple(event_from_json(document) for document in value["events"]),
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


def commit(
    conn: Connection,
    flight: Flight,
    was_committed: Query[bool],
    outcome: ErrorOutcome = NOTHING_CHANGED,
) -> None:
    """Commit at the end of a flight, and find out the truth if the server's answer gets lost.

    Args:
        conn: The connection of the run, which holds lfmigrate's lock.
        flight: What is left to do before the commit.
        was_committed: The question whether it happened, for when the transaction has ended.
        outcome: What is true of the database if it was not committed.

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
        error.outcome = outcome
        raise
    except (ConnectionFailed, Interrupted) as error:
        try:
            committed = _ask_elsewhere(address, was_committed)
        except DatabaseError:
            error.outcome = UNKNOWN
            error.hint = 'Look with "lfmigrate status" when the server is back.'
        else:
            error.outcome = COMMITTED if committed else outcome
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
