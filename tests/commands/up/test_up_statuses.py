"""The status that `up` reports for each object: later migrations, and foreign relations."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lfmigrate.commands.up_report import UpReport
from tests.helpers.commands import parts, statuses, up, verdict, verify
from tests.helpers.databases import execute, fetch, history

Write = Callable[[Mapping[str, str | bytes]], Path]


def recorded(url: str) -> dict[str, set[str]]:
    """Return the names of the relations that each file's last event is said to have made."""
    return {
        row["file"]: {relation["name"] for relation in row["expected"]["relations"]}
        for row in history(url)
    }


BASE = """
CREATE TABLE t (id int PRIMARY KEY, name text, size int DEFAULT 1);
CREATE TABLE other (id int);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
"""
UNCHANGED = {"table t": "unchanged", "table other": "unchanged", "function touch()": "unchanged"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("ALTER TABLE t ADD COLUMN more text", {"table t": "altered", "column t.more": "created"}),
        ("ALTER TABLE t ALTER size TYPE bigint",
         {"table t": "altered", "column t.size": "replaced"}),
        ("ALTER TABLE t DROP COLUMN size", {"table t": "altered"}),
        ("ALTER TABLE t ALTER name SET NOT NULL",
         {"table t": "altered", "column t.name": "replaced"}),
        ("ALTER TABLE t ALTER size DROP DEFAULT",
         {"table t": "altered", "column t.size": "replaced"}),
        (
            "ALTER TABLE t RENAME COLUMN name TO title",
            {"table t": "altered", "column t.title": "altered"},
        ),
        ("CREATE INDEX t_name_idx ON t (name)",
         {"table t": "altered", "index t.t_name_idx": "created"}),
        (
            "ALTER TABLE t ADD CONSTRAINT t_size_check CHECK (size > 0)",
            {"table t": "altered", "constraint t.t_size_check": "created"},
        ),
        ("ALTER TABLE t DROP CONSTRAINT t_pkey", {"table t": "altered"}),
        (
            "CREATE TRIGGER touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch()",
            {"table t": "altered", "trigger t.touch": "created"},
        ),
        (
            "ALTER TABLE other ADD FOREIGN KEY (id) REFERENCES t",
            {"table other": "altered", "constraint other.other_id_fkey": "created"},
        ),
        ("CREATE VIEW v AS SELECT id FROM t", {"view v": "created"}),
        ("COMMENT ON TABLE t IS 'words'", {}),
        ("GRANT SELECT ON t TO PUBLIC", {}),
        ("INSERT INTO t VALUES (1)", {}),
    ],
)  # fmt: skip
def test_a_change_of_an_earlier_migrations_table_is_reported(
    database: str, folder: Write, change: str, expected: dict[str, str]
) -> None:
    """The table is altered, its new parts are created, and verify expects the new state."""
    up(database, folder({"1_t.up.sql": BASE}))
    path = folder({"1_t.up.sql": BASE, "2_change.up.sql": change})

    report = up(database, path)

    assert statuses(report) == UNCHANGED | expected
    assert verify(database, path).ok
    assert verify(database, path, replay_files=True).ok


@pytest.mark.parametrize(
    "change",
    [
        "DROP INDEX t_name_idx",
        "DROP TRIGGER g ON t",
        "DROP RULE r ON t",
        "DROP POLICY p ON t",
        "DROP STATISTICS t_stats",
        "ALTER TABLE t DROP CONSTRAINT t_size_check",
        "ALTER TABLE t DROP CONSTRAINT t_pkey",
        "ALTER TABLE t DROP CONSTRAINT t_other_id_fkey",
        "ALTER TABLE t ALTER other_id DROP NOT NULL",
        "ALTER TABLE t ALTER size DROP DEFAULT",
        "ALTER TABLE t ALTER id DROP IDENTITY",
        "ALTER TABLE t DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE t RESET (fillfactor)",
        "ALTER TABLE t SET LOGGED",
        "ALTER TABLE t DISABLE TRIGGER g",
    ],
)
def test_what_a_later_migration_takes_off_a_table_is_no_longer_expected(
    database: str, folder: Write, change: str
) -> None:
    """The server deletes such a part's row without touching the table's, and it is seen anyhow."""
    base = """
        CREATE UNLOGGED TABLE other (id int PRIMARY KEY);
        CREATE UNLOGGED TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text,
            size int DEFAULT 1 CHECK (size > 0), other_id int NOT NULL REFERENCES other)
            WITH (fillfactor = 70);
        CREATE INDEX t_name_idx ON t (name);
        CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
        CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING;
        ALTER TABLE t ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON t USING (true);
        CREATE STATISTICS t_stats ON id, size FROM t;"""
    if change.endswith("SET LOGGED"):  # a logged table may not refer to an unlogged one
        base = base.replace("UNLOGGED TABLE other", "TABLE other")
    path = folder({"1_t.up.sql": base, "2_less.up.sql": change})
    up(database, path, to="1")

    report = up(database, path)

    named = {name for name in statuses(report) if name.split()[0] in {"table", "function"}}
    assert {name: statuses(report)[name] for name in named} == {
        "table t": "altered",
        "table other": "unchanged",
        "function touch()": "unchanged",
    }
    assert verify(database, path).ok
    assert statuses(up(database, path))["table t"] == "unchanged"


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ("DROP TABLE t", {"table other", "function touch()"}),
        ("DROP FUNCTION touch()", {"table t", "table other"}),
        ("DROP TABLE t; CREATE TABLE t (id bigint)",
         {"table t", "table other", "function touch()"}),
        ("DROP TABLE t; CREATE VIEW t AS SELECT 1", {"view t", "table other", "function touch()"}),
        ("ALTER FUNCTION touch() RENAME TO touch2",
         {"table t", "table other", "function touch2()"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("first", ["1", None], ids=["later", "in-one-run"])
def test_what_a_migration_drops_or_renames_is_no_longer_expected(
    database: str, folder: Write, change: str, left: set[str], first: str | None
) -> None:
    """Neither verify nor the next up miss it."""
    path = folder({"1_t.up.sql": BASE, "2_change.up.sql": change})
    if first is not None:
        up(database, path, to=first)

    report = up(database, path)

    parts_of_it = {name for name in statuses(report) if name.startswith("column ")}
    dropped = {name for name, status in statuses(report).items() if status == "dropped"}
    assert statuses(report).keys() - parts_of_it - dropped == left
    assert bool(dropped) == (first is not None and len(left) == 2)
    assert statuses(verify(database, path)) == dict.fromkeys(left, "ok")
    assert statuses(up(database, path)) == dict.fromkeys(left, "unchanged")


RENAMED = "ALTER TABLE t RENAME TO renamed"


def test_a_table_that_is_renamed_in_the_run_that_makes_it_has_its_last_name(
    database: str, folder: Write
) -> None:
    """The first name was never seen by anybody."""
    path = folder({"1_t.up.sql": BASE, "2_rename.up.sql": RENAMED})

    report = up(database, path)

    assert statuses(report)["table renamed"] == "created"
    assert "table t" not in statuses(report)
    assert verify(database, path).ok


def test_a_table_that_is_renamed_by_a_later_migration_is_still_tracked(
    database: str, folder: Write
) -> None:
    """Under its new name, as altered."""
    path = folder({"1_t.up.sql": BASE, "2_rename.up.sql": RENAMED})
    up(database, path, to="1")

    report = up(database, path)

    assert statuses(report) == {
        "table renamed": "altered",
        "table other": "unchanged",
        "function touch()": "unchanged",
    }
    assert statuses(verify(database, path)).keys() == statuses(report).keys()


def test_drift_from_before_a_later_migration_stays_drift(database: str, folder: Write) -> None:
    """A migration that adds one column does not bless another one that someone added."""
    files = {"1_t.up.sql": BASE}
    up(database, folder(files))
    execute(database, "ALTER TABLE t ADD COLUMN sneaked_in text; ALTER TABLE t DROP COLUMN name")
    path = folder({**files, "2_more.up.sql": "ALTER TABLE t ADD COLUMN more text;"})

    report = up(database, path)

    assert statuses(report)["table t"] == "drifted"
    assert statuses(report)["column t.more"] == "created"
    assert parts(verdict(verify(database, path), "t")) == {"column sneaked_in", "column name"}


def test_a_migration_that_removes_drift_makes_it_right(database: str, folder: Write) -> None:
    """Dropping what should not be there leaves nothing to complain of."""
    files = {"1_t.up.sql": BASE}
    up(database, folder(files))
    execute(database, "ALTER TABLE t ADD COLUMN sneaked_in text")
    path = folder({**files, "2_less.up.sql": "ALTER TABLE t DROP COLUMN sneaked_in;"})

    up(database, path)

    assert verify(database, path).ok


FOREIGN_TABLE = "CREATE TABLE theirs (id int PRIMARY KEY, name text)"
ADDITIONS = [
    ("ALTER TABLE theirs ADD COLUMN ours text", "column ours",
     "ALTER TABLE theirs DROP COLUMN ours"),
    ("CREATE INDEX theirs_name_idx ON theirs (name)", "index theirs_name_idx",
     "DROP INDEX theirs_name_idx"),
    ("""CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
     CREATE TRIGGER g BEFORE UPDATE ON theirs FOR EACH ROW EXECUTE FUNCTION f()""", "trigger g",
     "DROP TRIGGER g ON theirs"),
    ("ALTER TABLE theirs ADD CONSTRAINT k CHECK (id > 0)", "constraint k",
     "ALTER TABLE theirs DROP CONSTRAINT k"),
]  # fmt: skip


def test_our_part_of_another_owners_table_can_be_dropped_by_a_migration(
    database: str, folder: Write
) -> None:
    """It is not missed afterwards."""
    execute(database, FOREIGN_TABLE)
    path = folder(
        {
            "1_i.up.sql": "CREATE INDEX theirs_name_idx ON theirs (name);",
            "2_drop.up.sql": "DROP INDEX theirs_name_idx;",
        }
    )
    up(database, path, to="1")

    up(database, path)

    assert verify(database, path).ok


@pytest.mark.parametrize(("addition", "part", "removal"), ADDITIONS)
def test_only_our_part_of_another_owners_table_is_tracked(
    database: str, folder: Write, addition: str, part: str, removal: str
) -> None:
    """Their later changes are none of our business; the loss of our part is drift."""
    execute(database, FOREIGN_TABLE)
    path = folder({"1_add.up.sql": addition})

    report = up(database, path)
    execute(database, "ALTER TABLE theirs ADD COLUMN later text; ALTER TABLE theirs DROP COLUMN id")
    after_theirs = verify(database, path)
    if part != "constraint k":  # it went with their column
        execute(database, removal)

    kind, name = part.split()
    assert statuses(report)[f"{kind} theirs.{name}"] == "created"
    assert "table theirs" not in statuses(report)
    if part != "constraint k":
        assert after_theirs.ok
    assert parts(verdict(verify(database, path), "theirs")) == {part}


def test_the_options_of_another_owners_table_are_not_ours(database: str, folder: Write) -> None:
    """An index of ours touches the row in which their options stand, and no more."""
    execute(database, "CREATE TABLE theirs (id int) WITH (fillfactor = 70)")
    path = folder({"1_i.up.sql": "CREATE INDEX theirs_id_idx ON theirs (id);"})

    up(database, path)
    execute(database, "ALTER TABLE theirs SET (fillfactor = 90)")

    assert verify(database, path).ok


def test_only_our_index_on_another_owners_materialized_view_is_tracked(
    database: str, folder: Write
) -> None:
    """The view itself is not adopted with it."""
    execute(database, "CREATE MATERIALIZED VIEW theirs AS SELECT 1 AS id")
    path = folder({"1_i.up.sql": "CREATE INDEX theirs_id_idx ON theirs (id);"})

    report = up(database, path)
    execute(database, "ALTER MATERIALIZED VIEW theirs SET (fillfactor = 90);")

    assert statuses(report) == {"index theirs.theirs_id_idx": "created"}
    assert verify(database, path).ok
    execute(database, "DROP INDEX theirs_id_idx")
    assert parts(verdict(verify(database, path), "theirs")) == {"index theirs_id_idx"}


def test_a_trigger_on_another_owners_view_is_tracked_alone(database: str, folder: Write) -> None:
    """Their next CREATE OR REPLACE VIEW is none of our business."""
    execute(database, "CREATE VIEW theirs AS SELECT 1 AS id")
    path = folder(
        {
            "1_g.up.sql": "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN RETURN NEW; END';"
            "CREATE TRIGGER g INSTEAD OF INSERT ON theirs FOR EACH ROW EXECUTE FUNCTION f();"
        }
    )

    report = up(database, path)
    execute(database, "CREATE OR REPLACE VIEW theirs AS SELECT 2 AS id")

    assert statuses(report) == {"trigger theirs.g": "created", "function f()": "created"}
    assert verify(database, path).ok


def test_a_second_addition_to_another_owners_table_is_tracked_too(
    database: str, folder: Write
) -> None:
    """Two migrations, two parts, and still nothing else of the table."""
    execute(database, FOREIGN_TABLE)
    files = {"1_a.up.sql": "ALTER TABLE theirs ADD COLUMN a int;"}
    up(database, folder(files))
    path = folder({**files, "2_b.up.sql": "ALTER TABLE theirs ADD COLUMN b int;"})

    report = up(database, path)
    execute(database, "ALTER TABLE theirs ADD COLUMN later text")

    assert statuses(report)["column theirs.b"] == "created"
    assert verify(database, path).ok
    execute(database, "ALTER TABLE theirs DROP COLUMN a, DROP COLUMN b")
    assert parts(verdict(verify(database, path), "theirs")) == {"column a", "column b"}


def test_two_additions_to_another_owners_table_in_one_run_are_tracked(
    database: str, folder: Write
) -> None:
    """The same parts as when they are applied one after the other."""
    execute(database, FOREIGN_TABLE)
    path = folder(
        {
            "1_a.up.sql": "ALTER TABLE theirs ADD COLUMN a int;",
            "2_b.up.sql": "CREATE INDEX theirs_a_idx ON theirs (a);",
        }
    )

    report = up(database, path)

    assert statuses(report) == {
        "column theirs.a": "created",
        "index theirs.theirs_a_idx": "created",
    }
    assert verify(database, path).ok
    execute(database, "ALTER TABLE theirs DROP COLUMN a")
    assert parts(verdict(verify(database, path), "theirs")) == {"column a", "index theirs_a_idx"}


def test_a_foreign_key_to_another_owners_table_is_no_change_of_it(
    database: str, folder: Write
) -> None:
    """The server marks the other table, too; that is not reported nor expected."""
    execute(database, FOREIGN_TABLE)
    path = folder({"1_t.up.sql": "CREATE TABLE t (their_id int REFERENCES theirs);"})

    report = up(database, path)

    assert statuses(report) == {"table t": "created"}
    assert recorded(database) == {"1_t.up.sql": {"t"}}
    execute(database, "DROP TABLE theirs CASCADE")
    assert parts(verdict(verify(database, path), "t")) == {"constraint t_their_id_fkey"}


def test_a_foreign_key_between_our_own_tables_alters_only_the_one_that_has_it(
    database: str, folder: Write
) -> None:
    """In a later run, the table that is pointed at stays unchanged."""
    files = {"1_a.up.sql": "CREATE TABLE a (id int PRIMARY KEY);"}
    up(database, folder(files))

    report = up(database, folder({**files, "2_b.up.sql": "CREATE TABLE b (a int REFERENCES a);"}))

    assert statuses(report) == {"table a": "unchanged", "table b": "created"}


KINDS = [
    ("CREATE FUNCTION f(a int, b text DEFAULT 'x') RETURNS int LANGUAGE sql AS 'SELECT 1'",
     {"function f(integer, text)"}),
    ("CREATE PROCEDURE p(INOUT n int) LANGUAGE plpgsql AS 'BEGIN n := 1; END'",
     {"procedure p(integer)"}),
    ("CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int)", {"aggregate total(integer)"}),
    ("CREATE TYPE mood AS ENUM ('sad', 'it''s ok')", {"type mood"}),
    ("CREATE DOMAIN positive AS int CHECK (value > 0)", {"type positive"}),
    ("CREATE TYPE pair AS (a int, b text)", {"type pair"}),
    ("CREATE TYPE span AS RANGE (subtype = int)", {"type span"}),
    ("CREATE SEQUENCE ticket START 5", {"sequence ticket"}),
    ("CREATE MATERIALIZED VIEW m AS SELECT 1 AS n", {"materialized view m"}),
    ("""CREATE TABLE p (n int) PARTITION BY RANGE (n);
     CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)""", {"table p", "table p1"}),
    ("CREATE TABLE s (id serial, n int GENERATED ALWAYS AS IDENTITY)", {"table s"}),
    ("CREATE UNLOGGED TABLE u (id int)", {"table u"}),
    ("CREATE TABLE parent (id int); CREATE TABLE child (more int) INHERITS (parent)",
     {"table parent", "table child"}),
    ("CREATE SCHEMA app", {"schema app"}),
    ("CREATE SCHEMA app CREATE TABLE x (id int) CREATE VIEW y AS SELECT id FROM x",
     {"schema app", "table x", "view y"}),
    ("CREATE TABLE empty ()", {"table empty"}),
    ("SELECT 1 AS n INTO made_by_select", {"table made_by_select"}),
    ("CREATE TABLE t AS SELECT 1 AS n", {"table t"}),
    ("CREATE VIEW v AS SELECT 1 AS n", {"view v"}),
    ("CREATE TEMP TABLE t (id int); CREATE TEMP VIEW v AS SELECT 1", set()),
    ("""CREATE TEMP SEQUENCE s; CREATE TYPE pg_temp.mood AS ENUM ('sad');
     CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'""", set()),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "expected"), KINDS)
def test_each_kind_of_object_is_reported_as_what_it_is(
    database: str, folder: Write, statement: str, expected: set[str]
) -> None:
    """Created at first; verified, and unchanged when nothing is left to do."""
    path = folder({"1_make.up.sql": statement})

    report = up(database, path)

    assert statuses(report) == dict.fromkeys(expected, "created")
    assert statuses(verify(database, path)) == dict.fromkeys(expected, "ok")
    assert statuses(up(database, path)) == dict.fromkeys(expected, "unchanged")


@pytest.mark.parametrize(
    ("make", "change", "name"),
    [
        ("CREATE TYPE mood AS ENUM ('sad')", "ALTER TYPE mood ADD VALUE 'ok'", "type mood"),
        ("CREATE DOMAIN d AS int", "ALTER DOMAIN d ADD CHECK (value > 0)", "type d"),
        ("CREATE TYPE pair AS (a int)", "ALTER TYPE pair ADD ATTRIBUTE b text", "type pair"),
        ("CREATE SEQUENCE s", "ALTER SEQUENCE s INCREMENT 5", "sequence s"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
         "ALTER FUNCTION f() IMMUTABLE", "function f()"),
        ("CREATE TABLE p (n int) PARTITION BY RANGE (n); CREATE TABLE q (n int)",
         "ALTER TABLE p ATTACH PARTITION q FOR VALUES FROM (0) TO (9)", "table q"),
        ("CREATE TABLE t (n int)", "ALTER TABLE t ENABLE ROW LEVEL SECURITY", "table t"),
        ("CREATE TABLE t (n int)", "CREATE POLICY p ON t USING (n > 0)", "table t"),
        ("CREATE TABLE t (n int)", "ALTER TABLE t SET (fillfactor = 50)", "table t"),
        ("CREATE TABLE t (n int)", "CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING", "table t"),
        ("CREATE MATERIALIZED VIEW m AS SELECT 1 AS n", "CREATE INDEX m_n_idx ON m (n)",
         "materialized view m"),
        ("CREATE VIEW v AS SELECT 1 AS n", "ALTER VIEW v SET (security_barrier)", "view v"),
    ],
)  # fmt: skip
def test_a_change_of_another_kind_of_object_is_seen(
    database: str, folder: Write, make: str, change: str, name: str
) -> None:
    """Done by a migration it is altered or replaced, done by hand it is drift."""
    files = {"1_make.up.sql": make}
    up(database, folder(files))
    path = folder({**files, "2_change.up.sql": change})

    execute(database, change)
    by_hand = statuses(verify(database, folder(files)))[name]
    execute(
        database, "DROP SCHEMA public CASCADE; DROP SCHEMA lfmigrate CASCADE; CREATE SCHEMA public"
    )
    up(database, path, to="1")
    by_migration = statuses(up(database, path))[name]

    assert by_hand == "drifted"
    assert by_migration in {"altered", "replaced"}
    assert verify(database, path).ok


def any_extension(url: str) -> str:
    """Return an extension that the server has, or skip the test."""
    available = fetch(
        url,
        "SELECT name FROM pg_available_extensions"
        " WHERE name IN ('citext', 'pgcrypto', 'hstore', 'vector') ORDER BY name",
    )
    if not available:
        pytest.skip("the server has none of citext, hstore, pgcrypto and vector")
    return str(available[0])


def test_an_extension_is_one_row_without_its_members(database: str, folder: Write) -> None:
    """What an extension brings along is its own business."""
    name = any_extension(database)
    path = folder({"1_ext.up.sql": f"CREATE EXTENSION IF NOT EXISTS {name};"})

    report = up(database, path)

    assert statuses(report) == {f"extension {name}": "created"}
    assert statuses(verify(database, path)) == {f"extension {name}": "ok"}
    execute(database, f"DROP EXTENSION {name}")
    assert statuses(verify(database, path)) == {f"extension {name}": "missing"}
    assert statuses(up(database, path)) == {f"extension {name}": "created"}


def test_an_extension_that_was_there_is_skipped(database: str, folder: Write) -> None:
    """IF NOT EXISTS on another owner's extension claims nothing."""
    path = folder({"1_ext.up.sql": "CREATE EXTENSION IF NOT EXISTS plpgsql;"})

    report = up(database, path)

    assert "created" not in statuses(report).values()


def test_an_extension_is_where_an_administrator_has_put_it(database: str, folder: Write) -> None:
    """Hosted servers have theirs in a schema of their own."""
    name = any_extension(database)
    execute(database, "CREATE SCHEMA theirs", f"CREATE EXTENSION {name} SCHEMA theirs")
    path = folder({"1_ext.up.sql": f"CREATE EXTENSION IF NOT EXISTS {name};"})

    assert statuses(up(database, path)) == {f"extension {name}": "skipped"}
    assert verify(database, path).ok


@pytest.mark.parametrize(("body", "status"), [("SELECT 1", "unchanged"), ("SELECT 2", "replaced")])
def test_a_replaced_function_differs_from_one_that_stays_the_same(
    database: str, folder: Write, body: str, status: str
) -> None:
    """CREATE OR REPLACE says nothing by itself; the definitions do."""
    make = "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS '{}';"
    files = {"1_f.up.sql": make.format("SELECT 1")}
    up(database, folder(files))
    path = folder({**files, "2_f.up.sql": make.format(body)})

    report = up(database, path)

    assert statuses(report) == {"function f()": status}
    assert verify(database, path).ok


@pytest.mark.parametrize(
    ("body", "status"), [("\n  SELECT 1 + 1;\n", "unchanged"), (" SELECT 1 + 2; ", "replaced")]
)
def test_a_function_with_a_parsed_body_is_compared_without_its_format(
    database: str, folder: Write, body: str, status: str
) -> None:
    """The server keeps the query and not its text."""
    head = "CREATE OR REPLACE FUNCTION f(n int DEFAULT{} 1) RETURNS int LANGUAGE sql "
    make = head + "BEGIN ATOMIC{}END;"
    files = {"1_f.up.sql": make.format("", " SELECT 1 + 1; ")}
    up(database, folder(files))
    path = folder({**files, "2_f.up.sql": make.format("\n", body)})

    report = up(database, path)

    assert statuses(report) == {"function f(integer)": status}
    assert verify(database, path).ok


@pytest.mark.parametrize(("body", "status"), [("SELECT 1", "unchanged"), ("SELECT 2", "replaced")])
def test_a_function_of_another_owner_that_is_replaced_is_reported(
    database: str, folder: Write, body: str, status: str
) -> None:
    """It is ours from then on."""
    execute(database, "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    path = folder(
        {"1_f.up.sql": f"CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS '{body}';"}
    )

    report = up(database, path)

    assert statuses(report) == {"function f()": status}
    assert statuses(verify(database, path)) == {"function f()": "ok"}


def test_overloaded_functions_are_distinguished(database: str, folder: Write) -> None:
    """One name, two functions: dropping one leaves the other."""
    path = folder(
        {
            "1_f.up.sql": "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';"
            "CREATE FUNCTION f(text) RETURNS int LANGUAGE sql AS 'SELECT 2';",
        }
    )
    up(database, path)
    execute(database, "DROP FUNCTION f(int)")

    report = verify(database, path)

    assert statuses(report) == {"function f(integer)": "missing", "function f(text)": "ok"}


def test_tables_made_inside_subtransactions_are_attributed(database: str, folder: Write) -> None:
    """A DO block's EXCEPTION clause makes a subtransaction with an id of its own."""
    path = folder(
        {
            "1_a.up.sql": "CREATE TABLE a (id int);",
            "2_b.up.sql": """
                DO $$ BEGIN
                    CREATE TABLE b (id int);
                    BEGIN
                        CREATE TABLE b2 (id int);
                        CREATE INDEX a_id_idx ON a (id);
                    EXCEPTION WHEN others THEN NULL;
                    END;
                    BEGIN
                        CREATE TABLE never (id int);
                        RAISE EXCEPTION 'undone';
                    EXCEPTION WHEN raise_exception THEN
                        CREATE TABLE b3 (id int);
                    END;
                END $$;""",
            "3_c.up.sql": "CREATE TABLE c (id int);",
        }
    )

    report = up(database, path)

    assert statuses(report) == dict.fromkeys(
        ["table a", "table b", "table b2", "table b3", "table c"], "created"
    )
    assert recorded(database) == {
        "1_a.up.sql": {"a"},
        "2_b.up.sql": {"a", "b", "b2", "b3"},
        "3_c.up.sql": {"c"},
    }
    assert verify(database, path).ok


def test_what_another_session_makes_meanwhile_is_not_ours(database: str, folder: Write) -> None:
    """Committed between our first statement and our last, and visible to us, but not reported."""
    path = folder(
        {"1_t.up.sql": "CREATE TABLE t (id int);\nSELECT pg_advisory_xact_lock(42);\nSELECT 1;"}
    )
    execute(database, "CREATE TABLE theirs (id int)")
    reports: list[UpReport] = []
    thread = threading.Thread(target=lambda: reports.append(up(database, path)))
    with psycopg.connect(database, autocommit=True) as other, psycopg.connect(database) as open_one:
        other.execute("SELECT pg_advisory_lock(42)")
        thread.start()
        wait_for_a_waiter(other)

        other.execute("CREATE TABLE meanwhile (id int)")
        other.execute("CREATE FUNCTION meanwhile() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        other.execute("CREATE TYPE moment AS ENUM ('now')")
        other.execute("CREATE SCHEMA elsewhere")
        other.execute("CREATE INDEX theirs_id_idx ON theirs (id)")
        open_one.execute("CREATE TABLE not_committed (id int)")
        other.execute("SELECT pg_advisory_unlock(42)")
        thread.join(timeout=30)

    assert statuses(reports[0]) == {"table t": "created"}
    assert recorded(database) == {"1_t.up.sql": {"t"}}
    assert statuses(verify(database, path)) == {"table t": "ok"}


def wait_for_a_waiter(conn: psycopg.Connection[Any]) -> None:
    """Wait until a session queues for an advisory lock of this database."""
    question = """
        SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
    give_up_at = time.monotonic() + 20
    while conn.execute(question).fetchone() is None:
        assert time.monotonic() < give_up_at, "no session waits for the lock"
        time.sleep(0.02)


def test_each_migration_of_a_run_gets_its_own_relations(database: str, folder: Write) -> None:
    """The history distinguishes what several files of one transaction made."""
    path = folder(
        {
            "1_a.up.sql": "CREATE TABLE a (id int); CREATE TYPE a_kind AS ENUM ('x');",
            "2_b.up.sql": "CREATE TABLE b (id int); CREATE FUNCTION b() RETURNS int LANGUAGE sql"
            " AS 'SELECT 1';",
            "3_c.up.sql": "CREATE SEQUENCE c; CREATE INDEX a_id_idx ON a (id);",
            "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT 1 AS n;",
        }
    )

    up(database, path)

    assert recorded(database) == {
        "1_a.up.sql": {"a", "a_kind"},
        "2_b.up.sql": {"b", "b()"},
        "3_c.up.sql": {"a", "c"},
        "views/v.sql": {"v"},
    }


def test_objects_in_another_schema_are_tracked(database: str, folder: Write) -> None:
    """A file may name any schema; what it makes there is reported with that name."""
    path = folder(
        {
            "1_app.up.sql": "CREATE SCHEMA app; CREATE TABLE app.x (id int);"
            "CREATE TYPE app.kind AS ENUM ('a'); CREATE TABLE y (k app.kind);"
        }
    )

    report = up(database, path)
    execute(database, "ALTER TABLE app.x ADD COLUMN more int; DROP TABLE y")

    found = {(v.relation.kind, v.relation.schema, v.relation.name) for v in report.relations}
    assert found == {
        ("schema", "", "app"),
        ("table", "app", "x"),
        ("type", "app", "kind"),
        ("table", "public", "y"),
    }
    assert statuses(verify(database, path)) == {
        "schema app": "ok",
        "table x": "drifted",
        "type kind": "ok",
        "table y": "missing",
    }


def test_tables_of_one_name_in_two_schemas_are_distinguished(database: str, folder: Write) -> None:
    """Another owner's app.t is not our t."""
    execute(database, "CREATE SCHEMA app; CREATE TABLE app.t (id int)")
    path = folder({"1_t.up.sql": "CREATE TABLE IF NOT EXISTS t (id int);"})

    report = up(database, path)
    execute(database, "DROP TABLE app.t")

    assert statuses(report) == {"table t": "created"}
    assert verify(database, path).ok
