"""Repeatable files other than views: when they run, in which order, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

import lfmigrate
from lfmigrate.commands.rollback import RollbackReport
from lfmigrate.errors import StatementFailed
from tests.conftest import Cli
from tests.helpers.commands import statuses, up, verify
from tests.helpers.databases import execute, has_history, history, value

Write = Callable[[Mapping[str, str | bytes]], Path]

TABLE = {"1_t.up.sql": "CREATE TABLE t (id int, n int);", "1_t.down.sql": "DROP TABLE t;"}
FUNCTION = """
CREATE OR REPLACE FUNCTION total() RETURNS bigint LANGUAGE sql AS 'SELECT sum(n) FROM public.t';
"""
TRIGGER = """
CREATE OR REPLACE TRIGGER stamp BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION stamp();
"""
STAMP = """
CREATE OR REPLACE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql
AS 'BEGIN NEW.n := 7; RETURN NEW; END';
"""
MATVIEW = """
DROP MATERIALIZED VIEW IF EXISTS totals;
CREATE MATERIALIZED VIEW totals AS SELECT total() AS n;
CREATE UNIQUE INDEX totals_n ON totals (n);
"""
PROCEDURE = "CREATE OR REPLACE PROCEDURE clear() LANGUAGE sql AS 'DELETE FROM t';"
ALL = {
    **TABLE,
    "repeatable/a_matview.sql": MATVIEW,
    "repeatable/b_trigger.sql": TRIGGER,
    "repeatable/stamp.sql": STAMP,
    "repeatable/total.sql": FUNCTION,
    "repeatable/clear.sql": PROCEDURE,
}


@pytest.fixture
def reader(database: str) -> Iterator[str]:
    """Return the name of a role that may be granted something; it is gone before the server."""
    name = f"lf_role_{uuid4().hex[:12]}"
    execute(database, f"CREATE ROLE {name}")
    yield name
    execute(database, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def ran(url: str) -> list[str]:
    """Return the files in the order in which they ran."""
    return [row["file"] for row in history(url)]


def undone(url: str, path: Path) -> RollbackReport:
    """Roll back the newest migration."""
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.rollback(conn, lfmigrate.read_folder(path), backup_dir=None)


def test_they_run_after_the_migrations_in_an_order_that_works(database: str, folder: Write) -> None:
    """What is created is tracked like a view, and nothing is left to do."""
    path = folder(ALL)

    planned = up(database, path, dry_run=True)
    report = up(database, path)

    assert statuses(planned) == statuses(report)
    assert statuses(report) == {
        "table t": "created",
        "materialized view totals": "created",
        "function stamp()": "created",
        "function total()": "created",
        "procedure clear()": "created",
    }
    files = ran(database)
    assert files[0] == "1_t.up.sql"
    assert files.index("repeatable/total.sql") < files.index("repeatable/a_matview.sql")
    assert files.index("repeatable/stamp.sql") < files.index("repeatable/b_trigger.sql")
    assert verify(database, path).ok
    assert verify(database, path, replay_files=True).ok
    assert {v.status for v in up(database, path).relations} == {"unchanged"}
    assert ran(database) == files


def test_an_edited_file_runs_and_what_mentions_what_it_creates(
    database: str, folder: Write
) -> None:
    """The materialized view is built with the new function."""
    up(database, folder(ALL))
    path = folder({**ALL, "repeatable/total.sql": FUNCTION.replace("sum(n)", "count(*)")})
    count = len(history(database))

    report = up(database, path)

    assert statuses(report)["function total()"] == "replaced"
    assert ran(database)[count:] == [
        "repeatable/total.sql",
        "repeatable/a_matview.sql",
        # It is about a table, which may be any.
        "repeatable/b_trigger.sql",
    ]
    assert value(database, "SELECT n FROM totals") == 0
    assert verify(database, path, replay_files=True).ok


@pytest.mark.parametrize(
    ("dropped", "row"),
    [
        ("DROP FUNCTION total()", "function total()"),
        ("DROP PROCEDURE clear()", "procedure clear()"),
        ("DROP MATERIALIZED VIEW totals", "materialized view totals"),
    ],
)
def test_what_was_dropped_by_hand_comes_back(
    database: str, folder: Write, dropped: str, row: str
) -> None:
    """Verify reports it, and up runs its file."""
    files = {**ALL, "repeatable/a_matview.sql": MATVIEW.replace("total()", "1")}
    path = folder(files)
    up(database, path)
    execute(database, dropped)
    assert [v.status for v in verify(database, path).relations].count("missing") == 1

    report = up(database, path)

    assert statuses(report)[row] == "created"
    assert verify(database, path).ok


def test_grants_on_all_tables_reach_a_new_table_and_a_new_view(
    database: str, folder: Write, reader: str
) -> None:
    """A file that is about what others create runs whenever something has run, and last."""
    grants = f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {reader};"
    files = {**TABLE, "repeatable/grants.sql": grants}
    up(database, folder(files))
    path = folder(
        {
            **files,
            "2_u.up.sql": "CREATE TABLE u ();",
            "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT 1 AS n;",
        }
    )

    up(database, path)

    for name in ("t", "u", "v"):
        assert value(database, f"SELECT has_table_privilege('{reader}', '{name}', 'SELECT')")


def test_a_trigger_is_there_again_after_its_table_was_rolled_back(
    database: str, folder: Write
) -> None:
    """The rollback drops it with the table, as what a repeatable file has created."""
    path = folder(ALL)
    up(database, path)
    report = undone(database, path)
    assert report.done
    assert not report.dependents

    up(database, path)

    assert value(database, "SELECT count(*) FROM pg_trigger WHERE tgname = 'stamp'") == 1
    assert verify(database, path).ok


def test_a_routine_that_needs_a_table_is_dropped_with_it_and_created_again(
    database: str, folder: Write
) -> None:
    """Its body is one of SQL's own, so the server knows what it reads."""
    atomic = "CREATE OR REPLACE {} RETURNS bigint BEGIN ATOMIC SELECT {} FROM t; END;"
    files = {
        **TABLE,
        "repeatable/counts.sql": "".join(
            (
                atomic.format("FUNCTION counted(a int, b text)", "count(*)"),
                atomic.format("FUNCTION twice()", "counted(1, '') + count(*)"),
            )
        ),
    }
    path = folder(files)
    up(database, path)
    assert undone(database, path).done
    assert (
        value(database, "SELECT count(*) FROM pg_proc WHERE proname IN ('counted', 'twice')") == 0
    )

    report = up(database, path)

    assert statuses(report)["function counted(integer, text)"] == "created"
    assert verify(database, path).ok


@pytest.mark.parametrize(
    "files",
    [
        # A name in a string, and one that is put together.
        {
            "a.sql": "DO $$BEGIN EXECUTE 'CREATE OR REPLACE VIEW a AS TABLE ' || 'b'; END$$;",
            "b.sql": "CREATE OR REPLACE VIEW b AS SELECT 1 AS n;",
        },
        # Each has the other's name; only one reads the other.
        {
            "a.sql": "CREATE OR REPLACE VIEW a AS SELECT (SELECT x FROM f(1) AS x) AS n;",
            "f.sql": "CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a';",
        },
        # A DO block creates what another file needs.
        {
            "a.sql": "CREATE OR REPLACE VIEW a AS SELECT * FROM b;",
            "z.sql": "DO $$BEGIN EXECUTE 'CREATE OR REPLACE VIEW ' || 'b AS SELECT 1 AS n'; END$$;",
        },
        # What another file creates under a name that no text has: a cast, two files later.
        {
            "a.sql": "CREATE OR REPLACE VIEW a AS SELECT CAST(1 AS box) AS b;",
            "m.sql": "CREATE OR REPLACE FUNCTION m() RETURNS int LANGUAGE sql AS 'SELECT 1';",
            "z.sql": "CREATE OR REPLACE FUNCTION z(int) RETURNS box LANGUAGE sql STABLE"
            " AS $$SELECT box '((0,0),(1,1))'$$;"
            "DROP CAST IF EXISTS (int AS box); CREATE CAST (int AS box) WITH FUNCTION z(int);",
        },
        # The type of an extension.
        {
            "a.sql": "CREATE OR REPLACE VIEW a AS SELECT NULL::hstore AS h;",
            "b.sql": "CREATE OR REPLACE FUNCTION b() RETURNS int LANGUAGE sql AS 'SELECT 1';",
            "c.sql": "CREATE EXTENSION IF NOT EXISTS hstore;"
            "CREATE OR REPLACE FUNCTION c() RETURNS int LANGUAGE sql AS 'SELECT 1';",
        },
        # A type, and what takes one.
        {
            "a.sql": "CREATE OR REPLACE FUNCTION a(x z) RETURNS z LANGUAGE sql AS 'SELECT x';",
            "z.sql": "DROP DOMAIN IF EXISTS z; CREATE DOMAIN z AS int;",
        },
    ],
)
def test_the_server_has_the_last_word_on_the_order(
    database: str, folder: Write, files: dict[str, str]
) -> None:
    """A file that needs another one runs after it, however it says so; replays know it too."""
    path = folder({**TABLE, **{f"repeatable/{name}": text for name, text in files.items()}})

    up(database, path, dry_run=True)
    up(database, path)

    assert verify(database, path, replay_files=True).ok


def test_what_nothing_creates_is_an_error_of_the_server(database: str, folder: Write) -> None:
    """Trying every order ends, and the first file that fails is named."""
    view = "CREATE OR REPLACE VIEW {} AS SELECT * FROM {};"
    path = folder(
        {
            **TABLE,
            "repeatable/a.sql": view.format("a", "b"),
            "repeatable/b.sql": view.format("b", "a"),
            "repeatable/c.sql": view.format("c", "nothing"),
        }
    )

    with pytest.raises(StatementFailed) as caught:
        up(database, path)

    assert caught.value.sqlstate == "42P01"
    assert not has_history(database)


def test_check_proves_a_folder_with_repeatable_files(cli: Cli, folder: Write) -> None:
    """What they created stays when every migration is rolled back, and is nothing left behind."""
    done = cli("check", "--sql-dir", folder(ALL))

    assert done.returncode == 0, done.stdout + done.stderr


def test_status_lists_them(cli: Cli, database: str, folder: Write) -> None:
    """As text and as JSON, apart from the views."""
    path = folder({**ALL, "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT 1 AS n;"})

    done = cli("status", "--sql-dir", path, "--database-url", database)

    assert "repeatable/total.sql (pending)" in done.stdout
    assert "6 repeatable files to run" in done.stdout


def test_a_file_that_drops_what_it_creates_runs_only_if_it_has_to(
    database: str, folder: Write
) -> None:
    """A migration's index on its materialized view would go with that."""
    files = {
        "1_a.up.sql": "CREATE TABLE a (id int PRIMARY KEY);",
        "repeatable/mv.sql": "DROP MATERIALIZED VIEW IF EXISTS mv;"
        " CREATE MATERIALIZED VIEW mv AS SELECT id FROM a;",
    }
    up(database, folder(files))
    files["2_b.up.sql"] = "CREATE UNIQUE INDEX mvi ON mv (id);"
    up(database, folder(files))
    files["3_c.up.sql"] = "CREATE TABLE z (id int); ALTER TABLE z ADD COLUMN y int; DROP TABLE z;"

    report = up(database, folder(files))

    assert statuses(report)["materialized view mv"] == "unchanged"
    assert value(database, "SELECT to_regclass('mvi') IS NOT NULL")
    files["4_d.up.sql"] = "DROP TABLE a CASCADE; CREATE TABLE a (id int PRIMARY KEY);"
    assert statuses(up(database, folder(files)))["materialized view mv"] == "replaced"
    assert verify(database, folder(files)).ok


def test_a_file_may_be_renamed_or_given_up(database: str, folder: Write) -> None:
    """It is missing only if something that it has created is still there."""
    migration = {"1_a.up.sql": "CREATE TABLE a (id int);"}
    function = "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';"
    grant = "GRANT SELECT ON a TO pg_monitor;"
    up(database, folder({**migration, "repeatable/f.sql": function, "repeatable/g.sql": grant}))
    renamed = folder({**migration, "repeatable/01_f.sql": function})
    up(database, renamed)

    assert verify(database, renamed).ok
    assert verify(database, renamed, replay_files=True).ok
    assert not verify(database, folder(migration)).ok
    gone = folder({**migration, "2_b.up.sql": "DROP FUNCTION f();"})
    up(database, gone)
    assert verify(database, gone).ok


TRIGGER = "CREATE OR REPLACE TRIGGER tr BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION f();"


@pytest.mark.parametrize(
    ("created", "dropped"),
    [
        (TRIGGER, "TRIGGER tr ON a"),
        ("CREATE INDEX IF NOT EXISTS a_id ON a (id);", "INDEX a_id"),
        ("DROP POLICY IF EXISTS p ON a; CREATE POLICY p ON a USING (true);", "POLICY p ON a"),
    ],
)  # fmt: skip
def test_a_part_that_was_dropped_by_hand_comes_back(
    database: str, folder: Write, created: str, dropped: str
) -> None:
    """A part of another file's table, as well as an object of its own."""
    function = (
        "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN RETURN NEW; END';"
    )
    path = folder(
        {
            "1_a.up.sql": "CREATE TABLE a (id int);",
            "repeatable/f.sql": function,
            "repeatable/part.sql": created,
        }
    )
    up(database, path)
    execute(database, f"DROP {dropped}")
    assert not verify(database, path).ok

    up(database, path)

    assert verify(database, path).ok


@pytest.mark.parametrize(
    ("before", "after", "differs"),
    [
        ("INDEX IF NOT EXISTS ai ON a (x)", "INDEX IF NOT EXISTS ai ON a (x, id)", "index ai"),
        ("TABLE IF NOT EXISTS b (id int)", "TABLE IF NOT EXISTS b (id int, y int)", "column y"),
        ("TABLE IF NOT EXISTS b (id int)", "TABLE IF NOT EXISTS b (id text)", "column id"),
    ],
)  # fmt: skip
def test_an_edited_file_that_skips_what_exists_is_compared(
    database: str, folder: Write, before: str, after: str, differs: str
) -> None:
    """What its IF NOT EXISTS leaves as it was is not what the file says now."""
    files = {"1_a.up.sql": "CREATE TABLE a (id int, x text);"}
    up(database, folder({**files, "repeatable/c.sql": f"CREATE {before};"}))
    path = folder({**files, "repeatable/c.sql": f"CREATE {after};"})

    report = up(database, path)

    found = [v for v in report.relations if v.status == "drifted"]
    assert [d.part for v in found for d in v.differences] == [differs]
    assert not verify(database, path).ok


def test_a_table_comes_back_with_what_a_repeatable_file_makes_on_it(
    database: str, folder: Write
) -> None:
    """The repair leaves that to the file, which runs a moment later."""
    path = folder(
        {
            "1_a.up.sql": "CREATE TABLE IF NOT EXISTS a (id int);",
            "repeatable/p.sql": "DROP POLICY IF EXISTS p ON a; CREATE POLICY p ON a USING (true);",
        }
    )
    up(database, path)
    execute(database, "DROP TABLE a")

    up(database, path)

    assert verify(database, path).ok
