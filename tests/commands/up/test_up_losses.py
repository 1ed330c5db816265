"""`up` does not lose existing rows unless someone has decided that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import lfmigrate
from lfmigrate.errors import NOTHING_CHANGED, Refused, StatementFailed
from lfmigrate.rows.archive import read
from tests.conftest import Cli
from tests.helpers.commands import up
from tests.helpers.databases import execute, fetch, value
from tests.helpers.faults import wait_until
from tests.helpers.threads import Threads

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
    CREATE SEQUENCE used;
    CREATE SEQUENCE unused;
    CREATE MATERIALIZED VIEW m AS SELECT 1 AS n;
    CREATE FUNCTION wipe() RETURNS void LANGUAGE sql AS 'TRUNCATE b';
    CREATE TABLE empty (n int, home addr);
    CREATE TABLE g (x int, y int GENERATED ALWAYS AS (x * 2) STORED);
    CREATE FUNCTION purge() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN EXECUTE ''TRUNCATE child''; RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER purge AFTER DELETE ON p1 DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION purge();
"""
ROWS = (
    "INSERT INTO a VALUES (1, 'x', '2026-01-01 10:00', 1.25, 'x', ROW('l', 'c'))",
    "INSERT INTO a (id) VALUES (2)",
    "INSERT INTO b VALUES (1), (1), (2)",
    "INSERT INTO p VALUES (1, 'x')",
    "INSERT INTO child VALUES (1, 'x')",
    "INSERT INTO g VALUES (1)",
    "SELECT setval('used', 41)",
)

RETYPE = "ALTER TABLE b ALTER a_id TYPE bigint"

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
    ("ALTER TYPE addr DROP ATTRIBUTE city", {"a": 1}),
    ("ALTER TABLE a ALTER day TYPE date", {"a.day": 1}),
    ("ALTER TABLE a ALTER COLUMN n SET DATA TYPE numeric(8, 1)", {"a.n": 1}),
    ("ALTER TABLE a ALTER note TYPE text USING upper(note)", {"a.note": 1}),
    ("DO $$ BEGIN ALTER TABLE a ALTER day TYPE date; END $$", {"a.day": 1}),
    ("DROP TABLE p", {"p1": 1}),
    ("ALTER TABLE p DROP COLUMN note", {"p1.note": 1}),
    ("ALTER TABLE parent DROP COLUMN note", {"child.note": 1}),
    (
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public",
        {"a": 2, "b": 3, "p1": 1, "child": 1, "g": 1, "used": None, "m": 1},
    ),
    ("DROP SEQUENCE used, unused", {"used": None}),
    ("DO $$ BEGIN DROP SEQUENCE used; CREATE SEQUENCE used; END $$", {"used": None}),
    ("DROP MATERIALIZED VIEW m", {"m": 1}),
    # The server empties in place what the same subtransaction has rewritten.
    (f"{RETYPE}; DO $$ BEGIN TRUNCATE b; END $$", {"b": 3}),
    (f"{RETYPE}; SELECT wipe()", {"b": 3}),
    (f"DO $$ BEGIN {RETYPE}; TRUNCATE b; END $$", {"b": 3}),
    (f"DO $$ BEGIN {RETYPE}; END $$; DO $$ BEGIN TRUNCATE b; END $$", {"b": 3}),
    (f"DO $$ BEGIN {RETYPE}; END $$; TRUNCATE b", {"b": 3}),
    (f"ALTER TABLE b ADD n uuid DEFAULT gen_random_uuid(); {RETYPE}; DROP TABLE b", {"b": 3}),
    ("DO $$ BEGIN TRUNCATE b; END $$; INSERT INTO b VALUES (1)", {"b": 3}),
    ("DO $$ BEGIN TRUNCATE b; INSERT INTO b VALUES (1); END $$", {"b": 3}),
    ("INSERT INTO b VALUES (1); TRUNCATE b", {"b": 3}),
    ("DELETE FROM b WHERE a_id = 1; DROP TABLE b", {"b": 1}),
    # A row that was updated still exists.
    ("UPDATE b SET a_id = a_id; DROP TABLE b", {"b": 3}),
    ("UPDATE b SET a_id = a_id; INSERT INTO b VALUES (1); TRUNCATE b", {"b": 3}),
    ("UPDATE a SET note = 'y' WHERE id = 2; ALTER TABLE a DROP COLUMN note", {"a.note": 1}),
    ("UPDATE b SET a_id = a_id; DO $$ BEGIN EXECUTE 'TRUNCATE b'; END $$", {"b": 3}),
    ("UPDATE b SET a_id = a_id; ALTER TABLE b ADD n bigserial; DROP TABLE b", {"b": 3}),
    # Each value is another row's.
    ("ALTER TABLE a ALTER id TYPE int USING 3 - id", {"a.id": 2}),
    # A deferred trigger fires at the end.
    ("DELETE FROM p1", {"child": 1}),
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
        "DROP SEQUENCE unused",
        "DROP MATERIALIZED VIEW m; CREATE MATERIALIZED VIEW m AS SELECT 2 AS n",
        "DO $$ BEGIN ALTER TABLE a ALTER id TYPE bigint; END $$",
        "ALTER TABLE a ALTER id TYPE bigint; INSERT INTO a VALUES (7)",
        "ALTER TABLE a ADD u uuid NOT NULL DEFAULT gen_random_uuid(); UPDATE a SET note = 'y'",
        "DELETE FROM b WHERE a_id = 1; ALTER TABLE b ADD COLUMN n bigserial",
        (
            "ALTER TYPE mood RENAME TO gone; CREATE TYPE mood AS ENUM ('x', 'y');"
            " ALTER TABLE a ALTER m TYPE mood USING m::text::mood; DROP TYPE gone"
        ),
        "ALTER TABLE a ALTER n TYPE numeric(9, 2); ALTER TABLE a ALTER n TYPE float8",
        (
            "INSERT INTO empty VALUES (1); TRUNCATE empty; INSERT INTO empty VALUES (1);"
            " ALTER TABLE empty DROP COLUMN n; DROP TABLE empty"
        ),
        (
            "DO $$ BEGIN ALTER TABLE a ADD tmp int; END $$; UPDATE a SET tmp = 1;"
            " ALTER TABLE a DROP COLUMN tmp"
        ),
        (
            "INSERT INTO empty VALUES (1); UPDATE empty SET n = 2; ALTER TABLE empty DROP n;"
            " ALTER TABLE empty ADD m bigserial; DROP TABLE empty"
        ),
        (
            "ALTER TABLE a ADD price money DEFAULT 1, ADD doc json DEFAULT '{\"b\":  1}';"
            " ALTER TABLE a ALTER id TYPE bigint"
        ),
        "ALTER TABLE b ADD doc json DEFAULT '{\"b\":  1}'; ALTER TABLE b ALTER doc TYPE jsonb",
        (
            "INSERT INTO b VALUES (1); CREATE INDEX i ON b (a_id DESC);"
            " DO $$ BEGIN EXECUTE 'CLUSTER b USING i'; END $$"
        ),
        (
            "CREATE TABLE own (n int); ALTER TABLE own ADD PRIMARY KEY (n);"
            " COPY own FROM PROGRAM 'echo 1' (FREEZE)"
        ),
        "ALTER TABLE g DROP COLUMN y",
        "DO $$ BEGIN ALTER TABLE g DROP COLUMN y; END $$",
        (
            "CREATE TABLE whole (old empty); INSERT INTO whole VALUES (NULL);"
            " ALTER TABLE empty ADD gone int; ALTER TABLE empty DROP COLUMN gone"
        ),
    ],
)
def test_what_loses_nothing_runs(text: str, database: str, filled: Callable[[str], Path]) -> None:
    """Wider types and rewritten tables keep all values."""
    report = up(database, filled(text))

    assert report.lost == ()
    assert report.backups == ()


def test_a_value_is_the_same_instant_in_the_time_zone_of_the_session(
    database: str, filled: Callable[[str], Path]
) -> None:
    """Where the statement has converted it."""
    name = value(database, "SELECT current_database()")
    execute(database, f"ALTER DATABASE {name} SET timezone = 'Europe/Berlin'")

    assert up(database, filled("ALTER TABLE a ALTER day TYPE timestamptz")).lost == ()


@pytest.mark.parametrize(
    ("expression", "text", "least"),
    [
        ("x * 2) STORED", "ALTER TABLE t ALTER y SET EXPRESSION AS (x * 3)", 17),
        # No value can be read.
        ("1 / x)", "ALTER TABLE t DROP COLUMN y; ALTER TABLE t ALTER z TYPE varchar", 18),
    ],
)
def test_generated_values_are_no_data(
    expression: str, text: str, least: int, database: str, folder: Write
) -> None:
    """They are made of others."""
    if value(database, "SELECT current_setting('server_version_num')::int") < least * 10_000:
        pytest.skip(f"PostgreSQL {least} introduced it")
    base = f"CREATE TABLE t (x int, y int GENERATED ALWAYS AS ({expression}, z text)"
    up(database, folder({"001_a.up.sql": base}))
    execute(database, "INSERT INTO t (x) VALUES (0)")

    assert up(database, folder({"001_a.up.sql": base, "002_b.up.sql": text})).lost == ()


@pytest.mark.parametrize("marked", ["002", "003"])
def test_a_loss_is_that_of_the_file_that_does_it(marked: str, database: str, folder: Write) -> None:
    """Not of one that has measured the table before, or rewritten it."""
    files = {
        "001_base.up.sql": BASE,
        "002_next.up.sql": "ALTER TABLE b ALTER a_id TYPE bigint, ADD n int",
        "003_more.up.sql": "DROP TABLE b",
    }
    up(database, folder({"001_base.up.sql": BASE}))
    execute(database, *ROWS)
    name = next(each for each in files if each.startswith(marked))
    path = folder({**files, name: f"-- lfmigrate: loses-data\n{files[name]}"})

    if marked == "002":
        with pytest.raises(Refused, match="1 loss of existing rows"):
            up(database, path)
    else:
        assert [one.name for one in up(database, path).lost] == ["b"]


@pytest.mark.parametrize(("text", "is_marked"), [("CREATE TABLE c ()", True), ("SELECT 1", False)])
def test_only_files_that_may_have_done_it_need_the_header(
    text: str, database: str, filled: Callable[[str], Path], folder: Write, *, is_marked: bool
) -> None:
    """Where no statement names what is lost."""
    filled("")
    marked = "-- lfmigrate: loses-data\nDO $$ BEGIN DROP SEQUENCE used; END $$"
    files = folder({"001_base.up.sql": BASE, "002_b.up.sql": marked, "003_c.up.sql": text})

    if is_marked:
        assert [one.name for one in up(database, files).lost] == ["used"]
    else:
        with pytest.raises(Refused, match="1 loss of existing rows"):
            up(database, files)


@pytest.mark.parametrize(
    ("theirs", "text", "lost"),
    [
        ("CREATE TABLE s.new AS SELECT 1", "DROP SCHEMA s CASCADE", {"s.new": 1}),
        ("CREATE TABLE new AS SELECT 1", "DROP TABLE IF EXISTS new", {"new": 1}),
        ("ALTER TABLE t ADD n int DEFAULT 1", "ALTER TABLE t DROP COLUMN IF EXISTS n", {"t.n": 1}),
        (
            "ALTER TABLE t ADD n int DEFAULT 1",
            "DO $$ BEGIN ALTER TABLE t DROP COLUMN IF EXISTS n; END $$",
            {"t.n": 1},
        ),
    ],
)
def test_what_another_session_creates_meanwhile_is_not_lost(
    theirs: str, text: str, lost: Mapping[str, int], database: str, folder: Write
) -> None:
    """After the moment when the run asked what exists."""
    base = "CREATE SCHEMA s; CREATE TABLE t (x int); INSERT INTO t VALUES (1)"
    up(database, folder({"001_a.up.sql": base}))
    files = folder(
        {"001_a.up.sql": base, "002_b.up.sql": f"SELECT pg_advisory_xact_lock(1); {text}"}
    )
    waiting = """
        SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
        WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()
    """
    with psycopg.connect(database, autocommit=True) as gate, Threads() as threads:
        gate.execute("SELECT pg_advisory_lock(1)")
        running = threads.submit(up, database, files)
        wait_until(lambda: value(database, waiting) == 1, "the run has asked for the lock")
        execute(database, theirs)
        gate.execute("SELECT pg_advisory_unlock(1)")
        with pytest.raises(Refused, match="of existing rows") as caught:
            running.result(timeout=60)

    report = caught.value.report
    assert isinstance(report, lfmigrate.UpReport)
    assert {one.name: one.rows for one in report.lost} == lost


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


def test_the_position_of_a_dropped_sequence_is_saved(
    database: str, filled: Callable[[str], Path], tmp_path: Path
) -> None:
    """As in a rollback."""
    report = up(database, filled("DROP SEQUENCE used"), backup_dir=tmp_path)

    (path,) = report.backups
    assert [(s.name, s.last_value) for s in read(path).sequences] == [("used", 41)]


IDENTITY = "ALTER TABLE s ALTER id DROP DEFAULT; DROP SEQUENCE s_id_seq;"
SET = "SELECT setval('s_id_seq', (SELECT max(id) FROM s))"
OTHER = "ALTER TABLE s ALTER other DROP IDENTITY;"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{IDENTITY} ALTER TABLE s ALTER id ADD GENERATED BY DEFAULT AS IDENTITY",
         ["column s.id remains, and gets 1 next; to go on: SELECT setval('public.s_id_seq', 3)"]),
        (f"{IDENTITY} ALTER TABLE s ALTER id ADD GENERATED ALWAYS AS IDENTITY (START 4)", []),
        (f"{IDENTITY} ALTER TABLE s ALTER id ADD GENERATED ALWAYS AS IDENTITY; {SET}", []),
        (IDENTITY, ["its next value would have been 4"]),
        (f"{OTHER} ALTER TABLE s ALTER other ADD GENERATED ALWAYS AS IDENTITY",
         ["setval('public.s_other_seq', 3)"]),
        (f"{OTHER} ALTER TABLE s ALTER other ADD GENERATED ALWAYS AS IDENTITY (INCREMENT -1)", []),
        ("-- lfmigrate: loses-data\nALTER TABLE s DROP id", []),
        ("-- lfmigrate: loses-data\nDROP TABLE s", []),
        ("ALTER TABLE s ALTER unused DROP DEFAULT; DROP SEQUENCE s_unused_seq", []),
    ],
)  # fmt: skip
def test_the_position_of_a_column_that_gets_another_sequence_is_said(
    text: str, said: list[str], database: str, folder: Write
) -> None:
    """Or the next INSERT would fail, because the value exists."""
    base = {
        "001_a.up.sql": "CREATE TABLE s (id serial, unused serial,"
        " other int GENERATED BY DEFAULT AS IDENTITY)",
    }
    up(database, folder(base))
    execute(database, *["INSERT INTO s (unused) VALUES (0)"] * 3)

    report = up(database, folder({**base, "002_b.up.sql": text}))

    notes = [note for note in report.notes if note.startswith("sequence ")]
    assert len(notes) == len(said)
    for note, words in zip(notes, said, strict=True):
        assert words in note
        for statement in note.split("to go on: ")[1:]:
            execute(database, statement)
            execute(database, "INSERT INTO s (unused) VALUES (0)")
            assert value(database, "SELECT greatest(max(id), max(other)) FROM s") == 4


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
    name = value(database, "SELECT current_database()")
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


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            "DELETE FROM b WHERE a_id = 1; UPDATE a SET note = 'y'",
            "4 rows updated or deleted in a, b",
        ),
        ("DELETE FROM b; DROP TABLE b", "3 rows updated or deleted in b"),
        ("DO $$ BEGIN DELETE FROM b; END $$", "3 rows updated or deleted in b"),
        (
            (
                "ALTER TABLE b DROP CONSTRAINT b_a_id_fkey, ADD FOREIGN KEY (a_id) REFERENCES a"
                " ON DELETE CASCADE; DELETE FROM a"
            ),
            "5 rows updated or deleted in a, b",
        ),
        (
            "WITH d AS (DELETE FROM b RETURNING a_id) INSERT INTO empty SELECT a_id FROM d",
            "3 rows updated or deleted in b",
        ),
        (
            "INSERT INTO a VALUES (1) ON CONFLICT (id) DO UPDATE SET note = 'y'",
            "1 row updated or deleted in a",
        ),
    ],
)
def test_changed_rows_are_reported(
    text: str, note: str, database: str, filled: Callable[[str], Path]
) -> None:
    """A DELETE is what its file says, and no loss that is refused."""
    assert up(database, filled(text)).notes == (note,)


def test_rows_that_an_earlier_transaction_has_changed_are_not_counted_again(
    database: str, folder: Write, filled: Callable[[str], Path]
) -> None:
    """A session reports its counts to the server from time to time only."""
    filled("")
    files = {
        "001_base.up.sql": BASE,
        "002_b.up.sql": "UPDATE b SET a_id = a_id",
        "003_c.up.sql": "INSERT INTO b VALUES (1)",
    }

    report = up(database, folder(files), per_migration=True)

    assert report.notes == ("3 rows updated or deleted in b",)


def test_a_backup_has_the_rows_that_are_updated_or_deleted(
    database: str, filled: Callable[[str], Path], tmp_path: Path
) -> None:
    """Who asks for a backup wants all of it."""
    files = filled("DELETE FROM b WHERE a_id = 1; UPDATE a SET note = 'y'; DROP TABLE child")

    report = up(database, files, backup_dir=tmp_path)

    assert {t.name: t.rows for p in report.backups for t in read(p).tables} == {
        "a": 2,
        "b": 3,
        "child": 1,
    }


def test_what_was_lost_before_an_error_is_named(
    database: str, folder: Write, filled: Callable[[str], Path], tmp_path: Path
) -> None:
    """An earlier transaction of the same run has lost it for good."""
    filled("")
    files = {"001_base.up.sql": BASE, "002_b.up.sql": "DROP TABLE b", "003_c.up.sql": "SELECT 1/0"}

    with pytest.raises(StatementFailed) as caught:
        up(database, folder(files), per_migration=True, backup_dir=tmp_path / "b")

    (path,) = (tmp_path / "b").iterdir()
    assert "lost before that, and committed: table b, rows: 3" in caught.value.detail
    assert f"The backup in {path} is complete." in caught.value.detail


def test_a_table_that_may_not_be_read_is_lost_if_it_has_rows(
    role: str, database: str, folder: Write
) -> None:
    """An empty one shows by its size; the rows of another cannot be counted."""
    name = value(database, "SELECT current_database()")
    execute(database, f"GRANT CREATE ON DATABASE {name} TO {role}")
    execute(database, f"GRANT USAGE, CREATE ON SCHEMA public TO {role}")
    owner = make_conninfo(database, user=role)
    create = f"CREATE TABLE t (n int); CREATE TABLE e (n int); REVOKE SELECT ON t, e FROM {role}"
    files = folder({"001_a.up.sql": create, "002_b.up.sql": "TRUNCATE e, t; DROP TABLE e, t"})
    up(owner, files, to="001")
    execute(database, "INSERT INTO t VALUES (1)")

    with pytest.raises(Refused, match="1 loss of existing rows") as caught:
        up(owner, files)
    assert caught.value.detail == (
        "changed table t: rows that the role may not read would be deleted",
    )
    assert {one.name for one in up(owner, files, accept_data_loss=True).lost} == {"t"}


def test_partitions_are_saved_as_the_rows_of_their_table(
    database: str, filled: Callable[[str], Path], tmp_path: Path
) -> None:
    """If it is dropped with them; it may be re-created with others."""
    files = filled("DROP TABLE p")
    folder = lfmigrate.read_folder(files)
    report = up(database, files, backup_dir=tmp_path)
    execute(
        database,
        "CREATE TABLE p (n int, note text) PARTITION BY LIST (n)",
        "CREATE TABLE other PARTITION OF p DEFAULT",
    )
    with closing(lfmigrate.connect(database)) as conn:
        lfmigrate.restore(conn, folder, report.backups[0])

    assert fetch(database, "SELECT n FROM other") == [1]


ALONE = "-- lfmigrate: no-transaction\n"


def test_a_refused_statement_outside_a_transaction_has_not_run(
    database: str, filled: Callable[[str], Path]
) -> None:
    """What the report says of a file that is half done, because an UPDATE might have emptied b."""
    files = filled(f"{ALONE}UPDATE a SET note = 'x' WHERE false; DROP TABLE b; ANALYZE a")

    with pytest.raises(Refused) as caught:
        up(database, files)

    report = caught.value.report
    assert isinstance(report, lfmigrate.UpReport)
    assert [n for n in report.notes if "not finished" in n] == [
        "002_next has not finished: 1 of its statements has run"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "VACUUM a; TRUNCATE b",
        "CREATE INDEX CONCURRENTLY i ON a (n); DROP TABLE b",
        "CREATE INDEX CONCURRENTLY i ON a (n); ALTER TABLE b RENAME TO c; TRUNCATE c",
        "CREATE TABLE c (n int); DROP TABLE c; VACUUM a; DROP TABLE b",
        "INSERT INTO b VALUES (1); DROP TABLE b",
        "ANALYZE a; ALTER TABLE b DROP COLUMN a_id",
        "ANALYZE a; DROP MATERIALIZED VIEW m",
    ],
)
def test_a_file_outside_a_transaction_that_loses_rows_by_its_text_is_not_begun(
    text: str, database: str, filled: Callable[[str], Path]
) -> None:
    """Otherwise it would be refused when half of it is done and committed."""
    files = filled(ALONE + text)
    before = value(database, "SELECT count(*) FROM lfmigrate.lfmigrate_history")

    with pytest.raises(Refused, match="1 loss of existing rows") as caught:
        up(database, files)

    assert caught.value.outcome == NOTHING_CHANGED
    assert value(database, "SELECT count(*) FROM lfmigrate.lfmigrate_history") == before
    assert value(database, "SELECT to_regclass('i') IS NULL AND to_regclass('c') IS NULL")
    assert up(database, files, accept_data_loss=True).lost


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM b; VACUUM b; DROP TABLE b",
        "DO $$ BEGIN DELETE FROM b; COMMIT; END $$; TRUNCATE b",
        "CREATE TABLE c AS SELECT 1 AS n; ANALYZE c; DROP TABLE c",
        "ALTER TABLE b RENAME TO c; CREATE TABLE b AS SELECT 1 AS n; ANALYZE a; TRUNCATE b",
        "CREATE TABLE c (n int); INSERT INTO c VALUES (1); VACUUM c; DROP TABLE c",
        "VACUUM a; DROP TABLE IF EXISTS nothing",
        "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY; DROP TABLE p",
        "VACUUM a; ALTER TABLE child NO INHERIT parent; TRUNCATE parent",
        "VACUUM a; ALTER TABLE keyed DROP CONSTRAINT k; TRUNCATE keys CASCADE",
    ],
)
def test_a_file_outside_a_transaction_that_loses_nothing_runs(
    text: str, database: str, filled: Callable[[str], Path]
) -> None:
    """What its own statements have removed, created or taken apart by then is no loss."""
    execute(
        database,
        "CREATE TABLE keys (n int PRIMARY KEY)",
        "CREATE TABLE keyed (n int CONSTRAINT k REFERENCES keys)",
        "INSERT INTO keyed VALUES (NULL)",
    )
    assert up(database, filled(ALONE + text)).lost == ()


def test_what_a_block_outside_a_transaction_emptied_is_said_if_a_later_statement_is_refused(
    database: str, filled: Callable[[str], Path]
) -> None:
    """It is gone, and the file is half done."""
    files = filled(f"{ALONE}DO $$ BEGIN TRUNCATE b; END $$; DROP TABLE g")

    with pytest.raises(Refused, match="1 loss of existing rows") as caught:
        up(database, files)

    assert any("b was emptied or rewritten" in line for line in caught.value.detail)


def test_a_database_is_not_dropped_unasked(
    database: str, create_database: Callable[..., str], folder: Write
) -> None:
    """Nothing could save it; one that does not exist is no loss."""
    other = value(create_database(), "SELECT current_database()")
    text = f"-- lfmigrate: no-transaction\nDROP DATABASE IF EXISTS gone; DROP DATABASE {other}"
    exists = f"SELECT count(*) FROM pg_database WHERE datname = '{other}'"

    with pytest.raises(Refused, match="a database would be dropped") as caught:
        up(database, folder({"001_a.up.sql": text}))

    assert caught.value.detail[0] == f"database {other}"
    assert value(database, exists) == 1
    up(database, folder({"001_a.up.sql": text}), accept_data_loss=True)
    assert value(database, exists) == 0


def test_losses_are_printed_if_only_a_repeatable_file_has_run(
    database: str, folder: Write, cli: Cli
) -> None:
    """Although no object was changed."""
    files = {"001_a.up.sql": "CREATE TABLE b (n int)", "repeatable/r.sql": "SELECT 1"}
    up(database, folder(files))
    execute(database, "INSERT INTO b VALUES (1), (2)")
    edited = {**files, "repeatable/r.sql": "-- lfmigrate: loses-data\nTRUNCATE b"}

    ran = cli("up", "--database-url", database, "--sql-dir", folder(edited))

    assert ran.returncode == 0, ran.stderr
    assert "existing rows lost" in ran.stdout
    assert "up to date" not in ran.stdout


def test_a_table_of_others_may_have_the_name_of_the_history(database: str, folder: Write) -> None:
    """Only its own table is left out."""
    execute(
        database,
        "CREATE SCHEMA theirs",
        "CREATE TABLE theirs.lfmigrate_history AS SELECT 1 AS n",
    )
    text = "DO $$ BEGIN TRUNCATE theirs.lfmigrate_history; END $$"

    with pytest.raises(Refused, match="1 loss of existing rows"):
        up(database, folder({"001_a.up.sql": text}))


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
