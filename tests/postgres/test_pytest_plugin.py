"""The pytest plugin: its databases, what it leaves behind, and what it costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from importlib.metadata import entry_points
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from lfmigrate.errors import DatabaseError
from lfmigrate.pytest_plugin.databases import TestDatabases
from tests.helpers.databases import create_database, drop_databases, execute, fetch, value

# Databases and locks are the same on all versions.
pytestmark = pytest.mark.any_version

SECRET = "geheim-4711"  # noqa: S105 (not a real one)

MIGRATION = "CREATE TABLE accounts (name text);"


@pytest.fixture
def project(
    pytester: pytest.Pytester, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> pytest.Pytester:
    """Return a project with a migration, whose tests run on this server."""
    monkeypatch.setenv("LFMIGRATE_TEST_URL", make_conninfo(server_url, password=SECRET))
    # What else is installed takes seconds to import.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "lfmigrate.pytest_plugin")
    pytester.makeini("[pytest]\nlfmigrate_sql_dir = db/migrations\n")
    folder = pytester.path / "db" / "migrations"
    folder.mkdir(parents=True)
    (folder / "001_accounts.sql").write_text(MIGRATION, encoding="utf-8")
    return pytester


@pytest.mark.process
def test_the_workers_of_xdist_share_one_template_and_leave_nothing(
    project: pytest.Pytester, server_url: str
) -> None:
    """The migrations run once, whichever worker comes first."""
    project.makeconftest(
        """
        import os
        import pytest

        @pytest.fixture(scope="session")
        def lfmigrate_migrate(lfmigrate_migrate):
            def migrate(conn):
                with open("migrated", "a") as file:
                    print(os.getpid(), file=file)
                lfmigrate_migrate(conn)
            return migrate
        """
    )
    project.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("n", range(6))
        def test_it(lfmigrate_connection, n):
            rows = lfmigrate_connection.execute(
                "INSERT INTO accounts VALUES ('x') RETURNING (SELECT count(*) FROM accounts)")
            assert rows.fetchone() == (0,)
        """
    )
    run = uuid4().hex

    done = project.runpytest_subprocess("-pxdist", "-n2", f"--testrunuid={run}")

    done.assert_outcomes(passed=6)
    assert len((project.path / "migrated").read_text(encoding="utf-8").splitlines()) == 1
    key = sha256(run.encode()).hexdigest()[:8]
    assert fetch(server_url, f"SELECT datname FROM pg_database WHERE datname ~ '{key}'") == []


def test_a_failed_test_does_not_print_the_password(project: pytest.Pytester) -> None:
    """It shows the arguments of a failed test, and the URL is one of them."""
    project.makepyfile(
        "def test_it(lfmigrate_database, lfmigrate_server_url):\n    assert lfmigrate_database == 1"
    )

    done = project.runpytest_inprocess("--showlocals")

    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*lfmigrate_database = 'postgresql://postgres:[*][*][*]@*"])
    assert SECRET not in done.stdout.str()


@pytest.mark.parametrize(
    ("migration", "ini", "message"),
    [
        ("CREATE TABLE x (;", "lfmigrate_sql_dir = db/migrations", "*001_accounts.sql:1:16"),
        ("SELECT 1/0;", "lfmigrate_sql_dir = db/migrations", "*001_accounts.sql:1*"),
        (None, "", "hint: Set lfmigrate_sql_dir in pytest's configuration, or sql_dir in*"),
        (MIGRATION, "lfmigrate_sql_dir = nowhere", "*nowhere*"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(
    project: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    migration: str | None,
    ini: str,
    message: str,
) -> None:
    """In lfmigrate's words."""
    monkeypatch.delenv("LFMIGRATE_SQL_DIR", raising=False)
    file = project.path / "db/migrations/001_accounts.sql"
    if migration is None:
        file.unlink()
        file.parent.rmdir()
    else:
        file.write_text(migration, encoding="utf-8")
    project.makeini(f"[pytest]\n{ini}\n")
    project.makepyfile("def test_it(lfmigrate_database):\n    pass")

    done = project.runpytest_inprocess()

    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines([message])
    assert "handling of the above" not in done.stdout.str()


def test_the_project_says_which_files_and_which_schema(project: pytest.Pytester) -> None:
    """As to the command line, apart from the database."""
    (project.path / "db" / "migrations").rename(project.path / "other")
    (project.path / "lfmigrate.toml").write_text(
        "sql_dir = 'other'\nschema = 'app'\ndatabase_url = 'postgresql://production/app'\n",
        encoding="utf-8",
    )
    project.makeini("[pytest]")
    project.makepyfile(
        """
        def test_it(lfmigrate_connection):
            lfmigrate_connection.execute("TABLE app.accounts")
        """
    )

    project.runpytest_inprocess().assert_outcomes(passed=1)


def test_a_role_that_may_not_create_databases_is_said_how_to(server_url: str, role: str) -> None:
    """The role of an application usually may not."""
    with (
        closing(TestDatabases(make_conninfo(server_url, user=role))) as databases,
        pytest.raises(DatabaseError, match="permission denied") as caught,
    ):
        databases.create()

    assert caught.value.hint == f'Let a superuser run: ALTER ROLE "{role}" CREATEDB'


def test_a_session_that_was_ended_is_replaced(server_url: str) -> None:
    """As by a server that restarts; the new one holds the run's lock."""
    with closing(TestDatabases(server_url)) as databases:
        name = databases.create()
        held = f"SELECT pid FROM pg_locks WHERE objid = x'{name[8:16]}'::bigint"
        (process,) = fetch(server_url, held)
        execute(server_url, f"SELECT pg_terminate_backend({process}, 10000)")

        databases.drop(name)

        (other,) = fetch(server_url, held)
        assert process != other


# --------------------------------------------------------------------------------------------------
# What killed runs leave behind
# --------------------------------------------------------------------------------------------------

KILLED = """\
import os, signal, sys
from lfmigrate.pytest_plugin.databases import TestDatabases

databases = TestDatabases(sys.argv[1])
template = databases.template("template", lambda conn: conn.execute("CREATE TABLE a ()"))
print(template, databases.create(template), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_run(server_url: str) -> list[str]:
    """Return what a run has left that was killed: its template and a copy."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, server_url], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.split()


def existing(server_url: str, *names: str) -> set[str]:
    listed = ", ".join(f"'{name}'" for name in names)
    return set(fetch(server_url, f"SELECT datname FROM pg_database WHERE datname IN ({listed})"))


@contextmanager
def like(server_url: str, name: str, comment: str | None) -> Iterator[str]:
    """Create a database with a name and a comment."""
    create_database(server_url, name)
    try:
        if comment is not None:
            execute(server_url, f"COMMENT ON DATABASE {name} IS '{comment}'")
        yield name
    finally:
        drop_databases(server_url, name)


@pytest.mark.process
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_what_a_killed_run_has_left_is_dropped_and_nothing_else(server_url: str) -> None:
    """Not what is another's, what is used, or what belongs to a run that goes on."""
    template, copy = killed_run(server_url)
    comment = value(
        server_url,
        f"SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{copy}'",
    )
    key, other = copy[8:16], uuid4().hex[:8]
    mine = comment.replace(comment.split("process ")[1].split()[0], str(os.getpid()))
    elsewhere = comment.replace("lock in database ", "lock in database 9")
    open_run = int(other, 16) | 0x6C66 << 32
    with (
        like(server_url, f"lf_test_{key}_a", None) as without_comment,
        like(server_url, f"lf_test_{key}_b", f"see also: {comment}") as other_comment,
        like(server_url, f"lf_test_mine_{key}", comment) as other_name,
        like(server_url, f"lf_test_{key}_d", mine) as of_a_living_process,
        like(server_url, f"lf_test_{key}_e", elsewhere) as locked_elsewhere,
        like(server_url, f"lf_test_{other}_f", comment) as of_an_open_run,
        like(server_url, f"lf_test_{key}_g", comment) as in_use,
        psycopg.connect(make_conninfo(server_url, dbname=in_use)),
        psycopg.connect(server_url) as holder,
    ):
        holder.execute(sql.SQL("SELECT pg_advisory_lock_shared({})").format(sql.Literal(open_run)))
        kept = {
            without_comment,
            other_comment,
            other_name,
            of_a_living_process,
            locked_elsewhere,
            of_an_open_run,
            in_use,
        }

        TestDatabases(server_url).close()

        assert existing(server_url, template, copy, *kept) == kept


@pytest.mark.process
def test_a_project_that_does_not_use_it_pays_nothing(project: pytest.Pytester) -> None:
    """``pytest --help`` lists its options, and no driver was imported."""
    script = (
        "import sys, pytest\n"
        "pytest.main(['--help'])\n"
        "print(sorted({'psycopg', 'typer', 'rich'} & set(sys.modules)))"
    )

    done = project.run(sys.executable, "-c", script)

    assert done.outlines[-1] == "[]"
    done.stdout.fnmatch_lines(["*lfmigrate_sql_dir (string):*"])


def test_pytest_finds_it_by_itself() -> None:
    """Where lfmigrate is installed; a checkout that was installed before has to be so again."""
    names = [entry.value for entry in entry_points(group="pytest11")]

    assert "lfmigrate.pytest_plugin" in names
