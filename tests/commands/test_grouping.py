"""One run or several give the same: what files leave in the session, and what they own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lfmigrate.errors import Refused, StatementFailed
from tests.helpers.commands import rollback, up, verify
from tests.helpers.databases import execute, fetch, value

Write = Callable[[Mapping[str, str]], Path]

# What two files may do that know nothing of each other.
ALIKE = {
    "temporary table": "CREATE TEMP TABLE stage (n int); INSERT INTO stage VALUES (1);",
    "dropped at commit": "CREATE TEMP TABLE stage ON COMMIT DROP AS SELECT 1 AS n;",
    "deferred": "CREATE TEMP TABLE stage (n int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);"
    "INSERT INTO stage VALUES (1); UPDATE stage SET n = 2;",
    "prepared statement": "PREPARE p AS SELECT 1; EXECUTE p;",
    "cursor": "DECLARE c CURSOR FOR SELECT 1; FETCH c;",
    "cursor with hold": "DECLARE c CURSOR WITH HOLD FOR SELECT 1;",
    "temporary function": "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1';",
    "lock": "DO $$ BEGIN IF EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid()"
    " AND locktype = 'advisory' AND objsubid = 2) THEN RAISE 'held'; END IF; END $$;"
    "SELECT pg_advisory_lock(1, 2);",
    "channel": "DO $$ BEGIN IF EXISTS (SELECT pg_listening_channels()) THEN RAISE 'listens';"
    " END IF; END $$; LISTEN ch;",
}

# What a file leaves that the next one uses, in a run of its own, in vain.
USED = {
    "temporary table": ("CREATE TEMP TABLE stage (n int);", "INSERT INTO stage VALUES (1);"),
    "dropped at commit": (
        "CREATE TEMP TABLE stage ON COMMIT DROP AS SELECT 1 AS n;",
        "INSERT INTO a SELECT n FROM stage;",
    ),
    "prepared statement": ("PREPARE p AS SELECT 1;", "EXECUTE p;"),
    "cursor": ("DECLARE c CURSOR WITH HOLD FOR SELECT 1;", "FETCH c;"),
    "currval": ("INSERT INTO a (n) VALUES (1);", "SELECT currval('a_id_seq');"),
}


def files_of(first: str, second: str) -> dict[str, str]:
    """Return two migrations that also create a table each."""
    return {
        "1_a.up.sql": f"CREATE TABLE a (n int, id serial);\n{first}",
        "2_b.up.sql": f"{second}\nCREATE TABLE b (n int);",
    }


@pytest.mark.parametrize("per_migration", [False, True])
@pytest.mark.parametrize("kind", ALIKE)
def test_two_files_that_leave_the_same_in_the_session(
    kind: str, per_migration: object, database: str, folder: Write
) -> None:
    """They run in one transaction and in two, and in a replay."""
    path = folder(files_of(ALIKE[kind], ALIKE[kind]))

    report = up(database, path, per_migration=bool(per_migration))

    assert not report.notes
    if not per_migration:
        assert verify(database, path, replay_files=True).ok


@pytest.mark.parametrize("runs", [1, 2])
@pytest.mark.parametrize("kind", USED)
def test_what_a_file_has_left_is_not_there_for_the_next(
    kind: str, runs: int, database: str, folder: Write
) -> None:
    """It fails in one run, as it would in two."""
    path = folder(files_of(*USED[kind]))
    if runs > 1:
        up(database, path, to="1")

    with pytest.raises(StatementFailed) as failed:
        up(database, path)

    assert failed.value.file == "2_b.up.sql"


def test_the_statements_of_a_no_transaction_file_share_a_session(
    database: str, folder: Write
) -> None:
    """The next file does not, nor does one with a transaction that follows on its connection."""
    uses = "CREATE TEMP TABLE stage (n int);\nINSERT INTO stage VALUES (1);\n"
    alone = f"-- lfmigrate: no-transaction\n{uses}"
    path = folder(
        {
            "1_a.up.sql": f"{alone}CREATE TABLE a AS SELECT n FROM stage;\n",
            "2_b.up.sql": f"{alone}CREATE TABLE b AS SELECT n FROM stage;\n",
            "3_c.up.sql": uses,
            "4_d.up.sql": uses,
        }
    )

    up(database, path)

    assert fetch(database, "SELECT a.n + b.n FROM a, b") == [2]
    report = verify(database, path, replay_files=True)
    assert report.ok
    assert len(report.relations) == 2


def test_a_replay_that_begins_again_finds_nothing_of_the_first_try(
    database: str, folder: Write
) -> None:
    """A statement that cannot run in a transaction is left out, and the rest runs again."""
    files = {
        "1_a.up.sql": "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$BEGIN COMMIT; END$$;",
        "2_b.up.sql": "-- lfmigrate: no-transaction\nPREPARE q AS SELECT 1;\nCALL p();\n",
    }
    path = folder(files)
    up(database, path)

    report = verify(database, path, replay_files=True)

    assert report.ok
    assert ["left out" in note for note in report.notes] == [True]


# What the second file does to what the first one has created, and how that is undone.
CREATED = """
    CREATE TABLE a (id int PRIMARY KEY, x int, y text);
    ALTER TABLE a ADD CONSTRAINT a_x CHECK (x > 0);
    CREATE INDEX a_y ON a (y);
    CREATE INDEX a_xy ON a (x, y);
    CREATE STATISTICS a_s ON x, y FROM a;
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER a_t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();
    CREATE POLICY a_p ON a USING (x > 0);
    CREATE RULE a_r AS ON DELETE TO a WHERE old.x = 1 DO INSTEAD NOTHING;
"""
TOUCHED = {
    "retyped column": (
        "DROP POLICY a_p ON a; DROP RULE a_r ON a; ALTER TABLE a ALTER x TYPE bigint;",
        "ALTER TABLE a ALTER COLUMN x TYPE int; CREATE POLICY a_p ON a USING (x > 0);",
    ),
    "renamed column": (
        "ALTER TABLE a RENAME COLUMN x TO z;",
        "ALTER TABLE a RENAME COLUMN z TO x;",
    ),
    "not null": (
        "ALTER TABLE a ALTER COLUMN y SET NOT NULL;",
        "ALTER TABLE a ALTER COLUMN y DROP NOT NULL;",
    ),
    "default": (
        "ALTER TABLE a ALTER COLUMN y SET DEFAULT 'y';",
        "ALTER TABLE a ALTER COLUMN y DROP DEFAULT;",
    ),
    "renamed constraint": (
        "ALTER TABLE a RENAME CONSTRAINT a_x TO b_x;",
        "ALTER TABLE a RENAME CONSTRAINT b_x TO a_x;",
    ),
    "dropped index": ("DROP INDEX a_y;", "CREATE INDEX a_y ON a (y);"),
    "dropped table": ("DROP TABLE a;", "CREATE TABLE a (id int PRIMARY KEY, x int, y text);"),
    "renamed index": ("ALTER INDEX a_y RENAME TO b_y;", "ALTER INDEX b_y RENAME TO a_y;"),
    "renamed statistics": (
        "ALTER STATISTICS a_s RENAME TO b_s;",
        "ALTER STATISTICS b_s RENAME TO a_s;",
    ),
    "disabled trigger": (
        "ALTER TABLE a DISABLE TRIGGER a_t;",
        "ALTER TABLE a ENABLE TRIGGER a_t;",
    ),
    "policy": (
        "ALTER POLICY a_p ON a USING (x > 1);",
        "ALTER POLICY a_p ON a USING (x > 0);",
    ),
    "renamed rule": (
        "ALTER RULE a_r ON a RENAME TO b_r;",
        "ALTER RULE b_r ON a RENAME TO a_r;",
    ),
    "in a subtransaction": (
        "DO $$ BEGIN ALTER TABLE a ALTER y SET DEFAULT ''; EXCEPTION WHEN others THEN END $$;",
        "ALTER TABLE a ALTER y DROP DEFAULT;",
    ),
}


@pytest.mark.parametrize("touch", TOUCHED)
def test_what_an_earlier_file_has_created_stays_its_own(
    touch: str, database: str, folder: Write
) -> None:
    """Whether a later one that changes it runs in the same transaction or not."""
    does, undoes = TOUCHED[touch]
    path = folder(
        {
            "1_a.up.sql": CREATED,
            "1_a.down.sql": "DROP TABLE a; DROP FUNCTION f;",
            "2_b.up.sql": does,
            "2_b.down.sql": undoes,
        }
    )
    for in_one_run in (True, False):
        if not in_one_run:
            up(database, path, to="1")
        up(database, path, strict=True)
        rollback(database, path)
        assert verify(database, path, allow_pending=True).ok
        rollback(database, path)

    assert value(database, "SELECT to_regclass('a')") is None


def test_a_column_of_an_earlier_file_is_not_dropped_with_the_later_one(
    database: str, folder: Write
) -> None:
    """Its values belong to a migration that stays."""
    path = folder(
        {
            "1_a.up.sql": "CREATE TABLE a (id int, x int);",
            "2_b.up.sql": "ALTER TABLE a ALTER COLUMN x TYPE bigint;",
            "2_b.down.sql": "ALTER TABLE a DROP COLUMN x;",
        }
    )
    up(database, path)

    with pytest.raises(Refused) as refused:
        rollback(database, path)

    assert refused.value.detail == ("table column public.a.x",)


UNKEPT = "DROP EVENT TRIGGER keep; DROP FUNCTION keep;"


@pytest.mark.per_version
@pytest.mark.parametrize("is_own", [True, False], ids=["of the run", "of another"])
def test_what_an_event_trigger_creates_belongs_to_the_file_that_fires_it(
    database: str, folder: Write, *, is_own: bool
) -> None:
    """Although that file does not name it, and a later one does."""
    trigger = """
        CREATE FUNCTION keep() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
            IF to_regclass('a') IS NOT NULL AND to_regclass('a_history') IS NULL THEN
                CREATE TABLE a_history (n int);
            END IF;
        END $$;
        CREATE EVENT TRIGGER keep ON ddl_command_end WHEN tag IN ('CREATE TABLE')
            EXECUTE FUNCTION keep();
    """
    if not is_own:
        execute(database, trigger)
    first = {"0_keep.up.sql": trigger, "0_keep.down.sql": UNKEPT} if is_own else {}
    path = folder(
        first
        | {
            "1_a.up.sql": "CREATE TABLE a (n int);",
            "1_a.down.sql": "DROP TABLE a_history; DROP TABLE a;",
            "2_b.up.sql": "ALTER TABLE a_history ALTER n SET NOT NULL, ADD m int;",
            "2_b.down.sql": "ALTER TABLE a_history DROP m, ALTER n DROP NOT NULL;",
        }
    )
    up(database, path)

    rollback(database, path)
    rollback(database, path)

    assert value(database, "SELECT to_regclass('a_history')") is None
