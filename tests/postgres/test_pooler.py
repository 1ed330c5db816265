"""Behind a transaction pooler: the session belongs to another client a moment later."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import lfmigrate
from lfmigrate.engine import blocking
from tests.conftest import Cli
from tests.helpers.databases import files_in_history
from tests.helpers.leavings import HAS, leaving
from tests.helpers.threads import Threads

pytestmark = pytest.mark.pooler


@pytest.fixture
def pooled(pooler_url: str, database: str) -> str:
    """Return the URL of an empty database, through the pooler."""
    return make_conninfo(pooler_url, dbname=str(conninfo_to_dict(database)["dbname"]))


def _up(url: str) -> set[str]:
    with lfmigrate.connect(url, wait_s=15) as conn:
        report = lfmigrate.up(conn, lfmigrate.read_folder(lfmigrate.shipped_folder()))
    return {m.status for m in report.migrations}


def test_up_verify_and_status_work_through_a_pooler(
    pooled: str, cli: Callable[..., object]
) -> None:
    """No command needs the session."""
    codes = [
        getattr(cli(command, "--database-url", pooled), "returncode", None)
        for command in ("up", "verify", "status")
    ]

    assert codes == [0, 0, 0]


def test_seeds_at_once_work_through_a_pooler(pooled: str, database: str, tmp_path: Path) -> None:
    """Staging tables are the transaction's; no session keeps one, or any setting."""
    files = lfmigrate.read_folder(lfmigrate.shipped_folder())
    _up(pooled)

    def seed(_: int) -> int:
        with lfmigrate.connect(pooled) as conn:
            return sum(table.inserted for table in lfmigrate.seed(conn, files).tables)

    with Threads(4) as pool:
        inserted = sorted(pool.map(seed, range(4)))
    with lfmigrate.connect(pooled) as conn, psycopg.connect(database) as direct:
        replaced = lfmigrate.seed(conn, files, replace=True, backup_dir=tmp_path)
        checked = lfmigrate.check_seed(conn, files)
        settings = conn.execute("SELECT current_setting('datestyle'), current_setting('timezone')")
        assert (
            settings.fetchone()
            == direct.execute(
                "SELECT current_setting('datestyle'), current_setting('timezone')"
            ).fetchone()
        )
        left = direct.execute("SELECT count(*) FROM pg_class WHERE relpersistence = 't'").fetchone()

    assert inserted[:3] == [0, 0, 0]
    assert inserted[3] == sum(table.inserted for table in replaced.tables) > 300
    assert checked.ok
    assert left == (0,)


def test_rollback_backup_and_restore_work_through_a_pooler(
    pooled: str, database: str, folder: Callable[..., Path], tmp_path: Path
) -> None:
    """Rows travel with COPY within one transaction, whichever client uses the session next."""
    files = lfmigrate.read_folder(
        folder({"001_a.up.sql": "CREATE TABLE a (n serial)", "001_a.down.sql": "DROP TABLE a"})
    )
    with lfmigrate.connect(pooled) as conn, psycopg.connect(database, autocommit=True) as direct:
        lfmigrate.up(conn, files)
        direct.execute("INSERT INTO a SELECT FROM generate_series(1, 5000)")
        saved = lfmigrate.backup(conn, files, out=tmp_path / "out")
        undone = lfmigrate.rollback(conn, files, backup_dir=tmp_path)
        lfmigrate.up(conn, files)
        lfmigrate.restore(conn, files, saved.path)
        row = direct.execute("SELECT count(*), nextval('a_n_seq') FROM a").fetchone()

    assert undone.backup is not None
    assert row == (5000, 5001)


def test_twenty_runs_over_two_server_connections_apply_once(pooled: str, database: str) -> None:
    """The lock is the transaction's, so a pooler cannot hand it to another client."""
    with Threads(20) as pool:
        outcomes = list(pool.map(_up, [pooled] * 20))

    assert sorted(map(sorted, outcomes)) == [["already_applied"]] * 19 + [["applied"]]
    with psycopg.connect(database) as conn:
        row = conn.execute("SELECT count(*) FROM lfmigrate.lfmigrate_history").fetchone()
    assert row == (3,)


def test_nothing_of_a_run_leaks_into_the_pool(pooled: str, folder: Callable[..., Path]) -> None:
    """Not the settings, not a file's SET, not a lock, not a temporary table."""
    root = folder({"001_set.up.sql": "SET search_path = ''; SET lock_timeout = 77; SELECT 1;"})
    settings = """
        SELECT current_setting('search_path'), current_setting('lock_timeout'),
               current_setting('client_min_messages'), current_setting('jit'),
               (SELECT count(*) FROM pg_locks JOIN pg_database AS d ON d.oid = database
                WHERE locktype = 'advisory' AND d.datname = current_database()),
               (SELECT count(*) FROM pg_class WHERE relpersistence = 't')
    """
    with psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as conn:
        before = conn.execute(settings).fetchone()

    with lfmigrate.connect(pooled) as conn:
        lfmigrate.up(conn, lfmigrate.read_folder(root))

    with psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as conn:
        after = conn.execute(settings).fetchone()
    assert after == before


def _last_value(conn: psycopg.Connection[Any]) -> Any:
    """Return what the session's last nextval returned; None if it called none."""
    try:
        return conn.execute("SELECT lastval()").fetchone()
    except psycopg.errors.ObjectNotInPrerequisiteState:
        return None


def _sessions(url: str) -> dict[int, tuple[Any, ...]]:
    """Return what each of the pooler's two sessions has set, locked and made, by process."""
    found: dict[int, tuple[Any, ...]] = {}
    with ExitStack() as stack:
        # Two transactions at once hold both sessions.
        for _ in range(2):
            conn = stack.enter_context(psycopg.connect(url, prepare_threshold=None))
            row = conn.execute(
                """SELECT pg_backend_pid(),
                       (SELECT jsonb_object_agg(name, setting) FROM pg_settings
                        -- The pooler's own affair: it sets each client's name.
                        WHERE source = 'session' AND name <> 'application_name'
                          AND (name NOT LIKE 'lfmigrate.%' OR setting <> '')),
                       (SELECT count(*) FROM pg_locks
                        WHERE pid = pg_backend_pid()
                          AND (locktype = 'advisory' OR relation >= 16384)),
                       (SELECT count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema()),
                       current_user, session_user"""
            ).fetchone()
            assert row is not None
            found[row[0]] = (*row[1:], conn.execute(HAS).fetchone(), _last_value(conn))
    return found


@pytest.mark.parametrize("options", [{}, {"dry_run": True}], ids=["run", "dry-run"])
@pytest.mark.parametrize("end", ["", "SELECT 1/0;"], ids=["success", "failure"])
def test_nothing_that_a_file_leaves_is_the_next_clients(
    end: str, options: dict[str, Any], pooled: str, role: str, folder: Callable[..., Path]
) -> None:
    """Whatever a session can have; the next client finds each of the pool's sessions as new."""
    text = leaving("file") + (
        "CREATE TABLE t (n serial); INSERT INTO t DEFAULT VALUES;"
        f"SET SESSION AUTHORIZATION {role}; SET ROLE {role};"
        "SET my.own = 'x'; SET work_mem = '7MB';"
    )
    files = lfmigrate.read_folder(folder({"001_a.up.sql": text + end}))
    (fresh,) = {repr(session) for session in _sessions(pooled).values()}

    # As often as it takes to have met both sessions of the pool.
    for _ in range(4):
        with suppress(lfmigrate.StatementFailed), lfmigrate.connect(pooled) as conn:
            lfmigrate.up(conn, files, **options)

    assert {repr(session) for session in _sessions(pooled).values()} == {fresh}


def test_no_command_leaves_anything_in_the_pool(pooled: str, tmp_path: Path, cli: Cli) -> None:
    """After all of them, each pooled session is as a new one: settings, locks, temporary tables."""
    out = tmp_path / "out"
    (fresh,) = {repr(session) for session in _sessions(pooled).values()}

    for command in (
        ["up"],
        ["seed"],
        ["seed", "--check"],
        ["verify"],
        ["verify", "--replay"],
        ["seed", "--replace", "--yes"],
        ["backup", "--out", out],
        ["rollback", "--dry-run"],
        ["rollback", "--yes"],
        ["up", "--per-migration"],
        ["restore", out],
        ["status"],
    ):
        done = cli(*command, "--database-url", pooled)
        assert done.returncode == 0, (command, done.stderr)

    sessions = _sessions(pooled)
    assert len(sessions) == 2
    assert {repr(session) for session in sessions.values()} == {fresh}


def test_runs_that_ask_who_blocks_them_do_not_wait_for_each_other(
    pooled: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They ask on second connections, while they hold all that the pooler has to give."""
    monkeypatch.setattr(blocking, "_ASK_AFTER_S", 0.0)
    with Threads(20) as pool:
        outcomes = list(pool.map(_up, [pooled] * 20))

    assert sorted(map(sorted, outcomes)) == [["already_applied"]] * 19 + [["applied"]]
    assert len(files_in_history(database)) == 3
