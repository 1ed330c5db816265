"""Names that would like to be SQL, and passwords that must not be anywhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.conftest import Cli
from tests.helpers.databases import execute, value
from tests.helpers.faults import Gated, gated_server

# Names are quoted and passwords hidden on this side of the connection.
pytestmark = pytest.mark.any_version

Write = Callable[[Mapping[str, str | bytes]], Path]

EVIL = (
    'x"; DROP TABLE precious; --',
    "x'; DROP TABLE precious; --",
    "x$$; DROP TABLE precious; --",
    "x\\'; DROP TABLE precious; --",
)
TABLE = "CREATE TABLE IF NOT EXISTS a (x text PRIMARY KEY);"
LOAD = (
    "CREATE TEMPORARY TABLE seed_a (x text NOT NULL) ON COMMIT DROP;\n"
    "INSERT INTO a SELECT s.x FROM seed_a AS s WHERE NOT EXISTS (SELECT FROM a WHERE a.x = s.x);"
)
COUNT = "SELECT count(*) FROM public.precious"

WORD = "Zebra"
PASSWORD = "Zebra@ 'é%41"  # noqa: S105 (of a server that lives as long as the test)


@pytest.fixture
def guarded(database: str) -> Iterator[str]:
    """Return the URL of a database with a table that must be there in the end."""
    execute(database, "CREATE TABLE precious (n integer)", "INSERT INTO precious VALUES (1)")
    yield database
    assert value(database, COUNT) == 1


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.mark.parametrize("evil", EVIL)
def test_a_name_is_only_a_name(evil: str, guarded: str, folder: Write, cli: Cli) -> None:
    """Of a schema, of the history's schema, of a migration, of a view, of a table with rows."""
    with psycopg.connect(guarded, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(evil)))
    path = folder(
        {
            f"001_{evil}.up.sql": f"CREATE TABLE {_quoted(evil)} ({_quoted(evil)} text);\n"
            f"INSERT INTO {_quoted(evil)} VALUES ('one');",
            f"001_{evil}.down.sql": f"DROP TABLE IF EXISTS {_quoted(evil)};",
            f"002_{evil}.up.sql": "-- lfmigrate: no-transaction\n"
            f"CREATE INDEX CONCURRENTLY {_quoted(evil + 'i')}"
            f" ON {_quoted(evil)} ({_quoted(evil)});",
            f"002_{evil}.down.sql": f"DROP INDEX IF EXISTS {_quoted(evil + 'i')};",
            f"views/{evil}v.sql": f"CREATE OR REPLACE VIEW {_quoted(evil + 'v')} AS SELECT 1 AS n;",
        }
    )
    where = ("--sql-dir", path, "--schema", evil, "--history-schema", evil)
    options = (*where, "--database-url", guarded)
    out = path.parent / f"out-{EVIL.index(evil)}"

    codes = [
        cli(*words, *options).returncode
        for words in (
            ("up",),
            ("verify",),
            ("verify", "--replay"),
            ("status",),
            ("backup", "--out", str(out)),
            ("restore", str(out), "--replace", "--yes"),
            ("rollback", "--to", "0", "--yes"),
        )
    ]

    assert codes == [0] * len(codes)


@pytest.mark.parametrize("option", ["--schema", "--to", "--lock-timeout", "--wait"])
def test_an_option_is_no_sql(option: str, guarded: str, folder: Write, cli: Cli) -> None:
    """What is not there, or is no duration, is refused as such."""
    done = cli(
        "up",
        option,
        EVIL[1],
        "--sql-dir",
        folder({"001_a.up.sql": TABLE}),
        "--database-url",
        guarded,
    )

    assert done.returncode in {2, 4}
    assert value(guarded, "SELECT to_regclass('a') IS NULL") is True


@pytest.mark.parametrize(
    "options",
    [
        "-c search_path=x';DROP\\ TABLE\\ precious;--",
        "-c lfmigrate.history_schema=x';DROP\\ TABLE\\ precious;--",
        "-c role=x';DROP\\ TABLE\\ precious;--",
        "-c client_min_messages=error -c standard_conforming_strings=off",
    ],
)
def test_the_options_of_a_url_are_no_sql(
    options: str, guarded: str, folder: Write, cli: Cli
) -> None:
    """They are settings at best."""
    url = make_conninfo(guarded, options=options)
    path = folder({"001_a.up.sql": TABLE + "\nCREATE TABLE b (x text DEFAULT 'it''s \\');"})

    done = cli("up", "--sql-dir", path, "--database-url", url)

    assert done.returncode in {0, 4}
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("place", ["header", "file", "cell"])
def test_a_csv_is_only_text(evil: str, place: str, guarded: str, folder: Write, cli: Cli) -> None:
    """A header that is no column and a file that is no table are refused; a cell is loaded."""
    field = '"' + evil.replace('"', '""') + '"'
    name = f"{evil}.csv" if place == "file" else "a.csv"
    header, cell = (field, "one") if place == "header" else ("x", field)
    path = folder(
        {
            "001_a.up.sql": TABLE,
            "seed/load.sql": LOAD,
            "seed/a.csv": "x\n",
            f"seed/{name}": f"{header}\n{cell}\n",
        }
    )
    options = ("--sql-dir", path, "--database-url", guarded)
    cli("up", *options)

    done = cli("seed", "--from", path / "seed", *options)

    assert done.returncode == (0 if place == "cell" else 2), done.stderr
    if place == "cell":
        assert value(guarded, "SELECT x FROM a") == evil


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("place", ["name", "schema", "columns", "file", "sequence"])
def test_a_manifest_is_only_text(
    evil: str, place: str, guarded: str, folder: Write, cli: Cli
) -> None:
    """Whatever it names has to be there; nothing of it becomes a statement."""
    path = folder(
        {"001_a.up.sql": "CREATE TABLE a (n serial, x text); INSERT INTO a (x) VALUES ('1');"}
    )
    options = ("--sql-dir", path, "--database-url", guarded)
    out = path.parent / "out"
    cli("up", *options)
    cli("backup", "--out", out, *options)
    manifest = out / "manifest.json"
    document = json.loads(manifest.read_text())
    table = document["tables"][0]
    if place == "sequence":
        document["sequences"] = [
            {"schema": "public", "name": evil, "last_value": 1, "is_called": True}
        ]
    elif place == "columns":
        table["columns"] = [evil, *table["columns"][1:]]
    else:
        table[place] = evil
    manifest.write_text(json.dumps(document))
    execute(guarded, "TRUNCATE a")

    done = cli("restore", out, *options)

    assert done.returncode == 2, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert value(guarded, "SELECT count(*) FROM a") == 0


def _percent(password: str) -> str:
    return re.sub("%..", lambda found: found[0].lower(), quote(password, safe=""))


def _keyword(password: str) -> str:
    return "'" + re.sub(r"(['\\])", r"\\\1", password) + "'"


@pytest.fixture(scope="module")
def gated() -> Iterator[Gated]:
    """Return a server on which ``clerk`` may do everything, with a password like no other."""
    with gated_server() as server:
        with psycopg.connect(server.url, autocommit=True) as conn:
            conn.execute(
                sql.SQL("ALTER ROLE clerk SUPERUSER PASSWORD {}").format(sql.Literal(PASSWORD))
            )
        yield server


@pytest.mark.parametrize(
    "spelling", ["url", "query", "keywords", "PGPASSWORD", "passfile", "service", "dotenv"]
)
def test_a_password_that_works_is_nowhere(
    spelling: str, gated: Gated, folder: Write, cli: Cli, tmp_path: Path
) -> None:
    """All output of all commands, failing ones included, all files, and the database itself."""
    name = f"spelling_{spelling.lower()}"
    with psycopg.connect(gated.url, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    at = f"127.0.0.1:{gated.port}"
    plain = f"postgresql://clerk@{at}/{name}"
    work = tmp_path / "work"
    work.mkdir()
    secret = tmp_path / "secret"
    env = {"DATABASE_URL": plain}
    if spelling == "url":
        env["DATABASE_URL"] = f"postgresql://clerk:{_percent(PASSWORD)}@{at}/{name}"
    elif spelling == "query":
        env["DATABASE_URL"] = f"{plain}?password={_percent(PASSWORD)}"
    elif spelling == "keywords":
        env["DATABASE_URL"] = (
            f"host=127.0.0.1 port={gated.port} user=clerk dbname={name}"
            f" password={_keyword(PASSWORD)}"
        )
    elif spelling == "PGPASSWORD":
        env["PGPASSWORD"] = PASSWORD
    elif spelling == "passfile":
        secret.write_text(f"*:*:*:*:{PASSWORD}\n")
        secret.chmod(0o600)
        env["PGPASSFILE"] = str(secret)
    elif spelling == "service":
        facts = f"host=127.0.0.1\nport={gated.port}\nuser=clerk\ndbname={name}"
        secret.write_text(f"[mine]\n{facts}\npassword={PASSWORD}\n")
        env = {"PGSERVICEFILE": str(secret), "DATABASE_URL": "service=mine"}
    else:
        (work / ".env").write_text(
            f'DATABASE_URL="postgresql://clerk:{_percent(PASSWORD)}@{at}/{name}"\n'
        )
        env = {}
    path = folder(
        {
            "001_a.up.sql": TABLE + "INSERT INTO a VALUES ('1');",
            "001_a.down.sql": "DROP TABLE IF EXISTS a;",
            "002_b.up.sql": "-- lfmigrate: no-transaction\nCREATE INDEX CONCURRENTLY a_i ON a (x);",
            "002_b.down.sql": "DROP INDEX IF EXISTS a_i;",
            "seed/load.sql": LOAD,
            "seed/a.csv": "x\ntwo\n",
        }
    )
    bad = folder({"001_a.up.sql": TABLE, "003_c.up.sql": "SELECT 1/0;"})

    said = ""
    codes = []
    for words in (
        ("up", "-v"),
        ("up", "--json"),
        ("up", "--sql-dir", str(bad)),
        ("verify", "--replay", "-v"),
        ("status", "--json"),
        ("seed", "--from", str(path / "seed")),
        ("backup", "--out", str(work / "saved")),
        ("restore", str(work / "saved")),
        ("rollback",),
        ("rollback", "--to", "0", "--yes", "--json"),
        ("verify", "--schema", "nowhere"),
    ):
        folder_of = () if "--sql-dir" in words else ("--sql-dir", str(path))
        done = cli(*words, *folder_of, env=env, cwd=work)
        codes.append(done.returncode)
        said += done.stdout + done.stderr
    with psycopg.connect(gated.url, dbname=name) as conn:
        rows = conn.execute("SELECT to_jsonb(h)::text FROM lfmigrate.lfmigrate_history AS h")
        said += "".join(row[0] for row in rows)
    written = [p for p in work.rglob("*") if p.is_file() and p.name != ".env"]
    said += "".join(p.read_text() for p in written)

    assert codes == [0, 0, 4, 0, 0, 0, 0, 5, 5, 0, 4]
    assert len(written) >= 4
    for form in (PASSWORD, _percent(PASSWORD), quote(PASSWORD, safe=""), _keyword(PASSWORD), WORD):
        assert form not in said
