"""The history table: reading it, and recording events."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lfmigrate.catalog import query_text
from lfmigrate.errors import StatementFailed
from lfmigrate.history.events import Event, History, Previous, Source, event_from_json
from lfmigrate.postgres.pipeline import Flight, Query
from lfmigrate.schema.relation import Key, Relation
from lfmigrate.settings import Scope
from lfmigrate.syntax.names import quote_name

# "lfmigrat" in ASCII: one advisory lock for a database, whichever folder and schema is meant.
LOCK_KEY = int.from_bytes(b"lfmigrat", "big")

# The history does not exist: no such table, no such schema.
ABSENT = ("42P01", "3F000")


class LockHeld(StatementFailed):
    """Another run holds lfmigrate's lock."""


class HistoryMoved(StatementFailed):
    """Another run has written the history since it was read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is recorded of a file before its effects are known.

    ``earlier_ms`` is how long its statements took before this transaction; ``has_run`` whether it
    has any in this one.
    """

    action: str
    version: str | None
    name: str
    file: str
    checksum: str
    sql: str
    down_sql: str | None
    earlier_ms: int = 0
    has_run: bool = True


def table(scope: Scope) -> str:
    """Return the qualified and quoted name of the history's table."""
    return f"{quote_name(scope.history_schema)}.lfmigrate_history"


def read(scope: Scope) -> Query[History]:
    """Ask for the history of the current schema. Only reads.

    The answer fails with one of `ABSENT` where there is no history.
    """
    sql = f"""
        SELECT json_build_object(
            'position', (SELECT coalesce(max(id), 0) FROM {table(scope)}),
            'events', coalesce(json_agg(json_build_object(
                'id', id, 'action', action, 'version', version, 'name', name, 'file', file,
                'checksum', checksum, 'expected', expected, 'server_version', server_version,
                'executed_at', executed_at, 'executed_by', executed_by, 'elapsed_ms', elapsed_ms,
                'settings', settings
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


def lock(flight: Flight, known: History) -> None:
    """Queue the lock of lfmigrate, which fails if another run holds it or has written the history.

    Args:
        flight: What begins a transaction; it fails with `LockHeld` or `HistoryMoved`.
        known: The history that the run was planned on.
    """
    flight.set({"lfmigrate.position": str(known.position), "lfmigrate.lock_key": str(LOCK_KEY)})
    flight.do(query_text("lock"), raises={"LF001": LockHeld, "LF002": HistoryMoved})


def try_lock() -> Query[bool]:
    """Ask for the lock for the session; the answer is whether it was free."""
    return Query("SELECT to_jsonb(pg_try_advisory_lock($1::bigint))", (str(LOCK_KEY),), bool)


def create(flight: Flight) -> None:
    """Queue the creation of the history table, if it does not exist."""
    flight.do(query_text("create_history"))


def record(
    flight: Flight, scope: Scope, entry: Entry, *, run_id: str, schema: str, tool_version: str
) -> None:
    """Queue an entry, directly after the statements that it records.

    Its time is what elapsed since the run's previous entry, or since the transaction began.
    """
    flight.do(
        f"""
        INSERT INTO {table(scope)} (run_id, schema_name, action, version, name, file, checksum,
            sql, down_sql, tool_version, elapsed_ms)
        SELECT r.id, $1, $2, $3, $4, $5, $6, $7, $8, $9,
            $10 + CASE WHEN $12 THEN extract(epoch FROM clock_timestamp() -
            coalesce((SELECT h.executed_at FROM {table(scope)} AS h WHERE h.run_id = r.id
                AND h.id = (SELECT max(id) FROM {table(scope)})), now())) * 1000 ELSE 0 END
        FROM (SELECT $11::uuid) AS r (id)""",
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
        run_id,
        str(entry.has_run),
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
        FROM {table(scope)}
        WHERE run_id = $1::uuid AND xmin = pg_current_xact_id()::xid"""

    def decode(value: Any) -> tuple[Recorded, ...]:  # noqa: ANN401 (parsed JSON)
        return tuple(Recorded(**document) for document in value)

    return Query(sql, (run_id,), decode)


def complete(
    flight: Flight,
    scope: Scope,
    effects: Mapping[int, tuple[Sequence[Relation], Sequence[Key], Mapping[Key, Collection[str]]]],
    previous: Mapping[int, Sequence[Previous]] | None = None,
    roles: Mapping[int, Sequence[str]] | None = None,
    *,
    source: Source | None = None,
) -> None:
    """Add the effects of a run's entries, by event id, before its transaction commits.

    Args:
        flight: Of the transaction.
        scope: Where the history is.
        effects: What each entry's file made, what it removed, and what it found.
        previous: How everything was defined before that it replaced and no file had created.
        roles: The names of the roles that each entry's file created.
        source: The table of another tool that they come from.
    """
    document = [
        {
            "id": event_id,
            "expected": {
                "relations": [relation.to_json() for relation in made],
                "gone": [list(key) for key in gone],
                "found": [[list(key), sorted(parts)] for key, parts in found.items()],
                "previous": [
                    [list(each.key), each.part, each.document]
                    for each in (previous or {}).get(event_id, ())
                ],
                "roles": list((roles or {}).get(event_id, ())),
                **({} if source is None else {"source": asdict(source)}),
            },
        }
        for event_id, (made, gone, found) in effects.items()
    ]
    flight.do(
        f"UPDATE {table(scope)} AS h SET expected = e.expected"
        " FROM jsonb_to_recordset($1::jsonb) AS e (id bigint, expected jsonb) WHERE h.id = e.id",
        json.dumps(document),
    )


def position(scope: Scope) -> Query[int]:
    """Ask for the highest id in the history. Only reads."""
    return Query(f"SELECT to_jsonb(coalesce(max(id), 0)) FROM {table(scope)}", (), int)


def newest(scope: Scope) -> Query[str]:
    """Ask for the id and the time of the newest event, of any schema, as one text. Only reads.

    After a restore or a failover, the same id may be that of another event.
    """
    return Query(
        f"SELECT to_jsonb(coalesce((SELECT concat_ws(' ', id, executed_at) FROM {table(scope)}"
        " ORDER BY id DESC LIMIT 1), ''))",
        (),
        str,
    )


def was_recorded(scope: Scope, run_id: str) -> Query[bool]:
    """Ask whether a run's events are there: they are committed with what they record."""
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
