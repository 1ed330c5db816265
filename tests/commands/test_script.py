"""`sql`: a script that psql runs, with the outcome of `up`, but for the history."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest

import lfmigrate
from lfmigrate.commands.script import ScriptReport
from lfmigrate.errors import Refused
from lfmigrate.history import ledger
from lfmigrate.settings import Scope
from tests.conftest import Cli
from tests.helpers.commands import statuses, up, verify
from tests.helpers.databases import execute, value

# What the script says follows from the folder and the history; psql and the server run it as it is.
pytestmark = pytest.mark.any_version

Write = Callable[[Mapping[str, str]], Path]
Psql = Callable[..., CompletedProcess[str]]

FIRST = {"001_a.up.sql": "CREATE TABLE IF NOT EXISTS a (id int);"}
# Without a semicolon, with one behind a comment, and with what psql might take for its own.
MORE = {
    **FIRST,
    "002_b.up.sql": "CREATE TABLE IF NOT EXISTS b (id int) -- the end",
    "003_c.up.sql": "SET search_path = pg_catalog;\n"
    "CREATE TABLE IF NOT EXISTS public.c (n int[] DEFAULT '{1,2}', t text DEFAULT ':USER \\d');",
    "004_d.up.sql": "CREATE TABLE IF NOT EXISTS d AS SELECT 'é; x' AS t /* ; */ ;;  -- done",
    "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id FROM a",
}


def script(url: str, path: Path, **options: Any) -> ScriptReport:
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.script(conn, lfmigrate.read_folder(path), **options)


def run(psql: Psql, url: str, text: str, tmp_path: Path) -> CompletedProcess[str]:
    (tmp_path / "script.sql").write_text(text, encoding="utf-8")
    return psql(url, "-f", str(tmp_path / "script.sql"))


def test_psql_runs_what_up_would_run(
    create_database: Callable[[], str], folder: Write, psql: Psql, tmp_path: Path
) -> None:
    """The same schema; and what was created is recorded afterwards."""
    by_script, by_up = create_database(), create_database()
    path = folder(MORE)
    for url in (by_script, by_up):
        up(url, folder(FIRST))

    report = script(by_script, path)
    done = run(psql, by_script, report.text, tmp_path)
    created = statuses(up(by_up, path))

    assert done.returncode == 0, done.stderr
    assert report.batches == (("002_b.up.sql", "003_c.up.sql", "004_d.up.sql", "views/v.sql"),)
    # Nothing is recorded: these files can run again, so up records them.
    assert value(by_script, "SELECT count(*) FROM lfmigrate.lfmigrate_history") == 1
    assert statuses(up(by_script, path)).keys() == created.keys()
    assert verify(by_script, path).ok
    assert verify(by_script, path, replay_files=True).ok


def test_adopt_records_what_the_script_has_run(
    database: str, folder: Write, psql: Psql, tmp_path: Path
) -> None:
    """Files that cannot run again, too; then everything is as after up."""
    path = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (id int PRIMARY KEY);",
            "001_a.down.sql": "DROP TABLE a;",
            "002_b.up.sql": "CREATE TABLE b (id int REFERENCES a)",
            "002_b.down.sql": "DROP TABLE b;",
            "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id FROM a",
        }
    )
    report = script(database, path)
    assert "--   lfmigrate adopt --to 002\n" in report.text
    assert run(psql, database, report.text, tmp_path).returncode == 0

    with closing(lfmigrate.connect(database)) as conn:
        files = lfmigrate.read_folder(path)
        lfmigrate.adopt(conn, files, to="002")

        assert lfmigrate.verify(conn, files).ok
        assert lfmigrate.status(conn, files).pending == 0
        assert [lost.name for lost in lfmigrate.rollback(conn, files, backup_dir=None).lost] == [
            "b"
        ]


def test_a_role_that_was_set_before_the_script_stays(
    role: str, database: str, folder: Write, psql: Psql, tmp_path: Path
) -> None:
    """An administrator may let it create everything as the owner of the schema."""
    execute(database, f"GRANT ALL ON SCHEMA public TO {role}")
    view, table = "CREATE VIEW w AS SELECT 1 AS n", "CREATE TABLE t ()"
    path = folder({"001_v.up.sql": view, "002_t.up.sql": table})
    text = f"SET ROLE {role};\n{script(database, path).text}"
    done = run(psql, database, text, tmp_path)

    assert done.returncode == 0, done.stderr
    assert value(database, "SELECT tableowner FROM pg_tables WHERE tablename = 't'") == role


def test_a_script_that_fails_changes_nothing(
    database: str, folder: Write, psql: Psql, tmp_path: Path
) -> None:
    """One transaction, as in up."""
    path = folder({**MORE, "005_e.up.sql": "SELECT 1/0"})

    done = run(psql, database, script(database, path).text, tmp_path)

    assert done.returncode != 0
    assert "division by zero" in done.stderr
    assert value(database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


def test_it_is_refused_while_lfmigrate_runs_and_after_it_has_run(
    database: str, folder: Write, psql: Psql, tmp_path: Path
) -> None:
    """It was printed for another history."""
    path = folder(MORE)
    text = script(database, path).text
    with psycopg.connect(database) as other:
        other.execute(f"SELECT pg_advisory_lock({ledger.LOCK_KEY})")
        meanwhile = run(psql, database, text, tmp_path)
    up(database, folder(FIRST))

    late = run(psql, database, text, tmp_path)

    assert "lfmigrate is running on this database" in meanwhile.stderr
    assert "lfmigrate has run since this script was printed" in late.stderr
    assert value(database, "SELECT to_regclass('b') IS NULL")


def test_a_file_outside_a_transaction_is_outside_of_one(
    database: str, folder: Write, psql: Psql, tmp_path: Path
) -> None:
    """With the lock of the session around it, which is released."""
    path = folder(
        {
            **FIRST,
            "002_i.up.sql": "-- lfmigrate: no-transaction\nCREATE INDEX CONCURRENTLY i ON a (id)",
            "003_c.up.sql": "CREATE TABLE c (id int);",
        }
    )
    report = script(database, path)

    done = run(psql, database, report.text, tmp_path)

    assert done.returncode == 0, done.stderr
    assert report.batches == (("001_a.up.sql",), ("002_i.up.sql",), ("003_c.up.sql",))
    assert value(database, "SELECT to_regclass('i') IS NOT NULL AND to_regclass('c') IS NOT NULL")
    assert report.text.count("\nCOMMIT;\n") == 2


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_file_of_another_format_is_printed_as_it_is(
    database: str, folder: Write, psql: Psql, tmp_path: Path, newline: str
) -> None:
    """How its tool says that it runs outside a transaction is enough: nothing is put into it."""
    lines = ("-- +goose NO TRANSACTION", "-- +goose Up", "CREATE TABLE a ();", "VACUUM;", "")
    path = folder({"00001_a.sql": newline.join(lines)})

    text = script(database, path).text
    done = run(psql, database, text, tmp_path)

    assert done.returncode == 0, done.stderr
    assert f"{newline.join(lines[2:4])}\n" in text
    assert "lfmigrate: no-transaction" not in text
    assert "\r" not in text.replace("\r\n", "")


def test_a_script_of_an_adopted_database_is_recorded_as_it_says(
    database: str, folder: Write, psql: Psql, tmp_path: Path
) -> None:
    """The other tool's table says less."""
    path = folder({"001_a.up.sql": "CREATE TABLE a ();", "002_b.up.sql": "CREATE TABLE b ();"})
    execute(
        database,
        "CREATE TABLE a ()",
        "CREATE TABLE schema_migrations AS SELECT bigint '1' AS version, false AS dirty",
    )
    with closing(lfmigrate.connect(database)) as conn:
        files = lfmigrate.read_folder(path)
        lfmigrate.adopt(conn, files)
        text = lfmigrate.script(conn, files).text
        assert run(psql, database, text, tmp_path).returncode == 0
        assert "lfmigrate adopt --to 002" in text

        lfmigrate.adopt(conn, files, to="002")

        assert lfmigrate.status(conn, files).pending == 0
        assert lfmigrate.status(conn, files).notes == ()


def test_each_file_finds_what_it_finds_in_up(
    database: str, folder: Write, psql: Psql, tmp_path: Path
) -> None:
    """Whatever one before it has set; in the schema that was asked for, whatever its name."""
    schema = "it's \\ $lfmigrate$"
    execute(database, f'CREATE SCHEMA "{schema}"', f'CREATE SCHEMA "{schema}h"')
    scope = Scope(schema=schema, history_schema=f"{schema}h")
    path = folder(
        {
            "001_a.up.sql": "SET search_path = pg_catalog; SET ROLE pg_monitor;"
            " SET work_mem = '1MB'",
            "002_b.up.sql": "CREATE TABLE b AS SELECT current_setting('work_mem') AS m",
        }
    )

    text = script(database, path, scope=scope).text
    done = run(psql, database, text, tmp_path)

    assert done.returncode == 0, done.stderr
    assert value(database, f'SELECT m FROM "{schema}".b') != "1MB"


def test_to_ends_it_before_the_views(database: str, folder: Write) -> None:
    """They may need what is pending."""
    report = script(database, folder(MORE), to="2", per_migration=True)

    assert report.batches == (("001_a.up.sql",), ("002_b.up.sql",))
    assert "lfmigrate adopt --to 002" in report.text


def test_a_name_cannot_leave_its_comment(
    database: str, folder: Write, psql: Psql, tmp_path: Path
) -> None:
    """It could be a statement otherwise."""
    path = folder({"001_a\nDROP TABLE precious;\r--.up.sql": "SELECT 1;"})
    execute(database, "CREATE TABLE precious ()")

    done = run(psql, database, script(database, path).text, tmp_path)

    assert done.returncode == 0, done.stderr
    assert value(database, "SELECT to_regclass('precious') IS NOT NULL")


def test_nothing_pending_is_a_script_without_statements(database: str, folder: Write) -> None:
    """Which says so."""
    path = folder(FIRST)
    up(database, path)

    report = script(database, path)

    assert report.batches == ()
    assert "-- Nothing is pending." in report.text
    assert all(line.startswith("--") for line in report.text.splitlines())


def test_an_interrupted_file_is_refused(database: str, folder: Write) -> None:
    """Where it resumes is known to up alone."""
    broken = "-- lfmigrate: no-transaction\nVACUUM;\nSELECT 1/0"
    path = folder({**FIRST, "002_i.up.sql": broken})
    with pytest.raises(lfmigrate.StatementFailed):
        up(database, path)

    with pytest.raises(Refused, match="has been interrupted"):
        script(database, path)


def test_the_command_prints_sql_alone(cli: Cli, database: str, folder: Write) -> None:
    """As the files have it, although a statement has something where a password would be."""
    sentence = "COMMENT ON TABLE a IS 'password=x postgresql://me:s3cret@host é';"
    path = folder({**FIRST, "002_b.up.sql": sentence})
    words = ("sql", "--sql-dir", path, "--database-url", database)

    done, quiet, document = cli(*words), cli(*words, "-q"), cli(*words, "--json")

    assert (done.returncode, done.stderr) == (0, "")
    assert sentence in done.stdout
    assert quiet.stdout.count("\n") == done.stdout.count("\n")
    assert json.loads(document.stdout)["transactions"] == [["001_a.up.sql", "002_b.up.sql"]]
    assert "SET client_encoding" not in document.stdout
