"""Which folder and which database a command uses, and what it says of that."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

import lfmigrate
from lfmigrate.dashboard.reads import Database
from lfmigrate.settings import Serving
from tests.conftest import Cli
from tests.helpers.databases import execute

# It is decided on this side of the connection.
pytestmark = pytest.mark.any_version

SHIPPED = "the shipped leadership feedback tables"
TABLE = "CREATE TABLE a (n int);\n"
GOOSE = "-- +goose Up\nCREATE TABLE g (n int);\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the folder in which `cli` runs."""
    return tmp_path / "cwd"


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as conn:
        rows = conn.execute("SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'public'")
        return {row[0] for row in rows}


# --------------------------------------------------------------------------------------------------
# The folder
# --------------------------------------------------------------------------------------------------


def test_the_folder_is_found_next_to_the_env_file_above(
    cli: Cli, database: str, home: Path
) -> None:
    """The database is that project's; its other folders are not where its migrations are."""
    write(home, {".env": f"DATABASE_URL={database}\n", "db/migrations/00001_g.sql": GOOSE})
    below = home / "src" / "api"
    below.mkdir(parents=True)

    done = cli("up", cwd=below)
    read = cli("status", "--json", cwd=below)

    assert done.stdout.splitlines()[0].endswith(f", goose files in {home / 'db' / 'migrations'}")
    assert json.loads(read.stdout)["origins"]["folder"] == f"found in {home}"
    assert tables(database) == {"g"}


def test_a_project_without_migrations_yet_gets_none(cli: Cli, database: str, home: Path) -> None:
    """An empty folder is where its migrations will be."""
    (home / "migrations").mkdir()

    done = cli("up", "--database-url", database)

    assert done.returncode == 2
    assert 'no migrations and no views in "migrations"' in done.stderr
    assert tables(database) == set()
    assert cli("new", "first").returncode == 0
    assert sorted(path.suffix for path in (home / "migrations").iterdir()) == [".sql", ".sql"]


def test_a_project_with_migrations_gets_its_own(cli: Cli, database: str, home: Path) -> None:
    """Not eleven tables of someone else's dashboard."""
    write(home, {"migrations/00001_g.sql": GOOSE})

    done = cli("up", "-v", "--database-url", database)

    place = conninfo_to_dict(database)
    first, *lines = done.stdout.splitlines()
    assert first.startswith(f"lfmigrate up: database {place['dbname']}, schema public, PostgreSQL ")
    assert first.endswith(", goose files in migrations")
    assert [line.strip() for line in lines[:2]] == [
        "folder: migrations, found in the working directory",
        "format: goose, detected",
    ]
    assert lines[2].strip().startswith("database: ")
    assert lines[2].endswith(f"/{place['dbname']}, --database-url")
    assert tables(database) == {"g"}


def test_without_a_folder_the_shipped_one_is_named(cli: Cli, database: str, home: Path) -> None:
    """In the first line, with the way to another; if it was asked for, without."""
    found = cli("status", "--database-url", database)
    asked = cli("status", "--database-url", database, "--sql-dir", lfmigrate.shipped_folder())
    (home / "sql").symlink_to(lfmigrate.shipped_folder())
    in_a_checkout = cli("status", "--database-url", database)

    assert found.stdout.splitlines()[0].endswith(f", {SHIPPED} (--sql-dir chooses another folder)")
    assert asked.stdout.splitlines()[0].endswith(f", {SHIPPED}")
    assert in_a_checkout.stdout == asked.stdout


def test_the_shipped_tables_are_not_for_a_database_of_others(
    cli: Cli, database: str, home: Path
) -> None:
    """In the wrong directory, nothing is created; asking for them helps."""
    write(home, {"project/001_g.sql": "CREATE TABLE g (n int);"})
    assert cli("up", "--database-url", database, "--sql-dir", "project").returncode == 0

    done = cli("up", "--database-url", database)

    assert done.returncode == 5
    assert "the shipped one is not that of this database" in done.stderr
    assert "applied, and not in the shipped one: 001_g" in done.stderr
    assert tables(database) == {"g"}
    shipped = cli("up", "--database-url", database, "--sql-dir", lfmigrate.shipped_folder())
    assert shipped.returncode == 0


def test_two_folders_are_refused_by_every_command(cli: Cli, database: str, home: Path) -> None:
    """Also by `new`; naming one helps."""
    write(home, {"sql/001_a.sql": TABLE, "migrations/00001_g.sql": GOOSE})

    for words in (("up", "--database-url", database), ("new", "x")):
        done = cli(*words)

        assert done.returncode == 2
        assert "2 folders here contain migrations: sql, migrations" in done.stderr
    assert tables(database) == set()
    assert cli("up", "--database-url", database, "--sql-dir", "sql").returncode == 0


def test_migrations_in_python_are_refused(cli: Cli, database: str, home: Path) -> None:
    """Nothing of ours is created instead."""
    write(home, {"migrations/0001_initial.py": ""})

    done = cli("up", "--database-url", database)

    assert done.returncode == 2
    assert "0001_initial.py is a migration in Python" in done.stderr
    assert tables(database) == set()


def test_the_document_has_folder_format_and_origins(cli: Cli, database: str, home: Path) -> None:
    """The same as the first line and -v."""
    write(home, {"db/001_a.sql": TABLE, "lfmigrate.toml": 'sql_dir = "db"\n'})

    found: dict[str, Any] = json.loads(
        cli("status", "--json", env={"DATABASE_URL": database}).stdout
    )

    assert (found["folder"], found["format"]) == ("db", "lfmigrate")
    assert found["origins"] == {
        "database": "DATABASE_URL",
        "folder": f"sql_dir in {home / 'lfmigrate.toml'}",
        "format": "detected",
    }


def test_new_creates_in_the_folder_that_was_found(cli: Cli, home: Path) -> None:
    """In the format of the configuration file, too."""
    write(home, {"migrations/00001_g.sql": GOOSE, "lfmigrate.toml": 'format = "goose"\n'})

    done = cli("new", "more", "--json")

    found = json.loads(done.stdout)
    assert found["files"] == ["migrations/00002_more.sql"]
    assert found["origins"] == {"folder": "found in the working directory"}


def test_new_writes_into_no_installed_package(cli: Cli, tmp_path: Path) -> None:
    """The next installation would remove it."""
    installed = tmp_path / "lib" / "site-packages" / "lfmigrate" / "sql"
    shutil.copytree(lfmigrate.shipped_folder(), installed)
    before = sorted(installed.iterdir())

    done = cli("new", "x", "--sql-dir", installed)

    assert done.returncode == 2
    assert "is part of an installed package" in done.stderr
    assert sorted(installed.iterdir()) == before
    assert cli("new", "x").returncode == 2


# --------------------------------------------------------------------------------------------------
# The database
# --------------------------------------------------------------------------------------------------


def test_libpqs_variables_are_sufficient(cli: Cli, database: str, home: Path) -> None:
    """From the environment or a .env, and with nothing else."""
    place = conninfo_to_dict(database)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE"}
    variables = {names[key]: str(value) for key, value in place.items() if key in names}

    by_environment = cli("status", env=variables)
    write(home, {".env": "".join(f"{name}={value}\n" for name, value in variables.items())})
    by_file = cli("status", "--json")

    assert f"database {place['dbname']}, " in by_environment.stdout
    assert json.loads(by_file.stdout)["database"]["name"] == place["dbname"]
    assert json.loads(by_file.stdout)["origins"]["database"].startswith("PGHOST in ")


def test_a_service_file_is_sufficient(cli: Cli, database: str, tmp_path: Path) -> None:
    """PGSERVICE names the database; a service that is not defined is said to be so."""
    place = conninfo_to_dict(database)
    lines = "\n".join(f"{key}={value}" for key, value in place.items())
    (tmp_path / "services").write_text(f"[mine]\n{lines}\n", encoding="utf-8")
    file = {"PGSERVICEFILE": str(tmp_path / "services")}

    found = cli("status", env=file | {"PGSERVICE": "mine"})
    missing = cli("status", env=file | {"PGSERVICE": "other"})

    assert f"database {place['dbname']}, " in found.stdout
    assert missing.returncode == 4
    assert 'service "other" is not defined' in missing.stderr


def test_prismas_schema_is_the_schema(cli: Cli, database: str, home: Path) -> None:
    """Unless another one is asked for."""
    execute(database, "CREATE SCHEMA app; CREATE SCHEMA other")
    write(home, {"sql/001_a.sql": TABLE})
    place = conninfo_to_dict(database)
    at = f"?host={place['host']}&user={place['user']}&port={place.get('port', 5432)}"
    env = {"DATABASE_URL": f"'postgresql:///{place['dbname']}{at}&schema=app&pgbouncer=true'\n"}

    done = cli("up", "-v", env=env)
    other = cli("status", "--schema", "other", env=env)

    assert ", schema app, " in done.stdout
    assert "as meant for another program: pgbouncer" in done.stderr
    assert ", schema other, " in other.stdout


def test_a_failed_connection_says_where_it_was_configured(cli: Cli, home: Path) -> None:
    """Most often it is another file than the one that was edited."""
    write(home, {".env": "DATABASE_URL=postgresql://127.0.0.1:1/x\n"})

    done = cli("status", "--wait", "0")

    assert f"the database is configured by DATABASE_URL in {home / '.env'}" in done.stderr


def test_another_env_file_can_be_named(cli: Cli, home: Path) -> None:
    """Then the one here is not read; a missing one is an error."""
    write(
        home,
        {
            ".env": "DATABASE_URL=mysql://here/x\n",
            "prod.env": "DATABASE_URL=postgresql://u:Zebra-77@127.0.0.1:1/x\n",
        },
    )

    named = cli("status", "-v", "--wait", "0", "--env-file", "prod.env")
    missing = cli("status", "--env-file", "nowhere.env")

    assert named.returncode == 4
    assert "Zebra" not in named.stderr
    assert missing.returncode == 2
    assert "there is no file nowhere.env" in missing.stderr


def test_a_password_in_the_configuration_file_is_warned_of(
    cli: Cli, database: str, home: Path
) -> None:
    """Once, without the password; it works nevertheless."""
    place = conninfo_to_dict(database)
    at = f"host={place['host']}&user={place['user']}&port={place.get('port', 5432)}"
    url = f"postgresql:///{place['dbname']}?{at}&password=Zebra-77"
    write(home, {"lfmigrate.toml": f'database_url = "{url}"\n'})

    done = cli("status", "-v")

    assert done.returncode == 0
    assert done.stderr.count("contains a password") == 1
    assert "Zebra" not in done.stderr + done.stdout


def test_a_line_of_another_program_is_warned_of(cli: Cli, database: str, home: Path) -> None:
    """In our words, with its number."""
    write(home, {".env": "A=1\n=x Zebra\n"})

    done = cli("status", "--database-url", database)

    warning = f"warning: line 2 of {home / '.env'} cannot be read and is ignored\n"
    assert (done.returncode, done.stderr) == (0, warning)


# --------------------------------------------------------------------------------------------------
# A password that a program prints
# --------------------------------------------------------------------------------------------------

# Prints a token that no other call gets, and writes it down.
TOKENS = """\
import pathlib, sys, uuid
token = "Zebra-" + uuid.uuid4().hex
with pathlib.Path(sys.argv[1]).open("a") as log: log.write(token + "\\n")
print("working on", token, file=sys.stderr)
print(token)
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def command(tmp_path: Path) -> str:
    """Return a command that prints another token each time; add its exit code."""
    (tmp_path / "tokens.py").write_text(TOKENS, encoding="utf-8")
    return f'"{sys.executable}" {tmp_path / "tokens.py"} {tmp_path / "log"}'


def test_each_connection_gets_a_new_password(
    cli: Cli, database: str, tmp_path: Path, command: str
) -> None:
    """`check` makes two connections, one of them with the address of the other."""
    env = {"LFMIGRATE_PASSWORD_COMMAND": f"{command} 0"}

    done = cli("check", "-v", "--database-url", database, env=env)

    tokens = (tmp_path / "log").read_text(encoding="utf-8").split()
    assert done.returncode == 0, done.stderr
    assert len(tokens) == len(set(tokens)) >= 2
    assert "Zebra" not in done.stdout + done.stderr


def test_the_dashboards_connections_get_a_password_each(database: str) -> None:
    """They are opened when requests need them, hours after the start."""
    printed = iter(["first", "second"])
    pool = Database(database, Serving(password=lambda: next(printed)))
    try:
        with pool.connection() as one, pool.connection() as other:
            assert {one.info.password, other.info.password} == {"first", "second"}
    finally:
        pool.close()


def test_a_password_in_the_url_comes_before_the_command(
    cli: Cli, database: str, tmp_path: Path, command: str
) -> None:
    """Then it is not run, which -v says."""
    url = f"{database} password=x"

    done = cli("status", "-v", "--database-url", url, "--password-command", f"{command} 0")

    assert done.returncode == 0
    assert "--password-command is not run: the database URL has a password" in done.stderr
    assert not (tmp_path / "log").exists()


def test_a_command_that_fails_is_reported_without_what_it_printed(
    cli: Cli, database: str, command: str
) -> None:
    """Its standard error says why; a token in it is masked."""
    done = cli("status", "--database-url", database, "--password-command", f"{command} 3")

    assert done.returncode == 4
    assert done.stderr.startswith("error: the password command failed with exit code 3\n")
    assert "  working on ***\n" in done.stderr
    assert "Zebra" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("no-such-program-here --x", 2, "cannot be started: No such file"),
        ("printf 'x", 2, "cannot be parsed"),
        ("true", 4, "printed nothing"),
        (r"printf 'Zebra\nGiraffe\n'", 4, "printed more than one line"),
        (r"printf '\377'", 4, "printed what is not UTF-8 text"),
    ],
)
def test_an_unusable_command_says_why(
    cli: Cli, database: str, words: str, code: int, message: str
) -> None:
    """Without a shell: what is not a program cannot be started."""
    done = cli("status", "--database-url", database, "--password-command", words)

    assert done.returncode == code
    assert message in done.stderr
    assert "Zebra" not in done.stderr


def test_the_library_runs_the_command_too(database: str, tmp_path: Path, command: str) -> None:
    """A framework's URL is understood; a schema in it has another place."""
    place = conninfo_to_dict(database)
    at = f"host={place['host']}&user={place['user']}&port={place.get('port', 5432)}"
    url = f"postgresql+psycopg2:///{place['dbname']}?{at}&pgbouncer=true"

    with lfmigrate.connect(url, password_command=f"{command} 0") as conn:
        assert conn.info.password == (tmp_path / "log").read_text(encoding="utf-8").strip()
    with pytest.raises(lfmigrate.UsageError, match="names a schema"):
        lfmigrate.connect(f"{url}&schema=app")
