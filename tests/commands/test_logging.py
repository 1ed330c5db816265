"""What is logged: the events of a command, and never a value of a row or a password."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import lfmigrate
from lfmigrate.history import ledger

# It is about the client.
pytestmark = pytest.mark.any_version

Write = Callable[[Mapping[str, str | bytes]], Path]

SECRET = "geheim-4711"  # noqa: S105 (not a real one)

FILES: dict[str, str | bytes] = {
    "001_a.up.sql": "CREATE TABLE a (name text PRIMARY KEY);\nCREATE INDEX ON a (name);",
    "001_a.down.sql": "DROP TABLE a;",
    "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT name FROM a;",
}


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return a function that returns what was logged since the last call, without times."""
    caplog.set_level(logging.DEBUG, "lfmigrate")

    def read() -> list[str]:
        lines = [f"{r.levelname} {r.getMessage()}" for r in caplog.records if r.name == "lfmigrate"]
        caplog.clear()
        return [re.sub(r"[\d.]+ ms", "N ms", line) for line in lines]

    return read


def test_a_run_and_its_rollback(
    database: str, folder: Write, logged: Callable[[], list[str]], tmp_path: Path
) -> None:
    """Each statement in detail; each file and each end of a transaction otherwise."""
    files = lfmigrate.read_folder(folder(FILES))
    with lfmigrate.connect(database) as conn:
        info = conn.info
        where = f"{info.host}:{info.port}/{info.dbname} as {info.user}"
        assert logged() == [f"DEBUG connected to {where}"]

        ran = [
            "DEBUG 001_a.up.sql:1 ran in N ms",
            "DEBUG 001_a.up.sql:2 ran in N ms",
            "DEBUG views/v.sql:1 ran in N ms",
            "INFO up 001_a ran in N ms",
            "INFO view views/v.sql ran in N ms",
        ]
        lfmigrate.up(conn, files, dry_run=True)
        assert logged() == [*ran, "INFO rolled back, as intended"]
        lfmigrate.up(conn, files)
        assert logged() == [*ran, "INFO committed: up 001_a, view views/v.sql"]

        lfmigrate.verify(conn, files)
        lfmigrate.backup(conn, files, out=tmp_path / "backup")
        assert logged() == []
        lfmigrate.rollback(conn, files, backup_dir=None)
        assert logged()[-1] == "INFO committed: rollback views/v.sql, rollback 001_a"


def test_no_record_has_a_row_or_a_password(
    database: str, folder: Write, logged: Callable[[], list[str]]
) -> None:
    """The server's words have the value; the place and the SQLSTATE are enough to find it."""
    insert = f"INSERT INTO a VALUES ('{SECRET}');"
    raised = f"DO $$BEGIN RAISE 'no {SECRET}'; END$$;"
    url = make_conninfo(database, password=SECRET)
    for statement, state in ((insert, "23505"), (raised, "P0001")):
        files = {**FILES, "002_b.up.sql": f"{insert}\n{statement}"}
        with lfmigrate.connect(url) as conn, pytest.raises(lfmigrate.StatementFailed) as caught:
            lfmigrate.up(conn, lfmigrate.read_folder(folder(files)))

        assert SECRET in f"{caught.value}{caught.value.diagnostic}"
        lines = logged()
        assert lines[-1] == (
            f"WARNING failed with statement_failed, SQLSTATE {state}, at 002_b.up.sql:2:1;"
            " outcome: nothing_changed"
        )
        assert SECRET not in "".join(lines)


def test_waiting_for_another_run(
    database: str, folder: Write, logged: Callable[[], list[str]]
) -> None:
    """With its process, and not with its query."""
    files = lfmigrate.read_folder(folder(FILES))
    with lfmigrate.connect(database) as conn, closing(psycopg.connect(database)) as holder:
        process = holder.info.backend_pid
        holder.execute(f"SELECT pg_advisory_xact_lock({ledger.LOCK_KEY}), '{SECRET}'".encode())

        lfmigrate.up(conn, files, on_wait=lambda _: holder.close())

    lines = logged()
    waiting = f"WARNING waiting for another lfmigrate run, held by process {process}"
    assert lines.count(waiting) == 1
    assert [line for line in lines if line.startswith("WARNING")] == [waiting]
    assert lines[-1] == "INFO committed: up 001_a, view views/v.sql"


def test_a_lock_that_does_not_come_in_time(
    database: str, folder: Write, logged: Callable[[], list[str]]
) -> None:
    """The blocking session, and then the retry."""
    path = folder(FILES)
    scope = lfmigrate.Scope(lock_timeout_ms=200)
    with lfmigrate.connect(database) as conn, closing(psycopg.connect(database)) as holder:
        lfmigrate.up(conn, lfmigrate.read_folder(path))
        (path / "002_b.up.sql").write_text("ALTER TABLE a ADD COLUMN n int;", encoding="utf-8")
        holder.execute(f"SELECT '{SECRET}' FROM a".encode())
        logged()

        def let_go(line: str) -> None:
            if "retries left" in line:
                holder.close()

        lfmigrate.up(conn, lfmigrate.read_folder(path), scope=scope, on_wait=let_go)

    lines = logged()
    assert "WARNING retrying after SQLSTATE 55P03; retries left: 3" in lines
    assert SECRET not in "".join(lines)
    assert lines[-1] == "INFO committed: up 002_b, view views/v.sql"


def test_nothing_is_printed_unless_logging_is_configured() -> None:
    """Python would print warnings to standard error by itself."""
    script = (
        "import lfmigrate\n"
        "try:\n"
        f"    lfmigrate.connect('postgresql://me:{SECRET}@127.0.0.1:1/x', wait_s=0.3)\n"
        "except lfmigrate.ConnectionFailed:\n"
        "    pass\n"
    )
    configured = "import logging; logging.basicConfig(format='%(message)s')\n"

    def printed(text: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, check=True
        )
        return done.stdout + done.stderr

    assert printed(script) == ""
    assert printed(configured + script) == ("cannot connect to 127.0.0.1:1; retrying for 0.3 s\n")
