"""A rollback takes what the migrations made, saves the rows first, and touches nothing else."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, Literal

import psycopg
import pytest

import lfmigrate
from bench.proxy import Proxy, target_of, through
from lfmigrate.commands.rollback import RollbackReport
from lfmigrate.errors import (
    NOTHING_CHANGED,
    ConnectionFailed,
    Refused,
    SqlFileError,
    StatementFailed,
    UsageError,
)
from lfmigrate.rows.archive import read
from lfmigrate.source.folder import Folder, read_folder
from tests.conftest import Cli, Psql
from tests.helpers.commands import up
from tests.helpers.databases import execute, value
from tests.helpers.faults import Cutter, Gates, wait_for_session, wait_until, wait_until_left
from tests.helpers.processes import Started

Write = Callable[[Mapping[str, str | bytes]], Path]
Dump = Callable[..., str]
Way = Literal["up", "down"]

# Questions, options and reports are this side's.
of_words = pytest.mark.any_version
# What was reported where no error was raised.
DONE = "done"


# Connections are cut at random places; the same ones each time.
SEED = 20261124


def rollback(url: str, files: Path | None, parent: Path | None, **options: Any) -> RollbackReport:
    """Roll back a folder; by default the shipped one."""
    folder: Folder = lfmigrate.read_folder(files or lfmigrate.shipped_folder())
    with closing(lfmigrate.connect(url)) as conn:
        return lfmigrate.rollback(conn, folder, backup_dir=parent, **options)


SIMPLE = {
    "001_a.up.sql": """
        CREATE TYPE mood AS ENUM ('ok');
        CREATE SEQUENCE numbers;
        CREATE TABLE a (id int PRIMARY KEY, n int DEFAULT 1, m mood);
        CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
        CREATE TRIGGER stamp BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION stamp();
    """,
    "001_a.down.sql": """
        DROP TABLE a; -- it goes first
        DROP FUNCTION stamp();
        DROP SEQUENCE numbers;
        DROP TYPE mood
    """,
}


def test_the_shipped_migration_goes_without_a_trace(
    database: str, dump: Dump, tmp_path: Path
) -> None:
    """Up and rollback leave the catalogs and rows as before; the history has both."""
    execute(database, "CREATE TABLE theirs (n int)", "INSERT INTO theirs VALUES (1)")
    before = dump(database, rows=True)
    up(database)

    report = rollback(database, None, tmp_path / "b")

    assert dump(database, rows=True) == before
    assert [m.status for m in report.migrations] == ["rolled_back"]
    assert [lost.kind for lost in report.lost].count("table") == 11
    assert [lost.kind for lost in report.lost].count("view") == 2
    assert report.backup is None
    assert not (tmp_path / "b").exists()
    up(database)
    assert (
        value(
            database, "SELECT count(*) FROM lfmigrate.lfmigrate_history WHERE action = 'rollback'"
        )
        == 1
    )


def test_rows_are_saved_before_they_go(database: str, folder: Write, tmp_path: Path) -> None:
    """The report says how many; the backup has them; verify and status know that it is undone."""
    files = folder(SIMPLE)
    up(database, files)
    execute(database, "INSERT INTO a VALUES (1), (2)")

    report = rollback(database, files, tmp_path)

    assert [(lost.kind, lost.name, lost.rows) for lost in report.lost] == [
        ("table", "a", 2),
        ("sequence", "numbers", None),
        ("type", "mood", None),
        ("function", "stamp()", None),
    ] or {lost.name for lost in report.lost} == {"a", "numbers", "mood", "stamp()"}
    assert report.backup is not None
    archive = read(report.backup)
    assert archive.about.reason == "rollback of 001_a"
    assert [(t.name, t.rows) for t in archive.tables] == [("a", 2)]
    assert [s.name for s in archive.sequences] == ["numbers"]
    with closing(lfmigrate.connect(database)) as conn:
        status = lfmigrate.status(conn, lfmigrate.read_folder(files))
        verified = lfmigrate.verify(conn, lfmigrate.read_folder(files), allow_pending=True)
    assert [m.status for m in status.migrations] == ["pending"]
    assert verified.ok
    assert verified.relations == ()


# What another owner may have created on top of ours, what is reported, and a probe for it.
OUTSIDE = {
    "view": ("CREATE VIEW v AS SELECT id FROM a", ["view public.v"]),
    "view on a view": (
        "CREATE VIEW v AS SELECT id FROM a; CREATE VIEW w AS SELECT * FROM v",
        ["view public.v", "view public.w"],
    ),
    "materialized view": (
        "CREATE MATERIALIZED VIEW v AS SELECT id FROM a",
        ["materialized view public.v"],
    ),
    "foreign key": (
        "CREATE TABLE t (a_id int REFERENCES a)",
        ["table constraint t_a_id_fkey on public.t"],
    ),
    "function with a body": (
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM a; END",
        ["function public.f()"],
    ),
    "function of the row type": (
        "CREATE FUNCTION f(a) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ["function public.f(public.a)"],
    ),
    "default": (
        "CREATE TABLE t (n int DEFAULT nextval('numbers'))",
        ["default value for public.t.n"],
    ),
    "column of our type": ("CREATE TABLE t (n int, m mood)", ["table column public.t.m"]),
    "policy": (
        "CREATE TABLE t (n int); CREATE POLICY p ON t USING (n IN (SELECT id FROM a))",
        ["policy p on public.t"],
    ),
    "our trigger function elsewhere": (
        "CREATE TABLE t (n int); CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION stamp()",
        ["trigger g on public.t"],
    ),
    "child": ("CREATE TABLE t (x int) INHERITS (a)", ["table public.t"]),
    "index on our table": ("CREATE INDEX i ON a (n)", ["index public.i"]),
    "column of our table": ("ALTER TABLE a ADD extra int", ["table column public.a.extra"]),
    "constraint on our table": (
        "ALTER TABLE a ADD CONSTRAINT k CHECK (n > 0)",
        ["table constraint k on public.a"],
    ),
    "trigger on our table": (
        "CREATE TRIGGER g BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION stamp()",
        ["trigger g on public.a"],
    ),
    "policy on our table": ("CREATE POLICY p ON a USING (true)", ["policy p on public.a"]),
    "rule on our table": (
        "CREATE RULE r AS ON DELETE TO a DO INSTEAD NOTHING",
        ["rule r on public.a"],
    ),
    "statistics on our table": (
        "CREATE STATISTICS s ON id, n FROM a",
        ["statistics object public.s"],
    ),
    "a sequence of theirs that belongs to our column": (
        "CREATE SEQUENCE s OWNED BY a.n",
        ["sequence public.s"],
    ),
}


RUTHLESS = re.sub(r"(DROP [^;\n]+)", r"\1 CASCADE", SIMPLE["001_a.down.sql"])


@pytest.mark.parametrize(
    ("case", "down"),
    [(case, down) for case in OUTSIDE for down in (SIMPLE["001_a.down.sql"], RUTHLESS)],
    ids=[f"{case}, {behaviour}" for case in OUTSIDE for behaviour in ("restrict", "cascade")],
)
def test_what_others_made_is_not_taken_along(
    case: str, down: str, create_database: Callable[..., str], folder: Write, dump: Dump
) -> None:
    """Exit code 5, all of it listed, nothing changed, whatever the down file says itself."""
    statements, names = OUTSIDE[case]
    database = create_database()
    files = folder({**SIMPLE, "001_a.down.sql": down})
    up(database, files)
    execute(database, statements, "INSERT INTO a VALUES (7, 8)")
    before = dump(database, rows=True)

    with pytest.raises(Refused, match="outside the migration") as caught:
        rollback(database, files, files / "b")

    assert sorted(caught.value.facts[:-1]) == sorted(names)
    assert caught.value.outcome == NOTHING_CHANGED
    assert caught.value.exit_code == 5
    assert dump(database, rows=True) == before
    assert not (files / "b").exists()


@pytest.mark.parametrize("case", OUTSIDE)
def test_cascade_takes_it_along_and_keeps_what_makes_it_again(
    case: str, database: str, folder: Write, dump: Dump, tmp_path: Path
) -> None:
    """The definitions in the manifest bring back the schema as it was."""
    statements, names = OUTSIDE[case]
    files = folder(SIMPLE)
    up(database, files)
    execute(database, statements)
    before = dump(database)

    report = rollback(database, files, tmp_path / "b", cascade=True)

    assert len(report.dependents) == len(names)
    assert value(database, "SELECT to_regclass('a') IS NULL")
    assert report.backup is not None
    dropped = read(report.backup).about.dropped
    assert sorted(f"{d.kind} {d.name}" for d in dropped) == sorted(names)
    up(database, files)
    definitions = [d.definition for d in dropped if d.definition is not None]
    # A view on a view comes after it.
    for _ in definitions:
        for definition in definitions:
            with suppress(
                psycopg.errors.UndefinedTable,
                psycopg.errors.DuplicateTable,
                psycopg.errors.DuplicateObject,
                psycopg.errors.DuplicateColumn,
                psycopg.errors.DuplicateFunction,
            ):
                execute(database, definition)
    if case != "a sequence of theirs that belongs to our column":
        assert _sorted(dump(database)) == _sorted(before)


# What 002 changes in a table of 001, how it undoes that, and what another owner has built on it.
PARTS = {
    "column": (
        "ALTER TABLE a ADD COLUMN c int",
        "ALTER TABLE a DROP COLUMN c",
        "CREATE VIEW theirs AS SELECT c FROM a",
        "view public.theirs",
    ),
    "columns": (
        "ALTER TABLE a ADD COLUMN b int, ADD COLUMN c int",
        "ALTER TABLE a DROP c, DROP COLUMN IF EXISTS b",
        "CREATE VIEW theirs AS SELECT b FROM a",
        "view public.theirs",
    ),
    "constraint": (
        "ALTER TABLE a ADD CONSTRAINT k UNIQUE (n)",
        "ALTER TABLE a DROP CONSTRAINT k",
        "CREATE TABLE t (n int REFERENCES a (n))",
        "table constraint t_n_fkey on public.t",
    ),
    "index": (
        "CREATE UNIQUE INDEX k ON a (n)",
        "DROP INDEX k",
        "CREATE TABLE t (n int REFERENCES a (n))",
        "table constraint t_n_fkey on public.t",
    ),
    "attribute": (
        "ALTER TYPE y ADD ATTRIBUTE c int",
        "ALTER TYPE y DROP ATTRIBUTE c",
        "CREATE VIEW theirs AS SELECT (v).c FROM a",
        "view public.theirs",
    ),
}


@pytest.mark.parametrize("case", PARTS)
def test_cascade_takes_along_what_depends_on_a_part(
    case: str, database: str, folder: Write, dump: Dump, tmp_path: Path
) -> None:
    """ALTER TABLE ... DROP does as DROP TABLE does: refused, and with --cascade dropped."""
    change, down, theirs, name = PARTS[case]
    base = {"001_a.up.sql": "CREATE TYPE y AS (x int); CREATE TABLE a (n int, v y)"}
    files = folder({**base, "002_b.up.sql": change, "002_b.down.sql": down})
    up(database, folder(base))
    start = dump(database)
    up(database, files)
    execute(database, theirs)
    before = dump(database)

    with pytest.raises(Refused, match="outside the migration") as caught:
        rollback(database, files, tmp_path)
    assert caught.value.facts[:-1] == (name,)
    assert dump(database) == before

    report = rollback(database, files, tmp_path, cascade=True)

    assert [f"{lost.kind} {lost.name}" for lost in report.dependents] == [
        name.replace("view public.", "view ")
    ]
    execute(database, "DROP TABLE IF EXISTS t")
    assert dump(database) == start


def _sorted(text: str) -> list[str]:
    """Return a dump's lines; the order of what was made again is another one."""
    return sorted(line.rstrip(",;") for line in text.splitlines() if not line.startswith("--"))


def test_the_rows_of_what_is_dropped_with_it_are_saved(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """A table that inherits from ours goes with --cascade; its rows are in the backup."""
    files = folder(SIMPLE)
    up(database, files)
    execute(
        database,
        "CREATE TABLE child (x int) INHERITS (a)",
        "INSERT INTO child VALUES (1, 2, 'ok', 3)",
    )

    report = rollback(database, files, tmp_path, cascade=True)

    assert report.backup is not None
    assert [(t.name, t.rows) for t in read(report.backup).tables] == [("a", 0), ("child", 1)]


def test_a_down_file_that_does_more_the_second_time_is_stopped(
    database: str, folder: Write, dump: Dump, tmp_path: Path
) -> None:
    """A file can find out that it has run before: a sequence is not rolled back."""
    down = """
        DO $$ BEGIN IF nextval('runs') = 2 THEN DROP TABLE theirs; END IF; END $$;
        DROP TABLE a;
    """
    files = folder({"001_a.up.sql": "CREATE TABLE a (n int)", "001_a.down.sql": down})
    execute(database, "CREATE SEQUENCE runs", "CREATE TABLE theirs (n int)")
    up(database, files)
    before = dump(database)

    with pytest.raises(Refused, match="dropped more than they did a moment before"):
        rollback(database, files, tmp_path)

    assert dump(database) == before


@pytest.mark.parametrize(
    "trick", ["DELETE FROM theirs", "TRUNCATE theirs", "ALTER TABLE theirs ALTER n TYPE bigint"]
)
def test_rows_that_only_the_second_run_touches_are_not_lost(
    trick: str, database: str, folder: Write, dump: Dump, tmp_path: Path
) -> None:
    """They would be in no backup."""
    down = f"""
        DO $$ BEGIN IF nextval('runs') = 2 THEN {trick}; END IF; END $$;
        DROP TABLE a;
    """
    files = folder({"001_a.up.sql": "CREATE TABLE a (n int)", "001_a.down.sql": down})
    execute(database, "CREATE SEQUENCE runs", "CREATE TABLE theirs (n int)")
    execute(database, "INSERT INTO theirs VALUES (1)")
    up(database, files)
    before = dump(database)

    with pytest.raises(Refused, match="dropped more than they did a moment before"):
        rollback(database, files, tmp_path)

    assert dump(database) == before
    assert value(database, "SELECT count(*) FROM theirs") == 1


def test_other_tables_that_stay_do_not_hinder(
    database: str, folder: Write, dump: Dump, tmp_path: Path
) -> None:
    """What does not need ours is none of our business."""
    files = folder(SIMPLE)
    execute(database, "CREATE TABLE t (n int PRIMARY KEY)", "CREATE VIEW v AS SELECT * FROM t")
    before = dump(database)
    up(database, files)

    rollback(database, files, tmp_path)

    assert dump(database) == before


STAIRS = {
    "001_a.up.sql": "CREATE TABLE a (id int PRIMARY KEY)",
    "001_a.down.sql": "DROP TABLE a",
    "002_b.up.sql": "ALTER TABLE a ADD note text; CREATE INDEX a_note ON a (note)",
    "002_b.down.sql": "ALTER TABLE a DROP COLUMN note",
    "003_c.up.sql": "CREATE TABLE c (a_id int REFERENCES a); INSERT INTO a VALUES (1, 'x')",
    "003_c.down.sql": "DROP TABLE c; DELETE FROM a WHERE id = 1",
    "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id, note FROM a",
    "views/w.sql": "CREATE OR REPLACE VIEW w AS SELECT id FROM v",
}


def test_the_newest_goes_first_and_to_stops(
    database: str, folder: Write, dump: Dump, tmp_path: Path
) -> None:
    """Without --to the newest one; with it, all above, newest first, the views that need it too."""
    files = folder(STAIRS)
    up(database, files)
    full = dump(database)

    first = rollback(database, files, tmp_path / "1")
    second = rollback(database, files, tmp_path / "2", to="001")

    assert [m.version for m in first.migrations] == ["003"]
    assert [m.version for m in second.migrations] == ["002"]
    assert value(database, "SELECT to_regclass('v') IS NULL")
    assert value(database, "SELECT to_regclass('a') IS NOT NULL")
    up(database, files)
    assert dump(database) == full
    third = rollback(database, files, tmp_path / "3", to="0")
    assert [m.version for m in third.migrations] == ["003", "002", "001"]
    assert value(database, "SELECT to_regclass('a') IS NULL")
    up(database, files)
    assert dump(database) == full
    with closing(lfmigrate.connect(database)) as conn:
        assert lfmigrate.verify(conn, lfmigrate.read_folder(files)).ok


def test_rows_of_tables_that_stay_are_saved_as_well(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """A down file that deletes rows, drops a column or empties a table loses them, too."""
    files = folder(
        {
            **STAIRS,
            "004_d.up.sql": "CREATE TABLE d (n int); INSERT INTO d VALUES (1), (2)",
            "004_d.down.sql": "SELECT 1",
            "005_e.up.sql": "INSERT INTO d VALUES (3)",
            "005_e.down.sql": "TRUNCATE d",
        }
    )
    up(database, files)

    emptied = rollback(database, files, tmp_path / "5")
    rollback(database, files, tmp_path / "4")
    deleted = rollback(database, files, tmp_path / "3")
    execute(database, "INSERT INTO a VALUES (5, 'five')")
    column = rollback(database, files, tmp_path / "2")

    for report, table, rows in ((emptied, "d", 3), (deleted, "a", 1), (column, "a", 1)):
        assert report.backup is not None
        assert (table, rows) in [(t.name, t.rows) for t in read(report.backup).tables]
    assert ("table column", "a.note") in [(lost.kind, lost.name) for lost in column.lost]


PARTITIONED = """
    CREATE TABLE parts (n int, m int) PARTITION BY RANGE (n);
    CREATE TABLE low PARTITION OF parts FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (m);
    CREATE TABLE low_1 PARTITION OF low FOR VALUES FROM (0) TO (10);
    CREATE TABLE high PARTITION OF parts FOR VALUES FROM (10) TO (20);
    CREATE TABLE parent (n int);
    CREATE TABLE child () INHERITS (parent);
"""


@pytest.mark.parametrize(
    ("down", "counted"),
    [
        ("DROP TABLE child, parent, parts", {"parts": 3, "parent": 1, "child": 2}),
        ("DROP TABLE low, child", {"low": 2, "child": 2}),
        ("UPDATE parts SET m = 1", {"low_1": 2, "high": 1}),
        ("TRUNCATE parts", {"low_1": 2, "high": 1}),
        ("ALTER TABLE parts DROP COLUMN x", {"parts": 3}),
    ],
)
def test_the_rows_of_partitions_count_once(
    database: str, folder: Write, tmp_path: Path, down: str, counted: Mapping[str, int]
) -> None:
    """At the outermost table that goes: in the preview, in the report and in the backup."""
    files = folder(
        {"001_a.up.sql": PARTITIONED, "001_a.down.sql": down}
        if down.startswith("DROP")
        else {
            "001_a.up.sql": PARTITIONED,
            "002_b.up.sql": "ALTER TABLE parts ADD COLUMN x int",
            "002_b.down.sql": down,
        }
    )
    up(database, files)
    execute(
        database,
        "INSERT INTO parts VALUES (1, 1), (2, 2), (11, 0)",
        "INSERT INTO parent VALUES (1)",
        "INSERT INTO child VALUES (2), (3)",
    )

    preview = rollback(database, files, tmp_path, dry_run=True)
    report = rollback(database, files, tmp_path)

    assert preview.lost == report.lost
    tables = [lost for lost in report.lost if lost.kind != "table column"]
    assert {lost.name: lost.rows for lost in tables if lost.rows is not None} == counted
    assert not [one for one in report.lost if one.kind == "changed table" and one.rows is None]
    assert report.backup is not None
    assert {t.name: t.rows for t in read(report.backup).tables} == counted


def test_a_relation_that_a_down_file_leaves_is_reported_and_forgotten(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """An incomplete down file is no secret; verify does not expect the rest any more."""
    files = folder({**SIMPLE, "001_a.down.sql": "DROP TABLE a"})
    up(database, files)

    report = rollback(database, files, tmp_path)

    assert any("left sequence public.numbers in place" in note for note in report.notes)
    with closing(lfmigrate.connect(database)) as conn:
        assert lfmigrate.verify(conn, lfmigrate.read_folder(files)).relations == ()


# What ordinary migrations do, and what must not count as another owner's when it is undone.
def test_a_view_that_a_migration_has_changed_is_still_that_of_its_file(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """A renamed column changes the view on it; with the table, the view goes as well."""
    files = {
        "001_a.up.sql": "CREATE TABLE a (id int);",
        "001_a.down.sql": "DROP TABLE a;",
        "views/v.sql": "CREATE OR REPLACE VIEW v AS SELECT id AS n FROM a;",
    }
    up(database, folder(files))
    more = {
        **files,
        "002_b.up.sql": "ALTER TABLE a RENAME COLUMN id TO a_id;",
        "002_b.down.sql": "SELECT 1;",
        "003_c.up.sql": "SELECT 1;",
    }
    path = folder(more)
    up(database, path, to="2")

    report = rollback(database, path, tmp_path, to="0")

    assert {lost.name for lost in report.lost} == {"a", "v"}
    assert report.dependents == ()


ORDINARY = {
    "a table re-created": {
        "001_a.up.sql": "CREATE TABLE a (n int)",
        "001_a.down.sql": "DROP TABLE a",
        "002_b.up.sql": "DROP TABLE a; CREATE TABLE a (m text)",
        "002_b.down.sql": "DROP TABLE a; CREATE TABLE a (n int)",
    },
    "a view replaced": {
        "001_a.up.sql": "CREATE TABLE a (n int, m int); CREATE VIEW v AS SELECT n FROM a",
        "001_a.down.sql": "DROP VIEW v; DROP TABLE a",
        "002_b.up.sql": "CREATE OR REPLACE VIEW v AS SELECT n, m FROM a",
        "002_b.down.sql": "DROP VIEW v; CREATE VIEW v AS SELECT n FROM a",
    },
    "a column renamed": {
        "001_a.up.sql": "CREATE TABLE a (n int)",
        "001_a.down.sql": "DROP TABLE a",
        "002_b.up.sql": "ALTER TABLE a RENAME n TO m",
        "002_b.down.sql": "ALTER TABLE a RENAME m TO n",
    },
    "a column retyped": {
        "001_a.up.sql": "CREATE TABLE a (n int)",
        "001_a.down.sql": "DROP TABLE a",
        "002_b.up.sql": "ALTER TABLE a ALTER n TYPE bigint, ALTER n SET NOT NULL",
        "002_b.down.sql": "ALTER TABLE a ALTER n DROP NOT NULL, ALTER n TYPE int",
    },
    "a column, an index and a trigger on another owner's table": {
        "001_a.up.sql": "CREATE TABLE own (n int)",
        "001_a.down.sql": "DROP TABLE own",
        "002_b.up.sql": """
            ALTER TABLE theirs ADD extra int; CREATE INDEX i ON theirs (extra);
            CREATE TRIGGER g BEFORE UPDATE ON theirs FOR EACH ROW
                EXECUTE FUNCTION suppress_redundant_updates_trigger();
        """,
        "002_b.down.sql": "DROP TRIGGER g ON theirs; ALTER TABLE theirs DROP COLUMN extra",
    },
    "a table rebuilt": {
        "001_a.up.sql": "CREATE TABLE a (n int)",
        "001_a.down.sql": "DROP TABLE a",
        "002_b.up.sql": "ALTER TABLE a ADD m text",
        "002_b.down.sql": """
            CREATE TABLE a_new (n int); INSERT INTO a_new SELECT n FROM a;
            DROP TABLE a; ALTER TABLE a_new RENAME TO a;
        """,
    },
    "what is not verified": {
        "001_a.up.sql": "CREATE FUNCTION f(int, int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "001_a.down.sql": "DROP FUNCTION f",
        "002_b.up.sql": """
            CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = f);
            CREATE TABLE published (n int); CREATE PUBLICATION news FOR TABLE published;
            CREATE COLLATION plain (LOCALE = 'C');
        """,
        "002_b.down.sql": """
            DROP COLLATION plain; DROP PUBLICATION news; DROP TABLE published;
            DROP OPERATOR === (int, int);
        """,
    },
    "types, a schema and partitions": {
        "001_a.up.sql": "CREATE TABLE a (n int)",
        "001_a.down.sql": "DROP TABLE a",
        "002_b.up.sql": """
            CREATE SCHEMA extra; CREATE TYPE extra.pair AS (a int, b text);
            CREATE DOMAIN extra.share AS numeric CHECK (VALUE < 1);
            CREATE TABLE extra.p (n int, s extra.share, x extra.pair) PARTITION BY RANGE (n);
            CREATE TABLE extra.p1 PARTITION OF extra.p FOR VALUES FROM (0) TO (9);
            CREATE INDEX ON extra.p (n);
        """,
        "002_b.down.sql": "DROP SCHEMA extra CASCADE",
    },
}


@pytest.mark.parametrize("runs", [("2",), ("1", "2")], ids=["in one run", "in two runs"])
@pytest.mark.parametrize("case", ORDINARY)
def test_ordinary_migrations_are_undone_without_a_false_alarm(
    case: str, runs: Sequence[str], database: str, folder: Write, dump: Dump
) -> None:
    """The newest one, however both were applied; then the schema is that of the first, verified."""
    files = folder(ORDINARY[case])
    execute(database, "CREATE TABLE theirs (n int)")
    with closing(lfmigrate.connect(database)) as conn:
        for version in runs:
            lfmigrate.up(conn, lfmigrate.read_folder(files), to=version)
    full = dump(database)

    undone = rollback(database, files, files / "b")
    halfway = dump(database)

    assert [m.version for m in undone.migrations] == ["002"]
    assert undone.notes == ()
    with closing(lfmigrate.connect(database)) as conn:
        verified = lfmigrate.verify(conn, lfmigrate.read_folder(files), allow_pending=True)
        assert verified.ok
        assert len(verified.relations) > 0
        lfmigrate.up(conn, lfmigrate.read_folder(files))
        assert _sorted(dump(database)) == _sorted(full)
    rollback(database, files, files / "c")
    assert _sorted(dump(database)) == _sorted(halfway)


def test_another_owners_table_may_not_be_rebuilt(
    database: str, folder: Write, dump: Dump, tmp_path: Path
) -> None:
    """It would be there again, without its rows."""
    down = "DROP TABLE a; DROP TABLE theirs; CREATE TABLE theirs (n int)"
    files = folder({"001_a.up.sql": "CREATE TABLE a (n int)", "001_a.down.sql": down})
    execute(database, "CREATE TABLE theirs (n int)", "INSERT INTO theirs VALUES (1)")
    up(database, files)
    before = dump(database, rows=True)

    with pytest.raises(Refused) as caught:
        rollback(database, files, tmp_path)

    assert caught.value.facts == ("table public.theirs", NOTHING_CHANGED.text)
    assert dump(database, rows=True) == before


def test_a_table_is_not_taken_out_of_another_owners_publication(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """The server would do it without a word."""
    files = folder(SIMPLE)
    up(database, files)
    execute(database, "CREATE PUBLICATION news FOR TABLE a")

    with pytest.raises(Refused) as caught:
        rollback(database, files, tmp_path)

    assert "publication relation public.a in publication news" in caught.value.facts


def test_it_works_without_a_history(database: str, psql: Psql, dump: Dump, tmp_path: Path) -> None:
    """Tables that psql made; what others made on top of them is protected as well."""
    before = dump(database)
    shipped = lfmigrate.shipped_folder()
    for path in (*shipped.glob("*.up.sql"), *sorted(shipped.glob("views/*.sql"))):
        assert psql(database, "-f", str(path)).returncode == 0
    execute(database, "CREATE VIEW theirs AS SELECT id FROM performance_periods")

    with pytest.raises(Refused) as caught:
        rollback(database, None, tmp_path)
    assert caught.value.facts == ("view public.theirs", NOTHING_CHANGED.text)
    execute(database, "DROP VIEW theirs")
    report = rollback(database, None, tmp_path)

    assert [m.version for m in report.migrations] == ["002"]
    assert dump(database) == before
    assert rollback(database, None, tmp_path).migrations == ()


def test_a_forward_only_migration_in_the_way_is_refused_by_name(
    database: str, folder: Write, dump: Dump, tmp_path: Path
) -> None:
    """Before anything runs."""
    files = folder({**STAIRS, "004_only.sql": "CREATE TABLE o (n int)"})
    up(database, files)
    before = dump(database)

    with pytest.raises(Refused, match="004_only cannot be rolled back") as refused:
        rollback(database, files, tmp_path, to="001")

    assert "Rename 004_only.sql to 004_only.up.sql" in (refused.value.hint or "")
    assert dump(database) == before


@of_words
def test_an_edited_or_missing_down_file_is_reported_and_the_recorded_text_is_there(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """Edited: the file runs, and it is said; gone: refused; --recorded runs the text of then."""
    files = folder(SIMPLE)
    up(database, files)
    down = files / "001_a.down.sql"
    down.write_text(down.read_text() + ";\nCREATE TABLE edited (n int);")

    report = rollback(database, files, tmp_path, dry_run=True)
    assert any("001_a.down.sql was edited" in note for note in report.notes)
    down.unlink()
    with pytest.raises(SqlFileError, match="the down file of migration 001_a is not in"):
        rollback(database, files, tmp_path)
    report = rollback(database, files, tmp_path, recorded=True)

    assert [m.status for m in report.migrations] == ["rolled_back"]
    assert value(database, "SELECT to_regclass('edited') IS NULL")
    assert value(database, "SELECT to_regclass('a') IS NULL")


def test_a_folder_without_the_migration_can_be_rolled_back_as_recorded(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """The history alone is enough."""
    up(database, folder(SIMPLE))
    empty = folder({"009_other.up.sql": "CREATE TABLE o (n int)"})

    rollback(database, empty, tmp_path, recorded=True)

    assert value(database, "SELECT to_regclass('a') IS NULL")


@of_words
def test_no_backup_makes_none_and_a_failed_one_stops_it(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """--no-backup is one's own choice; a folder that cannot be written is none."""
    files = folder(SIMPLE)
    up(database, files)
    execute(database, "INSERT INTO a VALUES (1)")
    (tmp_path / "file").write_text("")

    with pytest.raises(Refused, match="the backup could not be written") as caught:
        rollback(database, files, tmp_path / "file")
    assert caught.value.outcome == NOTHING_CHANGED
    assert value(database, "SELECT count(*) FROM a") == 1
    report = rollback(database, files, None)

    assert report.backup is None
    assert value(database, "SELECT to_regclass('a') IS NULL")


@of_words
def test_nothing_to_undo_is_said(database: str, folder: Write, cli: Cli) -> None:
    """In an empty database, twice in a row, above the newest, and for a version that is none."""
    files = folder(SIMPLE)
    arguments = ("rollback", "--yes", "--sql-dir", files, "--database-url", database)

    done = cli(*arguments)
    assert (done.returncode, "nothing to roll back" in done.stdout) == (0, True)
    up(database, files)
    done = cli(*arguments, "--to", "1")
    assert (done.returncode, "nothing to roll back" in done.stdout) == (0, True)
    assert cli(*arguments).returncode == 0
    done = cli(*arguments)
    assert (done.returncode, "nothing to roll back" in done.stdout) == (0, True)
    with pytest.raises(UsageError, match='there is no migration "9"'):
        rollback(database, files, None, to="9")


@of_words
def test_it_is_shown_and_refused_without_yes(
    database: str, folder: Write, cli: Cli, dump: Dump
) -> None:
    """No terminal, no --yes: exit code 5, with all that would be lost."""
    files = folder(SIMPLE)
    up(database, files)
    execute(database, "INSERT INTO a VALUES (1)")
    before = dump(database, rows=True)
    arguments = ("rollback", "--sql-dir", files, "--database-url", database)

    shown = cli(*arguments)
    reported = cli(*arguments, "--json")
    dry = cli(*arguments, "--dry-run")

    assert shown.returncode == reported.returncode == 5
    assert dry.returncode == 0
    assert re.search(r"table +a +1 ", shown.stdout)
    assert "error: not confirmed" in shown.stderr
    document = json.loads(reported.stdout)
    assert (document["ok"], document["dry_run"]) == (False, False)
    assert {"kind": "table", "name": "a", "rows": 1}.items() <= document["lost"][0].items()
    assert document["dependents"] == []
    assert document["backup"] is None
    assert dump(database, rows=True) == before
    assert list(files.parent.rglob("lfmigrate-backups")) == []


@of_words
@pytest.mark.parametrize("dry", [False, True])
def test_a_refused_run_is_called_what_was_asked_for(
    database: str, folder: Write, cli: Cli, *, dry: bool
) -> None:
    """It reports what it would have dropped, and is a dry run only if one was asked for."""
    files = folder(SIMPLE)
    up(database, files)
    execute(database, "CREATE VIEW theirs AS SELECT id FROM a")
    arguments = ["rollback", "--sql-dir", files, "--database-url", database]
    arguments.append("--dry-run" if dry else "--yes")

    shown = cli(*arguments)
    document = json.loads(cli(*arguments, "--json").stdout)

    assert shown.returncode == document["exit_code"] == 5
    assert ("dry" in shown.stdout + shown.stderr) is dry
    assert shown.stdout.startswith(f"lfmigrate rollback{' --dry-run' if dry else ''}: ")
    assert "would also be dropped" in shown.stdout
    assert "001_a would be rolled back" in shown.stdout
    assert document["dry_run"] is dry
    assert [m["status"] for m in document["migrations"]] == ["planned"]


@of_words
def test_the_backup_is_the_last_thing_printed(
    database: str, folder: Write, cli: Cli, tmp_path: Path
) -> None:
    """A script takes the last line; --json has it under its key."""
    files = folder(SIMPLE)
    arguments = ("rollback", "--yes", "--sql-dir", files, "--database-url", database)
    up(database, files)
    execute(database, "INSERT INTO a VALUES (1)")
    done = cli(*arguments, "--backup-dir", tmp_path / "elsewhere")
    assert done.returncode == 0, done.stderr
    last = Path(done.stdout.splitlines()[-1])
    assert last.parent == tmp_path / "elsewhere"
    assert read(last).tables[0].rows == 1

    up(database, files)
    execute(database, "INSERT INTO a VALUES (1)")
    document = json.loads(cli(*arguments, "--json").stdout)
    assert document["migrations"] == [{"version": "001", "name": "a", "status": "rolled_back"}]
    assert read(tmp_path / "cwd" / document["backup"]).tables[0].rows == 1


@of_words
@pytest.mark.process
@pytest.mark.parametrize(("answer", "code"), [("\n", 5), ("n\n", 5), ("y\n", 0)])
def test_a_terminal_is_asked_and_no_is_the_default(
    answer: str, code: int, database: str, folder: Write, tmp_path: Path
) -> None:
    """Return means no."""
    files = folder(SIMPLE)
    up(database, files)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "lfmigrate", "rollback", "--sql-dir", files],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path,
        env={**os.environ, "DATABASE_URL": database, "TERM": "dumb"},
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while b"[y/N]" not in seen:
        assert select.select([ours], [], [], 30)[0], seen
        seen += os.read(ours, 65536)
    os.write(ours, answer.encode())
    with suppress(OSError):  # the terminal is gone with the process
        while chunk := os.read(ours, 65536):
            seen += chunk
    os.close(ours)

    assert process.wait(30) == code, seen
    assert b"would be dropped" in seen
    assert value(database, "SELECT to_regclass('a') IS NULL") is (code == 0)


def test_a_table_that_another_session_holds_is_left_alone(
    database: str, folder: Write, dump: Dump, tmp_path: Path
) -> None:
    """After the lock timeout: exit code 4, and the message names who holds it."""
    files = folder(SIMPLE)
    up(database, files)
    before = dump(database)
    with psycopg.connect(database, application_name="a colleague") as other:
        other.execute("SELECT * FROM a")

        with pytest.raises(StatementFailed) as caught:
            rollback(database, files, tmp_path, scope=lfmigrate.Scope(lock_timeout_ms=1000))

    assert caught.value.sqlstate == "55P03"
    assert any('application "a colleague"' in line for line in caught.value.facts)
    assert caught.value.outcome == NOTHING_CHANGED
    assert dump(database) == before


def test_no_row_can_come_in_between(database: str, folder: Write, tmp_path: Path) -> None:
    """Whatever a writer committed before the tables went is in the backup."""
    files = folder(SIMPLE)
    up(database, files)
    execute(database, "INSERT INTO a SELECT generate_series(-20000, 0)")
    written: list[int] = []

    def write() -> None:
        with psycopg.connect(database, autocommit=True) as conn:
            number = 0
            with suppress(psycopg.errors.UndefinedTable):
                while True:
                    number += 1
                    conn.execute("INSERT INTO a VALUES (%s)", [number], prepare=False)
                    written.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: len(written) > 10, "the writer is at work")
    report = rollback(database, files, tmp_path)
    writer.join()

    assert report.backup is not None
    (table,) = read(report.backup).tables
    assert table.rows == 20001 + len(written)


def test_two_at_once_undo_it_once(database: str, folder: Write, tmp_path: Path) -> None:
    """One does it, and the other finds nothing to do."""
    files = folder(SIMPLE)
    up(database, files)
    reports: list[RollbackReport] = []
    threads = [
        threading.Thread(
            target=lambda n=n: reports.append(rollback(database, files, tmp_path / str(n)))
        )
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(len(report.migrations) for report in reports) == [0, 0, 0, 1]


# ------------------------------------------------------------------------------------------------
# Faults
# ------------------------------------------------------------------------------------------------

ROWS = 200


def prepared(url: str, files: Path) -> None:
    """Bring a database to the state from which it is rolled back."""
    up(url, files)
    execute(url, f"INSERT INTO a SELECT generate_series(1, {ROWS})")


def check_all_or_saved(url: str, parent: Path, reported: str) -> bool:
    """Check that the rows are in the database, or in a complete backup; say which."""
    if value(url, "SELECT to_regclass('a') IS NOT NULL"):
        assert value(url, "SELECT count(*) FROM a") == ROWS, reported
        return False
    folders = [path for path in parent.iterdir() if not path.name.startswith(".")]
    assert any(read(path).tables[0].rows == ROWS for path in folders), reported
    return True


@pytest.mark.sweep
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_connection_cut_anywhere_loses_nothing(
    way: Way, database: str, folder: Write, tmp_path: Path
) -> None:
    """Everything is in the database, or gone with a complete backup; and it says which."""
    files = folder(SIMPLE)
    prepared(database, files)
    with Proxy(target_of(database)) as counter:
        rollback(through(database, counter.port), files, tmp_path / "whole")
    prepared(database, files)
    said = []
    for at_byte in places(counter.bytes_up if way == "up" else counter.bytes_down):
        parent = tmp_path / str(at_byte)
        reported = DONE  # perhaps with a note, if the answer to COMMIT was lost
        with Cutter(target_of(database), at_byte=at_byte, way=way) as proxy:
            try:
                rollback(through(database, proxy.port), files, parent)
            except ConnectionFailed as error:
                reported = " ".join(error.facts)
        wait_until_left(database)
        is_gone = check_all_or_saved(database, parent, reported)
        assert (reported == DONE) == is_gone, (at_byte, reported)
        if "connection failed" not in reported:  # then there was no run that could have said it
            assert (NOTHING_CHANGED.text in reported) == (not is_gone), (at_byte, reported)
        said.append(is_gone)
        if is_gone:
            prepared(database, files)
    assert False in said


@pytest.mark.sweep
@pytest.mark.parametrize("way", ["up", "down"])
def test_a_restore_that_is_cut_anywhere_brings_back_all_or_nothing(
    way: Way, database: str, folder: Write, tmp_path: Path
) -> None:
    """The same for the way back, its sequence included."""
    files = read_folder(folder({"001_a.up.sql": "CREATE TABLE a (n serial, t text)"}))
    with closing(lfmigrate.connect(database)) as conn:
        lfmigrate.up(conn, files)
        execute(database, f"INSERT INTO a (t) SELECT 'x' FROM generate_series(1, {ROWS})")
        path = lfmigrate.backup(conn, files, out=tmp_path / "out").path

    def restore(url: str) -> None:
        with closing(lfmigrate.connect(url)) as conn:
            lfmigrate.restore(conn, files, path)

    def empty() -> None:
        execute(database, "TRUNCATE a", "SELECT setval('a_n_seq', 7, false)")

    empty()
    with Proxy(target_of(database)) as counter:
        restore(through(database, counter.port))
    empty()
    said = []
    for at_byte in places(counter.bytes_up if way == "up" else counter.bytes_down):
        reported = DONE
        with Cutter(target_of(database), at_byte=at_byte, way=way) as proxy:
            try:
                restore(through(database, proxy.port))
            except ConnectionFailed as error:
                reported = " ".join(error.facts)
        wait_until_left(database)
        found = value(database, "SELECT array[count(*), nextval('a_n_seq')] FROM a")
        assert found in ([0, 7], [ROWS, ROWS + 1]), (at_byte, reported)
        said.append(found[0] == ROWS)
        assert (reported == DONE) == said[-1], (at_byte, reported)
        empty()
    assert False in said


def places(whole: int) -> list[int]:
    """Choose where to cut a conversation of so many bytes; closer where the commit is."""
    rng = random.Random(SEED)  # noqa: S311 (nothing secret)
    return sorted(rng.sample(range(whole - 60), 20)) + list(range(whole - 60, whole, 6))


@pytest.mark.sweep
@pytest.mark.process
def test_a_killed_process_loses_nothing(database: str, folder: Write, tmp_path: Path) -> None:
    """SIGKILL at 16 moments of a session; what is left is whole."""
    drops = SIMPLE["001_a.down.sql"].split(";")
    gates = range(len(drops))
    down = "".join(f"{drop};\n{Gates.statement(n)}\n" for n, drop in enumerate(drops))
    files = folder({**SIMPLE, "001_a.down.sql": down})
    prepared(database, files)
    rng = random.Random(SEED)  # noqa: S311 (nothing secret)
    # At each gate, and wherever some milliseconds lead from when its session is there.
    moments = [*gates, *(rng.uniform(0.0, 0.2) for _ in range(16 - len(gates)))]
    for number, moment in enumerate(moments):
        parent = tmp_path / str(number)
        with ExitStack() as stack:
            is_gate = number in gates
            stands = stack.enter_context(Gates(database).closed(number)) if is_gate else None
            process = _start(database, files, parent)
            if stands is not None:
                stands()
            else:
                wait_for_session(database, process)
                time.sleep(moment)
            process.kill()
            process.wait(60)
        wait_until_left(database)
        is_gone = check_all_or_saved(database, parent, f"killed at moment {moment}")
        assert not (is_gate and is_gone)
        if is_gone:
            prepared(database, files)

    rollback(database, files, tmp_path / "last")
    assert check_all_or_saved(database, tmp_path / "last", "at the end")


def _start(url: str, files: Path, parent: Path) -> Started:
    parent.mkdir(exist_ok=True)
    where: list[str | Path] = ["--sql-dir", files, "--database-url", url, "--backup-dir", parent]
    return Started(["rollback", "--yes", "-q", *where], piped=False)


# ------------------------------------------------------------------------------------------------
# --to 0
# ------------------------------------------------------------------------------------------------

ZERO = {
    "000_first.up.sql": "CREATE TABLE first (id int);",
    "000_first.down.sql": "DROP TABLE first;",
    "001_a.up.sql": "CREATE TABLE a (id int);",
    "001_a.down.sql": "DROP TABLE a;",
}


@pytest.mark.parametrize(
    ("version", "to", "undone"),
    [
        ("000", "000", ["001"]),
        ("000", "0", ["001", "000"]),
        ("000", "00", ["001", "000"]),
        ("0", "0", ["001"]),
        ("0", "00", ["001", "0"]),
    ],
)
def test_zero_means_all_unless_a_version_is_written_like_that(
    database: str, folder: Write, version: str, to: str, undone: list[str]
) -> None:
    """A migration 000 can be kept, and 0 still rolls back everything."""
    path = folder({name.replace("000", version): text for name, text in ZERO.items()})
    up(database, path)

    assert [m.version for m in rollback(database, path, None, to=to).migrations] == undone


def test_a_recorded_version_counts_without_its_file(database: str, folder: Write) -> None:
    """What is written in the history is a version as well."""
    up(database, folder(ZERO))
    path = folder({name: text for name, text in ZERO.items() if "001" in name})

    assert [m.version for m in rollback(database, path, None, to="000").migrations] == ["001"]
    with pytest.raises(UsageError, match='there is no migration "7"'):
        rollback(database, path, None, to="7")


@pytest.mark.parametrize("version", ["0", "000"])
def test_check_undoes_a_migration_zero(
    database: str, folder: Write, cli: Cli, version: str
) -> None:
    """Its rollback is of everything, whatever the versions look like."""
    path = folder({name.replace("000", version): text for name, text in ZERO.items()})

    done = cli("check", "--database-url", database, "--sql-dir", path)

    assert done.returncode == 0, done.stdout


def test_the_columns_of_an_extensions_views_are_the_extensions(
    database: str, folder: Write
) -> None:
    """They go with it; a view of someone else on them does not."""
    path = folder(
        {
            "1_a.up.sql": "CREATE EXTENSION pg_stat_statements;",
            "1_a.down.sql": "DROP EXTENSION pg_stat_statements;",
        }
    )
    up(database, path)
    execute(database, "CREATE VIEW theirs AS SELECT calls FROM pg_stat_statements")

    with pytest.raises(Refused) as refused:
        rollback(database, path, None)
    assert refused.value.detail == ("view public.theirs",)

    execute(database, "DROP VIEW theirs")
    rollback(database, path, None)
    assert value(database, "SELECT count(*) FROM pg_extension") == 1


@pytest.mark.any_version
@pytest.mark.parametrize(
    ("file", "text", "hint"),
    [
        (
            "20240501120000_a/migration.sql",
            "CREATE TABLE a ();",
            "Undo it with a new migration: prisma has no down files.",
        ),
        (
            "00001_a.sql",
            "-- +goose Up\nCREATE TABLE a ();",
            (
                "Add what reverts it to the folder, as goose reads it, or undo it with a new"
                " migration."
            ),
        ),
        (
            "001_a.sql",
            "CREATE TABLE a ();",
            (
                "Rename 001_a.sql to 001_a.up.sql and write 001_a.down.sql, or undo it with a new"
                " migration."
            ),
        ),
        (
            "001_a.up.sql",
            "CREATE TABLE a ();",
            "Write its .down.sql, or undo it with a new migration.",
        ),
    ],
)
def test_the_hint_is_what_the_format_can_do(
    database: str, folder: Write, file: str, text: str, hint: str
) -> None:
    """About a migration without a down file: some tools have none."""
    path = folder({file: text})
    up(database, path)

    with pytest.raises(Refused) as caught:
        rollback(database, path, None)

    assert caught.value.hint == hint
