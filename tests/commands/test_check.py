"""A folder is proved on a database of its own: up, verified, down without a trace, and up again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from psycopg.conninfo import make_conninfo

import lfmigrate
from lfmigrate.commands.check import FolderReport
from lfmigrate.source.folder import read_folder
from tests.conftest import Cli
from tests.helpers.databases import execute, value
from tests.helpers.faults import wait_until

# What `check` is made of is tested on every version by the tests of `up` and `rollback`.
pytestmark = pytest.mark.any_version

Write = Callable[[Mapping[str, str | bytes]], Path]

UP = "CREATE TABLE a (id serial PRIMARY KEY); CREATE FUNCTION f() RETURNS int RETURN 1;"
DOWN = "DROP FUNCTION f(); DROP TABLE a;"


def check(url: str, path: Path) -> FolderReport:
    """Check a folder."""
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.check(conn, read_folder(path))


def broken(report: FolderReport) -> dict[str, tuple[str, ...]]:
    """Return what does not hold, with its reasons."""
    return {proof.name: proof.problems for proof in report.proofs if proof.status == "broken"}


def test_the_shipped_folder_holds(database: str, cli: Cli) -> None:
    """Seven things are tried; the connection's own database is untouched."""
    done = cli("check", "--json", "--database-url", database)

    document = json.loads(done.stdout)
    assert (done.returncode, document["ok"]) == (0, True)
    assert [proof["status"] for proof in document["proofs"]] == ["ok"] * 7
    assert value(database, "SELECT to_regclass('cost_categories') IS NULL")
    assert value(database, "SELECT to_regnamespace('lfmigrate') IS NULL")


@pytest.mark.parametrize(
    ("files", "name", "problem"),
    [
        (
            {"001_a.up.sql": "CREATE TABLE a (n int);\nSELECT nothing;", "001_a.down.sql": DOWN},
            "up applies every file to an empty database",
            '001_a.up.sql:2:8: column "nothing" does not exist',
        ),
        (
            {"001_a.up.sql": UP, "001_a.down.sql": "DROP TABLE a;"},
            "the catalogs are as they were before",
            "left behind: function public.f()",
        ),
        (
            {"001_a.up.sql": UP, "001_a.down.sql": "ALTER TABLE a RENAME TO b; DROP FUNCTION f();"},
            "the catalogs are as they were before",
            "left behind: table public.b",
        ),
        (
            {"001_a.up.sql": UP, "001_a.down.sql": "DROP TABLE b;"},
            "rollback undoes every migration",
            '001_a.down.sql:1:1: table "b" does not exist',
        ),
        (
            {
                "001_a.up.sql": UP,
                "001_a.down.sql": DOWN,
                "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id, now() FROM nowhere;",
            },
            "up applies every file to an empty database",
            'views/v.sql:1:51: relation "nowhere" does not exist',
        ),
    ],
)
def test_what_does_not_hold_is_named(
    database: str, folder: Write, files: Mapping[str, str | bytes], name: str, problem: str
) -> None:
    """One thing breaks, with its place; what needs it is skipped."""
    report = check(database, folder(files))

    assert not report.ok
    assert list(broken(report)) == [name]
    assert problem in broken(report)[name]
    assert report.proofs[-1].status == "skipped"


def test_a_broken_folder_exits_with_3_and_shows_why(database: str, folder: Write, cli: Cli) -> None:
    """For people and for CI."""
    path = folder({"001_a.up.sql": UP, "001_a.down.sql": "DROP TABLE a;"})

    done = cli("check", "--sql-dir", path, "--database-url", database)

    assert done.returncode == 3
    assert "broken   the catalogs are as they were before" in done.stdout
    assert "left behind: function public.f()" in done.stdout
    assert "4 of 7 checks passed" in done.stdout


def test_a_migration_without_a_way_back_is_no_mistake(database: str, folder: Write) -> None:
    """The way back is not tried, and the report says why; up and verify still are."""
    report = check(database, folder({"001_a.up.sql": UP, "002_b.sql": "CREATE TABLE b (n int)"}))

    assert report.ok
    assert [proof.status for proof in report.proofs] == ["ok"] * 3 + ["skipped"] * 4
    assert report.proofs[3].problems == ("no down file: 001_a, 002_b",)


def test_a_database_of_the_environment_is_left_alone(folder: Write, cli: Cli) -> None:
    """Only one that is named for the purpose gets a database made beside its own."""
    path = folder({"001_a.up.sql": UP, "001_a.down.sql": DOWN})

    done = cli("check", "--sql-dir", path, env={"DATABASE_URL": "postgresql://127.0.0.1:1/none"})

    assert done.returncode == 0
    assert "7 of 7 checks passed" in done.stdout


def test_a_role_that_may_not_make_databases_is_reported(database: str, folder: Write) -> None:
    """Exit code 4, and the way out."""
    role = f"lf_role_{uuid4().hex[:12]}"
    execute(database, f"CREATE ROLE {role}")
    path = folder({"001_a.up.sql": UP})
    try:
        with closing(lfmigrate.connect(database)) as conn:
            conn.execute(f"SET ROLE {role}".encode())
            with pytest.raises(lfmigrate.LfmigrateError) as caught:
                lfmigrate.check(conn, read_folder(path))
    finally:
        execute(database, f"DROP ROLE {role}")

    assert caught.value.exit_code == 4
    assert "permission denied to create database" in caught.value.message
    assert "may create databases" in str(caught.value.hint)


@pytest.mark.process
def test_an_interrupted_check_drops_its_database(database: str, folder: Write) -> None:
    """Ctrl-C in the middle of a long migration."""
    path = folder({"001_a.up.sql": "SELECT pg_sleep(600)"})
    url = make_conninfo(database, application_name="checked")
    process = subprocess.Popen(
        [
            sys.executable, "-m", "lfmigrate", "check", "-q",
            "--sql-dir", path, "--database-url", url,
        ],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    own = """SELECT max(datname) FROM pg_stat_activity
        WHERE query LIKE 'SELECT pg_sleep(600)%' AND application_name = 'checked'"""
    wait_until(lambda: value(database, own) is not None, "the migration runs")
    name = value(database, own)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)

    assert process.returncode == 130, said
    assert name.startswith("lfmigrate_check_")
    assert value(database, f"SELECT count(*) FROM pg_database WHERE datname = '{name}'") == 0


def test_findings_of_squawk_are_shown_and_break_nothing(
    database: str, folder: Write, cli: Cli
) -> None:
    """Advice, with its place; timeouts, which a run sets itself, are none."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (\n    n int\n);\nALTER TABLE a ADD m text;",
            "001_a.down.sql": "DROP TABLE a",
        }
    )

    done = cli("check", "--sql-dir", path, "--database-url", database)

    assert done.returncode == 0
    assert "001_a.up.sql:2:7: " in done.stdout
    assert "(prefer-bigint-over-int)" in done.stdout
    assert "timeout" not in done.stdout


def test_squawk_is_reported_what_runs_outside_a_transaction(folder: Write, cli: Cli) -> None:
    """What the directive is for is no finding; a folder with such a file goes up, down and up."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE IF NOT EXISTS a (n bigint);",
            "001_a.down.sql": "DROP TABLE IF EXISTS a;",
            "002_b.up.sql": "-- lfmigrate: no-transaction\n"
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS a_n ON a (n);",
            "002_b.down.sql": "-- lfmigrate: no-transaction\n"
            "DROP INDEX CONCURRENTLY IF EXISTS a_n;",
        }
    )

    done = cli("check", "--sql-dir", path)

    assert done.returncode == 0, done.stderr
    assert "7 of 7 checks passed" in done.stdout
    assert "002_b.up.sql" not in done.stdout
