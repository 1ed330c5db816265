"""A caller's connection is given back as it was, whatever happens before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import TransactionStatus

import lfmigrate
from lfmigrate.errors import LfmigrateError, UsageError
from tests.helpers.commands import up
from tests.helpers.databases import execute

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
