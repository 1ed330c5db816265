"""Behind other people's locks: let readers through, try again, and name who is in the way."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

import lfmigrate
from bench.proxy import target_of, through
from lfmigrate.errors import NOTHING_CHANGED, StatementFailed
from lfmigrate.source.folder import Folder, read_folder
from tests.conftest import Cli
from tests.helpers.databases import execute, has_history, value
from tests.helpers.faults import PATIENCE_S, Cutter, Gates, wait_until
from tests.helpers.threads import Threads

# Waiting and trying again is done on this side of the connection.
pytestmark = pytest.mark.any_version

Write = Callable[[Mapping[str, str | bytes]], Path]

# Long enough to ask who blocks, on a busy machine too; `--lock-timeout` is the same.
PATIENCE = lfmigrate.Scope(lock_timeout_ms=1000)


def named(said: str, application: str) -> bool:
    """Say whether the error, and not only a line of progress, names who holds the lock."""
    return re.search(rf'^  held by .*application "{application}"', said, re.MULTILINE) is not None


@pytest.fixture
def busy(database: str) -> str:
    """Return the URL of a database with a table that another session uses."""
    execute(database, "CREATE TABLE busy (n int)")
    return database


@pytest.fixture
def altering(folder: Write) -> Folder:
    """Return a folder whose migration needs that table for itself."""
    return read_folder(folder({"001_a.up.sql": "ALTER TABLE busy ADD m int"}))


@pytest.fixture
def reader(busy: str) -> Iterator[psycopg.Connection[Any]]:
    """Return a session that has read the table and not ended its transaction."""
    with psycopg.connect(busy, application_name="report") as conn:
        conn.execute("SELECT * FROM busy")
        yield conn


def test_a_lock_that_comes_free_is_had_by_one_of_the_tries(
    busy: str, altering: Folder, reader: psycopg.Connection[Any]
) -> None:
    """The whole transaction is tried again, and each new try is reported."""
    reported: list[str] = []

    def on_wait(line: str) -> None:
        reported.append(line)
        if "retries left" in line:
            reader.rollback()

    with closing(lfmigrate.connect(busy)) as conn:
        report = lfmigrate.up(conn, altering, scope=PATIENCE, on_wait=on_wait)

    assert [m.status for m in report.migrations] == ["applied"]
    assert [line for line in reported if "retries left" in line] == [
        "could not acquire a lock within 1 s; 3 retries left"
    ]
    assert any("waiting for a lock: process" in line and '"report"' in line for line in reported)


def test_a_deadlock_is_tried_again(database: str, folder: Write) -> None:
    """The server rolled all of it back, and the other session can proceed."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE t (n int); CREATE TABLE u (n int);",
            "002_b.up.sql": "ALTER TABLE t ADD m int;"
            + Gates.statement(1)
            + "ALTER TABLE u ADD m int;",
        }
    )
    reported: list[str] = []
    with (
        Threads(2) as pool,
        psycopg.connect(database) as other,
        closing(lfmigrate.connect(database)) as conn,
    ):
        lfmigrate.up(conn, read_folder(path), to="001")
        # The other session is never the one that the server chooses.
        other.execute("SET deadlock_timeout = '1h'")
        other.execute("LOCK TABLE u")

        def take_the_other() -> None:
            other.execute("SELECT * FROM t")
            other.rollback()

        with Gates(database).closed(1) as stands:
            running = pool.submit(lfmigrate.up, conn, read_folder(path), on_wait=reported.append)
            stands()
            waiting = pool.submit(take_the_other)
            wait_until(
                lambda: value(database, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 1,
                "the other session waits",
            )
        report = running.result()
        waiting.result()

    assert [m.status for m in report.migrations] == ["already_applied", "applied"]
    assert "deadlock detected; 3 retries left" in reported


# Sequences are not rolled back: they count the tries.
COLLIDES = """DO $$BEGIN
    {first}
    IF nextval('tries') < {succeeds_at} THEN
        RAISE EXCEPTION 'in the way' USING ERRCODE = '{sqlstate}';
    END IF;
END$$;"""


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
@pytest.mark.parametrize(("succeeds_at", "tries"), [(3, 3), (9, 4)])
def test_a_collision_is_tried_again(
    sqlstate: str, succeeds_at: int, tries: int, database: str, folder: Write
) -> None:
    """A serialization failure or a deadlock: as often as a lock timeout."""
    execute(database, "CREATE SEQUENCE tries")
    text = COLLIDES.format(first="", succeeds_at=succeeds_at, sqlstate=sqlstate)
    failure = None
    with closing(lfmigrate.connect(database)) as conn:
        try:
            lfmigrate.up(conn, read_folder(folder({"001_a.up.sql": text})))
        except StatementFailed as error:
            failure = error

    assert value(database, "SELECT last_value FROM tries") == tries
    assert (failure is None) == (succeeds_at == tries)
    assert failure is None or (failure.sqlstate, failure.outcome) == (sqlstate, NOTHING_CHANGED)
    assert failure is None or failure.hint is not None


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
def test_a_collision_is_not_tried_again_if_something_remains(
    sqlstate: str, database: str, folder: Write
) -> None:
    """What the statement has committed would be done twice."""
    execute(database, "CREATE SEQUENCE tries")
    text = "-- lfmigrate: no-transaction\n" + COLLIDES.format(
        first="COMMIT;", succeeds_at=2, sqlstate=sqlstate
    )
    with closing(lfmigrate.connect(database)) as conn, pytest.raises(StatementFailed):
        lfmigrate.up(conn, read_folder(folder({"001_a.up.sql": text})))

    assert value(database, "SELECT last_value FROM tries") == 1


@pytest.mark.usefixtures("reader")
def test_readers_behind_the_run_are_let_through(busy: str, altering: Folder) -> None:
    """A session that only reads gets an answer while the run is still waiting for its lock."""
    answered = threading.Event()
    tries: list[str] = []

    def read() -> int:
        with psycopg.connect(busy) as conn:
            wait_until(
                lambda: value(busy, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 1,
                "the run is waiting",
            )
            row = conn.execute("SELECT count(*) FROM busy").fetchone()
            answered.set()
            assert row is not None
            return int(row[0])

    def on_wait(line: str) -> None:
        tries.append(line)
        if "retries left" in line:
            # Between two tries nothing of the run may be in the queue.
            assert answered.wait(PATIENCE_S)

    def migrate() -> bool:
        with closing(lfmigrate.connect(busy)) as conn, pytest.raises(StatementFailed):
            lfmigrate.up(conn, altering, scope=PATIENCE, on_wait=on_wait)
        return answered.is_set() and any("retries left" in line for line in tries)

    with Threads(2) as pool:
        running, reading = pool.submit(migrate), pool.submit(read)

        assert reading.result() == 0
        assert running.result()


@pytest.mark.usefixtures("reader")
def test_giving_up_names_who_blocks(busy: str, altering: Folder, cli: Cli) -> None:
    """Process, role, application, since when, and what it does; exit code 4, nothing changed."""
    done = cli("up", "--sql-dir", altering.path, "--lock-timeout", "1s", "--database-url", busy)

    pid = value(
        busy,
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'report'"
        " AND datname = current_database()",
    )
    assert done.returncode == 4
    assert f"held by process {pid}, role" in done.stderr
    assert 'application "report", transaction open since 20' in done.stderr
    assert ": SELECT * FROM busy" in done.stderr
    assert "Tried 4 times." in done.stderr
    assert NOTHING_CHANGED.text in done.stderr
    assert done.stderr.count("could not acquire a lock") == 3
    assert not has_history(busy)


@pytest.mark.parametrize("command", ["up", "backup"])
def test_a_table_that_cannot_even_be_looked_at(applied: str, cli: Cli, command: str) -> None:
    """Describing a table waits for its lock, too; the session that holds it is named."""
    with psycopg.connect(applied, application_name="rebuild") as holder:
        holder.execute("LOCK TABLE cost_categories IN ACCESS EXCLUSIVE MODE")
        done = cli(command, "--lock-timeout", "1s", "--database-url", applied)

    assert done.returncode == 4
    assert named(done.stderr, "rebuild")
    assert NOTHING_CHANGED.text in done.stderr


def test_a_restore_names_who_blocks(applied: str, cli: Cli, tmp_path: Path) -> None:
    """As the others do."""
    assert cli("backup", "--out", tmp_path / "out", "--database-url", applied).returncode == 0
    with psycopg.connect(applied, application_name="report") as holder:
        holder.execute("SELECT * FROM cost_categories")
        done = cli("restore", tmp_path / "out", "--lock-timeout", "1s", "--database-url", applied)

    assert done.returncode == 4
    assert named(done.stderr, "report")
    assert "Tried 4 times." in done.stderr


# Triggers do not fire in a restore.
SLOW_TO_LOAD = """
    CREATE FUNCTION busy() RETURNS boolean LANGUAGE plpgsql
        AS $$ BEGIN LOCK TABLE busy; RETURN true; END $$;
    ALTER TABLE a ADD CHECK (busy());
"""


@pytest.mark.parametrize("command", ["rollback", "restore"])
def test_trying_again_leaves_one_backup(
    busy: str, folder: Write, tmp_path: Path, command: str
) -> None:
    """What a try has saved before it met a lock is removed before the next one."""
    down = "LOCK TABLE busy; DROP TABLE a;"
    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n int)", "001_a.down.sql": down}))
    parent = tmp_path / "saved"
    reported: list[str] = []
    with closing(psycopg.connect(busy)) as holder, closing(lfmigrate.connect(busy)) as conn:

        def while_saving(_: object) -> None:
            if not reported:
                holder.execute("LOCK TABLE busy")

        def on_wait(line: str) -> None:
            if "retries left" in line:
                reported.append(line)
                holder.rollback()

        lfmigrate.up(conn, files)
        execute(busy, "INSERT INTO a SELECT generate_series(1, 2000)")
        options: dict[str, Any] = {
            "scope": PATIENCE,
            "backup_dir": parent,
            "watch": while_saving,
            "on_wait": on_wait,
        }
        if command == "rollback":
            path = lfmigrate.rollback(conn, files, **options).backup
        else:
            execute(busy, SLOW_TO_LOAD)
            saved = lfmigrate.backup(conn, files, out=tmp_path / "out").path
            path = lfmigrate.restore(conn, files, saved, replace=True, **options).saved

    assert len(reported) == 1
    assert list(parent.iterdir()) == [path]


def test_a_question_that_is_not_answered_is_given_up(
    busy: str, reader: psycopg.Connection[Any], altering: Folder
) -> None:
    """It is only about who blocks the run; behind a pooler, there may be no second connection."""

    def on_wait(line: str) -> None:
        if "retries left" in line:
            reader.rollback()

    with (
        Cutter(target_of(busy), b"pg_blocking_pids", hold_client=True, hold_server=True) as proxy,
        closing(lfmigrate.connect(through(busy, proxy.port))) as conn,
    ):
        report = lfmigrate.up(conn, altering, scope=PATIENCE, on_wait=on_wait)

    assert proxy.cuts > 0
    assert [m.status for m in report.migrations] == ["applied"]
