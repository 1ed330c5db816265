"""`sql`: what `up` would run, as a script for psql. Only reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lfmigrate.catalog.sessions import Server
from lfmigrate.engine.batches import batches
from lfmigrate.engine.recreate import RecreatedObjects
from lfmigrate.engine.repeatables import repeatable_steps
from lfmigrate.engine.session import Session
from lfmigrate.engine.state import DatabaseState
from lfmigrate.engine.step import Step
from lfmigrate.engine.waiting import Attempts
from lfmigrate.errors import Refused
from lfmigrate.history import ledger, plan
from lfmigrate.postgres.connection import Connection
from lfmigrate.settings import Scope
from lfmigrate.source import rules
from lfmigrate.source.folder import Folder
from lfmigrate.source.repeatable import RunOrder
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.source.version import number
from lfmigrate.syntax.names import quote_literal, quote_name
from lfmigrate.syntax.settings import may_set

# How many files the header lists.
_MOST_FILES = 20


@dataclass(frozen=True, slots=True)
class ScriptReport:
    """What `up` would run.

    Attributes:
        server: Where it would run.
        schema: The schema for unqualified names.
        batches: The names of the files of each transaction, in order; a file marked no-transaction
            is alone.
        text: The script. It has the texts of the files as they are, and no password of lfmigrate's.
        notes: What is worth a warning.
    """

    server: Server
    schema: str
    batches: tuple[tuple[str, ...], ...]
    text: str
    notes: tuple[str, ...]


def script(
    conn: Connection,
    folder: Folder,
    *,
    scope: Scope | None = None,
    to: str | None = None,
    per_migration: bool = False,
    allow_out_of_order: bool = False,
) -> ScriptReport:
    """Return what `up` would run, for someone who runs it with psql.

    Only reads. Nothing in the script writes the history: what files have created is known when they
    have run. The script fails if lfmigrate is running, or the history has changed since.

    Args:
        conn: An open connection without an open transaction.
        folder: The files.
        scope: The schema, and the time limits; by default the connection's own schema.
        to: The last version to run; None for all. Repeatable files run only when nothing stays
            pending.
        per_migration: Commit after each file instead of once.
        allow_out_of_order: Also run pending versions older than the newest applied one.

    Raises:
        UsageError: ``to`` is no version of the folder.
        Refused: Versions are out of order, or one is that of another migration in the history; or a
            file marked no-transaction has been interrupted.
        DatabaseError: The server refused.
    """
    session = Session(conn, folder, scope)
    for attempt in Attempts(session):
        with attempt:
            state = session.state()
    pending = plan.pending_migrations(
        folder, state.history, to=to, allow_out_of_order=allow_out_of_order
    )
    if begun := [m.label for m in pending if m.number in state.history.begun]:
        raise Refused(
            f"migration {begun[0]} has been interrupted, and resumes where it was",
            hint='Finish it with "lfmigrate up" first.',
        )
    order = RunOrder(folder.repeatables)
    steps = [Step.of_migration("up", migration) for migration in pending]
    steps += repeatable_steps(folder, state, steps, RecreatedObjects(session, order), order)
    parts = list(batches(steps, dry_run=False, per_migration=per_migration))
    notes = [*plan.notes(folder, state.history)]
    if state.missing:
        labels = ", ".join(state.history.expected[key].label for key in state.missing)
        notes.append(f"missing, and not in the script, though up may re-create it: {labels}")
    return ScriptReport(
        server=state.server,
        schema=state.schema,
        batches=tuple(tuple(step.file.name for step in part) for part in parts),
        text="\n".join([*_header(state, steps), *_body(session.scope, state, parts), ""]),
        notes=tuple(notes),
    )


def _body(scope: Scope, state: DatabaseState, parts: Sequence[Sequence[Step]]) -> Iterator[str]:
    for part in parts:
        yield ""
        if part[0].file.no_transaction:
            yield from _outside(scope, state, part[0].file)
        else:
            yield from _transaction(scope, state, part)


def _header(state: DatabaseState, steps: Sequence[Step]) -> Iterator[str]:
    """Return what a reader has to know, as comments."""
    server = state.server
    yield _comment(
        f'What "lfmigrate up" would run on database {server.database}, schema {state.schema},'
    )
    yield _comment(f"as role {server.role}; read {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC.")
    yield "--"
    if not steps:
        yield _comment("Nothing is pending.")
        return
    for step in steps[:_MOST_FILES]:
        yield _comment(f"  {step.file.name}")
    if len(steps) > _MOST_FILES:
        yield _comment(f"  and {len(steps) - _MOST_FILES} more")
    yield "--"
    yield "-- Run it with: psql -X -v ON_ERROR_STOP=1 -f FILE"
    yield "-- What it creates belongs to the role that runs it. It fails if lfmigrate is running on"
    yield "-- the database, or has run since. Unlike up, it does not save rows that a file would"
    yield "-- lose, nor re-create views that would have to be dropped for a file."
    yield "--"
    last = max((step.version for step in steps if step.version), key=number, default=None)
    yield "-- It records nothing: what the files have created is known only afterwards. When it has"
    yield "-- run, this compares the schema with the files and records them (add the options with"
    yield "-- which this script was printed):"
    yield "--"
    yield _comment(f"  lfmigrate {'up' if last is None else f'adopt --to {last}'}")


def _transaction(scope: Scope, state: DatabaseState, steps: Sequence[Step]) -> Iterator[str]:
    yield "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"
    yield from _settings(scope, state, "SET LOCAL", local=True)
    yield from _lock(scope, state, "pg_try_advisory_xact_lock")
    for step in steps:
        yield from _file(step.file)
        if any(may_set(statement) for statement in step.file.statements):
            yield ""
            yield from _resets(step.file)
            yield from _settings(scope, state, "SET LOCAL", local=True)
    yield ""
    yield "SET CONSTRAINTS ALL IMMEDIATE;"
    yield "COMMIT;"


def _outside(scope: Scope, state: DatabaseState, file: SqlFile) -> Iterator[str]:
    yield _comment(f"{file.name} runs outside a transaction, statement by statement.")
    yield from _settings(scope, state, "SET", local=False)
    yield from _lock(scope, state, "pg_try_advisory_lock")
    yield from _file(file)
    yield ""
    yield from _resets(file)
    yield f"SELECT pg_advisory_unlock({ledger.LOCK_KEY});"


def _resets(file: SqlFile) -> Iterator[str]:
    """Return what ends the settings of a file, as in `up`."""
    yield "-- What the file may have set ends with it."
    # Otherwise a role stays that was set before the script.
    if any(
        (s.head[:1] == ("SET",) and {"ROLE", "AUTHORIZATION"} & set(s.head))
        or "set_config" in s.text.lower()
        for s in file.statements
    ):
        yield "RESET SESSION AUTHORIZATION;"
        yield "RESET ROLE;"
    yield "RESET ALL;"


def _settings(scope: Scope, state: DatabaseState, how: str, *, local: bool) -> Iterator[str]:
    """Return what a file's statements find, as in `up`."""
    path = ", ".join(filter(None, [quote_name(state.schema), state.server.search_path]))
    yield "SET client_encoding = 'UTF8';"
    yield f"SELECT set_config('search_path', {quote_literal(path)}, {str(local).lower()});"
    # A concurrent build has no limit in up: a lock that does not come leaves an invalid index.
    yield f"{how} lock_timeout = {scope.lock_timeout_ms if local else 0};"
    yield f"{how} statement_timeout = {scope.statement_timeout_ms};"
    yield f"{how} idle_in_transaction_session_timeout = 0;"


def _lock(scope: Scope, state: DatabaseState, function: str) -> Iterator[str]:
    """Return what fails if lfmigrate is running, or the history is another one by now."""
    table = quote_literal(ledger.table(scope))
    known = str(state.history.position) if state.history.exists else "NULL"
    body = f"""
DECLARE
    known CONSTANT bigint := {known};
    now_known bigint;
BEGIN
    IF NOT {function}({ledger.LOCK_KEY}) THEN
        RAISE EXCEPTION 'lfmigrate is running on this database';
    END IF;
    IF to_regclass({table}) IS NOT NULL THEN
        EXECUTE format('SELECT coalesce(max(id), 0) FROM %s', {table}) INTO now_known;
    END IF;
    IF now_known IS DISTINCT FROM known THEN
        RAISE EXCEPTION 'lfmigrate has run since this script was printed; print it again';
    END IF;
END
"""
    tag = "lfmigrate"
    while f"${tag}$" in body:  # in the name of a schema
        tag += "_"
    yield f"DO ${tag}${body}${tag}$;"


def _file(file: SqlFile) -> Iterator[str]:
    """Return the text of a file, whose last statement ends with a semicolon."""
    yield ""
    yield _comment(f"---- {file.name} ----")
    text = file.text
    if file.statements:
        last = file.statements[-1]
        end = last.offset + len(last.text)
        if not text[end:].lstrip().startswith(";"):
            text = f"{text[:end]};{text[end:]}"
    yield rules.as_in_file(text).strip("\r\n")


def _comment(text: str) -> str:
    """Return a comment of one line: a name may contain a line break."""
    return f"-- {' '.join(text.splitlines())}"
