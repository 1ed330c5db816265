"""`backup`: save the rows of the migrations' tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lfmigrate.catalog.sessions import Server
from lfmigrate.engine import owned, state
from lfmigrate.engine.run import Blockers, Job, take_turns
from lfmigrate.errors import Refused
from lfmigrate.postgres.connection import Connection
from lfmigrate.postgres.pipeline import Flight, rolled_back_on_error
from lfmigrate.rows import archive, dump
from lfmigrate.rows.archive import DEFAULT_PARENT, SavedTable
from lfmigrate.rows.dump import OnCopy
from lfmigrate.settings import Scope
from lfmigrate.source.folder import Folder


@dataclass(frozen=True, slots=True)
class BackupReport:
    """A backup that was made: its folder, and the tables in it."""

    server: Server
    schema: str
    path: Path
    tables: tuple[SavedTable, ...]
    notes: tuple[str, ...]


def backup(
    conn: Connection,
    folder: Folder,
    *,
    scope: Scope | None = None,
    out: Path | None = None,
    watch: OnCopy | None = None,
    on_wait: Callable[[str], None] | None = None,
) -> BackupReport:
    """Save every row of the tables that the applied migrations made, as of one moment.

    Only reads, in a read-only transaction. Without a history the files are replayed in a scratch
    schema first, to know which tables are meant.

    Args:
        conn: An open connection without an open transaction.
        folder: The files.
        scope: The schema; by default the connection's own.
        out: The folder to make; by default one in ``lfmigrate-backups`` that is named after the
            database and the time.
        watch: Called as rows come.
        on_wait: Called with a line when somebody else's lock has to be waited for.

    Returns:
        Where it is, and what is in it.

    Raises:
        Refused: There is no table to save, or the folder cannot be written.
        DatabaseError: The database said no.
    """
    blockers = Blockers.of(conn, on_wait)
    job = Job(conn, folder, scope or Scope(), dry_run=False, progress=None, blockers=blockers)
    return take_turns(lambda: _backup(job, out, watch), on_wait)


def _backup(job: Job, out: Path | None, watch: OnCopy | None) -> BackupReport:
    conn, folder, scope = job.conn, job.folder, job.scope
    before = job.look()
    mine = owned.everything(conn, folder, scope, before)
    relations = [mine.live[key] for key in mine.owned.whole if key in mine.live]
    tables = [(r.schema, r.name) for r in relations if r.kind == "table"]
    if not tables:
        raise Refused(
            "there is no table of the migrations to save",
            hint='Run "lfmigrate status" to see what is applied.',
        )
    target = out or archive.default_folder(DEFAULT_PARENT, before.server.database)
    flight = Flight(conn)
    flight.begin(scope, read_only=True)
    with rolled_back_on_error(conn):
        flight.go()
        saved = dump.dump(
            conn,
            tables,
            [(r.schema, r.name) for r in relations if r.kind == "sequence"],
            target,
            state.about(before, "backup"),
            watch=watch,
        )
        ending = Flight(conn)
        ending.do("COMMIT")
        ending.go()
    kinds = {"materialized view", "foreign table"}
    notes = [f"not saved: {r.kind} {r.schema}.{r.name}" for r in relations if r.kind in kinds]
    return BackupReport(before.server, before.schema, saved.path, saved.tables, tuple(notes))
