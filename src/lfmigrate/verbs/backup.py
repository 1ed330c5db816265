"""`backup`: save the rows of the migrations' tables in a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lfmigrate import archive, ours, transfer
from lfmigrate.archive import DEFAULT_PARENT, SavedTable
from lfmigrate.catalog import Server
from lfmigrate.database import Connection, Flight, Scope, rolled_back_on_error
from lfmigrate.errors import NOTHING_CHANGED, Refused
from lfmigrate.run import Blockers, Job, take_turns
from lfmigrate.sqlfile import Folder
from lfmigrate.transfer import Watch


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
    watch: Watch | None = None,
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


def _backup(job: Job, out: Path | None, watch: Watch | None) -> BackupReport:
    conn, folder, scope = job.conn, job.folder, job.scope
    before = job.look()
    mine = ours.everything(conn, folder, scope, before)
    relations = [mine.live[key] for key in mine.owned.whole if key in mine.live]
    tables = [(r.schema, r.name) for r in relations if r.kind == "table"]
    if not tables:
        raise Refused(
            "there is no table of the migrations to save",
            detail=[NOTHING_CHANGED],
            hint='Run "lfmigrate status" to see what is applied.',
        )
    target = out or archive.default_folder(DEFAULT_PARENT, before.server.database)
    flight = Flight(conn)
    flight.begin(scope, read_only=True)
    with rolled_back_on_error(conn, note=NOTHING_CHANGED):
        flight.go()
        saved = transfer.save(
            conn,
            tables,
            [(r.schema, r.name) for r in relations if r.kind == "sequence"],
            target,
            transfer.about(before, "backup"),
            watch=watch,
        )
        ending = Flight(conn)
        ending.do("COMMIT")
        ending.go()
    kinds = {"materialized view", "foreign table"}
    notes = [f"not saved: {r.kind} {r.schema}.{r.name}" for r in relations if r.kind in kinds]
    return BackupReport(before.server, before.schema, saved.path, saved.tables, tuple(notes))
