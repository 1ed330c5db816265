"""What could be backed up can be restored: the same rows, under the same rules, as they were."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

import lfmigrate
from lfmigrate.commands.restore import RestoreReport
from lfmigrate.errors import DifferenceFound
from tests.helpers.commands import up
from tests.helpers.databases import drop_databases, execute, fetch, value

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]

V18 = 180_000


def backup(url: str, folder: Path, out: Path, **options: Any) -> Path:
    """Back up a folder's tables."""
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.backup(conn, lfmigrate.read_folder(folder), out=out, **options).path


def restore(url: str, folder: Path, path: Path, **options: Any) -> RestoreReport:
    """Restore a backup."""
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.restore(conn, lfmigrate.read_folder(folder), path, **options)


def empty(url: str) -> None:
    """Empty every table of the schema public."""
    names = fetch(
        url,
        "SELECT oid::regclass::text FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')",
    )
    execute(url, f"TRUNCATE {', '.join(names)}")


PLUS = """
    CREATE FUNCTION plus() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.n := NEW.n + 100; RETURN NEW; END $$;
"""

# Each has rows that its own rules would reject or change, if they were inserted like others.
ODD = {
    "a check that is not valid": """
        CREATE TABLE a (n int);
        INSERT INTO a VALUES (-1), (1);
        ALTER TABLE a ADD CONSTRAINT a_positive CHECK (n > 0) NOT VALID;
        COMMENT ON CONSTRAINT a_positive ON a IS 'for new rows, and a \\ ''quote''';
    """,
    "a foreign key that is not valid": """
        CREATE TABLE b (id int PRIMARY KEY);
        CREATE TABLE b_child (id int);
        INSERT INTO b_child VALUES (7);
        ALTER TABLE b_child ADD CONSTRAINT b_key FOREIGN KEY (id) REFERENCES b
            ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED NOT VALID;
    """,
    "checks of a partition and of child tables": """
        CREATE TABLE c (n int, k int) PARTITION BY LIST (k);
        CREATE TABLE c1 PARTITION OF c FOR VALUES IN (1);
        CREATE TABLE c2 PARTITION OF c FOR VALUES IN (2);
        INSERT INTO c VALUES (-1, 1), (-2, 2);
        ALTER TABLE c1 ADD CONSTRAINT c_check CHECK (n > 0) NOT VALID;
        ALTER TABLE c ADD CONSTRAINT c_check CHECK (n > 0) NOT VALID;
        ALTER TABLE c2 ADD CONSTRAINT c2_check CHECK (n <> -2) NOT VALID;
        CREATE TABLE d (n int);
        CREATE TABLE d_child () INHERITS (d);
        CREATE TABLE d_grandchild () INHERITS (d_child);
        INSERT INTO d VALUES (-1);
        INSERT INTO d_child VALUES (-2);
        ALTER TABLE d_child ADD CONSTRAINT d_check CHECK (n > 0) NOT VALID;
        ALTER TABLE d ADD CONSTRAINT d_check CHECK (n > 0) NOT VALID;
        ALTER TABLE d ADD CONSTRAINT d_alone CHECK (n > 0) NO INHERIT NOT VALID;
        ALTER TABLE ONLY d_grandchild VALIDATE CONSTRAINT d_check;
        COMMENT ON CONSTRAINT d_check ON d_grandchild IS 'validated';
    """,
    "a domain": """
        CREATE DOMAIN "A share" AS numeric;
        CREATE TYPE pair AS (a "A share", b int);
        CREATE TABLE e (x pair[]);
        INSERT INTO e VALUES (ARRAY[ROW(7, 1)::pair]);
        ALTER DOMAIN "A share" ADD CONSTRAINT "at most 1" CHECK (VALUE <= 1) NOT VALID;
        COMMENT ON CONSTRAINT "at most 1" ON DOMAIN "A share" IS 'of the whole';
    """,
    "foreign keys of one name in a circle": """
        CREATE TABLE f (id int PRIMARY KEY, g_id int);
        CREATE TABLE g (id int PRIMARY KEY, f_id int CONSTRAINT other REFERENCES f);
        CREATE TABLE h (id int PRIMARY KEY, f_id int CONSTRAINT other REFERENCES f);
        INSERT INTO f VALUES (1, 1);
        INSERT INTO g VALUES (1, 1);
        INSERT INTO h VALUES (1, 1);
        ALTER TABLE f ADD CONSTRAINT other FOREIGN KEY (g_id) REFERENCES g;
        ALTER TABLE f ADD CONSTRAINT more FOREIGN KEY (g_id) REFERENCES g DEFERRABLE;
    """,
    "foreign keys of one partition": """
        CREATE TABLE i (id int, k int, j_id int) PARTITION BY LIST (k);
        CREATE TABLE i1 PARTITION OF i (PRIMARY KEY (id)) FOR VALUES IN (1);
        CREATE TABLE i2 PARTITION OF i FOR VALUES IN (2);
        CREATE TABLE j (id int PRIMARY KEY, i_id int REFERENCES i1);
        ALTER TABLE i2 ADD FOREIGN KEY (j_id) REFERENCES j;
        ALTER TABLE i2 ADD CONSTRAINT "to i1" FOREIGN KEY (j_id) REFERENCES i1;
        INSERT INTO i VALUES (5, 1, NULL);
        INSERT INTO j VALUES (5, 5);
        INSERT INTO i VALUES (6, 2, 5);
        CREATE TABLE a_first (id int, k int) PARTITION BY LIST (k);
        CREATE TABLE a_first1 PARTITION OF a_first FOR VALUES IN (1);
        ALTER TABLE a_first1 ADD FOREIGN KEY (id) REFERENCES j;
        INSERT INTO a_first VALUES (5, 1);
    """,
    "a circle through partitions": """
        CREATE TABLE k (id int PRIMARY KEY, l_id int) PARTITION BY LIST (id);
        CREATE TABLE k1 PARTITION OF k FOR VALUES IN (1);
        CREATE TABLE l (id int PRIMARY KEY, k_id int REFERENCES k);
        INSERT INTO k VALUES (1, 1);
        INSERT INTO l VALUES (1, 1);
        ALTER TABLE k ADD FOREIGN KEY (l_id) REFERENCES l;
    """,
    "triggers of partitions, each in a state of its own": """
        CREATE TABLE m (n int, k int) PARTITION BY LIST (k);
        CREATE TABLE m1 PARTITION OF m FOR VALUES IN (1);
        CREATE TABLE m2 PARTITION OF m FOR VALUES IN (2);
        CREATE TABLE m3 PARTITION OF m FOR VALUES IN (3) PARTITION BY LIST (k);
        CREATE TABLE m33 PARTITION OF m3 FOR VALUES IN (3);
        INSERT INTO m VALUES (1, 1), (2, 2), (3, 3);
        CREATE TRIGGER plus BEFORE INSERT ON m FOR EACH ROW EXECUTE FUNCTION plus();
        CREATE TRIGGER own BEFORE INSERT ON m2 FOR EACH ROW EXECUTE FUNCTION plus();
        CREATE TRIGGER replica BEFORE INSERT ON m FOR EACH ROW EXECUTE FUNCTION plus();
        ALTER TABLE m1 DISABLE TRIGGER plus;
        ALTER TABLE m2 ENABLE ALWAYS TRIGGER plus;
        ALTER TABLE m2 ENABLE REPLICA TRIGGER replica;
        ALTER TABLE m33 DISABLE TRIGGER replica;
    """,
    "a constraint trigger that names another table": """
        CREATE TABLE o (n int);
        INSERT INTO o VALUES (1);
        CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON o FROM a DEFERRABLE
            FOR EACH ROW EXECUTE FUNCTION plus();
    """,
    "two sequences of one column": """
        CREATE TABLE p (id serial, m int GENERATED BY DEFAULT AS IDENTITY);
        CREATE SEQUENCE p_more OWNED BY p.id;
        CREATE SEQUENCE p_other OWNED BY p.id;
        SELECT setval('p_id_seq', 11), setval('p_more', 22), setval('p_other', 33, false);
        INSERT INTO p (id) VALUES (1);
    """,
    "no columns, or none that are copied": """
        CREATE TABLE q ();
        INSERT INTO q DEFAULT VALUES;
        INSERT INTO q DEFAULT VALUES;
        CREATE TABLE r (n int GENERATED ALWAYS AS (7) STORED);
        INSERT INTO r DEFAULT VALUES;
        CREATE TABLE r_child () INHERITS (q);
        INSERT INTO r_child DEFAULT VALUES;
        CREATE TABLE s (k int, n int GENERATED ALWAYS AS (k * 2) STORED) PARTITION BY LIST (k);
        CREATE TABLE s1 PARTITION OF s DEFAULT;
        INSERT INTO s VALUES (1), (NULL);
    """,
    "arrays with NULL": """
        CREATE TABLE t (a text[], b int[]);
        INSERT INTO t VALUES (ARRAY['NULL', NULL, 'null'], ARRAY[NULL, 1]);
    """,
}
ODD_18 = {
    "not null that is not valid": """
        CREATE TABLE u (n int);
        INSERT INTO u VALUES (NULL);
        ALTER TABLE u ADD CONSTRAINT u_given NOT NULL n NOT VALID;
        COMMENT ON CONSTRAINT u_given ON u IS 'soon';
        CREATE TABLE v (n int, k int) PARTITION BY LIST (k);
        CREATE TABLE v1 PARTITION OF v FOR VALUES IN (1);
        INSERT INTO v VALUES (NULL, 1);
        ALTER TABLE v ADD CONSTRAINT v_given NOT NULL n NOT VALID;
    """,
    "not enforced": """
        CREATE TABLE w (id int PRIMARY KEY, n int, CONSTRAINT w_never CHECK (n > 0) NOT ENFORCED);
        CREATE TABLE x (w_id int REFERENCES w NOT ENFORCED);
        ALTER TABLE w ADD x_id int REFERENCES w NOT ENFORCED;
        INSERT INTO w VALUES (1, -1, 9);
        INSERT INTO x VALUES (8);
    """,
    "a partitioned table's foreign key that is not valid": """
        CREATE TABLE y (id int PRIMARY KEY);
        CREATE TABLE z (y_id int, k int) PARTITION BY LIST (k);
        CREATE TABLE z1 PARTITION OF z FOR VALUES IN (1);
        INSERT INTO z VALUES (9, 1);
        ALTER TABLE z ADD CONSTRAINT z_key FOREIGN KEY (y_id) REFERENCES y NOT VALID;
    """,
    "virtual columns": """
        CREATE TABLE virtual (n int, m int GENERATED ALWAYS AS (n * 2));
        INSERT INTO virtual VALUES (1);
    """,
}


STATES = """
    SELECT concat_ws(' ', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger
    WHERE tgconstrrelid = 0
    UNION ALL
    SELECT concat_ws(' ', conrelid::regclass, contypid::regtype, conname, convalidated, conislocal,
        coninhcount, condeferrable, condeferred, obj_description(oid, 'pg_constraint'))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    ORDER BY 1
"""


def test_rows_that_the_tables_rules_would_reject_or_change_come_back(
    database: str, folder: Write, dump: Dump, server_version: int, tmp_path: Path
) -> None:
    """Equal to pg_dump: rows, constraints, comments, the state of each trigger of each table."""
    odd = ODD | (ODD_18 if server_version >= V18 else {})
    files = folder({"001_odd.up.sql": PLUS + "".join(odd.values())})
    up(database, files)
    before, states = dump(database, rows=True), fetch(database, STATES)
    path = backup(database, files, tmp_path / "out")
    empty(database)
    execute(database, "SELECT setval('p_id_seq', 1), setval('p_more', 1), setval('p_other', 1)")
    execute(database, f"ALTER DATABASE {psycopg.conninfo.conninfo_to_dict(database)['dbname']}"
            " SET array_nulls = off")  # fmt: skip

    restore(database, files, path)

    assert dump(database, rows=True) == before
    # Of what partitions and child tables inherit, pg_dump does not show everything.
    assert fetch(database, STATES) == states
    assert {"m1 plus D", "m2 plus A", "m2 replica R", "m33 replica D"} <= set(states)
    with pytest.raises(psycopg.errors.CheckViolation):
        execute(database, "INSERT INTO c VALUES (-3, 1)")
    with pytest.raises(psycopg.errors.CheckViolation):
        execute(database, "INSERT INTO d_grandchild VALUES (-3)")
    assert sql is not None


# Every kind of name that PostgreSQL accepts; some differ in case only.
NAMES = [
    "-x", ".", "..", ".x", "a/b", "a\\b", "A", "a", "a'b", 'a"b', "a\nb", "CON", "con", "%s", "$1",
    "{}", "\u00e9" * 31, "\u4e2d" * 21, "\U0001f418" * 15, "y" * 63, "manifest.json", " ", "\\.",
    "--", "/*",
]  # fmt: skip


def test_names_of_every_kind_round_trip(database: str, folder: Write, tmp_path: Path) -> None:
    """Of schemas, tables, columns, sequences, triggers and constraints."""
    with psycopg.connect(database) as conn:
        texts = []
        for number, name in enumerate(NAMES):
            quoted = sql.Identifier(name).as_string(conn)
            table = f"{quoted if number % 2 else 'public'}.{quoted}"
            if number % 2:
                texts.append(f"CREATE SCHEMA {quoted};")
            texts.append(
                f"""CREATE TABLE {table} ({quoted} serial);
                INSERT INTO {table} VALUES ({number});
                ALTER TABLE {table} ADD CONSTRAINT {quoted} CHECK (false) NOT VALID;
                CREATE TRIGGER {quoted} BEFORE INSERT ON {table} EXECUTE FUNCTION plus();"""
            )
    files = folder({"001_a.up.sql": PLUS + "".join(texts)})
    up(database, files)
    path = backup(database, files, tmp_path / "out")
    names = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND oid >= 16384"
    tables = [t for t in fetch(database, names) if not t.startswith("lfmigrate")]
    every = "SELECT array_agg(n ORDER BY n) FROM ({}) AS a (n)".format(
        " UNION ALL ".join(f"SELECT * FROM {table}" for table in tables)
    )
    before = value(database, every)
    execute(database, f"TRUNCATE {', '.join(tables)}")

    restore(database, files, path)

    assert value(database, every) == before == list(range(len(NAMES)))


def test_a_backup_of_one_schema_leaves_it_alone_when_it_goes_to_another(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """Tables, their sequences, and sequences that no column owns."""
    files = folder({"001_a.up.sql": "CREATE TABLE a (id serial); CREATE SEQUENCE free"})
    for schema in ("one", "two"):
        execute(database, f"CREATE SCHEMA {schema}")
        up(database, files, scope=lfmigrate.Scope(schema=schema))
    execute(database, "INSERT INTO one.a VALUES (1)", "SELECT setval('one.free', 7)",
            "SELECT setval('one.a_id_seq', 8)")  # fmt: skip
    path = backup(database, files, tmp_path / "out", scope=lfmigrate.Scope(schema="one"))
    execute(database, "SELECT setval('one.free', 70)", "SELECT setval('one.a_id_seq', 80)")

    restore(database, files, path, scope=lfmigrate.Scope(schema="two"))

    positions = (
        "SELECT ARRAY[(SELECT last_value FROM {0}.free), (SELECT last_value FROM {0}.a_id_seq)]"
    )
    assert value(database, positions.format("one")) == [70, 80]
    assert value(database, positions.format("two")) == [7, 8]
    assert value(database, "SELECT id FROM two.a") == 1


@pytest.mark.parametrize(
    ("options", "at", "now", "after", "stays"),
    [
        ("", 7, 500, 500, True),
        ("", 500, 7, 500, False),
        ("", 7, 7, 7, False),
        ("INCREMENT -1", -7, -500, -500, True),
        ("INCREMENT -1", -500, -7, -500, False),
        ("", 2**63 - 1, 2**63 - 1, 2**63 - 1, False),
    ],
)
def test_a_sequence_of_its_own_is_not_set_back(
    options: str, at: int, now: int, after: int, *, stays: bool,
    database: str, folder: Write, tmp_path: Path,
) -> None:  # fmt: skip
    """Its numbers would be given out twice, and nothing has saved where it was."""
    files = folder({"001_a.up.sql": f"CREATE TABLE a (n int); CREATE SEQUENCE free {options}"})
    up(database, files)
    execute(database, f"SELECT setval('free', {at})")
    path = backup(database, files, tmp_path / "out")
    execute(database, f"SELECT setval('free', {now})", "INSERT INTO a VALUES (1)")

    report = restore(database, files, path, replace=True, backup_dir=tmp_path)

    assert value(database, "SELECT last_value FROM free") == after
    assert any("public.free is ahead" in note for note in report.notes) == stays


def test_a_sequence_that_is_gone_is_named_before_anything_is_written(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """As a table is."""
    files = folder({"001_a.up.sql": "CREATE TABLE a (id serial); CREATE SEQUENCE free"})
    up(database, files)
    path = backup(database, files, tmp_path / "out")
    execute(database, "DROP SEQUENCE free")

    with pytest.raises(DifferenceFound) as caught:
        restore(database, files, path)
    assert caught.value.detail == ("sequence public.free does not exist",)


def test_a_database_without_an_encoding_keeps_its_bytes(
    server_url: str, folder: Write, tmp_path: Path
) -> None:
    """In SQL_ASCII, text is any bytes but zero; nothing is converted or rejected."""
    name = f"lf_test_{uuid4().hex[:12]}"
    created = f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII'"
    # From 15 on, a template may have another provider, which knows no such encoding.
    version = value(server_url, "SELECT current_setting('server_version_num')::int")
    provider = "LOCALE_PROVIDER libc" if version >= 150_000 else ""
    execute(server_url, f"{created} {provider} LC_COLLATE 'C' LC_CTYPE 'C'")
    url = make_conninfo(server_url, dbname=name)
    try:
        files = folder({"001_a.up.sql": "CREATE TABLE a (t text)"})
        up(url, files)
        execute(url, r"INSERT INTO a VALUES (E'\xff\xe4'), (E'\xc3\xa4'), (E'\xc3'), ('a')")
        before = value(url, "SELECT array_agg(t::bytea ORDER BY t) FROM a")
        path = backup(url, files, tmp_path / "out")
        execute(url, "TRUNCATE a")

        restore(url, files, path)

        assert value(url, "SELECT array_agg(t::bytea ORDER BY t) FROM a") == before
        assert b"\xff\xe4\n" in (path / "a.csv").read_bytes()
    finally:
        drop_databases(server_url, name)


# Type and value, the type afterwards, and what is restored; None if it is refused.
RETYPED = [
    ("numeric(12,4)", "1.2345", "numeric(12,1)", None),
    ("numeric(12,4)", "1.5000", "numeric(12,1)", "1.5"),
    ("numeric(12,4)", "3.0000", "integer", "3"),
    ("numeric(12,4)", "3.5000", "integer", None),
    ("numeric", "1e400", "double precision", None),
    ("timestamp", "2020-01-01 10:00", "date", None),
    ("timestamp", "2020-01-01 00:00", "date", "2020-01-01"),
    ("timestamptz", "2020-01-01 10:00+02", "timestamp", "2020-01-01 08:00:00"),
    ("timestamp(6)", "2020-01-01 10:00:00.123456", "timestamp(3)", None),
    ("integer", "7", "bigint", "7"),
    ("bigint", "7", "integer", "7"),
    ("bigint", "9999999999", "integer", None),
    ("integer", "1", "boolean", "t"),
    ("integer", "2", "boolean", None),
    ("text", "abc", "varchar(3)", "abc"),
    ("text", "abcd", "varchar(3)", None),
    ("text", "abcd", "integer", None),
    ("text", "12", "integer", "12"),
    ("text", "012", "integer", None),
    ("char(5)", "ab", "char(3)", "ab "),
    ("bit(3)", "101", "bit(2)", None),
    ("double precision", "0.1", "real", None),
    ("double precision", "0.5", "real", "0.5"),
    ("real", "0.1", "double precision", "0.10000000149011612"),
    ("json", '{"a": 1}', "jsonb", '{"a": 1}'),
    ("json", '{"a":1, "a":2}', "jsonb", None),
    ("jsonb", '{"a": 1}', "json", '{"a": 1}'),
    ("mood", "sad", "text", "sad"),
    ("text", "sad", "mood", "sad"),
    ("text", "glad", "mood", None),
    ("interval", "1 day 02:00", "interval day", None),
    ("integer[]", "{1,NULL}", "bigint[]", "{1,NULL}"),
    ("numeric(5,2)[]", "{1.25}", "numeric(5,1)[]", None),
]


def test_a_type_that_has_changed_changes_no_value(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """What is the same in the new type is converted; anything else is refused, and counted."""
    columns = [f"c{n} {old}" for n, (old, *_) in enumerate(RETYPED)]
    values = ", ".join(f"'{value}'" for _, value, *_ in RETYPED)
    files = folder(
        {
            "001_a.up.sql": "CREATE TYPE mood AS ENUM ('sad');"
            f"CREATE TABLE a (id int GENERATED ALWAYS AS IDENTITY, {', '.join(columns)});"
            f"INSERT INTO a ({', '.join(f'c{n}' for n in range(len(RETYPED)))})"
            f" VALUES ({values}), ({', '.join(['NULL'] * len(RETYPED))});"
            "CREATE RULE no AS ON INSERT TO a DO INSTEAD NOTHING"
        }
    )
    up(database, files)
    path = backup(database, files, tmp_path / "out")
    bad = [n for n, (*_, expected) in enumerate(RETYPED) if expected is None]
    execute(database, "TRUNCATE a", *(_to(n, RETYPED[n][2]) for n in range(len(RETYPED))))

    with pytest.raises(DifferenceFound) as caught:
        restore(database, files, path)

    assert caught.value.message == "the columns have other types than those that were saved"
    assert [line.split()[3] for line in caught.value.detail] == [f"c{n}" for n in bad]
    assert caught.value.detail[0] == (
        "table public.a: column c0 was numeric(12,4) and is numeric(12,1) now;"
        " rows that would change: 1"
    )
    assert all(line.endswith(" rows that would change: 1") for line in caught.value.detail)
    assert value(database, "SELECT count(*) FROM a") == 0

    execute(database, *(_to(n, RETYPED[n][0]) for n in bad))
    report = restore(database, files, path)

    cells = ", ".join(f"c{n}::text" for n in range(len(RETYPED)))
    found = value(database, f"SELECT ARRAY[{cells}] FROM a WHERE id = 1")
    for cell, (*_, new, expected) in zip(found, RETYPED, strict=True):
        if expected is not None:
            assert cell.strip() == {"t": "true"}.get(expected, expected).strip(), new
    assert value(database, "SELECT num_nonnulls(c0, c1, c2) FROM a WHERE id = 2") == 0
    assert len(report.notes) == len(RETYPED) - len(bad)
    assert report.notes[0] == (
        "table public.a: column c1 was numeric(12,4) and is numeric(12,1) now;"
        " every value is the same"
    )
    assert value(database, "SELECT ev_enabled FROM pg_rewrite WHERE rulename = 'no'") == "O"


def _to(number: int, kind: str) -> str:
    return f"ALTER TABLE a ALTER c{number} TYPE {kind} USING NULL"


@pytest.mark.parametrize(
    ("created", "filled", "changed", "words"),
    [
        (
            "CREATE TYPE addr AS (city text, share numeric(12,4)); CREATE TABLE a (x addr[])",
            "INSERT INTO a VALUES (ARRAY[ROW('a,b', 0.1234)::addr])",
            (
                "ALTER TABLE a ALTER x TYPE text;"
                " ALTER TYPE addr ALTER ATTRIBUTE share TYPE numeric(12,1);"
                " ALTER TABLE a ALTER x TYPE addr[] USING NULL"
            ),
            (
                "was public.addr row (city text, share numeric(12,4))"
                " and is public.addr row (city text, share numeric(12,1)) now"
            ),
        ),
        (
            "CREATE TYPE addr AS (city text, zip text); CREATE TABLE a (x addr)",
            "INSERT INTO a VALUES (ROW('a,b', 'c'))",
            "ALTER TYPE addr DROP ATTRIBUTE zip CASCADE",
            "was public.addr row (city text, zip text) and is public.addr row (city text) now",
        ),
        (
            "CREATE DOMAIN share AS numeric(12,4); CREATE TABLE a (x share)",
            "INSERT INTO a VALUES (0.1234)",
            (
                "ALTER TABLE a ALTER x TYPE numeric; DROP DOMAIN share;"
                " CREATE DOMAIN share AS numeric(12,1); ALTER TABLE a ALTER x TYPE share"
            ),
            (
                "was public.share domain over numeric(12,4)"
                " and is public.share domain over numeric(12,1) now"
            ),
        ),
        (
            "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE a (x mood)",
            "INSERT INTO a VALUES ('glad')",
            "ALTER TYPE mood RENAME VALUE 'glad' TO 'merry'",
            'was public.mood enum ["sad", "glad"] and is public.mood enum ["sad", "merry"] now',
        ),
        (
            'CREATE TYPE addr AS (city text, "the zip" text); CREATE TABLE a (x addr)',
            "INSERT INTO a VALUES (ROW('a', 'b'))",
            (
                "ALTER TABLE a ALTER x TYPE text; DROP TYPE addr;"
                ' CREATE TYPE addr AS ("the zip" text, city text);'
                " ALTER TABLE a ALTER x TYPE addr USING NULL"
            ),
            (
                'was public.addr row (city text, "the zip" text)'
                ' and is public.addr row ("the zip" text, city text) now'
            ),
        ),
    ],
    ids=["attribute", "dropped attribute", "domain", "enum", "attributes in another order"],
)  # fmt: skip
def test_a_type_of_users_that_was_redefined_changes_no_value(
    created: str, filled: str, changed: str, words: str, request: pytest.FixtureRequest
) -> None:
    """Its name alone says nothing."""
    url: str = request.getfixturevalue("database")
    tmp_path: Path = request.getfixturevalue("tmp_path")
    files = request.getfixturevalue("folder")({"001_a.up.sql": created})
    up(url, files)
    execute(url, filled)
    path = backup(url, files, tmp_path / "out")
    before = value(url, "SELECT x::text FROM a")
    restore(url, files, path, replace=True, backup_dir=tmp_path)
    assert value(url, "SELECT x::text FROM a") == before
    execute(url, "TRUNCATE a", *changed.split(";"))

    with pytest.raises(DifferenceFound) as caught:
        restore(url, files, path)
    assert caught.value.detail == (f"table public.a: column x {words}; rows that would change: 1",)


def test_types_of_the_schema_go_with_it(database: str, folder: Write, tmp_path: Path) -> None:
    """They have another name then, and are the same."""
    files = folder(
        {
            "001_a.up.sql": """CREATE TYPE mood AS ENUM ('sad');
                CREATE TYPE "Odd pair" AS (a mood, b mood[]);
                CREATE TABLE a (x mood, y "Odd pair"[])"""
        }
    )
    one, two = lfmigrate.Scope(schema="One"), lfmigrate.Scope(schema="two")
    execute(database, 'CREATE SCHEMA "One"', "CREATE SCHEMA two")
    up(database, files, scope=one)
    up(database, files, scope=two)
    execute(database, """INSERT INTO "One".a VALUES ('sad', '{"(sad,{sad})"}')""")
    path = backup(database, files, tmp_path / "out", scope=one)

    report = restore(database, files, path, scope=two)

    assert report.notes == ()
    assert [table.schema for table in report.tables] == ["two"]
    assert value(database, "SELECT (x, y)::text FROM two.a") == value(
        database, 'SELECT (x, y)::text FROM "One".a'
    )
