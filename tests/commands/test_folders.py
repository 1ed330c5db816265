"""Other people's folders: applied, verified, and then nothing is left to do.

A folder under ``folders/`` is a case; a new one needs no Python. What
git or a file system would change on its way (line ends, unusual names) is written by the test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

import lfmigrate
from lfmigrate.commands.up_report import UpReport
from lfmigrate.errors import SqlFileError, StatementFailed
from lfmigrate.postgres.connection import Connection

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]

# Files are named, read and sent on this side of the connection.
of_files = pytest.mark.any_version


FOLDERS = Path(__file__).parents[1] / "folders"
CASES = sorted(path.name for path in FOLDERS.iterdir() if path.is_dir())


def accept(url: str, path: Path, dump: Dump) -> UpReport:
    """Apply a folder and hold it against all that should be true of it then; return the report."""
    folder = lfmigrate.read_folder(path)
    with lfmigrate.connect(url) as conn:
        first = lfmigrate.up(conn, folder)
        made = dump(url, rows=True), history(conn)
        verified = lfmigrate.verify(conn, folder)
        second = lfmigrate.up(conn, folder)

        assert {m.status for m in first.migrations} == {"applied"}
        assert wrong(verified) == []
        assert {m.status for m in second.migrations} == {"already_applied"}
        assert {v.status for v in second.relations} <= {"unchanged"}
        assert {v.relation.key for v in second.relations} == {
            v.relation.key for v in verified.relations
        }
        replayed = lfmigrate.verify(conn, folder, replay_files=True)
        assert wrong(replayed) == []
        assert {v.relation.key for v in replayed.relations} == {
            v.relation.key for v in verified.relations
        }
        assert (dump(url, rows=True), history(conn)) == made
    return first


def wrong(report: Any) -> list[Any]:
    return [(v.relation.name, v.differences) for v in report.relations if v.status != "ok"]


def history(conn: Connection) -> list[Any]:
    return conn.execute(
        "SELECT to_jsonb(h) FROM lfmigrate.lfmigrate_history AS h ORDER BY id"
    ).fetchall()


def made(report: UpReport) -> set[str]:
    return {f"{v.relation.kind} {v.relation.name}" for v in report.relations}


def fetch(url: str, text: str) -> list[Any]:
    with psycopg.connect(url) as conn:
        return conn.execute(text.encode()).fetchall()


@pytest.mark.parametrize("name", CASES)
def test_a_folder_is_applied_verified_and_then_done(database: str, dump: Dump, name: str) -> None:
    """The acceptance test: up, verify, up again, and a replay."""
    report = accept(database, FOLDERS / name, dump)

    # Files for another tool, or without statements, are worth a warning.
    assert report.notes == () or name in {"golang_migrate", "nothing_inside"}


@pytest.mark.parametrize("name", CASES)
def test_a_folder_does_what_psql_would_do(
    database: str,
    create_database: Callable[[], str],
    dump: Dump,
    psql: Callable[..., Any],
    name: str,
) -> None:
    """The same files through psql, one by one, give the same dump, rows included."""
    other = create_database()
    with lfmigrate.connect(database) as conn:
        folder = lfmigrate.read_folder(FOLDERS / name)
        lfmigrate.up(conn, folder)

    for file in [m.up for m in folder.migrations] + [v.file for v in folder.repeatables]:
        done = psql(other, "-q", "-f", str(file.path))
        assert done.returncode == 0, done.stderr

    assert dump(database, rows=True) == dump(other, rows=True)


def test_golang_migrates_naming_is_understood(database: str, dump: Dump) -> None:
    """Numbers without zeros run in numeric order, and the gap between them is reported."""
    report = accept(database, FOLDERS / "golang_migrate", dump)

    assert [m.version for m in report.migrations] == ["1", "2", "10"]
    assert made(report) == {"table users", "table posts", "type enum_mood"}


def test_sqlx_naming_is_understood(database: str, dump: Dump) -> None:
    """Pairs and forward-only files stand side by side, by timestamp."""
    report = accept(database, FOLDERS / "sqlx", dump)

    assert [m.version for m in report.migrations] == [
        "20230101120000",
        "20230315093000",
        "20240601000000",
    ]
    assert made(report) == {
        "table todos",
        "table user",
        "function set_updated_at()",
        "function trigger_updated_at(regclass)",
    }


def test_every_kind_of_type_is_reported(database: str, dump: Dump) -> None:
    """By its kind and its name, and nothing that the server makes along with it."""
    report = accept(database, FOLDERS / "types", dump)

    assert made(report) == {
        "type weekday",
        "type percent",
        "type stretch",
        "type address",
        "sequence invoice_number",
        "table shift",
        "table reading",
        "table reading_2024",
        "table reading_rest",
        "materialized view daily",
        "view heavy",
        "aggregate product(numeric)",
    }


def test_names_in_quotes_are_reported_without_them(database: str, dump: Dump) -> None:
    """With their spaces, capitals and signs."""
    report = accept(database, FOLDERS / "capitals", dump)

    assert made(report) == {
        "table Order Line",
        "type Mood; of day",
        'function Do It(integer, "Mood; of day")',
        "view Open Orders",
        "view plain",
    }


def test_a_dump_makes_its_own_schema(database: str, dump: Dump) -> None:
    """And the next file is back in the usual one."""
    report = accept(database, FOLDERS / "pg_dump", dump)

    assert {(v.relation.schema, v.relation.name) for v in report.relations} == {
        ("", "inventory"),
        ("inventory", "item"),
        ("inventory", "touch()"),
        ("public", "stock"),
    }


@of_files
def test_percent_signs_are_just_percent_signs(database: str) -> None:
    """A file gets no parameters, so nothing in it is taken for one."""
    with lfmigrate.connect(database) as conn:
        lfmigrate.up(conn, lfmigrate.read_folder(FOLDERS / "functions"))

    assert fetch(database, "SELECT note FROM account") == [("%s %(name)s {0} $1 :x ?",)]
    assert fetch(database, "SELECT what FROM audit") == [("INSERT: INSERT %",)]
    assert fetch(
        database,
        "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'shard_2'::regclass",
    ) == [("'100 %'::text",)]


@of_files
def test_the_files_text_is_recorded_as_it_is(database: str) -> None:
    """Down file and all, in whatever script."""
    path = FOLDERS / "not_ascii"
    with lfmigrate.connect(database) as conn:
        lfmigrate.up(conn, lfmigrate.read_folder(path))

    up_text = (path / "1_größe.up.sql").read_text(encoding="utf-8")
    down_text = (path / "1_größe.down.sql").read_text(encoding="utf-8")
    assert fetch(
        database,
        "SELECT name, sql, down_sql FROM lfmigrate.lfmigrate_history WHERE version = '1'",
    ) == [("größe", up_text, down_text)]


CRLF = (
    "-- a comment\r\n"
    "CREATE TABLE t (\r\n    id integer,\r\n    name text DEFAULT 'two\r\nlines'\r\n);\r\n"
    "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$\r\n    SELECT 'a;'\r\n$$;\r\n"
)


@of_files
@pytest.mark.parametrize("bom", ["", "\ufeff"], ids=["plain", "bom"])
def test_windows_line_ends_and_byte_order_marks_do_no_harm(
    database: str, folder: Write, dump: Dump, bom: str
) -> None:
    """The text is sent as it is, but for the mark."""
    path = folder(
        {
            "1_t.up.sql": bom + CRLF,
            "1_t.down.sql": bom + "DROP FUNCTION f();\r\nDROP TABLE t;\r\n",
            "views/v.sql": bom + "CREATE OR REPLACE VIEW v AS\r\n  SELECT id\r\n  FROM t;\r\n",
        }
    )

    report = accept(database, path, dump)

    assert made(report) == {"table t", "function f()", "view v"}
    assert fetch(
        database,
        "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 't'::regclass",
    ) == [("'two\r\nlines'::text",)]


def test_an_error_in_a_file_with_windows_line_ends_has_its_place(
    database: str, folder: Write
) -> None:
    """Lines and columns are those that an editor shows."""
    path = folder({"1_t.up.sql": "\ufeff-- é\r\nSELECT\r\n  'é', nonsense;\r\n"})

    with (
        lfmigrate.connect(database) as conn,
        pytest.raises(StatementFailed, match="nonsense") as caught,
    ):
        lfmigrate.up(conn, lfmigrate.read_folder(path))

    assert (caught.value.line, caught.value.column) == (3, 8)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ('say "hi".sql', '"say ""hi"""'),
        ("it's.sql", '"it\'s"'),
        ("UPPER.sql", '"UPPER"'),
        ("ein Überblick.sql", '"ein Überblick"'),
        ("50%.sql", '"50%"'),
        ("a.b.sql", '"a.b"'),
    ],
)
def test_a_view_may_have_any_name(
    database: str, folder: Write, dump: Dump, file: str, name: str
) -> None:
    """The file's name is the view's, as the server has it."""
    path = folder(
        {
            "1_t.up.sql": "CREATE TABLE t (id int);",
            f"views/{file}": f"CREATE OR REPLACE VIEW {name} AS SELECT id FROM t;",
        }
    )

    report = accept(database, path, dump)

    assert made(report) == {"table t", f"view {file.removesuffix('.sql')}"}


@of_files
@pytest.mark.parametrize(
    "file", ['1_it\'s "new".up.sql', "1_50%.up.sql", "1_a.b.c.up.sql", "1_-.up.sql", "1_Ä b.sql"]
)
def test_a_migration_may_have_any_name(database: str, folder: Write, dump: Dump, file: str) -> None:
    """It is a label and nothing more."""
    report = accept(database, folder({file: "CREATE TABLE t (id int);"}), dump)

    assert made(report) == {"table t"}


@of_files
def test_three_hundred_small_migrations_run_in_one_go(
    database: str, folder: Write, dump: Dump
) -> None:
    """In one transaction, each with its own row in the history."""
    files = {
        f"{n:03}_t{n}.up.sql": f"CREATE TABLE t{n} (id int PRIMARY KEY, other_id int);\n"
        f"CREATE INDEX t{n}_other_id_idx ON t{n} (other_id);"
        for n in range(1, 301)
    }

    report = accept(database, folder(files), dump)

    assert len(report.migrations) == len(report.relations) == 300
    assert fetch(
        database,
        "SELECT count(*), count(DISTINCT run_id),"
        " count(*) FILTER (WHERE expected -> 'relations' -> 0 ->> 'name' = name)"
        " FROM lfmigrate.lfmigrate_history",
    ) == [(300, 1, 300)]


@of_files
def test_a_large_file_runs_in_one_flight(database: str, folder: Write, dump: Dump) -> None:
    """More than any socket buffer holds, so both sides have to read while they write."""
    rows = "".join(
        f"INSERT INTO t VALUES ({n}, '{'x' * 1000}') RETURNING *;\n" for n in range(2000)
    )

    report = accept(
        database, folder({"1_t.up.sql": f"CREATE TABLE t (id int, name text);\n{rows}"}), dump
    )

    assert made(report) == {"table t"}
    assert fetch(database, "SELECT count(*) FROM t") == [(2000,)]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("BEGIN;\nCREATE TABLE t (id int);\nCOMMIT;", "BEGIN"),
        ("CREATE TABLE t (id int);\n\\i other.sql\n", r"\i"),
        ("CREATE TABLE t (id int);\nCOPY t FROM stdin;\n1\n\\.\n", "COPY"),
        ("-- migrate:up\nCREATE TABLE t (id int);\n-- migrate:down\nDROP TABLE t;", "rollback"),
    ],
    ids=["transaction", "psql", "copy", "dbmate"],
)
def test_what_cannot_run_as_it_is_is_refused_before_anything_is_sent(
    folder: Write, text: str, what: str
) -> None:
    """With the line, so that it can be fixed."""
    with pytest.raises(SqlFileError) as caught:
        lfmigrate.read_folder(folder({"1_t.up.sql": text}))

    assert what.lower() in (caught.value.message + (caught.value.hint or "")).lower()
    assert caught.value.line is not None
