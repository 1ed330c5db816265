"""What a rollback loses is shown, counted and saved, whatever hides it or changes it meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

import lfmigrate
from lfmigrate.commands.rollback import RollbackReport
from lfmigrate.errors import Refused
from lfmigrate.rows.archive import read
from tests.helpers.commands import up
from tests.helpers.databases import execute, fetch, value
from tests.helpers.faults import wait_until
from tests.helpers.threads import Threads

Write = Callable[[Mapping[str, str | bytes]], Path]


def rollback(url: str, files: Path, parent: Path | None, **options: Any) -> RollbackReport:
    """Roll back a folder."""
    with closing(lfmigrate.connect(url)) as conn:
        folder = lfmigrate.read_folder(files)
        return lfmigrate.rollback(conn, folder, backup_dir=parent, **options)


def saved(report: RollbackReport) -> dict[str, int]:
    """Return the tables in a report's backup, with their numbers of rows."""
    assert report.backup is not None
    return {table.name: table.rows for table in read(report.backup).tables}


def lost(report: RollbackReport) -> dict[str, tuple[int | None, int | None]]:
    """Return how many rows each object loses, and how many of those are deleted."""
    return {one.name: (one.rows, one.deleted) for one in report.lost}


@pytest.fixture
def owner(role: str, database: str) -> str:
    """Return the URL of the test's database for a role that may create tables there."""
    name = conninfo_to_dict(database)["dbname"]
    execute(
        database,
        f"GRANT CREATE ON DATABASE {name} TO {role}",
        f"GRANT USAGE, CREATE ON SCHEMA public TO {role}",
    )
    return make_conninfo(database, user=role)


FORCED = """
    CREATE TABLE note (id int PRIMARY KEY, tenant text);
    ALTER TABLE note ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE POLICY own ON note USING (tenant = current_setting('app.tenant', true));
"""


@pytest.mark.parametrize(
    ("down", "rows", "deleted"),
    [
        ("DROP TABLE note", 2, None),
        ("TRUNCATE note", 2, 2),
        ("ALTER TABLE note DROP COLUMN tenant CASCADE", 2, 0),
        ("SET app.tenant = 'a'; DELETE FROM note", 1, 1),
        ("SET app.tenant = 'a'; UPDATE note SET id = 9", 1, 0),
    ],
)
def test_rows_behind_a_policy_are_counted_and_saved(
    down: str,
    rows: int,
    deleted: int | None,
    *,
    owner: str,
    database: str,
    folder: Write,
    tmp_path: Path,
) -> None:
    """The owner under FORCE sees none of them."""
    files = folder(
        {
            "001_a.up.sql": FORCED,
            "001_a.down.sql": "DROP TABLE IF EXISTS note",
            "002_b.up.sql": "SELECT 1",
            "002_b.down.sql": down,
        }
    )
    up(owner, files)
    execute(database, "INSERT INTO note VALUES (1, 'a'), (2, 'b')")
    assert value(owner, "SELECT count(*) FROM note") == 0

    options = {"cascade": True, "to": "0" if down.startswith("DROP") else "1"}
    preview = rollback(owner, files, tmp_path, dry_run=True, **options)
    report = rollback(owner, files, tmp_path, **options)

    assert preview.lost == report.lost
    assert lost(report)["note"] == (rows, deleted)
    assert saved(report) == {"note": 2}
    if not down.startswith("DROP"):
        assert value(database, "SELECT relforcerowsecurity FROM pg_class WHERE relname = 'note'")


def test_a_role_that_may_not_see_all_rows_is_refused(
    owner: str, database: str, role: str, folder: Write, tmp_path: Path
) -> None:
    """What a policy hides could neither be counted nor saved."""
    files = folder({"001_a.up.sql": "SELECT 1", "001_a.down.sql": "DELETE FROM note"})
    execute(
        database,
        FORCED,
        f"GRANT ALL ON note TO {role}",
        f"ALTER ROLE {role} SET app.tenant = 'a'",
        "INSERT INTO note VALUES (1, 'a'), (2, 'b')",
    )
    up(owner, files)

    with pytest.raises(Refused) as caught:
        rollback(owner, files, tmp_path)

    assert caught.value.exit_code == 5
    assert caught.value.facts[0] == "table public.note: policy own"
    assert value(database, "SELECT count(*) FROM note") == 2


@pytest.mark.parametrize(
    ("down", "expected"),
    [
        ("DELETE FROM t WHERE n < 3", (2, 2)),
        ("UPDATE t SET n = 7 WHERE n = 3", (1, 0)),
        ("DELETE FROM t WHERE n = 1; UPDATE t SET n = 7 WHERE n = 3", (2, 1)),
        ("DELETE FROM t; INSERT INTO t VALUES (8)", (3, 2)),
        ("TRUNCATE t", (3, 3)),
        ("DO $$ BEGIN EXECUTE 'DELETE FROM t'; END $$", (3, 3)),
        ("DELETE FROM other", (3, 3)),  # cascades
    ],
)
def test_changes_are_found_without_statistics(
    down: str,
    expected: tuple[int, int],
    *,
    owner: str,
    database: str,
    folder: Write,
    tmp_path: Path,
) -> None:
    """``track_counts`` may be off for a database, and only a superuser may switch it on."""
    files = folder(
        {
            "001_a.up.sql": """
                CREATE TABLE other (id int PRIMARY KEY);
                CREATE TABLE t (n int, o int REFERENCES other ON DELETE CASCADE);
            """,
            "001_a.down.sql": "DROP TABLE t, other",
            "002_b.up.sql": """
                INSERT INTO other VALUES (1);
                INSERT INTO t VALUES (1, 1), (2, 1), (3, 1)
            """,
            "002_b.down.sql": down,
        }
    )
    execute(
        database,
        f"ALTER DATABASE {conninfo_to_dict(database)['dbname']} SET track_counts = off",
    )
    up(owner, files)

    preview = rollback(owner, files, tmp_path, dry_run=True)
    report = rollback(owner, files, tmp_path)

    assert preview.lost == report.lost
    assert lost(report)["t"] == expected
    assert saved(report)["t"] == 3


def test_rows_that_are_only_added_are_no_loss(
    owner: str, database: str, role: str, folder: Write, tmp_path: Path
) -> None:
    """Neither in a table of others that the role may only insert into."""
    files = folder(
        {
            "001_a.up.sql": "CREATE TABLE a (n int); CREATE TABLE log (n int)",
            "001_a.down.sql": """
                INSERT INTO audit VALUES (1);
                INSERT INTO log VALUES (1), (2);
                DELETE FROM log WHERE n = 2;
                DROP TABLE a
            """,
        }
    )
    execute(
        database,
        "CREATE TABLE audit (n int)",
        "INSERT INTO audit VALUES (0)",
        f"GRANT INSERT ON audit TO {role}",
    )
    up(owner, files)
    execute(owner, "INSERT INTO log VALUES (0)")

    report = rollback(owner, files, tmp_path)

    assert "audit" not in lost(report)
    assert "log" not in lost(report)
    assert report.backup is None
    assert fetch(database, "SELECT n FROM log ORDER BY n") == [0, 1]


@pytest.mark.parametrize(
    "column",
    ["addr", "addr[]", "street", "nested", "spans", "whole"],
)
def test_a_part_of_a_composite_type_is_lost_in_every_table_that_uses_it(
    column: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """No table is rewritten or locked for that."""
    files = folder(
        {
            "001_a.up.sql": """
                CREATE TYPE addr AS (line text);
                CREATE DOMAIN street AS addr;
                CREATE TYPE nested AS (a addr, n int);
                CREATE TYPE spans AS RANGE (SUBTYPE = addr);
                CREATE TABLE whole (a addr);
                CREATE TABLE unused (n int);
            """,
            "001_a.down.sql": "SELECT 1",
            "002_b.up.sql": "ALTER TYPE addr ADD ATTRIBUTE city text",
            "002_b.down.sql": "ALTER TYPE addr DROP ATTRIBUTE city",
        }
    )
    up(database, files)
    literal = {
        "addr": "('l', 'c')::addr",
        "addr[]": "ARRAY[('l', 'c')::addr]",
        "street": "('l', 'c')::addr::street",
        "nested": "(('l', 'c')::addr, 1)::nested",
        "spans": "spans(('l', 'c')::addr, ('m', 'c')::addr)",
        "whole": "ROW(('l', 'c')::addr)::whole",
    }[column]
    execute(
        database,
        f"CREATE TABLE theirs (x {column})",
        f"INSERT INTO theirs VALUES ({literal})",
    )

    report = rollback(database, files, tmp_path)

    assert lost(report)["theirs"] == (1, 0)
    assert saved(report) == {"theirs": 1}
    assert "unused" not in lost(report)


NEW = "CREATE TABLE new (n int); INSERT INTO new VALUES (1)"
THERE = "EXISTS (SELECT FROM pg_class WHERE relname = 'new')"


@pytest.mark.parametrize(
    ("other", "down"),
    [
        ("CREATE TABLE s.new (n int); INSERT INTO s.new VALUES (1)", "DROP SCHEMA s CASCADE"),
        ("CREATE TABLE new (n int, m mood)", "DROP TYPE mood CASCADE"),
        ("CREATE VIEW new AS SELECT s.f()", "DROP FUNCTION s.f CASCADE"),
        (NEW, f"DO $$ BEGIN IF {THERE} THEN DELETE FROM new; END IF; END $$"),
        (NEW, f"DO $$ BEGIN IF {THERE} THEN TRUNCATE new; END IF; END $$"),
        ("CREATE FUNCTION s.new() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP SCHEMA s CASCADE"),
    ],
)
def test_what_another_session_creates_meanwhile_is_not_dropped(
    other: str, down: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """After the trial, and after the moment when the run asked what exists."""
    files = folder(
        {
            "001_a.up.sql": """
                CREATE SCHEMA s;
                CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
                CREATE TYPE mood AS ENUM ('x');
                CREATE TABLE t (m mood);
            """,
            # The trial takes the lock 1, and the run the lock 2.
            "001_a.down.sql": f"SELECT pg_advisory_xact_lock(nextval('runs')); {down}",
        }
    )
    execute(database, "CREATE SEQUENCE runs")
    up(database, files)
    waiting = """
        SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
        WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()
    """
    with psycopg.connect(database, autocommit=True) as gate, Threads() as threads:
        gate.execute("SELECT pg_advisory_lock(2)")
        running = threads.submit(rollback, database, files, tmp_path, cascade=True)
        wait_until(lambda: value(database, waiting) == 1, "the run has asked for the lock")
        execute(database, *other.split("; "))
        gate.execute("SELECT pg_advisory_unlock(2)")
        with pytest.raises(Refused, match="dropped more") as caught:
            running.result(timeout=60)
    assert "new" in str(caught.value.facts[0])
    assert value(database, "SELECT count(*) FROM pg_class WHERE relname = 't'") == 1


@pytest.mark.parametrize(
    ("meanwhile", "has_backup", "refused"),
    [
        ("INSERT INTO a VALUES (2)", True, None),
        ("INSERT INTO a VALUES (2)", False, "table a, rows: 2"),
        ("DELETE FROM a", False, None),
        ("CREATE VIEW v AS SELECT * FROM a", True, "view v"),
        ("ALTER TABLE b ADD COLUMN n int", True, None),
        ("rollback", True, "migration 001_a"),
    ],
)
def test_no_more_is_rolled_back_than_was_confirmed(
    meanwhile: str, refused: str | None, database: str, folder: Write, tmp_path: Path,
    *, has_backup: bool,
) -> None:  # fmt: skip
    """Another session may change what was shown while the question waits."""
    files = folder(
        {
            "001_a.up.sql": "CREATE TABLE b (m int)",
            "001_a.down.sql": "DROP TABLE b",
            "002_a.up.sql": "CREATE TABLE a (n int)",
            "002_a.down.sql": "DROP TABLE a",
        }
    )
    up(database, files)
    execute(database, "INSERT INTO a VALUES (1)", "INSERT INTO b VALUES (1)")
    parent = tmp_path if has_backup else None
    shown = rollback(database, files, parent, dry_run=True, cascade=True)
    if meanwhile == "rollback":
        rollback(database, files, parent)
    else:
        execute(database, meanwhile)

    if refused is None:
        report = rollback(database, files, parent, cascade=True, shown=shown)
        assert [each.version for each in report.migrations] == ["002"]
        return
    with pytest.raises(Refused, match="not what was confirmed") as caught:
        rollback(database, files, parent, cascade=True, shown=shown)
    assert refused in caught.value.detail
    assert value(database, "SELECT count(*) FROM b") == 1


def test_what_a_deferred_trigger_deletes_is_saved(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """It would fire at the commit, when nothing can be saved any more."""
    files = folder(
        {
            "001_a.up.sql": """
                CREATE TABLE a (id int PRIMARY KEY);
                CREATE TABLE b (a_id int);
                CREATE FUNCTION purge() RETURNS trigger LANGUAGE plpgsql AS
                    'BEGIN DELETE FROM b WHERE a_id = OLD.id; RETURN NULL; END';
                CREATE CONSTRAINT TRIGGER purge AFTER DELETE ON a DEFERRABLE INITIALLY DEFERRED
                    FOR EACH ROW EXECUTE FUNCTION purge();
            """,
            "002_b.up.sql": "INSERT INTO a VALUES (7)",
            "002_b.down.sql": "DELETE FROM a WHERE id = 7",
        }
    )
    up(database, files)
    execute(database, "INSERT INTO b VALUES (7), (7), (8)")

    report = rollback(database, files, tmp_path)

    assert lost(report) == {"a": (1, 1), "b": (2, 2)}
    assert saved(report) == {"a": 1, "b": 3}


def test_what_no_table_holds_is_listed_and_saved_where_it_can_be(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """Positions of sequences, rows of materialized views, and rows without columns."""
    files = folder(
        {
            "001_a.up.sql": """
                CREATE TABLE bare ();
                CREATE SEQUENCE numbers;
                CREATE MATERIALIZED VIEW m AS SELECT 1 AS n UNION SELECT 2;
                CREATE MATERIALIZED VIEW empty AS SELECT 1 AS n WITH NO DATA;
            """,
            "001_a.down.sql": """
                DROP MATERIALIZED VIEW m;
                DROP MATERIALIZED VIEW empty;
                DROP SEQUENCE numbers;
                DROP TABLE bare;
            """,
        }
    )
    up(database, files)
    execute(database, "INSERT INTO bare DEFAULT VALUES", "SELECT setval('numbers', 41)")

    report = rollback(database, files, tmp_path)

    rows = {one.name: one.rows for one in report.lost}
    assert rows == {"bare": 1, "m": 2, "empty": None, "numbers": None}
    assert any("materialized view m are in no backup" in note for note in report.notes)
    assert saved(report) == {"bare": 1}
    assert report.backup is not None
    assert [(s.name, s.last_value) for s in read(report.backup).sequences] == [("numbers", 41)]


def test_the_position_of_a_sequence_is_saved_without_rows(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """A sequence that was never used has none."""
    files = folder(
        {
            "001_a.up.sql": "CREATE SEQUENCE unused",
            "001_a.down.sql": "DROP SEQUENCE unused",
            "002_b.up.sql": "CREATE SEQUENCE numbers",
            "002_b.down.sql": "DROP SEQUENCE numbers",
        }
    )
    up(database, files)
    execute(database, "SELECT setval('numbers', 41)")

    used, unused = (rollback(database, files, tmp_path / name) for name in ("2", "1"))

    assert unused.backup is None
    assert used.backup is not None
    assert [(s.name, s.last_value) for s in read(used.backup).sequences] == [("numbers", 41)]


@pytest.mark.parametrize(
    "down",
    ["SELECT setval('numbers', 5)", "ALTER SEQUENCE numbers RESTART", "DELETE FROM t"],
)
def test_a_sequence_that_a_down_file_sets_back_is_saved_as_it_was(
    down: str, database: str, folder: Write, tmp_path: Path
) -> None:
    """The trial has moved it already when it is saved, and no savepoint undoes that."""
    files = folder(
        {
            "001_a.up.sql": "CREATE TABLE t (id serial)",
            "001_a.down.sql": "DROP TABLE t",
            "002_b.up.sql": "SELECT 1",
            "002_b.down.sql": f"{down}; SELECT setval('t_id_seq', 1)",
        }
    )
    up(database, files)
    execute(
        database,
        "CREATE SEQUENCE numbers",
        "SELECT setval('numbers', 41)",
        "INSERT INTO t SELECT FROM generate_series(1, 7)",
    )

    preview = rollback(database, files, tmp_path, dry_run=True)
    assert value(database, "SELECT last_value FROM numbers") == 41
    assert value(database, "SELECT last_value FROM t_id_seq") == 7
    report = rollback(database, files, tmp_path)

    assert preview.lost == report.lost
    assert report.backup is not None
    archive = read(report.backup)
    positions = {s.name: s.last_value for t in archive.tables for s in t.sequences}
    positions |= {s.name: s.last_value for s in archive.sequences}
    assert positions == (
        {"t_id_seq": 7} if "t" in saved(report) else {"numbers": 41, "t_id_seq": 7}
    )


@pytest.mark.parametrize(
    ("theirs", "text", "down"),
    [
        ("CREATE TABLE x (n int)", "CREATE TABLE IF NOT EXISTS x (n int)", "DROP TABLE x"),
        ("CREATE SEQUENCE x", "CREATE SEQUENCE IF NOT EXISTS x", "DROP SEQUENCE x"),
        ("CREATE SCHEMA x", "CREATE SCHEMA IF NOT EXISTS x", "DROP SCHEMA x"),
    ],
)
def test_what_a_migration_has_only_found_is_not_dropped(
    theirs: str,
    text: str,
    down: str,
    *,
    database: str,
    folder: Write,
    tmp_path: Path,
) -> None:
    """It existed before, so only --cascade drops it."""
    files = folder(
        {
            "001_a.up.sql": f"CREATE TABLE own (n int); {text}",
            "001_a.down.sql": f"DROP TABLE own; {down}",
        }
    )
    execute(database, theirs)
    up(database, files)

    with pytest.raises(Refused, match="1 object") as caught:
        rollback(database, files, tmp_path)
    assert caught.value.exit_code == 5
    assert value(database, "SELECT to_regclass('own') IS NOT NULL")

    report = rollback(database, files, tmp_path, cascade=True)
    assert [one.name for one in report.dependents] in (["x"], ["x()"])
    with closing(lfmigrate.connect(database)) as conn:
        assert lfmigrate.verify(conn, lfmigrate.read_folder(files), allow_pending=True).ok


def test_changed_rows_of_a_foreign_table_are_not_silent(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """They are on another server: neither counted nor saved."""
    info = conninfo_to_dict(database)
    options = ", ".join(f"{key} '{info[key]}'" for key in ("host", "port", "dbname") if key in info)
    files = folder({"001_a.up.sql": "SELECT 1", "001_a.down.sql": "DELETE FROM ft"})
    execute(
        database,
        "CREATE TABLE remote (n int)",
        "CREATE EXTENSION postgres_fdw",
        f"CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({options})",
        f"CREATE USER MAPPING FOR CURRENT_USER SERVER other OPTIONS (user '{info['user']}')",
        "CREATE FOREIGN TABLE ft (n int) SERVER other OPTIONS (table_name 'remote')",
        "INSERT INTO remote VALUES (1)",
    )
    up(database, files)

    preview = rollback(database, files, tmp_path, dry_run=True)
    assert fetch(database, "SELECT n FROM remote") == [1]
    report = rollback(database, files, tmp_path)

    assert preview.lost == report.lost
    assert [(one.kind, one.name) for one in report.lost] == [("changed foreign table", "public.ft")]
    assert any("in no backup" in note for note in report.notes)
    assert fetch(database, "SELECT n FROM remote") == []


def test_a_down_file_may_leave_what_the_migration_has_found(
    database: str, folder: Write, tmp_path: Path
) -> None:
    """It stays, and is not expected any more; a backup has its rows as long as it is."""
    files = folder(
        {
            "001_a.up.sql": "CREATE TABLE IF NOT EXISTS x (n int); ALTER TABLE x ADD m int",
            "001_a.down.sql": "ALTER TABLE x DROP m",
        }
    )
    execute(database, "CREATE TABLE x (n int)", "INSERT INTO x VALUES (1)")
    up(database, files)
    with closing(lfmigrate.connect(database)) as conn:
        whole = lfmigrate.backup(conn, lfmigrate.read_folder(files), out=tmp_path / "out")
    assert [t.rows for t in whole.tables] == [1]

    rollback(database, files, tmp_path)
    execute(database, "DROP TABLE x")
    with closing(lfmigrate.connect(database)) as conn:
        assert lfmigrate.verify(conn, lfmigrate.read_folder(files), allow_pending=True).ok


def test_partitions_of_others_are_re_created_from_the_manifest(
    database: str, folder: Write, dump: Callable[..., str], tmp_path: Path
) -> None:
    """With their bounds, and in an order in which each finds what it belongs to."""
    files = folder(
        {
            "001_a.up.sql": "CREATE TABLE p (n int, m int) PARTITION BY RANGE (n)",
            "001_a.down.sql": "DROP TABLE p",
        }
    )
    up(database, files)
    execute(
        database,
        "CREATE TABLE b PARTITION OF p FOR VALUES FROM (0) TO (10) PARTITION BY LIST (m)",
        "CREATE TABLE a PARTITION OF b FOR VALUES IN (1, 2)",
        "CREATE TABLE c PARTITION OF p DEFAULT",
        "CREATE VIEW z AS SELECT n FROM a",
        "CREATE VIEW y AS SELECT n FROM z",
        "INSERT INTO p VALUES (1, 1), (2, 2), (50, 1)",
    )
    before = dump(database)

    report = rollback(database, files, tmp_path, cascade=True)

    assert sum(one.rows or 0 for one in (*report.lost, *report.dependents)) == 3
    assert report.backup is not None
    up(database, files)
    for each in read(report.backup).about.dropped:
        assert each.definition is not None
        execute(database, each.definition)
    assert dump(database) == before
