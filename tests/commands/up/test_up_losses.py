"""`up` does not lose existing rows unless someone has decided that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import lfmigrate
from lfmigrate.errors import Refused
from lfmigrate.rows.archive import read
from tests.conftest import Cli
from tests.helpers.commands import up
from tests.helpers.databases import execute, fetch, value

Write = Callable[[Mapping[str, str | bytes]], Path]

BASE = """
    CREATE TYPE mood AS ENUM ('x');
    CREATE TYPE addr AS (line text, city text);
    CREATE TABLE a (
        id int PRIMARY KEY, note text, day timestamp, n numeric(8, 4), m mood, home addr
    );
    CREATE TABLE b (a_id int REFERENCES a);
    CREATE TABLE p (n int, note text) PARTITION BY LIST (n);
    CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
    CREATE TABLE parent (n int, note text);
    CREATE TABLE child () INHERITS (parent);
    CREATE FUNCTION wipe() RETURNS void LANGUAGE sql AS 'TRUNCATE b';
"""
ROWS = (
    "INSERT INTO a VALUES (1, 'x', '2026-01-01 10:00', 1.25, 'x', ROW('l', 'c'))",
    "INSERT INTO a (id) VALUES (2)",
    "INSERT INTO b VALUES (1), (1), (2)",
    "INSERT INTO p VALUES (1, 'x')",
    "INSERT INTO child VALUES (1, 'x')",
)

LOSSES = [
    ("DROP TABLE b", {"b": 3}),
    ('DROP TABLE IF EXISTS public."b", nothing CASCADE', {"b": 3}),
    ("ALTER TABLE a DROP COLUMN note, DROP day", {"a.note": 1, "a.day": 1}),
    ("TRUNCATE b", {"b": 3}),
    ("TRUNCATE a CASCADE", {"a": 2, "b": 3}),
    ("DO $$ BEGIN DROP TABLE b; END $$", {"b": 3}),
    ("SELECT wipe()", {"b": 3}),
    ("DO $$ BEGIN TRUNCATE b; END $$; DROP TABLE b", {"b": 3}),
    ("DROP TYPE mood CASCADE", {"a.m": 1}),
    ("ALTER TYPE addr DROP ATTRIBUTE city", {"a": 2}),
    ("ALTER TABLE a ALTER day TYPE date", {"a.day": 1}),
    ("ALTER TABLE a ALTER COLUMN n SET DATA TYPE numeric(8, 1)", {"a.n": 1}),
    ("ALTER TABLE a ALTER note TYPE text USING upper(note)", {"a.note": 1}),
    ("DO $$ BEGIN ALTER TABLE a ALTER day TYPE date; END $$", {"a.day": 1}),
    ("DROP TABLE p", {"p1": 1}),
    ("ALTER TABLE p DROP COLUMN note", {"p1.note": 1}),
    ("ALTER TABLE parent DROP COLUMN note", {"child.note": 1}),
    ("DROP SCHEMA public CASCADE; CREATE SCHEMA public", {"a": 2, "b": 3, "p1": 1, "child": 1}),
]


@pytest.fixture
def filled(database: str, folder: Write) -> Callable[[str], Path]:
    """Return a function that returns a folder with a pending migration; the tables have rows."""
    up(database, folder({"001_base.up.sql": BASE}))
    execute(database, *ROWS)
    return lambda text: folder({"001_base.up.sql": BASE, "002_next.up.sql": text})


@pytest.mark.parametrize(("text", "lost"), LOSSES)
def test_rows_are_not_lost_unasked(
    text: str,
    lost: Mapping[str, int],
    database: str,
    filled: Callable[[str], Path],
    dump: Callable[..., str],
) -> None:
    """Whether the text says so, or only a function, a block or a cascade does it."""
    before = dump(database, rows=True)

    with pytest.raises(Refused, match="of existing rows") as caught:
        up(database, filled(text))

    assert caught.value.exit_code == 5
    report = caught.value.report
    assert isinstance(report, lfmigrate.UpReport)
    assert {one.name: one.rows for one in report.lost} == lost
    assert {m.version: m.status for m in report.migrations}["002"] == "planned"
    assert dump(database, rows=True) == before


@pytest.mark.parametrize(
    "text",
    [
        "ALTER TABLE a ALTER id TYPE bigint, ALTER note TYPE varchar(20), ALTER n TYPE numeric",
        "ALTER TABLE a ADD COLUMN u uuid DEFAULT gen_random_uuid(), DROP CONSTRAINT a_pkey CASCADE",
        "ALTER TABLE b SET UNLOGGED",
        "ALTER TABLE a ADD COLUMN gone int; ALTER TABLE a DROP COLUMN gone",
        "DELETE FROM b WHERE a_id = 1; UPDATE b SET a_id = 1",
        "CREATE TABLE c AS SELECT * FROM a; DROP TABLE c",
        "DROP TABLE IF EXISTS nothing; ALTER TABLE IF EXISTS nothing DROP COLUMN x",
        "DELETE FROM child; DROP TABLE child",
        "DO $$ BEGIN ALTER TABLE a ALTER id TYPE bigint; END $$",
        "ALTER TABLE a ALTER id TYPE bigint; INSERT INTO a VALUES (7)",
    ],
)
def test_what_loses_nothing_runs(text: str, database: str, filled: Callable[[str], Path]) -> None:
    """Wider types and rewritten tables keep all values."""
    report = up(database, filled(text))

    assert report.lost == ()
    assert report.backups == ()


def test_empty_tables_and_fresh_databases_are_not_guarded(database: str, folder: Write) -> None:
    """Nothing is asked where there is nothing to lose."""
    text = "TRUNCATE a, b; ALTER TABLE a DROP COLUMN note; DROP TABLE b; DROP TABLE parent CASCADE"
    files = folder({"001_base.up.sql": BASE, "002_next.up.sql": text})
    assert up(database, folder({"001_base.up.sql": BASE})).lost == ()
    assert up(database, files).lost == ()


def test_rows_that_the_command_has_inserted_itself_are_no_loss(
    database: str, folder: Write
) -> None:
    """One transaction or several: a new database has nothing to lose."""
    files = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (n int, m int); INSERT INTO a VALUES (1, 2)",
            "002_b.up.sql": "UPDATE a SET n = 2; ALTER TABLE a DROP COLUMN m",
            "003_c.up.sql": "-- lfmigrate: no-transaction\nVACUUM a",
            "004_d.up.sql": "DROP TABLE a",
        }
    )
    report = up(database, files, per_migration=True)

    assert report.lost == ()
    assert report.notes == ()


def test_it_is_decided_in_the_file_by_an_option_or_with_a_backup(
    database: str, filled: Callable[[str], Path], tmp_path: Path, cli: Cli
) -> None:
    """A backup has the rows as they were."""
    files = filled("DROP TABLE b; DO $$ BEGIN ALTER TABLE a DROP COLUMN note; END $$")
    options = ("--database-url", database, "--sql-dir", files)
    refused = cli("up", *options)
    tried = cli("up", *options, "--dry-run")
    saved = cli("up", *options, "--backup-dir", tmp_path / "backups")

    assert refused.returncode == 5
    assert "table b: 3 rows would be dropped with it" in refused.stderr
    assert "loses-data" in refused.stderr
    assert tried.returncode == 0
    assert "existing rows that would be lost" in tried.stdout
    assert saved.returncode == 0, saved.stderr
    (path,) = (tmp_path / "backups").iterdir()
    assert {t.name: t.rows for t in read(path).tables} == {"a": 2, "b": 3}
    assert "existing rows lost" in saved.stdout


def test_a_file_says_that_it_loses_data(
    database: str, filled: Callable[[str], Path], folder: Write
) -> None:
    """For itself: another file that does not say so is refused."""
    marked = "-- lfmigrate: loses-data\nDROP TABLE b;"
    files = filled(marked)
    with pytest.raises(Refused) as caught:
        up(
            database,
            folder(
                {
                    "001_base.up.sql": BASE,
                    "002_next.up.sql": marked,
                    "003_more.up.sql": "ALTER TABLE a DROP COLUMN note",
                }
            ),
        )
    assert [line.partition(":")[0] for line in caught.value.detail] == ["table column a.note"]
    assert [(one.kind, one.name, one.rows) for one in up(database, files).lost] == [
        ("table", "b", 3)
    ]


def test_an_option_accepts_any_loss(database: str, filled: Callable[[str], Path]) -> None:
    """The report still says what was lost."""
    report = up(database, filled("TRUNCATE a CASCADE"), accept_data_loss=True)

    assert {one.name: one.rows for one in report.lost} == {"a": 2, "b": 3}
    assert value(database, "SELECT count(*) FROM a") == 0


def test_rows_behind_a_policy_are_counted(
    role: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """The owner under FORCE sees none of them."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo  # noqa: PLC0415

    name = conninfo_to_dict(database)["dbname"]
    execute(
        database,
        f"GRANT CREATE ON DATABASE {name} TO {role}",
        f"GRANT USAGE, CREATE ON SCHEMA public TO {role}",
    )
    owner = make_conninfo(database, user=role)
    create = """
        CREATE TABLE t (n int);
        ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    """
    files = folder({"001_a.up.sql": create, "002_b.up.sql": "TRUNCATE t"})
    up(owner, files, to="001")
    execute(database, "INSERT INTO t VALUES (1), (2)")

    with pytest.raises(Refused):
        up(owner, files)
    report = up(owner, files, backup_dir=tmp_path)

    assert [one.rows for one in report.lost] == [2]
    assert [t.rows for path in report.backups for t in read(path).tables] == [2]


def test_changed_rows_are_reported(database: str, filled: Callable[[str], Path]) -> None:
    """A DELETE is what its file says, and no loss that is refused."""
    report = up(database, filled("DELETE FROM b WHERE a_id = 1; UPDATE a SET note = 'y'"))

    assert report.notes == ("4 rows updated or deleted in a, b",)
    assert fetch(database, "SELECT a_id FROM b") == [2]


@pytest.mark.parametrize("way", ["refused", "saved"])
def test_rows_of_a_child_table_that_another_session_creates_meanwhile_are_not_lost(
    way: str, database: str, filled: Callable[[str], Path], tmp_path: Path
) -> None:
    """TRUNCATE also empties it, although it did not exist when the command began."""
    execute(database, "CREATE TABLE done (n int)")
    files = filled(
        """
        SELECT 1;
        DO $$ BEGIN
            WHILE NOT EXISTS (SELECT FROM done) LOOP PERFORM pg_sleep(0.01); END LOOP;
            CREATE TABLE own (n int);
            INSERT INTO own VALUES (1);
            TRUNCATE parent, own;
        END $$;
        """
    )
    waiting = [True]

    def meanwhile(_: object) -> None:
        if waiting:
            waiting.clear()
            execute(
                database,
                "CREATE TABLE theirs () INHERITS (parent)",
                "INSERT INTO theirs VALUES (7, 'theirs')",
                "INSERT INTO done VALUES (1)",
            )

    if way == "saved":
        report = up(database, files, progress=meanwhile, backup_dir=tmp_path / "out")
        (path,) = report.backups
        assert {t.name: t.rows for t in read(path).tables} == {"child": 1, "theirs": 1}
        assert {one.name: one.rows for one in report.lost} == {"child": 1, "theirs": 1}
    else:
        with pytest.raises(Refused) as caught:
            up(database, files, progress=meanwhile)
        assert [line.partition(":")[0] for line in caught.value.detail] == [
            "changed table child",
            "changed table theirs",
        ]
        assert value(database, "SELECT count(*) FROM theirs") == 1
    assert not waiting
