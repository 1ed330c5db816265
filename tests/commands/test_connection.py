"""A caller's connection is given back as it was, whatever happens before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import TransactionStatus

import lfmigrate
from lfmigrate.errors import ConnectionLost, LfmigrateError, UsageError
from tests.conftest import Cli
from tests.helpers.commands import up
from tests.helpers.databases import execute, fetch, value

# Whether a transaction is open, libpq knows on this side of the connection; and the commands end it
# with the same words on every version.
pytestmark = pytest.mark.any_version

Write = Callable[[Mapping[str, str | bytes]], Path]
Conn = psycopg.Connection

FILES: dict[str, str | bytes] = {
    "001_a.up.sql": "CREATE TABLE a (n int)",
    "seed/load.sql": "CREATE TEMP TABLE seed_a (n int) ON COMMIT DROP;"
    " INSERT INTO a SELECT n FROM seed_a;",
    "seed/a.csv": "n\n1\n",
    "seed/checks/01_a.sql": "-- a is positive\nSELECT n FROM a WHERE n <= 0",
}

Command = Callable[[Conn, lfmigrate.Folder, lfmigrate.Scope, Path], object]
COMMANDS: dict[str, Command] = {
    "up": lambda conn, folder, scope, _: lfmigrate.up(conn, folder, scope=scope),
    "up to": lambda conn, folder, scope, _: lfmigrate.up(conn, folder, scope=scope, to="9"),
    "verify": lambda conn, folder, scope, _: lfmigrate.verify(conn, folder, scope=scope),
    "status": lambda conn, folder, scope, _: lfmigrate.status(conn, folder, scope=scope),
    "rollback": lambda conn, folder, scope, out: lfmigrate.rollback(
        conn, folder, scope=scope, backup_dir=out
    ),
    "rollback to": lambda conn, folder, scope, out: lfmigrate.rollback(
        conn, folder, scope=scope, backup_dir=out, to="9"
    ),
    "seed": lambda conn, folder, scope, _: lfmigrate.seed(conn, folder, scope=scope),
    "seed check": lambda conn, folder, scope, _: lfmigrate.check_seed(conn, folder, scope=scope),
    "backup": lambda conn, folder, scope, out: lfmigrate.backup(
        conn, folder, scope=scope, out=out / "new"
    ),
    "restore": lambda conn, folder, scope, out: lfmigrate.restore(
        conn, folder, out / "saved", scope=scope
    ),
}

TROUBLES = (
    "nothing is applied",
    "the session is read-only",
    "a table is missing",
    "a table has changed",
    "the folder fails",
    "there is no such schema",
)
CHANGES = {
    "a table is missing": "DROP TABLE IF EXISTS a",
    "a table has changed": "ALTER TABLE IF EXISTS a ADD COLUMN more int",
}


@pytest.fixture
def saved(create_database: Callable[..., str], folder: Write, tmp_path: Path) -> Path:
    """Return a folder with a backup of another database in it."""
    url = create_database()
    files = folder(FILES)
    up(url, files)
    with lfmigrate.connect(url) as conn:
        lfmigrate.backup(conn, lfmigrate.read_folder(files), out=tmp_path / "saved")
    return tmp_path


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_connection_is_idle_after_any_error(
    database: str, folder: Write, saved: Path, trouble: str
) -> None:
    """Its caller can go on with it: every command, on a database with a history and without one."""
    broken = {"001_a.up.sql": "SELECT 1/0"} if trouble == "the folder fails" else {}
    files = lfmigrate.read_folder(folder(FILES | broken))
    scope = lfmigrate.Scope(schema="nowhere" if "schema" in trouble else None)
    failed = set()
    for history in (False, True):
        if history:
            up(database, folder(FILES))
        execute(database, CHANGES.get(trouble, "SELECT 1"))
        for command, call in COMMANDS.items():
            with lfmigrate.connect(database) as conn:
                if "read-only" in trouble:
                    conn.execute("SET default_transaction_read_only = on")
                try:
                    call(conn, files, scope, saved)
                except LfmigrateError:
                    failed.add(command)

                assert conn.info.transaction_status == TransactionStatus.IDLE, (command, history)
                assert conn.execute("SELECT 1").fetchone() == (1,)
    assert {"up to", "rollback to", "restore"} <= failed


@pytest.mark.parametrize("command", [*COMMANDS, "check"])
@pytest.mark.parametrize("last", ["INSERT INTO mine VALUES (1)", "SELECT 1/0"])
def test_a_callers_transaction_is_refused_and_left_open(
    database: str, folder: Write, saved: Path, command: str, last: str
) -> None:
    """It is neither committed nor rolled back behind the caller's back."""
    files = lfmigrate.read_folder(folder(FILES))
    calls = {**COMMANDS, "check": lambda conn, folder, *_: lfmigrate.check(conn, folder)}
    execute(database, "CREATE TABLE mine (n int)")
    with lfmigrate.connect(database) as conn:
        conn.execute("BEGIN")
        with suppress(psycopg.errors.DivisionByZero):
            conn.execute(last.encode())
        before = conn.info.transaction_status

        with pytest.raises(UsageError, match="open transaction"):
            calls[command](conn, files, lfmigrate.Scope(), saved)

        assert conn.info.transaction_status == before != TransactionStatus.IDLE
        conn.execute("COMMIT")
        expected = 1 if last.startswith("INSERT") else 0
        assert conn.execute("SELECT count(*) FROM mine").fetchone() == (expected,)


# A database whose sessions may do nothing for longer than a second.
LIMITS = {
    "statement_timeout": 14,
    "idle_in_transaction_session_timeout": 14,
    "idle_session_timeout": 14,
    "transaction_timeout": 17,
}
SLOW: dict[str, str | bytes] = {
    "001_a.up.sql": "CREATE TABLE a (n int); CREATE TABLE b (n int); SELECT pg_sleep(1.5);",
    "001_a.down.sql": "SELECT pg_sleep(1.5); DROP TABLE a, b;",
    "002_b.up.sql": """
        CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END$$;
        CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON a
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait();
        INSERT INTO a VALUES (1);""",
    "002_b.down.sql": "DROP FUNCTION wait CASCADE;",
    "003_c.up.sql": """-- lfmigrate: no-transaction
        DO $$BEGIN PERFORM pg_sleep(1.5); END$$;
        CREATE INDEX CONCURRENTLY b_n ON b (n);""",
    "003_c.down.sql": "DROP INDEX b_n;",
    "004_d.up.sql": "CREATE TABLE d (n int);",
    "004_d.down.sql": "DROP TABLE d;",
}


@pytest.mark.parametrize("options", [[], ["--per-migration"]], ids=["at once", "each"])
def test_limits_of_the_database_do_not_end_a_run(
    options: list[str], database: str, folder: Write, cli: Cli, tmp_path: Path
) -> None:
    """Those of lfmigrate apply, in transactions, outside of them and during the commit."""
    major = value(database, "SELECT current_setting('server_version_num')::int / 10000")
    for name, since in LIMITS.items():
        if major >= since:
            execute(
                database,
                f"""DO $$BEGIN EXECUTE
                    format('ALTER DATABASE %I SET {name} = 1000', current_database()); END$$""",
            )
    where = ("--sql-dir", folder(SLOW), "--database-url", database)

    done = [
        cli("up", *options, *where),
        cli("verify", "--replay", *where),
        cli("rollback", "--to", "0", "--yes", "--backup-dir", tmp_path, *where),
    ]

    assert [each.returncode for each in done] == [0, 0, 0], [each.stderr for each in done]
    assert "connection" not in done[0].stderr
    assert fetch(database, "SELECT 1 FROM pg_class WHERE relname IN ('a', 'b', 'd')") == []


def _end_it_while_it_waits(
    database: str, path: Path, first: str
) -> tuple[lfmigrate.UpReport, list[str]]:
    """Run `up` with a session that the server ends before a second attempt."""
    execute(database, "CREATE TABLE busy (n int)")
    lines: list[str] = []
    with (
        closing(psycopg.connect(database)) as holder,
        closing(lfmigrate.connect(database)) as conn,
    ):
        conn.execute(first.encode())
        holder.execute("SELECT * FROM busy")
        process = conn.info.backend_pid

        def end(line: str) -> None:
            lines.append(line)
            if "retries left" in line:
                holder.rollback()
                # The server's answer comes after the session has ended.
                execute(database, f"SELECT pg_terminate_backend({process}, 60000)")

        scope = lfmigrate.Scope(lock_timeout_ms=300)
        report = lfmigrate.up(conn, lfmigrate.read_folder(path), scope=scope, on_wait=end)
        return report, lines


@pytest.mark.any_version
def test_a_session_that_ends_while_it_waits_is_replaced(database: str, folder: Write) -> None:
    """As idle_session_timeout ends one."""
    path = folder({"001_a.up.sql": "ALTER TABLE busy ADD m int"})

    report, lines = _end_it_while_it_waits(database, path, "SELECT 1")

    assert [m.status for m in report.migrations] == ["applied"]
    assert any("retries left" in line for line in lines)


@pytest.mark.any_version
@pytest.mark.parametrize("first", ["SET work_mem = '8MB'", "PREPARE p AS SELECT 1"])
def test_a_session_that_its_caller_has_changed_is_not_replaced(
    first: str, database: str, folder: Write
) -> None:
    """Another one would run the files under other settings."""
    path = folder({"001_a.up.sql": "ALTER TABLE busy ADD m int"})

    with pytest.raises(ConnectionLost):
        _end_it_while_it_waits(database, path, first)
