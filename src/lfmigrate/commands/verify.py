"""`verify`: compare the live schema with the migrations. Only reads."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from lfmigrate import catalog
from lfmigrate.catalog.sessions import Server
from lfmigrate.engine.replay import NOT_MADE_ANEW, replay
from lfmigrate.engine.run import Blockers, Job, take_turns
from lfmigrate.engine.state import DatabaseState, end_reading
from lfmigrate.errors import NOTHING_CHANGED, StatementFailed
from lfmigrate.history import ledger, plan
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight, rolled_back_on_error
from lfmigrate.schema.compare import Verdict, compare_all
from lfmigrate.schema.relation import Snapshot
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder
from lfmigrate.source.sqlfile import SqlFile
from lfmigrate.syntax.names import quote_name


@dataclass(frozen=True, slots=True)
class Edit:
    """A migration whose file is no longer what ran, with a unified diff from one to the other."""

    version: str
    name: str
    diff: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """How the live schema stands.

    Attributes:
        server: Where it was read.
        schema: The schema that unqualified names go to.
        relations: A verdict per expected relation: ``ok``, ``missing`` or ``drifted``.
        source: Whether the history said what to expect, or a replay of the files.
        edited: Migrations that were edited after they were applied.
        notes: What is worth a warning.
    """

    server: Server
    schema: str
    relations: tuple[Verdict, ...]
    source: Literal["history", "replay"]
    edited: tuple[Edit, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Return whether everything is as expected."""
        return all(verdict.status == "ok" for verdict in self.relations)


def verify(
    conn: Connection,
    folder: Folder,
    *,
    scope: Scope | None = None,
    replay_files: bool = False,
    on_wait: Callable[[str], None] | None = None,
) -> VerifyReport:
    """Compare the live schema with what the applied migrations and the views make.

    Changes nothing. With a history it only reads, in a read-only transaction. Without one, with
    ``replay_files``, or if the history was written by another major version of the server, it
    runs the files in a scratch schema and rolls that back, which takes the permission to create
    schemas in the database.

    Args:
        conn: An open connection without an open transaction.
        folder: The files.
        scope: The schema; by default the connection's own.
        replay_files: Replay the files even if the history knows what to expect.
        on_wait: Called with a line when somebody else's lock has to be waited for.

    Returns:
        How it stands; the comparison is complete whatever it found.

    Raises:
        DatabaseError: The database said no, or a replay is needed and not allowed.
    """
    blockers = Blockers.of(conn, on_wait)
    job = Job(conn, folder, scope or Scope(), dry_run=False, progress=None, blockers=blockers)
    return take_turns(lambda: _verify(job, replay_files=replay_files), on_wait)


def _verify(job: Job, *, replay_files: bool) -> VerifyReport:
    conn, folder, scope = job.conn, job.folder, job.scope
    before = job.look()
    known = before.history
    notes = list(plan.notes(folder, known))
    states = plan.migration_states(folder, known)
    pending = [s for s in states if s.status == "pending"]
    if known.events and pending:
        notes.append(f"{len(pending)} pending, and not expected yet: {_labels(pending)}")
    notes += [
        f"views/{s.view.name}.sql was edited after it ran; run up to replace the view"
        for s in plan.view_states(folder, known)
        if s.status == "edited"
    ]
    notes += [
        f"views/{s.view.name}.sql has not run yet, and its view is not expected"
        for s in plan.view_states(folder, known)
        if s.status == "pending" and known.events
    ]
    foreign = known.majors - {before.server.major}
    # Migrations that only change rows leave nothing to expect, nor do those that were undone, and
    # that is known all the same.
    if known.events and not foreign and not replay_files:
        source: Literal["history", "replay"] = "history"
        expected, live = known.expected, before.live
    else:
        if foreign and not replay_files:
            notes.append(
                f"the history was written by PostgreSQL {_numbers(foreign)}, whose texts differ"
                f" from those of {before.server.major}; the files were replayed instead"
            )
        source = "replay"
        files = [s.migration.up for s in states if s.migration and (s.event or not known.events)]
        if not known.events or not pending:
            files += [view.file for view in folder.views]
        elif folder.views:
            notes.append("the view files were not replayed, because they may need what is pending")
        remembered = Snapshot() if foreign else known.expected
        expected, live, skipped = _replayed(conn, before, files, scope, remembered)
        if skipped and not remembered:
            notes.append(f"not compared: {', '.join(skipped)}; {NOT_MADE_ANEW}")
    edited = tuple(_edit(conn, scope, state) for state in states if state.status == "edited")
    end_reading(conn)
    return VerifyReport(
        server=before.server,
        schema=before.schema,
        relations=compare_all(expected, live, agreed="ok"),
        source=source,
        edited=edited,
        notes=tuple(notes),
    )


def _replayed(
    conn: Connection,
    before: DatabaseState,
    files: Sequence[SqlFile],
    scope: Scope,
    remembered: Snapshot,
) -> tuple[Snapshot, Snapshot, Sequence[str]]:
    """Return what files make, what is live of it, and which statements say nothing of it.

    A replay sees only what can be made anew; for the rest, ``remembered`` has to do.
    """
    try:
        again = replay(conn, files, scope, schema=before.schema, inside=False)
    except StatementFailed as error:
        error.outcome = NOTHING_CHANGED
        raise _explained(error, before) from None
    made = Snapshot(item.relation for item in again.made)
    expected = Snapshot([*made.values(), *(r for k, r in remembered.items() if k not in made)])
    flight = Flight(conn)
    flight.begin(scope, read_only=True)
    flight.look_at(before.schema)
    found = flight.ask(catalog.snapshot(expected, ledger=ledger.table(scope)))
    flight.do("COMMIT")
    with rolled_back_on_error(conn):
        flight.go()
    return expected, Snapshot(item.relation for item in found.value), again.skipped


def _explained(error: StatementFailed, before: DatabaseState) -> StatementFailed:
    """Say what a replay takes, where the server did not let it begin."""
    ways_out = {
        "42501": f"Let the database's owner run: GRANT CREATE ON DATABASE"
        f" {quote_name(before.server.database)} TO {quote_name(before.server.role)};"
        ' or run "lfmigrate up" first, which records what to expect.',
        "25006": 'Run "lfmigrate up" on the primary server first, which records what to expect;'
        " verify then only reads.",
    }
    if error.file is not None or error.sqlstate not in ways_out:
        return error
    if before.history.applied:
        return StatementFailed(
            f"{error.message}; a replay takes a scratch schema",
            outcome=NOTHING_CHANGED,
            hint="Leave out --replay: the history knows what to expect.",
            sqlstate=error.sqlstate,
        )
    return StatementFailed(
        f"{error.message}; without a history, verify replays the files in a scratch schema",
        outcome=NOTHING_CHANGED,
        hint=ways_out[error.sqlstate],
        sqlstate=error.sqlstate,
    )


def _edit(conn: Connection, scope: Scope, state: plan.MigrationState) -> Edit:
    if state.event is None or state.migration is None:
        raise LookupError(f"{state.version} was not edited")
    flight = Flight(conn)
    recorded = flight.ask(ledger.recorded_text(scope, state.event))
    flight.go()
    diff = difflib.unified_diff(
        recorded.value.splitlines(),
        state.migration.up.text.splitlines(),
        f"{state.event.file} as applied",
        f"{state.migration.up.name} in the folder",
        lineterm="",
    )
    return Edit(state.version, state.name, tuple(diff))


def _labels(states: Sequence[plan.MigrationState]) -> str:
    return ", ".join(f"{s.version}_{s.name}" for s in states)


def _numbers(majors: frozenset[int]) -> str:
    return " and ".join(str(major) for major in sorted(majors))
