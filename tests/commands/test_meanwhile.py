"""What other sessions do to the schema during a run is theirs, and what they made stays theirs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import lfmigrate
from lfmigrate.commands.up_report import UpReport
from lfmigrate.errors import Refused
from tests.helpers.commands import parts, statuses, up, verdict, verify
from tests.helpers.databases import execute, value

Write = Callable[[dict[str, str]], Path]

TABLES = """
CREATE TABLE a (id integer PRIMARY KEY, n integer CHECK (n > 0));
CREATE INDEX a_n ON a (n);
CREATE TABLE b (id integer PRIMARY KEY, n integer CHECK (n > 0));
CREATE INDEX b_n ON b (n);
CREATE VIEW v AS SELECT id FROM b;
"""


# A run of this file waits until another session has done what it is to do meanwhile.
LATER = """
ALTER TABLE a ADD COLUMN m integer;
DO $$ BEGIN
    WHILE NOT EXISTS (SELECT FROM done) LOOP PERFORM pg_sleep(0.01); END LOOP;
END $$;
"""


def up_while(database: str, path: Path, statement: str) -> UpReport:
    """Apply a folder; once its first statement has run, another session runs one of its own."""
    execute(database, "CREATE TABLE done (n integer)")
    waiting = [statement]

    def meanwhile(_: object) -> None:
        if waiting:
            execute(database, waiting.pop(), "INSERT INTO done VALUES (1)")

    with closing(lfmigrate.connect(database)) as conn:
        report = lfmigrate.up(conn, lfmigrate.read_folder(path), progress=meanwhile)
    assert not waiting
    return report


@pytest.mark.parametrize(
    ("statement", "differs"),
    [
        ("ALTER TABLE b ADD COLUMN extra text", {"column extra"}),
        ("ALTER TABLE b DROP COLUMN n", {"column n", "constraint b_n_check", "index b_n"}),
        ("ALTER TABLE b DROP CONSTRAINT b_n_check", {"constraint b_n_check"}),
        ("ALTER TABLE b ALTER COLUMN n TYPE bigint", {"column n"}),
        ("DROP INDEX b_n", {"index b_n"}),
        ("ALTER INDEX b_n RENAME TO other", {"index b_n", "index other"}),
    ],
)
def test_what_another_session_changed_during_the_run_is_drift(
    statement: str, differs: set[str], database: str, folder: Write
) -> None:
    """The run did not do it, so that nothing of it is expected."""
    up(database, folder({"1_a.up.sql": TABLES}))
    path = folder({"1_a.up.sql": TABLES, "2_b.up.sql": LATER})

    up_while(database, path, statement)

    report = verify(database, path)
    assert parts(verdict(report, "b")) == differs
    assert statuses(report)["table a"] == "ok"


def test_a_table_that_another_session_drops_is_missing_and_not_dropped(
    database: str, folder: Write
) -> None:
    """It is still expected."""
    up(database, folder({"1_a.up.sql": TABLES}))
    path = folder({"1_a.up.sql": TABLES, "2_b.up.sql": LATER})

    report = up_while(database, path, "DROP TABLE b CASCADE")

    assert statuses(report)["table b"] == "missing"
    assert statuses(verify(database, path)) == {
        "table a": "ok",
        "table b": "missing",
        "view v": "missing",
    }


def test_a_table_that_another_session_renames_is_missing(database: str, folder: Write) -> None:
    """Its new name is not the migrations'."""
    up(database, folder({"1_a.up.sql": TABLES}))
    path = folder({"1_a.up.sql": TABLES, "2_b.up.sql": LATER})

    report = up_while(database, path, "ALTER TABLE b RENAME TO c")

    assert statuses(report)["table b"] == "missing"
    assert statuses(verify(database, path))["table b"] == "missing"


@pytest.mark.parametrize(
    ("statement", "undone"),
    [
        ("ALTER TABLE theirs SET SCHEMA app", "DROP TABLE app.theirs"),
        ("ALTER TABLE theirs RENAME TO ours", "DROP TABLE ours"),
        ("ALTER TABLE theirs RENAME COLUMN n TO m", "ALTER TABLE theirs DROP COLUMN m"),
        ("ALTER TABLE theirs ALTER COLUMN n TYPE bigint", "ALTER TABLE theirs DROP COLUMN n"),
        (
            "ALTER TABLE theirs RENAME CONSTRAINT theirs_n_check TO other",
            "ALTER TABLE theirs DROP CONSTRAINT other",
        ),
        ("ALTER INDEX theirs_n RENAME TO other", "DROP INDEX other"),
        ("ALTER VIEW shown SET SCHEMA app", "DROP VIEW app.shown"),
        ("ALTER SEQUENCE counter SET SCHEMA app", "DROP SEQUENCE app.counter"),
        ("ALTER TYPE mood SET SCHEMA app", "DROP TYPE app.mood CASCADE"),
    ],
)
def test_what_was_there_before_is_not_created_by_moving_or_renaming_it(
    statement: str, undone: str, database: str, folder: Write
) -> None:
    """A rollback does not drop it without --cascade."""
    execute(
        database,
        "CREATE SCHEMA app",
        "CREATE TYPE mood AS ENUM ('low')",
        "CREATE SEQUENCE counter",
        "CREATE TABLE theirs (id integer PRIMARY KEY, n integer CHECK (n > 0), m1 mood)",
        "CREATE INDEX theirs_n ON theirs (n)",
        "CREATE VIEW shown AS SELECT 1 AS id",
        "INSERT INTO theirs SELECT n, n, 'low' FROM generate_series(1, 10) AS n",
    )
    path = folder({"1_a.up.sql": statement, "1_a.down.sql": undone})

    report = up(database, path)

    assert not [v for v in report.relations if v.status == "created"]
    with (
        closing(lfmigrate.connect(database)) as conn,
        pytest.raises(Refused, match="outside the migration"),
    ):
        lfmigrate.rollback(conn, lfmigrate.read_folder(path), backup_dir=None)
    table = {"SET SCHEMA app": "app.theirs", "RENAME TO ours": "ours"}
    name = table.get(statement.removeprefix("ALTER TABLE theirs "), "theirs")
    assert value(database, f"SELECT count(*) FROM {name}") == 10
