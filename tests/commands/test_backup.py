"""Rows that leave a database come back as they were, or the backup says that it cannot do it."""

from __future__ import annotations

import csv
import json
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

import lfmigrate
from lfmigrate.commands.backup import BackupReport
from lfmigrate.commands.restore import RestoreReport
from lfmigrate.errors import (
    NOTHING_CHANGED,
    ArchiveError,
    DifferenceFound,
    LfmigrateError,
    Refused,
    StatementFailed,
)
from lfmigrate.rows.archive import read
from lfmigrate.rows.dump import CopyProgress
from lfmigrate.rows.saved import Archive
from tests.conftest import Cli, Psql
from tests.helpers.commands import up
from tests.helpers.databases import execute, value

Write = Callable[[Mapping[str, str | bytes]], Path]

# Files are written, read and checked on this side of the connection.
of_files = pytest.mark.any_version


EVERY_TYPE = {
    "001_every_type.up.sql": """
        CREATE TYPE mood AS ENUM ('sad', 'so "so"');
        CREATE TYPE every_pair AS (a int, b text);
        CREATE DOMAIN share AS numeric CHECK (VALUE BETWEEN 0 AND 1);
        CREATE TABLE every_type (
            id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 7) PRIMARY KEY,
            serial_no serial,
            n numeric, f double precision, r real, i2 smallint, b boolean,
            j json, jb jsonb, ints integer[], texts text[], bin bytea,
            t timestamp, tz timestamptz, d date, tm time, tmz timetz, iv interval,
            txt text, vc varchar(10), ch char(5), feeling mood, part share,
            span int4range, spans tstzrange, many int4multirange,
            u uuid, ip inet, m money, bits bit(3), pt point, words tsvector, rc regclass,
            pair every_pair, "Größe; ""odd"", x" text,
            doubled numeric GENERATED ALWAYS AS (n * 2) STORED
        );
    """,
    "001_every_type.down.sql": """
        DROP TABLE every_type; DROP TYPE every_pair; DROP DOMAIN share; DROP TYPE mood;
    """,
}

# One value per text column that COPY, CSV or a careless reader could mistake for something else.
TEXTS = [
    "",
    " ",
    "NULL",
    "\\N",
    "\\.",
    "a\n\\.\nb",
    "\\",
    '"',
    '""',
    "'",
    ",",
    "a,b",
    "line\nbreak",
    "carriage\rreturn",
    "both\r\n",
    "\n",
    "tab\t",
    "\ufeffmark",
    "emoji 🐘🇩🇪",
    "Ünïcödé",
    "%s $1 {}",
    "x" * 1_000_000,
    'é"\n,\\' * 50_000,
]


def fill_every_type(url: str) -> None:
    """Insert rows with every hard value there is."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("INSERT INTO every_type DEFAULT VALUES")
        for text in TEXTS:
            conn.execute(
                """INSERT INTO every_type
                       (txt, vc, ch, texts, bin, jb, j, pair, "Größe; ""odd"", x")
                   VALUES (%s, left(%s, 10), left(%s, 5), ARRAY[%s, NULL, 'NULL', ''],
                       convert_to(%s, 'UTF8'), to_jsonb(%s::text),
                       json_build_object('k',  %s::text), ROW(1, %s), %s)""",
                [text] * 9,
            )
        conn.execute(
            """INSERT INTO every_type (n, f, r, i2, b, ints, t, tz, d, tm, tmz, iv, feeling, part,
                   span, spans, many, u, ip, m, bits, pt, words, rc)
               VALUES
               (12345678901234567890.12345678901234567890, 0.1::float8 + 0.2, 1.1, -32768, true,
                '{{1,2},{3,NULL}}', 'infinity', '-infinity', 'infinity', '24:00',
                '23:59:59.999999-15',
                '-1 mons +3 days -04:05:06.789', 'so "so"', 0.5, '[1,5)',
                '["2020-01-01 00:00+05:30",)', '{[1,2),[5,7)}',
                '00000000-0000-0000-0000-000000000001', '::1/64', '-1234.56', B'101', '(1.5,-2)',
                'a:1 b:2', 'every_type'),
               ('NaN', 'NaN', '-Infinity', 0, false, '{}', '0044-03-15 BC', '9999-12-31 23:59+14',
                '4713-01-01 BC', '00:00', '00:00+00', '1 year 2 mons', 'sad', 1, 'empty', 'empty',
                '{}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '10.0.0.1', '0', B'000', '(NaN,0)',
                '', 'pg_class')"""
        )


def copied(url: str, table: str) -> bytes:
    """Return a table in COPY's text format: the oracle, which shares nothing with CSV."""
    with psycopg.connect(url) as conn:
        conn.execute("SET search_path = ''; SET extra_float_digits = 1; SET timezone = 'UTC'")
        query = sql.SQL("COPY (SELECT * FROM {} ORDER BY 1, 2) TO STDOUT").format(
            sql.Identifier("public", table)
        )
        with conn.cursor().copy(query) as copy:
            return b"".join(bytes(line) for line in copy)


def backup(url: str, folder: Path, out: Path, **options: Any) -> BackupReport:
    """Back up a folder's tables."""
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.backup(conn, lfmigrate.read_folder(folder), out=out, **options)


def restore(url: str, folder: Path, path: Path, **options: Any) -> RestoreReport:
    """Restore a backup."""
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.restore(conn, lfmigrate.read_folder(folder), path, **options)


def test_every_value_of_every_type_comes_back(database: str, folder: Write, tmp_path: Path) -> None:
    """Up, rows, rollback, up, restore: byte for byte, and the next insert gets the next id."""
    files = folder(EVERY_TYPE)
    up(database, files)
    fill_every_type(database)
    before = copied(database, "every_type")
    next_id = value(database, "SELECT max(id) + 7 FROM every_type")
    next_serial = value(database, "SELECT max(serial_no) + 1 FROM every_type")

    with closing(lfmigrate.connect(database)) as conn:
        report = lfmigrate.rollback(conn, lfmigrate.read_folder(files), backup_dir=tmp_path / "b")
    assert value(database, "SELECT to_regclass('every_type') IS NULL")
    assert report.backup is not None
    up(database, files)
    restore(database, files, report.backup)

    assert copied(database, "every_type") == before
    assert before.count(b"\n") == len(TEXTS) + 3
    execute(database, "INSERT INTO every_type DEFAULT VALUES")
    assert value(database, "SELECT max(id) FROM every_type") == next_id
    assert value(database, "SELECT max(serial_no) FROM every_type") == next_serial


def test_settings_of_the_role_do_not_change_what_is_written(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """A database that prefers other formats gives the same files, and takes them back."""
    files = folder(EVERY_TYPE)
    up(database, files)
    fill_every_type(database)
    name = value(database, "SELECT current_database()")
    plain = backup(database, files, tmp_path / "plain")
    execute(
        database,
        f"ALTER DATABASE {name} SET datestyle = 'German, DMY'",
        f"ALTER DATABASE {name} SET intervalstyle = 'sql_standard'",
        f"ALTER DATABASE {name} SET bytea_output = 'escape'",
        f"ALTER DATABASE {name} SET extra_float_digits = -5",
        f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'",
    )

    odd = backup(database, files, tmp_path / "odd")

    assert [t.sha256 for t in odd.tables] == [t.sha256 for t in plain.tables]
    before = copied(database, "every_type")
    restored = restore(database, files, odd.path, replace=True, backup_dir=tmp_path / "b")
    assert copied(database, "every_type") == before
    assert restored.saved is not None


@of_files
def test_the_files_are_private_and_psql_can_load_them(
    database: str, folder: Write, psql: Psql, tmp_path: Path
) -> None:
    """0700 and 0600; NULL is not the empty string; psql's copy reads them."""
    files = folder({"001_a.up.sql": "CREATE TABLE a (id int GENERATED ALWAYS AS IDENTITY, t text)"})
    up(database, files)
    execute(database, "INSERT INTO a (t) VALUES (NULL), (''), ('x')")
    report = backup(database, files, tmp_path / "out")

    assert stat.S_IMODE(report.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in report.path.iterdir()} == {0o600}
    assert (report.path / "a.csv").read_text() == 'id,t\n1,\n2,""\n3,x\n'
    before = copied(database, "a")
    execute(database, "TRUNCATE a")
    done = psql(database, "-c", rf"\copy a (id, t) FROM '{report.path}/a.csv' CSV HEADER")
    assert done.returncode == 0, done.stderr
    assert copied(database, "a") == before


@of_files
def test_the_manifest_says_what_is_in_the_folder(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """Tool, server, schema, applied versions; columns, rows, bytes, checksum, sequences."""
    files = folder({"007_a.up.sql": "CREATE TABLE a (id serial, t varchar(3))"})
    up(database, files)
    execute(database, "INSERT INTO a (t) VALUES ('x'), ('y')")
    report = backup(database, files, tmp_path / "out")

    manifest = json.loads((report.path / "manifest.json").read_text())
    assert manifest["tool_version"] == lfmigrate.__version__
    assert manifest["server_version"] == value(
        database, "SELECT current_setting('server_version_num')::int"
    )
    assert manifest["schema"] == "public"
    assert manifest["applied"] == ["007_a"]
    (table,) = manifest["tables"]
    assert table["columns"] == [["id", "integer"], ["t", "character varying(3)"]]
    assert table["rows"] == 2
    assert table["bytes"] == (report.path / "a.csv").stat().st_size
    (sequence,) = table["sequences"]
    assert (sequence["name"], sequence["last_value"], sequence["is_called"]) == (
        "a_id_seq",
        2,
        True,
    )


def test_all_tables_are_saved_as_of_one_moment(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """What is committed elsewhere while a backup runs is in none of its files."""
    files = folder({"001_a.up.sql": "CREATE TABLE a (n int, t text); CREATE TABLE b (n int)"})
    up(database, files)
    # More than fits between the server and the client, so that b waits for a.
    execute(database, "INSERT INTO a SELECT n, repeat('x', 1000) FROM generate_series(1, 20000) n")
    seen: list[CopyProgress] = []

    def insert(moved: CopyProgress) -> None:
        if not seen:
            execute(database, "INSERT INTO a VALUES (0)", "INSERT INTO b VALUES (0)")
        seen.append(moved)

    report = backup(database, files, tmp_path / "out", watch=insert)

    moved = [m.rows or 0 for m in seen if m.table == "a"]
    assert 0 < moved[0] < moved[-1] == 20_000
    assert moved == sorted(moved)
    assert [(t.name, t.rows) for t in report.tables] == [("a", 20_000), ("b", 0)]


CIRCLE = {
    "001_circle.up.sql": """
        CREATE TABLE a (id int PRIMARY KEY, b_id int, parent int REFERENCES a);
        CREATE TABLE b (id int PRIMARY KEY, c_id int);
        CREATE TABLE c (id int PRIMARY KEY, a_id int REFERENCES a DEFERRABLE);
        CREATE TABLE z_first (id int PRIMARY KEY, n int);
        CREATE TABLE a_last (id int REFERENCES z_first, c_id int REFERENCES c);
        ALTER TABLE a ADD CONSTRAINT a_b_fk FOREIGN KEY (b_id) REFERENCES b;
        ALTER TABLE b ADD CONSTRAINT b_c_fk FOREIGN KEY (c_id) REFERENCES c;
    """,
    "001_circle.down.sql": "",
}
CIRCLE_ROWS = (
    "INSERT INTO b VALUES (1, NULL), (2, NULL)",
    "INSERT INTO a VALUES (1, 2, NULL), (2, 1, 1), (0, 1, 2)",
    "INSERT INTO c VALUES (1, 2), (2, 1)",
    "UPDATE b SET c_id = 3 - id",
    "UPDATE a SET parent = 0 WHERE id = 1",
    "INSERT INTO z_first VALUES (1, 2)",
    "INSERT INTO a_last VALUES (1, 2)",
)


def test_foreign_keys_in_a_circle_are_satisfied_and_stay_as_they_were(
    database: str, folder: Write, dump: Callable[..., str], tmp_path: Path
) -> None:
    """A circle, a table that refers to itself, one that sorts before what it refers to."""
    files = folder(CIRCLE)
    up(database, files)
    execute(database, *CIRCLE_ROWS)
    tables = ("a", "b", "c", "z_first", "a_last")
    before, schema = [copied(database, t) for t in tables], dump(database)
    report = backup(database, files, tmp_path / "out")
    execute(database, "TRUNCATE a, b, c, z_first, a_last")

    restore(database, files, report.path)

    assert [copied(database, t) for t in tables] == before
    assert dump(database) == schema
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        execute(database, "INSERT INTO b VALUES (9, 9)")


def test_triggers_do_not_fire_and_stay_as_they_were(
    database: str, folder: Write, dump: Callable[..., str], tmp_path: Path
) -> None:
    """A trigger that stamps rows would make others of them."""
    files = folder(
        {
            "001_a.up.sql": """
                CREATE TABLE a (n int);
                CREATE FUNCTION add() RETURNS trigger LANGUAGE plpgsql AS $$
                    BEGIN NEW.n := NEW.n + 1; RETURN NEW; END $$;
                CREATE TRIGGER usual BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION add();
                CREATE TRIGGER always BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION add();
                CREATE TRIGGER off BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION add();
                CREATE TRIGGER replica BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION add();
                ALTER TABLE a ENABLE ALWAYS TRIGGER always;
                ALTER TABLE a DISABLE TRIGGER off;
                ALTER TABLE a ENABLE REPLICA TRIGGER replica;
            """
        }
    )
    up(database, files)
    execute(database, "INSERT INTO a VALUES (1)")
    schema = dump(database)
    report = backup(database, files, tmp_path / "out")
    execute(database, "TRUNCATE a")

    restore(database, files, report.path)

    assert value(database, "SELECT n FROM a") == 3
    assert dump(database) == schema


def test_triggers_do_not_fire_when_tables_are_emptied(
    database: str, folder: Write, dump: Callable[..., str], tmp_path: Path
) -> None:
    """One that writes down each TRUNCATE would add rows to those that are restored."""
    files = folder(
        {
            "001_a.up.sql": """
                CREATE TABLE a (n int);
                CREATE TABLE log (said text);
                CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$
                    BEGIN INSERT INTO log VALUES (TG_WHEN); RETURN NULL; END $$;
                CREATE TRIGGER before BEFORE TRUNCATE ON a EXECUTE FUNCTION say();
                CREATE TRIGGER after AFTER TRUNCATE ON a EXECUTE FUNCTION say();
                ALTER TABLE a ENABLE ALWAYS TRIGGER after;
            """
        }
    )
    up(database, files)
    execute(database, "INSERT INTO a VALUES (1)")
    before = dump(database, rows=True)
    report = backup(database, files, tmp_path / "out")
    execute(database, "INSERT INTO a VALUES (2)")

    restore(database, files, report.path, replace=True, backup_dir=tmp_path / "replaced")

    assert dump(database, rows=True) == before


def test_partitions_child_tables_odd_names_and_free_sequences_come_back(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """Each row once, in the table that it belongs to; file names that any system takes."""
    files = folder(
        {
            "001_a.up.sql": """
                CREATE TABLE parts (n int, m int GENERATED ALWAYS AS (n * 2) STORED)
                    PARTITION BY RANGE (n);
                CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (10);
                CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (10) TO (20);
                CREATE TABLE parent (n int);
                CREATE TABLE child (m int) INHERITS (parent);
                CREATE TABLE "Ä/../b; ""c"" d" (n int);
                CREATE TABLE "Ö/../b; ""c"" d" (n int);
                CREATE SEQUENCE free START 5;
            """
        }
    )
    up(database, files)
    execute(
        database,
        "INSERT INTO parts VALUES (1), (11)",
        "INSERT INTO parent VALUES (1)",
        "INSERT INTO child VALUES (2, 3)",
        'INSERT INTO "Ä/../b; ""c"" d" VALUES (4)',
        "SELECT setval('free', 42)",
    )
    report = backup(database, files, tmp_path / "out")
    execute(
        database,
        'TRUNCATE parts, parent, child, "Ä/../b; ""c"" d"',
        "SELECT setval('free', 1)",
    )

    restore(database, files, report.path)

    assert [t.name for t in report.tables] == [
        "child", "parent", "parts", 'Ä/../b; "c" d', 'Ö/../b; "c" d',
    ]  # fmt: skip
    assert all(path.name.isascii() for path in report.path.iterdir())
    assert value(database, "SELECT array_agg(n ORDER BY n) FROM parts") == [1, 11]
    assert value(database, "SELECT array_agg(n) FROM ONLY parent") == [1]
    assert value(database, "SELECT m FROM child") == 3
    assert value(database, 'SELECT n FROM "Ä/../b; ""c"" d"') == 4
    assert value(database, "SELECT nextval('free')") == 43


@pytest.mark.parametrize("way", ["backup", "rollback"])
def test_rows_without_a_column_to_save_come_back(
    database: str, folder: Write, tmp_path: Path, way: str
) -> None:
    """Such a row is an empty line: as many come back, each in the table that it was in."""
    files = folder(
        {
            "001_a.up.sql": """
                CREATE TABLE bare ();
                CREATE TABLE bare_child () INHERITS (bare);
                CREATE TABLE computed (n int GENERATED ALWAYS AS (7) STORED);
                CREATE TABLE gone (n int);
                ALTER TABLE gone DROP COLUMN n;
            """,
            "001_a.down.sql": "DROP TABLE bare_child, bare, computed, gone;",
        }
    )
    up(database, files)
    for table, rows in {"bare": 2, "bare_child": 3, "computed": 4, "gone": 1}.items():
        execute(database, *[f"INSERT INTO {table} DEFAULT VALUES"] * rows)
    if way == "backup":
        path = backup(database, files, tmp_path / "out").path
        execute(database, "TRUNCATE bare, computed, gone")
    else:
        with closing(lfmigrate.connect(database)) as conn:
            undone = lfmigrate.rollback(conn, lfmigrate.read_folder(files), backup_dir=tmp_path)
        assert undone.backup is not None
        path = undone.backup
        up(database, files)

    restore(database, files, path)

    assert [(t.name, t.rows) for t in read(path).tables] == [
        ("bare", 2), ("bare_child", 3), ("computed", 4), ("gone", 1),
    ]  # fmt: skip
    assert value(database, "SELECT count(*) FROM ONLY bare") == 2
    assert value(database, "SELECT count(*) FROM bare_child") == 3
    assert value(database, "SELECT array_agg(n) FROM computed") == [7] * 4
    assert value(database, "SELECT count(*) FROM gone") == 1


TWO = {"001_a.up.sql": "CREATE TABLE a (id serial, n int CHECK (n < 9)); CREATE TABLE b (n int)"}


@pytest.fixture
def saved(database: str, folder: Write, tmp_path: Path) -> tuple[str, Path, Path]:
    """Return a database, its folder of migrations, and a backup of two tables with rows."""
    files = folder(TWO)
    up(database, files)
    execute(database, "INSERT INTO a (n) VALUES (1), (2)", "INSERT INTO b VALUES (3)")
    return database, files, backup(database, files, tmp_path / "out").path


def test_tables_with_rows_are_left_alone_unless_replaced(
    saved: tuple[str, Path, Path], tmp_path: Path
) -> None:
    """Refused with their names; replaced, what was there before is saved first."""
    url, files, path = saved
    execute(url, "DELETE FROM a", "INSERT INTO b VALUES (4)")

    with pytest.raises(Refused, match="1 table is not empty") as caught:
        restore(url, files, path)
    assert "table public.b, rows: 2" in caught.value.facts
    assert value(url, "SELECT count(*) FROM a") == 0

    report = restore(url, files, path, replace=True, backup_dir=tmp_path / "more")

    assert value(url, "SELECT array_agg(n ORDER BY n) FROM b") == [3]
    assert value(url, "SELECT array_agg(n ORDER BY n) FROM a") == [1, 2]
    assert report.saved is not None
    kept = {table.name: table.rows for table in read(report.saved).tables}
    assert kept == {"a": 0, "b": 2}


def _truncate(path: Path) -> None:
    (path / "a.csv").write_bytes((path / "a.csv").read_bytes()[:-2])


def _flip(path: Path) -> None:
    content = bytearray((path / "a.csv").read_bytes())
    content[-2] ^= 1
    (path / "a.csv").write_bytes(content)


def _edit_manifest(path: Path, change: Callable[[dict[str, Any]], object], *, sign: bool) -> None:
    from lfmigrate.rows.archive import _checksum  # noqa: PLC0415 (an attacker has it as well)

    file = path / "manifest.json"
    document = json.loads(file.read_text())
    reported = document.pop("sha256")
    change(document)
    document["sha256"] = _checksum(document) if sign else reported
    file.write_text(json.dumps(document))


def _leave_the_folder(path: Path) -> None:
    (path.parent / "a.csv").write_bytes((path / "a.csv").read_bytes())
    _edit_manifest(path, lambda d: d["tables"][0].update(file="../a.csv"), sign=True)


def _link(path: Path) -> None:
    (path.parent / "a.csv").write_bytes((path / "a.csv").read_bytes())
    (path / "a.csv").unlink()
    (path / "a.csv").symlink_to(path.parent / "a.csv")


@of_files
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_truncate, "a.csv has 11 bytes instead of 13"),
        (_flip, "a.csv does not match its checksum"),
        (lambda p: (p / "a.csv").unlink(), "a.csv is missing"),
        (_link, "a.csv is not a regular file"),
        (_leave_the_folder, "'../a.csv' is not a file of a backup"),
        (lambda p: (p / "manifest.json").unlink(), "No such file"),
        (lambda p: (p / "manifest.json").write_text("{"), "damaged"),
        (lambda p: (p / "manifest.json").write_text("[]"), "damaged"),
        (lambda p: (p / "manifest.json").write_bytes(b"\xff"), "not UTF-8"),
        (lambda p: _edit_manifest(p, lambda d: d.update(schema="x"), sign=False), "was changed"),
        (
            lambda p: _edit_manifest(p, lambda d: d.update(format=99), sign=True),
            "a format other than 1",
        ),
        (lambda p: _edit_manifest(p, lambda d: d.pop("tables"), sign=True), "tables is missing"),
        (
            lambda p: _edit_manifest(p, lambda d: d.update(tables=[3]), sign=True),
            "not the manifest",
        ),
        (
            lambda p: _edit_manifest(p, lambda d: d["tables"][0].update(name=3), sign=True),
            "expected text",
        ),
    ],
)
def test_a_damaged_backup_is_refused_before_anything_is_written(
    damage: Callable[[Path], object], words: str, saved: tuple[str, Path, Path]
) -> None:
    """Truncated, changed, incomplete, pointing elsewhere: exit code 2, and nothing written."""
    url, files, path = saved
    execute(url, "TRUNCATE a, b")
    damage(path)

    with pytest.raises(ArchiveError) as caught:
        restore(url, files, path)

    assert words in " ".join((caught.value.message, *caught.value.facts))
    assert caught.value.exit_code == 2
    assert value(url, "SELECT count(*) FROM b") == 0


@of_files
@pytest.mark.parametrize("into", [None, "looked_at"])
def test_damage_that_the_server_finds_first_is_reported_as_damage(
    into: str | None, saved: tuple[str, Path, Path]
) -> None:
    """A number becomes none on the way; every damaged file is named, also one that was not read."""
    url, files, path = saved
    execute(url, "TRUNCATE a, b")
    for file in ("a.csv", "b.csv"):
        content = (path / file).read_bytes()
        (path / file).write_bytes(content[:-2] + b"x\n")

    with pytest.raises(ArchiveError) as caught:
        restore(url, files, path, into=into)

    assert caught.value.detail == tuple(f"{f}.csv does not match its checksum" for f in "ab")
    assert caught.value.outcome == NOTHING_CHANGED
    assert value(url, "SELECT count(*) FROM a") == 0
    assert value(url, "SELECT to_regnamespace('looked_at') IS NULL")


@of_files
def test_a_backup_of_another_database_is_refused(
    saved: tuple[str, Path, Path], create_database: Callable[..., str]
) -> None:
    """Both are named."""
    url, files, path = saved
    other = create_database()
    up(other, files)

    with pytest.raises(Refused, match="the backup is of database") as caught:
        restore(other, files, path)

    assert value(url, "SELECT current_database()") in caught.value.message
    assert value(other, "SELECT count(*) FROM a") == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("ALTER TABLE a ADD extra int", "has a column extra that the backup does not have"),
        ("ALTER TABLE a DROP n", "has no column n any more"),
        (
            "ALTER TABLE a DROP n, ADD n int GENERATED ALWAYS AS (1) STORED",
            "column n is computed by the server now",
        ),
        ("DROP TABLE a", "table public.a does not exist"),
    ],
)
def test_a_table_that_has_changed_since_is_named(
    change: str, words: str, saved: tuple[str, Path, Path]
) -> None:
    """Before anything is written."""
    url, files, path = saved
    execute(url, "TRUNCATE a, b", change)

    with pytest.raises(DifferenceFound) as caught:
        restore(url, files, path)

    assert words in " ".join(caught.value.facts)
    assert value(url, "SELECT count(*) FROM b") == 0


def test_a_row_that_is_not_accepted_brings_back_nothing(saved: tuple[str, Path, Path]) -> None:
    """Rows, triggers and sequences are as before."""
    url, files, path = saved
    execute(
        url, "TRUNCATE a, b", "ALTER TABLE b ADD CHECK (n > 100)", "SELECT setval('a_id_seq', 77)"
    )

    with pytest.raises(StatementFailed) as caught:
        restore(url, files, path)

    assert caught.value.sqlstate == "23514"
    assert value(url, "SELECT count(*) FROM a") == 0
    assert value(url, "SELECT last_value FROM a_id_seq") == 77


def test_a_foreign_key_from_outside_is_not_broken_by_a_replacement(
    saved: tuple[str, Path, Path], tmp_path: Path
) -> None:
    """Emptying a table that others refer to is refused by the server; their rows stay."""
    url, files, path = saved
    execute(
        url,
        "ALTER TABLE a ADD PRIMARY KEY (id)",
        "CREATE TABLE theirs (a_id int REFERENCES a ON DELETE CASCADE)",
        "INSERT INTO theirs VALUES (1)",
    )

    with pytest.raises(Refused, match="outside the migrations refer") as caught:
        restore(url, files, path, replace=True, backup_dir=tmp_path)

    assert '"theirs"' in " ".join(caught.value.facts)
    assert value(url, "SELECT count(*) FROM theirs") == 1
    assert value(url, "SELECT count(*) FROM a") == 2


@of_files
def test_a_folder_that_is_there_or_cannot_be_made_is_refused(
    saved: tuple[str, Path, Path], tmp_path: Path
) -> None:
    """A backup never replaces another one; nothing half-written is left."""
    url, files, path = saved
    before = sorted(tmp_path.rglob("*"))

    with pytest.raises(Refused, match="already exists"):
        backup(url, files, path)
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="could not be written"):
        backup(url, files, tmp_path / "file" / "out")

    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "file"])


@of_files
def test_nothing_to_save_is_said(database: str, folder: Write, cli: Cli, tmp_path: Path) -> None:
    """An empty database has no backup."""
    done = cli("backup", "--sql-dir", folder(TWO), "--database-url", database)
    assert done.returncode == 5
    assert "the migrations have no table to save" in done.stderr
    assert not (tmp_path / "cwd" / "lfmigrate-backups").exists()


@of_files
def test_the_commands_say_what_they_did(
    saved: tuple[str, Path, Path], cli: Cli, tmp_path: Path
) -> None:
    """The path is the last thing printed; --json has the contract's keys."""
    url, files, path = saved
    done = cli("backup", "--sql-dir", files, "--database-url", url)
    assert done.returncode == 0, done.stderr
    made = tmp_path / "cwd" / done.stdout.splitlines()[-1]
    assert len(read(made).tables) == 2
    assert "3 rows saved" in done.stdout

    asked = cli("restore", made, "--replace", "--sql-dir", files, "--database-url", url)
    assert asked.returncode == 5
    assert "not confirmed" in asked.stderr
    done = cli(
        "restore", made, "--replace", "--yes", "--json", "--sql-dir", files, "--database-url", url
    )
    document = json.loads(done.stdout)
    assert document["path"] == str(made)
    assert [(t["name"], t["rows"]) for t in document["tables"]] == [("a", 2), ("b", 1)]
    assert len(read(tmp_path / "cwd" / document["backup"]).tables) == 2
    assert path.exists()


def test_a_backup_of_other_schemas_goes_back_there(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """With --schema, names with quotes; a table of another schema keeps its own."""
    files = folder(
        {
            "001_a.up.sql": "CREATE SCHEMA other; CREATE TABLE other.o (n int);"
            " CREATE TABLE t (n int)"
        }
    )
    execute(database, 'CREATE SCHEMA "My ""S"""')
    scope = lfmigrate.Scope(schema='My "S"')
    with closing(lfmigrate.connect(database)) as conn:
        lfmigrate.up(conn, lfmigrate.read_folder(files), scope=scope)
    execute(database, 'INSERT INTO "My ""S""".t VALUES (1)', "INSERT INTO other.o VALUES (2)")
    report = backup(database, files, tmp_path / "out", scope=scope)
    execute(database, 'TRUNCATE "My ""S""".t, other.o')

    restore(database, files, report.path, scope=scope)

    assert value(database, 'SELECT n FROM "My ""S""".t') == 1
    assert value(database, "SELECT n FROM other.o") == 2


def test_without_a_history_the_files_tell_which_tables_are_meant(
    database: str, folder: Write, psql: Psql, tmp_path: Path
) -> None:
    """Tables that psql made are saved all the same."""
    files = folder(TWO)
    assert psql(database, "-f", str(files / "001_a.up.sql")).returncode == 0
    execute(database, "INSERT INTO b VALUES (1)", "CREATE TABLE theirs (n int)")

    report = backup(database, files, tmp_path / "out")

    assert [(t.name, t.rows) for t in report.tables] == [("a", 0), ("b", 1)]


# getrusage would count the process that this one was forked from.
MEMORY = r"""
import re, sys
from pathlib import Path
import lfmigrate
url, folder, path = sys.argv[1:]
with lfmigrate.connect(url) as conn:
    files = lfmigrate.read_folder(folder)
    lfmigrate.backup(conn, files, out=Path(path))
    conn.execute("TRUNCATE big")
    lfmigrate.restore(conn, files, Path(path))
print(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.any_version
@pytest.mark.process
def test_a_million_rows_need_little_memory(database: str, folder: Write, tmp_path: Path) -> None:
    """Backed up and restored in one process of less than 150 MB."""
    files = folder({"001_a.up.sql": "CREATE TABLE big (n int, t text)"})
    up(database, files)
    execute(
        database, "INSERT INTO big SELECT n, repeat('x', 100) FROM generate_series(1, 1000000) n"
    )

    done = subprocess.run(
        [sys.executable, "-c", MEMORY, database, str(files), str(tmp_path / "out")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 150_000
    assert value(database, "SELECT count(*) FROM big") == 1_000_000


def limit_files() -> None:
    """Let no file grow beyond 100 kB: as a full disk, for this process alone."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


@of_files
@pytest.mark.process
@pytest.mark.parametrize("command", [("backup",), ("rollback", "--yes")])
def test_a_full_disk_ends_it_and_nothing_is_lost(
    command: tuple[str, ...], database: str, folder: Write, tmp_path: Path
) -> None:
    """Exit code 5; the rows are where they were, and no half of a backup is left."""
    files = folder({"001_a.up.sql": "CREATE TABLE a (t text)", "001_a.down.sql": "DROP TABLE a"})
    up(database, files)
    execute(database, "INSERT INTO a SELECT repeat('x', 1000) FROM generate_series(1, 5000)")

    done = subprocess.run(
        [sys.executable, "-m", "lfmigrate", *command, "--sql-dir", str(files)],
        capture_output=True, text=True, check=False, cwd=tmp_path, preexec_fn=limit_files,
        env={**os.environ, "DATABASE_URL": database},
    )  # fmt: skip

    assert done.returncode == 5, done.stderr
    assert "the backup could not be written: File too large" in done.stderr
    assert "Nothing was changed." in done.stderr
    assert list((tmp_path / "lfmigrate-backups").iterdir()) == []
    assert value(database, "SELECT count(*) FROM a") == 5000


def test_rows_that_a_policy_hides_are_an_error_and_not_left_out(
    database: str, folder: Write, server_url: str, tmp_path: Path
) -> None:
    """A backup without some of the rows would be none."""
    files = folder(TWO)
    up(database, files)
    role = value(database, "SELECT 'lf_role_' || substr(md5(random()::text), 1, 12)")
    execute(
        database,
        f"CREATE ROLE {role} LOGIN",
        f"GRANT USAGE ON SCHEMA lfmigrate TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA lfmigrate, public TO {role}",
        f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
        "ALTER TABLE a ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY few ON a TO {role} USING (n = 1)",
    )
    try:
        with pytest.raises(LfmigrateError, match="row-level security"):
            backup(psycopg.conninfo.make_conninfo(database, user=role), files, tmp_path / "out")
    finally:
        execute(database, f"DROP OWNED BY {role}", f"DROP ROLE {role}")
    assert server_url
    assert not (tmp_path / "out").exists()


@of_files
def test_the_csv_is_what_a_spreadsheet_reads(
    saved: tuple[str, Path, Path],
) -> None:
    """Python's own csv module finds the same rows."""
    path: Archive = read(saved[2])
    with (path.path / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"id": "1", "n": "1"}, {"id": "2", "n": "2"}]


def test_large_objects_are_not_saved_and_that_is_said(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """A row has only the number of one; other numbers are none."""
    files = folder(
        {
            "001_a.up.sql": "CREATE DOMAIN lo AS oid; CREATE TABLE a (body oid, more lo, kind oid);"
            "INSERT INTO a VALUES (lo_from_bytea(0, 'x'), lo_from_bytea(0, 'y'), 1259),"
            " (lo_from_bytea(0, 'z'), NULL, NULL)"
        }
    )
    up(database, files)

    assert backup(database, files, tmp_path / "out").notes == (
        "not saved: large objects whose numbers column public.a.body has: 2",
        "not saved: large objects whose numbers column public.a.more has: 1",
    )
